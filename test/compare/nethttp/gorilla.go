package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"

	"github.com/gorilla/sessions"

	"github.com/flamego/session/test/compare/contract"
)

func openGorilla(backend, dsn string) (http.Handler, func() error, error) {
	key := []byte("32 bytes that sign the session ID")
	var store sessions.Store
	switch backend {
	case "file":
		if err := os.MkdirAll(dsn, 0o700); err != nil {
			return nil, nil, err
		}
		fs := sessions.NewFilesystemStore(dsn, key)
		fs.MaxLength(64 << 20)
		store = fs
	case "cookie":
		store = sessions.NewCookieStore(key)
	default:
		return nil, nil, fmt.Errorf("no backend %q for gorilla/sessions", backend)
	}

	// with is what every handler that uses the session begins and ends with.
	with := func(w http.ResponseWriter, r *http.Request, use func(values map[any]any) (text string, save bool)) {
		s, err := store.Get(r, "session")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		text, save := use(s.Values)
		if save {
			if err := s.Save(r, w); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		answer(w, text)
	}
	visit := func(w http.ResponseWriter, r *http.Request) {
		with(w, r, func(values map[any]any) (string, bool) {
			n, _ := values["visits"].(int)
			values["visits"] = n + 1
			return strconv.Itoa(n + 1), true
		})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /untouched", func(w http.ResponseWriter, _ *http.Request) { answer(w, "ok") })
	mux.HandleFunc("GET /read", func(w http.ResponseWriter, r *http.Request) {
		with(w, r, func(values map[any]any) (string, bool) {
			n, _ := values["visits"].(int)
			return strconv.Itoa(n), false
		})
	})
	mux.HandleFunc("GET /write", visit)
	mux.HandleFunc("GET /new", visit)
	mux.HandleFunc("GET /fat", func(w http.ResponseWriter, r *http.Request) {
		p, err := contract.Payload(r.URL.Query().Get("n"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		with(w, r, func(values map[any]any) (string, bool) {
			values["payload"] = p
			return "ok", true
		})
	})
	mux.HandleFunc("GET /cart", func(w http.ResponseWriter, r *http.Request) {
		with(w, r, func(values map[any]any) (string, bool) {
			values["cart"] = contract.NewCart()
			return "ok", true
		})
	})
	return mux, func() error { return nil }, nil
}
