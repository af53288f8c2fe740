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

// client is what the client has. It does not change once the session was found.
type client struct {
	token txn.Token // "" if it brought none that is good
	age   int       // the Max-Age of its cookie, 0 for that of the options
	old   bool      // the token is an old one, though still good: its expiry is in it
}

// outcome is what has become of the session.
type outcome struct {
	exists   bool
	newToken bool
	maxAge   int
	again    bool // a persistent cookie is due
	kept     bool // the client keeps what it has: another response tells it, or the record may still be there
}

// decide is the one place that decides what a response says. A response with a new token
// must not be kept by any cache, one that repeats it by no shared cache.
func decide(c client, o outcome) line {
	switch {
	case o.exists && (o.newToken || o.maxAge != c.age):
		return setLine
	case o.exists && (o.again || c.old):
		return againLine
	case !o.exists && c.token != "" && !o.kept:
		return removeLine
	}
	return noLine
}

// outcomeFor is what a state means to the client.
func (c client) outcomeFor(s txn.State) outcome {
	return outcome{exists: s.Token != "", newToken: s.Token != c.token, maxAge: s.MaxAge, again: s.Refreshed, kept: s.Lost || s.Undeleted}
}
