package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/txn"
)

// ErrTooMany says that an owner already has as many sessions as Options.MaxPerOwner
// allows, and Options.RefuseOverMax is set.
var ErrTooMany = txn.ErrTooMany

// SetOwner says whose session this is, usually a user's ID, so that Manager.Sessions
// finds it and Manager.End and Manager.EndAll end it. Call it at sign-in. A new owner's
// session gets a new ID, as by RegenerateID (OWASP ASVS 5.0 7.2.4), and its absolute timeout
// starts again, if it has one: see Options.AbsoluteLifetime. The same owner
// again changes nothing; if another request signs out meanwhile, what this one sets is
// dropped, as after an end. "" makes it nobody's, and so does Flush.
//
// The sign-in begins with this call: if the owner's sessions are all ended after it, and
// before the session is stored, it is not stored. Commit then returns ErrEnded; without a
// Commit, the response stands as the handler wrote it. What was checked earlier, such as a
// password, may have changed by then: docs/owners.md says what to do.
//
// A new owner costs one Load of the owner's list, which is a record in the same store, and
// waits for it no longer than Options.StoreTimeout. Storing the sign-in, and changing the ID,
// write the list. Other requests cost nothing more, except for a Load of the list when they
// slide the expiry, and about one write a week that keeps it.
//
// A new owner is an error if the client cannot be told the new ID: once the response has
// started, or in Manager.Edit. Any call is an error if the Store cannot list sessions: one
// whose sessions their clients keep, or one of your own that is not made by NewStore. It
// may be called concurrently.
func SetOwner(s Session, owner string) error {
	l, ok := s.(*live)
	if !ok {
		return fmt.Errorf("session: set owner: a %T is not a session of this library: %w", s, errors.ErrUnsupported)
	}
	l.use()
	if err := canOwn(l.store.core); err != nil {
		return fmt.Errorf("session: set owner: %w", err)
	}
	if !utf8.ValidString(owner) {
		return errors.New("session: set owner: the name is not UTF-8: encode it, or use the user's ID")
	}
	newID, moves := "", owner != "" && owner != Owner(s)
	switch {
	case l.req != nil && !l.req.x.begun.Load():
		newID = l.req.NewID()
	case moves && l.req != nil:
		return fmt.Errorf("session: set owner: %w", errRotateLate)
	case moves && l.txn.State().Token != "":
		return errors.New("session: set owner: the session gets a new ID, of which only a request of its own can tell the client: call it in a handler")
	}
	var began *txn.Version
	if moves {
		var err error
		if began, err = l.listAtSignIn(owner); err != nil {
			return fmt.Errorf("session: set owner: %w", err)
		}
	}
	return l.txn.SetOwner(owner, txn.Handle(txn.NewID(defaultIDLength)), newID, began)
}

// listAtSignIn is the owner's list, as the sign-in begins.
func (l *live) listAtSignIn(owner string) (*txn.Version, error) {
	ctx, cancel := l.store.within(context.Background(), l.store.timeout)
	if l.req != nil {
		cancel()
		ctx, cancel = l.req.beyond()
	}
	defer cancel()
	return l.store.core.ListAtSignIn(ctx, l.host().Place(), owner)
}

// ownerOf calls Options.OwnerOf.
func (m *Manager) ownerOf(v *txn.Version) (owner string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("Options.OwnerOf: panic: %v", p)
		}
	}()
	l := &live{store: m.store, outside: true}
	l.txn.New(m.core, m.store)
	l.txn.Begin(v)
	if owner = m.opt.OwnerOf(l); !utf8.ValidString(owner) {
		return "", errors.New("Options.OwnerOf: the name is not UTF-8: encode it, or use the user's ID")
	}
	return owner, nil
}

// Owner returns whose session it is, or "". It may be called concurrently.
func Owner(s Session) string {
	owner, _ := ownerOf(s)
	return owner
}

// Handle returns the name of an owned session among its owner's sessions, or "". It
// stays the same for the session's whole life, and nobody can sign in with it, so a
// page may show it. It may be called concurrently.
func Handle(s Session) string {
	_, handle := ownerOf(s)
	return string(handle)
}

func ownerOf(s Session) (owner string, handle txn.Handle) {
	l, ok := s.(*live)
	if !ok {
		return "", ""
	}
	l.use()
	return l.txn.Owner()
}

