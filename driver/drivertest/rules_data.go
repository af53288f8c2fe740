package drivertest

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/flamego/session"
)

// samples are values of the types that applications keep.
func samples() map[any]any {
	return map[any]any{
		"string":   "gr\u00fc\u00dfe, \x00\U0001F36A",
		"empty":    "",
		"int":      -42,
		"int64":    int64(1) << 60,
		"uint8":    uint8(255),
		"float":    3.25,
		"bool":     true,
		"false":    false,
		"bytes":    []byte{0, 1, 2, 255},
		"strings":  []string{"a", ""},
		"map":      map[string]string{"k": "v"},
		"any":      map[string]any{"n": 1, "s": "x"},
		"list":     []any{"a", 1, true},
		"duration": 90 * time.Second,
		"time":     time.Date(2026, 11, 20, 1, 2, 3, 4, time.UTC),
		"big":      strings.Repeat("0123456789abcdef", 1<<16), // 1 MiB
		7:          "a key that is no string",
	}
}

func roundTrip(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	v := newVisitor(f.t)
	want := samples()
	if f.suite.ClientSide {
		delete(want, "big") // More than a cookie holds.
	}
	res := v.do(f, a, func(c call) {
		for key, val := range want {
			c.Set(key, val)
		}
	})
	if res.status != http.StatusOK {
		r.broken(f.t, "setting values: status %d, errors %v", res.status, a.errs.all())
	}
	for _, s := range []*server{a, b} {
		v.do(f, s, func(c call) {
			for key, val := range want {
				if got := c.Get(key); !reflect.DeepEqual(got, val) {
					r.broken(f.t, "key %v: got %T %.60v, want %T %.60v", key, got, got, val, val)
				}
			}
			if n, ok := session.Get[int](c, "string"); ok || n != 0 {
				r.broken(f.t, "Get[int] of a string: %d, %v", n, ok)
			}
		})
	}
	// Deleting, popping and flushing last as well.
	v.do(f, a, func(c call) {
		c.Delete("string")
		if d, ok := session.Pop[time.Duration](c, "duration"); !ok || d != 90*time.Second {
			r.broken(f.t, "Pop: %v, %v", d, ok)
		}
	})
	v.want(r, b, "nothing", "/read", "k", "string")
	v.want(r, b, "nothing", "/read", "k", "duration")
	v.want(r, b, "-42", "/read", "k", "int")
	v.do(f, a, func(c call) { c.Flush() })
	v.want(r, b, "nothing", "/read", "k", "int")
}

func unencodable(r rule, f *fleet) {
	a := f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "kept", "v", "1")
	res := v.do(f, a, func(c call) { c.Set("callback", func() {}) })
	if f.suite.inProcess {
		if res.status != http.StatusOK {
			r.broken(f.t, "the memory keeps any Go value, but status %d", res.status)
		}
		return
	}
	if res.status != http.StatusInternalServerError {
		r.broken(f.t, "a value that can't be encoded: status %d, want 500", res.status)
	}
	text := fmt.Sprint(a.errs.all())
	for _, part := range []string{`"callback"`, "func()"} {
		if !strings.Contains(text, part) {
			r.broken(f.t, "the error does not name %s: %s", part, text)
		}
	}
	v.do(f, a, func(c call) {
		type notRegistered struct{ N int }
		c.Set("cart", notRegistered{1})
	})
	if text := fmt.Sprint(a.errs.all()); !strings.Contains(text, "gob.Register(") {
		r.broken(f.t, "the error does not tell to call gob.Register: %s", text)
	}
	v.want(r, a, "1", "/read", "k", "kept")
}

// readYourWrites follows a redirect while the handler that sent it still runs.
func readYourWrites(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	for i := range 20 {
		redirectRace(r, f.t, f.name(), newVisitor(f.t), a, b, fmt.Sprint("user", i))
	}
}

func redirectRace(r rule, t testingT, hold string, v *visitor, a, b *server, user string) bool {
	t.Helper()
	res, err := v.send(context.Background(), a, "/signin", "v", user, "hold", hold)
	if err != nil || res.StatusCode != http.StatusFound {
		r.broken(v.t, "signing in: %v, %v", res, err)
		return false
	}
	// The header is here, the handler waits.
	next := v.get(b, "/read", "k", "user")
	(&held{server: a, name: hold}).release(v.t)
	_ = res.Body.Close()
	if next.status != http.StatusOK || next.body != user {
		r.broken(v.t, "the target of the redirect: status %d, %q; want %q", next.status, next.body, user)
		return false
	}
	return true
}

type testingT interface{ Helper() }

func streaming(r rule, f *fleet) {
	a, b := f.start(nil), f.start(nil)
	v := newVisitor(f.t)
	v.ok(r, a, "/stream", "v", "1")
	v.want(r, b, "1", "/read", "k", "early")
	if got := v.get(b, "/read", "k", "late"); got.body == "1" {
		f.t.Log("even the late change of a new visitor was stored")
	}
	v.ok(r, a, "/stream", "v", "2")
	v.want(r, b, "2", "/read", "k", "late")

	// Commit stores at once.
	h := f.name()
	res, err := v.send(context.Background(), a, "/stream", "v", "3", "commit", "1", "hold", h)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	(&held{server: a, name: h}).wait(f.t)
	v.want(r, b, "3", "/read", "k", "late")
	(&held{server: a, name: h}).release(f.t)
}

// acknowledged gives one server no time at all for its store.
func acknowledged(r rule, f *fleet) {
	bad := f.start(func(o *session.Options) { o.StoreTimeout = time.Nanosecond })
	for _, page := range [][]string{{"/set", "k", "k", "v", "v"}, {"/signin", "v", "x"}, {"/id"}, {"/flash", "v", "x"}, {"/stream", "v", "x"}} {
		res := newVisitor(f.t).get(bad, page[0], page[1:]...)
		if res.status != http.StatusInternalServerError {
			r.broken(f.t, "%s with a store that fails: status %d, body %q; want 500", page[0], res.status, res.body)
		}
		if res.header.Get("Set-Cookie") != "" || res.header.Get("Location") != "" {
			r.broken(f.t, "%s with a store that fails: header %v tells of a success", page[0], res.header)
		}
		if body := strings.TrimSpace(res.body); body != "" && body != http.StatusText(http.StatusInternalServerError) {
			r.broken(f.t, "%s with a store that fails: body %q tells of a success", page[0], res.body)
		}
	}
	if len(bad.errs.all()) == 0 {
		r.broken(f.t, "ErrorFunc heard of nothing")
	}
}

func lateChange(r rule, f *fleet) {
	a := f.start(nil)
	v := newVisitor(f.t)
	res := v.do(f, a, func(c call) {
		_, _ = c.ctx.ResponseWriter().Write([]byte("started"))
		c.Set("k", "v") // Nobody can be told the ID any more.
		if err := c.RegenerateID(c.ctx.ResponseWriter(), c.ctx.Request().Request); err == nil {
			r.broken(f.t, "RegenerateID after the first byte: no error")
		}
	})
	if res.status != http.StatusOK || res.header.Get("Set-Cookie") != "" {
		r.broken(f.t, "a first use after the first byte: %d, %v", res.status, res.header)
	}
	if text := fmt.Sprint(a.errs.all()); !strings.Contains(text, "after the response had started") {
		r.broken(f.t, "ErrorFunc heard %q", text)
	}
}
