package main

import (
	"net/http"
	"time"

	"github.com/flamego/session"
)

const cookieName = "demo_session"

// sessionOptions are the same on all servers.
func sessionOptions(cfg config) session.Options {
	initer, store := cfg.backend.open(cfg.dsn, cfg.lifetime)
	return session.Options{
		Initer: initer,
		Config: store,
		// Browsers send a cookie to all ports of a host. Its own name keeps it apart from
		// those of other programs on localhost. A site behind TLS uses a name like
		// __Host-demo, together with Secure: true.
		Cookie:      session.CookieOptions{Name: cookieName},
		HashIDs:     true,             // A copy of the store signs nobody in.
		RenewEvery:  15 * time.Minute, // A stolen ID does not last.
		MaxPerOwner: 10,               // Nobody looks through a longer list.
		MaxSize:     8 << 10,          // Nobody fills the store.
		Observe:     observe,
		Passive:     isPassive,
		TakesFlash:  isPage,
	}
}

// isPassive tells the requests that do not mean that somebody is there: a page that is left
// open, and asks again and again, must not keep its sessions alive.
func isPassive(r *http.Request) bool { return r.URL.Path == lookPath }

// isPage tells the requests that messages are for: pages, also those in a frame.
func isPage(r *http.Request) bool {
	return session.Navigation(r) || r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Dest") == "iframe"
}
