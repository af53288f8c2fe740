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
// Handlers after the middleware may take a Session, the Flash of the previous request, the
// Store, or the *Manager as a parameter. A func of type Handler, FlashHandler or HTTPHandler
// is called without reflection. Without options, sessions are kept in memory. Options select
// another store, such as files (FileIniter) or SQLite (package sqlite), and everything else.
//
// # Life of a session
//
// Sessions are created lazily: a visitor has no session, no record and no cookie until a
// handler sets something or asks for the ID. Changes are stored just before the first byte of
// the response leaves, so that a client that follows a redirect finds them on any server. If
// they cannot be stored, the client gets 500 in place of the handler's response. Changes made
// after the first byte are stored when the handler returns, or with Commit. A handler that
// panics changes nothing. Call RegenerateID at sign-in, to move the session to a new ID, and
// Destroy at sign-out, to end it for good.
//
// # Expiry
//
// A session has an idle timeout: the Lifetime in its store's Config, one hour by default. It
// ends up to 5 % later than that. Expiration is sliding: a record is stored with a twentieth
// more than the Lifetime, so an access writes only when less than a Lifetime is left.
// SetLifetime gives one session another idle timeout. Options.AbsoluteLifetime is the absolute
// timeout: it ends every session that long after it began, however busy it is. Expired
// sessions cannot be read; their records are removed every Options.GCInterval. The cookie ends
// with the browser, unless CookieOptions.MaxAge is set or Remember was called for the session
// ("stay signed in"). Requests that Options.Passive reports, such as polls, do not count as
// activity. A WebSocket or a stream keeps its session alive with Refresh; Expires tells when
// it ends.
//
// # Outside of requests
//
// Manager.Edit changes any session by its ID. Its changes merge with those of the session's
// own requests.
//
// # Transports
//
// A cookie carries the ID, unless Options.Transport is a header (HeaderTransport), the Bearer
// scheme of Authorization (BearerTransport), a URL parameter (QueryTransport), or the first of
// several (FirstOf). IDs are read from nowhere else. URL puts the ID into the URLs of pages
// and redirects; TemplateFuncs makes it available to html/template.
//
// # Side by side
//
// SessionerAs injects the session of a second Manager into the same requests, under a type of
// your own: for example for administrators, with another cookie, store and Lifetime.
//
// # Concurrency
//
// Concurrency control is optimistic: a request works on a snapshot, its changes are rebased on
// the latest version and stored by compare-and-swap, and no request waits for another. So
// concurrent changes to one session merge key by key, across all servers that share the store.
// For the same key the last writer wins; Update applies a function to the latest value, so
// that no count is lost. A flash is delivered at most once, however many requests arrive
// together. A request cannot bring back a session that another has ended. Several goroutines
// may use the Session of a request. Do not change values in place.
//
// # Values
//
// The memory store keeps any Go value. The other stores use encoding/gob, which knows Go's
// basic types and slices of them. This package registers time.Time, time.Duration,
// map[string]string, map[string]any, []any and the like; other types need gob.Register once at
// start. Without it the client gets 500, and the error names the key, the type and the missing
// call. Encoder and Decoder in each Config select another encoding; those of a Cipher encrypt.
//
// # Security
//
// IDs have 160 random bits (OWASP ASVS 5.0 7.2.3). An ID that the store does not have is never
// adopted. Cookies are HttpOnly, SameSite=Lax, without a Domain, and Secure over TLS. Behind a
// proxy that terminates TLS, set CookieOptions.Secure, and a name that starts with __Host-,
// whose rules are checked at start. A response that sets the cookie is not cached; one that
// depends on it has a Vary header. Errors go to Options.ErrorFunc, and never contain an ID.
//
// # Backends
//
// Sessions are kept in memory, in files, in a database, or, with package cookie, in the
// clients themselves. A Cipher encrypts what backends store.
//
// For another storage system, write a Backend, which has seven methods; BackendIniter makes an
// Initer of it. A Store of your own, as for v1.6.6, works too, with fewer guarantees.
//
// # Testing
//
// Package sessiontest has a client that keeps cookies, for tests of your handlers. Package
// driver/drivertest tests backends.
package session
