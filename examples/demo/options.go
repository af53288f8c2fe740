package main

import (
	"net/http"
	"time"

	"github.com/flamego/session"
)

// userOptions are for the sessions of everybody.
func userOptions(cfg config, events *eventLog) session.Options {
	initer, store := cfg.backend.open(cfg.dsn, cfg.lifetime)
	return session.Options{
		Initer: initer,
		Config: store,
		// Browsers send a cookie to all ports of a host. Its own name keeps it apart from
		// those of other programs on localhost. A site behind TLS uses a name like
		// __Host-demo, together with Secure: true.
		Cookie:      session.CookieOptions{Name: "demo_session"},
		HashIDs:     true,             // A copy of the store signs nobody in.
		RenewEvery:  15 * time.Minute, // A stolen ID does not last.
		MaxPerOwner: 10,               // Nobody looks through a longer list.
		MaxSize:     8 << 10,          // Nobody fills the store.
		Observe:     events.observe("site"),
		Passive:     isStream,
		TakesFlash:  session.Navigation,
	}
}

const adminLifetime = 10 * time.Minute

// adminOptions are stricter. The sessions are in memory, whatever the -backend: a restart
// ends them.
func adminOptions(events *eventLog) session.Options {
	return session.Options{
		Config:  session.MemoryConfig{Lifetime: adminLifetime},
		Cookie:  session.CookieOptions{Name: "demo_admin", SameSite: http.SameSiteStrictMode},
		Observe: events.observe("admin area"),
		Passive: isStream,
	}
}

// isStream tells the requests that do not mean that somebody is there: a page of events
// that is left open must not keep its sessions alive.
func isStream(r *http.Request) bool { return r.URL.Path == streamPath }
