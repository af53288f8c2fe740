package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/sqlstore"
	"github.com/flamego/session/sessiontest"
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
		os.Exit(child(do))
	}
	sessiontest.Main(m, map[string]func(string) session.Options{"sqlite": serverOf})
}

// child says that it is there, waits for a line so that all open the file at the
// same moment, and does its work.
func child(do func(b *sqlstore.Backend) error) int {
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

type process struct {
	*exec.Cmd
	in  io.Writer
	out *bufio.Scanner
}

// start starts a child, which is waiting when it returns.
func start(t *testing.T, name, dsn string) process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+name, dsnEnv+"="+dsn)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := process{Cmd: cmd, in: in, out: bufio.NewScanner(out)}
	require.True(t, p.out.Scan(), "the child did not start")
	return p
}

func (p process) say(t *testing.T, line any) {
	t.Helper()
	_, err := fmt.Fprintln(p.in, line)
	require.NoError(t, err)
}
