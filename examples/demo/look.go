package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// look is what the store holds, and what has happened to it.
type look struct {
	Session []entry // of the browser that asks
	Owners  []ownerLine
	Events  []event
}

// entry is a key of a session, with what is stored under it.
type entry struct{ Key, Value string }

// ownerLine is where somebody is signed in.
type ownerLine struct {
	Name   string
	Places []placeLine
}

type placeLine struct {
	session.Info
	Here    bool
	Entries []entry
}

func (st *stage) look(ctx context.Context, s session.Session, users *session.Manager, a *accounts) (l look, err error) {
	stored, err := s.Encode()
	if err != nil {
		return l, err
	}
	data, err := session.GobDecoder(stored)
	if err != nil {
		return l, err
	}
	l.Session, l.Events = entries(data), st.events.list()
	for _, u := range a.users {
		list, err := users.Sessions(ctx, u.ID)
		if err != nil {
			return l, err
		}
		owner := ownerLine{Name: u.Name}
		for _, info := range list {
			data, _ := info.Data() // An error is that of some keys, which are missing.
			owner.Places = append(owner.Places, placeLine{info, info.Is(s), entries(data)})
		}
		l.Owners = append(l.Owners, owner)
	}
	return l, nil
}

// entries are sorted by key. A struct is shown with the fields that version 2 knows.
func entries(data session.Data) (list []entry) {
	for key, value := range data {
		list = append(list, entry{fmt.Sprint(key), fmt.Sprintf("%+v", value)})
	}
	slices.SortFunc(list, func(a, b entry) int { return strings.Compare(a.Key, b.Key) })
	return list
}

const lookPath = "/look"

// showLook is that part of the page alone, which a script asks for again and again.
func (st *stage) showLook(c flamego.Context, s session.Session, users *session.Manager, a *accounts, v *view) error {
	l, err := st.look(c.Request().Context(), s, users, a)
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "stage", "look", l)
}
