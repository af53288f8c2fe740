package postgres

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/share"
	"github.com/flamego/session/internal/sqlstore"
	"github.com/flamego/session/internal/testproxy"
	"github.com/flamego/session/test/backendtest"
)

// holder holds the statements for one ID, so that others wait for each other, and counts
// the rest.
type holder struct {
	holding sync.WaitGroup
	release chan struct{}

	mu             sync.Mutex
	alone, batches int
}

func (h *holder) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	switch {
	case slices.Contains(data.Args, any("held")):
		h.holding.Done()
		<-h.release
	default:
		h.mu.Lock()
		defer h.mu.Unlock()
		h.alone++
	}
	return ctx
}

func (h *holder) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.batches++
	return ctx
}

func (h *holder) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData)     {}
func (h *holder) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (h *holder) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// held is a table whose statements can be held.
type held struct {
	*holder
	*sqlstore.Backend
	pool  *pgxpool.Pool
	table string
	ctx   context.Context
}

func openHeld(t *testing.T, dsn string, p *testproxy.Proxy) *held {
	h := &held{holder: &holder{release: make(chan struct{})}, table: backendtest.FreshTable(), ctx: share.Patient(t.Context())}
	cfg, err := pgxpool.ParseConfig(dsn)
	require.NoError(t, err)
	cfg.ConnConfig.Tracer = h.holder
	cfg.MaxConns = int32(runtime.GOMAXPROCS(0)) + 10
	if p != nil {
		cfg.ConnConfig.DialFunc = p.DialContext
	}
	h.pool, err = pgxpool.NewWithConfig(h.ctx, cfg)
	require.NoError(t, err)
	t.Cleanup(h.pool.Close)
	h.Backend, _, err = open(h.ctx, Config{Pool: h.pool, Table: h.table, InitTable: true})
	require.NoError(t, err)
	for i := range 8 {
		require.NoError(t, h.Create(h.ctx, id(i), backendtest.Record("0")))
	}
	return h
}

func id(i int) string { return fmt.Sprint("id", i) }

// all runs calls that wait for each other.
func (h *held) all(t *testing.T, n int, call func(i int) error) []error {
	var held, calls sync.WaitGroup
	for range max(2, runtime.GOMAXPROCS(0)) {
		h.holding.Add(1)
		held.Go(func() { _ = h.Delete(h.ctx, "held") })
		h.holding.Wait()
	}
	h.alone, h.batches = 0, 0
	errs := make([]error, n)
	for i := range errs {
		calls.Go(func() { errs[i] = call(i) })
	}
	calls.Wait()
	close(h.release)
	held.Wait()
	h.release = make(chan struct{})
	return errs
}

func testTogether(t *testing.T, dsn string) {
	for _, mode := range []string{"", "exec", "simple_protocol"} {
		t.Run("Outcomes"+mode, func(t *testing.T) {
			dsn := dsn
			if mode != "" {
				dsn = withParameter(t, dsn, "default_query_exec_mode", mode)
			}
			testOutcomes(t, openHeld(t, dsn, nil))
		})
	}
	t.Run("Failure", func(t *testing.T) { testTogetherFailure(t, openHeld(t, dsn, nil)) })
	t.Run("Locked", func(t *testing.T) { testTogetherLocked(t, openHeld(t, dsn, nil)) })
	t.Run("AtTheEnd", func(t *testing.T) { testTogetherAtTheEnd(t, openHeld(t, dsn, nil)) })
	t.Run("Ended", func(t *testing.T) { testTogetherEnded(t, openHeld(t, dsn, nil)) })
	t.Run("Lost", func(t *testing.T) {
		p := testproxy.New(t)
		testTogetherLost(t, openHeld(t, dsn, p), p)
	})
}

// testOutcomes checks that commits that share a transaction each have their own outcome.
func testOutcomes(t *testing.T, h *held) {
	errs := h.all(t, 8, func(i int) error {
		switch i % 4 {
		case 0:
			return h.Replace(h.ctx, id(i), backendtest.Record("stale"), backendtest.Record("1"))
		case 1:
			return h.Create(h.ctx, id(i)+"new", backendtest.Record("1"))
		case 2:
			return h.Touch(h.ctx, id(i), backendtest.Record("0"), time.Now().Add(time.Hour))
		}
		return h.Replace(h.ctx, id(i), backendtest.Record("0"), backendtest.Record("1"))
	})
	assert.Zero(t, h.alone)
	var transactions int
	require.NoError(t, h.pool.QueryRow(h.ctx, "SELECT count(DISTINCT xmin::text) FROM "+h.table+" WHERE key LIKE '%new' OR key IN ('id2', 'id3', 'id6', 'id7')").Scan(&transactions))
	assert.Equal(t, h.batches, transactions)
	for i, err := range errs {
		switch i % 4 {
		case 0:
			assert.Equal(t, session.ErrConflict, err)
			assert.Equal(t, "0", backendtest.Data(t, h, id(i)))
		case 1:
			assert.NoError(t, err)
			assert.Equal(t, "1", backendtest.Data(t, h, id(i)+"new"))
		case 2:
			assert.NoError(t, err)
			assert.Equal(t, "0", backendtest.Data(t, h, id(i)))
		default:
			assert.NoError(t, err)
			assert.Equal(t, "1", backendtest.Data(t, h, id(i)))
		}
	}

	// Of several that change the same version, one does.
	stored := 0
	for _, err := range h.all(t, 4, func(i int) error {
		return h.Replace(h.ctx, id(0), backendtest.Record("0"), backendtest.Record(fmt.Sprint("one of ", i)))
	}) {
		if err == nil {
			stored++
		} else {
			assert.Equal(t, session.ErrConflict, err)
		}
	}
	assert.Equal(t, 1, stored)

	// A caller that may leave at any time goes alone.
	for _, err := range h.all(t, 3, func(i int) error {
		ctx := h.ctx
		if i == 0 {
			ctx = t.Context()
		}
		return h.Create(ctx, fmt.Sprint("one of ", i), backendtest.Record("1"))
	}) {
		assert.NoError(t, err)
	}
	assert.Equal(t, 1, h.alone)
}

