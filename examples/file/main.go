// Command file keeps sessions in files, in a folder of its own.
package main

import (
	"strconv"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

func main() {
	f := flamego.Classic()
	f.Use(session.Sessioner(
		session.Options{
			Initer: session.FileIniter(),
			Config: session.FileConfig{
				RootDir: "file-sessions", // Not in a temporary folder, where others could make it first.
			},
		},
	))
	f.Get("/set", func(s session.Session) string {
		s.Set("userID", 123)
		return "Succeed"
	})
	f.Get("/get", func(s session.Session) string {
		userID, ok := s.Get("userID").(int)
		if !ok || userID <= 0 {
			return "Not authenticated"
		}
		return "Authenticated as " + strconv.Itoa(userID)
	})
	f.Get("/clear", func(s session.Session) string {
		s.Delete("userID")
		return "Cleared"
	})
	f.Run()
}
