package session

import (
	"reflect"

	"github.com/flamego/flamego"
)

// injection holds the types under which a middleware injects its services.
type injection struct {
	session, flash reflect.Type
	noFlash        reflect.Value
	extra          bool // of SessionerAs: Store and *Manager are not injected
}

var (
	managerType = reflect.TypeFor[*Manager]()
	storeType   = reflect.TypeFor[Store]()
	contextType = reflect.TypeFor[flamego.Context]()
	ordinary    = newInjection(reflect.TypeFor[Session](), reflect.TypeFor[Flash](), false)
)

func newInjection(session, flash reflect.Type, extra bool) *injection {
	return &injection{session: session, flash: flash, noFlash: reflect.Zero(flash), extra: extra}
}

// inject gives handlers what they may take as parameters.
func (q *request) inject(flash any) {
	c := q.c
	// Values of the interface types themselves: for any other type, a call by reflection
	// checks all methods of the interface, which takes as long as the rest of the call. The
	// same applies to the Context, which most handlers also take.
	c.Set(q.as.session, reflect.ValueOf(&q.session).Elem())
	c.Set(contextType, reflect.ValueOf(&q.c).Elem())
	if flash != nil {
		c.Set(q.as.flash, reflect.ValueOf(flash))
	} else {
		// Not MapTo: for a nil in the map, the injector looks for anything that implements
		// the empty interface, and passes some other service.
		c.Set(q.as.flash, q.as.noFlash)
	}
	if q.as.extra {
		return
	}
	c.Set(managerType, reflect.ValueOf(q.m))
	if q.m.outer == Store(q.m.store) {
		c.Set(storeType, reflect.ValueOf(&q.store).Elem())
		return
	}
	// A Store of the application's own is injected as it is: handlers may take its own type.
	c.Set(storeType, reflect.ValueOf(q.m.outer))
	c.Map(q.m.outer)
}
