package compat

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Servers of both versions work at the same time, collecting all the while, and
// every visitor goes back and forth between them.
func TestMixedFleet(t *testing.T) {
	const visitors, rounds = 8, 12
	for _, st := range storages {
		t.Run(st.name, func(t *testing.T) {
			cfg := st.config(t)
			cfg.IDLength = 16
			cfg.GCInterval = time.Second // The shortest there is.
			theirs := cfg
			if st.name == "mysql" {
				theirs.GCInterval = time.Hour // It deletes without an index, and deadlocks with itself.
			}
			servers := []*server{startLegacy(t, theirs), startOurs(t, cfg)}
			for n := range visitors {
				t.Run(fmt.Sprint("visitor ", n), func(t *testing.T) {
					t.Parallel()
					v := newVisitor(t)
					for round := range rounds {
						a, b := servers[(n+round)%2], servers[(n+round+1)%2]
						backAndForth(v, a, b, fmt.Sprintf("user %d-%d", n, round))
					}
				})
			}
		})
	}
}

// backAndForth is one stay of a visitor, from signing in to signing out.
func backAndForth(v *visitor, a, b *server, user string) {
	v.signIn(a, b, user)
	v.want("filled", b, "/fill")
	v.want("all there", a, "/check")
	v.want("set", a, "/set", "k", "cart", "v", user)
	v.want(user, b, "/get", "k", "cart")
	v.want("to be shown", b, "/flash", "v", user)
	v.want(user, a, "/show")
	v.want("nothing", b, "/show")
	v.signIn(b, a, user+" again") // A new ID, as when rights change.
	v.want("all there", a, "/check")
	v.want(user, b, "/get", "k", "cart")
	v.want("signed out", a, "/signout")
	v.want("nobody", b, "/whoami")
	v.want("nobody", a, "/whoami")
}

// The requests of one page reach servers of both versions at once. v1.6.6 puts
// what it has in the place of what is stored, so changes may get lost, and it
// empties a file before it fills it; but nobody must be found signed out.
func TestOneSessionAtOnce(t *testing.T) {
	const requests = 80
	for _, st := range storages {
		t.Run(st.name, func(t *testing.T) {
			cfg := st.config(t)
			cfg.IDLength = 16
			theirs, ours := startLegacy(t, cfg), startOurs(t, cfg)
			v := newVisitor(t)
			v.signIn(theirs, ours, "ann")
			v.want("filled", ours, "/fill") // Large enough to be written in parts.

			id, done := v.id(), make(chan struct{})
			w := newVisitor(t)
			w.use(id)
			go func() {
				defer close(done)
				for n := range requests {
					assert.Equal(t, http.StatusOK, w.Get(fmt.Sprint(theirs.url, "/set?k=n&v=", n)).Status)
				}
			}()
			// They run until v1.6.6 has had all its requests, and all end before the
			// test goes on.
			t.Run("ours", func(t *testing.T) {
				for n := range 2 {
					t.Run(fmt.Sprint(n), func(t *testing.T) {
						t.Parallel()
						v := newVisitor(t)
						v.use(id)
						for more := true; more; {
							v.want("ann", ours, "/whoami")
							v.want("set", ours, "/set", "k", "ours", "v", "1")
							v.want("all there", ours, "/check")
							select {
							case <-done:
								more = false
							default:
							}
						}
					})
				}
			})
			<-done
			v.want("ann", theirs, "/whoami")
			v.want("all there", ours, "/check")
		})
	}
}

// After the last server of v1.6.6 is gone, IDLength goes too: the sessions that
// it made, whose IDs are shorter than ours, go on.
func TestShortIDsStayValid(t *testing.T) {
	for _, st := range storages {
		t.Run(st.name, func(t *testing.T) {
			cfg := st.config(t)
			theirs, ours := startLegacy(t, cfg), startOurs(t, cfg)
			v := newVisitor(t)
			v.want("set", theirs, "/set", "k", "k", "v", "1")
			id := v.id()
			require.Len(t, id, 16)
			v.want("1", ours, "/get", "k", "k")
			v.want("set", ours, "/set", "k", "k", "v", "2")
			assert.Equal(t, id, v.id())
			v.want("2", ours, "/get", "k", "k")

			v.signIn(ours, ours, "ann")
			assert.Len(t, v.id(), 32, "a new ID has the new length")
			v.want("2", ours, "/get", "k", "k")
			assert.False(t, st.exists(t, cfg, id), "the old record is still there")
		})
	}
}
