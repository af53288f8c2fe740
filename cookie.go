package session

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// CookieOptions contains options for setting HTTP cookies.
type CookieOptions struct {
	// Name is the name of the cookie. Default is "flamego_session". A name that
	// starts with __Host- or __Secure- binds the other options, as browsers do (RFC
	// 6265bis, section 4.1.3): both need Secure, __Host- also needs Path "/" and no
	// Domain.
	Name string
	// Path is the Path attribute of the cookie. Default is "/".
	Path string
	// Domain is the Domain attribute of the cookie. Default is not set, which keeps
	// the cookie to the very host that set it.
	Domain string
	// MaxAge is the MaxAge attribute of the cookie, in seconds. Default is not set:
	// the cookie ends with the browser. Otherwise the cookie is sent again when a
	// twentieth of it has passed. At most 34560000, which is 400 days (RFC
	// 6265bis).
	MaxAge int
	// Secure specifies whether to set Secure for the cookie. It is set anyway on
	// requests that came over TLS. Set it when a proxy does the TLS.
	Secure bool
	// HTTPOnly is kept for source compatibility and changes nothing: the cookie is
	// HttpOnly unless AllowScriptAccess is set.
	HTTPOnly bool
	// SameSite is the SameSite attribute of the cookie. Default is
	// http.SameSiteLaxMode. http.SameSiteNoneMode needs Secure.
	SameSite http.SameSite

	// AllowScriptAccess leaves HttpOnly out, so that any script in the page, an
	// injected one as well, can read the session ID. Default is false.
	AllowScriptAccess bool
	// Partitioned gives the cookie a jar of its own for every site that embeds
	// yours. It needs Secure. Default is false.
	Partitioned bool
}

// maxCookieAge is the most that browsers grant (RFC 6265bis, section 5.5).
const maxCookieAge = 400 * 24 * time.Hour

// withDefaults fills in what is not set, and says what cannot be.
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
	switch {
	case (host || strings.HasPrefix(name, "__secure-")) && !o.Secure:
		return fmt.Errorf("Cookie.Name %q promises a secure cookie: set Cookie.Secure", o.Name)
	case host && o.Path != "/":
		return fmt.Errorf("Cookie.Name %q allows no Cookie.Path but \"/\", not %q: leave Cookie.Path out", o.Name, o.Path)
	case host && o.Domain != "":
		return fmt.Errorf("Cookie.Name %q allows no Cookie.Domain: leave it out, or name the cookie __Secure-…", o.Name)
	case o.SameSite == http.SameSiteNoneMode && !o.Secure:
		return errors.New("Cookie.SameSite is None, which browsers take with Secure only: set Cookie.Secure")
	case o.Partitioned && !o.Secure:
		return errors.New("Cookie.Partitioned is taken by browsers with Secure only: set Cookie.Secure")
	case o.MaxAge < 0:
		return fmt.Errorf("Cookie.MaxAge is %d: set it to 0 for a cookie that ends with the browser; to end a session use session.Destroy", o.MaxAge)
	case o.MaxAge > int(maxCookieAge/time.Second):
		return fmt.Errorf("Cookie.MaxAge is %d seconds, but browsers keep no cookie longer than 400 days: set it to %d at most", o.MaxAge, int(maxCookieAge/time.Second))
	case !strings.HasPrefix(o.Path, "/"):
		return fmt.Errorf("Cookie.Path %q must start with \"/\"", o.Path)
	}
	if err := o.cookie("0", true).Valid(); err != nil {
		return fmt.Errorf("Cookie.Name, Path or Domain is not valid: %w", err)
	}
	return nil
}

func (o CookieOptions) cookie(value string, secure bool) *http.Cookie {
	return &http.Cookie{
		Name:        o.Name,
		Value:       value,
		Path:        o.Path,
		Domain:      o.Domain,
		MaxAge:      o.MaxAge,
		Secure:      o.Secure || secure,
		HttpOnly:    !o.AllowScriptAccess,
		SameSite:    o.SameSite,
		Partitioned: o.Partitioned,
	}
}

// cookieCarrier carries IDs in a cookie. It has the header lines ready but for
// the ID.
type cookieCarrier struct {
	opt          CookieOptions
	plain, tls   string // what follows the ID
	gone, tlGone string // the whole line that removes the cookie
}

func newCookieCarrier(o CookieOptions) *cookieCarrier {
	line := func(secure bool) string {
		return strings.TrimPrefix(o.cookie("0", secure).String(), o.Name+"=0")
	}
	gone := func(secure bool) string {
		// The same attributes, or else browsers would not find the cookie, or refuse
		// the removal of one with a prefix (RFC 6265bis, section 5.7).
		c := o.cookie("", secure)
		c.MaxAge, c.Expires = -1, time.Unix(1, 0)
		return c.String()
	}
	return &cookieCarrier{opt: o, plain: line(false), tls: line(true), gone: gone(false), tlGone: gone(true)}
}

// read finds several cookies of the name where another host of the domain has set
// one, or where the Path has changed.
func (c *cookieCarrier) read(r *http.Request, values []string) []string {
	for _, line := range r.Header["Cookie"] {
		for line != "" {
			var part string
			part, line, _ = strings.Cut(line, ";")
			name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
			if name == c.opt.Name {
				values = append(values, strings.Trim(value, `"`))
			}
		}
	}
	return values
}

// write takes the Max-Age of the session before that of the options.
func (c *cookieCarrier) write(w http.ResponseWriter, r *http.Request, id string, age int) {
	secure := r.TLS != nil
	if age > 0 {
		o := c.opt
		o.MaxAge = age
		c.put(w.Header(), o.cookie(id, secure).String())
		return
	}
	rest := c.plain
	if secure {
		rest = c.tls
	}
	c.put(w.Header(), c.opt.Name+"="+id+rest)
}

func (c *cookieCarrier) greet(http.ResponseWriter, *http.Request, string) {}
func (c *cookieCarrier) maxAge(age int) int                               { return cmp.Or(age, c.opt.MaxAge) }

func (c *cookieCarrier) remove(w http.ResponseWriter, r *http.Request) {
	line := c.gone
	if r.TLS != nil {
		line = c.tlGone
	}
	c.put(w.Header(), line)
}

// put sets the cookie line in the place of an earlier one for the same cookie.
func (c *cookieCarrier) put(h http.Header, line string) {
	h["Set-Cookie"] = append(c.others(h), line)
}

// withdraw leaves the client the cookie that it has.
func (c *cookieCarrier) withdraw(h http.Header) {
	if kept := c.others(h); len(kept) > 0 {
		h["Set-Cookie"] = kept
	} else {
		delete(h, "Set-Cookie")
	}
}

// others returns the lines of all other cookies.
func (c *cookieCarrier) others(h http.Header) []string {
	lines, name := h["Set-Cookie"], c.opt.Name+"="
	kept := make([]string, 0, len(lines)+1)
	for _, l := range lines {
		if !strings.HasPrefix(l, name) {
			kept = append(kept, l)
		}
	}
	return kept
}

func (c *cookieCarrier) vary() string { return "Cookie" }
func (c *cookieCarrier) way() string  { return fmt.Sprintf("the cookie %q", c.opt.Name) }
