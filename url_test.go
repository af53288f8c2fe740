package session_test

import (
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// urls calls fn in a handler whose URLs carry the ID.
func urls(t testing.TB, fn func(s session.Session)) (id string) {
	m, err := session.NewManager(session.Options{Transport: session.QueryTransport("sid")})
	require.NoError(t, err)
	defer func() { _ = m.Close(t.Context()) }()
	a := &app{Flame: silent(), m: m}
	a.Use(m.Sessioner())
	a.Get("/", func(s session.Session) {
		s.Set("k", 1)
		fn(s)
		id = s.ID()
	})
	a.ask("/")
	return id
}

func TestURL(t *testing.T) {
	tests := map[string]string{
		"":                    "?sid=ID",
		"cart":                "cart?sid=ID",
		"/cart":               "/cart?sid=ID",
		"/cart?x=1":           "/cart?x=1&sid=ID",
		"/cart?x=1#top":       "/cart?x=1&sid=ID#top",
		"#top":                "",
		"?page=2":             "?page=2&sid=ID",
		"?sid=old&page=2":     "?page=2&sid=ID",
		"?%73i%64=old&page=2": "?page=2&sid=ID",
		"?sid&&%zz=1&sid=&+":  "?%zz=1&+&sid=ID",
		"/a%20b/%3Fc?x=%26":   "/a%20b/%3Fc?x=%26&sid=ID",
		"/time/12:30":         "/time/12:30?sid=ID",
		"/to?next=http://a/b": "/to?next=http://a/b&sid=ID",
		// Never to another host, nor what a browser might take for one.
		"http://other.example/":  "",
		"https:/other.example/":  "",
		"//other.example/":       "",
		`/\other.example/`:       "",
		`\\other.example/`:       "",
		"\x20//other.example/":   "",
		"\t//other.example/":     "",
		"/\t/other.example/":     "",
		"/\n/other.example/":     "",
		"javascript:alert(1)":    "",
		"mailto:a@other.example": "",
		"x:/y":                   "",
	}
	got := make(map[string]string)
	id := urls(t, func(s session.Session) {
		for ref := range tests {
			got[ref] = session.URL(s, ref)
		}
	})
	for ref, want := range tests {
		if want == "" {
			want = ref
		}
		assert.Equal(t, strings.ReplaceAll(want, "ID", id), got[ref], "%q", ref)
	}
	assert.Equal(t, "/cart", session.URL(session.NewBaseSession("x", nil, nil), "/cart"), "a session of another make")
}

func TestURLInTemplates(t *testing.T) {
	var page strings.Builder
	id := urls(t, func(s session.Session) {
		tmpl := template.Must(template.New("").Funcs(session.TemplateFuncs()).Parse(`<a href="{{sessionURL .Session .Path}}">`))
		require.NoError(t, tmpl.Execute(&page, map[string]any{"Session": s, "Path": "/cart?x=1&y=2"}))
	})
	assert.Equal(t, `<a href="/cart?x=1&amp;y=2&amp;sid=`+id+`">`, page.String())
}

// TestURLBeforeTheFirstUse makes URLs before there is a session.
func TestURLBeforeTheFirstUse(t *testing.T) {
	a := transportApp(t, session.QueryTransport("sid"))
	a.Get("/late", func(s session.Session) string {
		before := session.URL(s, "/")
		s.Set("k", "v")
		return before + " " + session.URL(s, "/")
	})
	before, after, _ := strings.Cut(a.ask("/late").Body.String(), " ")
	assert.Equal(t, "/", before)
	assert.Equal(t, "v", a.ask("/read"+strings.TrimPrefix(after, "/")).Body.String())
}

// FuzzURL checks that URL never puts an ID into a link to another site.
func FuzzURL(f *testing.F) {
	for _, s := range []string{"/cart?x=1", "//other", `/\x`, "http:other", "/a?sid=1&b=2#c", "?", "#", "\x00//x", ":", "a:b"} {
		f.Add(s)
	}
	base, _ := url.Parse("https://site.example/dir/page?x=1")
	f.Fuzz(func(t *testing.T, ref string) {
		var got string
		id := urls(t, func(s session.Session) { got = session.URL(s, ref) })
		if !strings.Contains(got, id) {
			if got != ref {
				t.Fatalf("%q became %q without an ID", ref, got)
			}
			return
		}
		// Browsers take out tabs and newlines, and read \ as /.
		seen := strings.NewReplacer("\t", "", "\n", "", "\r", "", `\`, "/").Replace(strings.TrimSpace(got))
		u, err := base.Parse(seen)
		if err != nil {
			return // No browser goes anywhere with it.
		}
		if u.Host != base.Host || u.Scheme != base.Scheme {
			t.Fatalf("%q became %q, which leads to %s", ref, got, u.Host)
		}
		if u.Query().Get("sid") != id && !strings.Contains(u.RawQuery, ";") {
			t.Fatalf("%q became %q, which has another ID", ref, got)
		}
	})
}

// TestURLConcurrently makes URLs in several goroutines, like a page whose parts are
// rendered concurrently. It is the race detector that fails.
func TestURLConcurrently(t *testing.T) {
	var seen sync.Map
	id := urls(t, func(s session.Session) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { seen.Store(session.URL(s, "/cart"), true) })
		}
		wg.Wait()
	})
	seen.Range(func(url, _ any) bool { return assert.Equal(t, "/cart?sid="+id, url) })
}

// TestURLOfTheRequest has an ID in the URL that was not read from there, or not
// written: whoever sees the URL still has the session.
func TestURLOfTheRequest(t *testing.T) {
	guarded := func(rec *httptest.ResponseRecorder, want bool) {
		t.Helper()
		assert.Equal(t, want, rec.Header().Get("Referrer-Policy") == "no-referrer")
		assert.Equal(t, want, rec.Header().Get("Cache-Control") == "no-store")
	}
	a := transportApp(t, session.FirstOf(session.CookieTransport(), session.QueryTransport("sid")))
	id := a.ask("/set").Body.String()
	guarded(a.ask("/plain?sid="+id, "Cookie", "flamego_session="+id), true)
	guarded(a.ask("/plain", "Cookie", "flamego_session="+id), false)

	a = transportApp(t, session.QueryTransport("sid"), func(o *session.Options) {
		o.WriteIDFunc = func(http.ResponseWriter, *http.Request, string, bool) {}
	})
	id = a.ask("/set").Body.String()
	guarded(a.ask("/plain?sid="+id), true)
	assert.Equal(t, "/cart?x=1&sid="+id, a.ask("/link?sid="+id).Body.String())
}
