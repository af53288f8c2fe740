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
	// safeIDLength is the shortest length that gives 128 bits.
	safeIDLength = 26
	// legacyIDLength is the default of v1.6.6. Browsers still hold such IDs. They stay valid
	// while their records exist.
	legacyIDLength = 16
)

// Options contains options for the session.Sessioner middleware.
type Options struct {
	// Initer opens the session store. Default is session.MemoryIniter.
	Initer Initer
	// Config configures the session store. It must have the type that the Initer expects:
	// session.FileConfig for session.FileIniter, and so on. session.MemoryIniter needs none.
	Config interface{}
	// Cookie is a set of options for setting HTTP cookies.
	Cookie CookieOptions
	// IDLength is the length of new session IDs, in characters of 5 bits each. Default is 32,
	// which is 160 bits; the maximum is 128. With fewer than 26 characters an ID has fewer
	// than 128 bits (OWASP ASVS 5.0 7.2.3), and a warning is logged. Existing IDs of any other
	// length from 16 characters up stay valid while their records exist.
	IDLength int
	// GCInterval is the interval at which expired records are removed. The first removal
	// happens at a random moment within it. Default is 5 minutes, also for values under a
	// second. A store call that takes longer than the interval fails, and the error goes to
	// ErrorFunc and Observe. An expired session cannot be read, whether or not its record has
	// been removed.
	GCInterval time.Duration
	// ErrorFunc is called with every error that is not returned to a handler. The error never
	// contains a session ID. Errors that a client could cause with every request are reported
	// at most once a minute, with a count of those left out. Default is to log with log/slog,
	// unless Report is set; the default log also limits errors of an unreachable store to one
	// a minute. It may be called concurrently.
	ErrorFunc func(err error)
	// ReadIDFunc reads the session ID from the request. Default is that of Transport. A value
	// that is not a valid ID is ignored. The library cannot know where the function looks, so
	// Cookie.Name stands for that place: if two Managers share a store, give each its own
	// Cookie.Name, or an ID issued by one is valid for the other.
	ReadIDFunc func(r *http.Request) string
	// WriteIDFunc writes the session ID to the response. Default is that of Transport, or of
	// the first one in FirstOf. It is called with created set to true when the session or its
	// ID is new and the client has to be told: once, just before the first byte of the
	// response. For a session that the request brought, it is called with created set to
	// false: once per request, before the handlers.
	WriteIDFunc func(w http.ResponseWriter, r *http.Request, sid string, created bool)

	// Transport carries the session ID between client and server. Default is the cookie.
	// ReadIDFunc and WriteIDFunc, where set, replace it.
	Transport Transport
	// AbsoluteLifetime is the absolute timeout: a session ends this long after it began,
	// however busy it is and even if its ID has changed (OWASP ASVS 5.0 7.3.2). Default is 0,
	// no absolute timeout. SetAbsoluteLifetime overrides it for one session. The start is
	// stored in the record; for a session that is older than the option, the clock starts at
	// its next use.
	AbsoluteLifetime time.Duration
	// StoreTimeout limits how long a request waits for the store: once to load its session,
	// and once to store it. Default is 5 seconds.
	StoreTimeout time.Duration
	// Observe is called with every Event, for logs and metrics: see package examples. It gets
	// the request's context if there is one. It is called while the request waits, and may be
	// called concurrently. Do not call Edit, End or EndAll in it, and do not change a session:
	// these can deadlock; call them from a new goroutine. Default is nil, which costs nothing.
	Observe func(ctx context.Context, e Event)
	// RenewEvery gives a session a new ID whenever the current one is this old, so that a
	// stolen ID is of use for a limited time only (OWASP Session Management, "renewal
	// timeout"). Default is 0, never; the minimum is 5 minutes. The new ID is sent with the
	// response to a request of the session. Unlike after RegenerateID, the old ID stays valid
	// for 5 more minutes, so concurrent requests that carry it succeed and are told the new
	// ID. While the option is set, an ID that the store does not have costs one extra Load.
	RenewEvery time.Duration
	// HashIDs stores each record under the SHA-256 hash of its ID, so that a leaked dump or
	// backup contains no usable ID. Default is false. Existing sessions continue, and move to
	// their hashes when they next change. Turning the option off again ends all sessions that
	// are stored under a hash. An ID that the store does not have costs two extra Loads, and
	// ending a session one. Servers without the option, and servers of v1.6.6, do not find
	// these sessions, so set it on all servers at once. It has no effect on a Store in memory,
	// or on one whose sessions are kept by their clients.
	HashIDs bool
	// MaxPerOwner is the maximum number of sessions per owner. A sign-in beyond it ends the
	// owner's oldest session. Default is 0, no limit. It requires a Store that can list
	// sessions: see SetOwner.
	MaxPerOwner int
	// RefuseOverMax refuses a sign-in beyond MaxPerOwner instead of ending the oldest session.
	// Commit then returns ErrTooMany, and the changes since the last commit are dropped, so
	// the handler can explain. If the handler does not call Commit, the client gets 500.
	// Default is false.
	RefuseOverMax bool
	// OwnerOf returns the owner of a session for which SetOwner was never called, or "" if it
	// has none, judging by what earlier versions of the application stored in it. When a
	// request next uses or stores such a session, it is added to the owner's list under its
	// current ID, so that Manager.Sessions, End and EndAll find it. It counts toward
	// MaxPerOwner, and the oldest session ends if there are too many, even with RefuseOverMax.
	// Changes that the function makes to the session are not stored. If it panics, ErrorFunc
	// is called, and the session is not listed. Default is nil. It is called only for sessions
	// without an owner, and may be called concurrently. It requires a Store that can list
	// sessions: see SetOwner. Use the same function on all servers.
	OwnerOf func(s Session) string
	// MaxSize is the maximum size of an encoded session, in bytes, so that input which
	// handlers store cannot fill the store. A commit beyond it returns ErrTooLarge, and the
	// changes since the last commit are dropped, so a handler that calls Commit can answer
	// 413. If the handler does not call Commit, the client gets 500. Default is 0, no limit.
	// It costs one extra encoding per commit. With the memory store, a session that contains a
	// value which gob cannot encode is not measured.
	MaxSize int
	// Passive reports whether r is background traffic (polling, health checks, prefetch) that
	// must not extend the session. Such a request can read and change its session, and changes
	// are stored, but it does not slide the expiry and does not send a persistent cookie
	// again. It also leaves the flash for the next request: its own session.Flash is nil.
	// Default is nil: every request counts as activity. It is called for requests with a
	// session, and may be called concurrently. If it panics, the client gets 500.
	Passive func(r *http.Request) bool
	// Report is ErrorFunc with a context: the request's, if there is one, with whatever
	// earlier middleware has put into it, such as a trace ID. Use it to tie a log line to its
	// request. If ErrorFunc is set too, both are called. Default is to pass the context to
	// log/slog. It may be called concurrently.
	Report func(ctx context.Context, err error)
	// FailureFunc writes the response to a request whose session could not be loaded or
	// stored, for example a page of your own, JSON, or 503 with Retry-After. What the handlers
	// wrote is discarded; only headers set by earlier middleware remain. The response is sent
	// when FailureFunc returns, with status 500 if it sets none, and is never cached. If it
	// writes nothing or panics, a plain 500 is sent, which is also the default. It is not
	// called if the response has started or the handler has panicked. The error is reported to
	// ErrorFunc and Report in any case. It may be called concurrently, and must not use the
	// session.
	FailureFunc func(w http.ResponseWriter, r *http.Request, err error)
	// TakesFlash reports whether r will show flashes. For all other requests session.Flash is
	// nil, and flashes wait; those added by AddFlash accumulate. Default is nil: the session's
	// next request gets the flash, as in v1.6.6, even if it is a poll or a redirect.
	// Navigation suits sites of ordinary pages. It is called for requests with a session that
	// are not Passive, and may be called concurrently. If it panics, the client gets 500.
	TakesFlash func(r *http.Request) bool

	now func() time.Time
}

