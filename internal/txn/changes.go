package txn

import (
	"fmt"
	"iter"
	"slices"

	"github.com/flamego/session/internal/owners"
)

// change is what a transaction did to one key.
type change struct {
	key, val any // nil deletes it: to Get, a nil value and a missing key look the same
	// updates are the functions of Update, in order, if the new value depends on the
	// stored one. val is then their result on the version that the transaction read.
	updates []func(any) any
	// tail are the flashes that AddFlash has put at the end of val. While it is not nil, both
	// belong to these Changes, which may append to them.
	tail Flashes
}

// Changes are what a transaction did to its session. They are separate from the data,
// so that the second of two commits can be rebased on the first. There is at most one
// change per key: a later change absorbs an earlier one. nil is none, and can be read.
type Changes struct {
	flushed bool // everything before list was deleted
	list    []change
	index   map[any]int  // where a key is in list, if there are many; of no use unless as long as that
	owner   any          // who has signed in again: only that owner's session takes the changes, nil for any
	began   *owners.Note // the owner's list when the owner signed in
}

// newChanges returns none yet. It has room for one, which usually stays the only one.
func newChanges() *Changes {
	c := &struct {
		Changes
		room [1]change
	}{}
	c.list = c.room[:0]
	return &c.Changes
}

// TakeFlash is the change that removes the flash. An engine that cannot compare versions
// returns a conflict if the flash is gone: another request has taken it.
var TakeFlash = &Changes{list: []change{{key: FlashKey}}}

// Set sets a key, or deletes it if the value is nil.
func (c *Changes) Set(key, val any) { c.put(change{key: key, val: val}) }

// Delete deletes a key.
func (c *Changes) Delete(key any) { c.put(change{key: key}) }

// Flush deletes everything except the keys that belong to the session, not to its
// contents.
func (c *Changes) Flush() {
	*c = Changes{flushed: true, list: slices.DeleteFunc(slices.Clone(c.list), func(ch change) bool { return !isKept(ch.key) })}
}

// Empty reports whether there is nothing to store.
func (c *Changes) Empty() bool { return c == nil || !c.flushed && len(c.list) == 0 }

// Flushed reports whether everything that Flush deletes was deleted before All.
func (c *Changes) Flushed() bool { return c.flushed }

// All returns what was set or deleted, one by one; nil stands for deleted.
func (c *Changes) All() iter.Seq2[any, any] {
	return func(yield func(key, val any) bool) {
		for i := range c.list {
			if !yield(c.list[i].key, c.list[i].val) {
				return
			}
		}
	}
}

func (c *Changes) find(key any) *change {
	if c == nil {
		return nil
	}
	if c.isIndexed() {
		if i, ok := c.index[key]; ok {
			return &c.list[i]
		}
		return nil
	}
	for i := range c.list {
		if c.list[i].key == key {
			return &c.list[i]
		}
	}
	return nil
}

// isIndexed reports whether the index is that of the list.
func (c *Changes) isIndexed() bool {
	return len(c.list) >= indexFrom && len(c.index) == len(c.list)
}

// reindex makes the index, if there are enough changes. Only who may add to them calls it.
func (c *Changes) reindex() {
	if len(c.list) < indexFrom {
		return
	}
	c.index = make(map[any]int, 2*len(c.list))
	for i := range c.list {
		c.index[c.list[i].key] = i
	}
}

// get returns the value of a key, and whether the changes alone determine it.
func (c *Changes) get(key any) (val any, known bool) {
	if ch := c.find(key); ch != nil {
		return ch.val, true
	}
	return nil, c != nil && c.flushed && !isKept(key)
}

// isIdle reports whether all that it does is to delete what the version does not have.
func (c *Changes) isIdle(v View) bool {
	return v != nil && !c.flushed && !slices.ContainsFunc(c.list, func(ch change) bool {
		if ch.val != nil || ch.updates != nil {
			return true
		}
		_, there := v.Get(ch.key)
		return there
	})
}

// updates reports whether any change depends on the stored version.
func (c *Changes) updates() bool {
	return slices.ContainsFunc(c.list, func(ch change) bool { return ch.updates != nil })
}

