package session

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/gobstream"
)

// Encoder is an encoder to encode session data to binary. It may be called
// concurrently.
type Encoder func(Data) ([]byte, error)

// Decoder is a decoder to decode binary to session data. It may be called
// concurrently, and must return an error for bytes that it can make no sense of.
type Decoder func([]byte) (Data, error)

// GobEncoder is a session data encoder using Gob. Types other than Go's own must
// have been registered with gob.Register, except the common ones that this
// package registers: time.Time, time.Duration, map[string]string,
// map[string]any, []any and their like. It may be called concurrently.
func GobEncoder(data Data) ([]byte, error) {
	return gobCodec.marshal(newValuesFrom(data))
}

// GobDecoder is a session data decoder using Gob. Corrupt input is an error,
// never a panic. It may be called concurrently.
func GobDecoder(binary []byte) (Data, error) {
	v, err := gobCodec.unmarshal(binary)
	if err != nil {
		return nil, err
	}
	return v.data(), nil
}

// codec turns values into the bytes that a backend keeps, and back.
type codec struct {
	encode func(*values) ([]byte, error)
	decode func([]byte) (*values, error)
}

// gobCodec is the library's own, which spares the detour over a map.
var gobCodec = codec{
	encode: func(v *values) ([]byte, error) { return gobstream.Encode(v.pairs) },
	decode: func(b []byte) (*values, error) {
		pairs, err := gobstream.Decode(b)
		if err != nil {
			return nil, err
		}
		return newValues(pairs), nil
	},
}

// newCodec takes the library's own wherever the user did not choose another.
func newCodec(enc Encoder, dec Decoder) codec {
	c := gobCodec
	if enc != nil && !same(enc, GobEncoder) {
		c.encode = func(v *values) ([]byte, error) { return enc(v.data()) }
	}
	if dec != nil && !same(dec, GobDecoder) {
		c.decode = func(b []byte) (*values, error) {
			data, err := dec(b)
			if err != nil {
				return nil, err
			}
			return newValuesFrom(data), nil
		}
	}
	return c
}

// same tells whether two values are the same function.
func same(a, b any) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// marshal encodes a version. A value that does not go through is named, with
// what to do about it: the encoder's own error does not tell which one it was.
func (c codec) marshal(v *values) (_ []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("encode: panic: %v", p)
		}
	}()
	b, err := c.encode(v)
	if err == nil {
		return b, nil
	}
	for _, p := range v.pairs {
		one := newValues([]pair{p})
		if _, oneErr := c.encode(one); oneErr != nil {
			return nil, fmt.Errorf("encode: key %s holds a %T: %s (%w)", keyName(p.Key), p.Value, remedy(p), oneErr)
		}
	}
	return nil, fmt.Errorf("encode: %w", err)
}

// unmarshal decodes a record.
func (c codec) unmarshal(b []byte) (_ *values, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &decodeError{fmt.Errorf("panic: %v", p)}
		}
	}()
	v, err := c.decode(b)
	if err != nil {
		return nil, &decodeError{err}
	}
	return v, nil
}

// decodeError marks a record that is there but makes no sense. It costs the
// visitor that session, unlike a store that is out of order.
type decodeError struct{ err error }

func (e *decodeError) Error() string { return "decode: " + e.err.Error() }
func (e *decodeError) Unwrap() error { return e.err }

// Is makes it one with what a Backend cannot make a record of.
func (e *decodeError) Is(target error) bool { return target == driver.ErrUnreadable }

func isDecodeError(err error) bool {
	return errors.Is(err, driver.ErrUnreadable)
}

// keyName shows a key that is a string, and only the type of another.
func keyName(key any) string {
	if s, ok := key.(string); ok {
		return fmt.Sprintf("%.64q", s)
	}
	return fmt.Sprintf("of type %T", key)
}

// checkCodec tells whether a codec keeps what the library stores under keys of
// its own, next to the data: a session whose time of creation is lost never comes
// to its end. Numbers may change their type, as by JSON.
func checkCodec(c codec) error {
	want := []pair{
		{Key: createdKey, Value: int64(1_700_000_000_123)},
		{Key: lifetimeKey, Value: int64(30 * time.Minute)},
		{Key: rememberKey, Value: int64(30 * 24 * 3600)},
	}
	b, err := c.marshal(newValues(want))
	if err != nil {
		return fmt.Errorf("Config.Encoder fails on the library's own keys, strings with an int64 each: %w", err)
	}
	got, err := c.unmarshal(b)
	if err != nil {
		return fmt.Errorf("Config.Decoder cannot read what Config.Encoder wrote, set both or neither: %w", err)
	}
	for _, p := range want {
		if val, _ := got.get(p.Key); wholeNumber(val) != p.Value {
			return fmt.Errorf("Config.Encoder and Config.Decoder lose the library's own keys, such as %q: keep keys that start with %q, and the numbers they hold", p.Key, ownPrefix)
		}
	}
	return nil
}
