package main

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net"
	"time"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

//go:embed templates
var sources embed.FS

// templates has every page with its layout. A mistake in one stops the program at start.
var templates = parseTemplates("stage", "home", "signin", "account", "sessions", "notfound")

func parseTemplates(names ...string) map[string]*template.Template {
	layout := template.Must(template.New("layout.html").Funcs(template.FuncMap{
		"ago": ago, "exact": exact, "count": count, "euros": euros,
		"address": net.JoinHostPort,
		"at":      func(t time.Time, text string) timeTag { return timeTag{t, text} },
		"link":    newLink,
	}).ParseFS(sources, "templates/layout.html"))
	pages := make(map[string]*template.Template)
	for _, name := range names {
		page := template.Must(layout.Clone())
		pages[name] = template.Must(page.ParseFS(sources, "templates/"+name+".html"))
	}
	return pages
}

// layout is what every page shows. Its fields are those that the templates use.
type layout struct {
	Path     string
	User     user // without a name if nobody is signed in
	Notices  []notice
	Place    string // of the sessions
	Lifetime string // without a visit
	Server   string
	Release  release
	Page     any // of the one page
}

// link is one in a navigation. Current is the value of aria-current, or empty.
type link struct{ Path, Text, Current string }

func newLink(path, text, here string) link {
	l := link{Path: path, Text: text}
	if here == path {
		l.Current = "page"
	}
	return l
}

// timeTag is a moment, and how the page puts it.
type timeTag struct {
	At   time.Time
	Text string
}

// view renders a page for one request.
type view struct {
	w      flamego.ResponseWriter
	s      session.Session
	layout layout
}

// newView returns a middleware that injects a *view, so that handlers need not
// collect what the layout shows.
func newView(cfg config) flamego.Handler {
	return func(c flamego.Context, s session.Session, a *accounts) {
		v := &view{w: c.ResponseWriter(), s: s, layout: layout{
			Path:     c.Request().URL.Path,
			Place:    cfg.backend.title,
			Lifetime: spell(cfg.lifetime),
			Server:   cfg.name,
			Release:  cfg.release,
		}}
		v.layout.User, _ = signedIn(s, a)
		c.Map(v)
	}
}

// show writes the page when it is complete: a template that fails must not leave half a
// page with status 200.
func (v *view) show(status int, name string, page any) error {
	v.layout.Notices, v.layout.Page = notices(v.s), page
	return v.render(status, name, "layout.html", v.layout)
}

// render writes a part of a page.
func (v *view) render(status int, name, part string, data any) error {
	var b bytes.Buffer
	if err := templates[name].ExecuteTemplate(&b, part, data); err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, _ = b.WriteTo(v.w) // An error means that the client is gone.
	return nil
}

// spell puts a duration into words, exactly: 90 minutes, 1 hour, 30 days.
func spell(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d%unit.length == 0 {
			return count(int(d/unit.length), unit.name)
		}
	}
	return count(int(d/time.Second), "second")
}

func euros(cents int) string { return fmt.Sprintf("€ %d.%02d", cents/100, cents%100) }

// exact is for the datetime attribute, and for who points at a time.
func exact(t time.Time) string { return t.Format("2006-01-02T15:04:05Z07:00") }

func ago(t time.Time) string {
	d := time.Since(t)
	if d < time.Minute {
		return "just now"
	}
	return about(d) + " ago"
}

// about names a duration by its largest unit.
func about(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return count(int(d.Seconds()), "second")
	case d < 2*time.Hour:
		return count(int(d.Minutes()), "minute")
	case d < 48*time.Hour:
		return count(int(d.Hours()), "hour")
	}
	return count(int(d.Hours()/24), "day")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
