package main

import (
	"errors"
	"net/http"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// place is where the user is signed in.
type place struct {
	session.Info
	Here bool   // in the browser that asks
	Idle string // how long it lives without a visit
}

func newPlace(info session.Info, s session.Session, lifetime string) place {
	p := place{Info: info, Here: info.Is(s), Idle: lifetime}
	// Expires is up to a twentieth later, and no round number of anything.
	data, _ := info.Data() // An error means other keys, at most.
	if stay, ok := data[keyStay].(time.Duration); ok {
		p.Idle = spell(stay)
	}
	return p
}

// showSessions lists where the user is signed in.
func showSessions(c flamego.Context, s session.Session, users *session.Manager, u user, v *view) error {
	list, err := users.Sessions(c.Request().Context(), u.ID)
	if err != nil {
		return err
	}
	places := make([]place, len(list))
	for i, info := range list {
		places[i] = newPlace(info, s, v.layout.Lifetime)
	}
	return v.show(http.StatusOK, "sessions", places)
}

// endSession ends one of them. The handle comes from a form, but End only finds it among
// the user's own.
func endSession(c flamego.Context, s session.Session, users *session.Manager, u user) error {
	err := users.End(c.Request().Context(), u.ID, c.Request().PostFormValue("handle"))
	switch {
	case errors.Is(err, session.ErrNotFound): // Such as after a second click.
		session.AddFlash(s, info("That session had ended already."))
	case err != nil:
		return err
	default:
		session.AddFlash(s, good("That session has ended. Its next click leads to the sign-in page."))
	}
	c.Redirect("/account/sessions", http.StatusSeeOther)
	return nil
}

func endOtherSessions(c flamego.Context, s session.Session, users *session.Manager, u user) error {
	if err := users.EndAll(c.Request().Context(), u.ID, session.Handle(s)); err != nil {
		return err
	}
	session.AddFlash(s, good("You are signed out everywhere but here."))
	c.Redirect("/account/sessions", http.StatusSeeOther)
	return nil
}
