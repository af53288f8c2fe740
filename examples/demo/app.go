package main

import (
	"embed"
	"io/fs"
	"net/http"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

//go:embed static
var static embed.FS

// newApp puts the site together. Middleware runs in the order of Use.
func newApp(m *session.Manager, cfg config) http.Handler {
	f := flamego.New()
	f.AutoHead(true)
	f.Use(
		flamego.Logger(),
		// In front of the sessions, which then notice a panic and store nothing.
		flamego.Recovery(),
		securityHeaders,
		// Also in front: the style sheet needs no session, and must not be handed the
		// flash that is meant for the next page.
		files(),
		m.Sessioner(),
		newView(cfg),
	)

	f.Get("/", showHome)
	f.Combo("/counter").Get(showCounter).Post(count)
	f.Post("/counter/reset", resetCounter)
	f.Combo("/signin").Get(askName).Post(signIn)
	f.Post("/signout", signOut)
	f.Group("/account", func() {
		f.Get("", showAccount)
	}, requireSignIn)
	f.NotFound(showNotFound)

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

// securityHeaders allows a page its own style sheet, pictures and forms, and no
// script at all.
func securityHeaders(c flamego.Context) {
	h := c.ResponseWriter().Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	// After signing out, the browser's Back button must not show the account.
	h.Set("Cache-Control", "no-store")
}
