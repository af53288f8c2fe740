package session

import "slices"

// change is what one request did to one key.
type change struct {
	key, val any
	deleted  bool
	// updates are the functions of Update, in their order, when the new value
	// hangs on the stored one. val is then their result on the version that the
	// request knows.
	updates []func(any) any
}

// changes is what a request did to its session. It is kept apart from the data,
// so that a commit which comes second can be done again on top of the version
// that came first. There is at most one change a key: a later one absorbs the
// earlier.
type changes struct {
	flushed bool // everything before list was deleted
	list    []change
}

func (c *changes) empty() bool {
	return !c.flushed && len(c.list) == 0
}

func (c *changes) find(key any) *change {
	for i := range c.list {
		if c.list[i].key == key {
			return &c.list[i]
		}
	}
	return nil
}

// get returns the value of a key and whether the changes alone decide it.
func (c *changes) get(key any) (val any, known bool) {
	if ch := c.find(key); ch != nil {
		return ch.val, true
	}
	return nil, c.flushed && !isReserved(key)
}

// updates tells whether any change depends on the stored version.
func (c *changes) updates() bool {
	return slices.ContainsFunc(c.list, func(ch change) bool { return ch.updates != nil })
}

// makes tells whether the changes are a reason to make a session. What the
// library keeps for itself is none.
func (c *changes) makes() bool {
	for i := range c.list {
		if ch := &c.list[i]; !ch.deleted && !isReserved(ch.key) {
			return true
		}
	}
	return false
}

func (c *changes) put(ch change) {
	if old := c.find(ch.key); old != nil {
		*old = ch
		return
	}
	c.list = append(c.list, ch)
}

// set with nil is remove: a key without a value and no key look the same to
// Get.
func (c *changes) set(key, val any) {
	c.put(change{key: key, val: val, deleted: val == nil})
}

func (c *changes) remove(key any) {
	c.put(change{key: key, deleted: true})
}

func (c *changes) flush() {
	var kept []change
	for _, ch := range c.list {
		if isReserved(ch.key) {
			kept = append(kept, ch)
		}
	}
	*c = changes{flushed: true, list: kept}
}

// update records fn, whose result on what this request sees is val.
func (c *changes) update(key any, fn func(any) any, val any) {
	old := c.find(key)
	switch {
	case old != nil && old.updates != nil:
		// A new slice: a commit under way may be reading the old one.
		fns := make([]func(any) any, 0, len(old.updates)+1)
		*old = change{key: key, val: val, deleted: val == nil, updates: append(append(fns, old.updates...), fn)}
	case old != nil || c.flushed:
		c.set(key, val) // What it hangs on is this request's own doing.
	default:
		c.put(change{key: key, val: val, deleted: val == nil, updates: []func(any) any{fn}})
	}
}

// then adds changes that were made after c.
func (c *changes) then(later *changes) {
	if later.flushed {
		c.flush()
	}
	for _, ch := range later.list {
		if ch.updates == nil {
			c.put(ch)
			continue
		}
		val := ch.val
		for _, fn := range ch.updates {
			c.update(ch.key, fn, val)
		}
	}
}

// on returns the changes with every Update done anew on the given version.
func (c *changes) on(base getter) *changes {
	moved := &changes{flushed: c.flushed, list: append([]change(nil), c.list...)}
	for i := range moved.list {
		ch := &moved.list[i]
		if ch.updates == nil {
			continue
		}
		ch.val, _ = base.get(ch.key)
		for _, fn := range ch.updates {
			ch.val = fn(ch.val)
		}
		ch.deleted = ch.val == nil
	}
	return moved
}

// keeps tells whether Flush, if there was one, has left the key alone.
func (c *changes) keeps(key any) bool { return !c.flushed || isReserved(key) }

// getter is where a request reads what it did not change itself.
type getter interface {
	get(key any) (any, bool)
}

// apply returns the version that follows v, which is nil for a new session.
func (c *changes) apply(v *values) *values {
	if v == nil {
		v = noValues
	}
	pairs := make([]pair, 0, len(v.pairs)+len(c.list))
	for _, p := range v.pairs {
		if !c.keeps(p.Key) {
			continue
		}
		if ch := c.find(p.Key); ch == nil {
			pairs = append(pairs, p)
		} else if !ch.deleted {
			pairs = append(pairs, pair{Key: p.Key, Value: ch.val})
		}
	}
	for _, ch := range c.list {
		if ch.deleted {
			continue
		}
		if _, ok := v.get(ch.key); ok && c.keeps(ch.key) {
			continue // Already in its place.
		}
		pairs = append(pairs, pair{Key: ch.key, Value: ch.val})
	}
	return newValues(pairs)
}
