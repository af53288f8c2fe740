// Command flash leaves a message for the visitor's next page. It is delivered at most once,
// and what the browser requests by itself, such as an icon, leaves it alone.
package main

import (
	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

func main() {
	f := flamego.Classic()
	f.Use(session.Sessioner(session.Options{TakesFlash: session.Navigation}))
	f.Get("/set", func(s session.Session) string {
		s.SetFlash("Your changes are saved")
		return "Succeed"
	})
	f.Get("/get", func(f session.Flash) string {
		s, ok := f.(string)
		if !ok || s == "" {
			return "No flash message"
		}
		return s
	})
	f.Run()
}
