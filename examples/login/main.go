// Command login has visitors sign in by name, and stay signed in for thirty days
// if they want to. Sessions are in the file app.db in the working folder.
package main

import (
	_ "embed"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
	"github.com/flamego/session/sqlite"
)

const day = 24 * time.Hour

//go:embed page.html
var source string

var page = template.Must(template.New("page").Parse(source))

func main() {
	m, err := session.NewManager(options("app.db"))
	if err != nil {
		panic(err)
	}
	newApp(m).Run()
}

func options(dsn string) session.Options {
	return session.Options{
		Initer: sqlite.Initer(),
		Config: sqlite.Config{
			DSN:       dsn,
			InitTable: true,
			Lifetime:  time.Hour, // without a visit, for who is not remembered
		},
		// Everybody signs in again after three months, used or not.
		AbsoluteLifetime: 90 * day,
	}
}

func newApp(m *session.Manager) *flamego.Flame {
	f := flamego.Classic()
	f.Use(m.Sessioner())
	f.Get("/", home)
	f.Combo("/login").Get(askName).Post(signIn)
	f.Post("/logout", signOut)
	return f
}

func home(c flamego.Context, s session.Session) error {
	name, ok := session.Get[string](s, "username")
	if !ok {
		c.Redirect("/login", http.StatusSeeOther)
		return nil
	}
	return page.ExecuteTemplate(c.ResponseWriter(), "home", name)
}

func askName(c flamego.Context, s session.Session) error {
	return page.ExecuteTemplate(c.ResponseWriter(), "login", s.Get("username"))
}

func signIn(c flamego.Context, s session.Session) error {
	name := strings.TrimSpace(c.Request().PostFormValue("username"))
	if name == "" || len(name) > 100 {
		c.Redirect("/login", http.StatusSeeOther)
		return nil
	}
	// Here a password would be checked. After that the session gets a new ID: the
	// old one may be known to somebody else, who would be signed in along.
	if err := s.RegenerateID(c.ResponseWriter(), c.Request().Request); err != nil {
		return err
	}
	s.Flush() // What is in it may be of somebody who was signed in before.
	s.Set("username", name)

	// 0 takes back what an earlier sign-in has asked for.
	var stay time.Duration
	if c.Request().PostFormValue("remember") != "" {
		stay = 30 * day
	}
	if err := session.Remember(s, stay); err != nil {
		return err
	}
	c.Redirect("/", http.StatusSeeOther)
	return nil
}

// signOut is for POST only: a link or a picture on another site must not sign
// anybody out.
func signOut(c flamego.Context, s session.Session) {
	session.Destroy(s)
	c.Redirect("/login", http.StatusSeeOther)
}
