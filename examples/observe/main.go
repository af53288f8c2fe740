// Command observe logs what happens to sessions, a line each, with log/slog: who signs in
// and out, from where, and who tries IDs that nobody has. No line contains an ID.
package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

func main() {
	m, err := session.NewManager(options(slog.New(slog.NewJSONHandler(os.Stderr, nil))))
	if err != nil {
		panic(err)
	}
	newApp(m).Run()
}

func options(log *slog.Logger) session.Options {
	return session.Options{
		Observe:   func(ctx context.Context, e session.Event) { write(ctx, log, e) },
		ErrorFunc: func(err error) { log.Error("session", "error", err) },
	}
}

// write leaves out what does not apply. The session's name is a hash of its ID: it tells
// sessions apart, and signs nobody in.
func write(ctx context.Context, log *slog.Logger, e session.Event) {
	var attrs []slog.Attr
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	from, _ := ctx.Value(addrKey{}).(string)
	add("from", from)
	add("owner", e.Owner)
	add("session", e.Session)
	add("previous", e.Previous)
	add("by", e.By)
	add("op", e.Op)
	if e.Op != "" {
		attrs = append(attrs, slog.Duration("took", e.Duration))
	}
	if e.Err != nil {
		add("error", e.Err.Error())
	}
	log.LogAttrs(ctx, level(e.Kind), "session "+e.Kind.String(), attrs...)
}

// level is about who should look at it: somebody who debugs, nobody in particular, whoever
// watches for attacks, or whoever is on duty.
func level(k session.EventKind) slog.Level {
	switch k {
	case session.Loaded, session.StoreCall, session.Conflict: // Every request.
		return slog.LevelDebug
	case session.UnknownID, session.MalformedID: // An old cookie, or somebody guessing.
		return slog.LevelWarn
	case session.Undecodable, session.StoreError:
		return slog.LevelError
	}
	return slog.LevelInfo
}

// addrKey is where a request's context has the address of the client.
type addrKey struct{}

// withAddr goes in front of the session middleware, which hands the context on. Behind a
// proxy, the address is in a header that the proxy sets.
func withAddr(c flamego.Context) {
	r := c.Request()
	r.Request = r.WithContext(context.WithValue(r.Context(), addrKey{}, r.RemoteAddr))
}

func newApp(m *session.Manager) *flamego.Flame {
	f := flamego.Classic()
	f.Use(withAddr, m.Sessioner())
	f.Get("/", func(s session.Session) string { return "Hello " + session.Owner(s) })
	f.Post("/signin", func(r *http.Request, s session.Session) error {
		return session.SetOwner(s, r.PostFormValue("name")) // Once the password is right.
	})
	f.Post("/signout", session.Destroy)
	return f
}
