// Command csrf protects the forms of a site with sign-in by tokens of flamego/csrf. It is a
// separate module, since the library does not need csrf.
package main

import (
	"errors"
	"html/template"
	"log"
	"net/http"
	"os"

	"github.com/flamego/csrf"
	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// keyUser is the session key of the signed-in user. csrf has to use the same key; its
// default is "userID".
const keyUser = "userID"

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Notes</title>
{{if .User}}
<p>Hello {{.User}}</p>
<ul>{{range .Notes}}<li>{{.}}</li>{{end}}</ul>
<form method="post" action="/notes">
<input type="hidden" name="_csrf" value="{{.Token}}">
<input name="note" aria-label="Note"> <button>Add</button>
</form>
<form method="post" action="/signout">
<input type="hidden" name="_csrf" value="{{.Token}}">
<button>Sign out</button>
</form>
{{else}}
<form method="post" action="/signin">
<input type="hidden" name="_csrf" value="{{.Token}}">
<input name="name" aria-label="Name"> <button>Sign in</button>
</form>
{{end}}
`))

func main() {
	m, err := session.NewManager(session.Options{MaxSize: 4 << 10}) // Nobody fills the store.
	if err != nil {
		log.Fatal(err)
	}
	app, err := newApp(m, os.Getenv("CSRF_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	app.Run()
}

func newApp(m *session.Manager, secret string) (*flamego.Flame, error) {
	if len(secret) < 32 {
		return nil, errors.New("CSRF_SECRET is shorter than 32 characters: set it to what `openssl rand -hex 32` prints, the same on every server")
	}
	f := flamego.Classic()
	f.Use(m.Sessioner())
	f.Get("/about", func() string { return "A page without forms." })
	f.Group("", func() {
		f.Get("/", home)
		f.Post("/signin", csrf.Validate, signIn)
		f.Post("/notes", csrf.Validate, requireSignIn, addNote)
		f.Post("/signout", csrf.Validate, signOut)
	}, csrf.Csrfer(csrf.Options{
		Secret:     secret,  // The same on every server, also after a restart.
		SessionKey: keyUser, // Where the ID of the user is, whom the token is bound to.
	}))
	return f, nil
}

func home(c flamego.Context, s session.Session, x csrf.CSRF) error {
	notes, _ := session.Get[[]string](s, "notes")
	return page.Execute(c.ResponseWriter(), map[string]any{
		"User": s.Get(keyUser), "Notes": notes, "Token": x.Token(),
	})
}

// signIn would also check a password. It drops what the session held before, such as
// another user's notes, and the token.
func signIn(c flamego.Context, s session.Session) error {
	s.Flush()
	name := c.Request().PostFormValue("name")
	if err := session.SetOwner(s, name); err != nil { // A new ID, on the list of the user's sessions.
		return err
	}
	s.Set(keyUser, name)
	// The page after the redirect has a token for this user. A token in this response
	// would be for nobody.
	c.Redirect("/", http.StatusSeeOther)
	return nil
}

func requireSignIn(c flamego.Context, s session.Session) {
	if s.Get(keyUser) == nil {
		c.Redirect("/", http.StatusSeeOther)
	}
}

func addNote(c flamego.Context, s session.Session) {
	note := c.Request().PostFormValue("note")
	session.Update(s, "notes", func(notes []string) []string {
		return append(notes[:len(notes):len(notes)], note) // A new slice.
	})
	c.Redirect("/", http.StatusSeeOther)
}

func signOut(c flamego.Context, s session.Session) {
	session.Destroy(s)
	c.Redirect("/", http.StatusSeeOther)
}
