package postgres

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/share"
	"github.com/flamego/session/test/backendtest"
)

// testWrongConfig checks that every wrong configuration is found at start, and
// that the message names the field and the remedy.
// testWithdrawn has a user that may not create tables, and then may do nothing at all.
func testWithdrawn(t *testing.T, dsn string) {
	table := backendtest.FreshTable()
	backendtest.Withdrawn(t, "pgx", dsn, open, Config{DSN: withParameter(t, dsn, "role", table), Table: table}, table,
		"CREATE TABLE {table} (key TEXT PRIMARY KEY, data BYTEA NOT NULL, expired_at TIMESTAMPTZ NOT NULL)",
		"CREATE ROLE {table}", "GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {table}", "REVOKE SELECT ON {table} FROM {table}")
}

func testWrongConfig(t *testing.T, dsn string) {
	backendtest.NoConfig(t, Initer(), "postgres.Config")
	pool, err := pgxpool.New(t.Context(), dsn)
	require.NoError(t, err)
	defer pool.Close()
	_, err = pool.Exec(t.Context(), `DROP TABLE IF EXISTS readable; DROP ROLE IF EXISTS reader; CREATE ROLE reader;
		CREATE TABLE readable (key text, data bytea, expired_at timestamptz); GRANT SELECT ON readable TO reader`)
	require.NoError(t, err)
	with := func(parameter, value string) string { return withParameter(t, dsn, parameter, value) }
	backendtest.WrongConfigs(t, "postgres", open, map[string]backendtest.Wrong[Config]{
		"empty DSN":         {Config: Config{}, Want: []string{"Config.DSN is empty", "Config.Pool"}},
		"no DSN":            {Config: Config{DSN: "host=a port=x"}, Want: []string{"Config.DSN is not a connection string", "postgres://"}},
		"Table":             {Config: Config{DSN: dsn, Table: "a.b.c"}, Want: []string{"Config.Table", "more than two parts"}},
		"missing table":     {Config: Config{DSN: dsn, Table: "missing"}, Want: []string{`no table "missing"`, "Config.InitTable", "Config.Table"}},
		"missing schema":    {Config: Config{DSN: dsn, Table: "missing.sessions", InitTable: true}, Want: []string{"Config.InitTable", `schema "missing" does not exist`}},
		"unreachable":       {Config: Config{DSN: "postgres://postgres@127.0.0.1:1/postgres", InitTable: true}, Want: []string{"Config.InitTable", "Config.DSN", "refused"}},
		"user":              {Config: Config{DSN: with("user", "nobody")}, Want: []string{"Config.DSN", "nobody"}},
		"database":          {Config: Config{DSN: dsn[:strings.LastIndex(dsn, "/")] + "/missing"}, Want: []string{"Config.DSN", `database "missing" does not exist`}},
		"right":             {Config: Config{DSN: with("role", "reader"), Table: "readable"}, Want: []string{"Config.DSN", "Config.Table", "permission denied"}},
		"columns":           {Config: Config{DSN: dsn, Table: "pg_catalog.pg_class"}, Want: []string{"Config.Table", `column "data" does not exist`}},
		"unknown parameter": {Config: Config{DSN: with("timezonee", "UTC")}, Want: []string{"Config.DSN", "unrecognized configuration parameter", "timezonee"}},
		"other pgx":         {Config: Config{DSN: with("statement_cache_mode", "describe")}, Want: []string{"Config.DSN", "statement_cache_mode"}},
		"value":             {Config: Config{DSN: with("timezone", "Nowhere")}, Want: []string{"Config.DSN", "TimeZone"}},
		"no TLS":            {Config: Config{DSN: with("sslmode", "require")}, Want: []string{"Config.DSN", "TLS"}},
		"long table":        {Config: Config{DSN: dsn, Table: strings.Repeat("t", 64), InitTable: true}, Want: []string{"Config.Table", "63 bytes", "shorter"}},
		"long schema":       {Config: Config{DSN: dsn, Table: strings.Repeat("ü", 32) + ".sessions"}, Want: []string{"Config.Table", "63 bytes", "shorter"}},
		"wrong database":    {Config: Config{DSN: dsn[:strings.LastIndex(dsn, "/")] + "/missing", InitTable: true}, Want: []string{"Config.DSN", `database "missing" does not exist`}},
	})
}

// testStartBlocksNobody starts a server with InitTable while somebody has a row of the table
// locked. The writes of another server do not wait.
func testStartBlocksNobody(t *testing.T, dsn string) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cfg := Config{DSN: dsn, Table: backendtest.FreshTable(), InitTable: true}
	first := backendtest.Open(t, open, cfg)
	require.NoError(t, first.Create(ctx, "locked", backendtest.Record("0")))
	require.NoError(t, first.Create(ctx, "other", backendtest.Record("0")))
	conn, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(ctx, "BEGIN; DELETE FROM "+cfg.Table+" WHERE key = 'locked'")
	require.NoError(t, err)

	second, _, err := open(ctx, cfg)
	require.NoError(t, err)
	defer func() { _ = second.Close() }()
	for _, b := range []session.Backend{first, second} {
		require.NoError(t, b.Replace(ctx, "other", backendtest.Record("0"), backendtest.Record("0")))
	}
}

