// Command url-ids works in browsers without cookies: every link, form and redirect carries
// the session ID. Browsers with cookies get clean URLs.
//
// An ID in a URL is easily given away. Use this only if you must.
package main

import (
	_ "embed"
	"html/template"
	"net/http"
	"strings"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

//go:embed page.html
var source string

// The function sessionURL puts the ID into a URL, if it has to be there.
var page = template.Must(template.New("page").Funcs(session.TemplateFuncs()).Parse(source))

func main() {
	m, err := session.NewManager(options())
	if err != nil {
		panic(err)
	}
	newApp(m).Run()
}

func options() session.Options {
	return session.Options{
		MaxSize:   4 << 10, // Nobody fills the store with a long name.
		Transport: session.FirstOf(session.CookieTransport(), session.QueryTransport("sid")),
	}
}

func newApp(m *session.Manager) *flamego.Flame {
	// Not flamego.Classic: its logger writes full URLs, including IDs.
	f := flamego.New()
	f.Use(flamego.Recovery(), m.Sessioner())
	f.Get("/", home)
	f.Get("/count", count)
	f.Post("/login", signIn)
	f.Post("/logout", signOut)
	return f
}

// data is what the pages show. The session is in it for sessionURL.
func data(s session.Session) map[string]any {
	return map[string]any{"Session": s, "Name": s.Get("username"), "Count": s.Get("countnum")}
}

func home(c flamego.Context, s session.Session) error {
	return page.ExecuteTemplate(c.ResponseWriter(), "home", data(s))
}

func count(c flamego.Context, s session.Session) error {
	if s.Get("username") == nil {
		c.Redirect(session.URL(s, "/"), http.StatusSeeOther)
		return nil
	}
	session.Update(s, "countnum", func(n int) int { return n + 1 })
	return page.ExecuteTemplate(c.ResponseWriter(), "count", data(s))
}

func signIn(c flamego.Context, s session.Session) error {
	name := strings.TrimSpace(c.Request().PostFormValue("username"))
	if name == "" || len(name) > 100 {
		c.Redirect(session.URL(s, "/"), http.StatusSeeOther)
		return nil
	}
	s.Flush()
	// After this, the session has another ID. That matters even more here: anybody can share a
	// link with an ID that they know.
	if err := session.SetOwner(s, name); err != nil {
		return err
	}
	s.Set("username", name)
	c.Redirect(session.URL(s, "/count"), http.StatusSeeOther) // With the new ID.
	return nil
}

func signOut(c flamego.Context, s session.Session) {
	session.Destroy(s)
	c.Redirect(session.URL(s, "/"), http.StatusSeeOther) // Without one.
}
