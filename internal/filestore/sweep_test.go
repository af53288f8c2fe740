package filestore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/driver"
)

// sweepAll calls DeleteExpired the way a Store does.
func sweepAll(t testing.TB, b *Backend, now time.Time, limit int) (calls []int) {
	t.Helper()
	for {
		n, err := b.DeleteExpired(t.Context(), now, limit)
		require.NoError(t, err)
		calls = append(calls, n)
		if n != limit {
			return calls
		}
	}
}

func TestSweep(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "abvictim")
	require.NoError(t, os.WriteFile(outside, nil, 0o600))
	dir := t.TempDir()
	b := open(t, dir)
	now := time.Now()
	put := func(path string, mtime time.Time) string {
		path = filepath.Join(dir, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
		require.NoError(t, os.Chtimes(path, mtime, mtime))
		return path
	}
	expired, fresh := now.Add(-time.Hour), now.Add(-time.Hour+time.Millisecond)
	stale, young := now.Add(-tempAge-time.Minute).Unix(), now.Add(-tempAge+time.Minute).Unix()

	// What must go. Whatever the time of a temporary file, its name counts.
	remove := []string{
		put("a/b/abc", expired),
		put("a/b/abexpired", expired),
		put("z/9/z9expired", now.Add(-24*365*time.Hour)),
		put("a/b/"+tempName(stale, 1), fresh),
		put("a/b/"+tempName(stale, 1<<63), now.Add(time.Hour)),
		put(tempName(stale, 7), expired),
	}
	// What must stay: live sessions, and everything that is not ours.
	keep := []string{
		put("a/b/abfresh", fresh),
		put("a/b/abahead", now.Add(time.Hour)),
		put("a/b/"+tempName(young, 1), expired),
		put("a/b/.tmp-", expired),
		put("a/b/.tmp-1-", expired),
		put("a/b/.tmp-1-1-1", expired),
		put("a/b/.tmp-01-1", expired),
		put("a/b/.tmp-abc", expired),
		put("a/b/.nfs0001", expired),
		put("a/b/ab", expired),
		put("a/b/abUPPER", expired),
		put("a/b/abc.txt", expired),
		put("a/b/bamisplaced", expired),
		put("a/b/c/abdeeper", expired),
		put("a/abshallow", expired),
		put("abroot", expired),
		put("README", expired),
		put("other/folder/file", expired),
		put("a/b/abfolder/inside", expired),
	}
	require.NoError(t, os.Chtimes(filepath.Join(dir, "a/b/abfolder"), expired, expired))
	link := filepath.Join(dir, "a/b/ablink")
	require.NoError(t, os.Symlink(outside, link))
	require.NoError(t, os.Chtimes(outside, expired, expired))

	n, err := b.DeleteExpired(t.Context(), now, 1000)
	require.NoError(t, err)
	assert.Equal(t, 3, n, "the sessions removed")
	for _, path := range remove {
		assert.NoFileExists(t, path)
	}
	for _, path := range append(keep, outside) {
		assert.FileExists(t, path)
	}
	_, err = os.Lstat(link)
	assert.NoError(t, err)
}

func TestSweepLimit(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	expired := driver.Record{Expiry: time.Now().Add(-time.Minute)}
	fill := func() {
		for i := range 25 {
			require.NoError(t, b.Create(t.Context(), fmt.Sprintf("%c%cexpired%d", 'a'+i%3, 'a'+i%2, i), expired))
		}
	}
	fill()
	require.NoError(t, b.Create(t.Context(), testID, record("1")))
	assert.Equal(t, []int{10, 10, 5}, sweepAll(t, b, time.Now(), 10))
	assert.Len(t, files(t, dir), 1)

	// What comes in front of the place where the last call stopped is found later.
	fill()
	n, err := b.DeleteExpired(t.Context(), time.Now(), 20)
	require.NoError(t, err)
	assert.Equal(t, 20, n)
	fillAgain := driver.Record{Expiry: time.Now().Add(-time.Minute)}
	require.NoError(t, b.Create(t.Context(), "aaagain", fillAgain))
	require.NoError(t, b.Create(t.Context(), "zzagain", fillAgain))
	n, err = b.DeleteExpired(t.Context(), time.Now(), 1)
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	assert.FileExists(t, pathOf(dir, "aaagain"), "a call must go on where the last one stopped")
	assert.Equal(t, []int{6, 0}, sweepAll(t, b, time.Now(), 6))
	assert.Len(t, files(t, dir), 1)
}

