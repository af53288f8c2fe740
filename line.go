package session

import "github.com/flamego/session/internal/txn"

// line is what a response says about the token that the client presents.
type line int

const (
	noLine     line = iota
	setLine         // the client does not have it, or has it with another Max-Age
	againLine       // the client has it, and is to keep it for longer
	removeLine      // the session is gone
)

// client is what the client has.
type client struct {
	token txn.Token // "" if it brought none that is good
	age   int       // the Max-Age of its cookie, 0 for that of the options
}

// outcome is what has become of the session.
type outcome struct {
	exists   bool
	newToken bool
	maxAge   int
	again    bool // a persistent cookie is due, or the token is an old one, though still good
	kept     bool // the client keeps what it has: another response tells it, or the record may still be there
}

// decide is the one place that decides what a response says. A response with a new token
// must not be kept by any cache, one that repeats it by no shared cache.
func decide(c client, o outcome) line {
	switch {
	case o.exists && (o.newToken || o.maxAge != c.age):
		return setLine
	case o.exists && o.again:
		return againLine
	case !o.exists && c.token != "" && !o.kept:
		return removeLine
	}
	return noLine
}
