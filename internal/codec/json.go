package codec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/flamego/session/internal/gobstream"
	"github.com/flamego/session/internal/txn"
)

// JSON encodes a session as one JSON object (RFC 8259), for storage that programs in
// other languages read. What would come back as something else is refused: a handler
// that asserts the type would find nothing.
var JSON = Codec{Encode: encodeJSON, Decode: decodeJSON, Remedy: remedyJSON}

// jsonDepth is how deep values may be nested. One that contains itself is deeper.
const jsonDepth = 100

func encodeJSON(v *txn.Values) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, p := range v.Pairs {
		key, ok := p.Key.(string)
		if !ok {
			return nil, fmt.Errorf("a JSON key is a string, not a %T", p.Key)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		if err := writeString(&b, key); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		val := p.Value
		if r, ok := val.(*gobstream.Raw); ok {
			var changed bool
			if val, changed = r.Changed(); !changed {
				b.Write(r.Bytes())
				continue
			}
		}
		if n, ok := val.(int64); ok && strings.HasPrefix(key, txn.OwnPrefix) && !strings.HasPrefix(key, txn.FlashKey) {
			b.WriteString(strconv.FormatInt(n, 10)) // The library's own: see txn.WholeNumber.
			continue
		}
		if err := writeJSON(&b, reflect.ValueOf(val), 0); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func writeJSON(b *bytes.Buffer, v reflect.Value, depth int) error {
	if depth > jsonDepth {
		return fmt.Errorf("it is nested more than %d deep, or contains itself", jsonDepth)
	}
	for v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if !v.IsValid() {
		b.WriteString("null")
		return nil
	}
	switch v.Type() {
	case reflect.TypeFor[bool]():
		b.WriteString(strconv.FormatBool(v.Bool()))
	case reflect.TypeFor[string]():
		return writeString(b, v.String())
	case reflect.TypeFor[int]():
		b.WriteString(strconv.FormatInt(v.Int(), 10))
	case reflect.TypeFor[float64]():
		return writeFloat(b, v.Float())
	case reflect.TypeFor[[]any]():
		return writeList(b, v, depth)
	case reflect.TypeFor[map[string]any]():
		return writeObject(b, v, depth)
	default:
		return fmt.Errorf("a %s would not come back as one", v.Type())
	}
	return nil
}

func writeFloat(b *bytes.Buffer, f float64) error {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return fmt.Errorf("JSON has no %v", f)
	}
	text := strconv.FormatFloat(f, 'g', -1, 64)
	b.WriteString(text)
	if !strings.ContainsAny(text, ".e") {
		b.WriteString(".0") // Otherwise it would come back as an int.
	}
	return nil
}

func writeList(b *bytes.Buffer, v reflect.Value, depth int) error {
	b.WriteByte('[')
	for i := range v.Len() {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := writeJSON(b, v.Index(i), depth+1); err != nil {
			return err
		}
	}
	b.WriteByte(']')
	return nil
}

func writeObject(b *bytes.Buffer, v reflect.Value, depth int) error {
	b.WriteByte('{')
	for it, first := v.MapRange(), true; it.Next(); first = false {
		if !first {
			b.WriteByte(',')
		}
		if err := writeString(b, it.Key().String()); err != nil {
			return err
		}
		b.WriteByte(':')
		if err := writeJSON(b, it.Value(), depth+1); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func writeString(b *bytes.Buffer, s string) error {
	if !utf8.ValidString(s) {
		return errors.New("a string is not UTF-8")
	}
	text, err := json.Marshal(s)
	b.Write(text)
	return err
}

func remedyJSON(txn.Pair) string {
	return "JSON keeps bool, string, int, float64, []any and map[string]any: convert other integers to int, slices to []any and maps to map[string]any; store a time.Time as its Unix seconds, bytes as base64"
}

func decodeJSON(data []byte) (*txn.Values, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	var object map[string]json.RawMessage
	if err := d.Decode(&object); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is data after the JSON object")
	}
	if object == nil {
		return nil, errors.New("it is not a JSON object")
	}
	pairs := make([]txn.Pair, 0, len(object))
	for key, raw := range object {
		if string(raw) == "null" { // To Get, nil and a missing key look the same.
			continue
		}
		var val any = gobstream.NewRaw(raw, decodeValue)
		if strings.HasPrefix(key, txn.OwnPrefix) {
			var err error
			if val, err = decodeValue(raw); err != nil {
				return nil, err
			}
		}
		pairs = append(pairs, txn.Pair{Key: key, Value: val})
	}
	return txn.NewValues(pairs), nil
}

func decodeValue(b []byte) (val any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err = d.Decode(&val); err == nil {
		val, err = number(val)
	}
	if err != nil {
		return nil, fmt.Errorf("JSON that no Go type fits: store another number, or set the key anew (%w)", err)
	}
	return val, nil
}

// number makes an int or a float64 of each number in a value. Where an int has 32 bits,
// one that needs more is an int64, as some of the library's own do.
func number(val any) (_ any, err error) {
	switch v := val.(type) {
	case json.Number:
		if !strings.ContainsAny(v.String(), ".eE") {
			n, err := v.Int64()
			if small := int(n); err != nil || int64(small) == n {
				return small, err
			}
			return n, nil
		}
		return v.Float64()
	case []any:
		for i := range v {
			if v[i], err = number(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range v {
			if v[key], err = number(v[key]); err != nil {
				return nil, err
			}
		}
	}
	return val, nil
}
