package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/txn"
)

const (
	// defaultIDLength gives 160 random bits (OWASP ASVS 5.0 7.2.3 asks for 128).
	defaultIDLength = 32
	// safeIDLength is the least that gives 128 bits.
	safeIDLength = 26
	// legacyIDLength is v1.6.6's default. Browsers still have such IDs, which stay valid
	// while their records exist.
	legacyIDLength = 16
)

// Options contains options for the session.Sessioner middleware.
type Options struct {
	// Initer is the initialization function of the session store. Default is
	// session.MemoryIniter.
	Initer Initer
	// Config is the configuration object to be passed to the Initer for the session
	// store. It must be of the type that the Initer wants: session.FileConfig for
	// session.FileIniter, and so on.
	Config interface{}
	// Cookie is a set of options for setting HTTP cookies.
	Cookie CookieOptions
	// IDLength specifies the length of new session IDs, in characters of 5 bits.
	// Default is 32, which makes 160 bits; at most 128. Under 26 characters an ID
	// has fewer than 128 bits (OWASP ASVS 5.0 7.2.3), and a warning is logged. IDs of
	// other lengths, from 16 characters on, are valid while their records exist.
	IDLength int
	// GCInterval is the time interval for GC operations, which start at a random
	// moment within it. Default is 5 minutes, also for anything under a second. A call of
	// the store that takes longer than that fails, which ErrorFunc and Observe hear of.
	// Expired sessions cannot be read, whether or not GC has run.
	GCInterval time.Duration
	// ErrorFunc is called with every error that no handler gets. It contains no ID. What
	// one client could cause with each request comes once a minute, with a count. Default
	// is to log it with log/slog, unless Report is set, and while the store cannot be reached
	// once a minute, with a count. It may be called concurrently.
	ErrorFunc func(err error)
	// ReadIDFunc is the function to read session ID from the request. Default is
	// that of Transport. What does not look like an ID counts as none. Nobody else knows
	// where it looks, so Cookie.Name names that place: if another Manager shares the
	// store, give each a name of its own, or an ID of one is valid for the other.
	ReadIDFunc func(r *http.Request) string
	// WriteIDFunc is the function to write session ID to the response. Default is
	// that of Transport, the first of several. The `created` argument is true if the
	// session or its ID is new, so that the client has to be told; this happens once,
	// just before the first byte leaves. It is false for a session that the request
	// brought, once per request and before the handlers.
	WriteIDFunc func(w http.ResponseWriter, r *http.Request, sid string, created bool)

	// Transport carries the session ID. Default is the cookie. ReadIDFunc and
	// WriteIDFunc replace it where they are set.
	Transport Transport
	// AbsoluteLifetime ends a session this long after it began, however busy it is,
	// even if its ID has changed since (OWASP ASVS 5.0 7.3.2). Default is 0, which is
	// never. SetAbsoluteLifetime sets that of one session. The start is kept with the
	// record; a session from before the option was set counts from its next use.
	AbsoluteLifetime time.Duration
	// StoreTimeout bounds how long a request waits for the store, once to load its
	// session and once to store it. Default is 5 seconds.
	StoreTimeout time.Duration
	// Observe is called with every Event, for logs and metrics: see package examples.
	// It gets the request's context where there is one, is called while the request
	// waits, and may be called concurrently. So it must not call Edit, End or EndAll, or
	// change a session: that could wait for the same request, in memory for ever. Do it in a
	// goroutine. Default is nil, which costs nothing.
	Observe func(ctx context.Context, e Event)
	// RenewEvery gives a session that lasts this long a new ID, again and again, so a
	// stolen one does not last (OWASP Session Management, "renewal timeout"). Default is
	// 0, which is never; at least 5 minutes. It happens with the response to a request
	// of the session. Other requests that are under way with the old ID go on, and get
	// the new one too: for 5 minutes the old ID is still good, unlike that of
	// RegenerateID. While the option is set, an ID that the storage does not have
	// costs one more look.
	RenewEvery time.Duration
	// HashIDs keeps the IDs out of the storage: it gets SHA-256 hashes of them, so a
	// leaked dump or backup signs nobody in. Default is false. Sessions from before
	// go on, and are stored under their hashes when they next change; until all of
	// them have expired, turning it off again ends those. An ID that the storage does
	// not have costs two more looks, and the end of a session one. Servers without
	// the option, and those of v1.6.6, do not find the sessions. A Store in memory and
	// one whose sessions their clients keep have no IDs in a storage, so there it changes nothing.
	HashIDs bool
	// MaxPerOwner is how many sessions an owner may have at a time. If a sign-in would
	// make one more, the oldest ends. Default is 0, which is any number. It needs a
	// Store that can list sessions: see SetOwner.
	MaxPerOwner int
	// RefuseOverMax refuses such a sign-in instead: Commit returns ErrTooMany, and what
	// was set since the last commit is dropped, so the handler can say why. Without a
	// Commit in the handler the client gets 500. Default is false.
	RefuseOverMax bool
	// OwnerOf names the owner of a session that has none: whose it is by what earlier versions
	// of the application have put into it, or "". Such a session is put on the owner's list when
	// a request next uses or stores it, keeps its ID, and is found by Manager.Sessions, End and
	// EndAll from then on. MaxPerOwner counts it, and ends the oldest for it, also with
	// RefuseOverMax. What the function changes is not stored. If it panics, ErrorFunc is called,
	// and the session is not listed. Default is nil. It is called for sessions without an owner
	// only, maybe concurrently. It needs a Store that can list sessions: see SetOwner. Give all
	// servers the same function.
	OwnerOf func(s Session) string
	// MaxSize is how many bytes a session may have when it is encoded, so that nobody can
	// fill the store with what your handlers take from a request. A commit that would make
	// it larger is ErrTooLarge, and what was set since the last one is dropped, so a handler
	// that calls Commit can answer 413; without a Commit the client gets 500. Default is 0,
	// which is any size. It costs one more encoding per commit. In memory, a session with a
	// value that gob cannot encode has no size.
	MaxSize int
	// Passive tells requests that do not mean that the visitor is there, such as the
	// polls of an open page, health checks and prefetches. Such a request reads its
	// session, but does not keep it alive: it neither slides the expiry nor has a
	// persistent cookie sent again, and the flash stays for the next request, so that
	// its own session.Flash is nil. What its handler changes is stored all the same,
	// without sliding the expiry. Default is nil: every request is an access. It is
	// called for requests with a session, maybe concurrently; if it panics, the client
	// gets 500.
	Passive func(r *http.Request) bool
	// Report is ErrorFunc with a context, that of the request where there is one: it has
	// what a middleware in front has put there, such as the ID of a trace, so that the line
	// in the log can be tied to its request. The default log passes it to log/slog. If
	// ErrorFunc is set as well, both are called. It may be called concurrently.
	Report func(ctx context.Context, err error)
	// FailureFunc answers a request whose session could not be loaded or stored, for example
	// with a page of your own, JSON, or 503 and Retry-After. The response has nothing of the
	// handlers' left, only what was set in front of the middleware. What FailureFunc writes
	// is sent when it returns, as 500 if it sets no status, and no cache keeps it. If it
	// writes nothing, or panics, and by default, a plain 500 is sent. It is not called once
	// the response has started, or if the handler has panicked. The error is also reported.
	// It may be called concurrently, and must not use the session.
	FailureFunc func(w http.ResponseWriter, r *http.Request, err error)
	// TakesFlash tells the requests that show flashes. For any other, session.Flash is nil,
	// and the flashes wait for the next request that shows them; those of AddFlash queue up.
	// Default is nil: the session's next request takes them, as in v1.6.6, even a poll or a
	// redirect. Navigation is the rule for sites of ordinary pages. It is called for requests
	// with a session that are not Passive, maybe concurrently; if it panics, the client gets
	// 500.
	TakesFlash func(r *http.Request) bool

	now func() time.Time
}

