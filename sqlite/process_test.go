package sqlite

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/internal/child"
	"github.com/flamego/session/internal/sqlstore"
)

func childCreate(b *sqlstore.Backend) error {
	return b.Create(context.Background(), "pid"+strconv.Itoa(os.Getpid()), record("x"))
}

// Servers that are deployed together find no file, and all try to make it.
func TestProcessesOpenFreshFile(t *testing.T) {
	for range 3 {
		path := filepath.Join(t.TempDir(), "s.db")
		var all []*child.Process
		for range 6 {
			all = append(all, start(t, "create", path))
		}
		for _, p := range all {
			p.Say("go")
		}
		for _, p := range all {
			require.NoError(t, p.Wait())
		}
		b := newBackend(t, Config{DSN: path})
		for _, p := range all {
			assert.Equal(t, "x", loadData(t, b, "pid"+strconv.Itoa(p.Process.Pid)))
		}
	}
}

func childIncrement(b *sqlstore.Backend) error {
	ctx := context.Background()
	if err := b.Create(ctx, "counter", record("0")); err != nil && !errors.Is(err, session.ErrExists) {
		return err
	}
	var g sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		g.Go(func() { errs[i] = increment(ctx, b, 8) })
	}
	g.Wait()
	return errors.Join(errs...)
}

func increment(ctx context.Context, b *sqlstore.Backend, times int) error {
	for times > 0 {
		r, err := b.Load(ctx, "counter")
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(r.Data))
		if err != nil {
			return err
		}
		err = b.Replace(ctx, "counter", r, record(strconv.Itoa(n+1)))
		if err == nil {
			times--
		} else if !errors.Is(err, session.ErrConflict) {
			return err
		}
	}
	return nil
}

func TestProcessesCompareAndSwap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	one, two := start(t, "increment", path), start(t, "increment", path)
	one.Say("go")
	two.Say("go")
	require.NoError(t, one.Wait())
	require.NoError(t, two.Wait())
	assert.Equal(t, "128", loadData(t, newBackend(t, Config{DSN: path}), "counter"), "an update was lost")
}

func childEcho(b *sqlstore.Backend) error {
	ctx := context.Background()
	for old := record("0"); stdin.Scan(); {
		next := record(stdin.Text())
		if err := b.Replace(ctx, "echo", old, next); err != nil {
			return err
		}
		old = next
		fmt.Println(stdin.Text())
	}
	return nil
}

// What one server has answered, another one must know at once.
func TestProcessesReadOthersWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.db")
	b := newBackend(t, Config{DSN: path})
	require.NoError(t, b.Create(t.Context(), "echo", record("0")))
	p := start(t, "echo", path)
	p.Say("go")

	// Busy readers keep all connections in use.
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for ctx.Err() == nil {
				_, _ = b.Load(ctx, "echo")
			}
		})
	}
	for i := range 300 {
		p.Say(i + 1)
		require.Equal(t, p.Line(), loadData(t, b, "echo"), "an old version was read")
	}
	cancel()
	readers.Wait()
	require.NoError(t, p.End())
}

// childBurst writes until it is killed, and tells what has been acknowledged.
func childBurst(b *sqlstore.Backend) error {
	ctx := context.Background()
	errs := make(chan error, 4)
	for g := range cap(errs) {
		go func() {
			id := fmt.Sprintf("burst%d", g)
			errs <- func() error {
				if err := b.Create(ctx, id, record("0")); err != nil {
					return err
				}
				for i := 1; ; i++ {
					if err := b.Replace(ctx, id, record(strconv.Itoa(i-1)), record(strconv.Itoa(i))); err != nil {
						return err
					}
					fmt.Println(g, i)
				}
			}()
		}()
	}
	return <-errs
}

func TestKilledWhileWriting(t *testing.T) {
	for range 6 {
		path := filepath.Join(t.TempDir(), "s.db")
		p := start(t, "burst", path)
		p.Say("go")
		acked := map[int]int{}
		kill := 20 + rand.IntN(3000)
		for n := 0; p.Out.Scan(); n++ {
			if n == kill {
				require.NoError(t, p.Process.Kill())
			}
			var g, i int
			_, err := fmt.Sscan(p.Out.Text(), &g, &i)
			require.NoError(t, err)
			acked[g] = max(acked[g], i)
		}
		require.Error(t, p.Wait(), "the child was not killed")
		require.NotEmpty(t, acked)

		b := newBackend(t, Config{DSN: path})
		for g, i := range acked {
			is, err := strconv.Atoi(loadData(t, b, fmt.Sprintf("burst%d", g)))
			require.NoError(t, err)
			// One more may have been written when the death came before the line.
			assert.GreaterOrEqual(t, is, i, "an acknowledged write is gone")
			assert.LessOrEqual(t, is, i+1)
		}
		require.NoError(t, write(t.Context(), b, "aaa"))
	}
}
