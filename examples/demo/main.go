// Command demo is a small site that shows what sessions are for: signing in and
// out, a counter, messages across redirects, and coming back to the page that one
// wanted to see.
//
//	go run ./examples/demo
//
// serves it on http://localhost:2830, with the sessions in a SQLite file in the
// working folder. Its flags, listed by -help, choose another address or backend.
//
// Where to read on: backends.go opens the store, app.go puts the middleware and
// the routes together, auth.go signs in and out, pages.go has the other handlers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/flamego/session"
)

func main() {
	cfg, err := parseFlags(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// From the first signal on, another one ends the program at once.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run serves the site until the context ends. What it opens it closes in the
// opposite order: the server first, so that no request finds the store closed.
func run(ctx context.Context, cfg config) (err error) {
	initer, storeConfig := cfg.backend.open(cfg.dsn, cfg.lifetime)
	m, err := session.NewManager(session.Options{
		Initer: initer,
		Config: storeConfig,
		// Browsers send a cookie to all ports of a host. Under a name of its own it
		// stays apart from those of other programs on localhost. A site behind TLS
		// takes a name like __Host-demo, together with Secure: true.
		Cookie: session.CookieOptions{Name: "demo_session"},
	})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = errors.Join(err, m.Close(ctx))
	}()

	l, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return fmt.Errorf("%w: choose another address with -addr", err)
	}
	srv := &http.Server{
		Handler: newApp(m, cfg),
		// Without limits a client that sends a byte a minute keeps its connection.
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
	}
	fmt.Println("Sessions are kept in", cfg.place)
	fmt.Println("Serving on", siteURL(cfg.addr, l.Addr()), "(Ctrl-C ends it)")
	if err := serve(ctx, srv, l); err != nil {
		return err
	}
	fmt.Println("Stopped")
	return nil
}

// serve answers requests until the context ends, and lets those finish that are
// under way by then.
func serve(ctx context.Context, srv *http.Server, l net.Listener) error {
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return srv.Shutdown(ctx)
}

// siteURL is what to type into the browser. The port is asked of the listener,
// since port 0 means any that is free.
func siteURL(flag string, listening net.Addr) string {
	host, port, _ := net.SplitHostPort(listening.String())
	if name, _, err := net.SplitHostPort(flag); err == nil {
		host = name
	}
	if host == "" || net.ParseIP(host).IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
