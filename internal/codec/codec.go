// Package codec encodes the values of a session for storage, and decodes them.
package codec

import (
	"errors"
	"fmt"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/gobstream"
	"github.com/flamego/session/internal/txn"
)

// Codec is a pair of functions. They may be called concurrently.
type Codec struct {
	Encode func(*txn.Values) ([]byte, error)
	Decode func([]byte) (*txn.Values, error)
	// Renews: when the expiry slides, a record is encoded again, not only touched, so
	// that old encryption keys can be removed.
	Renews bool
	// Remedy says what to do about a pair that Encode refuses; nil means that of gob.
	Remedy func(txn.Pair) string
}

// Gob is the library's own.
var Gob = Codec{
	Encode: func(v *txn.Values) ([]byte, error) {
		b, err := gobstream.Encode(v.Pairs)
		if err == nil {
			err = comeBack(v.Pairs)
		}
		return b, err
	},
	Decode: func(b []byte) (*txn.Values, error) {
		pairs, err := gobstream.Open(b)
		if err != nil {
			return nil, err
		}
		return txn.NewValues(pairs), nil
	},
}

// Whole returns the codec with a Decode that decodes all values at once, and fails if one
// cannot be.
func (c Codec) Whole() Codec {
	decode := c.Decode
	c.Decode = func(b []byte) (*txn.Values, error) {
		v, err := decode(b)
		if err != nil {
			return nil, err
		}
		return v.Whole()
	}
	return c
}

// Marshal encodes a version. Its error names the value at fault and the remedy, since the
// encoder's own error does not say which value it was.
func (c Codec) Marshal(v *txn.Values) (_ []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("encode: panic: %v", p)
		}
	}()
	v = unfold(v)
	b, err := c.Encode(v)
	if err == nil {
		return b, nil
	}
	for _, p := range v.Pairs {
		if _, oneErr := c.Encode(txn.NewValues([]txn.Pair{p})); oneErr != nil {
			p.Value, _ = txn.Decoded(p.Value) // It was changed in place.
			return nil, fmt.Errorf("encode: key %s holds a %T: %s (%w)", txn.KeyName(p.Key), p.Value, c.remedy(p, oneErr), oneErr)
		}
	}
	return nil, fmt.Errorf("encode: %w", err)
}

func (c Codec) remedy(p txn.Pair, err error) string {
	var changed *changedType
	switch {
	case errors.As(err, &changed):
		return changed.remedy()
	case c.Remedy != nil:
		return c.Remedy(p)
	}
	return remedy(p)
}

// Unmarshal decodes a record. Its errors are driver.ErrUnreadable.
func (c Codec) Unmarshal(b []byte) (_ *txn.Values, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &DecodeError{fmt.Errorf("panic: %v", p)}
		}
	}()
	v, err := c.Decode(b)
	if err != nil {
		return nil, &DecodeError{err}
	}
	return fold(v), nil
}

// DecodeError marks a record that exists but cannot be decoded. Unlike an unavailable
// store, it costs the visitor that session.
type DecodeError struct{ Err error }

func (e *DecodeError) Error() string { return "decode: " + e.Err.Error() }

// Unwrap returns the reason.
func (e *DecodeError) Unwrap() error { return e.Err }

// Is makes it equivalent to driver.ErrUnreadable.
func (e *DecodeError) Is(target error) bool { return target == driver.ErrUnreadable }

// Reported is the error for an unreadable record that has already been reported.
type Reported struct{ Err error }

func (e Reported) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e Reported) Unwrap() error { return e.Err }

// Check returns an error if a codec loses the library's own keys: without its creation
// time, a session would never reach its absolute timeout; without its text, an owner's list
// would be a session under an ID that anybody can work out. Numbers may change their type,
// as with JSON.
func (c Codec) Check() error {
	want := []txn.Pair{
		{Key: txn.CreatedKey, Value: int64(1_700_000_000_123)},
		{Key: txn.LifetimeKey, Value: int64(30 * time.Minute)},
		{Key: txn.RememberKey, Value: int64(30 * 24 * 3600)},
		{Key: txn.LabelKey, Value: "Firefox on Linux"},
		{Key: txn.EndedKey, Value: true},
	}
	b, err := c.Marshal(txn.NewValues(want))
	if err != nil {
		return fmt.Errorf("Config.Encoder fails on the library's own keys, strings with an int64, a string or a bool each: %w", err)
	}
	got, err := c.Unmarshal(b)
	if err != nil {
		return fmt.Errorf("Config.Decoder cannot read what Config.Encoder wrote, set both or neither: %w", err)
	}
	for _, p := range want {
		val, _ := got.Get(p.Key)
		if _, ok := p.Value.(int64); ok {
			val = txn.WholeNumber(val)
		}
		if val != p.Value {
			return fmt.Errorf("Config.Encoder and Config.Decoder lose the library's own keys, such as %q: keep keys that start with %q, and the numbers, strings and bools that they hold", p.Key, txn.OwnPrefix)
		}
	}
	return nil
}

// IsReported reports whether an error is a Reported.
func IsReported(err error) bool { return errors.As(err, new(Reported)) }
