package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/driver/drivertest"
	"github.com/flamego/session/test/backendtest"
)

// serverOf makes the options of a server on the database file.
func serverOf(path string) session.Options {
	return session.Options{
		Initer: Initer(),
		Config: Config{DSN: path, InitTable: true},
	}
}

func TestConformance(t *testing.T) {
	var path string
	drivertest.Suite{
		Open: func(t *testing.T) func() session.Options {
			path = filepath.Join(t.TempDir(), "sessions.db")
			return func() session.Options { return serverOf(path) }
		},
		Corrupt: func(t *testing.T, id string) {
			backendtest.ChangeRow(t, "sqlite", path, "UPDATE sessions SET data = 'garbage' WHERE key = ?", id)
		},
	}.Run(t)
}

func TestProcesses(t *testing.T) {
	drivertest.Processes(t, "sqlite", func(t *testing.T) string {
		return filepath.Join(t.TempDir(), "sessions.db")
	})
}

func TestRawStorage(t *testing.T) {
	backendtest.Encrypted(t, func(t *testing.T, enc session.Encoder, dec session.Decoder) (session.Options, func(*testing.T) []byte) {
		dir := t.TempDir()
		opt := session.Options{
			Initer: Initer(),
			Config: Config{DSN: filepath.Join(dir, "sessions.db"), InitTable: true, Encoder: enc, Decoder: dec},
		}
		return opt, func(t *testing.T) []byte {
			var all []byte
			files, err := os.ReadDir(dir) // The write-ahead log too.
			require.NoError(t, err)
			require.Greater(t, len(files), 1)
			for _, f := range files {
				b, err := os.ReadFile(filepath.Join(dir, f.Name()))
				require.NoError(t, err)
				all = append(all, b...)
			}
			return all
		}
	})
}

// TestOwnersByHashes lists sessions from before HashIDs together with later ones.
func TestOwnersByHashes(t *testing.T) {
	ctx := t.Context()
	cfg := Config{DSN: filepath.Join(t.TempDir(), "s.db"), InitTable: true}
	var last *session.Manager
	for i, hash := range []bool{false, false, true, true} {
		m, err := session.NewManager(session.Options{Initer: Initer(), Config: cfg, HashIDs: hash})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, m.Close(context.Background())) })
		s, err := m.Store().Read(ctx, strings.Repeat("abcd"[i:i+1], 32))
		require.NoError(t, err)
		session.SetLabel(s, strconv.Itoa(i))
		require.NoError(t, session.SetOwner(s, "ann"))
		require.NoError(t, m.Store().Save(ctx, s))
		last = m
	}
	list, err := last.Sessions(ctx, "ann")
	require.NoError(t, err)
	var labels []string
	for _, i := range list {
		labels = append(labels, i.Label)
	}
	require.Equal(t, []string{"0", "1", "2", "3"}, labels)
	require.NoError(t, last.EndAll(ctx, "ann", list[3].Handle))
	for i := range 4 {
		require.Equal(t, i == 3, last.Store().Exist(ctx, strings.Repeat("abcd"[i:i+1], 32)))
	}
}
