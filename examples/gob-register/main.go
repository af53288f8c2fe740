// Command gob-register stores a value of its own type. Stores other than memory encode
// values with gob, with which such types must be registered once. Without gob.Register,
// /set returns 500 and logs what is missing.
package main

import (
	"encoding/gob"
	"strconv"
	"strings"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
	"github.com/flamego/session/sqlite"
)

// Cart is stored by the names of its fields: new ones may be added later.
type Cart struct {
	Items []string
	Cents int
}

func init() {
	gob.Register(Cart{})
}

func main() {
	f := flamego.Classic()
	f.Use(session.Sessioner(
		session.Options{
			Initer: sqlite.Initer(),
			Config: sqlite.Config{
				DSN:       "app.db",
				InitTable: true,
			},
		},
	))
	f.Get("/set", func(s session.Session) string {
		s.Set("cart", Cart{Items: []string{"tea", "sugar"}, Cents: 750})
		return "Succeed"
	})
	f.Get("/get", func(s session.Session) string {
		cart, ok := session.Get[Cart](s, "cart")
		if !ok {
			return "The cart is empty"
		}
		return strings.Join(cart.Items, " and ") + " for " + strconv.Itoa(cart.Cents) + " cents"
	})
	f.Get("/clear", func(s session.Session) string {
		s.Delete("cart")
		return "Cleared"
	})
	f.Run()
}
