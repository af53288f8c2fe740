package session

import (
	"errors"
	"reflect"
	"slices"
	"sync"
	"unsafe"

	"github.com/flamego/session/driver"
)

// running holds the Managers of this process that are not closed.
var running struct {
	mu       sync.Mutex
	managers []*Manager
}

// register compares a new Manager with the running ones. If two share a store, an ID of one must
// not be valid for the other: the place in each record tells them apart. Two ReadIDFuncs need
// places with different names. An application's own Store stores the place only when two
// Managers use it.
func (m *Manager) register() error {
	running.mu.Lock()
	defer running.mu.Unlock()
	for _, o := range running.managers {
		switch {
		case m.rivals(o):
			m.setup.rivals.Store(true)
			o.setup.rivals.Store(true)
		case !m.sharesStoreWith(o):
		case m.at != o.at:
			m.placed.Store(true)
			o.placed.Store(true)
		case m.opt.ReadIDFunc != nil && !isSameClosure(m.opt.ReadIDFunc, o.opt.ReadIDFunc):
			return errors.New("ReadIDFunc: another Manager has the same store and the same Cookie.Name, which names the place that a ReadIDFunc reads, so an ID of one would be valid for the other: set another Cookie.Name for one of them")
		}
	}
	running.managers = append(running.managers, m)
	return nil
}

// unregister removes a Manager, and reports whether no other uses the Store.
func (m *Manager) unregister() (last bool) {
	running.mu.Lock()
	defer running.mu.Unlock()
	running.managers = slices.DeleteFunc(running.managers, func(o *Manager) bool { return o == m })
	return !slices.ContainsFunc(running.managers, m.hasSameStore)
}

func (m *Manager) hasSameStore(o *Manager) bool {
	return isSameValue(m.core.Engine, o.core.Engine) || isSameValue(m.outer, o.outer) || isSameValue(m.backend(), o.backend())
}

// sharesStoreWith reports whether two Managers have the same store, as far as this process
// can see: the same Store or Backend, or equal names of a database, a table or a folder in
// their Configs.
func (m *Manager) sharesStoreWith(o *Manager) bool {
	if m.hasSameStore(o) {
		return true
	}
	a, b := reflect.Indirect(reflect.ValueOf(m.opt.Config)), reflect.Indirect(reflect.ValueOf(o.opt.Config))
	if m.core.Traits.Local && !m.core.Traits.Client || a.Kind() != reflect.Struct || b.Kind() != reflect.Struct || a.Type() != b.Type() {
		return false
	}
	for i := range a.NumField() {
		switch a.Field(i).Kind() {
		case reflect.String, reflect.Pointer, reflect.Interface, reflect.Slice:
			if a.Type().Field(i).IsExported() && !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
				return false
			}
		}
	}
	return a.NumField() > 0
}

// backend returns the Backend of the Store, or nil.
func (m *Manager) backend() driver.Backend {
	if e, ok := m.core.Engine.(interface{ Backend() driver.Backend }); ok {
		return e.Backend()
	}
	return nil
}

func isSameValue(a, b any) bool {
	return a != nil && b != nil && reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// isSameClosure reports whether two functions are the same and capture the same variables.
func isSameClosure[F any](a, b F) bool {
	return *(*unsafe.Pointer)(unsafe.Pointer(&a)) == *(*unsafe.Pointer)(unsafe.Pointer(&b))
}
