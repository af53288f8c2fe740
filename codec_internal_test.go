package session

import (
	"bytes"
	"encoding/gob"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/codec"
	"github.com/flamego/session/internal/txn"
)

type sealedA struct{ N int }

func init() { gob.Register(sealedA{}) }

// What cannot be decoded costs its key under a Cipher as well.
func TestCipherValueByValue(t *testing.T) {
	k1, k2 := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	older, err := NewCipher(k1)
	require.NoError(t, err)
	both, err := NewCipher(k2, k1)
	require.NoError(t, err)
	b, err := older.Encode(Data{"userID": 42, "v": sealedA{7}})
	require.NoError(t, err)
	plain, err := older.open(dataPurpose, b)
	require.NoError(t, err)
	b = older.seal(dataPurpose, bytes.ReplaceAll(plain, []byte("sealedA"), []byte("sealedB")))

	c := newCodec(both.Encode, both.Decode)
	require.True(t, c.Renews)
	v, err := c.Unmarshal(b)
	require.NoError(t, err)
	id, _ := v.Get("userID")
	assert.Equal(t, 42, id)
	raw, _ := v.Get("v")
	_, err = txn.Decoded(raw)
	require.ErrorContains(t, err, "sealedB")
	b, err = c.Marshal(v)
	require.NoError(t, err)
	_, err = older.open(dataPurpose, b)
	require.Error(t, err, "the new key encrypts")
	plain, err = both.open(dataPurpose, b)
	require.NoError(t, err)
	data, err := GobDecoder(bytes.ReplaceAll(plain, []byte("sealedB"), []byte("sealedA")))
	require.NoError(t, err)
	assert.Equal(t, Data{"userID": 42, "v": sealedA{7}}, data)

	_, err = both.Decode(b)
	assert.ErrorContains(t, err, "sealedB", "a Decoder decodes all or nothing")
	mixed := newCodec(func(d Data) ([]byte, error) { b, err := GobEncoder(d); return b, err }, nil)
	_, err = mixed.Unmarshal(plain)
	assert.ErrorContains(t, err, "sealedB", "and so does a codec with a function of the application")
}

// A number that no Go type fits costs its key, and goes back as it came.
func TestJSONByKeys(t *testing.T) {
	v, err := codec.JSON.Unmarshal([]byte(`{"big": 1e999, "n":1, "list" : [ 1.50, null ], "gone":null}`))
	require.NoError(t, err)
	_, ok := v.Get("gone")
	assert.False(t, ok)
	raw, _ := v.Get("big")
	_, err = txn.Decoded(raw)
	require.ErrorContains(t, err, "JSON")
	raw, _ = v.Get("list")
	list, err := txn.Decoded(raw)
	require.NoError(t, err)
	assert.Equal(t, []any{1.5, nil}, list)

	b, err := codec.JSON.Marshal(v)
	require.NoError(t, err)
	assert.Contains(t, string(b), `"big":1e999`)
	assert.Contains(t, string(b), `"list":[ 1.50, null ]`, "it was read, but not changed")
	list.([]any)[1] = "changed in place"
	b, err = codec.JSON.Marshal(v)
	require.NoError(t, err)
	assert.Contains(t, string(b), `"list":[1.5,"changed in place"]`)

	_, err = JSONDecoder([]byte(`{"big": 1e999}`))
	assert.Error(t, err)
}
