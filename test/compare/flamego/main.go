// Command flamego serves the routes of the comparison on Flamego: with
// flamego/session, or bare. It uses nothing that came after v1.6.6, so that the same
// source is built with that version and with ours.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/flamego/flamego"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/flamego/session"
	"github.com/flamego/session/mongo"
	"github.com/flamego/session/mysql"
	"github.com/flamego/session/postgres"
	"github.com/flamego/session/redis"
	"github.com/flamego/session/sqlite"
	"github.com/flamego/session/test/compare/contract"
)

func main() { os.Exit(contract.Main(open)) }

func open(cfg contract.Config) (http.Handler, func() error, error) {
	f := flamego.NewWithLogger(io.Discard)
	f.Use(flamego.Recovery()) // v1.6.6 panics when the store fails.
	f.Use(flamego.ContextInvoker(func(c flamego.Context) {
		c.ResponseWriter().Header().Set("Content-Type", "text/plain; charset=utf-8") // As on net/http.
	}))
	nothing := func() error { return nil }
	if cfg.Backend == "none" {
		bare(f)
		return f, nothing, nil
	}
	opt, err := store(cfg)
	if err != nil {
		return nil, nil, err
	}
	f.Use(session.Sessioner(opt))
	f.Get("/untouched", func() string { return "ok" })
	f.Get("/read", func(s session.Session) string {
		n, _ := s.Get("visits").(int)
		return strconv.Itoa(n)
	})
	f.Get("/write", visit)
	f.Get("/new", visit)
	f.Get("/fat", func(c flamego.Context, s session.Session) (int, string) {
		p, err := contract.Payload(c.Query("n"))
		if err != nil {
			return http.StatusBadRequest, err.Error()
		}
		s.Set("payload", p)
		return http.StatusOK, "ok"
	})
	f.Get("/cart", func(s session.Session) string {
		s.Set("cart", contract.NewCart())
		return "ok"
	})
	return f, nothing, nil
}

func visit(s session.Session) string {
	n, _ := s.Get("visits").(int)
	s.Set("visits", n+1)
	return strconv.Itoa(n + 1)
}

// bare has the same routes, of a program that knows no sessions.
func bare(f *flamego.Flame) {
	for _, path := range []string{"/untouched", "/read", "/write", "/new", "/fat", "/cart"} {
		f.Get(path, func() string { return "1" })
	}
}

func store(cfg contract.Config) (opt session.Options, err error) {
	// The default would be silence.
	opt.ErrorFunc = func(err error) { fmt.Fprintln(os.Stderr, err) }
	switch cfg.Backend {
	case "memory":
		opt.Initer = session.MemoryIniter()
	case "file":
		opt.Initer, opt.Config = session.FileIniter(), session.FileConfig{RootDir: cfg.DSN}
	case "sqlite":
		opt.Initer, opt.Config = sqlite.Initer(), sqlite.Config{DSN: cfg.DSN, InitTable: true}
	case "redis":
		opt.Initer, opt.Config = redis.Initer(), redis.Config{Options: &redis.Options{Addr: cfg.DSN}}
	case "postgres":
		opt.Initer, opt.Config = postgres.Initer(), postgres.Config{DSN: cfg.DSN, InitTable: true}
	case "mysql":
		opt.Initer, opt.Config = mysql.Initer(), mysql.Config{DSN: cfg.DSN, InitTable: true}
	case "mongo":
		u, err := url.Parse(cfg.DSN)
		if err != nil {
			return opt, err
		}
		opt.Initer = mongo.Initer()
		opt.Config = mongo.Config{Options: options.Client().ApplyURI(cfg.DSN), Database: strings.Trim(u.Path, "/")}
	default:
		return opt, fmt.Errorf("no backend %q", cfg.Backend)
	}
	return opt, nil
}
