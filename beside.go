package session

import (
	"cmp"
	"fmt"
	"reflect"

	"github.com/flamego/flamego"
)

// SessionerAs returns the middleware for a second Manager on the same requests,
// say for administrators, which injects its session and flash under types of the
// application's own:
//
//	type AdminSession interface{ session.Session }
//	type AdminFlash interface{}
//
//	f.Use(m.Sessioner(), session.SessionerAs[AdminSession, AdminFlash](admin))
//	f.Get("/admin", func(s AdminSession, flash AdminFlash) { … })
//
// The Managers must have different Cookie.Names; if they have not, the request
// is answered 500, and ErrorFunc is told. Each commits for itself: if one cannot,
// the client gets 500, and what the other has stored stays, as does its cookie.
// Store and *Manager are not injected: use the Manager that you have.
//
// It panics if the types are not new interface types, S with the methods of
// Session and F without any.
func SessionerAs[S Session, F any](m *Manager) flamego.Handler {
	s, f := reflect.TypeFor[S](), reflect.TypeFor[F]()
	switch {
	case m == nil:
		panic("session: SessionerAs: the Manager is nil: make one with NewManager")
	case s.Kind() != reflect.Interface || !reflect.TypeFor[*liveSession]().Implements(s):
		panic(fmt.Sprintf("session: SessionerAs: %s can't hold a session: declare `type %s interface{ session.Session }`", s, s.Name()))
	case s == sessionType:
		panic("session: SessionerAs: session.Session is the type of the first Manager: declare a type of your own, `type AdminSession interface{ session.Session }`")
	case f.Kind() != reflect.Interface || f.NumMethod() != 0 || f.Name() == "":
		panic(fmt.Sprintf("session: SessionerAs: %s can't hold a flash: declare `type AdminFlash interface{}`", f))
	case f == flashType:
		panic("session: SessionerAs: session.Flash is the type of the first Manager: declare a type of your own, `type AdminFlash interface{}`")
	}
	as := names{session: s, flash: f, noFlash: reflect.Zero(f), extra: true}
	return flamego.ContextInvoker(func(c flamego.Context) { m.handle(c, as) })
}

// meet looks for Managers that were here before on the same request. It returns
// the request of one of them, and tells whether this Manager was, or why it cannot
// work beside another.
func (m *Manager) meet(c flamego.Context, as names) (peer *request, again bool, err error) {
	v := c.Value(requestType)
	if !v.IsValid() {
		return nil, false, nil
	}
	peer, _ = v.Interface().(*request)
	for q := peer; q != nil; {
		if again, err := m.beside(q, as); again || err != nil {
			return nil, again, err
		}
		if q = q.beside; q == peer {
			break
		}
	}
	return peer, false, nil
}

// join puts q into the ring of those who answer the same HTTP request.
func (q *request) join(peer *request) {
	if peer == nil {
		return
	}
	q.beside, peer.beside = cmp.Or(peer.beside, peer), q
}

func (m *Manager) beside(q *request, as names) (again bool, err error) {
	if q.m == m {
		if q.as != as.session {
			err = fmt.Errorf("session: one Manager injects both %s and %s: make a Manager for each", q.as, as.session)
		}
		return true, err
	}
	for _, c := range m.carriers {
		for _, o := range q.m.carriers {
			if way := c.way(); way != "" && way == o.way() {
				return false, fmt.Errorf("session: two Managers on one request use %s, and would end each other's sessions: set another Options.Cookie.Name or Options.Transport for one of them", way)
			}
		}
	}
	return false, nil
}
