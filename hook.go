package session

import (
	"net/http"

	"github.com/flamego/session/internal/hook"
)

// What the helpers for handler tests ask a Manager, so that they find a session
// exactly where the middleware would.
func init() {
	hook.ReadID = func(manager any, r *http.Request) string {
		m := manager.(*Manager)
		for _, c := range m.carriers {
			for _, value := range c.read(r, nil) {
				if m.store.names(value, m.leastID) {
					return value
				}
			}
		}
		return ""
	}
	hook.WriteID = func(manager any, w http.ResponseWriter, r *http.Request, value string) {
		for _, c := range manager.(*Manager).carriers {
			if asQuery(c) == nil { // The client does nothing with what that tells.
				c.write(w, r, value, 0)
				return
			}
		}
	}
	hook.Cookie = func(manager any) *http.Cookie {
		return manager.(*Manager).opt.Cookie.cookie("", false)
	}
	hook.Headers = func(manager any) []string {
		var names []string
		for _, c := range manager.(*Manager).carriers {
			if f, ok := c.(*funcCarrier); ok {
				c = f.carrier
			}
			if h, ok := c.(*headerCarrier); ok {
				names = append(names, h.name)
			}
		}
		return names
	}
}
