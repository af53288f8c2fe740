// Package session is session middleware for the Flamego web framework.
//
//	f := flamego.Classic()
//	f.Use(session.Sessioner())
//	f.Post("/signin", func(c flamego.Context, s session.Session) error {
//		if err := s.RegenerateID(c.ResponseWriter(), c.Request().Request); err != nil {
//			return err
//		}
//		s.Set("userID", 123)
//		return nil
//	})
//	f.Get("/", func(s session.Session) string {
//		id, ok := session.Get[int](s, "userID")
//		...
//	})
//
// Handlers after the middleware may take a Session, the Flash of the previous
// request, the Store, or the *Manager as a parameter. Without options sessions
// are kept in memory; Options name a Backend such as files (FileIniter) or SQLite
// (package sqlite), and everything else.
//
// # Life of a session
//
// A visitor has no session, no record and no cookie until a handler sets
// something or asks for the ID. What a handler changes is stored just before the
// first byte of the response leaves, so that whoever follows a redirect, on
// whatever server, finds it. If it cannot be stored the client gets 500 in place
// of the handler's answer. What is set after the first byte is stored when the
// handler returns, or with Commit. A handler that panics changes nothing.
// RegenerateID, to be called at sign-in, moves the session to a new ID; Destroy,
// at sign-out, ends it for good.
//
// # Expiry
//
// A session expires when it has not been accessed for the Lifetime of its
// store's Config, by default one hour, or up to a twentieth later: a record is
// written to live that much longer, so that an access needs to write only when
// less than a Lifetime is left. SetLifetime gives one session another Lifetime.
// Options.AbsoluteLifetime ends all of them that long after they began, however
// busy. Expired sessions are gone on reading; their records are removed every
// Options.GCInterval. The cookie ends with the browser, unless
// CookieOptions.MaxAge is set, or Remember was called for the session: "stay
// signed in".
//
// # Transports
//
// IDs travel in a cookie, unless Options.Transport names a header
// (HeaderTransport), the Bearer scheme of Authorization (BearerTransport), a
// parameter in URLs (QueryTransport), or the first of several (FirstOf). Nothing
// else is read. Where IDs are in URLs, URL puts them into those of pages and
// redirects, and TemplateFuncs has it for html/template.
//
// # Side by side
//
// SessionerAs injects the session of a second Manager into the same requests,
// under a type of the application's own: that of an administrator, say, with
// another cookie, store and Lifetime.
//
// # Concurrency
//
// Requests that change one session at the same time merge key by key, across
// all servers that share the store, and none waits for another: a request works
// on a snapshot, and its changes are put on top of the latest version by
// compare-and-swap. For one key the last Set wins; Update applies a function to
// the latest value, so that no count is lost. Of all requests that arrive
// together one gets the flash. A request cannot bring back a session that
// another has ended. The Session of a request may be used by many goroutines.
// Values must not be changed in place.
//
// # Values
//
// The memory keeps any Go value. The other stores encode with encoding/gob,
// which knows Go's basic types and slices of them; time.Time, time.Duration,
// map[string]string, map[string]any, []any and their like are registered by this
// package. Other types need gob.Register once at start; a value without it is
// answered 500, and the error names the key, the type and the call. Encoder and
// Decoder in each Config choose another encoding; those of a Cipher encrypt.
//
// # Security
//
// IDs have 160 random bits (OWASP ASVS 5.0 7.2.3). An ID that the store does not
// hold is never adopted. Cookies are HttpOnly, SameSite=Lax, without a Domain,
// and Secure over TLS; behind a proxy that does the TLS set CookieOptions.Secure,
// and a name starting with __Host-, whose rules are checked at start. A response
// that sets the cookie is kept out of caches; one that depends on it says so.
// Errors go to Options.ErrorFunc, and contain no ID.
//
// # Backends
//
// Sessions are kept in memory, in files, in a database, or by package cookie in
// the clients themselves. A Cipher encrypts what the others store.
//
// A new storage system is a Backend, of seven methods, and BackendIniter makes
// an Initer of it; a Store of one's own, as for v1.6.6, works too, with fewer
// guarantees.
//
// # Testing
//
// Package sessiontest has a client that keeps cookies and a stand-in for the
// session of a handler under test, and a conformance suite for backends.
package session
