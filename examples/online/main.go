// Command online shows how many people are there. Whoever joins has a session,
// which ends when they leave, or have not been seen for five minutes. Its file is
// deleted within a minute more.
package main

import (
	"html/template"
	"net/http"
	"os"
	"path/filepath"
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
	m, err := session.NewManager(options(filepath.Join(os.TempDir(), "flamego-online")))
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
		// Expired sessions don't count, and can't be used. Their files are deleted this
		// often, in the background.
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

// show makes no session: or else every robot would be somebody online.
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
