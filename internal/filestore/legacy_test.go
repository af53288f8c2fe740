package filestore

import (
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
	path := pathOf(dir, id)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, data, 0o600))
	require.NoError(t, os.Chtimes(path, accessed, accessed))
}

// While v1.6.6 rewrites a file it is empty for a moment.
func TestLegacyWriting(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := open(t, dir)
		writeLegacy(t, dir, testID, nil, time.Now())
		got := make(chan string)
		go func() {
			rec, err := b.Load(t.Context(), testID)
			assert.NoError(t, err)
			got <- string(rec.Data)
		}()
		synctest.Wait() // Load has found it empty, and waits.
		writeLegacy(t, dir, testID, []byte("data"), time.Now())
		assert.Equal(t, "data", <-got)

		// What stays empty has been left behind.
		for age, most := range map[time.Duration]time.Duration{0: time.Second, time.Minute: settles} {
			writeLegacy(t, dir, testID, nil, time.Now().Add(-age))
			start := time.Now()
			rec, err := b.Load(t.Context(), testID)
			require.NoError(t, err)
			assert.Empty(t, rec.Data)
			assert.Less(t, time.Since(start), most+5*time.Millisecond)
		}
	})
}
