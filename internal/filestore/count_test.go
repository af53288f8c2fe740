package filestore

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/driver"
)

func TestCount(t *testing.T) {
	dir := t.TempDir()
	b, ctx, now := open(t, dir), t.Context(), time.Now()
	want := func(want int) {
		t.Helper()
		n, err := b.Count(ctx, now)
		require.NoError(t, err)
		assert.Equal(t, want, n)
	}
	want(0)

	// Ours, and those of v1.6.6, which begin and end in the time of the file.
	require.NoError(t, b.Create(ctx, "abours", driver.Record{Expiry: now.Add(time.Second)}))
	require.NoError(t, b.Create(ctx, "zzours", driver.Record{Expiry: now}))
	writeLegacy(t, dir, "abtheirs", nil, now.Add(-time.Hour+time.Second))
	writeLegacy(t, dir, "cdover", []byte("x"), now.Add(-time.Hour))
	writeLegacy(t, dir, "cdfuture", []byte("x"), now.Add(time.Hour))
	want(3)

	// What is no session, or not in its place, wherever it may be.
	writeLegacy(t, dir, "ab", nil, now)
	writeLegacy(t, dir, "abUpper", nil, now)
	for _, name := range []string{"abc", "a/abc", "a/b/cdwrong", "a/b/" + tempName(now.Unix(), 1), "x"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "a/b/abfolder"), 0o700))
	if err := os.Symlink("abours", filepath.Join(dir, "a/b/ablink")); err != nil {
		t.Log("no links here:", err)
	}
	want(3)

	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err := b.Count(ended, now)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, b.Close())
	n, err := b.Count(ctx, now)
	require.Error(t, err, "counted %d in a store that is closed", n)
	assert.ErrorContains(t, err, "file: count: ")
}
