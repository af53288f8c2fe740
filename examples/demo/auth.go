package main

import (
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// What the session holds of a signed-in visitor, by key. Values under separate
// keys are merged when requests change them at the same time.
const (
	keyUser     = "user"      // string
	keySince    = "since"     // time.Time
	keyVisits   = "visits"    // int
	keyReturnTo = "return_to" // string, before signing in
)

// user is who is signed in. Handlers behind requireSignIn take it as a parameter.
type user struct {
	Name  string
	Since time.Time
}

// requireSignIn lets nobody through who is not signed in, and remembers where
// they wanted to go.
func requireSignIn(c flamego.Context, s session.Session) {
	name, ok := session.Get[string](s, keyUser)
	if ok {
		since, _ := session.Get[time.Time](s, keySince)
		c.Map(user{Name: name, Since: since})
		return
	}
	// A form that was posted can't be asked for again.
	if c.Request().Method == http.MethodGet {
		s.Set(keyReturnTo, returnTo(c.Request().URL.RequestURI()))
	}
	s.SetFlash("Please sign in to see that page.")
	c.Redirect("/signin", http.StatusSeeOther)
}

// returnTo is the target if every browser stays on this site with it, or the home
// page. Browsers take //host for another site, and \ for /, and they drop tabs and
// newlines, so that what was asked for as /\host or with a tab in it leads there as
// well. Whoever makes a link chooses what the visitor asks for: such a redirect
// after signing in would lend this site's good name to theirs.
func returnTo(target string) string {
	if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") {
		return "/"
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c == 0x7f || c == '\\' {
			return "/"
		}
	}
	return target
}

// askName shows the form, which makes no session yet.
func askName(c flamego.Context, s session.Session, v *view) error {
	if _, ok := session.Get[string](s, keyUser); ok {
		c.Redirect("/account", http.StatusSeeOther)
		return nil
	}
	return v.show(http.StatusOK, "signin", signInForm{})
}

// maxName is in characters.
const maxName = 40

// signInForm is shown again, with what was typed and what is wrong with it.
type signInForm struct {
	Name, Error string
}

func (signInForm) MaxName() int { return maxName }

// readSignInForm checks again what the form's own attributes ask of the browser,
// since not everything that posts is a browser.
func readSignInForm(c flamego.Context) signInForm {
	f := signInForm{Name: strings.TrimSpace(c.Request().PostFormValue("name"))}
	switch {
	case f.Name == "":
		f.Error = "Enter a name. Any name will do."
	case !utf8.ValidString(f.Name) || utf8.RuneCountInString(f.Name) > maxName:
		f.Error = "Enter a shorter name, of 40 characters at most."
	}
	return f
}

// signIn would check a password, if this were not a demo.
func signIn(c flamego.Context, s session.Session, v *view) error {
	form := readSignInForm(c)
	if form.Error != "" {
		return v.show(http.StatusUnprocessableEntity, "signin", form)
	}
	// Somebody who knows this browser's ID, for example because they planted it, must not
	// be signed in too. The data moves to a new ID.
	if err := s.RegenerateID(c.ResponseWriter(), c.Request().Request); err != nil {
		return err
	}
	s.Set(keyUser, form.Name)
	s.Set(keySince, time.Now())
	s.Set(keyVisits, 0) // They may be those of a user who was signed in before.
	s.SetFlash("Welcome, " + form.Name + ".")

	to, _ := session.Pop[string](s, keyReturnTo)
	// 303 See Other: reloading the next page doesn't post the form again.
	c.Redirect(returnTo(to), http.StatusSeeOther)
	return nil
}

// signOut ends the session on the server. Removing the cookie alone would leave a
// copy of it signed in.
func signOut(c flamego.Context, s session.Session) {
	session.Destroy(s)
	// The session has ended. This goes into a new one, with a new ID.
	s.SetFlash("You are signed out.")
	c.Redirect("/", http.StatusSeeOther)
}
