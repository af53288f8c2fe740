//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/child"
)

func startChild(t *testing.T, job, dir string) *child.Process {
	t.Helper()
	env := []string{childJob + "=" + job, childDir + "=" + dir}
	if openFast == nil {
		env = append(env, osRootOnly+"=1")
	}
	return child.Again(t, env...)
}

func init() {
	childJobs = map[string]func(ctx context.Context, b *Backend) error{
		"increment": func(ctx context.Context, b *Backend) error {
			fmt.Println("ready")
			_, _ = io.ReadAll(os.Stdin)
			for range 64 {
				if _, err := increment(ctx, b, testID); err != nil {
					return err
				}
			}
			return nil
		},
		// hold keeps the lock of a session until the parent closes the pipe.
		"hold": func(ctx context.Context, b *Backend) error {
			return b.exclusive(ctx, "hold", []string{testID}, func(folder) error {
				fmt.Println("ready")
				_, _ = io.ReadAll(os.Stdin)
				return nil
			})
		},
		// hammer leaves the lock alone for as short a time as possible.
		"hammer": func(ctx context.Context, b *Backend) error {
			fmt.Println("ready")
			for range 4 {
				go func() {
					for b.Touch(ctx, testID, record("1"), time.Now().Add(time.Hour)) == nil {
					}
				}()
			}
			_, _ = io.ReadAll(os.Stdin)
			return nil
		},
		// write changes sessions until it is killed, and says what it did after it was
		// told that it is done.
		"write": func(ctx context.Context, b *Backend) error {
			for i := 0; ; i++ {
				n, err := increment(ctx, b, testID)
				if err != nil {
					return err
				}
				fmt.Println("counter", n)
				id := fmt.Sprintf("%dnew%d", os.Getpid(), i)
				if err := b.Create(ctx, id, record(version(i))); err != nil {
					return err
				}
				fmt.Println("created", id, i)
				if err := b.Move(ctx, id, "moved"+id, record(version(i)), record(version(i+1))); err != nil {
					return err
				}
				fmt.Println("moved", "moved"+id, i+1)
			}
		},
	}
}

// version is some content that shows when it is not whole.
func version(n int) string {
	return fmt.Sprintf("%d:%s:%d", n, strings.Repeat("x", n*811%30_000), n)
}

// increment adds one to the number that a session holds.
func increment(ctx context.Context, b *Backend, id string) (int, error) {
	for {
		rec, err := b.Load(ctx, id)
		if err != nil {
			return 0, err
		}
		n, err := strconv.Atoi(string(rec.Data))
		if err != nil {
			return 0, err
		}
		err = b.Replace(ctx, id, rec, record(strconv.Itoa(n+1)))
		if !errors.Is(err, driver.ErrConflict) {
			return n + 1, err
		}
	}
}

func TestTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	require.NoError(t, b.Create(t.Context(), testID, record("0")))
	children := []*child.Process{startChild(t, "increment", dir), startChild(t, "increment", dir)}
	for _, c := range children {
		require.Equal(t, "ready", c.Line())
	}
	for _, c := range children {
		require.NoError(t, c.In.Close())
	}
	for _, c := range children {
		require.NoError(t, c.Wait())
	}
	got, err := b.Load(t.Context(), testID)
	require.NoError(t, err)
	assert.Equal(t, "128", string(got.Data), "increments were lost between two processes")
	assert.Equal(t, []string{"a/b/" + testID}, files(t, dir))
}

// A process that is killed leaves whole sessions, and all that it had been told
// was stored.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	require.NoError(t, b.Create(t.Context(), testID, record("0")))
	counter := 0
	stored := make(map[string]int) // by ID, as acknowledged
	const rounds = 12
	for range rounds {
		c := startChild(t, "write", dir)
		// Killed at some moment after some of its lines.
		for range 1 + rand.IntN(40) {
			noteLine(t, c.Line(), &counter, stored)
		}
		time.Sleep(rand.N(2 * time.Millisecond))
		require.NoError(t, c.Process.Kill())
		for line := c.Line(); line != ""; line = c.Line() {
			noteLine(t, line, &counter, stored)
		}
		require.EqualError(t, c.Wait(), "signal: killed", "it had ended by itself")

		got, err := b.Load(t.Context(), testID)
		require.NoError(t, err)
		n, err := strconv.Atoi(string(got.Data))
		require.NoError(t, err, "an unreadable session")
		require.Contains(t, []int{counter, counter + 1}, n, "an acknowledged version was lost")
		counter = n
	}

	for id, n := range stored {
		got, err := b.Load(t.Context(), id)
		if id, moved := strings.CutPrefix(id, "moved"); !moved && errors.Is(err, driver.ErrNotFound) {
			// It was moved, and the process died before it could say so.
			got, err = b.Load(t.Context(), "moved"+id)
			n++
		}
		require.NoError(t, err)
		assert.True(t, version(n) == string(got.Data), "an acknowledged session is not whole")
	}

	// What it had begun and not named goes with the next sweep, one hour on.
	temps := 0
	for _, name := range files(t, dir) {
		if strings.HasPrefix(path.Base(name), tempPrefix) {
			temps++
			old := tempName(time.Now().Add(-2*tempAge).Unix(), rand.Uint64())
			name = filepath.Join(dir, name)
			require.NoError(t, os.Rename(name, filepath.Join(filepath.Dir(name), old)))
		}
	}
	t.Logf("%d sessions, %d temporary files left behind", len(stored), temps)
	sweepAll(t, b, time.Now(), 1000)
	for _, name := range files(t, dir) {
		assert.NotContains(t, name, tempPrefix)
	}
}

