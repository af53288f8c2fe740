package session_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/hook"
)

// jsonConfig has a custom codec that does not know int64.
func jsonConfig(numbers bool) session.StoreConfig {
	encode := func(data session.Data) ([]byte, error) {
		m := make(map[string]any, len(data))
		for key, val := range data {
			m[key.(string)] = val
		}
		return json.Marshal(m)
	}
	decode := func(b []byte) (session.Data, error) {
		dec := json.NewDecoder(bytes.NewReader(b))
		if numbers {
			dec.UseNumber()
		}
		m := make(map[string]any)
		err := dec.Decode(&m)
		data := make(session.Data, len(m))
		for key, val := range m {
			data[key] = val
		}
		return data, err
	}
	return session.StoreConfig{Encoder: encode, Decoder: decode}
}

// TestLifetimesWithAnotherCodec checks that the library's own keys still work when they
// come back with other types than they were stored with (G9).
func TestLifetimesWithAnotherCodec(t *testing.T) {
	for _, numbers := range []bool{false, true} {
		now := time.Unix(1e9, 0)
		a := newApp(t, func(o *session.Options) {
			o.Initer = initer(newMapBackend(), jsonConfig(numbers))
			o.AbsoluteLifetime = 2 * time.Hour
			hook.SetClock(o, func() time.Time { return now })
		})
		a.Get("/new", func(s session.Session) { s.Set("k", 1) })
		a.Get("/short", func(s session.Session) error { s.Set("k", 1); return session.Remember(s, time.Minute) })
		a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })

		rec, id := a.get("/short", "")
		assert.Contains(t, rec.Header().Get("Set-Cookie"), "Max-Age=60")
		for range 3 {
			now = now.Add(50 * time.Second)
			rec, _ = a.get("/get", id)
			assert.Equal(t, "1", rec.Body.String())
			assert.Contains(t, rec.Header().Get("Set-Cookie"), "Max-Age=60")
		}
		now = now.Add(64 * time.Second)
		rec, _ = a.get("/get", id)
		assert.Equal(t, "<nil>", rec.Body.String(), "its own lifetime is over")

		_, id = a.get("/new", "")
		for range 4 {
			now = now.Add(29 * time.Minute)
			rec, _ = a.get("/get", id)
			assert.Equal(t, "1", rec.Body.String())
		}
		now = now.Add(5 * time.Minute)
		rec, _ = a.get("/get", id)
		assert.Equal(t, "<nil>", rec.Body.String(), "the absolute lifetime is over")
	}
}

// TestLifetimesOfOtherTypes has unexpected values under the library's own keys: they
// are ignored, and nobody is locked out.
func TestLifetimesOfOtherTypes(t *testing.T) {
	for _, val := range []any{
		"soon", 1.5e300, math.NaN(), math.Inf(-1), uint64(math.MaxUint64), int64(math.MinInt64), int8(-1),
		[]byte("x"), true, 'x', json.Number("1e400"), time.Hour, struct{ A int }{1}, []any{1},
	} {
		a := newApp(t, func(o *session.Options) { o.Initer = nil })
		a.Get("/get", func(s session.Session) string { return fmt.Sprint(s.Get("k")) })
		id := "0123456789abcdef"
		require.NoError(t, a.m.Store().Save(t.Context(), session.NewBaseSessionWithData(id, nil, nil, session.Data{
			"k": 1, "flamego::session::lifetime": val, "flamego::session::remember": val,
		})))
		rec, _ := a.get("/get", id)
		assert.Equal(t, "1", rec.Body.String(), "%T %v", val, val)
	}
}
