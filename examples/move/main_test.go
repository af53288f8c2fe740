package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/flamego/flamego"
	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/testserver"
	"github.com/flamego/session/redis"
	"github.com/flamego/session/sessiontest"
	"github.com/flamego/session/sqlite"
)

func open(t *testing.T, opt session.Options) (*session.Manager, http.Handler) {
	m, err := session.NewManager(opt)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Close(context.Background())) })
	f := flamego.New()
	f.Use(m.Sessioner())
	f.Post("/signin", func(r *http.Request, s session.Session) error { return session.SetOwner(s, r.FormValue("user")) })
	f.Get("/", func(s session.Session) string {
		return fmt.Sprint(session.Owner(s), session.Update(s, "visits", func(n int) int { return n + 1 }))
	})
	return m, f
}

// TestMove has a browser go on on the other store, with its owner's list.
func TestMove(t *testing.T) {
	server := testserver.Redis.Get(t)
	for _, hashed := range []bool{false, true} {
		prefix := fmt.Sprintf("move-%d:", time.Now().UnixNano())
		path := filepath.Join(t.TempDir(), "sessions.db")
		old, before := open(t, session.Options{HashIDs: hashed, Initer: sqlite.Initer(), Config: sqlite.Config{DSN: path, InitTable: true}})
		site := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { before.ServeHTTP(w, r) })
		phone, laptop := sessiontest.NewBrowser(t, site, old), sessiontest.NewBrowser(t, site, old)
		phone.Post("/signin", url.Values{"user": {"ann"}})
		laptop.Post("/signin", url.Values{"user": {"ann"}})
		require.Equal(t, "ann1", phone.Get("/").Body)

		db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
		require.NoError(t, err)
		defer func() { assert.NoError(t, db.Close()) }()
		client := goredis.NewClient(&goredis.Options{Addr: server.Addr})
		defer func() { assert.NoError(t, client.Close()) }()
		n, err := move(t.Context(), db, client, prefix)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, n, 3, "two sessions, and their owner's list")
		n, err = move(t.Context(), db, client, prefix)
		require.NoError(t, err)
		assert.Zero(t, n)

		m, after := open(t, session.Options{HashIDs: hashed, Initer: redis.Initer(), Config: redis.Config{Options: &redis.Options{Addr: server.Addr}, KeyPrefix: prefix}})
		before = after
		assert.Equal(t, "ann2", phone.Get("/").Body)
		list, err := m.Sessions(t.Context(), "ann")
		require.NoError(t, err)
		assert.Len(t, list, 2)
		require.NoError(t, m.EndAll(t.Context(), "ann"))
		assert.Equal(t, "1", laptop.Get("/").Body)
	}
}
