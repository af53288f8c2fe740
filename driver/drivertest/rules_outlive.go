package drivertest

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/flamego/session"
)

// outlived has requests work for longer than their session may be idle, while nobody else
// keeps it alive.
func outlived(r rule, f *fleet) {
	const over = lifetime + lifetime/20 + step
	a, b := f.start(nil), f.start(nil)
	for _, path := range []string{"/set", "/add", "/rotate", "/addflash"} {
		v := newVisitor(f.t)
		v.ok(r, a, "/set", "k", "k", "v", "before")
		slow := v.hold(f, a, path, "k", "n", "v", "1")
		f.clock.advance(over)
		stranger(f.t, b, v.id(a)).want(r, b, "nothing", "/read", "k", "k") // It has expired for all others.
		if res := slow.finish(f.t); res.status != http.StatusOK {
			r.broken(f.t, "%s took longer than the idle timeout: status %d, %v", path, res.status, a.errs.all())
		}
		f.clock.advance(lifetime - step)
		if path == "/addflash" {
			v.want(r, b, "[1]", "/flashes")
		}
		v.want(r, b, "before", "/read", "k", "k")
		if path == "/set" || path == "/add" {
			v.want(r, b, "1", "/read", "k", "n")
		}
	}
	if f.suite.ClientSide {
		return // A client that keeps a copy can bring it back, and no other has its changes.
	}
	outlivedByOthers(r, f, a, b)
	// Nothing goes on after the absolute timeout.
	limited := f.start(func(o *session.Options) { o.AbsoluteLifetime = 2 * time.Hour })
	v := newVisitor(f.t)
	v.ok(r, limited, "/set", "k", "k", "v", "before")
	slow := v.hold(f, limited, "/set", "k", "k", "v", "after")
	f.clock.advance(2 * time.Hour)
	slow.finish(f.t)
	v.want(r, limited, "nothing", "/read", "k", "k")
}

// outlivedByOthers has others do something to the session meanwhile.
func outlivedByOthers(r rule, f *fleet, a, b *server) {
	meanwhile := map[string]func(v *visitor){
		"destroyed":   func(v *visitor) { v.twin(a).ok(r, b, "/destroy") },
		"rotated":     func(v *visitor) { v.twin(a).ok(r, b, "/rotate") },
		"signed out":  func(v *visitor) { _ = b.m.Store().Destroy(context.Background(), v.id(a)) },
		"key revoked": func(v *visitor) { v.do(f, b, func(c call) { c.Delete("k") }) },
		"key set":     func(v *visitor) { v.ok(r, b, "/set", "k", "k", "v", "newer") },
		"edited": func(v *visitor) {
			_ = b.m.Edit(context.Background(), v.id(a), func(s session.Session) error { s.Set("k", "newer"); return nil })
		},
		"swept":        nil,
		"out of reach": nil,
	}
	for what, act := range meanwhile {
		v := newVisitor(f.t)
		v.ok(r, a, "/set", "k", "k", "v", "before")
		id := v.id(a)
		old := stranger(f.t, a, id)
		slow := v.hold(f, a, "/set", "k", "n", "v", "late")
		f.clock.advance(lifetime / 2)
		var end *held
		switch {
		case act != nil:
			act(old)
		case what == "out of reach": // Ended when it has expired already, by who was there in time.
			end = old.hold(f, b, "/destroy")
		}
		f.clock.advance(2 * lifetime)
		if end != nil {
			end.finish(f.t)
		}
		if what == "swept" {
			_ = b.m.Store().GC(context.Background())
		}
		heard := len(a.errs.all())
		res := slow.finish(f.t)
		late := stranger(f.t, a, id)
		k, n := late.get(b, "/read", "k", "k").body, late.get(b, "/read", "k", "n").body
		switch want := map[string]string{"key revoked": "nothing", "key set": "newer", "edited": "newer"}[what]; {
		case want != "":
			if res.status != http.StatusOK || k != want || n != "late" {
				r.broken(f.t, "%s meanwhile: status %d, the session has %q and %q, want %q and the change", what, res.status, k, n, want)
			}
		case what == "swept" && res.status == http.StatusOK: // Some systems sweep by a clock of their own.
			if n != "late" {
				r.broken(f.t, "swept meanwhile: status %d, and nothing is stored", res.status)
			}
		case k != "nothing" || n != "nothing":
			r.broken(f.t, "%s meanwhile, and it came back: %q, %q", what, k, n)
		case res.status != http.StatusInternalServerError:
			r.broken(f.t, "%s meanwhile: what was set is lost, and the client is told %d", what, res.status)
		case len(a.errs.all()) == heard || !strings.Contains(a.errs.all()[heard].Error(), "idle timeout"):
			r.broken(f.t, "%s meanwhile: what was set is lost, and ErrorFunc has heard %v", what, a.errs.all()[heard:])
		}
	}
}
