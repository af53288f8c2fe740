package filestore_test

import (
	"bytes"
	"encoding/gob"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session"
	"github.com/flamego/session/driver"
	"github.com/flamego/session/driver/drivertest"
	"github.com/flamego/session/internal/filestore"
)

// TestBackendContract runs the contract on two instances that share a folder.
func TestBackendContract(t *testing.T) {
	drivertest.Backend(t, func(t *testing.T) func() session.Backend {
		dir := t.TempDir()
		return func() session.Backend { return filestore.OpenTest(t, dir) }
	})
}

// Whatever is found under a visitor's ID, the visitor is served, and can have a
// session.
func TestHostileServed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege on Windows")
	}
	for _, h := range filestore.Hostiles() {
		t.Run(h.Name, func(t *testing.T) {
			if h.Folder {
				// A new ID may belong there as well, once in 36 or 1296 times.
				t.Skip("see TestHostile")
			}
			dir := t.TempDir()
			path := filestore.PathOf(dir, filestore.TestID)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			h.Make(t, path, filepath.Join(t.TempDir(), "none"), filepath.Join(dir, "none"))
			var reports []string
			m, err := session.NewManager(session.Options{
				Initer:    session.FileIniter(),
				Config:    session.FileConfig{RootDir: dir},
				ErrorFunc: func(err error) { reports = append(reports, err.Error()) },
			})
			require.NoError(t, err)
			f := flamego.New()
			f.Use(m.Sessioner())
			f.Get("/", func(s session.Session) string {
				s.Set("x", 1)
				return "served"
			})

			resp := httptest.NewRecorder()
			req := httptest.NewRequest(http.MethodGet, "/", nil)
			req.Header.Set("Cookie", "flamego_session="+filestore.TestID)
			filestore.Within(t, func() { f.ServeHTTP(resp, req) })
			assert.Equal(t, http.StatusOK, resp.Code)
			assert.Equal(t, "served", resp.Body.String())
			cookie := resp.Header().Get("Set-Cookie")
			assert.NotContains(t, cookie, filestore.TestID)
			assert.True(t, strings.HasPrefix(cookie, "flamego_session="), cookie)
			if h.Load != "missing" {
				require.Len(t, reports, 1)
				assert.Regexp(t, "decode: |unreadable record: ", reports[0])
				assert.NotContains(t, reports[0], filestore.TestID)
			}
			require.NoError(t, m.Close(t.Context()))
		})
	}
}

func TestLegacy(t *testing.T) {
	dir := t.TempDir()
	store, err := session.FileIniter()(t.Context(), session.FileConfig{RootDir: dir, Lifetime: time.Hour}, session.IDWriter(nil))
	require.NoError(t, err)

	// Theirs, for us.
	var buf bytes.Buffer
	require.NoError(t, gob.NewEncoder(&buf).Encode(map[any]any{"user": "flamego", 1: 2}))
	filestore.WriteLegacy(t, dir, filestore.TestID, buf.Bytes(), time.Now().Add(-59*time.Minute))
	filestore.WriteLegacy(t, dir, filestore.OtherID, buf.Bytes(), time.Now().Add(-61*time.Minute))
	assert.True(t, store.Exist(t.Context(), filestore.TestID))
	assert.False(t, store.Exist(t.Context(), filestore.OtherID), "expired a minute ago")
	s, err := store.Read(t.Context(), filestore.TestID)
	require.NoError(t, err)
	assert.Equal(t, "flamego", s.Get("user"))
	assert.Equal(t, 2, s.Get(1))

	// Ours, for them: expired when mtime + Lifetime has come.
	s.Set("visits", 3)
	before := time.Now()
	require.NoError(t, store.Save(t.Context(), s))
	raw, err := os.ReadFile(filestore.PathOf(dir, filestore.TestID))
	require.NoError(t, err)
	data := make(map[any]any)
	require.NoError(t, gob.NewDecoder(bytes.NewReader(raw)).Decode(&data))
	assert.Equal(t, map[any]any{"user": "flamego", 1: 2, "visits": 3}, data)
	fi, err := os.Stat(filestore.PathOf(dir, filestore.TestID))
	require.NoError(t, err)
	left := fi.ModTime().Add(time.Hour).Sub(before)
	assert.GreaterOrEqual(t, left, time.Hour-time.Millisecond)
	assert.Less(t, left, time.Hour+4*time.Minute)

	// Their Touch, and ours.
	require.NoError(t, os.Chtimes(filestore.PathOf(dir, filestore.TestID), time.Time{}, before.Add(-50*time.Minute)))
	require.NoError(t, store.Touch(t.Context(), filestore.TestID))
	fi, err = os.Stat(filestore.PathOf(dir, filestore.TestID))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, fi.ModTime().Add(time.Hour).Sub(before), time.Hour-time.Millisecond)

	// Neither brings back what has expired.
	require.NoError(t, os.Chtimes(filestore.PathOf(dir, filestore.TestID), time.Time{}, before.Add(-2*time.Hour)))
	assert.False(t, store.Exist(t.Context(), filestore.TestID))
	require.NoError(t, store.Touch(t.Context(), filestore.TestID))
	assert.False(t, store.Exist(t.Context(), filestore.TestID))
}

// A larger file may also be found filled in part, and its time is still that of
// the version before for a moment.
func TestLegacyHalfWritten(t *testing.T) {
	dir := t.TempDir()
	whole, err := session.GobEncoder(session.Data{"user": "flamego"})
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		store := session.NewStore(filestore.OpenTest(t, dir), session.StoreConfig{})
		before := time.Now().Add(3 * time.Minute)
		filestore.WriteLegacy(t, dir, filestore.TestID, whole[:len(whole)-1], before)
		got := make(chan any)
		go func() {
			s, err := store.Read(t.Context(), filestore.TestID)
			assert.NoError(t, err)
			got <- s.Get("user")
		}()
		synctest.Wait() // Read has found half of it, and waits.
		filestore.WriteLegacy(t, dir, filestore.TestID, whole, time.Now())
		assert.Equal(t, "flamego", <-got)

		// What stays so is nonsense.
		filestore.WriteLegacy(t, dir, filestore.TestID, whole[:len(whole)-1], before)
		start := time.Now()
		_, err := store.Read(t.Context(), filestore.TestID)
		assert.ErrorIs(t, err, driver.ErrUnreadable)
		assert.Less(t, time.Since(start), filestore.Settles+5*time.Millisecond)
	})
}
