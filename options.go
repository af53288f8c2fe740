package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/flamego/session/internal/hook"
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
	// has fewer than 128 bits (OWASP ASVS 5.0 7.2.3): that is logged as a warning.
	// IDs of other lengths, from 16 characters on, are good as long as their records
	// exist.
	IDLength int
	// GCInterval is the time interval for GC operations, which start at a random
	// moment within it. Default is 5 minutes, also for anything under a second.
	// Expired sessions are gone whether or not GC has run.
	GCInterval time.Duration
	// ErrorFunc is called with every error that no handler can be told of. No ID is
	// in it. Default is to log it with log/slog. It may be called concurrently.
	ErrorFunc func(err error)
	// ReadIDFunc is the function to read session ID from the request. Default is
	// what Transport says. What does not look like an ID counts as none.
	ReadIDFunc func(r *http.Request) string
	// WriteIDFunc is the function to write session ID to the response. Default is
	// what Transport says, the first way of several. The `created` argument is true
	// when the client must be told the ID, because the session or its ID is new; this
	// happens just before the first byte leaves. It is false, once a request and
	// before the handlers, for a session that the client has named itself.
	WriteIDFunc func(w http.ResponseWriter, r *http.Request, sid string, created bool)

	// Transport is the way on which session IDs travel. Default is the cookie.
	// ReadIDFunc and WriteIDFunc, where set, take its place.
	Transport Transport
	// AbsoluteLifetime ends a session at this time after it was made, however busy
	// it is, also when its ID has changed since (OWASP ASVS 5.0 7.3.2). Default is
	// 0, which is never. The time is kept with the record; a session from before
	// the option was set counts from its next use.
	AbsoluteLifetime time.Duration
	// StoreTimeout bounds what one request waits for the store, once when its
	// session is loaded and once when it is stored. Default is 5 seconds.
	StoreTimeout time.Duration

	now func() time.Time
}

const (
	defaultGCInterval   = 5 * time.Minute
	defaultStoreTimeout = 5 * time.Second
)

// withDefaults fills in what is not set. Its errors name the field and what to
// do.
func (o Options) withDefaults() (Options, error) {
	var err error
	if o.Cookie, err = o.Cookie.withDefaults(); err != nil {
		return o, err
	}
	if o.Initer == nil {
		o.Initer = MemoryIniter()
	}
	if o.ErrorFunc == nil {
		o.ErrorFunc = func(err error) { slog.Error("session middleware", "error", err) }
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
	case o.AbsoluteLifetime > maxLifetime:
		return o, fmt.Errorf("AbsoluteLifetime is %v: set it to 100 years at most, or leave it out for none", o.AbsoluteLifetime)
	}
	switch {
	case o.IDLength < minimumSIDLength:
		o.IDLength = defaultIDLength
	case o.IDLength > maxIDLength:
		return o, fmt.Errorf("IDLength is %d: set it to %d at most, or leave it out for %d", o.IDLength, maxIDLength, defaultIDLength)
	case o.IDLength < safeIDLength:
		slog.Warn("session: short IDs can be guessed: leave Options.IDLength out, or set it to 26 or more",
			"IDLength", o.IDLength, "bits", 5*o.IDLength)
	}
	return o, nil
}

func init() {
	hook.SetClock = func(options any, now func() time.Time) { options.(*Options).now = now }
	hook.Save = func(ctx context.Context, manager, sess any) (string, error) {
		m := manager.(*Manager)
		if live, ok := sess.(*liveSession); ok && m.store.inClient {
			err := live.commit(ctx) // Not Save, which would not know whom to tell.
			return live.value(), err
		}
		s := sess.(Session)
		return s.ID(), m.outer.Save(ctx, s)
	}
	hook.CookieName = func(manager any) string {
		m := manager.(*Manager)
		for _, c := range m.carriers {
			switch c.(type) {
			case *cookieCarrier, *funcCarrier:
				return m.opt.Cookie.Name
			}
		}
		return ""
	}
}
