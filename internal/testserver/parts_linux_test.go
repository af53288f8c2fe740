package testserver

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Servers that start at the same time get ports of their own, and one whose port
// is taken by somebody else gets another.
func TestPorts(t *testing.T) {
	const n = 50
	held := make([]*ports, n)
	numbers := make([]int, n)
	require.NoError(t, parallel(held, func(i int, _ *ports) (err error) {
		held[i], numbers[i], err = freePort()
		return err
	}))
	slices.Sort(numbers)
	assert.Len(t, slices.Compact(numbers), n, "two have the same port")
	for _, p := range held {
		p.release()
	}

	path, err := programPath("redis-server")
	if err != nil {
		t.Skip("NOT TESTED: a port that is taken:", err)
	}
	first := true
	s, err := fresh("", func(s *throwaway) (*Server, error) {
		err := s.serve(program{
			command: func(port int) (command, error) {
				if first {
					first = false
					other, err := net.Listen("tcp", loopback(port))
					require.NoError(t, err)
					t.Cleanup(func() { _ = other.Close() })
				}
				return command{Args: []string{path, "--bind", "127.0.0.1", "--port", strconv.Itoa(port)}, Env: plainEnv()}, nil
			},
			ready: askRedis,
		})
		return s.server("Redis", ""), err
	})
	require.NoError(t, err)
	defer s.Close()
	assert.False(t, first)
	assert.NoError(t, askRedis(portOf(s)))
}

// What goes wrong is told with the end of the log.
func TestStartFails(t *testing.T) {
	path, err := programPath("sh")
	require.NoError(t, err)
	start := func(script string) error {
		_, err := fresh("", func(s *throwaway) (*Server, error) {
			err := s.serve(program{
				command: func(int) (command, error) { return command{Args: []string{path, "-c", script}}, nil },
				ready:   askRedis,
			})
			return s.server("", ""), err
		})
		return err
	}
	err = start("echo bad configuration; exit 3")
	assert.ErrorIs(t, err, errNotRunning)
	assert.ErrorContains(t, err, "exit status 3")
	assert.ErrorContains(t, err, "bad configuration")
	err = start("kill -TERM $$")
	assert.ErrorContains(t, err, "signal 15")

	k, err := newKeeper("")
	require.NoError(t, err)
	err = k.run(command{Args: []string{"/no/such/program"}})
	assert.ErrorContains(t, err, "no such file")
	err = k.run(command{Args: []string{path, "-c", "echo some words; exit 4"}})
	assert.ErrorContains(t, err, "exit status 4")
	assert.ErrorContains(t, err, "some words")
	assert.NoError(t, k.run(command{Args: []string{path, "-c", "exit 0"}}), "it goes on after a failure")
	k.close()
	assert.False(t, exists(k.dir))
	assert.Error(t, k.alive())
	k.close() // Once more is fine.
	_, err = newKeeper("/no/such/folder")
	assert.ErrorContains(t, err, "no such file")
}

// What is being prepared is seen by nobody until it is complete, and prepared once.
func TestPrepared(t *testing.T) {
	t.Setenv("FLAMEGO_SESSION_CACHE", t.TempDir())
	made := make(chan bool, 10)
	paths := make([]string, 8)
	err := parallel(paths, func(i int, _ string) (err error) {
		paths[i], err = prepared("thing", func(k *keeper) (string, error) {
			made <- true
			sh := []string{"/bin/sh", "-c", "mkdir $0 && sleep 0.1 && echo whole >$0/file", k.dir + "/thing"}
			return k.dir + "/thing", k.run(command{Args: sh})
		})
		return err
	})
	require.NoError(t, err)
	assert.Len(t, made, 1)
	for _, path := range paths {
		assert.Equal(t, paths[0], path)
	}
	assert.True(t, exists(paths[0]+"/file"))

	tries := 0
	for range 2 {
		_, err = prepared("bad", func(*keeper) (string, error) {
			tries++
			return "", assert.AnError
		})
		assert.ErrorIs(t, err, assert.AnError)
	}
	assert.Equal(t, 1, tries, "it is tried again in vain")
}

func TestMirror(t *testing.T) {
	const sources = `Types: deb
# a comment
URIs: http://other.invalid/debian
Suites: nodistro
Components: main

Types: deb
URIs: http://security.invalid/debian-security
Suites: bookworm-security

Types: deb
URIs: mirror+file:/etc/mirrors https://deb.invalid/debian
Suites: bookworm bookworm-updates
`
	assert.Equal(t, "https://deb.invalid/debian", mirrorOfSources(sources, "bookworm"))
	assert.Empty(t, mirrorOfSources(sources, "trixie"))
	const list = `# deb http://comment.invalid/debian bookworm main
deb-src http://source.invalid/debian bookworm main

deb http://cloud.invalid/apt cloud-sdk-bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] http://deb.invalid/debian bookworm main
deb http://deb.invalid/debian trixie main
`
	assert.Equal(t, "http://deb.invalid/debian", mirrorOfList(list, "bookworm"))
	assert.Empty(t, mirrorOfList(list, "sid"))
	assert.Empty(t, mirrorOfList(strings.Repeat("deb\n", 2), "bookworm"))
}
