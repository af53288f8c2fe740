package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// TestIniterArguments has an Initer that refuses unknown arguments, as those of
// applications do.
func TestIniterArguments(t *testing.T) {
	type config struct{ n int }
	a := newApp(t, func(o *session.Options) {
		o.Config = config{1}
		o.Initer = func(_ context.Context, args ...interface{}) (session.Store, error) {
			for _, arg := range args {
				switch arg.(type) {
				case config, session.IDWriter:
				default:
					return nil, fmt.Errorf("unknown argument %T", arg)
				}
			}
			assert.Len(t, args, 2)
			return &plainStore{rows: make(map[string][]byte)}, nil
		}
	})
	require.NotNil(t, a.m)
}

// signIns are the ways in which handlers written for v1.6.6 get rid of the old ID.
var signIns = map[string]func(flamego.Context, session.Session, session.Store){
	"after": func(c flamego.Context, s session.Session, st session.Store) {
		old := s.ID()
		_ = s.RegenerateID(c.ResponseWriter(), c.Request().Request)
		_ = st.Destroy(c.Request().Context(), old)
		s.Set("user", "ann")
	},
	"after, set first": func(c flamego.Context, s session.Session, st session.Store) {
		s.Set("user", "ann")
		old := s.ID()
		_ = s.RegenerateID(c.ResponseWriter(), c.Request().Request)
		_ = st.Destroy(c.Request().Context(), old)
	},
	"before": func(c flamego.Context, s session.Session, st session.Store) {
		_ = st.Destroy(c.Request().Context(), s.ID())
		_ = s.RegenerateID(c.ResponseWriter(), c.Request().Request)
		s.Set("user", "ann")
	},
	"before, set first": func(c flamego.Context, s session.Session, st session.Store) {
		s.Set("user", "ann")
		_ = st.Destroy(c.Request().Context(), s.ID())
		_ = s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	},
	"before, set between": func(c flamego.Context, s session.Session, st session.Store) {
		_ = st.Destroy(c.Request().Context(), s.ID())
		s.Set("user", "ann")
		_ = s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	},
}

// TestSignInThatDestroysTheOldID signs in with every kind of Store.
func TestSignInThatDestroysTheOldID(t *testing.T) {
	stores := map[string]func(*session.Options){
		"memory": func(o *session.Options) { o.Initer = nil },
		"file": func(o *session.Options) {
			o.Initer, o.Config = session.FileIniter(), session.FileConfig{RootDir: t.TempDir()}
		},
		"backend": func(*session.Options) {},
		"the application's own": func(o *session.Options) {
			o.Initer = func(_ context.Context, args ...interface{}) (session.Store, error) {
				return &plainStore{rows: make(map[string][]byte), idWriter: args[1].(session.IDWriter)}, nil
			}
		},
	}
	for store, change := range stores {
		for order, signIn := range signIns {
			t.Run(store+", "+order, func(t *testing.T) {
				a := newApp(t, change)
				a.Get("/cart", func(s session.Session) { s.Set("cart", 1) })
				a.Get("/signin", signIn)
				a.Get("/who", func(s session.Session) string { return fmt.Sprint(s.Get("user")) })
				for _, known := range []bool{true, false} {
					old := ""
					if known {
						_, old = a.get("/cart", "")
					}
					_, id := a.get("/signin", old)
					require.NotEmpty(t, id)
					require.NotEqual(t, old, id)
					rec, _ := a.get("/who", id)
					assert.Equal(t, "ann", rec.Body.String())
					if known {
						rec, _ = a.get("/who", old)
						assert.Equal(t, "<nil>", rec.Body.String())
					}
				}
			})
		}
	}
}

// TestSignOutThroughStoreAndNewID calls RegenerateID after ending the session, for good
// measure: the user stays signed out.
func TestSignOutThroughStoreAndNewID(t *testing.T) {
	a := newApp(t)
	a.Get("/signin", func(s session.Session) { s.Set("user", "ann") })
	a.Get("/signout", func(c flamego.Context, s session.Session, st session.Store) {
		_ = st.Destroy(c.Request().Context(), s.ID())
		_ = s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	})
	a.Get("/who", func(s session.Session) string { return fmt.Sprint(s.Get("user")) })
	_, id := a.get("/signin", "")
	_, fresh := a.get("/signout", id)
	for _, id := range []string{id, fresh} {
		rec, _ := a.get("/who", id)
		assert.Equal(t, "<nil>", rec.Body.String())
	}
}

