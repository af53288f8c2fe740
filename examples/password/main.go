// Command password lets people change their password, which signs them out everywhere else:
// whoever knew the old one is out, on every server.
package main

import (
	"html/template"
	"net/http"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Password</title>
{{with .Flash}}<p role="status">{{.}}</p>{{end}}
{{if .User}}<p>Hello {{.User}}. Devices: {{.Devices}}</p>
<form method="post" action="/password">
<label>Password now <input type="password" name="old"></label>
<label>New password <input type="password" name="new"></label> <button>Change</button>
</form>
{{else}}<form method="post" action="/signin">
<label>Name <input name="name" value="ann"></label>
<label>Password <input type="password" name="password"></label> <button>Sign in</button>
</form>
{{end}}`))

func main() {
	m, err := session.NewManager(session.Options{TakesFlash: session.Navigation})
	if err != nil {
		panic(err)
	}
	newApp(m, newAccounts()).Run()
}

func newApp(m *session.Manager, a *accounts) *flamego.Flame {
	f := flamego.Classic()
	f.Use(m.Sessioner())
	f.Map(a)
	f.Use(current)
	f.Get("/", home)
	f.Post("/signin", signIn)
	f.Post("/password", changePassword)
	return f
}

func home(c flamego.Context, s session.Session, flash session.Flash, m *session.Manager) error {
	devices, err := m.Sessions(c.Request().Context(), session.Owner(s))
	if err != nil {
		return err
	}
	return page.Execute(c.ResponseWriter(), map[string]any{"Flash": flash, "User": session.Owner(s), "Devices": len(devices)})
}

// current signs out whose password has changed since the session began. EndAll has ended those
// that had begun by then. A sign-in that had checked the old password, and nothing more, it
// could not know of.
func current(s session.Session, a *accounts) {
	user := session.Owner(s)
	if user == "" {
		return
	}
	if version, _ := session.Get[int](s, "password version"); version != a.version(user) {
		session.Destroy(s)
	}
}

func signIn(c flamego.Context, r *http.Request, s session.Session, a *accounts) error {
	name := r.PostFormValue("name")
	version := a.check(name, r.PostFormValue("password"))
	if version == 0 {
		s.SetFlash("That is not the password.")
		c.Redirect("/", http.StatusSeeOther)
		return nil
	}
	s.Flush() // The data may belong to a user who was signed in before.
	if err := session.SetOwner(s, name); err != nil {
		return err
	}
	s.Set("password version", version) // The one that was checked, which may have changed by now.
	c.Redirect("/", http.StatusSeeOther)
	return nil
}

func changePassword(c flamego.Context, r *http.Request, s session.Session, m *session.Manager, a *accounts) error {
	owner := session.Owner(s)
	if a.check(owner, r.PostFormValue("old")) == 0 {
		s.SetFlash("That is not the password.")
		c.Redirect("/", http.StatusSeeOther)
		return nil
	}
	// First of all, so that nobody signs in with the old one after the others are ended.
	s.Set("password version", a.change(owner, r.PostFormValue("new")))
	if err := m.EndAll(r.Context(), owner, session.Handle(s)); err != nil {
		return err
	}
	// Somebody may have this session's ID as well.
	if err := s.RegenerateID(c.ResponseWriter(), r); err != nil {
		return err
	}
	s.SetFlash("Your password is changed, and all other devices are signed out.")
	c.Redirect("/", http.StatusSeeOther)
	return nil
}
