// Command sqlite keeps sessions in a SQLite database, the file app.db in the
// working folder. The first start creates the file and the table.
//
// If the application uses the same file by another SQLite library, such as
// mattn/go-sqlite3, pass its *sql.DB as Config.DB instead of a DSN: two libraries in one
// process do not see each other's locks, and lose changes.
package main

import (
	"strconv"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
	"github.com/flamego/session/sqlite"
)

func main() {
	f := flamego.Classic()

	f.Use(session.Sessioner(
		session.Options{
			Initer: sqlite.Initer(),
			Config: sqlite.Config{
				DSN:       "app.db",
				Table:     "sessions",
				InitTable: true,
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