func TestSweepEnds(t *testing.T) {
	b := open(t, t.TempDir())
	require.NoError(t, b.Create(t.Context(), testID, driver.Record{}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n, err := b.DeleteExpired(ctx, time.Now(), 10)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Zero(t, n)
}

// Another process that was stopped in the middle of something delays a sweep,
// once, and costs it only the files under that lock.
func TestSweepBusyLock(t *testing.T) {
	dir := t.TempDir()
	b, stopped := open(t, dir), open(t, dir)
	expired := driver.Record{Expiry: time.Now().Add(-time.Minute)}
	held := lockNumber(testID)
	under := []string{testID}
	for i := 0; len(under) < 20; i++ {
		if id := fmt.Sprintf("xyz%d", i); lockNumber(id) == held {
			under = append(under, id)
		}
	}
	for _, id := range append(under, otherID, "aaa", "zzz") {
		require.NoError(t, b.Create(t.Context(), id, expired))
	}
	require.NoError(t, stopped.lock(t.Context(), held))

	start := time.Now()
	assert.Equal(t, []int{3}, sweepAll(t, b, time.Now(), 10))
	assert.Less(t, time.Since(start), 10*sweepWait, "it waited for each file")
	stopped.unlock(held)
	assert.Equal(t, []int{10, 10, 0}, sweepAll(t, b, time.Now(), 10))
}

// Several servers sweep the same folder: each file is removed and counted once.
func TestSweepTogether(t *testing.T) {
	dir := t.TempDir()
	const sessions = 300
	b := open(t, dir)
	for i := range sessions {
		require.NoError(t, b.Create(t.Context(), fmt.Sprintf("%c%cid%d", 'a'+i%5, 'a'+i%3, i), driver.Record{}))
	}
	var removed atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		b := open(t, dir)
		wg.Go(func() {
			n, err := b.DeleteExpired(t.Context(), time.Now(), 1000)
			assert.NoError(t, err)
			removed.Add(int64(n))
		})
	}
	wg.Wait()
	assert.EqualValues(t, sessions, removed.Load())
	assert.Empty(t, files(t, dir))
}

// A session whose expiry was slid at the last moment must survive a sweep that
// runs at that moment.
func TestSweepAgainstTouch(t *testing.T) {
	dir := t.TempDir()
	b, other := open(t, dir), open(t, dir)
	kept := 0
	for range 100 {
		require.NoError(t, b.Create(t.Context(), testID, driver.Record{Data: []byte("1"), Expiry: time.Now()}))
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := other.DeleteExpired(t.Context(), time.Now(), 10)
			assert.NoError(t, err)
		})
		// The sweep reaches this folder sooner or later; so does Touch.
		touched := driver.ErrConflict
		wg.Go(func() {
			for range 20 {
				touched = b.Touch(t.Context(), testID, record("1"), time.Now())
			}
			if touched == nil {
				touched = b.Touch(t.Context(), testID, record("1"), time.Now().Add(time.Hour))
			}
		})
		wg.Wait()
		_, err := b.Load(t.Context(), testID)
		assert.Equal(t, touched == nil, err == nil, "Touch reported one thing, the sweep did another: %v, %v", touched, err)
		if err == nil {
			kept++
		}
		require.NoError(t, b.Delete(t.Context(), testID))
	}
	t.Logf("kept %d of 100", kept)
}
