package backendtest

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// OpenRaw prepares an empty store. It returns the options of a server on it, with the
// given coding, and a function that returns all bytes that the storage system keeps.
type OpenRaw func(t *testing.T, enc session.Encoder, dec session.Decoder) (opt session.Options, dump func(t *testing.T) []byte)

// Encrypted stores a session and looks for its contents in the raw storage: with
// encryption nothing may be found, without it everything must be, or else the dump
// would prove nothing.
func Encrypted(t *testing.T, open OpenRaw) {
	t.Helper()
	key := bytes.Repeat([]byte{7}, 32)
	c, err := session.NewCipher(key)
	require.NoError(t, err)
	t.Run("Plain", func(t *testing.T) {
		opt, dump := open(t, nil, nil)
		for text, found := range look(t, opt, dump) {
			assert.True(t, found, "the dump does not show %q, so it is none", text)
		}
	})
	t.Run("Encrypted", func(t *testing.T) {
		opt, dump := open(t, c.Encode, c.Decode)
		for text, found := range look(t, opt, dump) {
			assert.False(t, found, "the raw storage shows %q", text)
		}
	})
}

// look stores, reads back, changes and reads again, so that traces of earlier
// versions would be found too.
func look(t *testing.T, opt session.Options, dump func(t *testing.T) []byte) map[string]bool {
	t.Helper()
	ctx := context.Background()
	m, err := session.NewManager(opt)
	require.NoError(t, err)
	defer func() { assert.NoError(t, m.Close(ctx)) }()
	const id = "ciphertest0123456789abcdefghijkl"
	sess, err := m.Store().Read(ctx, id)
	require.NoError(t, err)
	sess.Set("secret-key-name", "secret-string-value")
	sess.Set("secret-bytes-name", []byte("secret-bytes-value"))
	sess.Set("secret-map-name", map[string]any{"secret-inner-name": "secret-inner-value"})
	sess.SetFlash("secret-flash-value")
	require.NoError(t, m.Store().Save(ctx, sess))
	first := dump(t)
	require.Contains(t, string(first), id, "the record is not in the dump")

	sess, err = m.Store().Read(ctx, id)
	require.NoError(t, err)
	assert.Equal(t, "secret-string-value", sess.Get("secret-key-name"))
	assert.Equal(t, map[string]any{"secret-inner-name": "secret-inner-value"}, sess.Get("secret-map-name"))
	sess.Set("secret-late-name", "secret-late-value")
	require.NoError(t, m.Store().Save(ctx, sess))
	all := slices.Concat(first, dump(t))

	found := make(map[string]bool)
	for _, text := range []string{
		"secret-key-name", "secret-string-value", "secret-bytes-name", "secret-bytes-value", "secret-map-name",
		"secret-inner-name", "secret-inner-value", "secret-flash-value", "secret-late-name", "secret-late-value",
		"flamego::session::flash",
	} {
		found[text] = bytes.Contains(all, []byte(text))
	}
	return found
}
