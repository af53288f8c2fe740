package session

import "github.com/flamego/session/internal/gobstream"

// Data is the data structure for storing session data, as encoders and decoders
// see it.
type Data map[interface{}]interface{}

// pair is one key of a session with its value.
type pair = gobstream.Pair

// indexFrom is the number of keys from which a map beats walking the pairs.
const indexFrom = 16

// values is one version of a session's data. It never changes once made, so
// that any number of requests may read it without a lock. The keys stand in a
// slice, because the usual session has few of them: that takes a third of a
// map's memory, and a million sessions in memory notice.
type values struct {
	pairs []pair
	index map[any]int // only with indexFrom pairs or more
}

// noValues is the version of a session that nothing was stored in.
var noValues = &values{}

// newValues takes over pairs, whose keys are distinct.
func newValues(pairs []pair) *values {
	v := &values{pairs: pairs}
	if len(pairs) >= indexFrom {
		v.index = make(map[any]int, len(pairs))
		for i := range pairs {
			v.index[pairs[i].Key] = i
		}
	}
	return v
}

// newValuesFrom copies a map.
func newValuesFrom(data Data) *values {
	pairs := make([]pair, 0, len(data))
	for key, val := range data {
		pairs = append(pairs, pair{Key: key, Value: val})
	}
	return newValues(pairs)
}

// data copies the values into a map.
func (v *values) data() Data {
	data := make(Data, len(v.pairs))
	for _, p := range v.pairs {
		data[p.Key] = p.Value
	}
	return data
}

func (v *values) get(key any) (any, bool) {
	if v.index != nil {
		i, ok := v.index[key]
		if !ok {
			return nil, false
		}
		return v.pairs[i].Value, true
	}
	for i := range v.pairs {
		if v.pairs[i].Key == key {
			return v.pairs[i].Value, true
		}
	}
	return nil, false
}
