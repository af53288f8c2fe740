package session_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

// FuzzCookie sends any Cookie header to an application that uses its session. There
// must be no error, no store call for what is not an ID (G13), and no adopted ID that
// the store did not hold (G8).
func FuzzCookie(f *testing.F) {
	for _, s := range []string{
		"", "flamego_session=", "flamego_session=../../etc/passwd", `flamego_session="quoted"`,
		"flamego_session=" + strings.Repeat("a", 32), "flamego_session=" + strings.Repeat("a", 16) + "; flamego_session=b",
		"a=b; flamego_session=\x00\xff", "flamego_session=" + strings.Repeat("z", 5000), ";;;=;flamego_session",
	} {
		f.Add(s)
	}
	b := newFaultyBackend()
	errs := &errorList{}
	m, err := session.NewManager(session.Options{Initer: initer(b, session.StoreConfig{}), ErrorFunc: errs.add})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = m.Close(context.Background()) })
	app := flamego.NewWithLogger(discard{})
	app.Use(m.Sessioner())
	app.Get("/", func(s session.Session, flash session.Flash) string {
		s.Set("k", 1)
		return "ok"
	})
	f.Fuzz(func(t *testing.T, cookie string) {
		b.seen("")
		rec := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("Cookie", cookie)
		app.ServeHTTP(rec, req)
		if rec.Code != http.StatusOK {
			t.Errorf("status %d", rec.Code)
		}
		if err := errs.last(); err != nil {
			t.Errorf("ErrorFunc: %v", err)
		}
		if asked := b.seen(""); strings.Trim(asked, "0123456789abcdefghijklmnopqrstuvwxyz") != "" || len(asked) > 128 {
			t.Errorf("the store was asked for %q", asked)
		}
		for _, c := range rec.Result().Cookies() {
			if strings.Contains(cookie, c.Value) {
				t.Errorf("an ID of the client's was adopted")
			}
		}
		b.clear()
	})
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
