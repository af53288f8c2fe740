package mysql

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/test/backendtest"
)

// testWrongConfig checks that every wrong configuration is found at start, and
// that the message names the field and the remedy.
// testWithdrawn has a user that may not create tables, and then may do nothing at all.
func testWithdrawn(t *testing.T, dsn string) {
	table := backendtest.FreshTable()
	cfg, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	cfg.User, cfg.Passwd = table, "secret"
	backendtest.Withdrawn(t, "mysql", dsn, open, Config{DSN: cfg.FormatDSN(), Table: table}, table,
		"CREATE TABLE {table} (`key` VARBINARY(128) PRIMARY KEY, data MEDIUMBLOB NOT NULL, expired_at DATETIME(6) NOT NULL)",
		"CREATE USER '{table}'@'%' IDENTIFIED BY 'secret'", "GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO '{table}'@'%'", "REVOKE SELECT ON {table} FROM '{table}'@'%'")
}

func testWrongConfig(t *testing.T, dsn string) {
	backendtest.NoConfig(t, Initer(), "mysql.Config")
	other := func(change func(c *mysql.Config)) string {
		c, err := mysql.ParseDSN(dsn)
		require.NoError(t, err)
		change(c)
		return c.FormatDSN()
	}
	db := admin(t, dsn)
	as := func(how string) func(c *mysql.Config) {
		return func(c *mysql.Config) { c.User, c.Passwd = newUser(t, db, c.DBName, how), "pw" }
	}
	backendtest.WrongConfigs(t, "mysql", open, map[string]backendtest.Wrong[Config]{
		"empty DSN":        {Config: Config{}, Want: []string{"Config.DSN is empty", "Config.DB"}},
		"no DSN":           {Config: Config{DSN: "mysql://root@localhost"}, Want: []string{"Config.DSN is not a data source name", "tcp(host:3306)"}},
		"Table":            {Config: Config{DSN: dsn, Table: "`a"}, Want: []string{"Config.Table", "quotes that do not match"}},
		"missing table":    {Config: Config{DSN: dsn, Table: "missing"}, Want: []string{"no table `missing`", "Config.InitTable", "Config.Table"}},
		"user":             {Config: Config{DSN: other(func(c *mysql.Config) { c.User, c.Passwd = "nobody", "secret" })}, Want: []string{"Config.DSN", "denied"}},
		"database":         {Config: Config{DSN: other(func(c *mysql.Config) { c.DBName = "missing" })}, Want: []string{"Config.DSN", "missing"}},
		"columns":          {Config: Config{DSN: dsn, Table: "information_schema.tables"}, Want: []string{"Config.Table", "column"}},
		"missing database": {Config: Config{DSN: dsn, Table: "missing.sessions", InitTable: true}, Want: []string{"Config.InitTable", "missing"}},
		"no database":      {Config: Config{DSN: other(func(c *mysql.Config) { c.DBName = "" })}, Want: []string{"Config.DSN", "No database selected"}},
		"variable":         {Config: Config{DSN: other(func(c *mysql.Config) { c.Params = map[string]string{"nosuchvariable": "1"} })}, Want: []string{"Config.DSN", "nosuchvariable"}},
		"value":            {Config: Config{DSN: other(func(c *mysql.Config) { c.Params = map[string]string{"sql_mode": "'NOSUCHMODE'"} })}, Want: []string{"Config.DSN", "NOSUCHMODE"}},
		"TLS":              {Config: Config{DSN: other(func(c *mysql.Config) { c.TLSConfig = "true" })}, Want: []string{"Config.DSN"}}, // not offered, or by nobody that is known
		"locked":           {Config: Config{DSN: other(as("ACCOUNT LOCK"))}, Want: []string{"Config.DSN", "locked"}},
		"expired":          {Config: Config{DSN: other(as("PASSWORD EXPIRE"))}, Want: []string{"Config.DSN"}},
		"autocommit":       {Config: Config{DSN: other(func(c *mysql.Config) { c.Params = map[string]string{"autocommit": "0"} }), InitTable: true}, Want: []string{"autocommit=1", "Config.DSN", "Config.DB"}},
		"unreachable":      {Config: Config{DSN: "root@tcp(127.0.0.1:1)/app", InitTable: true}, Want: []string{"Config.InitTable", "Config.DSN", "refused"}},
	})
}

