package main

import (
	"bytes"
	"embed"
	"html/template"
	"strings"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

//go:embed templates
var sources embed.FS

// templates has every page with its layout. A mistake in one stops the program at start.
var templates = parseTemplates("home", "counter", "signin", "account", "notfound")

func parseTemplates(names ...string) map[string]*template.Template {
	pages := make(map[string]*template.Template)
	for _, name := range names {
		pages[name] = template.Must(template.ParseFS(sources, "templates/layout.html", "templates/"+name+".html"))
	}
	return pages
}

// layout is what every page shows. Its fields are those that the templates use.
type layout struct {
	Path     string
	User     string // empty if nobody is signed in
	Flash    string
	Place    string // of the sessions
	Lasts    bool
	Lifetime string
	Page     any // of the one page
}

// view renders a page for one request.
type view struct {
	w      flamego.ResponseWriter
	layout layout
}

// newView returns a middleware that injects a *view, so that handlers need not
// collect what the layout shows.
func newView(cfg config) flamego.Handler {
	// "1h30m" reads better than "1h30m0s".
	lifetime := strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(cfg.lifetime.String())
	return func(c flamego.Context, s session.Session, flash session.Flash) {
		v := &view{w: c.ResponseWriter(), layout: layout{
			Path:     c.Request().URL.Path,
			Place:    cfg.backend.title,
			Lasts:    cfg.backend.lasts,
			Lifetime: lifetime,
		}}
		v.layout.User, _ = session.Get[string](s, keyUser)
		v.layout.Flash, _ = flash.(string) // nil, most of the time.
		c.Map(v)
	}
}

// show writes the page when it is complete: a template that fails must not leave half a
// page with status 200.
func (v *view) show(status int, name string, page any) error {
	v.layout.Page = page
	var b bytes.Buffer
	if err := templates[name].Execute(&b, v.layout); err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, _ = b.WriteTo(v.w) // An error means that the client is gone.
	return nil
}
