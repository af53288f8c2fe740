package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/sessiontest"
)

func TestCounterStartsAnew(t *testing.T) {
	clock := sessiontest.NewClock()
	byOption, byHand := exampletest.Open(t, optionsWithLimit(), clock), exampletest.Open(t, optionsWithout(), clock)
	url := exampletest.Serve(t, newApp(byOption, byHand, clock.Now))

	b := exampletest.NewBrowser(t, url)
	ids := func() map[string]string {
		ids := make(map[string]string)
		for _, c := range b.Cookies() {
			ids[c.Name] = c.Value
		}
		return ids
	}
	var first map[string]string
	for _, step := range []struct {
		after time.Duration // since the step before
		want  string
	}{
		{0, "This is visit 1."},
		{0, "This is visit 2."},
		{180 * time.Second, "This is visit 3."},
		{179 * time.Second, "This is visit 4."}, // At 359 seconds.
		{time.Second, "This is visit 1."},       // At 360, busy or not.
		{359 * time.Second, "This is visit 2."}, // Since the new start.
		{2 * time.Second, "This is visit 1."},
	} {
		clock.Advance(step.after)
		for _, path := range []string{"/", "/by-hand"} {
			assert.Contains(t, b.Get(path).Body, step.want, path)
		}
		if first == nil {
			first = ids()
			require.Len(t, first, 2)
		}
	}
	for name, id := range ids() {
		assert.NotEqual(t, first[name], id, "the new session has a new ID")
	}
	assert.Contains(t, exampletest.NewBrowser(t, url).Get("/").Body, "This is visit 1.", "somebody else")
}
