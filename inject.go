package session

import (
	"reflect"

	"github.com/flamego/flamego"
	"github.com/flamego/flamego/inject"
)

var (
	managerType = reflect.TypeFor[*Manager]()
	sessionType = inject.InterfaceOf((*Session)(nil))
	storeType   = inject.InterfaceOf((*Store)(nil))
	flashType   = inject.InterfaceOf((*Flash)(nil))
	requestType = reflect.TypeFor[*request]() // the latest one, for other Managers
)

// names are the types under which a middleware injects its services.
type names struct {
	session, flash reflect.Type
	noFlash        reflect.Value
	extra          bool // beside the one that injects Session, Store, Flash and *Manager
}

var plainNames = names{session: sessionType, flash: flashType, noFlash: reflect.Zero(flashType)}

// inject gives handlers what they may ask for.
func (m *Manager) inject(c flamego.Context, q *request, as names, flash any) {
	c.Set(as.session, reflect.ValueOf(&q.live))
	if flash != nil {
		c.Set(as.flash, reflect.ValueOf(flash))
	} else {
		// Not MapTo: a nil in the map makes the injector look for anything that
		// implements the empty interface, and hand over some other service.
		c.Set(as.flash, as.noFlash)
	}
	c.Set(requestType, reflect.ValueOf(q))
	if as.extra {
		return
	}
	c.Set(managerType, reflect.ValueOf(m))
	m.injectStore(c, q)
}

// injectStore injects the Store that knows this request, or a Store that is not
// ours as it is, since handlers may ask for it by its own type.
func (m *Manager) injectStore(c flamego.Context, q *request) {
	if m.outer == Store(m.store) {
		c.Set(storeType, reflect.ValueOf(&q.bound))
		return
	}
	c.Set(storeType, reflect.ValueOf(m.outer))
	c.Map(m.outer)
}
