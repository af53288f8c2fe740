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
// request, the Store, or the *Manager as a parameter. A func of type Handler,
// FlashHandler or HTTPHandler is called without reflection. Without options, sessions
// are kept in memory; Options choose another store, such as files (FileIniter) or
// SQLite (package sqlite), and everything else.
//
// # Life of a session
//
// Sessions are created lazily: a visitor has no session, no record and no cookie
// until a handler sets something or asks for the ID. Changes are stored just before
// the first byte of the response leaves, so that a client that follows a redirect
// finds them on any server. If they cannot be stored, the client gets 500 in place of
// the handler's response. What is set after the first byte is stored when the
// handler returns, or with Commit. A handler that panics changes nothing. Call
// RegenerateID at sign-in, to move the session to a new ID, and Destroy at sign-out,
// to end it for good.
//
// # Expiry
//
// A session expires when it has been idle for the Lifetime in its store's Config,
// by default one hour, or up to a twentieth later. The expiry slides, but a record is
// stored with a twentieth more than the Lifetime, so an access writes only when less
// than a Lifetime is left. SetLifetime gives one session another idle timeout.
// Options.AbsoluteLifetime ends every session that long after it began, however
// busy. Expired sessions can no longer be read; their records are removed every
// Options.GCInterval. The cookie ends with the browser, unless CookieOptions.MaxAge
// is set, or Remember was called for the session: "stay signed in". Requests that
// Options.Passive names, such as polls, are no access. A WebSocket or a stream keeps
// its session alive with Refresh; Expires says when it ends.
//
// # Outside of requests
//
// Manager.Edit changes a session that is not that of the current request, by its ID,
// merged with what its requests change.
//
// # Transports
//
// A cookie carries the ID, unless Options.Transport is a header (HeaderTransport),
// the Bearer scheme of Authorization (BearerTransport), a URL parameter
// (QueryTransport), or the first of several (FirstOf). Nothing else is read. URL puts
// the ID into the URLs of pages and redirects, and TemplateFuncs has it for
// html/template.
//
// # Side by side
//
// SessionerAs injects the session of a second Manager into the same requests, under
// a type of your own: for administrators, say, with another cookie, store and
// Lifetime.
//
// # Concurrency
//
// Concurrency control is optimistic: a request works on a snapshot, its changes are
// rebased on the latest version and stored by compare-and-swap, and no request waits
// for another. So requests that change one session at the same time merge key by
// key, across all servers that share the store. For one key the last writer wins;
// Update applies a function to the latest value, so that no count is lost. A flash is
// delivered at most once, however many requests arrive together. A request cannot
// bring back a session that another has ended. Many goroutines may use the Session of
// a request. Values must not be changed in place.
//
// # Values
//
// The memory store keeps any Go value. The other stores use encoding/gob, which
// knows Go's basic types and slices of them. This package registers time.Time,
// time.Duration, map[string]string, map[string]any, []any and the like; other types
// need gob.Register once at start. Without it the client gets 500, and the error
// names the key, the type and the call. Encoder and Decoder in each Config choose
// another encoding; those of a Cipher encrypt.
//
// # Security
//
// IDs have 160 random bits (OWASP ASVS 5.0 7.2.3). An ID that the store does not
// hold is never adopted. Cookies are HttpOnly, SameSite=Lax, without a Domain, and
// Secure over TLS. Behind a proxy that terminates TLS, set CookieOptions.Secure, and
// a name that starts with __Host-, whose rules are checked at start. A response that
// sets the cookie is kept out of caches; one that depends on it has Vary. Errors go
// to Options.ErrorFunc, and contain no ID.
//
// # Backends
//
// Sessions are kept in memory, in files, in a database, or, by package cookie, in
// the clients themselves. A Cipher encrypts what backends store.
//
// For another storage system, write a Backend, which has seven methods, and
// BackendIniter makes an Initer of it. A Store of your own, as for v1.6.6, works too,
// with fewer guarantees.
//
// # Testing
//
// Package sessiontest has a client that keeps cookies, for tests of handlers. Package
// driver/drivertest tests backends.
package session
