// Command instrumented-backend measures a Backend from the outside, and traces it: its calls
// are regions for `go tool trace`, and /debug/vars has how many there were and how long they
// took. For a backend of this library Options.Observe does that, and needs no wrapper.
package main

import (
	"context"
	"errors"
	"expvar"
	"fmt"
	"net/http"
	"runtime/trace"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

var (
	calls    = expvar.NewMap("session_calls")
	failures = expvar.NewMap("session_failures")
	micros   = expvar.NewMap("session_microseconds")
)

// begin is called before a call, and what it returns after it. With OpenTelemetry it is
// tracer.Start and span.End.
func begin(ctx context.Context, op string) (context.Context, func(error)) {
	region, start := trace.StartRegion(ctx, "session "+op), time.Now()
	return ctx, func(err error) {
		region.End()
		micros.Add(op, time.Since(start).Microseconds())
		calls.Add(op, 1)
		switch {
		case errors.Is(err, session.ErrNotFound), errors.Is(err, session.ErrExists), errors.Is(err, session.ErrConflict):
			// An answer, not a failure.
		case err != nil:
			failures.Add(op, 1)
		}
	}
}

// measured embeds the table itself and not a session.Backend, so that it has the optional
// methods too: LoadMany, Count, IDs and, if there is one, Close.
type measured struct{ *table }

func (b measured) Load(ctx context.Context, id string) (r session.Record, err error) {
	ctx, end := begin(ctx, "load")
	defer func() { end(err) }()
	return b.table.Load(ctx, id)
}

func (b measured) LoadMany(ctx context.Context, ids []string) (found map[string]session.Record, err error) {
	ctx, end := begin(ctx, "load many")
	defer func() { end(err) }()
	return b.table.LoadMany(ctx, ids)
}

func (b measured) Create(ctx context.Context, id string, r session.Record) (err error) {
	ctx, end := begin(ctx, "create")
	defer func() { end(err) }()
	return b.table.Create(ctx, id, r)
}

func (b measured) Replace(ctx context.Context, id string, old, r session.Record) (err error) {
	ctx, end := begin(ctx, "replace")
	defer func() { end(err) }()
	return b.table.Replace(ctx, id, old, r)
}

func (b measured) Move(ctx context.Context, id, newID string, old, r session.Record) (err error) {
	ctx, end := begin(ctx, "move")
	defer func() { end(err) }()
	return b.table.Move(ctx, id, newID, old, r)
}

func (b measured) Touch(ctx context.Context, id string, old session.Record, expiry time.Time) (err error) {
	ctx, end := begin(ctx, "touch")
	defer func() { end(err) }()
	return b.table.Touch(ctx, id, old, expiry)
}

func (b measured) Delete(ctx context.Context, id string) (err error) {
	ctx, end := begin(ctx, "delete")
	defer func() { end(err) }()
	return b.table.Delete(ctx, id)
}

func (b measured) DeleteExpired(ctx context.Context, now time.Time, limit int) (n int, err error) {
	ctx, end := begin(ctx, "delete expired")
	defer func() { end(err) }()
	return b.table.DeleteExpired(ctx, now, limit)
}

func main() {
	m, err := session.NewManager(options())
	if err != nil {
		panic(err)
	}
	newApp(m).Run()
}

func options() session.Options {
	open := func(context.Context, session.StoreConfig) (measured, session.StoreConfig, error) {
		return measured{newTable()}, session.StoreConfig{}, nil
	}
	return session.Options{Initer: session.BackendIniter(open), Config: session.StoreConfig{}}
}

func newApp(m *session.Manager) *flamego.Flame {
	f := flamego.Classic()
	f.Get("/debug/vars", expvar.Handler().ServeHTTP) // For you alone, on a real site.
	f.Group("", func() {
		f.Post("/signin", func(r *http.Request, s session.Session) error {
			return session.SetOwner(s, r.PostFormValue("name")) // Once the password is right.
		})
		f.Get("/", func(r *http.Request, s session.Session) (string, error) {
			devices, err := m.Sessions(r.Context(), session.Owner(s))
			return fmt.Sprintf("%s is signed in on %d devices", session.Owner(s), len(devices)), err
		})
	}, m.Sessioner())
	return f
}