// creates reports whether the changes create a session. Those of the keys that Flush
// leaves alone do not.
func (c *Changes) creates() bool {
	return c != nil && slices.ContainsFunc(c.list, func(ch change) bool { return ch.val != nil && !isKept(ch.key) })
}

func (c *Changes) put(ch change) {
	if old := c.find(ch.key); old != nil {
		*old = ch
		return
	}
	indexed := c.isIndexed()
	c.list = append(c.list, ch)
	if indexed {
		c.index[ch.key] = len(c.list) - 1
	} else {
		c.reindex()
	}
}

// clone returns changes that can be added to without touching c.
func (c *Changes) clone() *Changes {
	if c == nil {
		return newChanges()
	}
	same := &Changes{flushed: c.flushed, list: slices.Clone(c.list), owner: c.owner, began: c.began}
	if ch := same.find(FlashKey); ch != nil && ch.tail != nil {
		ch.tail, ch.val = slices.Clip(ch.tail), slices.Clip(ch.val.(Flashes)) // The room is c's.
	}
	same.reindex()
	return same
}

// With returns the changes and one more.
func (c *Changes) With(key, val any) *Changes {
	more := c.clone()
	more.Set(key, val)
	return more
}

// update records fn, whose result for this transaction is val.
func (c *Changes) update(key any, fn func(any) any, val any) {
	old := c.find(key)
	switch {
	case old != nil && old.updates != nil:
		// A new slice: a commit under way may be reading the old one.
		fns := make([]func(any) any, 0, len(old.updates)+1)
		*old = change{key: key, val: val, updates: append(append(fns, old.updates...), fn)}
	case old != nil || c.flushed:
		c.Set(key, val) // It depends only on this transaction's own changes.
	default:
		c.put(change{key: key, val: val, updates: []func(any) any{fn}})
	}
}

// append adds changes that were made after c.
func (c *Changes) append(later *Changes) {
	if later == nil {
		return
	}
	if later.flushed {
		c.Flush()
	}
	if _, known := c.get(ownerKey); !known && later.owner != nil {
		c.owner = later.owner
	}
	if later.find(ownerKey) != nil {
		c.began = later.began
	}
	for _, ch := range later.list {
		if ch.updates == nil {
			c.put(ch)
			continue
		}
		for _, fn := range ch.updates {
			c.update(ch.key, fn, ch.val)
		}
	}
}

// Rebase returns the changes rebased on another version: every Update runs again. The
// user's functions may panic while the response is being written, where nobody would
// recover it. ErrEnded means that the session is not the owner's any more.
func (c *Changes) Rebase(base View) (_ *Changes, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("update: the function panicked: %v", p)
		}
	}()
	if owner, _ := base.Get(ownerKey); c.owner != nil && owner != c.owner {
		return nil, ErrEnded
	}
	rebased := c.clone()
	for i := range rebased.list {
		ch := &rebased.list[i]
		if ch.updates == nil {
			continue
		}
		old, _ := base.Get(ch.key)
		if ch.val, err = Decoded(old); err != nil && ch.key != any(FlashKey) {
			return nil, fmt.Errorf("update: key %s holds %w", KeyName(ch.key), err)
		} else if err != nil {
			ch.val = old
		}
		for _, fn := range ch.updates {
			ch.val = fn(ch.val)
		}
	}
	return rebased, nil
}

// keeps reports whether Flush, if there was one, left the key alone.
func (c *Changes) keeps(key any) bool { return !c.flushed || isKept(key) }

// Apply returns the version that follows v, which is nil for a new session.
func (c *Changes) Apply(v *Values) *Values {
	if v == nil {
		v = NoValues
	}
	pairs := make([]Pair, 0, len(v.Pairs)+len(c.list))
	for _, p := range v.Pairs {
		if !c.keeps(p.Key) {
			continue
		}
		if ch := c.find(p.Key); ch == nil {
			pairs = append(pairs, p)
		} else if ch.val != nil {
			pairs = append(pairs, Pair{Key: p.Key, Value: ch.val})
		}
	}
	for _, ch := range c.list {
		if ch.val == nil {
			continue
		}
		if _, ok := v.Get(ch.key); ok && c.keeps(ch.key) {
			continue // Already in its place.
		}
		pairs = append(pairs, Pair{Key: ch.key, Value: ch.val})
	}
	return NewValues(pairs)
}
