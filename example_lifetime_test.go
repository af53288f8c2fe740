package session_test

import (
	"context"
	"fmt"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// Sessions end after half an hour without a request, and after twelve hours in any
// case.
func ExampleOptions_absoluteLifetime() {
	m, err := session.NewManager(session.Options{
		Config:           session.MemoryConfig{Lifetime: 30 * time.Minute},
		AbsoluteLifetime: 12 * time.Hour,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = m.Close(context.Background()) }()
	fmt.Println("ready")
	// Output: ready
}

// An administrator is signed out sooner than others.
func ExampleSetLifetime() {
	f := quietFlame()
	f.Use(session.Sessioner())
	f.Get("/signin", func(s session.Session) (string, error) {
		s.Set("user", "root")
		return "welcome", session.SetLifetime(s, 10*time.Minute)
	})
	f.Get("/forever", func(s session.Session) string {
		return fmt.Sprint(session.SetLifetime(s, 1<<62))
	})
	visit(f, "/signin", "/forever")
	// Output:
	// /signin: welcome
	// /forever: session: set lifetime: a duration of 1281023h53m38.427387904s is too long: give 100 years at most
}

// "Stay signed in": the cookie outlives the browser.
func ExampleRemember() {
	f := quietFlame()
	f.Use(session.Sessioner())
	f.Get("/signin", func(c flamego.Context, s session.Session) (string, error) {
		s.Set("user", "ann")
		var stay time.Duration // 0 undoes what an earlier sign-in asked for.
		if c.Query("remember") != "" {
			stay = 30 * 24 * time.Hour
		}
		return "welcome", session.Remember(s, stay)
	})
	for _, path := range []string{"/signin", "/signin?remember=on"} {
		res := exchange(f, path, nil)
		fmt.Println("  Max-Age:", res.Cookies()[0].MaxAge)
	}
	// Output:
	// /signin: welcome
	//   Max-Age: 0
	// /signin?remember=on: welcome
	//   Max-Age: 2592000
}

// How many people are online, as far as they have a session.
func ExampleManager_Count() {
	m, err := session.NewManager(session.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = m.Close(context.Background()) }()
	f := quietFlame()
	f.Use(m.Sessioner())
	f.Get("/join", func(s session.Session) string {
		s.Set("here", true)
		return "welcome"
	})
	f.Get("/online", func(c flamego.Context, m *session.Manager) (string, error) {
		n, err := m.Count(c.Request().Context())
		return fmt.Sprint(n), err
	})
	visit(f, "/online", "/join", "/online")
	visit(f, "/join", "/online") // Somebody else.
	// Output:
	// /online: 0
	// /join: welcome
	// /online: 1
	// /join: welcome
	// /online: 2
}
