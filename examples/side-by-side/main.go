// Command side-by-side lets users and administrators sign in separately, in one browser:
// two sessions on one request, each with its own cookie, store, lifetime and flash.
package main

import (
	"html/template"
	"net/http"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
	"github.com/flamego/session/sqlite"
)

// AdminSession and AdminFlash are the handlers' parameters for the second session.
// Separate types keep the two apart: a handler cannot take one for the other by accident.
type (
	AdminSession interface{ session.Session }
	AdminFlash   interface{}
)

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Side by side</title>
{{with .Flash}}<p role="status">{{.}}</p>{{end}}
{{with .AdminFlash}}<p role="status">{{.}}</p>{{end}}
<p>User: {{or .User "nobody"}}</p>
<form method="post" action="/login"><input name="name" aria-label="Name"> <button>Sign in</button></form>
<form method="post" action="/logout"><button>Sign out</button></form>
<p>Administrator: {{or .Admin "nobody"}}</p>
<form method="post" action="/admin/login"><input name="name" aria-label="Name"> <button>Sign in</button></form>
<form method="post" action="/admin/logout"><button>Sign out</button></form>
`))

func main() {
	users, err := session.NewManager(userOptions("app.db"))
	if err != nil {
		panic(err)
	}
	admins, err := session.NewManager(adminOptions())
	if err != nil {
		panic(err)
	}
	newApp(users, admins).Run()
}

func userOptions(dsn string) session.Options {
	return session.Options{
		MaxSize:    4 << 10, // Nobody fills the store with a long name.
		TakesFlash: session.Navigation,
		Initer:     sqlite.Initer(),
		Config:     sqlite.Config{DSN: dsn, InitTable: true, Lifetime: 8 * time.Hour},
	}
}

// adminOptions are stricter: a restart signs administrators out, and so does a quarter of
// an hour without a request, and the end of the day.
func adminOptions() session.Options {
	return session.Options{
		MaxSize:          4 << 10, // Nobody fills the store with a long name.
		TakesFlash:       session.Navigation,
		Config:           session.MemoryConfig{Lifetime: 15 * time.Minute},
		AbsoluteLifetime: 8 * time.Hour,
		Cookie:           session.CookieOptions{Name: "admin", SameSite: http.SameSiteStrictMode},
	}
}

func newApp(users, admins *session.Manager) *flamego.Flame {
	f := flamego.Classic()
	f.Use(users.Sessioner(), session.SessionerAs[AdminSession, AdminFlash](admins))
	f.Get("/", home)
	f.Post("/login", signIn)
	f.Post("/logout", signOut)
	f.Group("/admin", func() {
		f.Post("/login", signInAdmin)
		f.Post("/logout", signOutAdmin)
	})
	return f
}

func home(c flamego.Context, s session.Session, as AdminSession, flash session.Flash, af AdminFlash) error {
	return page.Execute(c.ResponseWriter(), map[string]any{
		"User": s.Get("name"), "Flash": flash, "Admin": as.Get("name"), "AdminFlash": af,
	})
}

func signIn(c flamego.Context, s session.Session) error {
	return enter(c, s, "Welcome.")
}

func signInAdmin(c flamego.Context, as AdminSession) error {
	return enter(c, as, "You may do anything now.")
}

// enter signs in to one of the two sessions. It would also check a password.
func enter(c flamego.Context, s session.Session, welcome string) error {
	name := c.Request().PostFormValue("name")
	if err := session.SetOwner(s, name); err != nil { // A new ID, on the list of the user's sessions.
		return err
	}
	s.Set("name", name)
	s.SetFlash(welcome)
	c.Redirect("/", http.StatusSeeOther)
	return nil
}

func signOut(c flamego.Context, s session.Session) {
	session.Destroy(s)
	c.Redirect("/", http.StatusSeeOther)
}

func signOutAdmin(c flamego.Context, as AdminSession) {
	session.Destroy(as)
	c.Redirect("/", http.StatusSeeOther)
}
