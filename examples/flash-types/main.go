// Command flash-types has flashes of two types: a text on some routes, a struct on
// others. Each handler checks for the type that it knows.
package main

import (
	"fmt"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

func main() {
	f := flamego.Classic()
	f.Use(session.Sessioner(session.Options{TakesFlash: session.Navigation}))

	f.Get("/set-simple", func(s session.Session) string {
		s.SetFlash("Your changes are saved")
		return "Succeed"
	})
	f.Get("/get-simple", func(f session.Flash) string {
		s, ok := f.(string)
		if !ok || s == "" {
			return "No flash message"
		}
		return s
	})

	// Stores other than memory need gob.Register(Flash{}), see gob-register.
	type Flash struct {
		Success string
		Error   string
	}
	f.Get("/set-complex", func(s session.Session) string {
		s.SetFlash(Flash{
			Success: "The parcel is on its way",
		})
		return "Succeed"
	})
	f.Get("/get-complex", func(f session.Flash) string {
		s, ok := f.(Flash)
		if !ok {
			return "No flash message"
		}
		return fmt.Sprintf("%#v", s)
	})
	f.Run()
}