// noteLine takes down what a writing process says it did.
func noteLine(t *testing.T, line string, counter *int, stored map[string]int) {
	t.Helper()
	words := strings.Fields(line)
	switch {
	case line == "":
	case words[0] == "counter" && len(words) == 2:
		n, err := strconv.Atoi(words[1])
		require.NoError(t, err)
		*counter = n
	case len(words) == 3:
		n, err := strconv.Atoi(words[2])
		require.NoError(t, err)
		stored[words[1]] = n
		if from, ok := strings.CutPrefix(words[1], "moved"); ok {
			delete(stored, from)
		}
	default:
		t.Fatal(line)
	}
}

// A stopped process cannot be waited for: a request fails by its deadline, and
// all is well when the process goes on.
func TestStoppedHolder(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	require.NoError(t, b.Create(t.Context(), testID, record("1")))
	require.NoError(t, b.Create(t.Context(), otherID, record("1")))
	c := startChild(t, "hold", dir)
	require.Equal(t, "ready", c.Line())
	stop(t, c.Process)
	require.NoError(t, c.In.Close()) // It may let go, but cannot.

	start := time.Now()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			assert.ErrorIs(t, b.Replace(ctx, testID, record("1"), record("2")), context.DeadlineExceeded)
			// Reading needs no lock, and most sessions have others.
			got, err := b.Load(t.Context(), testID)
			assert.NoError(t, err)
			assert.Equal(t, "1", string(got.Data))
			assert.NoError(t, b.Touch(t.Context(), otherID, record("1"), time.Now()))
		})
	}
	wg.Wait()
	assert.Less(t, time.Since(start), 5*time.Second)
	// Opening the folder does not wait either.
	open(t, dir)

	require.NoError(t, c.Process.Signal(syscall.SIGCONT))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	assert.NoError(t, b.Replace(ctx, testID, record("1"), record("2")))
}

// stop returns when the process has stopped, which takes its time.
func stop(t *testing.T, p *os.Process) {
	t.Helper()
	require.NoError(t, p.Signal(syscall.SIGSTOP))
	var status syscall.WaitStatus
	_, err := syscall.Wait4(p.Pid, &status, syscall.WUNTRACED, nil)
	require.NoError(t, err)
	require.True(t, status.Stopped())
}

// The lock of a process that died is free.
func TestKilledHolder(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	require.NoError(t, b.Create(t.Context(), testID, record("1")))
	c := startChild(t, "hold", dir)
	require.Equal(t, "ready", c.Line())
	require.NoError(t, c.Process.Kill())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	assert.NoError(t, b.Replace(ctx, testID, record("1"), record("2")))
}

// A process that always wants a lock must not keep others from it.
func TestBusyHolder(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	require.NoError(t, b.Create(t.Context(), testID, record("0")))
	c := startChild(t, "hammer", dir)
	require.Equal(t, "ready", c.Line())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	start := time.Now()
	for range 20 {
		_, err := increment(ctx, b, testID)
		require.NoError(t, err)
	}
	t.Logf("20 changes took %v", time.Since(start))
}

// The collector of v1.6.6 removes old files, whatever they are.
func TestLockRemoved(t *testing.T) {
	dir := t.TempDir()
	a, b := open(t, dir), open(t, dir)
	n := lockNumber(testID)
	path := filepath.Join(dir, lockDir, fmt.Sprintf("%02x", n))

	// One has the lock file open, then it is removed, and another gets the new one:
	// the first must notice that it locked a file that nobody finds.
	require.NoError(t, a.lock(t.Context(), n))
	a.unlock(n)
	require.NoError(t, os.Remove(path))
	require.NoError(t, b.lock(t.Context(), n))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, a.lock(ctx, n), context.DeadlineExceeded, "two have the same lock")
	b.unlock(n)
	require.NoError(t, a.lock(t.Context(), n))
	a.unlock(n)

	// Which it does not do while a lock is in use: the file looks new.
	fi, err := os.Stat(path)
	require.NoError(t, err)
	assert.True(t, fi.ModTime().After(time.Now().AddDate(0, 6, 0)))

	require.NoError(t, os.RemoveAll(filepath.Dir(path)))
	assert.NoError(t, a.Create(t.Context(), testID, record("1")))

	// The lock files of a RootDir that was exchanged are of no use either.
	require.NoError(t, os.Rename(dir, dir+".old"))
	c := open(t, dir)
	require.NoError(t, c.lock(t.Context(), n))
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, a.Create(ctx, testID, record("1")), context.DeadlineExceeded, "two have the same lock")
	c.unlock(n)
	assert.NoError(t, a.Create(t.Context(), testID, record("1")))
	assert.FileExists(t, pathOf(dir, testID))
}
