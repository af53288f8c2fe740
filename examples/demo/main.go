// Command demo is a small site that shows what sessions are for: signing in, staying
// signed in, seeing and ending one's sessions, changing the password, an admin area with a
// session of its own, events as they happen, a counter, and messages across redirects.
//
//	go run ./examples/demo
//
// serves it on http://localhost:2830, with the sessions in a SQLite file in the
// working folder. Its flags, listed by -help, choose another address or backend.
//
// backends.go opens the store, options.go sets up the sessions, app.go the middleware and
// the routes. The handlers are in signin.go, sessions.go, password.go, admin.go, events.go
// and pages.go. accounts.go stands in for a table of users, view.go renders the pages.
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
	// After the first signal, a second one ends the program at once.
	context.AfterFunc(ctx, stop)
	if err := run(ctx, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run serves the site until the context ends. It closes what it opened in reverse order:
// the server first, so that no request finds the store closed.
func run(ctx context.Context, cfg config) (err error) {
	events := newEventLog()
	users, err := session.NewManager(userOptions(cfg, events))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeManager(users)) }()
	admins, err := session.NewManager(adminOptions(events))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeManager(admins)) }()

	l, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return fmt.Errorf("%w: choose another address with -addr", err)
	}
	srv := &http.Server{
		Handler: newApp(cfg, users, admins, newAccounts(pbkdf2Rounds), events),
		// Without limits, a client that sends a byte a minute would keep its connection.
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
	}
	srv.RegisterOnShutdown(events.close) // Shutdown waits for the streams of events.
	fmt.Println("Sessions are kept in", cfg.place)
	fmt.Println("Serving on", siteURL(cfg.addr, l.Addr()), "(Ctrl-C ends it)")
	if err := serve(ctx, srv, l); err != nil {
		return err
	}
	fmt.Println("Stopped")
	return nil
}

func closeManager(m *session.Manager) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return m.Close(ctx)
}

// serve serves requests until the context ends, then waits for those under way.
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

// siteURL is the URL for the browser. The port comes from the listener, since port 0 means
// any free one.
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
