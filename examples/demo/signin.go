package main

import (
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

const (
	keyReturnTo = "return_to" // string; the path that a visitor asked for before signing in
	keyStay     = "stay"      // time.Duration; of those who stay signed in, the idle timeout
)

// rememberFor is how long "stay signed in" lasts from one visit to the next.
const rememberFor = 30 * 24 * time.Hour

// signedIn is whose session it is. That is all that signing in leaves in a session.
func signedIn(s session.Session, a *accounts) (user, bool) {
	return a.find(session.Owner(s))
}

// requireSignIn lets nobody through who is not signed in, and remembers where
// they wanted to go.
func requireSignIn(c flamego.Context, s session.Session, a *accounts) {
	if u, ok := signedIn(s, a); ok {
		c.Map(u)
		return
	}
	// A form that was posted can't be asked for again.
	if c.Request().Method == http.MethodGet {
		s.Set(keyReturnTo, returnTo(c.Request().URL.RequestURI()))
	}
	session.AddFlash(s, info("Please sign in to see that page."))
	c.Redirect("/signin", http.StatusSeeOther)
}

// returnTo is the target if every browser stays on this site with it, or the home
// page. Browsers take //host for another site, and \ for /, and they drop tabs and
// newlines, so that what was asked for as /\host or with a tab in it leads there as
// well. Whoever makes a link chooses what the visitor asks for: such a redirect
// after signing in would lend this site's good name to theirs.
//
// A long one is not kept either: anybody can ask for it, and the session that keeps it is
// in the store until it expires.
func returnTo(target string) string {
	if !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") || len(target) > maxTarget {
		return "/"
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c == 0x7f || c == '\\' {
			return "/"
		}
	}
	return target
}

// maxTarget is how many bytes of a URL are kept for after the sign-in.
const maxTarget = 1000

// askName shows the form, which makes no session yet.
func askName(c flamego.Context, s session.Session, a *accounts, v *view) error {
	if _, ok := signedIn(s, a); ok {
		session.KeepFlash(s) // This page does not show it.
		c.Redirect("/account", http.StatusSeeOther)
		return nil
	}
	return v.show(http.StatusOK, "signin", signInForm{})
}

// maxTyped is how many characters a name or a password may have.
const maxTyped = 100

// signInForm is shown again, with what was typed and what is wrong with it, but never
// with a password.
type signInForm struct {
	Name      string
	Remember  bool
	NameError string
	Failed    bool // the name or the password is wrong
}

func (signInForm) MaxTyped() int         { return maxTyped }
func (signInForm) EveryPassword() string { return everyPassword }

// readSignInForm checks again what the form's own attributes ask of the browser,
// since not everything that posts is a browser.
func readSignInForm(c flamego.Context) signInForm {
	r := c.Request()
	f := signInForm{Name: strings.TrimSpace(r.PostFormValue("name")), Remember: r.PostFormValue("remember") != ""}
	switch {
	case f.Name == "":
		f.NameError = "Enter your name."
	case !utf8.ValidString(f.Name) || utf8.RuneCountInString(f.Name) > maxTyped:
		f.NameError = "Enter a shorter name, of 100 characters at most."
	}
	return f
}

func signIn(c flamego.Context, s session.Session, users *session.Manager, a *accounts, v *view) error {
	form := readSignInForm(c)
	if form.NameError != "" {
		return v.show(http.StatusUnprocessableEntity, "signin", form)
	}
	u, ok := a.check(form.Name, c.Request().PostFormValue("password"))
	if !ok {
		// For this page, not for the next one. Which of the two is wrong is nobody's business.
		form.Failed = true
		session.FlashNow(s, bad("No account has this name and password."))
		return v.show(http.StatusUnprocessableEntity, "signin", form)
	}
	elsewhere, err := users.Sessions(c.Request().Context(), u.ID)
	if err != nil {
		return err
	}
	to, _ := session.Pop[string](s, keyReturnTo)
	if session.Owner(s) != "" {
		session.Destroy(s) // Whoever was signed in here leaves nothing behind.
	}

	if err := begin(s, u, c.Request().UserAgent(), form.Remember); err != nil {
		return err
	}
	session.AddFlash(s, good("Welcome, "+u.Name+"."))
	if n := len(elsewhere); n > 0 {
		session.AddFlash(s, info("You are also signed in on "+elsewhere[n-1].Label+others(n-1)+". Is that you?"))
	}
	// 303 See Other: reloading the next page doesn't post the form again.
	c.Redirect(returnTo(to), http.StatusSeeOther)
	return nil
}

// begin makes it the user's session. What the visitor has done so far moves along to a
// new ID, because somebody else may know the old one, for example because they planted
// it, and would be signed in too.
func begin(s session.Session, u user, userAgent string, remember bool) error {
	if err := session.SetOwner(s, u.ID); err != nil {
		return err
	}
	session.SetLabel(s, label(userAgent))
	if !remember {
		return nil
	}
	s.Set(keyStay, rememberFor) // For the pages that say when it ends.
	return session.Remember(s, rememberFor)
}

func others(n int) string {
	if n == 0 {
		return ""
	}
	return " and in " + count(n, "other place")
}

// signOut ends the session on the server. Removing the cookie alone would leave copies of
// it signed in.
func signOut(c flamego.Context, s session.Session) {
	session.Destroy(s)
	// The session has ended. This goes into a new one, with a new ID.
	session.AddFlash(s, good("You are signed out."))
	c.Redirect("/", http.StatusSeeOther)
}
