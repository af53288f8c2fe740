package session

import (
	"bytes"
	"encoding/gob"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// v1.6.6 writes the file in place and sets its time to that of the access.
func writeLegacy(t testing.TB, dir, id string, data []byte, accessed time.Time) {
	t.Helper()
	path := filePath(dir, id)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, data, 0o600))
	require.NoError(t, os.Chtimes(path, accessed, accessed))
}

func TestFileLegacy(t *testing.T) {
	dir := t.TempDir()
	store, err := FileIniter()(t.Context(), FileConfig{RootDir: dir, Lifetime: time.Hour}, IDWriter(nil))
	require.NoError(t, err)

	// Theirs, for us.
	var buf bytes.Buffer
	require.NoError(t, gob.NewEncoder(&buf).Encode(map[any]any{"user": "flamego", 1: 2}))
	writeLegacy(t, dir, fileID, buf.Bytes(), time.Now().Add(-59*time.Minute))
	writeLegacy(t, dir, fileOtherID, buf.Bytes(), time.Now().Add(-61*time.Minute))
	assert.True(t, store.Exist(t.Context(), fileID))
	assert.False(t, store.Exist(t.Context(), fileOtherID), "expired a minute ago")
	s, err := store.Read(t.Context(), fileID)
	require.NoError(t, err)
	assert.Equal(t, "flamego", s.Get("user"))
	assert.Equal(t, 2, s.Get(1))

	// Ours, for them: expired when mtime + Lifetime has come.
	s.Set("visits", 3)
	before := time.Now()
	require.NoError(t, store.Save(t.Context(), s))
	raw, err := os.ReadFile(filePath(dir, fileID))
	require.NoError(t, err)
	data := make(map[any]any)
	require.NoError(t, gob.NewDecoder(bytes.NewReader(raw)).Decode(&data))
	assert.Equal(t, map[any]any{"user": "flamego", 1: 2, "visits": 3}, data)
	fi, err := os.Stat(filePath(dir, fileID))
	require.NoError(t, err)
	left := fi.ModTime().Add(time.Hour).Sub(before)
	assert.GreaterOrEqual(t, left, time.Hour-time.Millisecond)
	assert.Less(t, left, time.Hour+4*time.Minute)

	// Their Touch, and ours.
	require.NoError(t, os.Chtimes(filePath(dir, fileID), time.Time{}, before.Add(-50*time.Minute)))
	require.NoError(t, store.Touch(t.Context(), fileID))
	fi, err = os.Stat(filePath(dir, fileID))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, fi.ModTime().Add(time.Hour).Sub(before), time.Hour-time.Millisecond)

	// Neither brings back what has expired.
	require.NoError(t, os.Chtimes(filePath(dir, fileID), time.Time{}, before.Add(-2*time.Hour)))
	assert.False(t, store.Exist(t.Context(), fileID))
	require.NoError(t, store.Touch(t.Context(), fileID))
	assert.False(t, store.Exist(t.Context(), fileID))
}

// While v1.6.6 rewrites a file it is empty for a moment.
func TestFileLegacyWriting(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := newTestFiles(t, dir)
		writeLegacy(t, dir, fileID, nil, time.Now())
		got := make(chan string)
		go func() {
			rec, err := b.Load(t.Context(), fileID)
			assert.NoError(t, err)
			got <- string(rec.Data)
		}()
		synctest.Wait() // Load has found it empty, and waits.
		writeLegacy(t, dir, fileID, []byte("data"), time.Now())
		assert.Equal(t, "data", <-got)

		// What stays empty has been left behind.
		for age, most := range map[time.Duration]time.Duration{0: time.Second, time.Minute: fileSettles} {
			writeLegacy(t, dir, fileID, nil, time.Now().Add(-age))
			start := time.Now()
			rec, err := b.Load(t.Context(), fileID)
			require.NoError(t, err)
			assert.Empty(t, rec.Data)
			assert.Less(t, time.Since(start), most+5*time.Millisecond)
		}
	})
}

// A larger file may also be found filled in part, and its time is still that of
// the version before for a moment.
func TestFileLegacyHalfWritten(t *testing.T) {
	dir := t.TempDir()
	whole, err := GobEncoder(Data{"user": "flamego"})
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		store := NewStore(newTestFiles(t, dir), StoreConfig{})
		before := time.Now().Add(3 * time.Minute)
		writeLegacy(t, dir, fileID, whole[:len(whole)-1], before)
		got := make(chan any)
		go func() {
			s, err := store.Read(t.Context(), fileID)
			assert.NoError(t, err)
			got <- s.Get("user")
		}()
		synctest.Wait() // Read has found half of it, and waits.
		writeLegacy(t, dir, fileID, whole, time.Now())
		assert.Equal(t, "flamego", <-got)

		// What stays so is nonsense.
		writeLegacy(t, dir, fileID, whole[:len(whole)-1], before)
		start := time.Now()
		_, err := store.Read(t.Context(), fileID)
		assert.True(t, isDecodeError(err), err)
		assert.Less(t, time.Since(start), fileSettles+5*time.Millisecond)
	})
}