// TestNothingAfterErrEnded sets a value after Commit has returned ErrEnded: no other
// session takes the place of the ended one.
func TestNothingAfterErrEnded(t *testing.T) {
	a := newApp(t)
	a.Get("/new", func(s session.Session) { s.Set("k", 1) })
	a.Get("/{how}", func(c flamego.Context, s session.Session) error {
		s.Set("k", 2)
		_ = a.m.Store().Destroy(t.Context(), s.ID()) // Somebody else does.
		require.ErrorIs(t, session.Commit(t.Context(), s), session.ErrEnded)
		switch c.Param("how") {
		case "commit":
			s.Set("k", 3)
			require.ErrorIs(t, session.Commit(t.Context(), s), session.ErrEnded)
		case "id":
			_ = s.ID()
		case "destroy":
			session.Destroy(s)
		case "rotate":
			return s.RegenerateID(c.ResponseWriter(), c.Request().Request)
		}
		s.Set("k", 4)
		return nil
	})
	for how, begins := range map[string]bool{"set": false, "commit": false, "id": false, "destroy": true, "rotate": true} {
		a.b.clear()
		_, id := a.get("/new", "")
		rec, told := a.get("/"+how, id)
		assert.Equal(t, http.StatusOK, rec.Code, how)
		assert.Equal(t, begins, told != "", how)
		assert.Equal(t, begins, len(a.b.records) == 1, how)
	}
}

// TestOwnKeys checks that changing one of the library's own keys is an error, and that
// nothing is stored.
func TestOwnKeys(t *testing.T) {
	changes := map[string]func(session.Session){
		"Set":    func(s session.Session) { s.Set("flamego::session::created", int64(1)) },
		"Delete": func(s session.Session) { s.Delete("flamego::session::lifetime") },
		"Update": func(s session.Session) {
			session.Update(s, "flamego::session::remember", func(int64) int64 { return 1 })
		},
		"Pop":    func(s session.Session) { session.Pop[string](s, "flamego::session::place") },
		"single": func(s session.Session) { s.Set("flamego::session::flash::0", "forged") },
		"none":   func(s session.Session) { s.Set("flamego::session::", "forged") },
	}
	for name, change := range changes {
		a := newApp(t)
		a.Get("/new", func(s session.Session) { s.Set("k", 1) })
		a.Get("/change", func(s session.Session) {
			s.Set("k", 2)
			change(s)
			assert.ErrorContains(t, session.Commit(t.Context(), s), "the library's own", name)
		})
		a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
		_, id := a.get("/new", "")
		rec, _ := a.get("/change", id)
		assert.Equal(t, http.StatusInternalServerError, rec.Code, name)
		assert.ErrorContains(t, a.errs.last(), "session.SetLifetime", name)
		rec, _ = a.get("/get", id)
		assert.Equal(t, "1", rec.Body.String(), name)
	}
}

// TestSweepPanics panics in the background, where the panic of a storage system would
// end the program.
func TestSweepPanics(t *testing.T) {
	reported := make(chan error, 10)
	for name, initer := range map[string]session.Initer{
		"backend": initer(panickingSweep{newMapBackend()}, session.StoreConfig{}),
		"store": func(context.Context, ...interface{}) (session.Store, error) {
			return panickingGC{&plainStore{}}, nil
		},
	} {
		m, err := session.NewManager(session.Options{Initer: initer, GCInterval: 1e9, ErrorFunc: func(err error) { reported <- err }})
		require.NoError(t, err)
		assert.ErrorContains(t, <-reported, "unavailable", name)
		assert.ErrorContains(t, <-reported, "unavailable", name, "it goes on")
		require.NoError(t, m.Close(t.Context()))
		for len(reported) > 0 {
			<-reported
		}
	}
}

type panickingGC struct{ *plainStore }

func (panickingGC) GC(context.Context) error { panic(errors.New("unavailable")) }
