package testserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/internal/freeport"
	"github.com/flamego/session/internal/wait"
)

func answers(i *instance) error {
	ctx, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	return i.kind.ask(ctx, i.kind.at(freeport.Loopback(i.port)))
}

// Every kind starts, hangs, goes on, dies, comes back, and is gone in the end.
func TestServers(t *testing.T) {
	for _, k := range append([]*Kind{RedisTLS}, Kinds...) {
		t.Run(k.Name, func(t *testing.T) {
			s := k.Start(t)
			s.Pause(t)
			asked := make(chan error, 1)
			go func() { asked <- answers(s.nodes[0]) }()
			select {
			case err := <-asked:
				t.Fatalf("a paused server answers: %v", err)
			case <-time.After(50 * time.Millisecond):
			}
			s.Resume(t)
			require.NoError(t, <-asked, "a question asked during the pause")

			s.Pause(t)
			s.Kill(t)
			for _, i := range s.nodes {
				require.Empty(t, i.states())
				require.NoError(t, freeport.Silent(i.port))
				require.ErrorIs(t, i.pause(), errNotRunning)
			}
			s.Start(t)
			for _, i := range s.nodes {
				require.NoError(t, answers(i))
				require.ErrorContains(t, i.start(), "already")
			}

			s.Kill(t) // Or PostgreSQL would give its shared memory back by itself.
			keys := segments(t, s)
			if k == Postgres || k == Mongo {
				require.NotEmpty(t, keys)
			}
			for _, key := range keys {
				require.True(t, exists(t, key))
			}
			s.Close()
			for _, key := range keys {
				assert.False(t, exists(t, key), "shared memory is left")
			}
			for _, i := range s.nodes {
				assert.NoDirExists(t, i.dir)
			}
		})
	}
}

// segments returns the keys of the shared memory that a PostgreSQL of the server has made,
// which its seventh line tells.
func segments(t *testing.T, s *Server) (keys []string) {
	for _, i := range s.nodes {
		text, err := os.ReadFile(filepath.Join(i.dir, "data", "postmaster.pid"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		lines := strings.Split(string(text), "\n")
		require.Greater(t, len(lines), 6)
		keys = append(keys, strings.Fields(lines[6])[0])
	}
	return keys
}

func exists(t *testing.T, key string) bool {
	text, err := os.ReadFile("/proc/sysvipc/shm")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 0 && words[0] == key {
			return true
		}
	}
	return false
}

// What goes wrong is told with the end of the log.
func TestStartFails(t *testing.T) {
	s := new(Server)
	defer s.Close()
	err := s.run(&Kind{
		script: "echo bad $CONF >&2; exit 3", conf: "configuration",
		ask: func(context.Context, string) error { return assert.AnError },
	})
	assert.ErrorIs(t, err, errNotRunning)
	assert.ErrorContains(t, err, "bad configuration")
}

// childEnv names what TestChild starts.
const childEnv = "TESTSERVER_CHILD"

// TestChild is a test that does not end, in a process of its own.
func TestChild(t *testing.T) {
	job, ok := os.LookupEnv(childEnv)
	if !ok {
		t.Skip("runs in a child process only")
	}
	for _, k := range []*Kind{Postgres, MariaDB, Redis} {
		s := k.Start(t)
		if job == "pause" {
			s.Pause(t)
		}
	}
	fmt.Println("ready")
	select {}
}

// Nothing is left, however a test dies.
func TestDeath(t *testing.T) {
	for _, k := range []*Kind{Postgres, MariaDB, Redis} {
		k.Start(t).Close() // The test is skipped here if it is not to be had.
	}
	for name, job := range map[string]string{"killed": "", "killed while servers are paused": "pause", "interrupted": ""} {
		t.Run(name, func(t *testing.T) {
			// Not t.TempDir: the paths of sockets are short.
			tmp, err := os.MkdirTemp("", "death-")
			require.NoError(t, err)
			require.NoError(t, os.Chmod(tmp, 0o711)) // PostgreSQL runs as another user.
			defer func() { assert.NoError(t, os.Remove(tmp), "something is left") }()
			cmd := exec.Command(os.Args[0], "-test.run=^TestChild$", "-test.v")
			cmd.Env = append(os.Environ(), childEnv+"="+job, "TMPDIR="+tmp)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			lines := bufio.NewScanner(out)
			for lines.Scan() && lines.Text() != "ready" {
			}
			before := traces(t, tmp)
			require.GreaterOrEqual(t, len(before), 6, "processes that are looked for are not found")
			if name == "interrupted" { // As Ctrl-C does it.
				require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
			} else {
				require.NoError(t, cmd.Process.Kill())
			}
			require.Error(t, cmd.Wait())
			require.NoError(t, wait.Until(10*time.Second, func() error {
				if list := traces(t, tmp); len(list) > 0 {
					return fmt.Errorf("left behind:\n%s", strings.Join(list, "\n"))
				}
				return nil
			}))
		})
	}
}

// traces are processes and folders that have to do with a temporary folder.
func traces(t *testing.T, tmp string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err != nil || pid == os.Getpid() {
			continue
		}
		dir := "/proc/" + e.Name()
		cmdline, _ := os.ReadFile(dir + "/cmdline")
		environ, _ := os.ReadFile(dir + "/environ")
		cwd, _ := os.Readlink(dir + "/cwd") // All that a child of PostgreSQL shows.
		if bytes.Contains(cmdline, []byte(tmp)) || bytes.Contains(environ, []byte("TMPDIR="+tmp)) || strings.HasPrefix(cwd, tmp) {
			list = append(list, fmt.Sprintf("process %s %q", e.Name(), cmdline))
		}
	}
	folders, err := filepath.Glob(tmp + "/*")
	require.NoError(t, err)
	return append(list, folders...)
}
