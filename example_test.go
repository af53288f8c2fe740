package session_test

import (
	"context"
	"encoding/gob"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// visit requests pages one after another, as one browser.
func visit(f *flamego.Flame, paths ...string) {
	srv := httptest.NewServer(f)
	defer srv.Close()
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	for _, path := range paths {
		req, _ := http.NewRequest(http.MethodGet, srv.URL+path, nil)
		req.Header.Set("Accept", "text/html") // As browsers do for a page.
		res, err := client.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		fmt.Printf("%s: %s\n", path, body)
	}
}

func quietFlame() *flamego.Flame { return flamego.NewWithLogger(io.Discard) }

func ExampleSessioner() {
	f := quietFlame()
	f.Use(session.Sessioner())
	f.Get("/set", func(s session.Session) string {
		s.Set("userID", 123)
		return "set"
	})
	f.Get("/get", func(s session.Session) string {
		id, ok := session.Get[int](s, "userID")
		return fmt.Sprint(id, ok)
	})
	visit(f, "/get", "/set", "/get")
	// Output:
	// /get: 0 false
	// /set: set
	// /get: 123 true
}

func ExampleNewManager() {
	m, err := session.NewManager(session.Options{
		Cookie: session.CookieOptions{Name: "__Host-session", Secure: true},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = m.Close(context.Background()) }()

	f := quietFlame()
	f.Use(m.Sessioner())
	fmt.Println("ready")
	// Output: ready
}

// A wrong configuration is an error at start, which names the remedy.
func ExampleNewManager_error() {
	_, err := session.NewManager(session.Options{
		Cookie: session.CookieOptions{SameSite: http.SameSiteNoneMode},
	})
	fmt.Println(err)
	// Output: session: Cookie.SameSite is None, which browsers accept only with Secure: set Cookie.Secure
}

func ExampleFlash() {
	f := quietFlame()
	f.Use(session.Sessioner(session.Options{TakesFlash: session.Navigation}))
	f.Get("/save", func(c flamego.Context, s session.Session) {
		s.SetFlash("Saved.")
		c.Redirect("/list")
	})
	f.Get("/list", func(flash session.Flash) string {
		if text, ok := flash.(string); ok {
			return text
		}
		return "nothing new"
	})
	visit(f, "/save", "/list")
	// Output:
	// /save: Saved.
	// /list: nothing new
}

func ExampleUpdate() {
	f := quietFlame()
	f.Use(session.Sessioner())
	f.Get("/", func(s session.Session) string {
		n := session.Update(s, "visits", func(n int) int { return n + 1 })
		return fmt.Sprint("visit ", n)
	})
	visit(f, "/", "/", "/")
	// Output:
	// /: visit 1
	// /: visit 2
	// /: visit 3
}

func ExamplePop() {
	f := quietFlame()
	f.Use(session.Sessioner())
	f.Get("/cart", func(s session.Session) string {
		s.Set("return_to", "/cart")
		return "please sign in"
	})
	f.Get("/signin", func(s session.Session) string {
		to, ok := session.Pop[string](s, "return_to")
		if !ok {
			to = "/"
		}
		return "on to " + to
	})
	visit(f, "/cart", "/signin", "/signin")
	// Output:
	// /cart: please sign in
	// /signin: on to /cart
	// /signin: on to /
}

func ExampleDestroy() {
	f := quietFlame()
	f.Use(session.Sessioner())
	f.Get("/signin", func(c flamego.Context, s session.Session) (string, error) {
		if err := s.RegenerateID(c.ResponseWriter(), c.Request().Request); err != nil {
			return "", err
		}
		s.Set("user", "ann")
		return "hello", nil
	})
	f.Get("/signout", func(s session.Session) string {
		session.Destroy(s)
		return "bye"
	})
	f.Get("/", func(s session.Session) string { return fmt.Sprint(s.Get("user")) })
	visit(f, "/signin", "/", "/signout", "/")
	// Output:
	// /signin: hello
	// /: ann
	// /signout: bye
	// /: <nil>
}

// A long stream stores what it has done so far.
func ExampleCommit() {
	f := quietFlame()
	f.Use(session.Sessioner())
	f.Get("/export", func(c flamego.Context, s session.Session) {
		w := c.ResponseWriter()
		s.Set("export", "running")
		for _, row := range []string{"a", "b"} {
			_, _ = io.WriteString(w, row) // The first byte: "running" is stored.
			s.Set("export", "at "+row)
			if err := session.Commit(c.Request().Context(), s); err != nil {
				return
			}
		}
	})
	f.Get("/progress", func(s session.Session) string { return fmt.Sprint(s.Get("export")) })
	visit(f, "/export", "/progress")
	// Output:
	// /export: ab
	// /progress: at b
}

type cart struct{ Items []string }

// Stores other than memory need to know the types of values.
func ExampleGobEncoder() {
	_, err := session.GobEncoder(session.Data{"cart": cart{Items: []string{"tea"}}})
	fmt.Println(err)

	gob.Register(cart{})
	b, err := session.GobEncoder(session.Data{"cart": cart{Items: []string{"tea"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	data, err := session.GobDecoder(b)
	fmt.Println(data["cart"], err)
	// Output:
	// encode: key "cart" holds a session_test.cart: call gob.Register(session_test.cart{}) once at start (gob: type not registered for interface: session_test.cart)
	// {[tea]} <nil>
}
