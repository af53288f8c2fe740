// Command opt-out has requests that sessions are none of the business of: some are served
// without the middleware, and one reads the session without keeping it alive.
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
<title>Inbox</title>
<link rel="stylesheet" href="/style.css">
{{with .Name}}<p>Hello {{.}}</p>
<p>Unread: <output></output></p>
<script>
setInterval(async () => { document.querySelector("output").value = await (await fetch("/unread")).text() }, 60_000)
</script>
{{else}}<form method="post" action="/signin"><input name="name" aria-label="Name"> <button>Sign in</button></form>
{{end}}`))

func main() {
	m, err := session.NewManager(options())
	if err != nil {
		panic(err)
	}
	newApp(m).Run()
}

func options() session.Options {
	return session.Options{
		MaxSize: 4 << 10, // Nobody fills the store with a long name.
		Config:  session.MemoryConfig{Lifetime: 20 * time.Minute},
		// An open page asks every minute. It would keep its visitor signed in for good.
		Passive: func(r *http.Request) bool { return r.URL.Path == "/unread" },
	}
}

func newApp(m *session.Manager) *flamego.Flame {
	f := flamego.Classic()

	// No session is looked for here, whatever the request brings, and a shared cache may
	// keep the style sheet: the response does not depend on the cookie.
	f.Get("/healthz", func() string { return "ok" })
	f.Get("/style.css", func(c flamego.Context) string {
		c.ResponseWriter().Header().Set("Content-Type", "text/css")
		c.ResponseWriter().Header().Set("Cache-Control", "public, max-age=3600")
		return "body { font-family: sans-serif }"
	})

	// f.Use would have been for all routes.
	f.Group("", func() {
		f.Get("/", home)
		f.Get("/unread", unread)
		f.Post("/signin", signIn)
	}, m.Sessioner())
	return f
}

func home(c flamego.Context, s session.Session) error {
	return page.Execute(c.ResponseWriter(), map[string]any{"Name": s.Get("name")})
}

func unread(s session.Session) (int, string) {
	if s.Get("name") == nil {
		return http.StatusUnauthorized, "sign in first"
	}
	return http.StatusOK, "3"
}

// signIn would also check a password.
func signIn(c flamego.Context, r *http.Request, s session.Session) error {
	name := r.PostFormValue("name")
	if err := session.SetOwner(s, name); err != nil { // A new ID, on the list of the user's sessions.
		return err
	}
	s.Set("name", name)
	c.Redirect("/", http.StatusSeeOther)
	return nil
}
