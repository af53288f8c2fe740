// Command nethttp has handlers and middleware that were written for net/http use the session,
// and answers in its own way when a session cannot be loaded or stored.
package main

import (
	"fmt"
	"log"
	"net/http"
	"strings"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

func main() {
	m, err := session.NewManager(options())
	if err != nil {
		panic(err)
	}
	newApp(m).Run()
}

func options() session.Options {
	return session.Options{
		MaxSize: 4 << 10, // Nobody fills the store with a long name.
		FailureFunc: func(w http.ResponseWriter, r *http.Request, err error) {
			w.Header().Set("Retry-After", "10")
			if strings.HasPrefix(r.URL.Path, "/api/") {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusServiceUnavailable)
				_, _ = fmt.Fprint(w, `{"error":"unavailable"}`)
				return
			}
			http.Error(w, "Please try again in a moment.", http.StatusServiceUnavailable)
		},
	}
}

func newApp(m *session.Manager) *flamego.Flame {
	f := flamego.Classic()
	f.Use(m.Sessioner())
	f.Get("/signin", func(c flamego.Context, s session.Session) error {
		s.Set("name", c.Query("name"))
		return s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	})
	f.Get("/report", session.InContext, http.HandlerFunc(report).ServeHTTP)
	f.Group("/api", func() {
		f.Get("/me", func(s session.Session) string { return fmt.Sprintf("%q", s.Get("name")) })
	}, session.InContext, use(audit))
	return f
}

// report could be any http.Handler.
func report(w http.ResponseWriter, r *http.Request) {
	name, _ := session.Get[string](session.From(r), "name")
	_, _ = fmt.Fprintf(w, "Report for %s", name)
}

// audit is middleware as it is written for net/http.
func audit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if session.From(r).Get("name") == nil {
			http.Error(w, "sign in first", http.StatusUnauthorized)
			return
		}
		log.Print("a call of ", r.URL.Path)
		next.ServeHTTP(w, r)
	})
}

// use has Flamego call such middleware, whose next handler goes on with Flamego's own.
func use(mw func(http.Handler) http.Handler) flamego.Handler {
	return func(c flamego.Context) {
		mw(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.Request().Request = r
			c.Map(r).MapTo(w, (*http.ResponseWriter)(nil))
			c.Next()
		})).ServeHTTP(c.ResponseWriter(), c.Request().Request)
	}
}
