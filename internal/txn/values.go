package txn

import (
	"errors"
	"fmt"
	"slices"

	"github.com/flamego/session/internal/gobstream"
)

// Pair is one key of a session with its value. It is gobstream's type, so that nothing
// has to be copied.
type Pair = gobstream.Pair

// View is what a version of a session holds.
type View interface {
	// Get returns the value as it is held: see Decoded.
	Get(key any) (val any, ok bool)
	// Own returns the pairs of the library's own keys, and maybe others.
	Own() []Pair
}

// indexFrom is the number of keys from which a map beats walking the pairs.
const indexFrom = 16

// Values is an immutable View, so any number of requests may read it without a lock.
// The keys are in a slice because the usual session has few of them: a slice takes a
// third of a map's memory, which matters at a million sessions.
type Values struct {
	Pairs []Pair
	index map[any]int // only with indexFrom pairs or more
}

// NoValues holds nothing.
var NoValues = &Values{}

// NewValues takes over pairs, whose keys are distinct.
func NewValues(pairs []Pair) *Values {
	v := &Values{Pairs: pairs}
	if len(pairs) >= indexFrom {
		v.index = make(map[any]int, len(pairs))
		for i := range pairs {
			v.index[pairs[i].Key] = i
		}
	}
	return v
}

// ValuesOf copies a map.
func ValuesOf(data map[any]any) *Values {
	pairs := make([]Pair, 0, len(data))
	for key, val := range data {
		pairs = append(pairs, Pair{Key: key, Value: val})
	}
	return NewValues(pairs)
}

// Decoded returns a value that a View or Changes hold, after decoding it if nobody has
// done that yet. It runs foreign code, so it must not be called with a lock.
func Decoded(val any) (any, error) {
	if r, ok := val.(*gobstream.Raw); ok {
		return r.Value()
	}
	return val, nil
}

// Contents calls fn with all that the application has set. The error names the keys whose
// values cannot be decoded.
func (v *Version) Contents(fn func(key, val any)) error {
	var errs []error
	for _, p := range v.values().Pairs {
		key, err := Decoded(p.Key)
		if err != nil || isOwn(key) {
			errs = append(errs, err)
			continue
		}
		val, err := Decoded(p.Value)
		if err != nil {
			errs = append(errs, fmt.Errorf("key %s holds %w", KeyName(key), err))
			continue
		}
		fn(key, val)
	}
	return errors.Join(errs...)
}

// Whole returns the same values, all of them decoded.
func (v *Values) Whole() (*Values, error) {
	pairs := slices.Clone(v.Pairs)
	for i := range pairs {
		for _, val := range []*any{&pairs[i].Key, &pairs[i].Value} {
			var err error
			if *val, err = Decoded(*val); err != nil {
				return nil, err
			}
		}
	}
	return NewValues(pairs), nil
}

// Map copies the values into a map. Those that are not decoded stay as they are.
func (v *Values) Map() map[any]any {
	data := make(map[any]any, len(v.Pairs))
	for _, p := range v.Pairs {
		data[p.Key] = p.Value
	}
	return data
}

// Get implements View.
func (v *Values) Get(key any) (any, bool) {
	if v.index != nil {
		i, ok := v.index[key]
		if !ok {
			return nil, false
		}
		return v.Pairs[i].Value, true
	}
	for i := range v.Pairs {
		if v.Pairs[i].Key == key {
			return v.Pairs[i].Value, true
		}
	}
	return nil, false
}

// Own implements View.
func (v *Values) Own() []Pair {
	if v.index == nil {
		return v.Pairs
	}
	return OwnOf(v)
}

// OwnOf looks for each of the library's own keys.
func OwnOf(v View) (own []Pair) {
	for _, key := range slices.Concat(ownKeys, []any{FlashKey}) {
		if val, ok := v.Get(key); ok {
			own = append(own, Pair{Key: key, Value: val})
		}
	}
	return own
}

// KeyName shows a string key, and only the type of any other key.
func KeyName(key any) string {
	if s, ok := key.(string); ok {
		return fmt.Sprintf("%.64q", s)
	}
	return fmt.Sprintf("of type %T", key)
}
