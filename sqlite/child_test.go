package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/driver/drivertest"
	"github.com/flamego/session/internal/child"
	"github.com/flamego/session/internal/sqlstore"
)

// Tests of several processes run the test binary once more, as another process that
// shares the database file. It does what it is named by childEnv.
const (
	childEnv = "SQLITE_TEST_CHILD"
	dsnEnv   = "SQLITE_TEST_DSN"
)

var children = map[string]func(b *sqlstore.Backend) error{
	"create":    childCreate,
	"increment": childIncrement,
	"echo":      childEcho,
	"burst":     childBurst,
}

func TestMain(m *testing.M) {
	if do := children[os.Getenv(childEnv)]; do != nil {
		os.Exit(work(do))
	}
	drivertest.Main(m, map[string]func(string) session.Options{"sqlite": serverOf})
}

// work says that it is there, waits for a line so that all open the file at the
// same moment, and does its work.
func work(do func(b *sqlstore.Backend) error) int {
	fmt.Println("ready")
	if !stdin.Scan() {
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, _, err := open(ctx, Config{DSN: os.Getenv(dsnEnv), InitTable: true})
	if err == nil {
		err = errors.Join(do(b), b.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

var stdin = bufio.NewScanner(os.Stdin)

// start starts a child, which is waiting when it returns.
func start(t *testing.T, name, dsn string) *child.Process {
	t.Helper()
	p := child.Again(t, childEnv+"="+name, dsnEnv+"="+dsn)
	require.Equal(t, "ready", p.Line(), "the child did not start")
	return p
}
