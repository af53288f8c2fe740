package session

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestDecide is the table of what a response says.
func TestDecide(t *testing.T) {
	has, none := client{token: "a", age: 60}, client{}
	for name, c := range map[string]struct {
		client  client
		outcome outcome
		want    line
	}{
		"a visitor without a session":              {none, outcome{newToken: true}, noLine},
		"a new session":                            {none, outcome{exists: true, newToken: true}, setLine},
		"a session that was read":                  {has, outcome{exists: true, maxAge: 60}, noLine},
		"a new ID":                                 {has, outcome{exists: true, newToken: true, maxAge: 60}, setLine},
		"another Max-Age":                          {has, outcome{exists: true, maxAge: 90}, setLine},
		"no Max-Age of its own any more":           {has, outcome{exists: true}, setLine},
		"a persistent cookie that is due":          {has, outcome{exists: true, maxAge: 60, again: true}, againLine},
		"an old token":                             {client{token: "a"}, outcome{exists: true, again: true}, againLine},
		"a new ID, and an old token":               {client{token: "a"}, outcome{exists: true, newToken: true, again: true}, setLine},
		"a session that was destroyed":             {has, outcome{newToken: true}, removeLine},
		"one that another request has ended":       {has, outcome{newToken: true, kept: true}, noLine},
		"one that was due when it was destroyed":   {has, outcome{newToken: true, again: true}, removeLine},
		"one that nobody has, and that is not due": {none, outcome{kept: true}, noLine},
	} {
		assert.Equal(t, c.want, decide(c.client, c.outcome), name)
	}
}