// SetLabel says by what name the owner knows the session, such as "Firefox on Linux".
// It stays when the ID changes; "" takes it back. A visitor without a session gets none
// by it. It may be called concurrently. On a Session from outside this library it is a
// Set.
func SetLabel(s Session, label string) {
	label = strings.ToValidUTF8(label, "\uFFFD") // A User-Agent may be anything.
	l, ok := s.(*live)
	switch {
	case !ok:
		s.Set(txn.LabelKey, label)
	case label == "":
		l.use()
		l.txn.DeleteOwn(txn.LabelKey)
	default:
		l.use()
		l.txn.SetOwn(txn.LabelKey, label)
	}
}

// Info is one of an owner's live sessions. Its fields may be shown in a page.
type Info struct {
	// Handle names the session for Manager.End. It is not the ID.
	Handle string
	// Label is what SetLabel was given. It may come from the client: escape it, as
	// html/template does.
	Label string
	// Created is when the owner signed in.
	Created time.Time
	// LastSeen is the last access, less a twentieth of the idle timeout at most.
	// It stops at one idle timeout before the AbsoluteLifetime ends.
	LastSeen time.Time
	// Expires is when the session ends if it is not used any more.
	Expires time.Time

	at *txn.Version
}

// Data returns a copy of what the application has put into the session, the flash included, as
// it was when Sessions returned: for an export of what is stored of a person (GDPR, articles 15
// and 20). Unlike the rest of Info, it may hold what nobody is to see, such as a token. The
// error names the keys whose values cannot be decoded; the others are there all the same. It
// may be called concurrently. With the memory store, the values are those of the session
// itself: do not change what they point to.
func (i Info) Data() (Data, error) {
	data := Data{}
	if i.at == nil {
		return data, nil
	}
	errs := i.at.Contents(func(key, val any) {
		if list, ok := val.(txn.Flashes); ok {
			val = []any(list)
		}
		data[key] = val
	})
	if errs != nil {
		return data, fmt.Errorf("session: data: %w", errs)
	}
	return data, nil
}

// Is reports whether it is this session.
func (i Info) Is(s Session) bool { return i.Handle != "" && i.Handle == Handle(s) }

// Sessions returns the owner's live sessions, in the order of the sign-ins. It costs
// one round trip for the list, and one for the sessions on it if the backend is a
// ManyLoader, as those of this library are; otherwise one for each session. It reads the
// list once more if a session on it is not there. The error is the store's, or says that
// this Store cannot list sessions. It may be called concurrently.
func (m *Manager) Sessions(ctx context.Context, owner string) ([]Info, error) {
	if err := canOwn(m.core); err != nil {
		return nil, fmt.Errorf("session: sessions: %w", err)
	}
	ctx, cancel := m.deadline(ctx)
	defer cancel()
	owned, err := m.core.Sessions(ctx, m.store.Place(), owner)
	if err != nil {
		return nil, fmt.Errorf("session: sessions: %w", err)
	}
	list := make([]Info, len(owned))
	for i, o := range owned {
		list[i] = Info{
			Handle:   string(o.Handle),
			Label:    o.At.Label(),
			Created:  o.Since,
			LastSeen: m.core.LastSeen(&o),
			Expires:  o.At.Record.Expiry,
			at:       o.At,
		}
	}
	return list, nil
}

// End ends one of the owner's sessions, by its Handle, on every server: its next
// request is that of a new visitor, and what its requests under way set is dropped. A
// handle that is not on the owner's list is ErrNotFound, so a handle from a form needs
// no further check. It may be called concurrently.
func (m *Manager) End(ctx context.Context, owner, handle string) error {
	ctx, cancel := m.deadline(ctx)
	defer cancel()
	listed, err := false, canOwn(m.core)
	if err == nil {
		listed, err = m.core.EndOne(ctx, m.store.Place(), owner, txn.Handle(handle))
	}
	if err == nil && !listed {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("session: end: %w", err)
	}
	return nil
}

