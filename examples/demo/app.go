package main

import (
	"embed"
	"io/fs"
	"net/http"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

//go:embed static
var static embed.FS

// newApp puts the site together. Middleware runs in the order of Use.
func newApp(cfg config, users, admins *session.Manager, a *accounts, events *eventLog) http.Handler {
	f := flamego.New()
	f.AutoHead(true)
	// Handlers take these as parameters.
	f.Map(adminManager{admins}, a, events)
	f.Use(
		flamego.Logger(),
		// In front of the sessions, which then notice a panic and store nothing.
		flamego.Recovery(),
		securityHeaders,
		// Also in front: the style sheet needs no session, and must not be handed the
		// flash that is meant for the next page.
		files(),
		users.Sessioner(),
		newView(cfg),
	)
	// The second session is only on requests that need it. All others leave it to age.
	adminSessions := session.SessionerAs[adminSession, adminFlash](admins)

	f.Get("/", showHome)
	f.Combo("/counter").Get(showCounter).Post(countUp)
	f.Post("/counter/reset", resetCounter)
	f.Combo("/signin").Get(askName).Post(adminSessions, signIn)
	f.Post("/signout", adminSessions, signOut)
	f.Group("/account", func() {
		f.Get("", showAccount)
		f.Get("/sessions", showSessions)
		f.Post("/sessions/end", endSession)
		f.Post("/sessions/end-others", endOtherSessions)
		f.Combo("/password").Get(askPassword).Post(changePassword)
	}, requireSignIn)
	f.Combo("/admin/enter", requireSignIn, adminSessions).Get(askToEnter).Post(enterAdmin)
	f.Get(streamPath, adminSessions, streamEvents)
	f.Group("/admin", func() {
		f.Get("", showAdmin)
		f.Post("/end", endUser)
		f.Post("/leave", leaveAdmin)
		f.Get("/events", showEvents)
	}, requireSignIn, adminSessions, requireAdmin)
	f.NotFound(showNotFound)

	// SameSite=Lax, the default of the session cookie, keeps other sites from
	// posting our forms. This also stops other ports and subdomains, which count as
	// the same site. Both rely on GET changing nothing that matters.
	h := http.NewCrossOriginProtection().Handler(f)
	h = http.MaxBytesHandler(h, 64<<10) // No form here is longer.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isStream(r) { // The server's ReadTimeout would end it.
			_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		}
		h.ServeHTTP(w, r)
	})
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

// contentPolicy allows a page its own style sheet, pictures and forms, and no script at all.
const contentPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func securityHeaders(c flamego.Context) {
	h := c.ResponseWriter().Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
	// After signing out, the browser's Back button must not show the account.
	h.Set("Cache-Control", "no-store")
}
