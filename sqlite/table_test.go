package sqlite

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/test/backendtest"
)

func TestTableNames(t *testing.T) {
	for name, want := range map[string]string{
		"":                          "sessions",
		"select":                    "select",
		`o'dd "name" [x]; -- ?`:     `o'dd "name" [x]; -- ?`,
		"{table}{key}{match} %s $1": "{table}{key}{match} %s $1",
		"Größe 表":                   "Größe 表",
		"main.other":                "other",
		`"with.dot ""and"" quotes"`: `with.dot "and" quotes`,
		`main."with.dot"`:           "with.dot",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s.db")
			b, ctx := newBackend(t, Config{DSN: path, Table: name}), t.Context()
			require.NoError(t, write(ctx, b, "aaa"))
			_, err := b.DeleteExpired(ctx, time.Now(), 10)
			require.NoError(t, err)

			// A second start finds the table, with and without InitTable.
			newBackend(t, Config{DSN: path, Table: name})
			again, _, err := open(ctx, Config{DSN: path, Table: name})
			require.NoError(t, err)
			require.NoError(t, again.Close())

			var tables, indexed string
			db := rawDB(t, path)
			require.NoError(t, db.QueryRow("SELECT group_concat(name) FROM sqlite_master WHERE type = 'table'").Scan(&tables))
			assert.Equal(t, want, tables)
			require.NoError(t, db.QueryRow("SELECT tbl_name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").Scan(&indexed))
			assert.Equal(t, want, indexed)
		})
	}
}

// A table whose index cannot have its usual name, since that is another table's, gets one all
// the same; one that has an index, whatever its name, gets no second one.
func TestIndexNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	newBackend(t, Config{DSN: path})
	db := rawDB(t, path)
	mustExec(t, db, "ALTER TABLE sessions RENAME TO old")
	for _, table := range []string{"old", "sessions", "main.sessions"} {
		newBackend(t, Config{DSN: path, Table: table})
	}
	newBackend(t, Config{DB: db})
	for _, table := range []string{"old", "sessions"} {
		var n int
		require.NoError(t, db.QueryRow("SELECT count(*) FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name = ?", table).Scan(&n))
		assert.Equal(t, 1, n, table)
	}
}

// oldTable is the schema that v1.6.6 makes.
const oldTable = `CREATE TABLE sessions (
	key        TEXT PRIMARY KEY,
	data       BLOB NOT NULL,
	expired_at TEXT NOT NULL
)`

func TestTableOfV166(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	db, ctx := rawDB(t, path), t.Context()
	mustExec(t, db, oldTable)
	add := func(id string, expiry time.Time) {
		mustExec(t, db, "INSERT INTO sessions VALUES (?, ?, ?)", id, []byte(id), expiry.UTC().Format(time.DateTime))
	}
	now := time.Now().UTC().Truncate(time.Second).Add(300 * time.Millisecond)
	second := now.Truncate(time.Second)
	add("gone", second.Add(-time.Hour))
	add("justnow", second)
	add("alive", second.Add(time.Second))

	// It serves as it is, and InitTable adds nothing but the index.
	before, _, err := open(ctx, Config{DSN: path})
	require.NoError(t, err)
	require.NoError(t, before.Close())
	b := newBackend(t, Config{DSN: path})
	var schema, index string
	require.NoError(t, db.QueryRow("SELECT sql FROM sqlite_master WHERE type = 'table'").Scan(&schema))
	assert.Equal(t, oldTable, schema)
	require.NoError(t, db.QueryRow("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").Scan(&index))
	assert.Equal(t, "sessions_expired_at_idx", index)

	r, err := b.Load(ctx, "alive")
	require.NoError(t, err)
	assert.Equal(t, session.Record{Data: []byte("alive"), Expiry: second.Add(time.Second)}, r)
	n, err := b.DeleteExpired(ctx, now, 10)
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	require.NoError(t, b.Replace(ctx, "alive", record("alive"), record("x")))

	// The other way round: v1.6.6 parses and sweeps by these two.
	var text string
	var old bool
	require.NoError(t, db.QueryRow("SELECT expired_at FROM sessions WHERE key = 'alive'").Scan(&text))
	read, err := time.Parse(time.DateTime, text)
	require.NoError(t, err)
	assert.True(t, read.Equal(later))
	require.NoError(t, db.QueryRow("SELECT datetime(expired_at) <= datetime(?) FROM sessions", second.Format(time.DateTime)).Scan(&old))
	assert.False(t, old)
	require.NoError(t, db.QueryRow("SELECT datetime(expired_at) <= datetime(?) FROM sessions", later.Add(time.Second).Format(time.DateTime)).Scan(&old))
	assert.True(t, old)
}

