package session

import (
	"reflect"

	"github.com/flamego/session/internal/codec"
	"github.com/flamego/session/internal/txn"
)

// Data is the data structure for storing session data.
type Data map[interface{}]interface{}

// Encoder is an encoder to encode session data to binary. It may be called
// concurrently.
type Encoder func(Data) ([]byte, error)

// Decoder is a decoder to decode binary to session data. It may be called
// concurrently, and must return an error for bytes that it cannot decode.
type Decoder func([]byte) (Data, error)

// GobEncoder is a session data encoder using Gob. Types other than Go's own must
// have been registered with gob.Register, except the common ones that this
// package registers: time.Time, time.Duration, map[string]string,
// map[string]any, []any and the like. It may be called concurrently.
func GobEncoder(data Data) ([]byte, error) {
	return codec.Gob.Marshal(txn.ValuesOf(data))
}

// GobDecoder is a session data decoder using Gob. Corrupt input is an error,
// never a panic. It may be called concurrently.
func GobDecoder(binary []byte) (Data, error) {
	v, err := codec.Gob.Unmarshal(binary)
	if err != nil {
		return nil, err
	}
	return v.Map(), nil
}

// newCodec uses the library's own functions where the user chose no others, which saves
// the detour over a map.
func newCodec(enc Encoder, dec Decoder) codec.Codec {
	c := codec.Gob
	if enc != nil && !isSame(enc, GobEncoder) {
		c.Encode = func(v *txn.Values) ([]byte, error) { return enc(v.Map()) }
		c.Renews = isSame(enc, (&Cipher{}).Encode)
	}
	if dec != nil && !isSame(dec, GobDecoder) {
		c.Decode = func(b []byte) (*txn.Values, error) {
			data, err := dec(b)
			if err != nil {
				return nil, err
			}
			return txn.ValuesOf(data), nil
		}
	}
	return c
}

// isSame reports whether two values are the same function.
func isSame(a, b any) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}
