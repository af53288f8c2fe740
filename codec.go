package session

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

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

// GobEncoder is a session data encoder using Gob. Types other than Go's own must be registered
// with gob.Register, except for common ones that this package registers: time.Time,
// time.Duration, map[string]string, map[string]any, []any and the like. A value that would be
// decoded as another type, such as a pointer to a type that was not registered as a pointer,
// is an error that names the key. It may be called concurrently.
func GobEncoder(data Data) ([]byte, error) {
	return codec.Gob.Marshal(txn.ValuesOf(data))
}

// GobDecoder is a session data decoder using Gob. Corrupt input is an error,
// never a panic. It may be called concurrently.
func GobDecoder(binary []byte) (Data, error) {
	v, err := codec.Gob.Whole().Unmarshal(binary)
	if err != nil {
		return nil, err
	}
	return v.Map(), nil
}

// JSONEncoder is a session data encoder using JSON, for a store that programs in other
// languages read. A session is one object; names that start with "flamego::session::" are the
// library's own. It supports bool, string, int, float64, and []any and map[string]any of these
// or nil. Anything else would be decoded as another type, so that Get and Update would not
// find it, and is an error that names the key: keys that are not strings, int64, []string,
// map[string]int, time.Time, []byte, structs and other named types, text that is not UTF-8. It
// may be called concurrently.
//
// It cannot read records in gob, so switching to it ends all sessions.
func JSONEncoder(data Data) ([]byte, error) {
	return codec.JSON.Marshal(txn.ValuesOf(data))
}

// JSONDecoder is the Decoder for JSONEncoder. Corrupt input is an error, never a
// panic. It may be called concurrently.
func JSONDecoder(binary []byte) (Data, error) {
	v, err := codec.JSON.Whole().Unmarshal(binary)
	if err != nil {
		return nil, err
	}
	return v.Map(), nil
}

