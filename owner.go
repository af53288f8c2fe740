package session

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/owners"
	"github.com/flamego/session/internal/sessionid"
	"github.com/flamego/session/internal/txn"
)

// ErrTooMany means that an owner has Options.MaxPerOwner sessions already, and
// Options.RefuseOverMax is set.
var ErrTooMany = txn.ErrTooMany

// SetOwner sets the session's owner, usually a user's ID, so that Manager.Sessions lists the
// session and Manager.End and Manager.EndAll can end it. Call it at sign-in. If the owner is
// new, the session gets a new ID, as by RegenerateID (OWASP ASVS 5.0 7.2.4), and its absolute
// timeout, if it has one, starts again: see Options.AbsoluteLifetime. Setting the same owner again changes nothing, except that if another request signs out meanwhile, this
// request's changes are dropped, as after an end. "" removes the owner, and so does Flush.
//
// The sign-in begins with this call: if all of the owner's sessions are ended after it and
// before the session is stored, the session is not stored. Commit then returns ErrEnded;
// without a Commit, the response stays as the handler wrote it. Anything checked earlier, such
// as a password, may have changed by then: docs/owners.md says what to do.
//
// A new owner costs one Load of the owner's list, which is a record in the same store, and
// waits for it no longer than Options.StoreTimeout. Storing the sign-in writes the list, and
// so does changing the ID. Other requests cost nothing extra, except for a Load of the list
// when they slide the expiry, and about one write a week to keep the list alive.
//
// It returns an error if the owner is new and the client cannot be told the new ID: once the
// response has started, or in Manager.Edit. It always returns an error if the Store cannot
// list sessions: one whose sessions are kept by their clients, or one of your own that is not
// made by NewStore. It may be called concurrently.
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
		return errors.New("session: set owner: the session gets a new ID, and only its own request can tell the client: call it in a handler")
	}
	var began *owners.Note
	if moves {
		var err error
		if began, err = l.listAtSignIn(owner); err != nil {
			return fmt.Errorf("session: set owner: %w", err)
		}
	}
	return l.txn.SetOwner(owner, owners.Handle(sessionid.New(defaultIDLength)), newID, began)
}