const (
	defaultGCInterval   = 5 * time.Minute
	defaultStoreTimeout = 5 * time.Second
)

// withDefaults fills in the defaults. Its errors name the field and the remedy.
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
	// Name is the name of the cookie. Default is "flamego_session". The prefixes __Host- and
	// __Secure- are checked as browsers check them (RFC 6265bis, section 4.1.3): both require
	// Secure, and __Host- also requires Path "/" and no Domain. The newer prefixes __Http- and
	// __Host-Http- also require HttpOnly.
	Name string
	// Path is the Path attribute of the cookie. Default is "/".
	Path string
	// Domain is the Domain attribute of the cookie. Default is none, which limits the cookie
	// to the host that set it.
	Domain string
	// MaxAge is the Max-Age attribute of the cookie, in seconds. Default is 0: the cookie ends
	// with the browser. Otherwise the cookie is persistent. It is sent again once a twentieth
	// of MaxAge has passed, and never outlasts the session's absolute timeout. The maximum is
	// 34560000, which is 400 days (RFC 6265bis).
	MaxAge int
	// Secure sets the Secure attribute of the cookie. Default is false; on requests that
	// arrive over TLS the attribute is always set. Set it if a proxy terminates TLS.
	Secure bool
	// HTTPOnly has no effect. It is kept for source compatibility: cookies are HttpOnly unless
	// AllowScriptAccess is set.
	HTTPOnly bool
	// SameSite is the SameSite attribute of the cookie. Default is http.SameSiteLaxMode.
	// http.SameSiteNoneMode requires Secure.
	SameSite http.SameSite

	// AllowScriptAccess omits HttpOnly, so any script in the page, injected ones included, can
	// read the session ID. Default is false.
	AllowScriptAccess bool
	// Partitioned gives the cookie a separate jar for every site that embeds yours. Default is
	// false. It requires Secure.
	Partitioned bool
}

// withDefaults fills in the defaults, and rejects what browsers would reject.
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
