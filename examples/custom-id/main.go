// Command custom-id has a transport of its own. Clients send the session ID as
// "Authorization: Token …", and expect it in the header X-Token: no Transport does that, so
// it uses ReadIDFunc and WriteIDFunc.
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
		// Called with created true before the first byte of a response with a new ID, and
		// with created false, before the handlers, for a request that brought a live one.
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
		// There is no function for the end of a session: the status tells the client, which
		// drops the ID.
		session.Destroy(s)
		c.ResponseWriter().WriteHeader(http.StatusNoContent)
	})
	return f
}
