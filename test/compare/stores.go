package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
)

// store is a storage system that programs can keep sessions in.
type store struct {
	name   string // as in -backend
	title  string // for people
	server string // the DSN or address, of those that are servers

	// open returns a DSN under which nobody else's sessions are. What it made goes
	// with drop.
	open func(ctx context.Context, owner string) (dsn string, drop func() error, err error)
	// through returns the DSN with another address in it, and the address it had;
	// nil for what is no server.
	through func(dsn, addr string) (through, upstream string)
}

// kept is for what goes with the temporary folder, or with its Lifetime.
func kept() error { return nil }

// wal is what an application would write behind the path of a SQLite file.
const wal = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)"

// servers are what the command up starts, unless the environment names one that runs.
var servers = []struct{ kind, env, backend, title string }{
	{"redis", "TEST_REDIS_ADDR", "redis", "Redis"},
	{"postgres", "TEST_POSTGRES_DSN", "postgres", "PostgreSQL"},
	{"mariadb", "TEST_MARIADB_DSN", "mysql", "MariaDB"},
	{"mongo", "TEST_MONGODB_URI", "mongo", "FerretDB on DocumentDB"},
}

// findStores fills in b.stores. What it started ends with stop.
func (b *bench) findStores(ctx context.Context) (stop func() error, err error) {
	files := 0
	unique := func(format string) string {
		files++
		return filepath.Join(b.dir, fmt.Sprintf(format, files))
	}
	all := []*store{
		{name: "memory", title: "memory", open: func(context.Context, string) (string, func() error, error) { return "", kept, nil }},
		{name: "file", title: "files", open: func(context.Context, string) (string, func() error, error) {
			path := unique("files%d")
			return path, func() error { return os.RemoveAll(path) }, os.Mkdir(path, 0o700)
		}},
		{name: "sqlite", title: "SQLite", open: func(context.Context, string) (string, func() error, error) {
			path := unique("sessions%d.db")
			return path + wal, func() error {
				return errors.Join(os.Remove(path), os.RemoveAll(path+"-wal"), os.RemoveAll(path+"-shm"))
			}, nil
		}},
	}
	var missing []string
	found := make(map[string]string) // DSN, by the name of the variable
	for _, s := range servers {
		switch dsn := os.Getenv(s.env); {
		case !b.wants(s.backend):
		case dsn != "":
			found[s.env] = dsn
		default:
			missing = append(missing, s.kind)
		}
	}
	stop = func() error { return nil }
	if len(missing) > 0 {
		say("starting %s", strings.Join(missing, ", "))
		if stop, err = up(ctx, b.programs["up"].path, b.root, missing, found); err != nil {
			return nil, errors.Join(err, stop())
		}
	}
	for _, s := range servers {
		switch dsn := found[s.env]; {
		case !b.wants(s.backend):
		case dsn == "" || strings.HasPrefix(dsn, "none: "):
			_, why, _ := strings.Cut(dsn, ": ")
			b.leftOut = append(b.leftOut, s.backend+": no server was to be had "+why)
		default:
			all = append(all, server(s.backend, dsn, s.title))
		}
	}
	for _, st := range all {
		if b.wants(st.name) {
			b.stores = append(b.stores, st)
		}
	}
	return stop, nil
}

func server(backend, dsn, title string) *store {
	st := &store{name: backend, title: title, server: dsn}
	switch backend {
	case "redis":
		st.open = func(context.Context, string) (string, func() error, error) { return dsn, kept, nil }
		st.through = func(dsn, addr string) (string, string) { return addr, dsn }
	case "mongo":
		st.open = func(_ context.Context, owner string) (string, func() error, error) {
			u, err := url.Parse(dsn)
			if err != nil {
				return "", nil, err
			}
			u.Path = "/" + database(owner)
			return u.String(), kept, nil
		}
		st.through = throughURL
	case "postgres":
		st.open = func(ctx context.Context, owner string) (string, func() error, error) {
			u, err := url.Parse(dsn)
			if err != nil {
				return "", nil, err
			}
			u.Path = "/" + database(owner)
			drop, err := createDatabase(ctx, "pgx", dsn, database(owner), " WITH (FORCE)")
			return u.String(), drop, err
		}
		st.through = throughURL
	case "mysql":
		st.open = func(ctx context.Context, owner string) (string, func() error, error) {
			cfg, err := mysql.ParseDSN(dsn)
			if err != nil {
				return "", nil, err
			}
			cfg.DBName = database(owner)
			cfg.ParseTime = true // v1.6.6 cannot do without.
			drop, err := createDatabase(ctx, "mysql", dsn, database(owner), "")
			return cfg.FormatDSN(), drop, err
		}
		st.through = func(dsn, addr string) (string, string) {
			cfg, err := mysql.ParseDSN(dsn)
			if err != nil {
				panic(err) // It was made by FormatDSN.
			}
			upstream := cfg.Addr
			cfg.Addr = addr
			return cfg.FormatDSN(), upstream
		}
	}
	return st
}

func throughURL(dsn, addr string) (string, string) {
	u, err := url.Parse(dsn)
	if err != nil {
		panic(err) // It was made by String.
	}
	upstream := u.Host
	u.Host = addr
	return u.String(), upstream
}

// database is a name for the sessions of one program.
func database(owner string) string {
	return "compare_" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, owner)
}

func createDatabase(ctx context.Context, driver, dsn, name, force string) (drop func() error, err error) {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, err
	}
	// One of a run that did not get to its end may be there.
	_, err = db.ExecContext(ctx, "DROP DATABASE IF EXISTS "+name+force)
	if err == nil {
		_, err = db.ExecContext(ctx, "CREATE DATABASE "+name)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_, err := db.ExecContext(ctx, "DROP DATABASE "+name+force)
		return errors.Join(err, db.Close())
	}, nil
}

// up runs the command that starts servers, and puts what it prints into found. A
// server that it cannot start is no error.
func up(ctx context.Context, path, root string, kinds []string, found map[string]string) (stop func() error, err error) {
	stop = func() error { return nil }
	cmd := exec.Command(path, kinds...)
	cmd.Dir = root
	// Also when this command is killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return stop, err
	}
	cmd.Stderr = cmd.Stdout // One pipe, so that the order of the lines tells when it is through.
	if err := cmd.Start(); err != nil {
		return stop, err
	}
	lines := make(chan string)
	ended := make(chan struct{})
	stop = func() error {
		_ = cmd.Process.Signal(os.Interrupt)
		timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
		close(ended)
		err := cmd.Wait()
		// It may have failed to start one, and has said so.
		if exit := new(exec.ExitError); errors.As(err, &exit) {
			return nil
		}
		return err
	}
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			select {
			case lines <- in.Text():
			case <-ended:
			}
		}
	}()
	installing := time.After(10 * time.Minute) // The first time on a machine.
	for {
		select {
		case line, running := <-lines:
			assignment, ok := strings.CutPrefix(line, "export ")
			switch {
			case !running || strings.HasPrefix(line, "Ctrl-C"):
				return stop, nil
			case ok: // export NAME='value'
				name, value, _ := strings.Cut(assignment, "=")
				found[name] = strings.Trim(value, "'")
			default:
				fmt.Fprintln(os.Stderr, line)
			}
		case <-installing:
			return stop, errors.New("the servers did not start within ten minutes")
		case <-ctx.Done():
			return stop, ctx.Err()
		}
	}
}