// admin is open until all else that the test has made is gone.
func admin(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

var users atomic.Int64

// newUser makes a user that ends with the test, and has the password "pw".
func newUser(t *testing.T, db *sql.DB, database, how string) (name string) {
	t.Helper()
	name = fmt.Sprintf("user%d_%d", os.Getpid(), users.Add(1))
	for _, text := range []string{
		"CREATE USER " + name + "@'%' IDENTIFIED BY 'pw' " + how,
		"GRANT SELECT, INSERT, UPDATE, DELETE ON " + database + ".* TO " + name + "@'%'",
	} {
		_, err := db.Exec(text)
		require.NoError(t, err)
	}
	t.Cleanup(func() { _, _ = db.Exec("DROP USER " + name + "@'%'") })
	return name
}

// TestNoPassword checks that no error shows a password, not even of an invalid DSN.
func TestNoPassword(t *testing.T) {
	for _, dsn := range []string{
		"u:secret@tcp(127.0.0.1:1)/db",
		"u:secret@127.0.0.1:1/db",
		"u:secret(127.0.0.1:1)/db",
		"u:secret#tcp(127.0.0.1:1)/db",
		"u:secret/x@tcp(127.0.0.1:1)",
		"u:x@secret@tcp(127.0.0.1:1)",
		"mysql://u:secret@127.0.0.1:1/db",
		"u:secret@tcp(127.0.0.1:1)/db?parseTime=x",
	} {
		_, _, err := open(t.Context(), Config{DSN: dsn, InitTable: true})
		require.ErrorContains(t, err, "Config.DSN")
		assert.NotContains(t, err.Error(), "secret")
	}
}

// TestServerDownAtStart checks that without InitTable a server that is down is not an
// error.
func TestServerDownAtStart(t *testing.T) {
	backendtest.DownAtStart(t, session.Options{Initer: Initer(), Config: Config{DSN: "root@tcp(127.0.0.1:1)/app"}})
}

// contract goes through the methods in which the settings of a connection or the
// type of a column could make a difference.
func contract(t *testing.T, b session.Backend) {
	t.Helper()
	ctx := context.Background()
	now := time.Now()
	rec := func(data string, after time.Duration) session.Record {
		return session.Record{Data: []byte(data), Expiry: now.Add(after)}
	}
	require.NoError(t, b.Create(ctx, "abc", rec("one", time.Hour)))
	assert.ErrorIs(t, b.Create(ctx, "abc", rec("two", time.Hour)), session.ErrExists)
	r, err := b.Load(ctx, "abc")
	require.NoError(t, err)
	assert.Equal(t, "one", string(r.Data))
	assert.False(t, r.Expiry.After(now.Add(time.Hour)), "an expiry must never get later")
	assert.WithinDuration(t, now.Add(time.Hour), r.Expiry, time.Second)

	// The same again, which a server may count as no row changed.
	for range 3 {
		require.NoError(t, b.Replace(ctx, "abc", rec("one", 0), rec("one", time.Hour)))
		require.NoError(t, b.Touch(ctx, "abc", rec("one", 0), now.Add(time.Hour)))
	}
	assert.ErrorIs(t, b.Replace(ctx, "abc", rec("ONE", 0), rec("two", time.Hour)), session.ErrConflict)
	assert.ErrorIs(t, b.Replace(ctx, "abd", rec("one", 0), rec("two", time.Hour)), session.ErrConflict)
	assert.ErrorIs(t, b.Touch(ctx, "abd", rec("one", 0), now), session.ErrConflict)
	big := bytes.Repeat([]byte("x"), 60000)
	require.NoError(t, b.Replace(ctx, "abc", rec("one", 0), session.Record{Data: big, Expiry: now.Add(time.Hour)}))
	require.NoError(t, b.Move(ctx, "abc", "xyz", rec(string(big), 0), rec("moved", time.Hour)))
	_, err = b.Load(ctx, "abc")
	require.ErrorIs(t, err, session.ErrNotFound)
	require.NoError(t, b.Create(ctx, "other", rec("x", -time.Second)))
	assert.ErrorIs(t, b.Move(ctx, "xyz", "other", rec("moved", 0), rec("moved", time.Hour)), session.ErrExists)
	n, err := b.DeleteExpired(ctx, now, 1000)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	r, err = b.Load(ctx, "xyz")
	require.NoError(t, err)
	assert.Equal(t, "moved", string(r.Data))
	require.NoError(t, b.Delete(ctx, "xyz"))
	require.NoError(t, b.Delete(ctx, "xyz"))
}

// testConnections goes through the ways to name a database.
func testConnections(t *testing.T, dsn string) {
	ctx := context.Background()
	base := dsn
	for _, params := range []string{"", "?parseTime=true", "?parseTime=true&loc=America%2FNew_York", "?clientFoundRows=true", "?charset=utf8&parseTime=true", "?interpolateParams=true"} {
		t.Run("DSN"+params, func(t *testing.T) {
			b, _, err := open(ctx, Config{DSN: base + params, Table: backendtest.FreshTable(), InitTable: true})
			require.NoError(t, err)
			contract(t, b)
		})
		if strings.Contains(params, "loc=") {
			continue
		}
		t.Run("DB"+params, func(t *testing.T) {
			db, err := sql.Open("mysql", base+params)
			require.NoError(t, err)
			defer func() { assert.NoError(t, db.PingContext(ctx), "it was closed"); _ = db.Close() }()
			m, err := session.NewManager(session.Options{Initer: Initer(), Config: Config{DB: db, Table: backendtest.FreshTable(), InitTable: true}})
			require.NoError(t, err)
			require.NoError(t, m.Close(ctx))
			b, _, err := open(ctx, Config{DB: db, Table: backendtest.FreshTable(), InitTable: true})
			require.NoError(t, err)
			contract(t, b)
		})
	}
}

// testAutocommit has a server whose connections store nothing by default.
func testAutocommit(t *testing.T, dsn string) {
	ctx := t.Context()
	admin, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	defer func() { _ = admin.Close() }()
	cfg := Config{DSN: dsn, Table: backendtest.FreshTable(), InitTable: true}
	_, err = admin.Exec("SET GLOBAL autocommit = 0")
	require.NoError(t, err)
	b, _, err := open(ctx, cfg)
	if err == nil {
		err = errors.Join(b.Create(ctx, "abc", backendtest.Record("1")), b.Close())
	}
	_, reset := admin.Exec("SET GLOBAL autocommit = 1")
	require.NoError(t, errors.Join(err, reset))
	assert.Equal(t, "1", backendtest.Data(t, backendtest.Open(t, open, cfg), "abc"))
}

// testCharacterSets has connections whose character sets differ, be it by the DSN or, as many
// a guide advises, by what the server does for users without all rights. The bytes of a
// session stay what they are.
func testCharacterSets(t *testing.T, dsn string) {
	db, table := admin(t, dsn), backendtest.FreshTable()
	backendtest.Open(t, open, Config{DSN: dsn, Table: table, InitTable: true})
	data := make([]byte, 256)
	for i := range data {
		data[i] = byte(i)
	}
	keeps := func(dsn, id string) {
		t.Helper()
		b := backendtest.Open(t, open, Config{DSN: dsn, Table: table})
		require.NoError(t, b.Create(t.Context(), id, backendtest.Record(string(data))))
		assert.Equal(t, string(data), backendtest.Data(t, b, id), dsn)
		found, err := b.LoadMany(t.Context(), []string{id})
		require.NoError(t, err)
		assert.Contains(t, found, id, dsn)
		require.NoError(t, b.Replace(t.Context(), id, backendtest.Record(string(data)), backendtest.Record("2")), dsn)
	}
	for i, param := range []string{"collation_connection='utf8mb3_general_ci'", "collation_connection='latin1_swedish_ci'", "character_set_client=latin1", "character_set_results=utf16", "charset=latin1", "charset=utf8mb4&interpolateParams=true"} {
		name, value, _ := strings.Cut(param, "=")
		keeps(dsn+"?"+name+"="+strings.ReplaceAll(value, "'", "%27"), fmt.Sprint("dsn", i))
	}

	c, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	c.User, c.Passwd = newUser(t, db, c.DBName, ""), "pw"
	_, err = db.Exec("SET GLOBAL init_connect = 'SET collation_connection = utf8mb3_unicode_ci'")
	require.NoError(t, err)
	defer func() { _, _ = db.Exec("SET GLOBAL init_connect = ''") }()
	keeps(c.FormatDSN(), "server")
}

// testNames makes the index of tables with long names, and none where there is one.
func testNames(t *testing.T, dsn string) {
	db := admin(t, dsn)
	table := backendtest.FreshTable()
	indexes := func(table string) (n int) {
		require.NoError(t, db.QueryRow("SELECT COUNT(*) FROM information_schema.statistics WHERE table_name = ? AND column_name = 'expired_at'", table).Scan(&n))
		return n
	}
	for _, n := range []int{49, 50, 64} {
		name := table + strings.Repeat("ü", n-len(table))
		for range 2 { // The second start finds it.
			backendtest.Open(t, open, Config{DSN: dsn, Table: name, InitTable: true})
			assert.Equal(t, 1, indexes(name), name)
		}
		_, err := db.Exec("RENAME TABLE `" + name + "` TO " + table)
		require.NoError(t, err)
		backendtest.Open(t, open, Config{DSN: dsn, Table: table, InitTable: true})
		assert.Equal(t, 1, indexes(table), "of another name")
		_, err = db.Exec("DROP TABLE " + table)
		require.NoError(t, err)
	}
}

// testView keeps sessions in a view, which is updatable. The server has statements prepared
// again all the time when it can keep few definitions of tables.
func testView(t *testing.T, dsn string) {
	ctx, db, table := t.Context(), admin(t, dsn), backendtest.FreshTable()
	backendtest.Open(t, open, Config{DSN: dsn, Table: table, InitTable: true})
	_, err := db.Exec("CREATE VIEW " + table + "_v AS SELECT * FROM " + table)
	require.NoError(t, err)
	for _, variable := range []string{"table_definition_cache", "table_open_cache"} {
		var before string
		require.NoError(t, db.QueryRow("SELECT @@GLOBAL."+variable).Scan(&before))
		_, err := db.Exec("SET GLOBAL " + variable + " = 1")
		require.NoError(t, err)
		defer func() { _, _ = db.Exec("SET GLOBAL " + variable + " = " + before) }()
	}
	b := backendtest.Open(t, open, Config{DSN: dsn, Table: table + "_v"})
	require.NoError(t, b.Create(ctx, "abc", backendtest.Record("0")))
	stop := make(chan struct{})
	var others, visitors sync.WaitGroup
	others.Go(func() { // who need the room
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				_, _ = db.Exec(fmt.Sprintf("CREATE OR REPLACE VIEW %s_v AS SELECT * FROM %s", table, table))
			}
		}
	})
	errs := make([]error, 8)
	for i := range errs {
		visitors.Go(func() {
			for range 40 {
				_, err := b.Load(ctx, "abc")
				errs[i] = errors.Join(errs[i], err, b.Touch(ctx, "abc", backendtest.Record("0"), backendtest.Later))
			}
		})
	}
	visitors.Wait()
	close(stop)
	others.Wait()
	require.NoError(t, errors.Join(errs...))
}