// testTogetherFailure has one statement undo the transaction. Then each runs alone.
func testTogetherFailure(t *testing.T, h *held) {
	require.NoError(t, h.Create(h.ctx, id(9), backendtest.Record("0")))
	errs := h.all(t, 8, func(i int) error {
		if i == 3 {
			return h.Move(h.ctx, id(i), id(9), backendtest.Record("0"), backendtest.Record("again"))
		}
		return h.Replace(h.ctx, id(i), backendtest.Record("0"), backendtest.Record("1"))
	})
	assert.Positive(t, h.batches)
	assert.Positive(t, h.alone)
	for i, err := range errs {
		if i == 3 {
			assert.Equal(t, session.ErrExists, err)
			assert.Equal(t, "0", backendtest.Data(t, h, id(i)))
			continue
		}
		assert.NoError(t, err)
		assert.Equal(t, "1", backendtest.Data(t, h, id(i)))
	}
}

// testTogetherLocked has somebody else keep one of the rows locked. The commits of other
// sessions do not wait for that.
func testTogetherLocked(t *testing.T, h *held) {
	tx, err := h.pool.Begin(h.ctx)
	require.NoError(t, err)
	_, err = tx.Exec(h.ctx, "SELECT FROM "+h.table+" WHERE key = 'id3' FOR UPDATE")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(h.ctx, 3*time.Second)
	defer cancel()
	errs := h.all(t, 8, func(i int) error { return h.Replace(ctx, id(i), backendtest.Record("0"), backendtest.Record("1")) })
	assert.Positive(t, h.batches)
	require.NoError(t, tx.Rollback(h.ctx))
	for i, err := range errs {
		if i == 3 {
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			continue
		}
		assert.NoError(t, err)
		assert.Equal(t, "1", backendtest.Data(t, h, id(i)))
	}
}

// testTogetherAtTheEnd has the transaction fail when all its statements have succeeded.
func testTogetherAtTheEnd(t *testing.T, h *held) {
	for _, text := range []string{
		"CREATE FUNCTION " + h.table + "_f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'it is broken'; END $$",
		"CREATE CONSTRAINT TRIGGER broken AFTER UPDATE ON " + h.table + " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.key = 'id3') EXECUTE FUNCTION " + h.table + "_f()",
	} {
		_, err := h.pool.Exec(h.ctx, text)
		require.NoError(t, err)
	}
	for i, err := range h.all(t, 8, func(i int) error { return h.Replace(h.ctx, id(i), backendtest.Record("0"), backendtest.Record("1")) }) {
		if i == 3 {
			assert.ErrorContains(t, err, "it is broken")
			assert.Equal(t, "0", backendtest.Data(t, h, id(i)))
			continue
		}
		assert.NoError(t, err)
		assert.Equal(t, "1", backendtest.Data(t, h, id(i)), "acknowledged, and not stored")
	}
}

// testTogetherEnded has the server end the connection in the middle. What it says then does
// not tell whether anything is stored.
func testTogetherEnded(t *testing.T, h *held) {
	for _, text := range []string{
		"CREATE FUNCTION " + h.table + "_f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$",
		"CREATE TRIGGER ends AFTER UPDATE ON " + h.table + " FOR EACH ROW WHEN (NEW.key = 'id3') EXECUTE FUNCTION " + h.table + "_f()",
	} {
		_, err := h.pool.Exec(h.ctx, text)
		require.NoError(t, err)
	}
	errs := h.all(t, 8, func(i int) error { return h.Replace(h.ctx, id(i), backendtest.Record("0"), backendtest.Record("1")) })
	assert.Error(t, errs[3])
	assert.Zero(t, h.alone)
	for i, err := range errs {
		if err == nil {
			assert.Equal(t, "1", backendtest.Data(t, h, id(i)))
		}
	}
}

// testTogetherLost checks that commits whose answers are lost together are errors, and are
// not sent again.
func testTogetherLost(t *testing.T, h *held, p *testproxy.Proxy) {
	require.NoError(t, h.Replace(t.Context(), id(0), backendtest.Record("0"), backendtest.Record("0"))) // Now it is prepared.
	p.Lose("the new data", 1, false)
	errs := h.all(t, 8, func(i int) error {
		return h.Replace(h.ctx, id(i), backendtest.Record("0"), backendtest.Record("the new data"))
	})
	trips, alone := p.Requests(), h.alone
	p.Lose("", 0, false)
	failed := 0
	for i, err := range errs {
		assert.NotErrorIs(t, err, session.ErrConflict, "sent again")
		assert.Equal(t, "the new data", backendtest.Data(t, h, id(i)), "the test means to lose the answer, not the request")
		if err != nil {
			failed++
		}
	}
	assert.Positive(t, failed)
	assert.Zero(t, alone)
	assert.Equal(t, h.batches, trips, "requests")
}
