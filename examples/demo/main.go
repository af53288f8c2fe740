// Command demo shows what sessions are for, on two servers that share a store: a page has both
// side by side, can kill one or start it as another version, sends both many clicks at once,
// and looks into the store. Each server is a small site: a counter, a basket, signing in and
// staying signed in, seeing and ending one's sessions, and messages across redirects.
//
//	go run ./examples/demo
//
// serves the page on http://localhost:2830, with the sessions in a SQLite file in the working
// folder. Its flags, listed by -help, choose another address or backend, or one server alone.
//
// stage.go is the page with both servers, servers.go starts and kills them, clicks.go clicks,
// look.go looks into the store, events.go tells what happens. backends.go opens the store,
// options.go sets up the sessions, app.go the middleware and the routes of a server. Its
// handlers are in pages.go, basket.go, signin.go and sessions.go. accounts.go stands in for a
// table of users, view.go renders the pages.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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
	run := runServer
	switch {
	case cfg.name == "":
		run = runStage
	case cfg.stage != "": // Ends with the program that has started it, whatever ends that.
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	if err := run(ctx, cfg); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// runServer serves the site until the context ends. It closes what it opened in reverse order:
// the HTTP server first, so that no request finds the store closed.
func runServer(ctx context.Context, cfg config) (err error) {
	cfg.release.register()
	users, err := session.NewManager(sessionOptions(cfg))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeManager(users)) }()
	l, err := listen(cfg.addr)
	if err != nil {
		return err
	}
	return serve(ctx, cfg, l, newApp(cfg, users, newAccounts(pbkdf2Rounds)))
}

func closeManager(m *session.Manager) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return m.Close(ctx)
}

func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%w: choose another address with -addr", err)
	}
	return l, nil
}

// serve serves requests until the context ends, then waits for those under way.
func serve(ctx context.Context, cfg config, l net.Listener, h http.Handler) error {
	srv := &http.Server{
		Handler: h,
		// Without limits, a client that sends a byte a minute would keep its connection.
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
	}
	fmt.Println("Sessions are kept in", cfg.place)
	fmt.Println(serving, siteURL(cfg.addr, l.Addr()), "(Ctrl-C ends it)")
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return err
	}
	fmt.Println("Stopped")
	return nil
}

// serving is how the line begins that says where the site is.
const serving = "Serving on"

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
