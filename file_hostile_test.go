package session

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/flamego/flamego"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostile puts things in the place of a session file or of a folder of such.
type hostile struct {
	name string
	// make plants it; path is where the session file would be, outside a file that
	// must be neither read nor changed, inside a session of somebody else.
	make func(t *testing.T, path, outside, inside string)
	load string // what Load returns: "missing", "undecodable", or "=" and the data
	// Nothing can be created in a place where a folder of sessions should be.
	folder bool
}

func hostiles() []hostile {
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(content string) func(*testing.T, string, string, string) {
		return func(t *testing.T, path, _, _ string) { must(t, os.WriteFile(path, []byte(content), 0o600)) }
	}
	// instead replaces the folder i or i/d.
	instead := func(levels int, make func(t *testing.T, path, outside string)) func(*testing.T, string, string, string) {
		return func(t *testing.T, path, outside, _ string) {
			for range levels {
				path = filepath.Dir(path)
			}
			must(t, os.RemoveAll(path))
			make(t, path, outside)
		}
	}
	list := []hostile{
		{name: "folder", load: "missing", make: func(t *testing.T, path, _, _ string) { must(t, os.Mkdir(path, 0o700)) }},
		{name: "full folder", load: "missing", make: func(t *testing.T, path, _, _ string) {
			must(t, os.MkdirAll(filepath.Join(path, "a", "b"), 0o700))
		}},
		{name: "link to the outside", load: "missing", make: func(t *testing.T, path, outside, _ string) { must(t, os.Symlink(outside, path)) }},
		{name: "link to another session", load: "missing", make: func(t *testing.T, path, _, inside string) {
			rel, err := filepath.Rel(filepath.Dir(path), inside)
			must(t, err)
			must(t, os.Symlink(rel, path))
		}},
		{name: "dangling link", load: "missing", make: func(t *testing.T, path, _, _ string) { must(t, os.Symlink("nowhere", path)) }},
		{name: "link to itself", load: "missing", make: func(t *testing.T, path, _, _ string) { must(t, os.Symlink(filepath.Base(path), path)) }},
		{name: "empty file", load: "=", make: write("")},
		{name: "garbage", load: "=\xff\x00garbage", make: write("\xff\x00garbage")},
		{name: "huge file", load: "undecodable", make: func(t *testing.T, path, _, _ string) {
			write("")(t, path, "", "")
			must(t, os.Truncate(path, 1<<40))
		}},
		{name: "file as folder", load: "missing", folder: true, make: instead(1, func(t *testing.T, path, _ string) { must(t, os.WriteFile(path, nil, 0o600)) })},
		{name: "file as upper folder", load: "missing", folder: true, make: instead(2, func(t *testing.T, path, _ string) { must(t, os.WriteFile(path, nil, 0o600)) })},
		{name: "linked folder", load: "missing", folder: true, make: instead(1, func(t *testing.T, path, outside string) {
			must(t, os.Symlink(filepath.Dir(outside), path))
		})},
		{name: "linked upper folder", load: "missing", folder: true, make: instead(2, func(t *testing.T, path, outside string) {
			must(t, os.Symlink(filepath.Dir(filepath.Dir(outside)), path))
		})},
	}
	if os.Getuid() != 0 && runtime.GOOS != "windows" {
		list = append(list, hostile{name: "unreadable file", load: "undecodable", make: func(t *testing.T, path, _, _ string) {
			write("1")(t, path, "", "")
			must(t, os.Chmod(path, 0))
		}})
	}
	return append(list, hostilePipes(must, instead)...)
}

// The outside file has the ID for its name, so that a link to its folder would
// lead right to it.
const hostileID = fileID

func TestFileHostile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege on Windows")
	}
	for _, h := range hostiles() {
		t.Run(h.name, func(t *testing.T) {
			dir := t.TempDir()
			outside := filepath.Join(t.TempDir(), "b", hostileID)
			require.NoError(t, os.Mkdir(filepath.Dir(outside), 0o700))
			require.NoError(t, os.WriteFile(outside, []byte("1"), 0o600))
			long := time.Now().Add(-24 * time.Hour).Truncate(time.Second)
			require.NoError(t, os.Chtimes(outside, long, long))
			b := newTestFiles(t, dir)
			require.NoError(t, b.Create(t.Context(), fileOtherID, record("1")))
			path := filePath(dir, hostileID)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			h.make(t, path, outside, filePath(dir, fileOtherID))

			within(t, func() { hostileCalls(t, b, h) })

			// Whatever was done, it was done to nobody else.
			raw, err := os.ReadFile(outside)
			require.NoError(t, err)
			assert.Equal(t, "1", string(raw), "a file outside of RootDir was written to")
			fi, err := os.Stat(outside)
			require.NoError(t, err)
			assert.Equal(t, long, fi.ModTime(), "a file outside of RootDir was touched")
			assert.Len(t, files(t, filepath.Dir(outside)), 1)
			other, err := b.Load(t.Context(), fileOtherID)
			require.NoError(t, err)
			assert.Equal(t, "1", string(other.Data))
			assert.True(t, other.Expiry.After(time.Now()))
		})
	}
}

