package main

import (
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/flamego/session"
	"github.com/flamego/session/mongo"
	"github.com/flamego/session/mysql"
	"github.com/flamego/session/postgres"
	"github.com/flamego/session/redis"
	"github.com/flamego/session/sqlite"
)

// backend is a kind of store that two servers can share. In a program they differ only in two
// options; the handlers are the same.
type backend struct {
	name   string // as in -backend
	title  string // as in "sessions are kept in …"
	dsn    string // the default of -dsn
	remote bool   // the DSN names a server, and may hold a password

	// open returns the two options that choose a store.
	open func(dsn string, lifetime time.Duration) (session.Initer, any)
}

// backends are the choices of -backend. Another one is another entry.
var backends = []backend{
	{
		name:  "file",
		title: "a folder of files",
		dsn:   "demo-sessions",
		// The folder is created if missing, readable by this user only.
		open: func(dsn string, lifetime time.Duration) (session.Initer, any) {
			return session.FileIniter(), session.FileConfig{Lifetime: lifetime, RootDir: dsn}
		},
	},
	{
		name:  "sqlite",
		title: "a SQLite file",
		dsn:   "demo.db",
		// The file is created if missing, and with InitTable the table in it.
		open: func(dsn string, lifetime time.Duration) (session.Initer, any) {
			return sqlite.Initer(), sqlite.Config{Lifetime: lifetime, DSN: dsn, InitTable: true}
		},
	},
	{
		name:   "postgres",
		title:  "PostgreSQL",
		dsn:    "postgres://postgres@localhost:5432/postgres",
		remote: true,
		open: func(dsn string, lifetime time.Duration) (session.Initer, any) {
			return postgres.Initer(), postgres.Config{Lifetime: lifetime, DSN: dsn, InitTable: true}
		},
	},
	{
		name:   "mysql",
		title:  "MySQL",
		dsn:    "root@tcp(localhost:3306)/test",
		remote: true,
		open: func(dsn string, lifetime time.Duration) (session.Initer, any) {
			return mysql.Initer(), mysql.Config{Lifetime: lifetime, DSN: dsn, InitTable: true}
		},
	},
	{
		name:   "redis",
		title:  "Redis",
		dsn:    "localhost:6379",
		remote: true,
		open: func(dsn string, lifetime time.Duration) (session.Initer, any) {
			return redis.Initer(), redis.Config{Lifetime: lifetime, Options: &redis.Options{Addr: dsn}}
		},
	},
	{
		name:   "mongo",
		title:  "MongoDB",
		dsn:    "mongodb://localhost:27017",
		remote: true,
		open: func(dsn string, lifetime time.Duration) (session.Initer, any) {
			return mongo.Initer(), mongo.Config{Lifetime: lifetime, Options: options.Client().ApplyURI(dsn), Database: "demo"}
		},
	},
}

func findBackend(name string) (backend, bool) {
	for _, b := range backends {
		if b.name == name {
			return b, true
		}
	}
	return backend{}, false
}

func backendNames() string {
	var names []string
	for _, b := range backends {
		names = append(names, b.name)
	}
	return strings.Join(names, ", ")
}

func backendDefaults() string {
	var list []string
	for _, b := range backends {
		list = append(list, b.dsn+" for "+b.name)
	}
	return strings.Join(list, ", ")
}
