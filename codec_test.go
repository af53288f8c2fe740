package session

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func encodeJSON(data Data) ([]byte, error) {
	m := make(map[string]any, len(data))
	for key, val := range data {
		m[key.(string)] = val
	}
	return json.Marshal(m)
}

func decodeJSON(b []byte) (Data, error) {
	var m map[string]any
	err := json.Unmarshal(b, &m)
	data := make(Data, len(m))
	for key, val := range m {
		data[key] = val
	}
	return data, err
}

func TestCheckCodec(t *testing.T) {
	without := func(prefix string) Decoder {
		return func(b []byte) (Data, error) {
			data, err := GobDecoder(b)
			maps.DeleteFunc(data, func(key, _ any) bool { return strings.HasPrefix(key.(string), prefix) })
			return data, err
		}
	}
	with := func(change func(int64) any) Decoder {
		return func(b []byte) (Data, error) {
			data, err := GobDecoder(b)
			for key, val := range data {
				if n, ok := val.(int64); ok {
					data[key] = change(n)
				}
			}
			return data, err
		}
	}
	only := func(keep func(any) bool) Decoder {
		return func(b []byte) (Data, error) {
			data, err := GobDecoder(b)
			maps.DeleteFunc(data, func(_, val any) bool { return !keep(val) })
			return data, err
		}
	}
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		enc  Encoder
		dec  Decoder
		want []string
	}{
		"gob":          {},
		"gob, named":   {enc: GobEncoder, dec: GobDecoder},
		"JSON":         {enc: encodeJSON, dec: decodeJSON},
		"json.Number":  {dec: with(func(n int64) any { return json.Number(strconv.FormatInt(n, 10)) })},
		"other number": {dec: with(func(n int64) any { return float64(n) })},
		"encrypted": {
			enc: func(data Data) ([]byte, error) {
				b, err := GobEncoder(data)
				return []byte(base64.StdEncoding.EncodeToString(b)), err
			},
			dec: func(b []byte) (Data, error) {
				b, err := base64.StdEncoding.DecodeString(string(b))
				if err != nil {
					return nil, err
				}
				return GobDecoder(b)
			},
		},
		"keys dropped":     {dec: without("flamego::"), want: []string{"Config.Encoder and Config.Decoder lose", `"flamego::session::created"`, `keep keys that start with "flamego::session::"`}},
		"one key dropped":  {dec: without("flamego::session::remember"), want: []string{"lose", `"flamego::session::remember"`}},
		"number cut":       {dec: with(func(n int64) any { return int32(n) }), want: []string{"lose"}},
		"as text":          {dec: with(func(int64) any { return "text" }), want: []string{"lose"}},
		"strings dropped":  {dec: only(func(val any) bool { _, ok := val.(string); return !ok }), want: []string{"lose", "strings"}},
		"bools dropped":    {dec: only(func(val any) bool { _, ok := val.(bool); return !ok }), want: []string{"lose", "bools"}},
		"nil data":         {dec: func([]byte) (Data, error) { return nil, nil }, want: []string{"lose"}},
		"encoder fails":    {enc: func(Data) ([]byte, error) { return nil, broken }, want: []string{"Config.Encoder", "broken"}},
		"encoder panics":   {enc: func(Data) ([]byte, error) { panic("aah") }, want: []string{"Config.Encoder", "aah"}},
		"decoder fails":    {dec: func([]byte) (Data, error) { return nil, broken }, want: []string{"Config.Decoder", "broken"}},
		"decoder panics":   {dec: func([]byte) (Data, error) { panic("aah") }, want: []string{"Config.Decoder", "aah"}},
		"no decoder":       {enc: encodeJSON, want: []string{"Config.Decoder", "set both"}},
		"encoder of bytes": {enc: func(Data) ([]byte, error) { return bytes.Repeat([]byte("x"), 9), nil }, want: []string{"Config.Decoder"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := newCodec(test.enc, test.dec).Check()
			if test.want == nil {
				require.NoError(t, err)
				return
			}
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}
