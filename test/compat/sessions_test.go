package compat

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
)

// Below are Sessions that are not of this library.

// prefixed is an application's own Session, around the injected one.
type prefixed struct {
	session.Session
	prefix string
}

func (p *prefixed) Get(key interface{}) interface{} { return p.Session.Get(p.prefix + key.(string)) }
func (p *prefixed) Set(key, val interface{})        { p.Session.Set(p.prefix+key.(string), val) }

func TestOwnTypeMappedAsSession(t *testing.T) {
	eachStore(t, func(t *testing.T, opt session.Options) {
		m := manager(t, opt)
		f := flame(m.Sessioner())
		f.Get("/raw", func(s session.Session) string { return fmt.Sprint(s.Get("app/user")) })
		f.Group("", func() {
			f.Get("/set", func(s session.Session) {
				s.Set("user", "ann")
				session.Update(s, "visits", func(n int) int { return n + 1 })
			})
			f.Get("/get", func(s session.Session) string {
				visits, ok := session.Get[int](s, "visits")
				return fmt.Sprintf("%v %v %v", s.Get("user"), visits, ok)
			})
		}, func(c flamego.Context, s session.Session) {
			c.MapTo(&prefixed{s, "app/"}, (*session.Session)(nil))
		})
		b := newTester(t, f)
		require.NotNil(t, b.get("/set").cookie)
		assert.Equal(t, "ann 1 true", b.get("/get").body)
		assert.Equal(t, "ann", b.get("/raw").body)
	})
}

// fake is a Session as tests of handlers make them.
type fake struct {
	data    map[interface{}]interface{}
	id      int
	changed bool
}

var _ session.Session = (*fake)(nil)

func (f *fake) ID() string { return fmt.Sprintf("fake%012d", f.id) }
func (f *fake) RegenerateID(http.ResponseWriter, *http.Request) error {
	f.id++
	return nil
}
func (f *fake) Get(key interface{}) interface{} { return f.data[key] }
func (f *fake) Set(key, val interface{})        { f.data[key], f.changed = val, true }
func (f *fake) SetFlash(val interface{})        { f.Set("flash", val) }
func (f *fake) Delete(key interface{})          { delete(f.data, key) }
func (f *fake) Flush()                          { clear(f.data) }
func (f *fake) Encode() ([]byte, error)         { return session.GobEncoder(f.data) }
func (f *fake) HasChanged() bool                { return f.changed }

// A handler under test gets the fake injected, and no middleware is in place.
func TestFakeSession(t *testing.T) {
	s := &fake{data: make(map[interface{}]interface{})}
	f := flame(func(c flamego.Context) { c.MapTo(s, (*session.Session)(nil)) })
	f.Get("/", func(c flamego.Context, s session.Session) (string, error) {
		s.Set("user", "ann")
		s.SetFlash("welcome")
		n := session.Update(s, "visits", func(n int) int { return n + 1 })
		if err := session.Commit(c.Request().Context(), s); err != nil {
			return "", err
		}
		return fmt.Sprint(n), s.RegenerateID(c.ResponseWriter(), c.Request().Request)
	})
	f.Get("/out", func(s session.Session) { session.Destroy(s) })
	b := newTester(t, f)
	assert.Equal(t, "1", b.get("/").body)
	assert.Equal(t, "2", b.get("/").body)
	assert.Equal(t, map[interface{}]interface{}{"user": "ann", "flash": "welcome", "visits": 2}, s.data)
	assert.Equal(t, "fake000000000002", s.ID())
	b.get("/out")
	assert.Empty(t, s.data)

	binary, err := (&fake{data: map[interface{}]interface{}{"k": 1}}).Encode()
	require.NoError(t, err)
	data, err := session.GobDecoder(binary)
	require.NoError(t, err)
	assert.Equal(t, session.Data{"k": 1}, data)
}
