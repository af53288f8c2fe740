// Command api-and-pages has pages and an API for the same users: a cookie for the browser,
// and for each of a user's programs a token, made and revoked on a page.
//
//	curl -H "Authorization: Bearer $TOKEN" localhost:2830/api/me
package main

import (
	"errors"
	"html/template"
	"net/http"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
	"github.com/flamego/session/sqlite"
)

// Token is the session of a program. Handlers of pages take session.Session, those of the
// API a Token, and those that make tokens both.
type (
	Token      interface{ session.Session }
	TokenFlash interface{}
)

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>Tokens</title>
{{if .User}}{{with .New}}<p>Copy this token now, it is not shown again: <code>{{.}}</code></p>{{end}}
<ul>{{range .Tokens}}
<li>{{.Label}}, last used {{.LastSeen.Format "2006-01-02"}}
<form method="post" action="/revoke"><button name="handle" value="{{.Handle}}">Revoke</button></form>{{end}}
</ul>
<form method="post" action="/tokens"><input name="label" aria-label="For which program"> <button>New token</button></form>
<form method="post" action="/signout"><button>Sign out everywhere, programs too</button></form>
{{else}}<form method="post" action="/signin"><input name="name" aria-label="Name"> <button>Sign in</button></form>
{{end}}`))

func main() {
	pages, err := session.NewManager(pageOptions("app.db"))
	if err != nil {
		panic(err)
	}
	api, err := session.NewManager(apiOptions("app.db"))
	if err != nil {
		panic(err)
	}
	(&app{pages, api}).routes().Run()
}

// The two share a table. An ID of one is nothing to the other, so nobody can use a cookie
// as a token, or the other way round.
func pageOptions(dsn string) session.Options {
	return session.Options{Initer: sqlite.Initer(), Config: sqlite.Config{DSN: dsn, InitTable: true}}
}

func apiOptions(dsn string) session.Options {
	return session.Options{
		Initer:    sqlite.Initer(),
		Config:    sqlite.Config{DSN: dsn, InitTable: true, Lifetime: 90 * 24 * time.Hour},
		Transport: session.BearerTransport(),
	}
}

type app struct{ pages, api *session.Manager }

func (a *app) routes() *flamego.Flame {
	f := flamego.Classic()
	cookie, token := a.pages.Sessioner(), session.SessionerAs[Token, TokenFlash](a.api)
	f.Get("/", cookie, func(c flamego.Context, s session.Session) error { return a.show(c, s, "") })
	f.Post("/signin", cookie, signIn)
	f.Post("/tokens", cookie, token, a.makeToken)
	f.Post("/revoke", cookie, a.revoke)
	f.Post("/signout", cookie, a.signOut)
	f.Get("/api/me", token, me)
	return f
}

func (a *app) show(c flamego.Context, s session.Session, newToken string) error {
	tokens, err := a.api.Sessions(c.Request().Context(), session.Owner(s))
	if err != nil {
		return err
	}
	return page.Execute(c.ResponseWriter(), map[string]any{"User": session.Owner(s), "Tokens": tokens, "New": newToken})
}

// signIn would also check a password.
func signIn(c flamego.Context, r *http.Request, s session.Session) error {
	if err := session.SetOwner(s, r.PostFormValue("name")); err != nil { // With a new ID.
		return err
	}
	c.Redirect("/", http.StatusSeeOther)
	return nil
}

// makeToken begins a session for a program, on a page of its user.
func (a *app) makeToken(c flamego.Context, r *http.Request, s session.Session, t Token) error {
	user := session.Owner(s)
	if user == "" {
		c.Redirect("/", http.StatusSeeOther)
		return nil
	}
	session.SetLabel(t, r.PostFormValue("label"))
	if err := session.SetOwner(t, user); err != nil {
		return err
	}
	// From now on, signing out finds the token. If the user has just signed out elsewhere,
	// this page is nobody's any more, and the token must not stay.
	err := session.Commit(r.Context(), t)
	if err == nil {
		err = session.Refresh(r.Context(), s)
	}
	if err == nil {
		return a.show(c, s, t.ID())
	}
	session.Destroy(t)
	if !errors.Is(err, session.ErrEnded) {
		return err
	}
	c.Redirect("/", http.StatusSeeOther)
	return nil
}

func (a *app) revoke(c flamego.Context, r *http.Request, s session.Session) error {
	err := a.api.End(r.Context(), session.Owner(s), r.PostFormValue("handle"))
	if err != nil && !errors.Is(err, session.ErrNotFound) { // Gone is gone.
		return err
	}
	c.Redirect("/", http.StatusSeeOther)
	return nil
}

// signOut ends the pages first: they could make tokens.
func (a *app) signOut(c flamego.Context, r *http.Request, s session.Session) error {
	for _, m := range []*session.Manager{a.pages, a.api} {
		if err := m.EndAll(r.Context(), session.Owner(s)); err != nil {
			return err
		}
	}
	session.Destroy(s) // Which also removes the cookie.
	c.Redirect("/", http.StatusSeeOther)
	return nil
}

func me(c flamego.Context, t Token) (int, string) {
	if session.Owner(t) == "" {
		c.ResponseWriter().Header().Set("WWW-Authenticate", "Bearer")
		return http.StatusUnauthorized, "make a token on the page\n"
	}
	return http.StatusOK, session.Owner(t) + "\n"
}
