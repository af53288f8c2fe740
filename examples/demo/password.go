package main

import (
	"net/http"
	"unicode/utf8"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// minPassword is how many characters a new password needs.
const minPassword = 8

// passwordForm tells what is wrong with what was typed.
type passwordForm struct {
	Name, OldError, NewError, RepeatError string
}

func (passwordForm) MinPassword() int { return minPassword }
func (passwordForm) MaxTyped() int    { return maxTyped }

func askPassword(u user, v *view) error {
	return v.show(http.StatusOK, "password", passwordForm{Name: u.Name})
}

// changePassword shuts out whoever knows the old password: no other session of the user
// survives it, and this one gets a new ID.
func changePassword(c flamego.Context, s session.Session, users *session.Manager, admins adminManager, a *accounts, u user, v *view) error {
	r := c.Request()
	form := passwordForm{Name: u.Name}
	typed := r.PostFormValue("new")
	if _, _, ok := a.check(u.Name, r.PostFormValue("old")); !ok {
		form.OldError = "This is not your password."
	}
	switch n := utf8.RuneCountInString(typed); {
	case n < minPassword:
		form.NewError = "Enter a longer password, of 8 characters at least."
	case n > maxTyped:
		form.NewError = "Enter a shorter password, of 100 characters at most."
	case typed != r.PostFormValue("repeat"):
		form.RepeatError = "Enter the same password again."
	}
	if form.OldError+form.NewError+form.RepeatError != "" {
		return v.show(http.StatusUnprocessableEntity, "password", form)
	}

	others, err := users.Sessions(r.Context(), u.ID)
	if err != nil {
		return err
	}
	// In this order: nobody can sign in with the old password after the others have ended.
	a.setPassword(u.ID, typed)
	if err := users.EndAll(r.Context(), u.ID, session.Handle(s)); err != nil {
		return err
	}
	if err := admins.EndAll(r.Context(), u.ID); err != nil {
		return err
	}
	if err := s.RegenerateID(c.ResponseWriter(), r.Request); err != nil {
		return err
	}
	session.AddFlash(s, good("Your password is changed."))
	if n := len(others) - 1; n > 0 {
		session.AddFlash(s, info(count(n, "other session")+" ended with the old one."))
	}
	c.Redirect("/account", http.StatusSeeOther)
	return nil
}
