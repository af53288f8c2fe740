// Command custom-id has clients that send the session ID in a way of their own,
// "Authorization: Token …", and expect it in the header X-Token: ReadIDFunc and
// WriteIDFunc do what no Transport does.
package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

func main() {
	newApp().Run()
}

func newApp() *flamego.Flame {
	f := flamego.Classic()
	f.Use(session.Sessioner(session.Options{
		// What does not look like an ID counts as none, so there is nothing to check.
		ReadIDFunc: func(r *http.Request) string {
			id, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Token ")
			return id
		},
		// Called before the first byte of a response that tells a new ID, and, with
		// created false, of every one to a client that has named a session.
		WriteIDFunc: func(w http.ResponseWriter, r *http.Request, sid string, created bool) {
			if created {
				w.Header().Set("X-Token", sid)
			}
		},
	}))
	f.Post("/items", func(c flamego.Context, s session.Session) string {
		item := c.Request().PostFormValue("item")
		items := session.Update(s, "items", func(items []string) []string {
			// A new slice: values in a session are not changed in place.
			return append(items[:len(items):len(items)], item)
		})
		return fmt.Sprint(len(items))
	})
	f.Get("/items", func(s session.Session) string {
		items, _ := session.Get[[]string](s, "items")
		return strings.Join(items, ", ")
	})
	f.Delete("/items", func(c flamego.Context, s session.Session) {
		// There is no function for the end of a session: the client is told by the
		// status, and forgets the ID.
		session.Destroy(s)
		c.ResponseWriter().WriteHeader(http.StatusNoContent)
	})
	return f
}
