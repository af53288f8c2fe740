package testserver

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// engines are the keepers of a server, one for each node.
func engines(s *Server) []*throwaway {
	if s.own != nil {
		return []*throwaway{s.own.(*throwaway)}
	}
	var list []*throwaway
	for _, n := range s.nodes {
		list = append(list, engines(n)...)
	}
	return list
}

// fromHere makes the test use servers of its own, whatever the environment names.
func fromHere(t *testing.T) {
	t.Helper()
	for _, k := range kinds {
		if k.env != "" {
			t.Setenv(k.env, "")
		}
	}
}

// answers asks what clients talk to.
func answers(e *throwaway) error { return e.programs[len(e.programs)-1].ready(e.port) }

// belowEngines are the processes of a server, its keepers left out.
func belowEngines(t *testing.T, s *Server) []process {
	t.Helper()
	var all []process
	for _, e := range engines(s) {
		list, err := descendants(e.cmd.Process.Pid)
		require.NoError(t, err)
		all = append(all, list...)
	}
	return all
}

// requireGone fails unless processes end and folders disappear within 10 s.
func requireGone(t *testing.T, pids []int, dirs []string) {
	t.Helper()
	require.NotEmpty(t, pids)
	require.NotEmpty(t, dirs)
	deadline := time.Now().Add(10 * time.Second)
	for _, pid := range pids {
		for syscall.Kill(pid, 0) == nil {
			if !time.Now().Before(deadline) {
				name, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
				t.Fatalf("process %d is left: %q", pid, name)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	for _, dir := range dirs {
		for exists(dir) {
			require.True(t, time.Now().Before(deadline), "%s is left", dir)
			time.Sleep(5 * time.Millisecond)
		}
	}
}

// Every kind starts, hangs, goes on, dies, comes back, and is gone in the end.
func TestServers(t *testing.T) {
	fromHere(t)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			var pids []int
			var dirs []string
			ok := t.Run("use", func(t *testing.T) {
				start := time.Now()
				s := get(t, k.name)
				took := time.Since(start)
				pids, dirs = exercise(t, s)
				t.Logf("%s: ready in %v, %d processes", s.Name, took.Round(time.Millisecond), len(pids))
			})
			if ok && len(pids) > 0 {
				requireGone(t, pids, dirs)
			}
		})
	}
}

// exercise returns all processes that have been, and their folders.
func exercise(t *testing.T, s *Server) (pids []int, dirs []string) {
	assert.Regexp(t, `\d+\.\d+`, s.Name)
	note := func() {
		for _, e := range engines(s) {
			pids = append(pids, e.cmd.Process.Pid)
			dirs = append(dirs, e.dir)
		}
		for _, p := range belowEngines(t, s) {
			pids = append(pids, p.pid)
		}
	}
	note()
	for _, e := range engines(s) {
		require.NoError(t, answers(e))
		require.Less(t, e.port, 32768)
		require.Error(t, e.start(), "it was started twice")
	}

	s.Pause(t)
	for _, p := range belowEngines(t, s) {
		// Dead ones cannot be waited for by a parent that is stopped.
		require.Contains(t, "TZ", string(p.state), "a process is not stopped")
	}
	asked := make(chan error, 1)
	go func() { asked <- answers(engines(s)[0]) }()
	select {
	case err := <-asked:
		t.Fatalf("a paused server answers: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	s.Resume(t)
	require.NoError(t, <-asked, "a question asked during the pause")

	s.Pause(t)
	s.Kill(t)
	require.Empty(t, belowEngines(t, s))
	for _, e := range engines(s) {
		assert.ErrorIs(t, answers(e), syscall.ECONNREFUSED)
		assert.ErrorIs(t, e.pause(), errNotRunning)
	}
	addrs := strings.Join(s.Addrs, " ")
	began := time.Now()
	s.Start(t)
	t.Logf("back after %v", time.Since(began).Round(time.Millisecond))
	assert.Equal(t, addrs, strings.Join(s.Addrs, " "))
	for _, e := range engines(s) {
		require.NoError(t, answers(e))
	}
	if s.settled != nil {
		require.NoError(t, s.settled(), "it is not what it was")
	}
	note()
	return pids, dirs
}

func TestRedisTLS(t *testing.T) {
	fromHere(t)
	s, cfg := RedisTLS(t)
	assert.Same(t, s, s.Node(0))
	port := portOf(s)
	require.NoError(t, askRedisTLS(port, cfg))
	assert.Error(t, askRedis(port), "it talks without TLS")
	cfg.RootCAs = nil
	assert.ErrorContains(t, askRedisTLS(port, cfg), "certificate", "the system trusts it")
}

// A replica takes over while its master is dead or hangs, and a master that comes
// back follows the new one.
func TestFailOver(t *testing.T) {
	fromHere(t)
	role := func(n *Server, want string) func() error {
		return func() error { return expect(portOf(n), []string{"INFO", "replication"}, "role:"+want) }
	}
	t.Run("cluster", func(t *testing.T) {
		c := RedisCluster(t)
		require.Len(t, c.Addrs, 6)
		for i, addr := range c.Addrs {
			assert.Equal(t, addr, c.Node(i).Addr)
		}
		assert.Equal(t, c.Addrs[0], c.Addr)
		for _, n := range c.nodes[:clusterMasters] {
			require.NoError(t, role(n, "master")())
		}
		start := time.Now()
		c.Node(0).Kill(t)
		require.NoError(t, until(role(c.Node(3), "master")))
		require.NoError(t, until(func() error {
			return expect(portOf(c.Node(1)), []string{"CLUSTER", "INFO"}, "cluster_state:ok")
		}))
		t.Logf("after %v", time.Since(start).Round(time.Millisecond))
		c.Node(0).Start(t)
		require.NoError(t, until(role(c.Node(0), "slave")))
		require.NoError(t, role(c.Node(4), "slave")())
	})
	t.Run("sentinel", func(t *testing.T) {
		s, name := RedisSentinel(t)
		require.Len(t, s.Addrs, sentinels)
		require.Equal(t, s.Addr, s.Node(2).Addr)
		master := func() string {
			answer, err := askRESP(portOf(s.Node(3)), nil, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
			require.NoError(t, err)
			return strings.ReplaceAll(answer, "\n", ":")
		}
		require.Equal(t, s.Node(0).Addr, master())
		start := time.Now()
		s.Node(0).Pause(t)
		require.NoError(t, until(role(s.Node(1), "master")))
		require.NoError(t, until(func() error {
			if got := master(); got != s.Node(1).Addr {
				return assert.AnError
			}
			return nil
		}))
		t.Logf("after %v", time.Since(start).Round(time.Millisecond))
		s.Node(0).Resume(t) // The sentinels make a replica of it 8 s later.
		// The new master knows its place after the next start, too.
		s.Node(1).Kill(t)
		s.Node(1).Start(t)
		require.NoError(t, role(s.Node(1), "master")())
	})
}
