// Command ferretdb speaks MongoDB's wire protocol in front of a PostgreSQL with
// the DocumentDB extension. It is a module of its own, because what it needs must
// not become a requirement of the session module.
package main

import (
	"context"
	"flag"
	"log"
	"log/slog"
	"os"
	"os/signal"

	"github.com/FerretDB/FerretDB/v2/ferretdb"
)

func main() {
	var (
		postgres = flag.String("postgres", "", "URL of the PostgreSQL")
		listen   = flag.String("listen", "127.0.0.1:27017", "address to listen on")
		state    = flag.String("state", "", "folder for what it remembers")
	)
	flag.Parse()
	telemetry := false // A test tells nobody.
	f, err := ferretdb.New(&ferretdb.Config{
		PostgreSQLURL: *postgres,
		ListenAddr:    *listen,
		StateDir:      *state,
		LogLevel:      slog.LevelWarn,
		LogOutput:     os.Stderr,
		Telemetry:     &telemetry,
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	f.Run(ctx)
}
