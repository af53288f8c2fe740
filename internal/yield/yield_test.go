package yield

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestTooLong checks that it stops for a hundred times as long as the others took, if that
// was too long.
func TestTooLong(t *testing.T) {
	now, took, yields := time.Now(), tooLong, 0
	y := &Yield{
		gosched: func() { now, yields = now.Add(took), yields+1 },
		now:     func() time.Time { return now },
	}
	for range 3 {
		y.Do()
	}
	assert.Equal(t, 3, yields)

	took = 6 * time.Millisecond
	for range 3 {
		y.Do()
	}
	assert.Equal(t, 4, yields)
	now = now.Add(600*time.Millisecond - time.Nanosecond)
	y.Do()
	assert.Equal(t, 4, yields)
	now = now.Add(time.Nanosecond)
	y.Do()
	assert.Equal(t, 5, yields)
}
