package carry

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVary(t *testing.T) {
	for _, test := range []struct{ before, after []string }{
		{nil, []string{"Cookie"}},
		{[]string{"Accept"}, []string{"Accept", "Cookie"}},
		{[]string{"Accept, cookie"}, []string{"Accept, cookie"}},
		{[]string{"*"}, []string{"*"}},
	} {
		h := http.Header{}
		if test.before != nil {
			h["Vary"] = test.before
		}
		Vary(h, "Cookie", new(Room))
		assert.Equal(t, test.after, h["Vary"])
	}
}

func TestFindSlot(t *testing.T) {
	first, second := httptest.NewRecorder(), httptest.NewRecorder()
	w := flamego.NewResponseWriter(http.MethodGet, first)
	slot, err := FindSlot(w)
	require.NoError(t, err)
	assert.Same(t, first, slot.Get())
	slot.Set(second)
	w.WriteHeader(http.StatusTeapot)
	assert.Equal(t, http.StatusTeapot, second.Code)

	_, err = FindSlot(struct{ http.ResponseWriter }{first})
	assert.ErrorContains(t, err, "use a version of flamego")
}