// testReadOnly has connections left that lead to a server that only reads. Each is closed
// when it has refused a write.
func testReadOnly(t *testing.T, dsn string) {
	ctx := t.Context()
	cfg := Config{DSN: dsn, Table: backendtest.FreshTable(), InitTable: true}
	require.NoError(t, backendtest.Open(t, open, cfg).Create(ctx, "abc", backendtest.Record("0")))
	admin, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	defer func() { _ = admin.Close(context.Background()) }()
	role := cfg.Table + "_role"
	_, err = admin.Exec(ctx, "CREATE ROLE "+role+" LOGIN SUPERUSER PASSWORD 'secret'; ALTER ROLE "+role+" SET default_transaction_read_only = on")
	require.NoError(t, err)
	defer func() { _, _ = admin.Exec(context.Background(), "DROP ROLE "+role) }()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	u.User = url.UserPassword(role, "secret")
	cfg.DSN, cfg.InitTable = withParameter(t, u.String(), "pool_max_conns", "4"), false
	b := backendtest.Open(t, open, cfg)
	var loads sync.WaitGroup
	for range 32 {
		loads.Go(func() { _, _ = b.Load(ctx, "abc") })
	}
	loads.Wait()
	_, err = admin.Exec(ctx, "ALTER ROLE "+role+" RESET default_transaction_read_only")
	require.NoError(t, err)
	failed := 0
	for range 20 {
		if err := b.Replace(ctx, "abc", backendtest.Record("0"), backendtest.Record("0")); err != nil {
			assert.ErrorContains(t, err, "read-only transaction")
			failed++
		}
	}
	assert.LessOrEqual(t, failed, 4)
	assert.Positive(t, failed, "the test means to have such connections")
}

// testNames makes the index of tables whose usual name for it is that of something else.
func testNames(t *testing.T, dsn string) {
	ctx := t.Context()
	admin, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	defer func() { _ = admin.Close(context.Background()) }()
	indexes := func(table string) (n int) {
		require.NoError(t, admin.QueryRow(ctx, "SELECT count(*) FROM pg_indexes WHERE tablename = $1 AND indexdef LIKE '%(expired_at)'", table).Scan(&n))
		return n
	}
	table := backendtest.FreshTable()
	long := table + strings.Repeat("x", 63-len(table))
	for _, name := range []string{table, long, long[:62], long[:50]} {
		for range 2 { // The second start finds it.
			backendtest.Open(t, open, Config{DSN: dsn, Table: name, InitTable: true})
			assert.Equal(t, 1, indexes(name), name)
		}
	}
	_, err = admin.Exec(ctx, "ALTER TABLE "+table+" RENAME TO "+table+"_old")
	require.NoError(t, err)
	for _, name := range []string{table, table + "_old"} {
		backendtest.Open(t, open, Config{DSN: dsn, Table: name, InitTable: true})
		assert.Equal(t, 1, indexes(name), name)
	}
}

// testSizes has a large session, with prepared statements and without.
func testSizes(t *testing.T, dsn string) {
	for _, mode := range []string{"cache_statement", "exec"} {
		b := backendtest.Open(t, open, Config{DSN: withParameter(t, dsn, "default_query_exec_mode", mode), Table: backendtest.FreshTable(), InitTable: true})
		data := func(c string) session.Record { return backendtest.Record(strings.Repeat(c, 8<<20)) }
		require.NoError(t, b.Create(t.Context(), "abc", data("0")))
		require.NoError(t, b.Replace(t.Context(), "abc", data("0"), data("1")))
		require.NoError(t, b.Move(t.Context(), "abc", "moved", data("1"), data("2")))
		require.NoError(t, b.Touch(t.Context(), "moved", data("2"), backendtest.Later))
		assert.True(t, backendtest.Data(t, b, "moved") == string(data("2").Data))
		require.NoError(t, b.Delete(t.Context(), "moved"))
	}
	b := backendtest.Open(t, open, Config{DSN: dsn, Table: backendtest.FreshTable(), InitTable: true})
	require.ErrorContains(t, b.Create(t.Context(), "abc", session.Record{Data: make([]byte, maxData+1), Expiry: backendtest.Later}), "keep large values elsewhere")
}

// failures counts the statements that the server has refused.
type failures struct{ n atomic.Int32 }

func (f *failures) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (f *failures) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (f *failures) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (f *failures) TraceQueryEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	if data.Err != nil {
		f.n.Add(1)
	}
}

