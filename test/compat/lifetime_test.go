package compat

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/test/compat/legacy/app"
)

// What we keep in a record next to the data does not disturb v1.6.6, and is still
// there when v1.6.6 has written the session.
func TestLifetimes(t *testing.T) {
	for _, st := range storages {
		t.Run(st.name, func(t *testing.T) {
			cfg := st.config(t)
			cfg.IDLength = 16
			theirs := startLegacy(t, cfg)
			opt := app.Options(cfg)
			opt.AbsoluteLifetime = 72 * time.Hour
			opt.ErrorFunc = func(err error) { t.Errorf("ours: %v", err) }
			m, err := session.NewManager(opt)
			require.NoError(t, err)
			srv := httptest.NewServer(app.New(m.Sessioner()))
			t.Cleanup(func() {
				srv.Close()
				require.NoError(t, m.Close(context.Background()))
			})
			ours := &server{name: "ours", url: srv.URL, m: m}

			v := newVisitor(t)
			v.want("set", ours, "/set", "k", "k", "v", "ours")
			s, err := m.Store().Read(t.Context(), v.id())
			require.NoError(t, err)
			require.NoError(t, session.Remember(s, 48*time.Hour))
			require.NoError(t, m.Store().Save(t.Context(), s))
			v.want("ours", theirs, "/get", "k", "k")
			v.want("set", theirs, "/set", "k", "k", "v", "theirs")
			v.want("theirs", ours, "/get", "k", "k")

			s, err = m.Store().Read(t.Context(), v.id())
			require.NoError(t, err)
			assert.Equal(t, int64(48*time.Hour), s.Get("flamego::session::lifetime"))
			assert.Equal(t, int64(48*60*60), s.Get("flamego::session::remember"))
			created, ok := session.Get[int64](s, "flamego::session::created")
			require.True(t, ok)
			assert.WithinDuration(t, time.Now(), time.UnixMilli(created), time.Minute)

			backAndForth(newVisitor(t), ours, theirs, "ann")
			backAndForth(newVisitor(t), theirs, ours, "bob")
		})
	}
}