const (
	defaultGCInterval   = 5 * time.Minute
	defaultStoreTimeout = 5 * time.Second
)

// withDefaults fills in what is not set. Its errors name the field and the remedy.
func (o Options) withDefaults() (Options, error) {
	var err error
	if o.Cookie, err = o.Cookie.withDefaults(); err != nil {
		return o, err
	}
	if o.Initer == nil {
		o.Initer = MemoryIniter()
	}
	if o.GCInterval < time.Second {
		o.GCInterval = defaultGCInterval
	}
	if o.StoreTimeout < 0 {
		return o, errors.New("StoreTimeout is negative: leave it out for 5 seconds")
	}
	if o.StoreTimeout == 0 {
		o.StoreTimeout = defaultStoreTimeout
	}
	if err := o.Transport.check(); err != nil {
		return o, err
	}
	switch {
	case o.AbsoluteLifetime < 0:
		return o, errors.New("AbsoluteLifetime is negative: leave it out for none")
	case o.AbsoluteLifetime > 0 && o.AbsoluteLifetime < time.Second:
		return o, fmt.Errorf("AbsoluteLifetime is %v: set it to a second at least, or leave it out for none", o.AbsoluteLifetime)
	case o.AbsoluteLifetime > txn.MaxLifetime:
		return o, fmt.Errorf("AbsoluteLifetime is %v: set it to 100 years at most, or leave it out for none", o.AbsoluteLifetime)
	}
	if o.RenewEvery != 0 && o.RenewEvery < txn.RenewAtLeast {
		return o, fmt.Errorf("RenewEvery is %v: set it to %v at least, or leave it out for never", o.RenewEvery, txn.RenewAtLeast)
	}
	switch {
	case o.MaxPerOwner < 0:
		return o, errors.New("MaxPerOwner is negative: leave it out for any number")
	case o.RefuseOverMax && o.MaxPerOwner == 0:
		return o, errors.New("RefuseOverMax needs a limit: set MaxPerOwner")
	}
	switch {
	case o.MaxSize < 0:
		return o, errors.New("MaxSize is negative: leave it out for any size")
	case o.IDLength < driver.MinIDLength:
		o.IDLength = defaultIDLength
	case o.IDLength > driver.MaxIDLength:
		return o, fmt.Errorf("IDLength is %d: set it to %d at most, or leave it out for %d", o.IDLength, driver.MaxIDLength, defaultIDLength)
	case o.IDLength < safeIDLength:
		slog.Warn("session: short IDs can be guessed: leave Options.IDLength out, or set it to 26 or more",
			"IDLength", o.IDLength, "bits", 5*o.IDLength)
	}
	return o, nil
}