func (f *failures) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	if data.Err != nil {
		f.n.Add(1)
	}
}

// testTaken has many create the same record. That is no error in the server's log.
func testTaken(t *testing.T, dsn string) {
	pc, err := pgxpool.ParseConfig(dsn)
	require.NoError(t, err)
	var failed failures
	pc.ConnConfig.Tracer = &failed
	pool, err := pgxpool.NewWithConfig(t.Context(), pc)
	require.NoError(t, err)
	defer pool.Close()
	b, _, err := open(t.Context(), Config{Pool: pool, Table: backendtest.FreshTable(), InitTable: true})
	require.NoError(t, err)
	var made, taken atomic.Int32
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			switch err := b.Create(share.Patient(t.Context()), "owner", backendtest.Record("1")); {
			case err == nil:
				made.Add(1)
			case errors.Is(err, session.ErrExists):
				taken.Add(1)
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 1, made.Load())
	assert.EqualValues(t, 39, taken.Load())
	assert.Zero(t, failed.n.Load(), "statements that failed")
}

// testAlter changes the type of a column, which invalidates what connections have prepared.
func testAlter(t *testing.T, dsn string) {
	ctx := t.Context()
	cfg := Config{DSN: dsn, Table: backendtest.FreshTable(), InitTable: true}
	b := backendtest.Open(t, open, cfg)
	require.NoError(t, b.Create(ctx, "abc", backendtest.Record("0")))
	require.Equal(t, "0", backendtest.Data(t, b, "abc"))
	admin, err := pgx.Connect(ctx, dsn)
	require.NoError(t, err)
	defer func() { _ = admin.Close(context.Background()) }()
	_, err = admin.Exec(ctx, "ALTER TABLE "+cfg.Table+" ALTER COLUMN expired_at TYPE timestamptz(3)")
	require.NoError(t, err)
	for range 4 {
		_, err := b.Load(ctx, "abc")
		assert.NoError(t, err)
	}
}

