package benchmarks

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.mongodb.org/mongo-driver/bson"
	drivermongo "go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"

	"github.com/flamego/session/internal/ci/measured"
	"github.com/flamego/session/internal/testserver"
)

var out = flag.String("out", "", "the folder of measured.txt and the pages that show it; without it the figures are only printed")

// report prints a table of what was measured on this machine, and writes it if there is a
// folder for it, as a part of measured.txt. A table that lacks lines is not written, as one
// for want of a server.
func report(t *testing.T, part string, lines int, head []string, rows [][]string) {
	t.Helper()
	reportOn(t, part, "Measured on "+measured.Machine(os.TempDir()), lines, head, rows)
}

// reportOn is report with another sentence before the table.
func reportOn(t *testing.T, part, on string, lines int, head []string, rows [][]string) {
	t.Helper()
	text := on + ".\n\n" + measured.Table(head, rows)
	t.Logf("%s\n\n%s\n", part, text)
	switch {
	case *out == "":
	case t.Failed() || testing.Short() || os.Getenv("SESSIONS") != "" || len(rows) != lines:
		t.Errorf("%s is not written: the test has failed, is shorter or longer than others, or lacks %d of %d lines", part, lines-len(rows), lines)
	default:
		if err := measured.Write(*out, measured.Part{Name: part, Text: text}); err != nil {
			t.Error(err)
		}
	}
}

// milli writes ms, so that the last digit means something.
func milli(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	switch {
	case ms < 0.0995:
		return fmt.Sprintf("%.3f", ms)
	case ms < 0.995:
		return fmt.Sprintf("%.2f", ms)
	case ms < 9.95:
		return fmt.Sprintf("%.1f", ms)
	default:
		return fmt.Sprintf("%.0f", ms)
	}
}

func micro(d time.Duration) string { return fmt.Sprint(d.Microseconds()) }

// thousands rounds a number to these.
func thousands(n int) string { return group((n + 500) / 1000 * 1000) }

// group separates the thousands of a number.
func group(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

var version = regexp.MustCompile(`\d+\.\d+`)

// titled is the name of a server with its version.
func titled(t *testing.T, kind *testserver.Kind) string {
	t.Helper()
	name, v, err := askVersion(kind, kind.Get(t))
	if err != nil {
		t.Fatal(err)
	}
	return name + " " + version.FindString(v)
}

func askVersion(kind *testserver.Kind, s *testserver.Server) (name, v string, err error) {
	ctx := context.Background()
	ask := func(driver, query string) error {
		db, err := sql.Open(driver, s.DSN)
		if err != nil {
			return err
		}
		defer func() { _ = db.Close() }()
		return db.QueryRow(query).Scan(&v)
	}
	switch kind {
	case testserver.Postgres:
		err = ask("pgx", "SHOW server_version")
		return "PostgreSQL", v, err
	case testserver.MariaDB:
		err = ask("mysql", "SELECT VERSION()")
		return "MariaDB", v, err
	case testserver.MySQL:
		err = ask("mysql", "SELECT VERSION()")
		return "MySQL", v, err
	case testserver.Mongo:
		c, err := drivermongo.Connect(ctx, options.Client().ApplyURI(s.DSN))
		if err != nil {
			return "", "", err
		}
		defer func() { _ = c.Disconnect(ctx) }()
		var info struct{ FerretDB struct{ Version string } }
		err = c.Database("admin").RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info)
		return "FerretDB", info.FerretDB.Version, err
	}
	c := goredis.NewClient(&goredis.Options{Addr: s.Addr})
	defer func() { _ = c.Close() }()
	info, err := c.InfoMap(ctx, "server").Result()
	return "Redis", info["Server"]["redis_version"], err
}
