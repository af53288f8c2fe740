package owners

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/sessionid"
)

// Handle names a session among those of its owner. It stays the same for the session's whole
// life. A page may show it: nobody can sign in with it, unlike an ID.
type Handle string

// Entry is one line of an owner's list.
type Entry struct {
	Handle Handle
	Since  time.Time
	ids    []string
}

// generation is the first line of a list.
type generation struct {
	now    string   // "" if nobody has ended all for a long time
	before string   // the one before
	except []Handle // the handles that the last EndAll has spared, also those that were not listed yet
}

const generationMark = "#"

// cutGeneration parts the generation from the lines of sessions.
func cutGeneration(text string) (g generation, lines string) {
	if !strings.HasPrefix(text, generationMark) {
		return g, text
	}
	first, lines, _ := strings.Cut(text[len(generationMark):], "\n")
	f := append(strings.Split(first, ","), "")
	g.now, g.before, g.except = f[0], f[1], handlesOf(slices.DeleteFunc(f[2:], func(h string) bool { return h == "" }))
	return g, lines
}

func handlesOf(texts []string) (all []Handle) {
	for _, text := range texts {
		all = append(all, Handle(text))
	}
	return all
}

func (g generation) String() string {
	if g.now == "" {
		return ""
	}
	fields := []string{g.now, g.before}
	for _, h := range g.except {
		fields = append(fields, string(h))
	}
	return generationMark + strings.Join(fields, ",") + "\n"
}

// next is the generation after an EndAll.
func (g generation) next(except []Handle) generation {
	except = slices.DeleteFunc(slices.Clone(except), func(h Handle) bool { return !driver.ValidID(string(h)) })
	if len(except) > 0 && slices.Equal(except, g.except) { // It is tried again.
		return generation{sessionid.New(generationLength), g.before, except}
	}
	return generation{sessionid.New(generationLength), g.now, except}
}

const generationLength = 16

// admits reports whether a sign-in still stands that began when the list was that.
func (g generation) admits(began *Note, handle Handle) bool {
	then := ""
	if began != nil {
		old, _ := cutGeneration(began.Text)
		then = old.now
	}
	return g.now == "" || g.now == then || g.before == then && slices.Contains(g.except, handle)
}

func parseList(text string) (list []Entry) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		ids := slices.DeleteFunc(f[2:], func(id string) bool { return !driver.ValidID(id) }) // Who can write to the storage can write anything.
		ms, _ := strconv.ParseInt(f[1], 10, 64)
		list = append(list, Entry{Handle: Handle(f[0]), Since: time.UnixMilli(ms), ids: ids})
	}
	return list
}

func formatList(list []Entry) string {
	var b strings.Builder
	for _, l := range list {
		fmt.Fprintln(&b, l.Handle, l.Since.UnixMilli(), strings.Join(l.ids, " "))
	}
	return b.String()
}

// add adds the ID that a session has, and the one that it will get, either of them if
// not "". The latter stands last, also if it was there before: see Leave. What stands in
// front of the former is where the session came from: nothing can be found there any more.
func (l *Entry) add(id, next string) {
	ids := slices.DeleteFunc(slices.Clone(l.ids), func(old string) bool { return old == next })
	switch i := slices.Index(ids, id); {
	case id == "":
	case i < 0:
		ids = slices.Insert(ids, 0, id)
	default:
		ids = ids[i:]
	}
	if next != "" {
		ids = append(ids, next)
	}
	l.ids = ids
}

// ID is that of an owner's list.
func ID(place, owner string) string { return sessionid.Own("owner " + place + "\x00" + owner) }
