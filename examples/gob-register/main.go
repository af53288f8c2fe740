// Command gob-register keeps a value of a type of its own. Stores other than the
// memory encode values with gob, which has to be told of such types once; leave
// gob.Register out, and /set answers 500 and logs what is missing.
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
