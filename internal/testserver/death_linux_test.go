package testserver

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
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
)

// childEnv names what TestChild does: kinds to start, separated by spaces, then
// perhaps "pause".
const childEnv = "TESTSERVER_CHILD"

// TestChild is a test that does not end, in a process of its own.
func TestChild(t *testing.T) {
	job, ok := os.LookupEnv(childEnv)
	if !ok {
		t.Skip("runs in a child process only")
	}
	var servers []*Server
	for name := range strings.FieldsSeq(job) {
		if name != "pause" {
			servers = append(servers, get(t, name))
			continue
		}
		for _, s := range servers {
			s.Pause(t)
		}
	}
	fmt.Println("ready")
	select {}
}

// sandbox is where a child leaves its traces.
type sandbox struct{ tmp, cache string }

func newSandbox(t *testing.T) sandbox {
	t.Helper()
	// Not t.TempDir: the names of sockets must be short.
	dir, err := os.MkdirTemp("", "testserver-")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711)) // PostgreSQL runs as another user.
	s := sandbox{filepath.Join(dir, "tmp"), filepath.Join(dir, "cache")}
	for _, dir := range []string{s.tmp, s.cache} {
		require.NoError(t, os.Mkdir(dir, 0o711))
	}
	return s
}

// child starts this test binary as TestChild.
func (s sandbox) child(t *testing.T, job string, args ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0], append(args, "-test.run=^TestChild$", "-test.v")...)
	cmd.Env = append(os.Environ(), childEnv+"="+job, "TMPDIR="+s.tmp, "FLAMEGO_SESSION_CACHE="+s.cache, "REQUIRE_ALL=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, bufio.NewScanner(out)
}

func waitReady(t *testing.T, out *bufio.Scanner) {
	t.Helper()
	var text []string
	for out.Scan() {
		if out.Text() == "ready" {
			return
		}
		text = append(text, out.Text())
	}
	t.Fatalf("the child ended:\n%s", strings.Join(text, "\n"))
}

// traces are processes and folders that have to do with the sandbox.
func (s sandbox) traces(t *testing.T) (list []string) {
	t.Helper()
	root := filepath.Dir(s.tmp)
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil || e.Name() == strconv.Itoa(os.Getpid()) {
			continue
		}
		dir := "/proc/" + e.Name()
		cmdline, _ := os.ReadFile(dir + "/cmdline")
		environ, _ := os.ReadFile(dir + "/environ")
		cwd, _ := os.Readlink(dir + "/cwd") // All that a child of PostgreSQL shows.
		if bytes.Contains(cmdline, []byte(root)) || bytes.Contains(environ, []byte(root)) || strings.HasPrefix(cwd, root) {
			list = append(list, fmt.Sprintf("process %s %q", e.Name(), cmdline))
		}
	}
	return append(list, globs(s.tmp+"/*")...)
}

// requireNoTraces fails unless they vanish within 10 s.
func (s sandbox) requireNoTraces(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		list := append(s.traces(t), globs(s.cache+"/flamego-session-*")...)
		if len(list) == 0 {
			return
		}
		require.True(t, time.Now().Before(deadline), "left behind:\n%s", strings.Join(list, "\n"))
		time.Sleep(5 * time.Millisecond)
	}
}

const several = "postgres mariadb redis redis-cluster"

// Nothing is left, however a test dies.
func TestDeath(t *testing.T) {
	fromHere(t)
	for _, name := range []string{"postgres", "mariadb", "redis"} {
		get(t, name).Close() // The test is skipped here if it is not to be had.
	}
	s := newSandbox(t)
	t.Run("killed", func(t *testing.T) {
		cmd, out := s.child(t, several)
		waitReady(t, out)
		before := s.traces(t)
		require.Greater(t, len(before), 25, "processes that are looked for are not found")
		require.NoError(t, cmd.Process.Kill())
		start := time.Now()
		_ = cmd.Wait()
		s.requireNoTraces(t)
		t.Logf("%d processes and folders gone after %v", len(before), time.Since(start).Round(time.Millisecond))
	})
	t.Run("killed while servers are paused", func(t *testing.T) {
		cmd, out := s.child(t, "postgres mariadb redis pause")
		waitReady(t, out)
		require.NotEmpty(t, s.traces(t))
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait()
		s.requireNoTraces(t)
	})
	t.Run("timed out", func(t *testing.T) {
		cmd, out := s.child(t, "postgres redis", "-test.timeout=2s")
		waitReady(t, out)
		require.NotEmpty(t, s.traces(t))
		require.Error(t, cmd.Wait())
		s.requireNoTraces(t)
	})
	t.Run("interrupted", func(t *testing.T) {
		cmd, out := s.child(t, "postgres redis")
		waitReady(t, out)
		// As Ctrl-C does it.
		require.NoError(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGINT))
		require.Error(t, cmd.Wait())
		s.requireNoTraces(t)
	})
	// The cache is empty, so most of the time it is being filled.
	t.Run("killed at any moment", func(t *testing.T) {
		s := newSandbox(t)
		for range 5 {
			cmd, _ := s.child(t, "postgres mariadb")
			time.Sleep(rand.N(1500 * time.Millisecond))
			require.NoError(t, cmd.Process.Kill())
			_ = cmd.Wait()
			s.requireNoTraces(t)
		}
		_, out := s.child(t, "postgres mariadb")
		waitReady(t, out) // What is in the cache is good.
	})
}

// A keeper that is killed takes the server with it.
func TestKeeperDeath(t *testing.T) {
	fromHere(t)
	s := Postgres(t)
	e := s.own.(*throwaway)
	list := belowEngines(t, s)
	require.NotEmpty(t, list)
	pids := []int{e.cmd.Process.Pid}
	for _, p := range list {
		pids = append(pids, p.pid)
	}
	require.NoError(t, e.cmd.Process.Kill())
	_ = e.cmd.Wait()
	// Nobody else is there to remove them.
	freeSharedMemory(e.path("data", "postmaster.pid"))
	require.NoError(t, os.RemoveAll(e.dir))
	requireGone(t, pids, []string{e.dir})
	assert.Error(t, e.alive())
}

// Shared memory of the system outlives processes.
func TestSharedMemory(t *testing.T) {
	fromHere(t)
	segments := func() []string {
		text, err := os.ReadFile("/proc/sysvipc/shm")
		require.NoError(t, err)
		return strings.Split(string(text), "\n")
	}
	s := Postgres(t)
	e := s.own.(*throwaway)
	text, err := os.ReadFile(e.path("data", "postmaster.pid"))
	require.NoError(t, err)
	key := strings.Fields(strings.Split(string(text), "\n")[6])
	held := func() bool {
		for _, line := range segments() {
			if words := strings.Fields(line); len(words) > 2 && words[1] == key[1] && words[0] == key[0] {
				return true
			}
		}
		return false
	}
	require.True(t, held(), "the segment that is looked for is not found")
	s.Kill(t)
	require.True(t, held(), "it need not be freed")
	s.Close()
	assert.False(t, held())
}
