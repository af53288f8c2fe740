package main

import (
	"errors"
	"net/http"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// The admin area has a second session on the same requests, with its own cookie and a
// short idle timeout. It begins when an administrator, who is signed in, enters the
// password again.
type (
	adminSession interface{ session.Session }
	adminFlash   interface{} // Messages go to the first session.
	adminManager struct{ *session.Manager }
)

// inAdminArea reports whether an administrator is signed in to both sessions.
func inAdminArea(s session.Session, as adminSession, a *accounts) bool {
	u, ok := signedIn(s, a)
	return ok && u.Admin && session.Owner(as) == u.ID
}

// requireAdmin goes behind requireSignIn.
func requireAdmin(c flamego.Context, s session.Session, as adminSession, a *accounts, u user, v *view) error {
	switch {
	case !u.Admin:
		return v.show(http.StatusForbidden, "forbidden", nil)
	case !inAdminArea(s, as, a):
		session.KeepFlash(s)
		c.Redirect("/admin/enter", http.StatusSeeOther)
	}
	return nil
}

// enterForm tells whether the password was wrong.
type enterForm struct{ Name, Error string }

func (enterForm) Lifetime() string { return about(adminLifetime) }

func askToEnter(u user, v *view) error {
	if !u.Admin {
		return v.show(http.StatusForbidden, "forbidden", nil)
	}
	return v.show(http.StatusOK, "enter", enterForm{Name: u.Name})
}

func enterAdmin(c flamego.Context, s session.Session, as adminSession, a *accounts, u user, v *view) error {
	if !u.Admin {
		return v.show(http.StatusForbidden, "forbidden", nil)
	}
	wrong := enterForm{Name: u.Name, Error: "This is not your password."}
	_, checked, ok := a.check(u.Name, c.Request().PostFormValue("password"))
	if !ok {
		return v.show(http.StatusUnprocessableEntity, "enter", wrong)
	}
	session.Destroy(as) // Or a second time would not change the ID.
	if err := session.SetOwner(as, u.ID); err != nil {
		return err
	}
	err := session.Commit(c.Request().Context(), as)
	if err == nil && !a.isStill(u.ID, checked) { // As in signIn.
		session.Destroy(as)
		err = session.ErrEnded
	}
	if errors.Is(err, session.ErrEnded) {
		return v.show(http.StatusUnprocessableEntity, "enter", wrong)
	}
	if err != nil {
		return err
	}
	session.AddFlash(s, good("You are in the admin area."))
	c.Redirect("/admin", http.StatusSeeOther)
	return nil
}

// leaveAdmin leaves the first session as it is.
func leaveAdmin(c flamego.Context, s session.Session, as adminSession) {
	session.Destroy(as)
	session.AddFlash(s, good("You have left the admin area."))
	c.Redirect("/account", http.StatusSeeOther)
}

// adminPage is what admin.html shows.
type adminPage struct {
	SignedIn int // sessions of all accounts
	Stats    session.Stats
	Accounts []accountLine
	Expires  time.Time // if nobody clicks from now on
}

type accountLine struct {
	user
	Sessions int
	Self     bool // whose page it is
}

// CanEnd reports whether the account has a session besides the one that looks.
func (l accountLine) CanEnd() bool { return l.Sessions > 1 || l.Sessions == 1 && !l.Self }

func showAdmin(c flamego.Context, as adminSession, users *session.Manager, a *accounts, u user, v *view) error {
	p := adminPage{Stats: users.Stats(), Expires: session.Expires(as)}
	for _, account := range a.users {
		list, err := users.Sessions(c.Request().Context(), account.ID)
		if err != nil {
			return err
		}
		p.SignedIn += len(list)
		p.Accounts = append(p.Accounts, accountLine{user: account, Sessions: len(list), Self: account == u})
	}
	return v.show(http.StatusOK, "admin", p)
}

// endUser signs a user out everywhere, and administrators themselves everywhere else.
func endUser(c flamego.Context, s session.Session, users *session.Manager, a *accounts, u user) error {
	target, ok := a.find(c.Request().PostFormValue("user"))
	if !ok {
		session.AddFlash(s, bad("There is no such account."))
		c.Redirect("/admin", http.StatusSeeOther)
		return nil
	}
	if err := users.EndAll(c.Request().Context(), target.ID, session.Handle(s)); err != nil {
		return err
	}
	if target == u {
		session.AddFlash(s, good("You are signed out everywhere but here."))
	} else {
		session.AddFlash(s, good(target.Name+" is signed out everywhere."))
	}
	c.Redirect("/admin", http.StatusSeeOther)
	return nil
}
