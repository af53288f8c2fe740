// Package clientstore is the engine for sessions that their clients keep, encrypted,
// instead of an ID.
package clientstore

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/codec"
	"github.com/flamego/session/internal/txn"
)

// Sealer encrypts. A message sealed for one purpose cannot be opened for another.
// Overhead is how much longer a message is than what it hides.
type Sealer interface {
	Seal(purpose string, plain []byte) []byte
	Open(purpose string, msg []byte) ([]byte, error)
	Overhead() int
}

// Engine implements txn.Engine. Other engines get an ID and find a record; its Load gets
// the record itself, which is called a token. Nobody else writes to the same place, so
// Replace never conflicts; but a client may also keep an older token.
type Engine struct {
	sealer Sealer
	codec  codec.Codec
	place  string
}

// New returns an engine with a sealer and a codec.
func New(s Sealer, c codec.Codec) *Engine { return &Engine{sealer: s, codec: c} }

// Traits implements txn.Engine.
func (e *Engine) Traits() txn.Traits { return txn.Traits{Local: true, Client: true} }

// Attach sets which cookie or header the tokens are for: a token for one is invalid in
// another.
func (e *Engine) Attach(place string) error {
	e.place = place
	return e.codec.Check()
}

// maxSize is how many octets of a cookie's name and value browsers allow (RFC 6265bis,
// section 5.6). The rest of the line does not count.
const maxSize = 4096

// The record inside a token: version, length of the ID, expiry in Unix milliseconds,
// the ID, and the encoded data.
const (
	recordVersion = 1
	recordHeader  = 10
)

// tokenCoding is strict: one message has one token.
var tokenCoding = base64.RawURLEncoding.Strict()

// Valid implements txn.Engine: it accepts what looks like a token.
func (e *Engine) Valid(token string, _ int) bool {
	if len(token) < tokenCoding.EncodedLen(e.sealer.Overhead()+recordHeader) || len(token) > maxSize {
		return false
	}
	for i := range len(token) {
		if c := token[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

func (e *Engine) purpose() string { return "session in the " + e.place }

// Load opens a token. One that does not open counts as no session, like an unknown ID.
// It is not reported, or anybody could fill the log.
func (e *Engine) Load(_ context.Context, token string) (*txn.Version, error) {
	if !e.Valid(token, 0) {
		return nil, driver.ErrNotFound
	}
	msg, err := tokenCoding.DecodeString(token)
	if err != nil {
		return nil, driver.ErrNotFound
	}
	rec, err := e.sealer.Open(e.purpose(), msg)
	if err != nil {
		return nil, driver.ErrNotFound
	}
	// From here on it is a record that this library has made.
	if len(rec) < recordHeader || rec[0] != recordVersion || len(rec) < recordHeader+int(rec[1]) {
		return nil, &codec.DecodeError{Err: errors.New("a cookie of another version of this library")}
	}
	data := recordHeader + int(rec[1])
	v, err := e.codec.Unmarshal(rec[data:])
	if err != nil {
		return nil, err
	}
	expiry := time.UnixMilli(int64(binary.BigEndian.Uint64(rec[2:])))
	return &txn.Version{ID: string(rec[recordHeader:data]), Sealed: token, View: v, Record: driver.Record{Expiry: expiry}}, nil
}

// seal makes the token for the old version with the changes applied.
func (e *Engine) seal(old *txn.Version, ch *txn.Changes, id string, expiry time.Time) (*txn.Version, error) {
	v, vals := old.Next(ch, id, time.UnixMilli(expiry.UnixMilli()))
	data, err := e.codec.Marshal(vals)
	if err != nil {
		return nil, err
	}
	rec := make([]byte, 0, recordHeader+len(id)+len(data))
	rec = append(rec, recordVersion, byte(len(id)))
	rec = binary.BigEndian.AppendUint64(rec, uint64(expiry.UnixMilli()))
	rec = append(append(rec, id...), data...)
	v.Sealed = tokenCoding.EncodeToString(e.sealer.Seal(e.purpose(), rec))
	_, name, _ := strings.Cut(e.place, " ")
	if size := len(name) + len(v.Sealed); size > maxSize {
		return nil, e.tooLarge(size, vals)
	}
	return v, nil
}

// tooLarge says what to remove.
func (e *Engine) tooLarge(size int, v *txn.Values) error {
	type part struct {
		name string
		size int
	}
	parts := make([]part, 0, len(v.Pairs))
	for _, p := range v.Pairs {
		b, _ := e.codec.Marshal(txn.NewValues([]txn.Pair{p}))
		parts = append(parts, part{txn.KeyName(p.Key), len(b)})
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(b.size, a.size) })
	var largest []string
	for _, p := range parts[:min(3, len(parts))] {
		largest = append(largest, fmt.Sprintf("%s with %d bytes", p.name, p.size))
	}
	return fmt.Errorf("the cookie would have %d bytes in its name and value, and browsers keep %d at most: store less in the session, or use a store on the server (largest keys before encryption: %s)",
		size, maxSize, strings.Join(largest, ", "))
}

// Create implements txn.Engine.
func (e *Engine) Create(_ context.Context, id string, ch *txn.Changes, expiry time.Time) (*txn.Version, error) {
	return e.seal(nil, ch, id, expiry)
}

// Replace implements txn.Engine.
func (e *Engine) Replace(_ context.Context, old *txn.Version, ch *txn.Changes, expiry time.Time) (*txn.Version, error) {
	return e.seal(old, ch, old.ID, expiry)
}

// Move implements txn.Engine.
func (e *Engine) Move(_ context.Context, old *txn.Version, newID string, ch *txn.Changes, expiry time.Time) (*txn.Version, error) {
	return e.seal(old, ch, newID, expiry)
}

// Touch implements txn.Engine.
func (e *Engine) Touch(_ context.Context, old *txn.Version, expiry time.Time) (*txn.Version, error) {
	return e.seal(old, &txn.Changes{}, old.ID, expiry)
}

// Delete does nothing: the client is told to drop the session.
func (e *Engine) Delete(context.Context, string) error { return nil }

// Sweep does nothing.
func (e *Engine) Sweep(context.Context, time.Time, int) (int, error) { return 0, nil }

// Count returns an error: nobody knows the number.
func (e *Engine) Count(context.Context, time.Time) (int, error) {
	return 0, fmt.Errorf("%w: clients keep the sessions, so their number is unknown", errors.ErrUnsupported)
}

// Encode implements txn.Engine.
func (e *Engine) Encode(v txn.View, ch *txn.Changes) ([]byte, error) {
	old := &txn.Version{View: v}
	_, vals := old.Next(ch, "", time.Time{})
	return e.codec.Marshal(vals)
}
