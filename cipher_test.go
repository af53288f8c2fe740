package session_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
	"github.com/flamego/session/test/backendtest"
)

// cipherKey returns a key that differs with n.
func cipherKey(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

func newCipher(t testing.TB, keys ...[]byte) *session.Cipher {
	t.Helper()
	c, err := session.NewCipher(keys...)
	require.NoError(t, err)
	return c
}

func TestNewCipher(t *testing.T) {
	for _, c := range []struct {
		name string
		keys [][]byte
		want []string
	}{
		{"none", nil, []string{"no key", "openssl rand -hex 32"}},
		{"empty", [][]byte{{}}, []string{"index 0", "0 bytes", "openssl rand -hex 32"}},
		{"short", [][]byte{cipherKey(1), cipherKey(2)[:31]}, []string{"index 1", "31 bytes", "openssl rand -hex 32"}},
		{"in hexadecimal", [][]byte{[]byte(hex.EncodeToString(cipherKey(1)))}, []string{"64 bytes", "session.ParseKey"}},
		{"twice", [][]byte{cipherKey(1), cipherKey(2), cipherKey(1)}, []string{"index 0 and 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := session.NewCipher(c.keys...)
			for _, part := range c.want {
				assert.ErrorContains(t, err, part)
			}
		})
	}
	// The caller may wipe its keys.
	key := cipherKey(1)
	c := newCipher(t, key)
	msg, err := c.Encode(session.Data{"k": "v"})
	require.NoError(t, err)
	clear(key)
	_, err = c.Decode(msg)
	assert.NoError(t, err)
}

func TestParseKey(t *testing.T) {
	want := make([]byte, 32)
	for i := range want {
		want[i] = byte(0xff - i)
	}
	for _, text := range []string{
		hex.EncodeToString(want), strings.ToUpper(hex.EncodeToString(want)), hex.EncodeToString(want) + "\n",
		base64.StdEncoding.EncodeToString(want), base64.RawStdEncoding.EncodeToString(want),
		base64.URLEncoding.EncodeToString(want), base64.RawURLEncoding.EncodeToString(want),
	} {
		got, err := session.ParseKey(text)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, text := range []string{
		"", "password!", hex.EncodeToString(want[:16]), hex.EncodeToString(want) + "00",
		strings.Repeat("0", 64), strings.Repeat("A", 43), strings.Repeat("deadbeef", 8), hex.EncodeToString([]byte("correct horse battery staple! :)")),
		"correcthorsebatterystaplecorrecthorsebatter", "CORRECT-HORSE-BATTERY-STAPLE-0123456789-ABC", base64.StdEncoding.EncodeToString([]byte("correct horse battery staple! :)")),
	} {
		_, err := session.ParseKey(text)
		require.ErrorContains(t, err, "openssl rand -hex 32")
		if text != "" {
			assert.NotContains(t, err.Error(), text)
		}
	}
}

func TestCipherFailsClosed(t *testing.T) {
	c := newCipher(t, cipherKey(1))
	data := session.Data{"user": "alice", 7: []string{"a"}}
	msg, err := c.Encode(data)
	require.NoError(t, err)
	got, err := c.Decode(msg)
	require.NoError(t, err)
	assert.Equal(t, data, got)

	other, err := c.Encode(data)
	require.NoError(t, err)
	assert.NotEqual(t, msg, other, "the same data twice gives the same bytes")

	// Every bit, every length.
	for i := range len(msg) * 8 {
		bad := bytes.Clone(msg)
		bad[i/8] ^= 1 << (i % 8)
		_, err := c.Decode(bad)
		require.Error(t, err, "bit %d", i)
	}
	for n := range len(msg) {
		_, err := c.Decode(msg[:n])
		require.Error(t, err, "%d bytes of it", n)
	}
	_, err = c.Decode(append(bytes.Clone(msg), 0))
	require.Error(t, err)
	_, err = newCipher(t, cipherKey(2)).Decode(msg)
	require.Error(t, err, "another key")
	plain, err := session.GobEncoder(data)
	require.NoError(t, err)
	_, err = c.Decode(plain)
	require.Error(t, err, "a record that is not encrypted")
}

// TestCipherRotation goes through three keys one after another, as the guide says.
// Sessions that are used in between are never lost.
func TestCipherRotation(t *testing.T) {
	b := newMapBackend()
	k1, k2, k3 := cipherKey(1), cipherKey(2), cipherKey(3)
	ctx, id := t.Context(), strings.Repeat("r", 32)
	for i, keys := range [][][]byte{{k1}, {k1, k2}, {k2, k1}, {k2}, {k2, k3}, {k3, k2}, {k3}} {
		c := newCipher(t, keys...)
		store := session.NewStore(b, session.StoreConfig{Encoder: c.Encode, Decoder: c.Decode})
		sess, err := store.Read(ctx, id)
		require.NoError(t, err, "step %d", i)
		n, _ := session.Get[int](sess, "n")
		assert.Equal(t, i, n, "step %d", i)
		sess.Set("n", i+1)
		require.NoError(t, store.Save(ctx, sess))
		// What the step before wrote with is needed no more.
		_, err = newCipher(t, keys[0]).Decode(b.records[id].Data)
		assert.NoError(t, err, "step %d does not write with the first key", i)
	}
}

// TestCipherRotationOfReaders changes keys under a session that is only read: it is
// encrypted again when its expiry slides.
func TestCipherRotationOfReaders(t *testing.T) {
	now := time.Unix(1e9, 0)
	b := newMapBackend()
	serve := func(keys ...[]byte) *app {
		c := newCipher(t, keys...)
		a := newApp(t, func(o *session.Options) {
			o.Initer = initer(b, session.StoreConfig{Encoder: c.Encode, Decoder: c.Decode})
			hook.SetClock(o, func() time.Time { return now })
		})
		a.Get("/set", func(s session.Session) { s.Set("k", 1) })
		a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
		return a
	}
	k1, k2 := cipherKey(1), cipherKey(2)
	_, id := serve(k1).get("/set", "")
	both := serve(k2, k1)
	before := string(b.records[id].Data)
	both.get("/get", id)
	assert.Equal(t, before, string(b.records[id].Data), "the expiry need not slide yet")
	now = now.Add(30 * time.Minute)
	rec, _ := both.get("/get", id)
	assert.Equal(t, "1", rec.Body.String())
	now = now.Add(time.Hour)
	rec, _ = serve(k2).get("/get", id)
	assert.Equal(t, "1", rec.Body.String())
	rec, _ = serve(k1).get("/get", id)
	assert.Equal(t, "<nil>", rec.Body.String())
}

// TestSwitchToCipher switches encryption on: existing sessions end, with a report, and
// their records are left alone.
func TestSwitchToCipher(t *testing.T) {
	a := newApp(t)
	a.Get("/set", func(s session.Session) { s.Set("k", "plain") })
	a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	_, id := a.get("/set", "")

	c := newCipher(t, cipherKey(1))
	enc := newApp(t, func(o *session.Options) {
		o.Initer = initer(a.b, session.StoreConfig{Encoder: c.Encode, Decoder: c.Decode})
	})
	enc.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
	rec, _ := enc.get("/get", id)
	assert.Equal(t, http.StatusOK, rec.Code)
	assert.Equal(t, "<nil>", rec.Body.String())
	require.Error(t, enc.errs.last())
	assert.Contains(t, enc.errs.last().Error(), "not encrypted with any of the keys")
	assert.NotContains(t, enc.errs.last().Error(), id)
	rec, _ = a.get("/get", id)
	assert.Equal(t, "plain", rec.Body.String(), "the old record is still there")
}

// TestCipherUnencodable checks that the error names the value once, as without a
// cipher.
func TestCipherUnencodable(t *testing.T) {
	c := newCipher(t, cipherKey(1))
	store := session.NewStore(newMapBackend(), session.StoreConfig{Encoder: c.Encode, Decoder: c.Decode})
	sess, err := store.Read(t.Context(), strings.Repeat("u", 32))
	require.NoError(t, err)
	sess.Set("callback", func() {})
	err = store.Save(t.Context(), sess)
	require.ErrorContains(t, err, `key "callback" holds a func()`)
	assert.Equal(t, 1, strings.Count(err.Error(), "callback"), err)
}

func TestCipherConcurrently(t *testing.T) {
	c := newCipher(t, cipherKey(1), cipherKey(2))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				msg, err := c.Encode(session.Data{"n": i})
				if !assert.NoError(t, err) {
					return
				}
				got, err := c.Decode(msg)
				if !assert.NoError(t, err) || !assert.Equal(t, session.Data{"n": i}, got) {
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestFileRawStorage(t *testing.T) {
	backendtest.Encrypted(t, func(t *testing.T, enc session.Encoder, dec session.Decoder) (session.Options, func(*testing.T) []byte) {
		dir := t.TempDir()
		opt := session.Options{
			Initer: session.FileIniter(),
			Config: session.FileConfig{RootDir: dir, Encoder: enc, Decoder: dec},
		}
		return opt, func(t *testing.T) []byte {
			var all []byte
			require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				all = append(all, path...)
				if err != nil || d.IsDir() {
					return err
				}
				b, err := os.ReadFile(path)
				all = append(all, b...)
				return err
			}))
			return all
		}
	})
}

// golden is the session {"k": "v"} under cipherKey(1), as the first version of the
// format has it. It must stay readable.
const golden = "0117ad431c1d0c33d9ee9e8a786839a0dc6adb73aa897b7a2235bcf7bdf097b338c880e98ef2294186b7d3c683" +
	"d667f744bd998073fd2d2f6d3f20e96cd0c3d8ff98828ed440267237a8072fb5f640f20fd11ad5b900645b4ef371f34c91009ce38ff8e2ab76cae9"

func TestCipherGolden(t *testing.T) {
	msg, err := hex.DecodeString(golden)
	require.NoError(t, err)
	data, err := newCipher(t, cipherKey(2), cipherKey(1)).Decode(msg)
	require.NoError(t, err)
	assert.Equal(t, session.Data{"k": "v"}, data)
}

// FuzzCipherDecode looks for bytes that are taken for authentic, or make it panic.
func FuzzCipherDecode(f *testing.F) {
	c := newCipher(f, cipherKey(1), cipherKey(2))
	msg, err := hex.DecodeString(golden)
	if err != nil {
		f.Fatal(err)
	}
	plain, err := session.GobEncoder(session.Data{"k": "v"})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{nil, msg, msg[:len(msg)-1], plain, bytes.Repeat([]byte{1}, 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := c.Decode(b); err == nil && !bytes.Equal(b, msg) {
			t.Errorf("accepted %x", b)
		}
	})
}

func BenchmarkCipher(b *testing.B) {
	c := newCipher(b, cipherKey(1))
	data := session.Data{"user_id": 123, "name": "alice", "role": "admin", "visits": 7, "theme": "dark"}
	msg, err := c.Encode(data)
	require.NoError(b, err)
	b.Run("Encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = c.Encode(data)
		}
	})
	b.Run("Decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = c.Decode(msg)
		}
	})
}