func TestDatetimeColumn(t *testing.T) {
	db := rawDB(t, filepath.Join(t.TempDir(), "s.db"))
	mustExec(t, db, "CREATE TABLE sessions (key VARCHAR(128) PRIMARY KEY, data BLOB, expired_at DATETIME)")
	b := newBackend(t, Config{DB: db})
	require.NoError(t, b.Create(t.Context(), "aaa", record("x")))
	r, err := b.Load(t.Context(), "aaa")
	require.NoError(t, err)
	assert.Equal(t, record("x"), r)
}

// A row that somebody damaged must neither panic nor fail the requests of its
// visitor for good.
func TestBadRows(t *testing.T) {
	for name, row := range map[string]struct {
		data, expiry any
		want         string // what Load finds, "-" for nothing
	}{
		"text":             {"some text", later.Format(timeLayout), "some text"},
		"NULL data":        {nil, later.Format(timeLayout), ""},
		"number":           {42, later.Format(timeLayout), "42"},
		"not a time":       {[]byte("x"), "never", "-"},
		"other layout":     {[]byte("x"), later.Format(time.RFC1123), "-"},
		"empty time":       {[]byte("x"), "", "-"},
		"zero time":        {[]byte("x"), "0001-01-01 00:00:00", "-"},
		"NULL time":        {[]byte("x"), nil, "-"},
		"number as time":   {[]byte("x"), later.Unix(), "-"},
		"fraction as time": {[]byte("x"), 1.5, "-"},
		"blob as time":     {[]byte("x"), []byte(later.Format(timeLayout)), "-"},
	} {
		t.Run(name, func(t *testing.T) {
			db, ctx := rawDB(t, filepath.Join(t.TempDir(), "s.db")), t.Context()
			mustExec(t, db, "CREATE TABLE sessions (key, data, expired_at)")
			mustExec(t, db, "INSERT INTO sessions VALUES ('aaa', ?, ?)", row.data, row.expiry)
			b := newBackend(t, Config{DB: db})
			r, err := b.Load(ctx, "aaa")
			if row.want == "-" {
				require.ErrorIs(t, err, session.ErrNotFound)
			} else {
				require.NoError(t, err)
				assert.Equal(t, row.want, string(r.Data))
				assert.Equal(t, later, r.Expiry)
			}

			if row.want == "-" {
				r = record("x") // What is there all the same.
			}
			require.NoError(t, b.Touch(ctx, "aaa", r, later))
			r, err = b.Load(ctx, "aaa")
			require.NoError(t, err, "a touch does not mend the time")
			require.ErrorIs(t, b.Replace(ctx, "aaa", record("else"), record("new")), session.ErrConflict)
			require.NoError(t, b.Replace(ctx, "aaa", r, record("new")), "what was loaded cannot be replaced: endless conflict")
		})
	}
}

