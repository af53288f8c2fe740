package session_test

import (
	"context"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// TestJSONOwners checks that the library's own keys and records survive JSON.
func TestJSONOwners(t *testing.T) {
	a := newUserApp(t, nil, func(o *session.Options) {
		o.Initer = initer(newMapBackend(), session.StoreConfig{Encoder: session.JSONEncoder, Decoder: session.JSONDecoder})
		o.AbsoluteLifetime, o.RenewEvery = 24*time.Hour, time.Hour
	})
	_, id := a.get("/in", "")
	_, moved := a.get("/rotate", id)
	list, err := a.m.Sessions(t.Context(), "42")
	require.NoError(t, err)
	require.Len(t, list, 1)
	assert.WithinDuration(t, time.Now(), list[0].LastSeen, 5*time.Minute)
	require.NoError(t, a.m.EndAll(t.Context(), "42"))
	for _, id := range []string{id, moved} {
		rec, _ := a.get("/who", id)
		assert.Equal(t, "<nil>", rec.Body.String())
	}
	assert.NoError(t, a.errs.last())
}

// TestJSONRoundTrip checks that values come back as they were.
func TestJSONRoundTrip(t *testing.T) {
	in := session.Data{
		"b": true, "s": "€ \" \x00 </script>", "i": 42, "min": math.MinInt, "max": math.MaxInt,
		"f": 1.5, "whole": 42.0, "big": 1e300, "tiny": math.SmallestNonzeroFloat64,
		"any": []any{1, "x", nil, 2.5}, "deep": map[string]any{"a": []any{map[string]any{"b": false}}},
	}
	b, err := session.JSONEncoder(in)
	require.NoError(t, err)
	out, err := session.JSONDecoder(b)
	require.NoError(t, err)
	assert.Equal(t, in, out)
}

// TestJSONRefuses checks what would not come back, and what cannot be read.
func TestJSONRefuses(t *testing.T) {
	loop := map[string]any{}
	loop["self"] = loop
	type named string
	for name, val := range map[string]any{
		"time": time.Now(), "bytes": []byte("x"), "struct": struct{ A int }{1}, "named": named("x"), "duration": time.Second,
		"text": "\xff", "int64": int64(1), "uint": uint(1), "float32": float32(1), "strings": []string{"a"}, "ints": map[string]int{"a": 1}, "huge": uint64(math.MaxUint64), "nan": math.NaN(), "inf": math.Inf(1), "pointer": new(int),
		"keys": map[int]string{1: "x"}, "inside": []any{time.Now()}, "loop": loop, "func": func() {}, "complex": 1i,
	} {
		_, err := session.JSONEncoder(session.Data{"k": val})
		assert.ErrorContains(t, err, `key "k"`, name)
	}
	_, err := session.JSONEncoder(session.Data{42: "x"})
	assert.ErrorContains(t, err, "a JSON key is a string, not a int")

	a := newApp(t, func(o *session.Options) {
		o.Initer = initer(newMapBackend(), session.StoreConfig{Encoder: session.JSONEncoder, Decoder: session.JSONDecoder})
	})
	a.Get("/", func(s session.Session) { s.Set("when", time.Now()) })
	rec, _ := a.get("/", "")
	assert.Equal(t, 500, rec.Code)
	assert.ErrorContains(t, a.errs.last(), `key "when" holds a time.Time: JSON keeps bool`)
	assert.NotContains(t, a.errs.last().Error(), "gob")

	for _, text := range []string{"", "null", "[]", "1", `{"a":1} x`, `{"a":99999999999999999999}`, `{"a":1e999}`, "{", "\x00"} {
		_, err := session.JSONDecoder([]byte(text))
		assert.Error(t, err, text)
	}
}

// TestJSONFromAnotherLanguage reads a stored session with Perl's own JSON module.
func TestJSONFromAnotherLanguage(t *testing.T) {
	perl, err := exec.LookPath("perl")
	if err != nil {
		const reason = "NOT TESTED: json: perl is not installed"
		if os.Getenv("REQUIRE_ALL") == "1" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	dir := t.TempDir()
	a := newApp(t, func(o *session.Options) {
		o.Initer = session.FileIniter()
		o.Config = session.FileConfig{RootDir: dir, Encoder: session.JSONEncoder, Decoder: session.JSONDecoder}
	})
	a.Get("/", func(s session.Session) {
		s.Set("user", "Zoë")
		s.Set("cart", map[string]any{"tea": 2})
	})
	_, id := a.get("/", "")
	file, err := filepath.Glob(filepath.Join(dir, "*", "*", id))
	require.NoError(t, err)
	require.Len(t, file, 1)
	out, err := exec.CommandContext(context.Background(), perl, "-MJSON::PP", "-CO", "-0777", "-ne",
		`my $s = decode_json($_); print "$s->{user} has $s->{cart}{tea} tea"`, file[0]).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Equal(t, "Zoë has 2 tea", string(out))
}

// FuzzJSON checks that whatever can be decoded can be encoded, and comes back the same.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{"{}", `{"a":1,"b":[1.0,"x",null,{"c":true}]}`, `{"":-0}`, `{"a":1e5}`, `{"a":"\ud800"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		data, err := session.JSONDecoder(b)
		if err != nil {
			return
		}
		b, err = session.JSONEncoder(data)
		if err != nil {
			return // Nested too deep to be stored.
		}
		again, err := session.JSONDecoder(b)
		require.NoError(t, err)
		assert.Equal(t, data, again)
	})
}
