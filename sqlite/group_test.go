package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// outcome is what a statement has come to.
type outcome struct {
	n   int64
	err string // what is in the error
}

// insert and the others are statements on a table t of a key and a value.
func insert(key string) []any { return []any{"INSERT INTO t VALUES (?, 0)", key} }
func change(key string) []any { return []any{"UPDATE t SET v = v + 1 WHERE k = ?", key} }

// newGroup opens a pool of one connection, with such a table. In it, the key "broken" makes
// a statement fail, and "all" a whole transaction.
func newGroup(t *testing.T, dsn string) *conns {
	p := newPool(t, withDefaults(dsn), 1)
	for _, text := range []string{
		"CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER)",
		"CREATE TRIGGER broken BEFORE UPDATE ON t WHEN NEW.k = 'broken' BEGIN SELECT RAISE(ABORT, 'it is broken'); END",
		"CREATE TRIGGER everything BEFORE UPDATE ON t WHEN NEW.k = 'all' BEGIN SELECT RAISE(ROLLBACK, 'all is broken'); END",
		"INSERT INTO t VALUES ('old', 0), ('broken', 0), ('all', 0)",
	} {
		require.NoError(t, p.Run(t.Context(), text))
	}
	return p
}

// execTogether runs statements that have all been waiting for the connection, in this
// order.
func execTogether(t *testing.T, p *conns, texts ...[]any) []outcome {
	c := <-p.free
	var wg sync.WaitGroup
	all := make([]outcome, len(texts))
	for i, text := range texts {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					all[i].err = fmt.Sprint(p)
				}
			}()
			n, err := p.Statement(text[0].(string)).Exec(t.Context(), text[1:]...)
			if all[i].n = n; err != nil {
				all[i].err = err.Error()
			}
		})
		require.Eventually(t, func() bool {
			p.group.mu.Lock()
			defer p.group.mu.Unlock()
			return len(p.group.waiting) == i+1
		}, time.Minute, time.Millisecond)
	}
	p.free <- c
	wg.Wait()
	return all
}

// commits counts the transactions in the write-ahead log of a database file.
func commits(t *testing.T, path string) (n int) {
	log, err := os.ReadFile(path + "-wal")
	require.NoError(t, err)
	page := int(binary.BigEndian.Uint32(log[8:]))
	for frame := log[32:]; len(frame) >= 24+page; frame = frame[24+page:] {
		if binary.BigEndian.Uint32(frame[4:]) > 0 { // It is the last one of a transaction.
			n++
		}
	}
	return n
}

// TestGroup has statements run together: each has its own outcome, and one commit is
// enough for them all, unless one fails.
func TestGroup(t *testing.T) {
	for name, c := range map[string]struct {
		texts   [][]any
		want    []outcome
		commits int
	}{
		"all kinds": {
			[][]any{insert("a"), change("a"), change("old"), insert("old"), change("none"), insert("b")},
			[]outcome{{n: 1}, {n: 1}, {n: 1}, {err: "UNIQUE constraint failed"}, {}, {n: 1}},
			1,
		},
		"one fails": {
			[][]any{insert("a"), change("broken"), change("old"), insert("old"), change("a")},
			[]outcome{{n: 1}, {err: "it is broken"}, {n: 1}, {err: "UNIQUE constraint failed"}, {n: 1}},
			3,
		},
		"all are rolled back": {
			[][]any{insert("a"), change("all"), change("a"), change("old")},
			[]outcome{{n: 1}, {err: "all is broken"}, {n: 1}, {n: 1}},
			3,
		},
		"text that is none": {
			[][]any{insert("a"), {"NONSENSE"}, change("a")},
			[]outcome{{n: 1}, {err: "syntax error"}, {n: 1}},
			2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s.db")
			p := newGroup(t, path)
			before := commits(t, path)
			got := execTogether(t, p, c.texts...)
			for i, want := range c.want {
				assert.Equal(t, want.n, got[i].n, c.texts[i])
				assert.Contains(t, got[i].err, want.err, c.texts[i])
				assert.Equal(t, want.err == "", got[i].err == "", "%v: %s", c.texts[i], got[i].err)
			}
			assert.Equal(t, c.commits, commits(t, path)-before)

			// Each has run once.
			var sum int
			require.NoError(t, rawDB(t, path).QueryRow("SELECT sum(v) FROM t").Scan(&sum))
			var want int64
			for i, text := range c.texts {
				if strings.HasPrefix(text[0].(string), "UPDATE") {
					want += c.want[i].n
				}
			}
			assert.EqualValues(t, want, sum)
		})
	}
}

// TestGroupOfMany has more statements waiting than one transaction takes.
func TestGroupOfMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	p := newGroup(t, path)
	texts := make([][]any, 2*groupSize+1)
	for i := range texts {
		texts[i] = change("old")
	}
	before := commits(t, path)
	for _, o := range execTogether(t, p, texts...) {
		assert.Equal(t, outcome{n: 1}, o)
	}
	assert.Equal(t, 3, commits(t, path)-before)
	var v int
	require.NoError(t, rawDB(t, path).QueryRow("SELECT v FROM t WHERE k = 'old'").Scan(&v))
	assert.Equal(t, len(texts), v)
}

