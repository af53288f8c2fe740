package session

import (
	"context"
	"time"

	"github.com/flamego/session/internal/share"
)

// beyond returns a context for work that continues even if the client disconnects.
func (q *request) beyond() (context.Context, context.CancelFunc) {
	if q.m.core.Traits.Local {
		return (*lasting)(q), func() {}
	}
	return q.m.store.deadline(share.Patient(q.x.r.Context()))
}

// lasting returns the request's context without its cancellation, for an engine that never
// waits.
type lasting request

func (l *lasting) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }
func (l *lasting) Done() <-chan struct{}                   { return nil }
func (l *lasting) Err() error                              { return nil }
func (l *lasting) Value(key any) any                       { return l.x.r.Context().Value(key) }

// onDemand returns the context of a load, created on first use: requests without an ID need
// none.
type onDemand struct {
	q      *request
	ctx    context.Context
	cancel context.CancelFunc
}

func (o *onDemand) context() context.Context {
	if o.ctx == nil {
		o.ctx, o.cancel = o.q.beyond()
	}
	return o.ctx
}

func (o *onDemand) end() {
	if o.cancel != nil {
		o.cancel()
	}
}