// testSizes has a server that takes small packets. What is stored can be replaced, moved,
// touched and deleted, and what could not is refused.
func testSizes(t *testing.T, dsn string) {
	const packet = 1 << 20
	root, table := admin(t, dsn), backendtest.FreshTable()
	var before string
	require.NoError(t, root.QueryRow("SELECT @@GLOBAL.max_allowed_packet").Scan(&before))
	_, err := root.Exec(fmt.Sprint("SET GLOBAL max_allowed_packet = ", packet))
	require.NoError(t, err)
	defer func() { _, _ = root.Exec("SET GLOBAL max_allowed_packet = " + before) }()
	foreign := admin(t, dsn)
	for name, at := range map[string]struct {
		Config
		most int
	}{
		"DSN": {Config{DSN: dsn}, packet - 128},
		"DB":  {Config{DB: foreign}, packet/2 - 1024},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			at.Table, at.InitTable = table, true
			b := backendtest.Open(t, open, at.Config)
			for _, n := range []int{packet / 4, packet/2 - 1024, packet/2 + 1024, packet - 128, packet + 1024, 3 * packet} {
				data := func(c string) session.Record { return backendtest.Record(strings.Repeat(c, n)) }
				id, moved := fmt.Sprint(name, n), fmt.Sprint(n, strings.Repeat("b", 100))
				err := b.Create(ctx, id, data("0"))
				if n > at.most {
					backendtest.AssertOutage(t, err, fmt.Sprint(n))
					_, err := b.Load(ctx, id)
					require.ErrorIs(t, err, session.ErrNotFound)
					continue
				}
				require.NoError(t, err, n)
				require.NoError(t, b.Replace(ctx, id, data("0"), data("1")), n)
				require.NoError(t, b.Move(ctx, id, moved, data("1"), data("2")), n)
				require.NoError(t, b.Touch(ctx, moved, data("2"), backendtest.Later), n)
				assert.True(t, backendtest.Data(t, b, moved) == string(data("2").Data), n)
				require.NoError(t, b.Delete(ctx, moved), n)
			}
		})
	}
}

