package main

import (
	"embed"
	"io/fs"
	"net"
	"net/http"
	"net/url"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

//go:embed static
var static embed.FS

// newApp puts the site together. Middleware runs in the order of Use.
func newApp(cfg config, users *session.Manager, a *accounts) http.Handler {
	f := flamego.New()
	f.AutoHead(true)
	// Handlers take these as parameters.
	f.Map(a, cfg.release)
	f.Use(
		flamego.Logger(),
		// In front of the sessions, which then notice a panic and store nothing.
		flamego.Recovery(),
		securityHeaders(cfg),
		// Also in front: the style sheet needs no session, and must not be handed the
		// flash that is meant for the next page.
		files(),
		users.Sessioner(),
		newView(cfg),
	)

	f.Get("/", showHome)
	f.Post("/counter", countUp)
	f.Post("/counter/reset", resetCounter)
	f.Post("/basket", changeBasket)
	f.Combo("/signin").Get(askName).Post(signIn)
	f.Post("/signout", signOut)
	f.Group("/account", func() {
		f.Get("", showAccount)
		f.Get("/sessions", showSessions)
		f.Post("/sessions/end", endSession)
		f.Post("/sessions/end-others", endOtherSessions)
	}, requireSignIn)
	f.NotFound(showNotFound)
	return guard(f)
}

// guard keeps forms of other sites out, and requests without end.
func guard(f http.Handler) http.Handler {
	// SameSite=Lax, the default of the session cookie, keeps other sites from
	// posting our forms. This also stops other ports and subdomains, which count as
	// the same site. Both rely on GET changing nothing that matters.
	h := http.NewCrossOriginProtection().Handler(f)
	return http.MaxBytesHandler(h, 64<<10) // No form here is longer.
}

func files() flamego.Handler {
	dir, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // Only if the folder's name above were not a valid path.
	}
	return flamego.Static(flamego.StaticOptions{
		FileSystem:   http.FS(dir),
		CacheControl: func() string { return "max-age=300" },
	})
}

// contentPolicy allows a page its own style sheet, pictures and forms, and no script at all. Who
// may show it in a frame follows.
const contentPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors "

// securityHeaders lets nobody show a page in a frame, but for the page with both servers.
func securityHeaders(cfg config) flamego.Handler {
	return func(c flamego.Context) {
		h, ancestors := c.ResponseWriter().Header(), "'none'"
		if cfg.stage != "" {
			ancestors = "http://" + net.JoinHostPort(hostOf(c.Request().Request), cfg.stage)
		}
		h.Set("Content-Security-Policy", contentPolicy+ancestors)
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		// After signing out, the browser's Back button must not show the account.
		h.Set("Cache-Control", "no-store")
	}
}

// hostOf is the host by which the browser has come here. The other servers have the same, or
// the browser would not send them the cookie.
func hostOf(r *http.Request) string { return (&url.URL{Host: r.Host}).Hostname() }
