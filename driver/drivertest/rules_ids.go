package drivertest

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/flamego/session"
)

// hashedIDs has servers with and without Options.HashIDs share the store.
func hashedIDs(r rule, f *fleet) {
	hash := func(o *session.Options) { o.HashIDs = true }
	if f.suite.ForeignStore {
		f.refuses(r, hash, "HashIDs")
		return
	}
	plain, hashed := f.start(func(o *session.Options) { o.HashIDs = false }), f.start(hash)
	v := newVisitor(f.t)
	v.ok(r, hashed, "/set", "k", "k", "v", "v")
	v.want(r, hashed, "v", "/read", "k", "k")
	if f.suite.inProcess || f.suite.ClientSide {
		f.t.Log("there is no ID in a storage")
		return
	}
	id := v.id(hashed)
	if got := stranger(f.t, plain, id).get(plain, "/read", "k", "k"); got.body != "nothing" {
		r.broken(f.t, "the storage has the ID itself: a server without the option finds %q", got.body)
	}
	sum := sha256.Sum256([]byte(id))
	key := "z" + strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
	for _, s := range []*server{plain, hashed} {
		if got := stranger(f.t, s, key).get(s, "/read", "k", "k"); got.body != "nothing" {
			r.broken(f.t, "what the storage has instead of the ID is taken for one, and finds %q", got.body)
		}
	}

	// A session from before goes on, moves when it changes, and can be ended.
	w := newVisitor(f.t)
	w.ok(r, plain, "/set", "k", "k", "v", "v")
	w.want(r, hashed, "v", "/read", "k", "k")
	w.want(r, plain, "v", "/read", "k", "k")
	w.ok(r, hashed, "/set", "k", "l", "v", "w")
	w.want(r, hashed, "v", "/read", "k", "k")
	w.want(r, hashed, "w", "/read", "k", "l")
	if got := stranger(f.t, plain, w.id(hashed)).get(plain, "/read", "k", "k"); got.body != "nothing" {
		r.broken(f.t, "a change left the ID in the storage: a server without the option finds %q", got.body)
	}
	x := newVisitor(f.t)
	x.ok(r, plain, "/set", "k", "k", "v", "v")
	id = x.id(plain)
	x.ok(r, hashed, "/destroy")
	for _, s := range []*server{plain, hashed} {
		if got := stranger(f.t, s, id).get(s, "/read", "k", "k"); got.body != "nothing" {
			r.broken(f.t, "a session from before was ended, and still holds %q", got.body)
		}
	}
}

// refuses checks that a Manager cannot be made where the Store cannot do what the option
// asks for.
func (f *fleet) refuses(r rule, change func(*session.Options), field string) {
	f.t.Helper()
	opt := f.open()
	change(&opt)
	_, err := session.NewManager(opt)
	switch {
	case err == nil || !strings.Contains(err.Error(), field):
		r.broken(f.t, "%s: %v, though this Store can't do it", field, err)
	case f.suite.ForeignStore && !errors.Is(err, errors.ErrUnsupported):
		r.broken(f.t, "%s: %v, want errors.ErrUnsupported", field, err)
	}
}

// renewal lets a session live through renewals, with a client that missed one.
func renewal(r rule, f *fleet) {
	renew := func(o *session.Options) { o.RenewEvery = 10 * time.Minute }
	if f.suite.ForeignStore || f.suite.ClientSide {
		f.refuses(r, renew, "RenewEvery")
		return
	}
	a, b := f.start(renew), f.start(renew)
	v := newVisitor(f.t)
	v.ok(r, a, "/set", "k", "k", "v", "v")
	first := v.id(a)
	v.want(r, b, "v", "/read", "k", "k")
	if v.id(b) != first {
		r.broken(f.t, "a new session got another ID at once")
	}
	f.clock.advance(10 * time.Minute)
	late := stranger(f.t, b, first)
	v.want(r, a, "v", "/read", "k", "k")
	second := v.id(a)
	if second == first {
		r.broken(f.t, "after ten minutes the session has no new ID")
	}

	// Requests under way with the old ID go on.
	late.ok(r, b, "/set", "k", "l", "v", "w")
	if late.id(b) != first {
		r.broken(f.t, "a request beside the renewal was told the ID, which could overtake a newer one")
	}
	v.want(r, a, "w", "/read", "k", "l")
	f.clock.advance(30 * time.Second)
	late.want(r, b, "v", "/read", "k", "k")
	if late.id(b) != second {
		r.broken(f.t, "a client that missed the new ID is not told again")
	}
	f.clock.advance(5 * time.Minute)
	if got := stranger(f.t, a, first).get(a, "/read", "k", "k"); got.body != "nothing" {
		r.broken(f.t, "after five minutes the old ID still opens the session")
	}

	// What the handler moves or ends has no way back.
	f.clock.advance(5 * time.Minute)
	v.want(r, b, "v", "/read", "k", "k")
	third := v.id(b)
	v.ok(r, a, "/rotate")
	for _, old := range []string{second, third} {
		if got := stranger(f.t, b, old).get(b, "/read", "k", "k"); got.body != "nothing" {
			r.broken(f.t, "after RegenerateID an old ID opens the session")
		}
	}
	f.clock.advance(10 * time.Minute)
	fourth := v.id(a)
	v.want(r, b, "v", "/read", "k", "k")
	if res := stranger(f.t, a, fourth).get(a, "/destroy"); res.status != http.StatusOK {
		r.broken(f.t, "signing out with the ID before the renewal: status %d", res.status)
	}
	v.want(r, b, "nothing", "/read", "k", "k")
}
