package cookie

import (
	"context"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// newManager returns a Manager on cookies of the given name, under the keys.
func newManager(t testing.TB, name string, keys ...[]byte) *session.Manager {
	t.Helper()
	m, err := session.NewManager(session.Options{
		Initer: Initer(), Config: Config{Keys: keys}, Cookie: session.CookieOptions{Name: name},
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Close(context.Background())) })
	return m
}

// newToken makes the cookie of a session.
func newToken(t testing.TB, m *session.Manager, data session.Data) string {
	t.Helper()
	sess, err := m.Store().Read(t.Context(), strings.Repeat("i", 32))
	require.NoError(t, err)
	for k, v := range data {
		sess.Set(k, v)
	}
	token, err := hook.Save(t.Context(), m, sess)
	require.NoError(t, err)
	require.True(t, m.Store().Exist(t.Context(), token), "its own cookie does not open")
	return token
}

// TestMutations takes cookies of three lengths, since the last character of one has
// bits to spare or not.
func TestMutations(t *testing.T) {
	tried := 0
	for _, name := range []string{"ann", "anna", "alice"} {
		tried += mutations(t, name)
	}
	t.Logf("%d mutations, none accepted", tried)
	assert.GreaterOrEqual(t, tried, 100_000)
}

func mutations(t *testing.T, name string) (tried int) {
	t.Helper()
	m := newManager(t, "one", key(1))
	token := newToken(t, m, session.Data{"user_id": 123, "name": name})
	msg, err := base64.RawURLEncoding.DecodeString(token)
	require.NoError(t, err)
	enc := base64.RawURLEncoding.EncodeToString
	rnd := rand.New(rand.NewPCG(1, 2))

	// Sealed by others: with another key, for another cookie, for a backend.
	others := []string{
		newToken(t, newManager(t, "one", key(2)), session.Data{"user_id": 123}),
		newToken(t, newManager(t, "two", key(1)), session.Data{"user_id": 123}),
		newToken(t, newManager(t, "One", key(1)), session.Data{"user_id": 123}),
	}
	c, err := session.NewCipher(key(1))
	require.NoError(t, err)
	record, err := c.Encode(session.Data{"user_id": 123, "padding": strings.Repeat("x", 100)})
	require.NoError(t, err)
	others = append(others, enc(record))
	for i, other := range others {
		require.False(t, m.Store().Exist(t.Context(), other), "accepted what others have sealed, %d", i)
	}
	same := newToken(t, m, session.Data{"user_id": 456, "name": "bob"})

	mutations := map[string]func() string{
		"a bit": func() string {
			b := []byte(string(msg))
			b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
			return enc(b)
		},
		"bits": func() string {
			b := []byte(string(msg))
			for range 2 + rnd.IntN(20) {
				b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
			}
			return enc(b)
		},
		"a character": func() string {
			b := []byte(token)
			b[rnd.IntN(len(b))] = alphabet[rnd.IntN(64)]
			return string(b)
		},
		"any byte":  func() string { b := []byte(token); b[rnd.IntN(len(b))] = byte(rnd.Uint32()); return string(b) },
		"truncated": func() string { return token[:rnd.IntN(len(token))] },
		"beheaded":  func() string { return token[1+rnd.IntN(len(token)-1):] },
		"extended": func() string {
			b := []byte(string(msg))
			for range 1 + rnd.IntN(30) {
				b = append(b, byte(rnd.Uint32()))
			}
			return enc(b)
		},
		"stretched": func() string {
			at := rnd.IntN(len(token) + 1)
			return token[:at] + []string{"=", "\n", "\r\n", "A", " ", "==", token}[rnd.IntN(7)] + token[at:]
		},
		"swapped": func() string {
			b := []byte(string(msg))
			i, j := rnd.IntN(len(b)), rnd.IntN(len(b))
			b[i], b[j] = b[j], b[i]
			return enc(b)
		},
		"spliced": func() string { // Two authentic ones.
			at := 1 + rnd.IntN(min(len(token), len(same))-1)
			return token[:at] + same[at:]
		},
		"random": func() string {
			b := make([]byte, len(token))
			for i := range b {
				b[i] = alphabet[rnd.IntN(64)]
			}
			return string(b)
		},
		"last character": func() string { return token[:len(token)-1] + string(alphabet[rnd.IntN(64)]) },
		"other alphabet": func() string { return strings.NewReplacer("-", "+", "_", "/").Replace(token) },
	}
	store := m.Store()
	for tried < 33_334 {
		for name, mutate := range mutations {
			bad := mutate()
			if bad == token || bad == same {
				continue
			}
			tried++
			if store.Exist(t.Context(), bad) {
				t.Fatalf("accepted: %s", name)
			}
		}
	}
	require.True(t, store.Exist(t.Context(), token))
	return tried
}

// clocked returns a Manager whose clock the test moves.
func clocked(t testing.TB, now *time.Time, keys ...[]byte) *session.Manager {
	t.Helper()
	opt := session.Options{Initer: Initer(), Config: Config{Keys: keys, Lifetime: time.Hour}}
	hook.SetClock(&opt, func() time.Time { return *now })
	m, err := session.NewManager(opt)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Close(context.Background())) })
	return m
}

func TestReplayAfterExpiry(t *testing.T) {
	now := time.Now()
	m := clocked(t, &now, key(1))
	token := newToken(t, m, session.Data{"k": "v"})
	end := now.Add(time.Hour + 3*time.Minute).Truncate(time.Millisecond)
	for _, c := range []struct {
		at   time.Time
		want bool
	}{{end.Add(-time.Millisecond), true}, {end, false}, {end.Add(time.Millisecond), false}, {end.Add(100 * 365 * 24 * time.Hour), false}} {
		now = c.at
		assert.Equal(t, c.want, m.Store().Exist(t.Context(), token), "%v from the end", c.at.Sub(end))
	}
}

// golden is the session {"k": "v"} with the ID iii… under key(1), as the first
// version of the format has it. It must stay readable. At goldenTime it is alive.
const golden = "AaIfrEXJVlXmVhXxZUXkUsYoc3PHbJ_fZ7uLyCN033Sd_hWcDpRnclpN8RI2_Y6ay4HnABYJNAVHYAKOkfLwXlQAng" +
	"do_QX4ZWXUS4KoSw68yIijXjBtCRx8oTZlOpvBu8Ko-cSpHSc08bOcxD96BU2LJEVvla9lCkdYNF4p2h6jBeMwCzzER8RzkC4IWetXJmU"

var goldenTime = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestGolden(t *testing.T) {
	now := goldenTime
	sess, err := clocked(t, &now, key(2), key(1)).Store().Read(t.Context(), golden)
	require.NoError(t, err)
	assert.Equal(t, strings.Repeat("i", 32), sess.ID())
	assert.Equal(t, "v", sess.Get("k"))
}

// FuzzOpen looks for a value that counts as a session, or makes it panic.
func FuzzOpen(f *testing.F) {
	now := goldenTime
	m := clocked(f, &now, key(1), key(2))
	for _, seed := range []string{
		"", golden, golden[:len(golden)-1], golden + "A", strings.Repeat("AQ", 80), strings.Repeat("a", 32),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if m.Store().Exist(context.Background(), value) && value != golden {
			t.Errorf("accepted %q", value)
		}
	})
}
