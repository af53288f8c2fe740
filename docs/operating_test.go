package docs

import (
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/sessiontest"
	"github.com/flamego/session/sqlite"
)

// TestReader reads a session as operating.md tells another service to.
func TestReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions.db")
	m, err := session.NewManager(session.Options{
		HashIDs: true, AbsoluteLifetime: 12 * time.Hour, Initer: sqlite.Initer(),
		Config: sqlite.Config{DSN: path, InitTable: true, Encoder: session.JSONEncoder, Decoder: session.JSONDecoder},
	})
	require.NoError(t, err)
	defer func() { assert.NoError(t, m.Close(t.Context())) }()
	f := flamego.New()
	f.Use(m.Sessioner())
	f.Post("/signin", func(s session.Session) error {
		s.Set("userID", 42)
		return session.SetOwner(s, "ann")
	})
	f.Post("/rotate", func(w http.ResponseWriter, r *http.Request, s session.Session) error { return s.RegenerateID(w, r) })
	b := sessiontest.NewBrowser(t, f, m)
	b.Post("/signin", nil)
	b.Post("/rotate", nil)

	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	require.NoError(t, err)
	defer func() { assert.NoError(t, db.Close()) }()
	rows, err := db.Query("SELECT key, data, expired_at FROM sessions")
	require.NoError(t, err)
	defer func() { _ = rows.Close() }()
	sum := sha256.Sum256([]byte(b.Session().ID()))
	key := "z" + strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
	found, others := false, 0
	for rows.Next() {
		var at, expiry string
		var data []byte
		require.NoError(t, rows.Scan(&at, &data, &expiry))
		var record map[string]any
		require.NoError(t, json.Unmarshal(data, &record))
		isSession := true
		for _, name := range []string{"ended", "forward", "sessions"} {
			if _, ok := record["flamego::session::"+name]; ok {
				isSession = false
			}
		}
		if !isSession {
			others++
			continue
		}
		found = true
		assert.Equal(t, key, at)
		assert.InDelta(t, 42, record["userID"], 0)
		assert.Equal(t, "cookie flamego_session", record["flamego::session::place"])
		assert.InDelta(t, time.Now().UnixMilli(), record["flamego::session::created"], 60_000)
		until, err := time.Parse(time.DateTime, expiry)
		require.NoError(t, err)
		assert.True(t, until.After(time.Now()))
	}
	require.NoError(t, rows.Err())
	assert.True(t, found)
	assert.Equal(t, 2, others, "the owner's list, and the forward of the old ID")
}