// CookieOptions contains options for setting HTTP cookies.
type CookieOptions struct {
	// Name is the name of the cookie. Default is "flamego_session". A name that
	// starts with __Host- or __Secure- binds the other options, as browsers do (RFC
	// 6265bis, section 4.1.3): both need Secure, __Host- also needs Path "/" and no
	// Domain. The newer __Http- and __Host-Http- need HttpOnly as well.
	Name string
	// Path is the Path attribute of the cookie. Default is "/".
	Path string
	// Domain is the Domain attribute of the cookie. Default is not set, which limits
	// the cookie to the host that set it.
	Domain string
	// MaxAge is the MaxAge attribute of the cookie, in seconds. Default is not set:
	// the cookie ends with the browser. Otherwise the cookie is sent again when a
	// twentieth of it has passed, and lasts no longer than an absolute timeout of the
	// session. At most 34560000, which is 400 days (RFC 6265bis).
	MaxAge int
	// Secure specifies whether to set Secure for the cookie. It is always set on
	// requests that came over TLS. Set it if a proxy terminates TLS.
	Secure bool
	// HTTPOnly is kept for source compatibility and changes nothing: the cookie is
	// HttpOnly unless AllowScriptAccess is set.
	HTTPOnly bool
	// SameSite is the SameSite attribute of the cookie. Default is
	// http.SameSiteLaxMode. http.SameSiteNoneMode needs Secure.
	SameSite http.SameSite

	// AllowScriptAccess leaves HttpOnly out, so that any script in the page, including
	// an injected one, can read the session ID. Default is false.
	AllowScriptAccess bool
	// Partitioned gives the cookie a separate jar for every site that embeds yours.
	// It needs Secure. Default is false.
	Partitioned bool
}