// testLegacyTable uses a table as v1.6.6 made it: whole seconds, 64 KiB, keys
// without regard to case. InitTable adds the index.
func testLegacyTable(t *testing.T, dsn string) {
	ctx := context.Background()
	table := backendtest.FreshTable()
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(ctx, "CREATE TABLE "+table+" (`key` VARCHAR(255) NOT NULL, data BLOB NOT NULL, expired_at DATETIME NOT NULL, PRIMARY KEY (`key`)) DEFAULT CHARSET=utf8")
	require.NoError(t, err)
	for _, cfg := range []Config{{DSN: dsn}, {DB: db}} {
		cfg.Table, cfg.InitTable = table, true
		b, _, err := open(ctx, cfg)
		require.NoError(t, err)
		contract(t, b)
		// What does not fit is refused, never cut off.
		if cfg.DB == nil {
			err = b.Create(ctx, "large", session.Record{Data: make([]byte, 70000), Expiry: time.Now().Add(time.Hour)})
			require.ErrorContains(t, err, "Data too long")
			_, err = b.Load(ctx, "large")
			require.ErrorIs(t, err, session.ErrNotFound)
		}
	}
	var indexes int
	require.NoError(t, db.QueryRowContext(ctx, "SELECT count(DISTINCT index_name) FROM information_schema.statistics WHERE table_name = ?", table).Scan(&indexes))
	assert.Equal(t, 2, indexes)
}

// testSweepBatches sweeps on several servers at once: every expired row goes, every
// other row stays.
func testSweepBatches(t *testing.T, dsn string) {
	ctx := context.Background()
	table := backendtest.FreshTable()
	db, err := sql.Open("mysql", dsn)
	require.NoError(t, err)
	defer func() { _ = db.Close() }()
	backendtest.SweepTogether(t, serverOf(table+" "+dsn), func() {
		for prefix, expiry := range map[string]time.Time{"old": time.Now().Add(-time.Second), "new": time.Now().Add(time.Hour)} {
			_, err = db.ExecContext(ctx, "INSERT INTO "+table+" (`key`, data, expired_at) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900)"+
				" SELECT CONCAT(?, a.i, 'x', b.i), 'x', ? FROM n a JOIN n b ON b.i <= 10", prefix, expiry.UTC())
			require.NoError(t, err)
		}
	})
	var old, live int
	require.NoError(t, db.QueryRowContext(ctx, "SELECT COALESCE(SUM(`key` LIKE 'old%'), 0), COALESCE(SUM(`key` LIKE 'new%'), 0) FROM "+table).Scan(&old, &live))
	assert.Zero(t, old)
	assert.Equal(t, 9000, live)
}
