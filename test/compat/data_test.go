package compat

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/flamego/session/test/compat/legacy/app"
)

// fleet starts a server of either version on one storage. In a mixed fleet our
// IDs must have the length that v1.6.6 takes.
func fleet(t *testing.T, st storage, first, second start) (a, b *server, cfg app.Config) {
	t.Helper()
	cfg = st.config(t)
	cfg.IDLength = 16
	return first(t, cfg), second(t, cfg), cfg
}

// What one version has stored, the other reads, changes and hands back.
func TestValues(t *testing.T) {
	bothWays(t, func(t *testing.T, st storage, first, second start) {
		a, b, _ := fleet(t, st, first, second)
		v := newVisitor(t)
		v.want("filled", a, "/fill")
		id := v.id()
		v.want("all there", a, "/check")
		v.want("all there", b, "/check")

		v.want("set", b, "/set", "k", "from b", "v", "1")
		v.want("all there", a, "/check")
		v.want("1", a, "/get", "k", "from b")

		v.want("set", a, "/set", "k", "from b", "v", "2")
		v.want("2", b, "/get", "k", "from b")
		v.want("all there", b, "/check")
		assert.Equal(t, id, v.id(), "the ID changed on the way")

		v.want("deleted", a, "/delete", "k", "from b")
		v.want("nothing", b, "/get", "k", "from b")
		v.want("all there", b, "/check")
		v.want("flushed", b, "/flush")
		v.want("nothing", a, "/get", "k", "string")
		v.want("filled", b, "/fill")
		v.want("all there", a, "/check")
	})
}

// An application's own Encoder and Decoder work as they did.
func TestOwnCodec(t *testing.T) {
	bothWays(t, func(t *testing.T, st storage, first, second start) {
		cfg := st.config(t)
		cfg.IDLength, cfg.JSON = 16, true
		a, b := first(t, cfg), second(t, cfg)
		v := newVisitor(t)
		v.want("set", a, "/set", "k", "k", "v", "1")
		v.want("1", b, "/get", "k", "k")
		v.want("to be shown", b, "/flash", "v", "saved")
		v.want("saved", a, "/show")
		v.want("nothing", b, "/show")
		v.signIn(b, a, "ann")
		v.want("1", a, "/get", "k", "k")
	})
}

// A flash that one version has set is shown by the other, and once.
func TestFlash(t *testing.T) {
	bothWays(t, func(t *testing.T, st storage, first, second start) {
		a, b, _ := fleet(t, st, first, second)
		v := newVisitor(t)
		v.want("to be shown", a, "/flash", "v", "saved")
		v.want("saved", b, "/show")
		v.want("nothing", a, "/show")
		v.want("nothing", b, "/show")

		v.want("set", a, "/set", "k", "k", "v", "kept")
		v.want("to be shown", b, "/flash", "v", "again")
		v.want("again", a, "/show")
		v.want("nothing", b, "/show")
		v.want("kept", b, "/get", "k", "k")
	})
}

// A session that ended on one server has ended on the other.
func TestDestroy(t *testing.T) {
	bothWays(t, func(t *testing.T, st storage, first, second start) {
		a, b, cfg := fleet(t, st, first, second)
		v, thief := newVisitor(t), newVisitor(t)
		v.signIn(a, b, "ann")
		id := v.id()
		thief.use(id)
		thief.want("ann", b, "/whoami")
		thief.want("ann", a, "/whoami")

		v.want("signed out", b, "/signout")
		assert.False(t, st.exists(t, cfg, id), "the record is still there")
		v.want("nobody", a, "/whoami")
		v.want("nobody", b, "/whoami")
		thief.use(id)
		thief.want("nobody", b, "/whoami")
		thief.use(id)
		thief.want("nobody", a, "/whoami")
	})
}

// A new ID that one version has given out is good for the other, with all that
// was in the session.
func TestRegenerateID(t *testing.T) {
	bothWays(t, func(t *testing.T, st storage, first, second start) {
		a, b, cfg := fleet(t, st, first, second)
		v := newVisitor(t)
		v.want("filled", a, "/fill")
		planted := v.id()
		v.signIn(b, a, "ann")
		v.want("all there", a, "/check")
		assert.NotEqual(t, planted, v.id(), "signing in must change the ID")
		assert.Len(t, v.id(), 16)
		assert.False(t, st.exists(t, cfg, planted), "the old record is still there")

		planted = v.id()
		v.signIn(a, b, "bob")
		v.want("all there", b, "/check")
		assert.False(t, st.exists(t, cfg, planted), "the old record is still there")
	})
}
