package gobstream

import (
	"encoding/gob"
	"net/url"
	"time"
)

// gob keeps only values whose type was registered, and knows just the basic
// types and slices of them by itself. Registered here, under the default names,
// is what sessions hold most: times, and what decoded JSON and forms consist of.
//
// An application may register any of them again with gob.Register. Registering
// one under another name, or as a pointer, panics: gob wants one name per type.
func init() {
	for _, v := range []any{
		time.Time{}, time.Duration(0), time.Month(0), time.Weekday(0),
		map[string]string{}, map[string]any{}, map[string]bool{}, map[string]struct{}{},
		map[string]int{}, map[string]int64{}, map[string]float64{}, map[string]time.Time{},
		map[string][]string{}, map[string]map[string]string{}, map[string]map[string]any{},
		map[int]string{}, map[int]int{}, map[int]bool{}, map[int64]string{}, map[int64]bool{},
		map[any]any{},
		[]any{}, []map[string]any{}, []map[string]string{}, [][]string{}, [][]byte{},
		[]time.Time{}, []time.Duration{},
		url.Values{},
	} {
		gob.Register(v)
	}
}
