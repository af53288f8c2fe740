package forward_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/flamego/session/internal/forward"
)

var (
	a = strings.Repeat("a", 32)
	b = strings.Repeat("b", 32)
)

func TestText(t *testing.T) {
	renewal := forward.Target{ID: b, Salt: a}
	text := forward.Add(forward.Add("", forward.Target{ID: a}.Word()), renewal.Word())
	assert.Equal(t, text, forward.Add(text, renewal.Word()), "a word that is there")
	assert.Equal(t, forward.Forward{To: []forward.Target{{ID: a}, renewal}}, forward.Parse(text))
	assert.Equal(t, forward.Forward{To: []forward.Target{{ID: a}, renewal}, Ended: true}, forward.Parse(forward.Add(text, forward.EndMark)))
	// Who can write to the storage can write anything.
	for _, text := range []string{"", " ", "../" + a, a + "~", a + "~" + "../" + a, a + "~" + a + "~" + a, "é" + a} {
		assert.Empty(t, forward.Parse(text), text)
	}
}

func TestTrail(t *testing.T) {
	lead := map[string]string{a: b, b: a} // In a circle.
	trail := forward.Trail{IDs: []string{a}}
	for i := 0; i < len(trail.IDs) && i < 100; i++ {
		trail.Follow(forward.Forward{To: []forward.Target{{ID: lead[trail.IDs[i]]}}})
	}
	assert.Equal(t, []string{a, b, a, b}, trail.IDs)
}

func TestRenewedID(t *testing.T) {
	id := forward.RenewedID(a, b)
	assert.Equal(t, id, forward.RenewedID(a, b))
	assert.Len(t, id, len(b))
	assert.NotEqual(t, id, forward.RenewedID(a, a), "another salt")
	assert.NotEqual(t, id, forward.RenewedID(b, b), "another session")
}

func TestIsRecent(t *testing.T) {
	left := time.Unix(1e9, 0)
	expiry := left.Add(forward.For)
	assert.True(t, forward.IsRecent(expiry, left.Add(10*time.Second-1)))
	assert.False(t, forward.IsRecent(expiry, left.Add(10*time.Second)))
}
