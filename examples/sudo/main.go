// Command sudo asks for the password again before the account can be deleted, unless it was
// given in the last ten minutes (OWASP ASVS 5.0 7.5.3): whoever finds an unlocked computer
// can look, but not destroy.
package main

import (
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

const recent = 10 * time.Minute

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Account</title>
{{with .Flash}}<p role="status">{{.}}</p>{{end}}
{{if eq .Page "password"}}<form method="post" action="/password">
{{if .User}}<p>{{.User}}, enter your password again to go on.</p>
{{else}}<label>Name <input name="name"></label>{{end}}
<label>Password <input type="password" name="password"></label> <button>Go on</button>
</form>
{{else if eq .Page "delete"}}<form method="post" action="/delete"><button>Delete my account</button></form>
{{else}}<p>Hello {{.User}}</p><p><a href="/delete">Delete my account…</a></p>
{{end}}`))

func main() {
	m, err := session.NewManager(session.Options{
		TakesFlash: session.Navigation,
		MaxSize:    4 << 10, // Nobody fills the store.
	})
	if err != nil {
		panic(err)
	}
	newApp(m, time.Now).Run()
}

// rightPassword stands for a look into your table of users.
func rightPassword(name, password string) bool { return name == "ann" && password == "open sesame" }

func newApp(m *session.Manager, now func() time.Time) *flamego.Flame {
	f := flamego.Classic()
	f.Use(m.Sessioner())
	f.Get("/", within(8*time.Hour, now), show("home"))
	f.Combo("/password").Get(show("password")).Post(enterPassword(now))
	f.Combo("/delete", within(recent, now)).Get(show("delete")).Post(deleteAccount)
	return f
}

func show(name string) flamego.Handler {
	return func(c flamego.Context, s session.Session, flash session.Flash) error {
		return page.Execute(c.ResponseWriter(), map[string]any{"Page": name, "User": s.Get("user"), "Flash": flash})
	}
}

// within lets through who has entered the password in that time. All others do it now, and
// come back to the page. A form is not posted again for them: they see it once more.
func within(d time.Duration, now func() time.Time) flamego.Handler {
	return func(c flamego.Context, s session.Session) {
		if at, ok := session.Get[time.Time](s, "password at"); ok && now().Sub(at) < d {
			return
		}
		// Here, and not in the form, where anybody could write it. To browsers //host and /\host are
		// other sites, and whoever makes a link chooses its path.
		s.Set("go on to", "/"+strings.TrimLeft(c.Request().URL.EscapedPath(), "/"))
		c.Redirect("/password", http.StatusSeeOther)
	}
}

func enterPassword(now func() time.Time) flamego.Handler {
	return func(c flamego.Context, r *http.Request, s session.Session) error {
		user, known := session.Get[string](s, "user")
		if !known {
			user = r.PostFormValue("name")
		}
		if !rightPassword(user, r.PostFormValue("password")) {
			s.SetFlash("That is not the password.")
			c.Redirect("/password", http.StatusSeeOther)
			return nil
		}
		// The session may do more now, so its ID must be one that nobody can have seen.
		if err := s.RegenerateID(c.ResponseWriter(), r); err != nil {
			return err
		}
		if err := session.SetOwner(s, user); err != nil {
			return err
		}
		s.Set("user", user)
		s.Set("password at", now())
		to, ok := session.Pop[string](s, "go on to")
		if !ok {
			to = "/"
		}
		c.Redirect(to, http.StatusSeeOther)
		return nil
	}
}

func deleteAccount(s session.Session) string {
	session.Destroy(s)
	return "Your account is gone."
}
