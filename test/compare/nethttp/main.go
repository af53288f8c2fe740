// Command nethttp serves the routes of the comparison on net/http: with scs, with
// gorilla/sessions, by hand, or bare. The backends are named peer/backend, such as scs/redis.
package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/flamego/session/test/compare/contract"
)

func main() { os.Exit(contract.Main(open)) }

func open(cfg contract.Config) (http.Handler, func() error, error) {
	peer, backend, _ := strings.Cut(cfg.Backend, "/")
	switch peer {
	case "none":
		return bare(), func() error { return nil }, nil
	case "scs":
		return openSCS(backend, cfg.DSN)
	case "gorilla":
		return openGorilla(backend, cfg.DSN)
	case "hand":
		return openHand(backend, cfg.DSN)
	}
	return nil, nil, fmt.Errorf("no peer %q", peer)
}

// bare has the same routes, of a program that knows no sessions.
func bare() http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/untouched", "/read", "/write", "/new", "/fat", "/cart"} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { answer(w, "1") })
	}
	return mux
}

func answer(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text))
}
