package session

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ClientIniter returns an Initer for sessions that live in their clients: the
// whole of one, encrypted by the Cipher, takes the place of the ID in the cookie,
// or in the header that Options.Transport names, and nothing is kept on the
// server. Package cookie is made of it; see there for what such sessions cannot
// do. Config and open are as for BackendIniter. The Store that it makes cannot be
// used to change sessions from outside of their own requests.
func ClientIniter[C any](open func(ctx context.Context, cfg C) (*Cipher, StoreConfig, error)) Initer {
	return func(ctx context.Context, args ...interface{}) (Store, error) {
		cfg, err := configOf[C](args)
		if err != nil {
			return nil, err
		}
		c, sc, err := open(ctx, cfg)
		if err != nil {
			return nil, err
		}
		s := newStore(&clientEngine{cipher: c, codec: newCodec(sc.Encoder, sc.Decoder)}, sc.Lifetime)
		s.local, s.inClient = true, true
		return s, nil
	}
}

// sealed is what makes a snapshot one of a session in the client.
type sealed struct {
	id    string
	token string // what the client holds
}

// clientEngine keeps sessions in their clients. Where other engines are given an
// ID to find a record, load is given the record itself, which is called a token.
// Nobody else writes to the same place, so replace never conflicts; but neither
// does a client lose a token of before.
type clientEngine struct {
	cipher *Cipher
	codec  codec
	place  place
}

// maxCookieSize is how many octets of a cookie's name and value browsers keep
// (RFC 6265bis, section 5.6). The rest of the line does not count.
const maxCookieSize = 4096

// The record inside of a token: version, length of the ID, expiry in Unix
// milliseconds, the ID, and the encoded data.
const (
	recordVersion = 1
	recordHeader  = 10
)

// tokenCoding is strict: one message has one token.
var tokenCoding = base64.RawURLEncoding.Strict()

// validToken is validID for tokens: it lets pass what looks like one.
func validToken(s string) bool {
	if len(s) < tokenCoding.EncodedLen(cipherOverhead+recordHeader) || len(s) > maxCookieSize {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// purpose has the tokens of one cookie or header be of no use in another.
func (e *clientEngine) purpose() string {
	return "session in the " + e.place.String()
}

// load opens a token. What does not open is no session, like an ID that nobody
// has given out; there is nothing to report, or else anybody could fill the log.
func (e *clientEngine) load(_ context.Context, token string) (snapshot, error) {
	if !validToken(token) {
		return snapshot{}, ErrNotFound
	}
	msg, err := tokenCoding.DecodeString(token)
	if err != nil {
		return snapshot{}, ErrNotFound
	}
	rec, err := e.cipher.open(e.purpose(), msg)
	if err != nil {
		return snapshot{}, ErrNotFound
	}
	// From here on it is a record of our own making.
	if len(rec) < recordHeader || rec[0] != recordVersion || len(rec) < recordHeader+int(rec[1]) {
		return snapshot{}, &decodeError{errors.New("a cookie of another version of this library")}
	}
	data := recordHeader + int(rec[1])
	v, err := e.codec.unmarshal(rec[data:])
	if err != nil {
		return snapshot{}, err
	}
	return snapshot{
		values: v,
		expiry: time.UnixMilli(int64(binary.BigEndian.Uint64(rec[2:]))),
		sealed: &sealed{id: string(rec[recordHeader:data]), token: token},
	}, nil
}

// seal makes the token of the version that the changes make of the old one.
func (e *clientEngine) seal(id string, old snapshot, ch *changes, expiry time.Time) (snapshot, error) {
	v := ch.apply(old.values)
	data, err := e.codec.marshal(v)
	if err != nil {
		return snapshot{}, err
	}
	rec := make([]byte, 0, recordHeader+len(id)+len(data))
	rec = append(rec, recordVersion, byte(len(id)))
	rec = binary.BigEndian.AppendUint64(rec, uint64(expiry.UnixMilli()))
	rec = append(append(rec, id...), data...)
	token := tokenCoding.EncodeToString(e.cipher.seal(e.purpose(), rec))
	if size := len(e.place.name) + len(token); size > maxCookieSize {
		return snapshot{}, e.tooLarge(size, v)
	}
	return snapshot{
		values: v,
		expiry: time.UnixMilli(expiry.UnixMilli()),
		sealed: &sealed{id: id, token: token},
	}, nil
}

// tooLarge tells what to take out.
func (e *clientEngine) tooLarge(size int, v *values) error {
	type part struct {
		name string
		size int
	}
	parts := make([]part, 0, len(v.pairs))
	for _, p := range v.pairs {
		b, _ := e.codec.marshal(newValues([]pair{p}))
		parts = append(parts, part{keyName(p.Key), len(b)})
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(b.size, a.size) })
	var largest []string
	for _, p := range parts[:min(3, len(parts))] {
		largest = append(largest, fmt.Sprintf("%s with %d bytes", p.name, p.size))
	}
	return fmt.Errorf("the cookie would have %d bytes in its name and value, and browsers keep %d at most: store less in the session, or take a store on the server (largest keys before encryption: %s)",
		size, maxCookieSize, strings.Join(largest, ", "))
}

func (e *clientEngine) create(_ context.Context, id string, ch *changes, expiry time.Time) (snapshot, error) {
	return e.seal(id, snapshot{}, ch, expiry)
}

func (e *clientEngine) replace(_ context.Context, id string, old snapshot, ch *changes, expiry time.Time) (snapshot, error) {
	return e.seal(id, old, ch, expiry)
}

func (e *clientEngine) move(_ context.Context, _, newID string, old snapshot, ch *changes, expiry time.Time) (snapshot, error) {
	return e.seal(newID, old, ch, expiry)
}

// touch, remove and sweep have nothing to work on: see store.slide, and tell,
// which takes the cookie away.
func (e *clientEngine) touch(context.Context, string, snapshot, time.Time) error { return nil }

func (e *clientEngine) remove(context.Context, string) error { return nil }

func (e *clientEngine) sweep(context.Context, time.Time, int) (int, error) { return 0, nil }

// Count is here for its error: Manager.Count's own would tell to add the method.
func (e *clientEngine) Count(context.Context, time.Time) (int, error) {
	return 0, fmt.Errorf("%w: clients keep the sessions, and nobody knows how many there are", errors.ErrUnsupported)
}

func (e *clientEngine) encode(old snapshot, ch *changes) ([]byte, error) {
	return e.codec.marshal(ch.apply(old.values))
}

var (
	errInClient   = errors.New("the sessions of this Store are kept by their clients, out of reach: only a request of the session itself can change or end it")
	errLateClient = errors.New("session: changed or ended after the response had started: the session is kept by the client, who could not be told, so it stays as it was: do it before writing")
)

// dropLate drops what can no longer be sent to the client that keeps the session.
// It needs mu.
func (s *liveSession) dropLate() bool {
	late := s.ended != "" || s.newID != "" || s.stored && !s.pending.empty() ||
		!s.stored && (s.asked || s.pending.makes())
	if !late {
		return false
	}
	s.ended, s.newID, s.pending, s.asked = "", "", changes{}, false
	s.edits++ // An Update under way has read what is dropped.
	return true
}

// value is what the client has to hold to come back to the session: its ID, or
// the whole of it. It needs mu.
func (s *liveSession) value() string {
	if s.base.sealed != nil {
		return s.base.sealed.token
	}
	return s.id
}
