package carry

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
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
