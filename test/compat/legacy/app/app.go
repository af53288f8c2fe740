// Package app is a web application as they are written for flamego/session v1.6.6.
// The same source is built with that version and with the one of this
// repository, so it uses nothing that came after v1.6.6.
package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/flamego/flamego"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/flamego/session"
	"github.com/flamego/session/mongo"
	"github.com/flamego/session/mysql"
	"github.com/flamego/session/postgres"
	"github.com/flamego/session/redis"
	"github.com/flamego/session/sqlite"
)

// Config says where a server keeps its sessions. It travels to the other process
// as JSON.
type Config struct {
	Store      string        // "memory", "file", "sqlite", "postgres", "mysql", "redis" or "mongo"
	Path       string        // the folder, the DSN, or the address
	DB         int           // of redis
	Table      string        // of the SQL stores, or the database of mongo
	InitTable  bool          // of the SQL stores
	Lifetime   time.Duration // 0 for the default
	IDLength   int           // 0 for the default, which differs between versions
	GCInterval time.Duration // 0 for the default
	JSON       bool          // JSON instead of gob, but for memory
	Bare       bool          // no types are registered
}

// Options returns the options of the middleware.
func Options(cfg Config) session.Options {
	opt := session.Options{
		Cookie:     session.CookieOptions{Name: "fleet"},
		IDLength:   cfg.IDLength,
		GCInterval: cfg.GCInterval,
	}
	var enc session.Encoder
	var dec session.Decoder
	if cfg.JSON {
		enc, dec = encodeJSON, decodeJSON
	}
	switch cfg.Store {
	case "memory":
		opt.Initer = session.MemoryIniter()
		opt.Config = session.MemoryConfig{Lifetime: cfg.Lifetime}
	case "file":
		opt.Initer = session.FileIniter()
		opt.Config = session.FileConfig{RootDir: cfg.Path, Lifetime: cfg.Lifetime, Encoder: enc, Decoder: dec}
	case "sqlite":
		opt.Initer = sqlite.Initer()
		opt.Config = sqlite.Config{
			DSN: cfg.Path, Table: cfg.Table, InitTable: cfg.InitTable,
			Lifetime: cfg.Lifetime, Encoder: enc, Decoder: dec,
		}
	case "postgres":
		opt.Initer = postgres.Initer()
		opt.Config = postgres.Config{
			DSN: cfg.Path, Table: cfg.Table, InitTable: cfg.InitTable,
			Lifetime: cfg.Lifetime, Encoder: enc, Decoder: dec,
		}
	case "mysql":
		opt.Initer = mysql.Initer()
		opt.Config = mysql.Config{
			DSN: cfg.Path, Table: cfg.Table, InitTable: cfg.InitTable,
			Lifetime: cfg.Lifetime, Encoder: enc, Decoder: dec,
		}
	case "redis":
		opt.Initer = redis.Initer()
		opt.Config = redis.Config{
			Options:  &redis.Options{Addr: cfg.Path, DB: cfg.DB},
			Lifetime: cfg.Lifetime, Encoder: enc, Decoder: dec,
		}
	case "mongo":
		opt.Initer = mongo.Initer()
		opt.Config = mongo.Config{
			Options: options.Client().ApplyURI(cfg.Path), Database: cfg.Table,
			Lifetime: cfg.Lifetime, Encoder: enc, Decoder: dec,
		}
	default:
		panic(fmt.Sprintf("no store %q", cfg.Store))
	}
	return opt
}

// encodeJSON is a codec of the application's own, for keys that are strings.
func encodeJSON(data session.Data) ([]byte, error) {
	m := make(map[string]interface{}, len(data))
	for key, val := range data {
		m[key.(string)] = val
	}
	return json.Marshal(m)
}

func decodeJSON(binary []byte) (session.Data, error) {
	var m map[string]interface{}
	if err := json.Unmarshal(binary, &m); err != nil {
		return nil, err
	}
	data := make(session.Data, len(m))
	for key, val := range m {
		data[key] = val
	}
	return data, nil
}

// New returns the application. Its argument is what session.Sessioner returns.
func New(sessioner flamego.Handler) http.Handler {
	f := flamego.NewWithLogger(io.Discard)
	f.Use(flamego.Recovery()) // v1.6.6 panics when the store fails.
	f.Use(sessioner)

	f.Get("/fill", func(s session.Session) string {
		fill(s)
		return "filled"
	})
	f.Get("/check", check)
	f.Get("/set", func(c flamego.Context, s session.Session) string {
		s.Set(c.Query("k"), c.Query("v"))
		return "set"
	})
	f.Get("/get", func(c flamego.Context, s session.Session) string {
		v, ok := s.Get(c.Query("k")).(string)
		if !ok {
			return "nothing"
		}
		return v
	})
	f.Get("/delete", func(c flamego.Context, s session.Session) string {
		s.Delete(c.Query("k"))
		return "deleted"
	})
	f.Get("/flush", func(s session.Session) string {
		s.Flush()
		return "flushed"
	})
	f.Get("/flash", func(c flamego.Context, s session.Session) string {
		s.SetFlash(c.Query("v"))
		return "to be shown"
	})
	f.Get("/show", func(flash session.Flash) string {
		text, ok := flash.(string)
		if !ok {
			return "nothing"
		}
		return text
	})
	f.Get("/signin", signIn)
	f.Get("/whoami", func(s session.Session) string {
		user, ok := s.Get("user").(string)
		if !ok {
			return "nobody"
		}
		return user
	})
	f.Get("/signout", signOut)
	return f
}

// signIn changes the ID first. With v1.6.6 the old record has to be removed by
// hand, which fails for a visitor who has none yet.
func signIn(c flamego.Context, s session.Session, store session.Store) error {
	old := s.ID()
	if err := s.RegenerateID(c.ResponseWriter(), c.Request().Request); err != nil {
		return err
	}
	_ = store.Destroy(c.Request().Context(), old)
	s.Set("user", c.Query("user"))
	c.Redirect("/whoami", http.StatusSeeOther)
	return nil
}

// signOut is the way to end a session with v1.6.6.
func signOut(c flamego.Context, s session.Session, store session.Store) (string, error) {
	return "signed out", store.Destroy(c.Request().Context(), s.ID())
}
