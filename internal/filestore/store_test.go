package filestore

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/driver"
)

// IDs in different folders and under different locks.
const (
	testID  = "abcdefghijklmnop"
	otherID = "qrstuvwxyz012345"
)

func open(t testing.TB, dir string) *Backend {
	t.Helper()
	b, err := Open(dir, time.Hour, false)
	require.NoError(t, err)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func pathOf(dir, id string) string {
	return filepath.Join(dir, id[:1], id[1:2], id)
}

// record has an expiry an hour from now.
func record(data string) driver.Record {
	return driver.Record{Data: []byte(data), Expiry: time.Now().Add(time.Hour)}
}

// files lists everything in the folder but the locks.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var list []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.Contains(path, lockDir) {
			rel, _ := filepath.Rel(dir, path)
			list = append(list, filepath.ToSlash(rel))
		}
		return err
	}))
	return list
}

func TestLayout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "sessions")
	b := open(t, dir)
	rec := record("data")
	require.NoError(t, b.Create(t.Context(), testID, rec))

	assert.Equal(t, []string{"a/b/" + testID}, files(t, dir), "one file, and no temporary one left")
	fi, err := os.Stat(pathOf(dir, testID))
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o600), fi.Mode())
	// v1.6.6 takes the modification time for the last access.
	assert.WithinDuration(t, rec.Expiry.Add(-time.Hour), fi.ModTime(), time.Millisecond)
	for _, folder := range []string{".", "a", "a/b", lockDir} {
		fi, err := os.Stat(filepath.Join(dir, folder))
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o700), fi.Mode().Perm(), folder)
	}

	got, err := b.Load(t.Context(), testID)
	require.NoError(t, err)
	assert.Equal(t, "data", string(got.Data))
	assert.WithinDuration(t, rec.Expiry, got.Expiry, time.Millisecond)
	assert.False(t, got.Expiry.After(rec.Expiry), "an expiry must never get later")
}

func TestContract(t *testing.T) {
	for _, sync := range []bool{false, true} {
		dir := t.TempDir()
		b, err := Open(dir, time.Hour, sync)
		require.NoError(t, err)
		ctx := t.Context()
		content := func(id string) string {
			rec, err := b.Load(ctx, id)
			if err != nil {
				require.Equal(t, driver.ErrNotFound, err)
				return "none"
			}
			return string(rec.Data)
		}

		// Nothing there.
		assert.Equal(t, driver.ErrConflict, b.Replace(ctx, testID, driver.Record{}, record("x")))
		assert.Equal(t, driver.ErrConflict, b.Move(ctx, testID, otherID, driver.Record{}, record("x")))
		assert.Equal(t, driver.ErrConflict, b.Touch(ctx, testID, record("1"), time.Now()))
		assert.NoError(t, b.Delete(ctx, testID))
		assert.Empty(t, files(t, dir), "none of these may make a file")

		// One there.
		require.NoError(t, b.Create(ctx, testID, record("1")))
		assert.Equal(t, driver.ErrExists, b.Create(ctx, testID, record("x")))
		assert.Equal(t, driver.ErrConflict, b.Replace(ctx, testID, record("0"), record("x")))
		assert.Equal(t, driver.ErrConflict, b.Move(ctx, testID, otherID, record("0"), record("x")))
		assert.Equal(t, "1", content(testID))
		require.NoError(t, b.Replace(ctx, testID, record("1"), record("2")))
		assert.Equal(t, "2", content(testID))

		expiry := time.Now().Add(3 * time.Hour)
		require.NoError(t, b.Touch(ctx, testID, record("2"), expiry))
		rec, err := b.Load(ctx, testID)
		require.NoError(t, err)
		assert.Equal(t, "2", string(rec.Data))
		assert.WithinDuration(t, expiry, rec.Expiry, time.Millisecond)

		// Moving, also onto one that is there, and onto itself.
		require.NoError(t, b.Create(ctx, otherID, record("other")))
		assert.Equal(t, driver.ErrExists, b.Move(ctx, testID, otherID, record("2"), record("3")))
		assert.Equal(t, driver.ErrExists, b.Move(ctx, testID, testID, record("2"), record("3")))
		assert.Equal(t, "2", content(testID))
		assert.Equal(t, "other", content(otherID))
		require.NoError(t, b.Delete(ctx, otherID))
		require.NoError(t, b.Move(ctx, testID, otherID, record("2"), record("3")))
		assert.Equal(t, []string{"q/r/" + otherID}, files(t, dir))
		assert.Equal(t, "3", content(otherID))

		require.NoError(t, b.Delete(ctx, otherID))
		assert.Empty(t, files(t, dir))
		require.NoError(t, b.Close())
	}
}

