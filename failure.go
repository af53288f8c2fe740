package session

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/flamego/flamego"

	"github.com/flamego/session/internal/carry"
	"github.com/flamego/session/internal/codec"
	"github.com/flamego/session/internal/outage"
)

// failure is why a request fails, and whose session it was.
type failure struct {
	m   *Manager
	err error
}

// shut reports a failure, and closes the exchange. The response is about the first failure.
func (x *exchange) shut(q *request, err error) {
	q.reportFailure(err)
	if x.closed.Store(true); x.cause == nil {
		x.cause = &failure{q.m, err}
	}
}

// fail sends the failure in place of the handlers' response.
func (x *exchange) fail(w http.ResponseWriter, keep func(http.ResponseWriter)) {
	x.note()
	carry.SendFailure(w, x.before, x.cause.m.draft(x.r, x.before, x.cause.err), keep)
}

// refuse reports that a session could not be loaded, and sends the failure. At this point only
// middleware in front has set headers.
func (m *Manager) refuse(c flamego.Context, x *exchange, err error) {
	r := c.Request().Request
	m.report(r.Context(), err)
	if status := c.ResponseWriter().Status(); status != 0 && !isInformational(status) {
		return // One of them has responded already.
	}
	before := carry.Before(c, c.ResponseWriter().Header())
	keep := func(w http.ResponseWriter) { m.protectURL(w, r) }
	carry.SendFailure(finalWriter(c, x), before, m.draft(r, before, err), keep)
}

// finalWriter returns the writer for a whole response. Flamego mistakes an informational
// response for the final one, and would send no other.
func finalWriter(c flamego.Context, x *exchange) http.ResponseWriter {
	if x != nil && isInformational(c.ResponseWriter().Status()) {
		return x.slot.Get()
	}
	return c.ResponseWriter()
}

// draft returns the application's own response, or nil if it writes none.
func (m *Manager) draft(r *http.Request, before http.Header, err error) (d *carry.Draft) {
	if m.opt.FailureFunc == nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			d = nil
			m.report(r.Context(), fmt.Errorf("session: Options.FailureFunc panicked: %v", p))
		}
	}()
	d = carry.NewDraft(before)
	m.opt.FailureFunc(d, r, err)
	return d
}

// report must not panic: a panic would not be recovered, or would turn the response into a
// success.
func (m *Manager) report(ctx context.Context, err error) {
	defer func() {
		if p := recover(); p != nil {
			slog.ErrorContext(ctx, "session: Options.ErrorFunc or Report panicked", "panic", p, "error", err)
		}
	}()
	if m.opt.ErrorFunc == nil && m.opt.Report == nil {
		m.log(ctx, err)
	}
	if m.opt.Report != nil {
		m.opt.Report(ctx, err)
	}
	if m.opt.ErrorFunc != nil {
		m.opt.ErrorFunc(err)
	}
}

// log handles an error if the application has set no function. While the store is down, all
// requests that need it fail for the same reason.
func (m *Manager) log(ctx context.Context, err error) {
	if outage.Is(err) {
		var due bool
		if err, due = m.reports.some("the store is down", m.core.Now(), err); !due {
			return
		}
	}
	slog.ErrorContext(ctx, "session middleware", "error", err)
}

func (q *request) report(err error) { q.m.report(q.x.r.Context(), err) }

// reportRecord reports a record that cannot be decoded, but not on every request.
func (q *request) reportRecord(err error) {
	if !codec.IsReported(err) {
		q.report(fmt.Errorf("session: load: %w", err))
	}
}