// listAtSignIn returns the owner's list as it is when the sign-in begins.
func (l *live) listAtSignIn(owner string) (*owners.Note, error) {
	ctx, cancel := l.store.deadline(context.Background())
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

// Owner returns the session's owner, or "". It may be called concurrently.
func Owner(s Session) string {
	owner, _ := ownerOf(s)
	return owner
}

// Handle returns the name by which Manager.End knows an owned session, or "" if it has no
// owner. It stays the same for the session's whole life, and nobody can sign in with it, so a
// page may show it. It may be called concurrently.
func Handle(s Session) string {
	_, handle := ownerOf(s)
	return string(handle)
}

func ownerOf(s Session) (owner string, handle owners.Handle) {
	l, ok := s.(*live)
	if !ok {
		return "", ""
	}
	l.use()
	return l.txn.Owner()
}

// SetLabel sets the name by which the owner recognizes the session, such as "Firefox on
// Linux". It survives a change of ID; "" removes it. It does not create a session for a
// visitor who has none. It may be called concurrently. On another implementation of Session it
// only calls Set.
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

// Info describes one of an owner's live sessions. A page may show its fields.
type Info struct {
	// Handle identifies the session for Manager.End. It is not the ID.
	Handle string
	// Label is what was passed to SetLabel. It may come from the client: escape it, as
	// html/template does.
	Label string
	// Created is when the owner signed in.
	Created time.Time
	// LastSeen is the time of the last access. It may lag by up to a twentieth of the idle
	// timeout, and stops at one idle timeout before the absolute timeout.
	LastSeen time.Time
	// Expires is when the session ends if it is not used again.
	Expires time.Time

	at *txn.Version
}

// Data returns a copy of what the application has stored in the session, including the flash,
// as of the call of Sessions: for an export of personal data (GDPR, articles 15 and 20).
// Unlike the fields of Info, it may contain secrets, such as tokens. The error names the keys
// whose values cannot be decoded; all others are returned with it. It may be called
// concurrently. With the memory store the values are shared with the session itself: do not
// change what they point to.
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

// Is reports whether i describes s.
func (i Info) Is(s Session) bool { return i.Handle != "" && i.Handle == Handle(s) }

// owning calls do, if this Store can list sessions.
func (m *Manager) owning(ctx context.Context, op string, do func(ctx context.Context) error) error {
	err := canOwn(m.core)
	if err == nil {
		ctx, cancel := m.store.deadline(ctx)
		defer cancel()
		err = do(ctx)
	}
	if err != nil {
		return fmt.Errorf("session: %s: %w", op, err)
	}
	return nil
}

// Sessions returns the owner's live sessions, oldest sign-in first. It costs one round trip
// for the list, and one more for the sessions if the backend is a ManyLoader, as all backends
// of this library are; otherwise one for each session. If a session on the list is missing, it
// reads the list once more. The error is the store's, or says that this Store cannot list
// sessions. It may be called concurrently.
func (m *Manager) Sessions(ctx context.Context, owner string) ([]Info, error) {
	var owned []txn.Owned
	err := m.owning(ctx, "sessions", func(ctx context.Context) (err error) {
		owned, err = m.core.Sessions(ctx, m.store.Place(), owner)
		return err
	})
	if err != nil {
		return nil, err
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

// End ends one of the owner's sessions, given its Handle, on every server: its next request
// belongs to a new visitor, and changes of requests in progress are dropped. It returns
// ErrNotFound if the handle is not on this owner's list, so a handle from a form needs no
// further check. It may be called concurrently.
func (m *Manager) End(ctx context.Context, owner, handle string) error {
	return m.owning(ctx, "end", func(ctx context.Context) error {
		listed, err := m.core.EndOne(ctx, m.store.Place(), owner, owners.Handle(handle))
		if err == nil && !listed {
			err = ErrNotFound
		}
		return err
	})
}

// EndAll ends all of the owner's sessions except those with the given handles, on every
// server: for "sign out everywhere else", and after a change of password (OWASP ASVS 5.0
// 7.4.3). It also ends sign-ins that have begun, with SetOwner, but are not stored yet, unless
// they have one of the handles; only a sign-in that begins later succeeds. After an error some
// sessions may have ended; call it again, since every call makes progress. It may be called
// concurrently.
func (m *Manager) EndAll(ctx context.Context, owner string, except ...string) error {
	return m.owning(ctx, "end all", func(ctx context.Context) error {
		stay := make([]owners.Handle, len(except))
		for i, h := range except {
			stay[i] = owners.Handle(h)
		}
		return m.core.EndAll(ctx, m.store.Place(), owner, stay)
	})
}

// EndEverybody ends all sessions of this Manager, with and without an owner, on every server:
// after a leak, say. Sessions of other Managers in the same store stay; records that cannot be
// decoded are deleted. It reads every record and deletes sessions one by one, some thousand a
// second: a million take minutes to an hour.
//
// When it returns nil, every session that was stored when it was called has ended. Sessions
// stored during the call may survive: a new visitor's, or one without an owner that gets a new
// ID twice. After an error some sessions may have ended; call it again.
//
// Options.StoreTimeout limits the work on each fifty sessions, and the context all of it. The
// error is errors.ErrUnsupported if the backend is not a Lister, or the Store is one of your
// own. It also returns an error with package cookie. It may be called concurrently.
func (m *Manager) EndEverybody(ctx context.Context) error {
	err := canOwn(m.core)
	if err == nil {
		err = m.core.EndEverybody(ctx, m.store.Place(), m.store.deadline)
	}
	if err != nil {
		return fmt.Errorf("session: end everybody: %w", err)
	}
	return nil
}

var errEditCreates = errors.New("session: edit: what was set after Destroy is not stored: Edit creates no session")

// Edit changes a session outside of its own requests, for example to grant a role or to end
// the session. It calls fn with the session as stored. When fn returns, its changes are
// rebased on what requests have stored meanwhile, and committed. fn may use every function of
// this package, such as Update and AddFlash.
//
// Edit does not count as activity: it does not extend the session, unless fn calls SetLifetime
// or Remember, which then count from now. It does not consume the flash. Edit never creates a
// session: fn may call Destroy, but setting something after that is an error. RegenerateID is
// an error, since there is no client to tell.
//
// ErrNotFound: no live session has this ID, the ID is malformed, or the session belongs to
// another cookie or header. ErrEnded: the session ended, or moved to a new ID, during the
// call; nothing was stored. An error of fn is returned wrapped, and nothing is stored. After
// any other error the change may or may not have been stored.
//
// The wait for the store is limited by the context and by Options.StoreTimeout: once to load
// the session, once to store it. Edit may be called concurrently, even in a request of the
// same session.
//
// With package cookie Edit returns an error, because clients keep their sessions. With a Store
// of your own, concurrent requests and Edits merge within one process only, an end between the
// Store's Exist and Save is not noticed, and Save decides whether the expiry slides.
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
	ctx, cancel := m.store.deadline(ctx)
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
	ctx, cancel := m.store.deadline(ctx)
	defer cancel()
	v, err := m.core.Find(ctx, id)
	if err == nil && v.Place() != "" && v.Place() != m.at {
		err = ErrNotFound
	}
	return v, err
}