// EndAll ends all sessions of the owner but those with the given handles, on every
// server: for "sign out everywhere else", and after a change of password (OWASP ASVS
// 5.0 7.4.3). A sign-in that has begun, by SetOwner, is ended as well, unless it has one of
// the handles; only one that begins afterwards stands. After an error some may have ended; try again: each try gets
// further. It may be called concurrently.
func (m *Manager) EndAll(ctx context.Context, owner string, except ...string) error {
	ctx, cancel := m.deadline(ctx)
	defer cancel()
	err := canOwn(m.core)
	if err == nil {
		stay := make([]txn.Handle, len(except))
		for i, h := range except {
			stay[i] = txn.Handle(h)
		}
		err = m.core.EndAll(ctx, m.store.Place(), owner, stay)
	}
	if err != nil {
		return fmt.Errorf("session: end all: %w", err)
	}
	return nil
}

// EndEverybody ends all sessions of this Manager, with and without an owner, on every server:
// after a leak, say. Sessions that other Managers have in the same store stay; what nobody can
// decode is ended. It reads every record, and deletes sessions one by one, some thousand in a
// second: a million take minutes to an hour.
//
// What was stored when it was called has ended when it returns nil. What is stored meanwhile
// may stand: a new visitor's session, or one without an owner that gets a new ID twice. After
// an error some may have ended; try again.
//
// Options.StoreTimeout bounds the work on fifty sessions, and the context all of it. If the
// backend is no Lister, as with a Store of your own, the error is errors.ErrUnsupported; with
// package cookie there is an error, too. It may be called concurrently.
func (m *Manager) EndEverybody(ctx context.Context) error {
	err := canOwn(m.core)
	if err == nil {
		err = m.core.EndEverybody(ctx, m.store.Place(), m.deadline)
	}
	if err != nil {
		return fmt.Errorf("session: end everybody: %w", err)
	}
	return nil
}

var errEditCreates = errors.New("session: edit: what was set after Destroy is not stored: Edit creates no session")

// Edit changes a session from outside of its requests, such as to put a new role into
// it, or to end it. fn gets the session as it is stored; what it changes is stored when
// it returns, rebased on what requests have stored meanwhile. It may use every function
// of this package, such as Update and AddFlash.
//
// The visitor is not thought to have been there: the session does not live any longer,
// unless fn changes that with SetLifetime or Remember, which then count from now. The
// flash is left alone. Edit never creates a session: fn may call Destroy, but what it
// sets after that is an error. RegenerateID is an error, since no client could be told.
//
// ErrNotFound means that there is no such session, or none with an ID like this, or that
// it is for another cookie or header. ErrEnded means that it ended, or moved to a new
// ID, while Edit worked: nothing was stored. An error of fn is returned wrapped, and
// nothing is stored. Any other error means that the store may or may not have done it.
//
// The context bounds the wait for the store, and so does Options.StoreTimeout, once to
// load the session and once to store it. Edit may be called concurrently, also in a
// request of the same session.
//
// With package cookie, Edit is an error: the clients keep their sessions. With a Store
// of your own, requests and Edits merge within one process, an end between the Store's
// Exist and Save is not noticed, and Save itself decides whether the expiry slides.
func (m *Manager) Edit(ctx context.Context, id string, fn func(Session) error) error {
	if m.core.Traits.Client {
		return fmt.Errorf("session: edit: %w", errInClient)
	}
	v, err := m.findForEdit(ctx, id)
	if err != nil {
		return fmt.Errorf("session: edit: %w", err)
	}
	l := &live{store: m.store, outside: true}
	l.txn.New(m.core, m.store)
	l.txn.Begin(v)
	l.txn.Still()
	l.txn.Abandon() // As after a response: nobody can be told anything.
	if err := fn(l); err != nil {
		return fmt.Errorf("session: edit: %w", err)
	}
	if !l.txn.Changed() {
		return nil
	}
	if err := ctx.Err(); err != nil { // A store that never waits does not look.
		return fmt.Errorf("session: edit: %w", err)
	}
	ctx, cancel := m.deadline(ctx)
	defer cancel()
	switch err := l.txn.Commit(ctx); {
	case errors.Is(err, txn.ErrLate):
		return errEditCreates
	case err != nil:
		return fmt.Errorf("session: edit: %w", err)
	}
	return nil
}

func (m *Manager) findForEdit(ctx context.Context, id string) (*txn.Version, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !m.core.Engine.Valid(id, driver.MinIDLength) {
		return nil, ErrNotFound
	}
	ctx, cancel := m.deadline(ctx)
	defer cancel()
	v, err := m.core.Find(ctx, id)
	if err == nil && v.Place() != "" && v.Place() != m.at {
		err = ErrNotFound
	}
	return v, err
}
