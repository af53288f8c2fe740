package main

import (
	"net/http"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// What the session holds, by key. Values under separate keys are merged when requests
// change them at the same time.
const (
	keyCounter = "counter" // int; visitors have it before they sign in, and keep it
	keyVisits  = "visits"  // int; of the account page
)

// homePage is what home.html shows.
type homePage struct {
	Counter int
	Basket  []shelfLine
	Release release
}

// showHome sets nothing: a visitor who sees only this page gets no session and no cookie.
func showHome(s session.Session, r release, v *view) error {
	n, _ := session.Get[int](s, keyCounter) // 0 if there is none yet.
	return v.show(http.StatusOK, "home", homePage{n, readBasket(s), r})
}

// countUp adds one to the latest value, whichever request or server stored it. Get and then
// Set would lose counts of concurrent requests.
func countUp(c flamego.Context, s session.Session) {
	session.Update(s, keyCounter, func(n int) int { return n + 1 })
	// The fragment puts the focus back on the button, so that Enter counts on.
	c.Redirect("/#count", http.StatusSeeOther)
}

// resetCounter leaves a flash for the page after the redirect.
func resetCounter(c flamego.Context, s session.Session) {
	s.Delete(keyCounter)
	session.AddFlash(s, good("The counter is back at zero."))
	c.Redirect("/", http.StatusSeeOther)
}

// accountPage is what account.html shows.
type accountPage struct {
	user
	Visits, Counter int
	Here            place
}

// showAccount counts its visits. A GET should change nothing that matters, and this does
// not matter much.
func showAccount(c flamego.Context, s session.Session, users *session.Manager, u user, v *view) error {
	p := accountPage{user: u}
	p.Visits = session.Update(s, keyVisits, func(n int) int { return n + 1 })
	p.Counter, _ = session.Get[int](s, keyCounter)
	list, err := users.Sessions(c.Request().Context(), u.ID)
	if err != nil {
		return err
	}
	for _, info := range list {
		if info.Is(s) {
			p.Here = newPlace(info, s, v.layout.Lifetime)
		}
	}
	return v.show(http.StatusOK, "account", p)
}

// showNotFound uses the layout, so the links are where they always are.
func showNotFound(v *view) error {
	return v.show(http.StatusNotFound, "notfound", nil)
}