// TestGroupLocked has them run while somebody else has the lock that they need: for
// writing, or, in a mode in which that matters, for reading. None takes effect.
func TestGroupLocked(t *testing.T) {
	for name, c := range map[string]struct{ query, lock string }{
		"writer": {"", "BEGIN IMMEDIATE"},
		"reader": {"?_journal_mode=DELETE", "BEGIN; SELECT * FROM t"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s.db")
			p := newGroup(t, path+c.query)
			other, err := rawDB(t, path).Conn(t.Context())
			require.NoError(t, err)
			defer func() { _ = other.Close() }()
			_, err = other.ExecContext(t.Context(), c.lock)
			require.NoError(t, err)
			for _, o := range execTogether(t, p, change("old"), change("old"), insert("a")) {
				assert.Contains(t, o.err, "database is locked")
			}
			_, err = other.ExecContext(t.Context(), "ROLLBACK")
			require.NoError(t, err)
			var sum, n int
			require.NoError(t, other.QueryRowContext(t.Context(), "SELECT sum(v), count(*) FROM t").Scan(&sum, &n))
			assert.Zero(t, sum)
			assert.Equal(t, 3, n)
			assert.Equal(t, []outcome{{n: 1}, {n: 1}, {n: 1}}, execTogether(t, p, change("old"), change("old"), insert("a")))
		})
	}
}

// TestGroupLeft has one whose context ends while it waits: it has no effect, and the
// others go on.
func TestGroupLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	p := newGroup(t, path)
	c := <-p.free
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := p.Statement("UPDATE t SET v = v + 1").Exec(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	p.free <- c
	assert.Equal(t, []outcome{{n: 1}, {n: 1}}, execTogether(t, p, change("old"), change("old")))
	var sum int
	require.NoError(t, rawDB(t, path).QueryRow("SELECT sum(v) FROM t").Scan(&sum))
	assert.Equal(t, 2, sum)
}

// TestGroupStuck has a transaction that cannot be rolled back. Its statements fail, and
// none that comes later becomes a part of it.
func TestGroupStuck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	p := newGroup(t, path)
	c := <-p.free
	c.Conn = spied{c.Conn, func(text string) error {
		if text == rollback.text {
			return errStuck
		}
		return nil
	}}
	p.free <- c
	for _, o := range execTogether(t, p, change("old"), change("broken"), change("old")) {
		assert.Contains(t, o.err, errStuck.Error())
	}
	assert.Equal(t, []outcome{{n: 1}, {n: 1}}, execTogether(t, p, change("old"), change("old")))
	var sum int
	require.NoError(t, rawDB(t, path).QueryRow("SELECT sum(v) FROM t").Scan(&sum))
	assert.Equal(t, 2, sum)
}

// TestGroupPanic has the driver panic in the middle of a transaction. That reaches one of
// those who wait; the others get an error, since nothing of theirs is stored.
func TestGroupPanic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	p := newGroup(t, path)
	c := <-p.free
	c.Conn = spied{c.Conn, func(text string) error {
		if strings.HasPrefix(text, "INSERT") {
			panic("the driver")
		}
		return nil
	}}
	p.free <- c
	panicked := 0
	for _, o := range execTogether(t, p, change("old"), insert("a"), change("old")) {
		assert.Zero(t, o.n)
		if o.err == "the driver" {
			panicked++
			continue
		}
		assert.Contains(t, o.err, errPanicked.Error())
	}
	assert.Equal(t, 1, panicked)
	assert.Equal(t, []outcome{{n: 1}, {n: 1}}, execTogether(t, p, change("old"), insert("a")))
	var sum int
	require.NoError(t, rawDB(t, path).QueryRow("SELECT sum(v) FROM t").Scan(&sum))
	assert.Equal(t, 1, sum)
}

var errStuck = errors.New("the disk does not answer")

// spied is a connection of which seen learns every statement that is run, and may make it
// fail.
type spied struct {
	driver.Conn
	seen func(text string) error
}

func (c spied) Prepare(text string) (driver.Stmt, error) {
	s, err := c.Conn.Prepare(text)
	return spiedStatement{s, func() error { return c.seen(text) }}, err
}

type spiedStatement struct {
	driver.Stmt
	seen func() error
}

func (s spiedStatement) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.seen(); err != nil {
		return nil, err
	}
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

// TestGroupOfOne has statements that nobody shares: each is run once, without more.
func TestGroupOfOne(t *testing.T) {
	p := newGroup(t, filepath.Join(t.TempDir(), "s.db"))
	var run []string
	c := <-p.free
	c.Conn = spied{c.Conn, func(text string) error {
		run = append(run, text)
		return nil
	}}
	p.free <- c
	s := p.Statement("UPDATE t SET v = v + 1 WHERE k = ?")
	for range 100 {
		_, err := s.Exec(t.Context(), "old")
		require.NoError(t, err)
	}
	assert.Equal(t, slices.Repeat([]string{"UPDATE t SET v = v + 1 WHERE k = ?"}, 100), run)
}

// TestGroupClosed has statements wait while the pool is closed: those that have not run
// fail.
func TestGroupClosed(t *testing.T) {
	p, err := newConns(withDefaults(filepath.Join(t.TempDir(), "s.db")), 1)
	require.NoError(t, err)
	require.NoError(t, p.Run(t.Context(), "CREATE TABLE t (k TEXT PRIMARY KEY, v INTEGER)"))
	insert := p.Statement("INSERT INTO t VALUES (?, 0) ON CONFLICT DO UPDATE SET v = v + 1")
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for {
				if _, err := insert.Exec(t.Context(), "a"); err != nil {
					assert.ErrorIs(t, err, errClosed)
					return
				}
			}
		})
	}
	assert.NoError(t, p.Close())
	wg.Wait()
}