// When the old file cannot be removed, the new one must not stay beside it.
func TestMoveUndone(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	require.NoError(t, b.Create(t.Context(), testID, record("1")))
	likeAnybody(t, dir)
	folder := filepath.Dir(pathOf(dir, testID))
	require.NoError(t, os.Chmod(folder, 0o500))
	err := b.Move(t.Context(), testID, otherID, record("1"), record("2"))
	assert.EqualError(t, err, "file: move: permission denied"+denied)
	assert.Equal(t, []string{"a/b/" + testID}, files(t, dir))
	require.NoError(t, os.Chmod(folder, 0o700))
	assert.NoError(t, b.Move(t.Context(), testID, otherID, record("1"), record("2")))
}

func TestEndedContext(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	require.NoError(t, b.Create(t.Context(), testID, record("1")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range everyMethod(ctx, b, testID, otherID) {
		assert.ErrorIs(t, err, context.Canceled, name)
	}
	got, err := b.Load(t.Context(), testID)
	require.NoError(t, err)
	assert.Equal(t, "1", string(got.Data))
	assert.Len(t, files(t, dir), 1)
}

// everyMethod calls each method once, with an old value of "1".
func everyMethod(ctx context.Context, b *Backend, id, newID string) map[string]error {
	errs := make(map[string]error)
	_, errs["Load"] = b.Load(ctx, id)
	errs["Create"] = b.Create(ctx, newID, record("x"))
	errs["Replace"] = b.Replace(ctx, id, record("1"), record("x"))
	errs["Move"] = b.Move(ctx, id, newID, record("1"), record("x"))
	errs["Touch"] = b.Touch(ctx, id, record("1"), time.Now())
	errs["Delete"] = b.Delete(ctx, id)
	_, errs["DeleteExpired"] = b.DeleteExpired(ctx, time.Now(), 10)
	return errs
}

func TestInvalidID(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "victim"), []byte("1"), 0o600))
	b := open(t, filepath.Join(dir, "sessions"))
	for _, id := range []string{"", "a", "ab", "../victim", "a/../../../victim", "ABC", "a.b", "a\x00bc", strings.Repeat("a", 129)} {
		errs := everyMethod(t.Context(), b, id, id)
		assert.Equal(t, map[string]error{
			"Load": driver.ErrNotFound, "Create": driver.ErrNotFound,
			"Replace": driver.ErrConflict, "Move": driver.ErrConflict, "Touch": driver.ErrConflict,
			"Delete": nil, "DeleteExpired": nil,
		}, errs, "%q", id)
	}
	assert.Equal(t, []string{"victim"}, files(t, dir))
}

func TestExtremeExpiry(t *testing.T) {
	b := open(t, t.TempDir())
	now := time.Now()
	for _, expiry := range []time.Time{{}, time.Unix(0, 0), time.Date(1500, 1, 1, 0, 0, 0, 0, time.UTC)} {
		require.NoError(t, b.Create(t.Context(), testID, driver.Record{Expiry: expiry}))
		got, err := b.Load(t.Context(), testID)
		require.NoError(t, err)
		assert.True(t, got.Expiry.Before(now), "%v became %v: a dead session lives", expiry, got.Expiry)
		require.NoError(t, b.Delete(t.Context(), testID))
	}
	never := time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	require.NoError(t, b.Create(t.Context(), testID, driver.Record{Expiry: never}))
	got, err := b.Load(t.Context(), testID)
	require.NoError(t, err)
	assert.True(t, got.Expiry.After(now.AddDate(10, 0, 0)), "a session without an end became one until %v", got.Expiry)
}

func TestTooLarge(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	require.NoError(t, b.Create(t.Context(), testID, record("1")))
	huge := driver.Record{Data: make([]byte, maxSize+1), Expiry: time.Now()}
	assert.ErrorContains(t, b.Create(t.Context(), otherID, huge), "67108865 bytes")
	assert.ErrorContains(t, b.Replace(t.Context(), testID, record("1"), huge), "67108865 bytes")
	assert.Equal(t, []string{"a/b/" + testID}, files(t, dir))

	huge.Data = huge.Data[:maxSize]
	require.NoError(t, b.Replace(t.Context(), testID, record("1"), huge))
	got, err := b.Load(t.Context(), testID)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(huge.Data, got.Data))
}

