package session_test

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// exchange sends one request without a network, and prints some of the response.
func exchange(f *flamego.Flame, path string, header http.Header, names ...string) *http.Response {
	req := httptest.NewRequest(http.MethodGet, path, nil)
	req.Header = header
	rec := httptest.NewRecorder()
	f.ServeHTTP(rec, req)
	res := rec.Result()
	fmt.Printf("%s: %s\n", path, rec.Body)
	for _, name := range names {
		fmt.Printf("  %s: %s\n", name, res.Header.Get(name))
	}
	return res
}

// A custom header carries the ID.
func ExampleHeaderTransport() {
	f := quietFlame()
	f.Use(session.Sessioner(session.Options{
		Transport: session.HeaderTransport("X-Session"),
	}))
	f.Get("/login", func(s session.Session) string {
		s.Set("user", "ann")
		return "welcome"
	})
	f.Get("/", func(s session.Session) string { return fmt.Sprint(s.Get("user")) })

	res := exchange(f, "/login", nil, "Cache-Control")
	exchange(f, "/", http.Header{"X-Session": res.Header["X-Session"]}, "Vary")
	exchange(f, "/", nil)
	// Output:
	// /login: welcome
	//   Cache-Control: no-store
	// /: ann
	//   Vary: X-Session
	// /: <nil>
}

// A token for programs: the ID is final, and stored with the response, once it is
// asked for.
func ExampleBearerTransport() {
	f := quietFlame()
	f.Use(session.Sessioner(session.Options{
		Transport: session.BearerTransport(),
	}))
	f.Get("/token", func(s session.Session) string {
		s.Set("user", "ann")
		return fmt.Sprint(len(s.ID()), " characters")
	})
	f.Get("/", func(s session.Session) string { return fmt.Sprint(s.Get("user")) })

	res := exchange(f, "/token", nil)
	exchange(f, "/", http.Header{"Authorization": res.Header["Authorization"]})
	// Output:
	// /token: 32 characters
	// /: ann
}

// Browsers with cookies get clean URLs, others have the ID in them.
func ExampleURL() {
	f := quietFlame()
	f.Use(session.Sessioner(session.Options{
		Transport: session.FirstOf(session.CookieTransport(), session.QueryTransport("sid")),
	}))
	id := ""
	f.Get("/cart", func(s session.Session) string {
		s.Set("item", "tea")
		id = s.ID()
		links := session.URL(s, "/cart?page=2#top") + " " + session.URL(s, "https://other.example/")
		return strings.ReplaceAll(links, id, "ID")
	})

	exchange(f, "/cart", nil, "Referrer-Policy", "Cache-Control")
	exchange(f, "/cart", http.Header{"Cookie": {"flamego_session=" + id}})
	// Output:
	// /cart: /cart?page=2&sid=ID#top https://other.example/
	//   Referrer-Policy: no-referrer
	//   Cache-Control: no-store
	// /cart: /cart?page=2#top https://other.example/
}

func ExampleTemplateFuncs() {
	page := template.Must(template.New("cart").Funcs(session.TemplateFuncs()).Parse(
		`<a href="{{sessionURL .Session "/cart?page=2"}}">more</a>`))

	// The session of a handler; this one is for the test only.
	s := session.NewBaseSession("", nil, nil)
	_ = page.Execute(os.Stdout, map[string]any{"Session": s})
	// Output: <a href="/cart?page=2">more</a>
}

type (
	AdminSession interface{ session.Session }
	AdminFlash   interface{}
)

// Users and administrators sign in separately.
func ExampleSessionerAs() {
	users, err := session.NewManager(session.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = users.Close(context.Background()) }()
	admins, err := session.NewManager(session.Options{
		Config: session.MemoryConfig{Lifetime: 15 * time.Minute},
		Cookie: session.CookieOptions{Name: "admin"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = admins.Close(context.Background()) }()

	f := quietFlame()
	f.Use(users.Sessioner(), session.SessionerAs[AdminSession, AdminFlash](admins))
	f.Get("/signin", func(s session.Session, as AdminSession) string {
		s.Set("name", "ann")
		as.Set("name", "root")
		as.SetFlash("Take care.")
		return "welcome"
	})
	f.Get("/", func(s session.Session, as AdminSession, flash AdminFlash) string {
		return fmt.Sprint(s.Get("name"), " ", as.Get("name"), " ", flash)
	})
	f.Get("/signout", func(as AdminSession) string {
		session.Destroy(as)
		return "bye"
	})
	visit(f, "/signin", "/", "/signout", "/")
	// Output:
	// /signin: welcome
	// /: ann root Take care.
	// /signout: bye
	// /: ann <nil> <nil>
}