// newCodec uses the library's own functions where the user chose no others, which avoids a
// detour over a map.
func newCodec(enc Encoder, dec Decoder) codec.Codec {
	c := codec.Gob
	if isSame(enc, JSONEncoder) && isSame(dec, JSONDecoder) {
		return codec.JSON
	}
	if isSame(enc, (&Cipher{}).Encode) && isSame(dec, (&Cipher{}).Decode) {
		return cipherCodec(enc, dec)
	}
	if enc != nil && !isSame(enc, GobEncoder) {
		c = c.Whole()
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

// cipherCodec does what the two methods of Ciphers do, but value by value.
func cipherCodec(enc Encoder, dec Decoder) codec.Codec {
	var by *Cipher
	_, _ = enc(Data{askCipher: &by})
	of, _ := dec(whichCipher)
	from, _ := of[askCipher].(*Cipher)
	return codec.Codec{
		Encode: func(v *txn.Values) ([]byte, error) { return by.encode(v) },
		Decode: func(b []byte) (*txn.Values, error) { return from.decode(b) },
		Renews: true,
	}
}

// askCipher makes a Cipher's method return the Cipher itself, which cannot be seen from a
// method value.
const askCipher = cipherKey("which")

type cipherKey string

var whichCipher = []byte("which")

// isSame reports whether two values are the same function.
func isSame(a, b any) bool {
	return reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer()
}

// Cipher encrypts session data, so that access to the storage, to a backup or to a dump does
// not reveal the contents, and tampering is detected. Its methods are the Encoder and the
// Decoder of any Config:
//
//	c, err := session.NewCipher(key)
//	...
//	sqlite.Config{DSN: "app.db", Encoder: c.Encode, Decoder: c.Decode}
//
// The algorithm is AES-256-GCM. IDs, expiries and the length of the data are not hidden. It
// may be used concurrently.
type Cipher struct {
	keys [][]byte
}

const (
	cipherKeySize  = 32
	cipherSaltSize = 32
	cipherVersion  = 1
	cipherRemedy   = "make one with `openssl rand -hex 32`, and read it with session.ParseKey"
	// cipherOverhead is how much longer a message is than its plaintext: the version, the
	// salt, the nonce of 12 bytes and the tag of 16.
	cipherOverhead = 1 + cipherSaltSize + 12 + 16
)

// NewCipher returns a Cipher that encrypts with the first key and decrypts with any of them,
// so that you can rotate keys without losing sessions: put the new key in front, and remove
// the old one a Lifetime and a twentieth later. By then every session in use has been
// encrypted with the new key, provided that Encode itself, not a function around it, is the
// Encoder. A key is 32 random bytes. A key of any other length, the same key twice, or no key
// at all is an error.
func NewCipher(keys ...[]byte) (*Cipher, error) {
	if len(keys) == 0 {
		return nil, errors.New("session: cipher: there is no key: " + cipherRemedy)
	}
	c := &Cipher{}
	for i, key := range keys {
		if len(key) != cipherKeySize {
			return nil, fmt.Errorf("session: cipher: the key at index %d has %d bytes, not %d: %s", i, len(key), cipherKeySize, cipherRemedy)
		}
		for j, other := range c.keys {
			if string(other) == string(key) {
				return nil, fmt.Errorf("session: cipher: the keys at index %d and %d are the same: leave one out", j, i)
			}
		}
		c.keys = append(c.keys, slices.Clone(key))
	}
	return c, nil
}

// ParseKey parses a key of 32 bytes in hexadecimal, as `openssl rand -hex 32` prints it, or in
// base64 of either alphabet. It rejects keys that random bytes would hardly ever produce, such
// as zeros, repetitions and typed text. It does not detect every password. The error does not
// contain the key.
func ParseKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	key, err := hex.DecodeString(text)
	isHex := err == nil
	if !isHex {
		b64 := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
		if key, err = base64.RawStdEncoding.DecodeString(b64); err != nil {
			return nil, fmt.Errorf("session: the key is neither hexadecimal nor base64: %s", cipherRemedy)
		}
	}
	if len(key) != cipherKeySize {
		return nil, fmt.Errorf("session: the key has %d bytes, not %d: %s", len(key), cipherKeySize, cipherRemedy)
	}
	if !looksRandom(key) || !isHex && (text == strings.ToLower(text) || text == strings.ToUpper(text)) {
		return nil, fmt.Errorf("session: the key is not random: %s", cipherRemedy)
	}
	return key, nil
}

// looksRandom is wrong about 32 random bytes once in 10^13 times.
func looksRandom(key []byte) bool {
	seen, printable := make(map[byte]bool), true
	for _, b := range key {
		seen[b] = true
		printable = printable && b >= ' ' && b <= '~'
	}
	return len(seen) >= 8 && !printable
}

// dataPurpose separates the messages of Encode from all others under the same keys.
const dataPurpose = "session data"

// Encode is an Encoder: gob, encrypted with the first key. It supports the same types as
// GobEncoder.
func (c *Cipher) Encode(data Data) ([]byte, error) {
	if by, ok := data[askCipher].(**Cipher); ok {
		*by = c
		return nil, nil
	}
	return c.encode(txn.ValuesOf(data))
}

func (c *Cipher) encode(v *txn.Values) ([]byte, error) {
	// Not GobEncoder: the store finds the faulty value by itself.
	plain, err := codec.Gob.Encode(v)
	if err != nil {
		return nil, err
	}
	return c.seal(dataPurpose, plain), nil
}

// Decode is a Decoder. It fails closed: anything that was not made by Encode with one of the
// keys is an error, including a record that is not encrypted.
func (c *Cipher) Decode(binary []byte) (Data, error) {
	if len(binary) > 0 && &binary[0] == &whichCipher[0] {
		return Data{askCipher: c}, nil
	}
	plain, err := c.open(dataPurpose, binary)
	if err != nil {
		return nil, err
	}
	return GobDecoder(plain)
}

func (c *Cipher) decode(binary []byte) (*txn.Values, error) {
	plain, err := c.open(dataPurpose, binary)
	if err != nil {
		return nil, err
	}
	return codec.Gob.Decode(plain)
}

// seal returns the version, a salt, and AES-GCM's output for plain: a nonce, the
// encrypted bytes and a tag. A message sealed for one purpose cannot be opened for
// another.
func (c *Cipher) seal(purpose string, plain []byte) []byte {
	msg := make([]byte, 1+cipherSaltSize, cipherOverhead+len(plain))
	msg[0] = cipherVersion
	salt := msg[1:]
	_, _ = rand.Read(salt) // Never fails: the program ends if there is no source.
	return aead(c.keys[0], salt).Seal(msg, nil, plain, []byte(purpose))
}

// sealer is a Cipher as clientstore needs it.
type sealer struct{ *Cipher }

func (s sealer) Seal(purpose string, plain []byte) []byte { return s.seal(purpose, plain) }

func (s sealer) Open(purpose string, msg []byte) ([]byte, error) { return s.open(purpose, msg) }

func (s sealer) Overhead() int { return cipherOverhead }

var errNotAuthentic = errors.New("not encrypted with any of the keys, or changed since")

func (c *Cipher) open(purpose string, msg []byte) ([]byte, error) {
	if len(msg) < cipherOverhead || msg[0] != cipherVersion {
		return nil, errNotAuthentic
	}
	salt, box := msg[1:1+cipherSaltSize], msg[1+cipherSaltSize:]
	// The message does not name its key, so nobody can see when keys change.
	for _, key := range c.keys {
		if plain, err := aead(key, salt).Open(nil, nil, box, []byte(purpose)); err == nil {
			return plain, nil
		}
	}
	return nil, errNotAuthentic
}

// aead returns AES-256-GCM under a key for one message, derived from the given key and
// the salt. Random nonces of 96 bits are safe for 2^32 messages under one key (NIST SP
// 800-38D, section 8.3), which a busy site writes in weeks. With a salt of 256 bits per
// message, no key ever seals two.
func aead(key, salt []byte) cipher.AEAD {
	derived, err := hkdf.Key(sha256.New, key, salt, "github.com/flamego/session v1", cipherKeySize)
	if err != nil {
		panic("session: cipher: " + err.Error()) // The sizes are constant and valid.
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		panic("session: cipher: " + err.Error())
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("session: cipher: " + err.Error())
	}
	return gcm
}
