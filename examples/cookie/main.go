// Command cookie has a page for members, and keeps the whole session in an encrypted
// cookie: nothing is stored on the server.
//
//	SESSION_KEY=$(openssl rand -hex 32) go run ./examples/cookie
//
// serves it on http://localhost:2830; -addr names another address. Without
// SESSION_KEY it makes a key for itself, and a restart signs everybody out.
package main

import (
	"crypto/rand"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
	"github.com/flamego/session/cookie"
)

func main() {
	addr := flag.String("addr", "localhost:2830", "address to listen on; port 0 takes a free one")
	flag.Parse()
	key, err := loadKey()
	if err != nil {
		log.Fatalf("SESSION_KEY: %v", err)
	}
	l, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("Serving on http://%s\n", l.Addr())
	srv := &http.Server{Handler: newApp(key), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(srv.Serve(l))
}

// loadKey takes the key from the environment, a better place for secrets than the source.
func loadKey() ([]byte, error) {
	if text := os.Getenv("SESSION_KEY"); text != "" {
		return session.ParseKey(text)
	}
	fmt.Println("SESSION_KEY is not set: sessions end with this program")
	key := make([]byte, 32)
	_, err := rand.Read(key)
	return key, err
}

const loginPage = `<!DOCTYPE html>
<title>Login</title>
<form method="post"><button>Log in</button></form>
`

const homePage = `<!DOCTYPE html>
<title>Home</title>
<h1>Welcome to the Home Page!</h1>
<form method="post" action="/logout"><button>Log out</button></form>
`

func newApp(key []byte) http.Handler {
	f := flamego.New()
	f.Use(flamego.Recovery())
	f.Use(session.Sessioner(session.Options{
		Initer: cookie.Initer(),
		// A copy of a cookie is valid until it expires, even after signing out. So the
		// lifetime is short; an active visitor keeps the session.
		Config: cookie.Config{Keys: [][]byte{key}, Lifetime: 15 * time.Minute},
		// A site behind TLS uses a name like __Host-session, together with Secure: true.
		Cookie: session.CookieOptions{Name: "cookie_session"},
	}))

	f.Get("/", func(c flamego.Context, s session.Session) {
		if in, _ := session.Get[bool](s, "authenticated"); !in {
			c.Redirect("/login", http.StatusSeeOther)
			return
		}
		html(c, homePage)
	})
	f.Get("/login", func(c flamego.Context) { html(c, loginPage) })

	// Signing in and out are POSTs: a link or an image on another site cannot send
	// one with this site's cookie, which is SameSite=Lax.
	f.Post("/login", func(c flamego.Context, s session.Session) error {
		// A real program checks a password here. New privileges need a new ID.
		if err := s.RegenerateID(c.ResponseWriter(), c.Request().Request); err != nil {
			return err
		}
		s.Set("authenticated", true)
		c.Redirect("/", http.StatusSeeOther)
		return nil
	})
	f.Post("/logout", func(c flamego.Context, s session.Session) {
		session.Destroy(s)
		c.Redirect("/", http.StatusSeeOther)
	})
	return f
}

func html(c flamego.Context, page string) {
	c.ResponseWriter().Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = c.ResponseWriter().Write([]byte(page))
}
