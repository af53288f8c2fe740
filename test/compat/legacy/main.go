// Command legacy serves the application, in a process of its own. Its argument is
// an app.Config as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/flamego/session"
	"github.com/flamego/session/test/compat/legacy/app"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "legacy:", err)
		os.Exit(1)
	}
}

// run serves until the standard input ends, as it does when the test is gone.
func run() error {
	var cfg app.Config
	if len(os.Args) != 2 {
		return fmt.Errorf("%d arguments: give an app.Config as JSON", len(os.Args)-1)
	}
	if err := json.Unmarshal([]byte(os.Args[1]), &cfg); err != nil {
		return err
	}
	if !cfg.Bare {
		app.Register()
	}
	app.Legacy = true
	handler := app.New(session.Sessioner(app.Options(cfg)))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = srv.Close()
	}()
	fmt.Printf("listening http://%s\n", l.Addr())
	if err := srv.Serve(l); err != http.ErrServerClosed {
		return err
	}
	return nil
}
