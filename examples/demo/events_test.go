package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestEventLog(t *testing.T) {
	var l eventLog
	for range 20 { // Clicks on both servers at once.
		l.add("One", "clicked")
		l.add("Two", "clicked")
	}
	list := l.list()
	assert.Len(t, list, 2)
	assert.Equal(t, "Two", list[0].Where, "the last one comes first")
	assert.Equal(t, 20, list[0].Times)
	assert.Equal(t, 20, list[1].Times)
	for i := range 2 * keepEvents {
		l.add("One", fmt.Sprint(i))
	}
	assert.Len(t, l.list(), keepEvents)
	assert.Equal(t, fmt.Sprint(2*keepEvents-1), l.list()[0].What)
}
