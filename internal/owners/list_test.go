package owners

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

var (
	idA = strings.Repeat("a", 32)
	idB = strings.Repeat("b", 32)
	idC = strings.Repeat("c", 32)
)

func TestListText(t *testing.T) {
	list := []Entry{{"one", time.UnixMilli(1), []string{idA}}, {"two", time.UnixMilli(2), []string{idB, idC}}}
	g := generation{now: "n", before: "b", except: []Handle{"one"}}
	got, lines := cutGeneration(g.String() + formatList(list))
	assert.Equal(t, g, got)
	assert.Equal(t, list, parseList(lines))
	got, lines = cutGeneration(formatList(list))
	assert.Equal(t, generation{}, got, "nobody has ended all")
	assert.Equal(t, list, parseList(lines))
	// Who can write to the storage can write anything.
	for _, text := range []string{"", "\n\n", "#", "#,,,", "one 1", "#\none", strings.Repeat(" ", 9)} {
		_, lines := cutGeneration(text)
		assert.Empty(t, parseList(lines), text)
	}
	assert.Equal(t, []Entry{{"one", time.UnixMilli(0), []string{}}}, parseList("one x ../secret"))
}

// TestAdd moves a session along its IDs.
func TestAdd(t *testing.T) {
	for _, c := range []struct {
		why      string
		ids      []string
		id, next string
		want     []string
	}{
		{"a sign-in without a session", nil, "", idA, []string{idA}},
		{"a sign-in of a visitor, whose session moves", nil, idA, idB, []string{idA, idB}},
		{"a rotation", []string{idA}, idA, idB, []string{idA, idB}},
		{"the next rotation", []string{idA, idB}, idB, idC, []string{idB, idC}},
		{"a list that lasts longer", []string{idA, idB}, idB, "", []string{idB}},
		{"a rotation that is tried again", []string{idA, idB}, idA, idB, []string{idA, idB}},
		{"a rotation beside one that has failed", []string{idA, idB}, idA, idC, []string{idA, idB, idC}},
		{"one that moves back to where it was", []string{idA, idB}, idB, idA, []string{idB, idA}},
	} {
		e := Entry{ids: c.ids}
		e.add(c.id, c.next)
		assert.Equal(t, c.want, e.ids, c.why)
	}
}

// TestGeneration has sign-ins that begin before and after somebody ends all sessions.
func TestGeneration(t *testing.T) {
	began := func(g generation) *Note { return &Note{Text: g.String()} }
	none := generation{}
	first := none.next([]Handle{"mine"})
	again := first.next([]Handle{"mine"})
	second := first.next(nil)
	for _, c := range []struct {
		why    string
		now    generation
		began  *Note
		handle Handle
		want   bool
	}{
		{"nobody has ended all", none, began(none), "x", true},
		{"it begins after that", first, began(first), "x", true},
		{"it began before", first, began(none), "x", false},
		{"it began before, and is spared", first, began(none), "mine", true},
		{"it began before, and the end was tried again", again, began(none), "mine", true},
		{"it began before both", second, began(none), "mine", false},
		{"it began before the second, which spares nobody", second, began(first), "mine", false},
		{"nobody could read the list when it began", first, nil, "x", false},
	} {
		assert.Equal(t, c.want, c.now.admits(c.began, c.handle), c.why)
	}
}
