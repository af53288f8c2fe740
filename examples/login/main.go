// Command login lets visitors sign in by name, and stay signed in for thirty days if they
// want. Sessions are in the file app.db in the working folder.
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
		MaxSize: 4 << 10, // Nobody fills the store with a long name.
		Initer:  sqlite.Initer(),
		Config: sqlite.Config{
			DSN:       dsn,
			InitTable: true,
			Lifetime:  time.Hour, // idle timeout without Remember
		},
		// Everybody has to sign in again after three months, however active.
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
	// Check a password here. Then:
	s.Flush() // The data may belong to a user who was signed in before.
	// This gives the session a new ID: somebody else may know the old one, and would be signed
	// in too.
	if err := session.SetOwner(s, name); err != nil {
		return err
	}
	s.Set("username", name)

	// 0 undoes what an earlier sign-in asked for.
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

// signOut is for POST only, so that a link or an image on another site cannot sign anybody
// out.
func signOut(c flamego.Context, s session.Session) {
	session.Destroy(s)
	c.Redirect("/login", http.StatusSeeOther)
}
