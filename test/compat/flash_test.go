package compat

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// What AddFlash leaves is no obstacle to v1.6.6, even in a process that knows no type
// but Go's basic ones. It shows none of it, hands it back, and what it leaves itself
// comes after it.
func TestAddedFlashes(t *testing.T) {
	for _, st := range storages {
		for _, json := range []bool{false, true} {
			t.Run(fmt.Sprint(st.name, "/json ", json), func(t *testing.T) {
				cfg := st.config(t)
				cfg.IDLength, cfg.JSON, cfg.Bare = 16, json, true
				old, ours := startLegacy(t, cfg), startOurs(t, cfg)
				shows := flamego.NewWithLogger(io.Discard)
				shows.Get("/flashes", ours.m.Sessioner(), func(s session.Session) string { return fmt.Sprint(session.Flashes(s)) })
				srv := httptest.NewServer(shows)
				defer srv.Close()
				page := &server{name: "ours", url: srv.URL}
				v := newVisitor(t)
				add := func(vals ...any) {
					t.Helper()
					require.NoError(t, ours.m.Edit(context.Background(), v.id(), func(s session.Session) error {
						for _, val := range vals {
							session.AddFlash(s, val)
						}
						return nil
					}))
				}
				v.want("set", ours, "/set", "k", "k", "v", "1")
				add("one", 2, "three")
				v.want("1", old, "/get", "k", "k")
				v.want("nothing", old, "/show")
				v.want("set", old, "/set", "k", "k", "v", "2")
				v.want("[one 2 three]", page, "/flashes")
				v.want("[]", page, "/flashes")
				v.want("2", ours, "/get", "k", "k")

				add("one")
				v.want("to be shown", old, "/flash", "v", "two")
				v.want("[one two]", page, "/flashes")
				add("one")
				v.want("to be shown", old, "/flash", "v", "two")
				v.want("two", old, "/show")
				v.want("[one]", page, "/flashes")
			})
		}
	}
}
