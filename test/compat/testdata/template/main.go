// An application that has its pages rendered by flamego/template, and asks for
// nothing but that and sessions.
package main

import (
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/flamego/flamego"
	"github.com/flamego/session"
	"github.com/flamego/template"
)

func main() {
	f := flamego.New()
	f.Use(template.Templater())
	f.Use(session.Sessioner())
	f.Get("/", func(s session.Session) string {
		s.Set("user", "anna")
		return "ok"
	})
	w := httptest.NewRecorder()
	f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusOK || w.Header().Get("Set-Cookie") == "" {
		os.Exit(1)
	}
}
