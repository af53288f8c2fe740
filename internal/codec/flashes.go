package codec

import (
	"cmp"
	"encoding/gob"
	"slices"
	"strconv"
	"strings"

	"github.com/flamego/session/internal/txn"
)

// Several flashes are stored under a key each, next to the session's values, and not as
// a list: each may be of any type that a single flash may have, and v1.6.6, which knows
// no type of a list of anything, can decode the record. It shows none of them, and
// leaves them there.
const flashPart = txn.FlashKey + "::"

// For the Stores of applications that use encoding/gob themselves.
func init() { gob.RegisterName("flamego/session.Flashes", txn.Flashes(nil)) }

// unfold puts each flash of a list under its own key.
func unfold(v *txn.Values) *txn.Values {
	val, _ := v.Get(txn.FlashKey)
	list, ok := val.(txn.Flashes)
	if !ok {
		return v
	}
	pairs := make([]txn.Pair, 0, len(v.Pairs)+len(list))
	for _, p := range v.Pairs {
		if p.Key != any(txn.FlashKey) {
			pairs = append(pairs, p)
		}
	}
	taken := make(map[int]bool) // by what could not be decoded
	for _, p := range pairs {
		if isFlashPart(p) {
			taken[flashAt(p)] = true
		}
	}
	at := 0
	for _, flash := range list {
		for ; taken[at]; at++ {
		}
		pairs = append(pairs, txn.Pair{Key: flashPart + strconv.Itoa(at), Value: flash})
		at++
	}
	return txn.NewValues(pairs)
}

// fold is the reverse of unfold. A single flash that v1.6.6 has set since is the last. One
// that cannot be decoded is left where it is, for a server that can.
func fold(v *txn.Values) *txn.Values {
	if !slices.ContainsFunc(v.Pairs, isFlashPart) {
		return v
	}
	var parts, rest []txn.Pair
	for _, p := range v.Pairs {
		switch {
		case isFlashPart(p):
			val, err := txn.Decoded(p.Value)
			if err != nil {
				rest = append(rest, p)
				continue
			}
			parts = append(parts, txn.Pair{Key: p.Key, Value: val})
		case p.Key != any(txn.FlashKey):
			rest = append(rest, p)
		}
	}
	slices.SortFunc(parts, func(a, b txn.Pair) int { return cmp.Compare(flashAt(a), flashAt(b)) })
	var list txn.Flashes
	for _, p := range parts {
		list = append(list, p.Value)
	}
	if last, ok := v.Get(txn.FlashKey); ok {
		val, err := txn.Decoded(last)
		if err != nil {
			return v
		}
		list = append(list, val)
	}
	if list == nil {
		return v
	}
	return txn.NewValues(append(rest, txn.Pair{Key: txn.FlashKey, Value: list}))
}

func isFlashPart(p txn.Pair) bool {
	name, ok := p.Key.(string)
	return ok && strings.HasPrefix(name, flashPart)
}

func flashAt(p txn.Pair) int {
	at, _ := strconv.Atoi(strings.TrimPrefix(p.Key.(string), flashPart))
	return at
}
