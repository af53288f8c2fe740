package main

import (
	"encoding/gob"

	"github.com/flamego/session"
)

// notice is a flash: a message for the next page. A request may leave several.
type notice struct{ Kind, Text string }

// Most stores encode what a session holds, and must know the type to decode it.
func init() { gob.Register(notice{}) }

func good(text string) notice { return notice{"good", text} }
func info(text string) notice { return notice{"info", text} }
func bad(text string) notice  { return notice{"bad", text} }

// notices are those that this page shows.
func notices(s session.Session) (list []notice) {
	for _, f := range session.Flashes(s) {
		if n, ok := f.(notice); ok {
			list = append(list, n)
		}
	}
	return list
}