func withParameter(t *testing.T, dsn, parameter, value string) string {
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	q := u.Query()
	q.Set(parameter, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// TestNoPassword checks that no error shows a password, not even of an invalid DSN.
func TestNoPassword(t *testing.T) {
	for _, dsn := range []string{
		"postgres://u:secret@127.0.0.1:1/db",
		"postgres://u:secret@127.0.0.1:x/db",
		"postgres://u:s%ecret@127.0.0.1:1/db",
		"postgres://u:x@secret@127.0.0.1:1/db",
		"postgres://u:x/secret@127.0.0.1:1/db",
		"host=127.0.0.1 password = secret port=x",
		`host=127.0.0.1 password=x\ secret port=x`,
		"u:secret@127.0.0.1/db",
	} {
		_, _, err := open(t.Context(), Config{DSN: dsn, InitTable: true})
		require.ErrorContains(t, err, "Config.DSN")
		assert.NotContains(t, err.Error(), "secret")
	}
}

// TestServerDownAtStart checks that without InitTable a server that is down is not an
// error.
func TestServerDownAtStart(t *testing.T) {
	backendtest.DownAtStart(t, session.Options{Initer: Initer(), Config: Config{DSN: "postgres://postgres@127.0.0.1:1/postgres"}})
}

// testPool uses a pool of the user's, in a schema of its own, and leaves it open.
func testPool(t *testing.T, dsn string) {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, dsn)
	require.NoError(t, err)
	defer pool.Close()
	_, err = pool.Exec(ctx, `DROP SCHEMA IF EXISTS "my schema" CASCADE; CREATE SCHEMA "my schema"`)
	require.NoError(t, err)

	m, err := session.NewManager(session.Options{
		Initer: Initer(),
		Config: Config{Pool: pool, Table: `my schema.odd "name"`, InitTable: true},
	})
	require.NoError(t, err)
	s, err := m.Store().Read(ctx, strings.Repeat("a", 32))
	require.NoError(t, err)
	s.Set("k", "v")
	require.NoError(t, m.Store().Save(ctx, s))
	require.NoError(t, m.Close(ctx))

	var n int
	require.NoError(t, pool.QueryRow(ctx, `SELECT count(*) FROM "my schema"."odd ""name"""`).Scan(&n))
	assert.Equal(t, 1, n)
}

// testSweepBatches sweeps on several servers at once: every expired row goes, every
// other row stays.
func testSweepBatches(t *testing.T, dsn string) {
	ctx := context.Background()
	table := backendtest.FreshTable()
	pool, err := pgxpool.New(ctx, dsn)
	require.NoError(t, err)
	defer pool.Close()
	backendtest.SweepTogether(t, serverOf(table+" "+dsn), func() {
		_, err = pool.Exec(ctx, "INSERT INTO "+table+" SELECT 'old'||i, 'x', now() - interval '1 second' FROM generate_series(1, 10500) i")
		require.NoError(t, err)
		_, err = pool.Exec(ctx, "INSERT INTO "+table+" SELECT 'new'||i, 'x', now() + interval '1 hour' FROM generate_series(1, 100) i")
		require.NoError(t, err)
	})
	// Where one skipped what another had locked, the next sweep finds nothing left.
	var old, live int
	require.NoError(t, pool.QueryRow(ctx, "SELECT count(*) FILTER (WHERE key LIKE 'old%'), count(*) FILTER (WHERE key LIKE 'new%') FROM "+table).Scan(&old, &live))
	assert.Zero(t, old)
	assert.Equal(t, 100, live)

	// Through the index.
	_, err = pool.Exec(ctx, "INSERT INTO "+table+" SELECT 'more'||i, 'x', now() + i * interval '1 second' FROM generate_series(1, 20000) i; ANALYZE "+table)
	require.NoError(t, err)
	plan := explain(t, pool, "SELECT key FROM "+table+" WHERE expired_at <= $1 ORDER BY expired_at LIMIT 1000", time.Now())
	assert.Contains(t, plan, table+"_expired_at_idx")
}

// testManyByIndex looks up several IDs in a table so small that PostgreSQL would rather
// read all of it. It would go on doing so while the table grows, until it is analyzed
// again.
func testManyByIndex(t *testing.T, dsn string) {
	ctx := context.Background()
	table := backendtest.FreshTable()
	cfg, err := pgxpool.ParseConfig(dsn)
	require.NoError(t, err)
	var last query
	cfg.ConnConfig.Tracer = &last
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	require.NoError(t, err)
	defer pool.Close()
	b, _, err := open(ctx, Config{Pool: pool, Table: table, InitTable: true})
	require.NoError(t, err)
	_, err = pool.Exec(ctx, "INSERT INTO "+table+" SELECT 'id'||i, 'x', now() + interval '1 hour' FROM generate_series(1, 500) i; ANALYZE "+table)
	require.NoError(t, err)
	for _, ids := range [][]string{{"id1", "id2"}, {"id1", "id2", "id3", "id4", "id5", "id6", "id7", "id8", "id9", "none"}} {
		found, err := b.LoadMany(ctx, ids)
		require.NoError(t, err)
		assert.Len(t, found, min(len(ids), 9))
		plan := explain(t, pool, last.SQL, last.Args...)
		assert.Contains(t, plan, "Index")
		assert.NotContains(t, plan, "Seq Scan")
	}

	// The modes that poolers between the two may need.
	for _, mode := range []string{"exec", "simple_protocol", "describe_exec"} {
		b, _, err := open(ctx, Config{DSN: withParameter(t, dsn, "default_query_exec_mode", mode), Table: table})
		require.NoError(t, err)
		found, err := b.LoadMany(ctx, []string{"id1", "id2", "none"})
		require.NoError(t, err, mode)
		assert.Len(t, found, 2, mode)
		assert.Equal(t, "x", string(found["id2"].Data), mode)
		require.NoError(t, b.Close())
	}
}

// query is the last one that a pool has run.
type query struct{ pgx.TraceQueryStartData }

func (q *query) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	q.TraceQueryStartData = data
	return ctx
}

func (q *query) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// explain returns the plan of a query.
func explain(t *testing.T, pool *pgxpool.Pool, text string, args ...any) string {
	t.Helper()
	rows, err := pool.Query(t.Context(), "EXPLAIN "+text, args...)
	require.NoError(t, err)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return strings.Join(plan, "\n")
}

// testLegacyTable uses a table as v1.6.6 made it: InitTable adds the index.
func testLegacyTable(t *testing.T, dsn string) {
	ctx := context.Background()
	table := backendtest.FreshTable()
	pool, err := pgxpool.New(ctx, dsn)
	require.NoError(t, err)
	defer pool.Close()
	_, err = pool.Exec(ctx, "CREATE TABLE "+table+" (key TEXT PRIMARY KEY, data BYTEA NOT NULL, expired_at TIMESTAMP WITH TIME ZONE NOT NULL)")
	require.NoError(t, err)
	b, _, err := open(ctx, Config{DSN: dsn, Table: table, InitTable: true})
	require.NoError(t, err)
	expiry := time.Now().Add(time.Hour)
	require.NoError(t, b.Create(ctx, "abc", session.Record{Data: []byte("x"), Expiry: expiry}))
	r, err := b.Load(ctx, "abc")
	require.NoError(t, err)
	assert.WithinDuration(t, expiry, r.Expiry, time.Millisecond)
	var indexes int
	require.NoError(t, pool.QueryRow(ctx, "SELECT count(*) FROM pg_indexes WHERE tablename = $1", table).Scan(&indexes))
	assert.Equal(t, 2, indexes)
}
