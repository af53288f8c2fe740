package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/flamego/session/internal/sqlstore"
	"github.com/flamego/session/internal/yield"
)

// group holds the statements that wait to write. The goroutine that gets the connection runs
// them all in one transaction, so that they share the cost of a commit: the locks, the log,
// and with synchronous(FULL) an fsync. Each still has its own outcome.
type group struct {
	yield   yield.Yield
	mu      sync.Mutex
	waiting []*pending
}

// pending is one of these statements.
type pending struct {
	statement *statement
	args      []driver.NamedValue
	done      chan struct{} // closed when it is committed, or has failed
	n         int64         // how many rows it affected
	err       error
}

// groupSize limits how long a transaction takes, since others may be waiting for it.
const groupSize = 64

func (g *group) enter(w *pending) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, w)
}

// leave removes w, and reports whether it was still waiting.
func (g *group) leave(w *pending) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, w)
	if i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	return i >= 0
}

func (g *group) take() []*pending {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), groupSize)
	taken := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	return taken
}

// exec runs a statement that writes, together with those of other goroutines.
func (p *conns) exec(ctx context.Context, s *statement, args []driver.NamedValue) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	w := &pending{statement: s, args: args, done: make(chan struct{})}
	p.group.enter(w)
	for {
		select {
		case <-w.done:
			return w.n, w.err
		default:
		}
		select {
		case <-w.done:
		case c := <-p.free:
			// Let runnable requests go first: some of them will write too.
			p.group.yield.Do()
			err := p.with(c, func(c *conn) error {
				c.execAll(p.group.take())
				return nil
			})
			if err != nil && p.group.leave(w) {
				return 0, err
			}
		case <-ctx.Done():
			if p.group.leave(w) {
				return 0, ctx.Err()
			}
			<-w.done // Its transaction is running, and waits for nothing.
		}
	}
}

// execAll runs statements in their order, in one transaction if there are several. If one
// of them fails, or the transaction as a whole, each is run by itself.
func (c *conn) execAll(all []*pending) {
	panicking := true
	defer func() {
		if panicking { // That goes on to one of those who wait.
			fail(all, errors.Join(errPanicked, c.close()))
		}
		for _, w := range all {
			close(w.done)
		}
	}()
	if len(all) < 2 || !c.transact(all) {
		for _, w := range all {
			w.n, w.err = c.exec(w.statement, w.args)
		}
	}
	panicking = false
}

var errPanicked = errors.New("the driver has panicked in a transaction with others")

func fail(all []*pending, err error) {
	for _, w := range all {
		w.n, w.err = 0, err
	}
}

var (
	begin    = &statement{text: "BEGIN IMMEDIATE"}
	commit   = &statement{text: "COMMIT"}
	rollback = &statement{text: "ROLLBACK"}
)

// transact reports whether all of them have their outcome. Otherwise none has changed
// anything.
func (c *conn) transact(all []*pending) bool {
	if _, err := c.exec(begin, nil); err != nil {
		return false
	}
	var err error
	for _, w := range all {
		// If an ID exists, that statement alone has no effect.
		if w.n, w.err = c.exec(w.statement, w.args); w.err != nil && class(w.err) != sqlstore.Exists {
			err = w.err
			break
		}
	}
	if err == nil {
		_, err = c.exec(commit, nil)
	}
	if err == nil {
		return true
	}
	_, stays := c.exec(rollback, nil)
	if stays == nil || strings.Contains(stays.Error(), "no transaction is active") {
		return false
	}
	// What this connection would run next would belong to that transaction, and be lost.
	fail(all, errors.Join(err, stays, c.close()))
	return true
}

// exec runs a statement that writes.
func (c *conn) exec(s *statement, args []driver.NamedValue) (int64, error) {
	p, err := s.on(c)
	if err != nil {
		return 0, err
	}
	res, err := p.(driver.StmtExecContext).ExecContext(context.Background(), args)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}