func TestUnusableRootDir(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	locks := filepath.Join(dir, "locks")
	require.NoError(t, os.Mkdir(locks, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(locks, lockDir), nil, 0o600))
	paths := []string{file, filepath.Join(file, "below"), locks}
	if os.Getuid() > 0 { // For root, and on Windows, the mode is no obstacle.
		sealed := filepath.Join(dir, "sealed")
		require.NoError(t, os.Mkdir(sealed, 0o500))
		paths = append(paths, sealed, filepath.Join(sealed, "below"))
	}
	for _, path := range paths {
		_, err := Open(path, time.Hour, false)
		require.Error(t, err)
		assert.ErrorContains(t, err, `FileConfig.RootDir "`+path+`" cannot be used`)
		assert.ErrorContains(t, err, "name a folder that this process may create")
	}
}

func TestRootDirComesAndGoes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "sessions")
	b := open(t, dir)
	require.NoError(t, b.Create(t.Context(), testID, record("1")))

	// Removed: the sessions are gone, new ones can be made.
	require.NoError(t, os.RemoveAll(dir))
	_, err := b.Load(t.Context(), testID)
	assert.Equal(t, driver.ErrNotFound, err)
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, b.Create(t.Context(), testID, record("2")))

	// Exchanged for another folder, into which another server writes.
	require.NoError(t, os.Rename(dir, dir+".old"))
	other := open(t, dir)
	require.NoError(t, other.Create(t.Context(), otherID, record("3")))
	got, err := b.Load(t.Context(), otherID)
	require.NoError(t, err)
	assert.Equal(t, "3", string(got.Data))
	_, err = b.Load(t.Context(), testID)
	assert.Equal(t, driver.ErrNotFound, err)

	// Out of order, which must not look like 'no such session', and healed.
	require.NoError(t, os.Rename(dir, dir+".new"))
	require.NoError(t, os.WriteFile(dir, nil, 0o600))
	for name, err := range everyMethod(t.Context(), b, testID, testID) {
		assert.Error(t, err, name)
		assert.NotErrorIs(t, err, driver.ErrNotFound, name)
		assert.NotErrorIs(t, err, driver.ErrConflict, name)
	}
	require.NoError(t, os.Remove(dir))
	require.NoError(t, os.Rename(dir+".new", dir))
	got, err = b.Load(t.Context(), otherID)
	require.NoError(t, err)
	assert.Equal(t, "3", string(got.Data))
}

func TestClose(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	require.NoError(t, b.Create(t.Context(), testID, record("1")))
	require.NoError(t, b.Close())
	for name, err := range everyMethod(t.Context(), b, testID, otherID) {
		assert.ErrorIs(t, err, fs.ErrClosed, name)
		assert.NotContains(t, err.Error(), testID, name)
	}
	assert.NoError(t, b.Close())
}

// A reader must see whole versions while they are being replaced.
func TestTornReads(t *testing.T) {
	b := open(t, t.TempDir())
	version := func(n int) []byte { return bytes.Repeat([]byte{byte(n)}, 1+n*997%50_000) }
	require.NoError(t, b.Create(t.Context(), testID, driver.Record{Data: version(0)}))

	const versions = 250
	done := make(chan struct{})
	var readers sync.WaitGroup
	reads := make([]int, 2)
	for i := range reads {
		readers.Go(func() {
			for last := 0; ; reads[i]++ {
				got, err := b.Load(t.Context(), testID)
				if !assert.NoError(t, err) || !assert.NotEmpty(t, got.Data) {
					return
				}
				n := int(got.Data[0])
				if !assert.True(t, bytes.Equal(version(n), got.Data), "a torn version %d", n) ||
					!assert.GreaterOrEqual(t, n, last, "an older version after a newer one") {
					return
				}
				last = n
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for n := 1; n < versions; n++ {
		require.NoError(t, b.Replace(t.Context(), testID, driver.Record{Data: version(n - 1)}, driver.Record{Data: version(n)}))
	}
	close(done)
	readers.Wait()
	for _, n := range reads {
		assert.Greater(t, n, 10, "the reader hardly ran")
	}
}

// denied is what there is to do.
const denied = ": FileConfig.RootDir and all in it have to belong to the user of this process: chown them"

// An error must not carry an ID into a log.
func TestErrorsHideIDs(t *testing.T) {
	for _, err := range []error{
		&fs.PathError{Op: "openat", Path: "a/b/" + testID, Err: fs.ErrPermission},
		&os.LinkError{Op: "rename", Old: "x", New: testID, Err: fs.ErrPermission},
	} {
		got := fail("load", err)
		assert.EqualError(t, got, "file: load: permission denied"+denied)
		assert.True(t, errors.Is(got, fs.ErrPermission))
	}
}