func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	noDB := filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(noDB, []byte("no database, and more than a hundred bytes of it: "+t.Name()+t.Name()+t.Name()+t.Name()), 0o600))
	made := filepath.Join(dir, "made.db")
	newBackend(t, Config{DSN: made})
	foreign := filepath.Join(dir, "foreign.db")
	mustExec(t, rawDB(t, foreign), "CREATE TABLE sessions (key, data)")
	locked := filepath.Join(dir, "locked.db")
	holder := rawDB(t, locked+"?_txlock=exclusive")
	mustExec(t, holder, "CREATE TABLE x (y)")
	tx, err := holder.Begin()
	require.NoError(t, err)
	defer func() { _ = tx.Rollback() }()

	backendtest.WrongConfigs(t, "sqlite", open, map[string]backendtest.Wrong[Config]{
		"nothing":         {Config: Config{}, Want: []string{"Config.DSN is empty", "Config.DB"}},
		"missing folder":  {Config: Config{DSN: filepath.Join(dir, "no", "s.db"), InitTable: true}, Want: []string{"Config.DSN", "no/s.db", "folder must exist"}},
		"a folder":        {Config: Config{DSN: dir, InitTable: true}, Want: []string{"Config.DSN", dir}},
		"no database":     {Config: Config{DSN: noDB, InitTable: true}, Want: []string{"Config.DSN", noDB, "name another file"}},
		"read-only":       {Config: Config{DSN: "file:" + made + "?mode=ro"}, Want: []string{"Config.DSN", "mode=ro", "writable"}},
		"query only":      {Config: Config{DSN: made + "?_query_only=1"}, Want: []string{"Config.DSN", "writable"}},
		"bad parameter":   {Config: Config{DSN: made + "?_txlock=sometimes"}, Want: []string{"Config.DSN", "_txlock"}},
		"locked":          {Config: Config{DSN: locked + "?_timeout=20", InitTable: true}, Want: []string{"Config.DSN", "locked.db", "another process"}, Limit: 300 * time.Millisecond},
		"locked DB":       {Config: Config{DB: rawDB(t, locked), InitTable: true}, Want: []string{"Config.DB", "another process"}, Limit: 300 * time.Millisecond},
		"no table":        {Config: Config{DSN: filepath.Join(dir, "new.db")}, Want: []string{"sessions", "Config.InitTable", "Config.Table"}},
		"no such table":   {Config: Config{DSN: made, Table: "sessoins"}, Want: []string{"sessoins", "Config.InitTable", "Config.Table"}},
		"another table":   {Config: Config{DSN: foreign}, Want: []string{"Config.Table", "sessions", "expired_at"}},
		"no such schema":  {Config: Config{DSN: made, Table: "nowhere.sessions", InitTable: true}, Want: []string{"Config.InitTable", "nowhere"}},
		"no table name":   {Config: Config{DSN: made, Table: "a.b.c"}, Want: []string{"Config.Table", "a.b.c"}},
		"DB of no table":  {Config: Config{DB: rawDB(t, filepath.Join(dir, "new2.db"))}, Want: []string{"Config.InitTable"}},
		"read-only DB":    {Config: Config{DB: rawDB(t, "file:"+made+"?mode=ro")}, Want: []string{"Config.DB", "writable"}},
		"a closed DB":     {Config: Config{DB: closedDB(t)}, Want: []string{"closed"}},
		"DB with no file": {Config: Config{DB: rawDB(t, filepath.Join(dir, "no", "s.db"))}, Want: []string{"Config.DB", "folder"}},
	})
	_, err = os.Stat(filepath.Join(dir, "no"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func closedDB(t *testing.T) *sql.DB {
	db, err := sql.Open("sqlite", ":memory:")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	return db
}

func TestWithDefaults(t *testing.T) {
	const all = "_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"
	for dsn, want := range map[string]string{
		"s.db":                          "s.db?" + all,
		`C:\data\my app\s.db`:           `C:\data\my app\s.db?` + all,
		`\\host\share\s.db`:             `\\host\share\s.db?` + all,
		"file:///C:/data/s.db":          "file:///C:/data/s.db?" + all,
		"file:s.db?cache=private":       "file:s.db?cache=private&" + all,
		"s.db?_journal=DELETE":          "s.db?_journal=DELETE&_pragma=synchronous(NORMAL)",
		"s.db?_pragma=Journal_Mode=off": "s.db?_pragma=Journal_Mode=off&_pragma=synchronous(NORMAL)",
		"s.db?_pragma=%20main.synchronous(0)&_timeout=1":  "s.db?_pragma=%20main.synchronous(0)&_timeout=1&_pragma=journal_mode(WAL)",
		"s.db?_pragma=synchronous+%3D+1&_txlock=deferred": "s.db?_pragma=synchronous+%3D+1&_txlock=deferred&_pragma=journal_mode(WAL)",
	} {
		assert.Equal(t, want, withDefaults(dsn), dsn)
	}
}

// What the DSN says and what is added must reach every connection.
func TestSettings(t *testing.T) {
	for query, want := range map[string][3]string{
		"":                               {"wal", "1", "0"},
		"?_pragma=synchronous(2)":        {"wal", "2", "0"},
		"?_sync=FULL&_busy_timeout=7":    {"wal", "2", "0"},
		"?_pragma=journal_mode=TRUNCATE": {"truncate", "1", "0"},
	} {
		t.Run(query, func(t *testing.T) {
			p := newPool(t, withDefaults(filepath.Join(t.TempDir(), "s.db")+query), 2)
			for i, pragma := range []string{"journal_mode", "synchronous", "busy_timeout"} {
				s := p.Statement("PRAGMA " + pragma)
				for range cap(p.free) { // They take turns.
					var is string
					require.NoError(t, s.Each(t.Context(), nil, func(scan func(...any) error) error { return scan(&is) }))
					assert.Equal(t, want[i], is, pragma)
				}
			}
		})
	}
}