// withDefaults fills in what is not set, and rejects what browsers would.
func (o CookieOptions) withDefaults() (CookieOptions, error) {
	if o.Name == "" {
		o.Name = "flamego_session"
	}
	if o.Path == "" {
		o.Path = "/"
	}
	if o.SameSite < http.SameSiteDefaultMode || o.SameSite > http.SameSiteNoneMode {
		o.SameSite = http.SameSiteLaxMode
	}
	return o, o.check()
}

func (o CookieOptions) check() error {
	// Browsers compare the prefixes without regard to case, so do we.
	name := strings.ToLower(o.Name)
	host := strings.HasPrefix(name, "__host-")
	httpOnly := strings.HasPrefix(name, "__http-") || strings.HasPrefix(name, "__host-http-")
	switch {
	case (host || httpOnly || strings.HasPrefix(name, "__secure-")) && !o.Secure:
		return fmt.Errorf("Cookie.Name %q requires a secure cookie: set Cookie.Secure", o.Name)
	case host && o.Path != "/":
		return fmt.Errorf("Cookie.Name %q allows no Cookie.Path but \"/\", not %q: leave Cookie.Path out", o.Name, o.Path)
	case host && o.Domain != "":
		return fmt.Errorf("Cookie.Name %q allows no Cookie.Domain: leave it out, or name the cookie __Secure-…", o.Name)
	case httpOnly && o.AllowScriptAccess:
		return fmt.Errorf("Cookie.Name %q is for cookies out of reach of scripts: leave Cookie.AllowScriptAccess out", o.Name)
	case o.SameSite == http.SameSiteNoneMode && !o.Secure:
		return errors.New("Cookie.SameSite is None, which browsers accept only with Secure: set Cookie.Secure")
	case o.Partitioned && !o.Secure:
		return errors.New("Cookie.Partitioned is accepted by browsers only with Secure: set Cookie.Secure")
	case o.MaxAge < 0:
		return fmt.Errorf("Cookie.MaxAge is %d: set it to 0 for a cookie that ends with the browser; to end a session use session.Destroy", o.MaxAge)
	case o.MaxAge > int(txn.MaxCookieAge/time.Second):
		return fmt.Errorf("Cookie.MaxAge is %d seconds, but browsers keep no cookie longer than 400 days: set it to %d at most", o.MaxAge, int(txn.MaxCookieAge/time.Second))
	case !strings.HasPrefix(o.Path, "/"):
		return fmt.Errorf("Cookie.Path %q must start with \"/\"", o.Path)
	}
	sample := o.cookie()
	sample.Value, sample.Secure = "0", true
	if err := sample.Valid(); err != nil {
		return fmt.Errorf("Cookie.Name, Path or Domain is not valid: %w", err)
	}
	return nil
}

// cookie returns a cookie with these options, without a value.
func (o CookieOptions) cookie() http.Cookie {
	return http.Cookie{
		Name:        o.Name,
		Path:        o.Path,
		Domain:      o.Domain,
		MaxAge:      o.MaxAge,
		Secure:      o.Secure,
		HttpOnly:    !o.AllowScriptAccess,
		SameSite:    o.SameSite,
		Partitioned: o.Partitioned,
	}
}