func hostileCalls(t *testing.T, b *fileBackend, h hostile) {
	ctx := t.Context()
	got, err := b.Load(ctx, hostileID)
	switch h.load {
	case "missing":
		assert.Equal(t, ErrNotFound, err)
	case "undecodable":
		assert.True(t, isDecodeError(err), "%v", err)
		assert.NotContains(t, err.Error(), hostileID)
	default:
		assert.NoError(t, err)
		assert.Equal(t, h.load[1:], string(got.Data))
	}

	// "1" is what the outside file and the other session hold.
	assert.Equal(t, ErrConflict, b.Replace(ctx, hostileID, record("1"), record("x")))
	assert.Equal(t, ErrConflict, b.Move(ctx, hostileID, "newid", record("1"), record("x")))
	for _, err := range []error{
		b.Create(ctx, hostileID, record("x")),
		b.Move(ctx, fileOtherID, hostileID, record("1"), record("x")),
	} {
		if h.folder {
			assert.ErrorContains(t, err, "something in FileConfig.RootDir is not a folder")
		} else {
			assert.Equal(t, ErrExists, err)
		}
	}
	_, err = b.DeleteExpired(ctx, time.Now(), 10)
	assert.NoError(t, err)
	_, err = b.Load(ctx, "newid")
	assert.Equal(t, ErrNotFound, err, "a failed Move left something behind")

	// Only a regular file can be touched and deleted, the latter readable or not.
	holds := strings.TrimPrefix(h.load, "=")
	touched := b.Touch(ctx, hostileID, record(holds), time.Now())
	if holds == h.load {
		assert.Equal(t, ErrConflict, touched)
	} else {
		assert.NoError(t, touched)
	}
	assert.NoError(t, b.Delete(ctx, hostileID))
	if h.load != "missing" {
		assert.NoError(t, b.Create(ctx, hostileID, record("x")), "its name is free again")
	}
}

// within fails the test instead of letting it hang.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("blocked")
	}
}

// Whatever is found under a visitor's ID, the visitor is served, and can have a
// session.
func TestFileHostileServed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege on Windows")
	}
	for _, h := range hostiles() {
		t.Run(h.name, func(t *testing.T) {
			if h.folder {
				// A new ID may belong there as well, once in 36 or 1296 times.
				t.Skip("see TestFileHostile")
			}
			dir := t.TempDir()
			path := filePath(dir, hostileID)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			h.make(t, path, filepath.Join(t.TempDir(), "none"), filepath.Join(dir, "none"))
			var reports []string
			m, err := NewManager(Options{
				Initer:    FileIniter(),
				Config:    FileConfig{RootDir: dir},
				ErrorFunc: func(err error) { reports = append(reports, err.Error()) },
			})
			require.NoError(t, err)
			f := flamego.New()
			f.Use(m.Sessioner())
			f.Get("/", func(s Session) string {
				s.Set("x", 1)
				return "served"
			})

			resp := httptest.NewRecorder()
			req := httptest.NewRequest(http.MethodGet, "/", nil)
			req.Header.Set("Cookie", "flamego_session="+hostileID)
			within(t, func() { f.ServeHTTP(resp, req) })
			assert.Equal(t, http.StatusOK, resp.Code)
			assert.Equal(t, "served", resp.Body.String())
			cookie := resp.Header().Get("Set-Cookie")
			assert.NotContains(t, cookie, hostileID)
			assert.True(t, strings.HasPrefix(cookie, "flamego_session="), cookie)
			if h.load != "missing" {
				require.Len(t, reports, 1)
				assert.Contains(t, reports[0], "decode: ")
				assert.NotContains(t, reports[0], hostileID)
			}
			require.NoError(t, m.Close(t.Context()))
		})
	}
}

// FuzzFileRead puts any file at any place in RootDir.
func FuzzFileRead(f *testing.F) {
	f.Add("a/b/abc", "abc", []byte("data"))
	f.Add("a/b/abc", "a/b/abc", []byte{})
	f.Add("a/b", "abc", []byte("a file in the place of a folder"))
	f.Add("a/b/.tmp-1-1", ".tmp-1-1", []byte("x"))
	f.Add(".locks/00", "000", []byte("x"))
	f.Add("n/u/nul", "nul", []byte("x"))
	f.Fuzz(func(t *testing.T, path, id string, content []byte) {
		if !filepath.IsLocal(path) || strings.ContainsRune(path, 0) {
			t.Skip("no path inside")
		}
		dir := t.TempDir()
		b := newTestFiles(t, dir)
		full := filepath.Join(dir, path)
		if os.MkdirAll(filepath.Dir(full), 0o700) != nil || os.WriteFile(full, content, 0o600) != nil {
			t.Skip("no possible path")
		}

		got, err := b.Load(t.Context(), id)
		create := b.Create(t.Context(), id, record("new"))
		if validID(id, 3) && full == filePath(dir, id) {
			require.NoError(t, err)
			require.Equal(t, string(content), string(got.Data))
			require.Equal(t, ErrExists, create)
			require.NoError(t, b.Replace(t.Context(), id, Record{Data: content}, record("new")))
			require.NoError(t, b.Delete(t.Context(), id))
		} else {
			require.Equal(t, ErrNotFound, err, "a record out of nowhere")
			require.NoError(t, b.Delete(t.Context(), id))
			require.FileExists(t, full)
		}

		// Far in the future every session has expired, and nothing else has.
		_, err = b.DeleteExpired(t.Context(), time.Now().AddDate(1, 0, 0), 100)
		require.NoError(t, err)
		name := filepath.Base(full)
		if !staleTemp(name, time.Now()) && (!validID(name, 3) || full != filePath(dir, name)) {
			require.FileExists(t, full)
		}
	})
}
