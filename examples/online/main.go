// Command online shows how many people are online. A visitor who joins gets a session,
// which ends when they leave, or after five minutes without a request. Its file is deleted
// within another minute.
package main

import (
	"html/template"
	"net/http"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>People online</title>
<p>People online: {{.Online}}</p>
{{if .Here}}<form method="post" action="/leave"><button>Leave</button></form>
{{else}}<form method="post" action="/join"><button>Join</button></form>
{{end}}`))

func main() {
	m, err := session.NewManager(options("online-sessions"))
	if err != nil {
		panic(err)
	}
	newApp(m).Run()
}

func options(dir string) session.Options {
	return session.Options{
		Initer: session.FileIniter(),
		Config: session.FileConfig{
			RootDir:  dir,
			Lifetime: 5 * time.Minute, // since the last request
		},
		// Expired sessions do not count and cannot be used. Their files are deleted in the
		// background, this often.
		GCInterval: time.Minute,
	}
}

func newApp(m *session.Manager) *flamego.Flame {
	f := flamego.Classic()
	f.Use(m.Sessioner())
	f.Get("/", show)
	f.Post("/join", join)
	f.Post("/leave", leave)
	return f
}

// show creates no session; otherwise every robot would count.
func show(c flamego.Context, s session.Session, m *session.Manager) error {
	online, err := m.Count(c.Request().Context())
	if err != nil {
		return err
	}
	_, here := session.Get[time.Time](s, "since")
	return page.Execute(c.ResponseWriter(), map[string]any{"Online": online, "Here": here})
}

func join(c flamego.Context, s session.Session) {
	s.Set("since", time.Now())
	// The session is stored before the redirect leaves: the next page counts it.
	c.Redirect("/", http.StatusSeeOther)
}

func leave(c flamego.Context, s session.Session) {
	session.Destroy(s)
	c.Redirect("/", http.StatusSeeOther)
}
