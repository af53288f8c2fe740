package filestore

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/driver"
)

// hostile puts things in the place of a session file or of a folder of such.
type hostile struct {
	Name string
	// Make plants it; path is where the session file would be, outside a file that
	// must be neither read nor changed, inside a session of somebody else.
	Make func(t *testing.T, path, outside, inside string)
	Load string // what Load returns: "missing", "undecodable", or "=" and the data
	// Nothing can be created in a place where a folder of sessions should be.
	Folder bool
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
		{Name: "folder", Load: "missing", Make: func(t *testing.T, path, _, _ string) { must(t, os.Mkdir(path, 0o700)) }},
		{Name: "full folder", Load: "missing", Make: func(t *testing.T, path, _, _ string) {
			must(t, os.MkdirAll(filepath.Join(path, "a", "b"), 0o700))
		}},
		{Name: "link to the outside", Load: "missing", Make: func(t *testing.T, path, outside, _ string) { must(t, os.Symlink(outside, path)) }},
		{Name: "link to another session", Load: "missing", Make: func(t *testing.T, path, _, inside string) {
			rel, err := filepath.Rel(filepath.Dir(path), inside)
			must(t, err)
			must(t, os.Symlink(rel, path))
		}},
		{Name: "dangling link", Load: "missing", Make: func(t *testing.T, path, _, _ string) { must(t, os.Symlink("nowhere", path)) }},
		{Name: "link to itself", Load: "missing", Make: func(t *testing.T, path, _, _ string) { must(t, os.Symlink(filepath.Base(path), path)) }},
		{Name: "empty file", Load: "=", Make: write("")},
		{Name: "garbage", Load: "=\xff\x00garbage", Make: write("\xff\x00garbage")},
		{Name: "huge file", Load: "undecodable", Make: func(t *testing.T, path, _, _ string) {
			write("")(t, path, "", "")
			must(t, os.Truncate(path, 1<<40))
		}},
		{Name: "file as folder", Load: "missing", Folder: true, Make: instead(1, func(t *testing.T, path, _ string) { must(t, os.WriteFile(path, nil, 0o600)) })},
		{Name: "file as upper folder", Load: "missing", Folder: true, Make: instead(2, func(t *testing.T, path, _ string) { must(t, os.WriteFile(path, nil, 0o600)) })},
		{Name: "linked folder", Load: "missing", Folder: true, Make: instead(1, func(t *testing.T, path, outside string) {
			must(t, os.Symlink(filepath.Dir(outside), path))
		})},
		{Name: "linked upper folder", Load: "missing", Folder: true, Make: instead(2, func(t *testing.T, path, outside string) {
			must(t, os.Symlink(filepath.Dir(filepath.Dir(outside)), path))
		})},
	}
	if os.Getuid() != 0 && runtime.GOOS != "windows" {
		list = append(list, hostile{Name: "unreadable file", Load: "undecodable", Make: func(t *testing.T, path, _, _ string) {
			write("1")(t, path, "", "")
			must(t, os.Chmod(path, 0))
		}})
	}
	return append(list, hostilePipes(must, instead)...)
}

func TestHostile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege on Windows")
	}
	for _, h := range hostiles() {
		t.Run(h.Name, func(t *testing.T) {
			dir := t.TempDir()
			// Its name is the ID, so that a link to its folder would lead right to it.
			outside := filepath.Join(t.TempDir(), "b", testID)
			require.NoError(t, os.Mkdir(filepath.Dir(outside), 0o700))
			require.NoError(t, os.WriteFile(outside, []byte("1"), 0o600))
			long := time.Now().Add(-24 * time.Hour).Truncate(time.Second)
			require.NoError(t, os.Chtimes(outside, long, long))
			b := open(t, dir)
			require.NoError(t, b.Create(t.Context(), otherID, record("1")))
			path := pathOf(dir, testID)
			require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
			h.Make(t, path, outside, pathOf(dir, otherID))

			within(t, func() { hostileCalls(t, b, h) })

			// Whatever was done, it was done to nobody else.
			raw, err := os.ReadFile(outside)
			require.NoError(t, err)
			assert.Equal(t, "1", string(raw), "a file outside of RootDir was written to")
			fi, err := os.Stat(outside)
			require.NoError(t, err)
			assert.Equal(t, long, fi.ModTime(), "a file outside of RootDir was touched")
			assert.Len(t, files(t, filepath.Dir(outside)), 1)
			other, err := b.Load(t.Context(), otherID)
			require.NoError(t, err)
			assert.Equal(t, "1", string(other.Data))
			assert.True(t, other.Expiry.After(time.Now()))
		})
	}
}

func hostileCalls(t *testing.T, b *Backend, h hostile) {
	ctx := t.Context()
	got, err := b.Load(ctx, testID)
	switch h.Load {
	case "missing":
		assert.Equal(t, driver.ErrNotFound, err)
	case "undecodable":
		assert.ErrorIs(t, err, driver.ErrUnreadable)
		assert.NotContains(t, err.Error(), testID)
	default:
		assert.NoError(t, err)
		assert.Equal(t, h.Load[1:], string(got.Data))
	}

	// "1" is what the outside file and the other session hold.
	assert.Equal(t, driver.ErrConflict, b.Replace(ctx, testID, record("1"), record("x")))
	assert.Equal(t, driver.ErrConflict, b.Move(ctx, testID, "newid", record("1"), record("x")))
	for _, err := range []error{
		b.Create(ctx, testID, record("x")),
		b.Move(ctx, otherID, testID, record("1"), record("x")),
	} {
		if h.Folder {
			assert.ErrorContains(t, err, "something in FileConfig.RootDir is not a folder")
		} else {
			assert.Equal(t, driver.ErrExists, err)
		}
	}
	_, err = b.DeleteExpired(ctx, time.Now(), 10)
	assert.NoError(t, err)
	_, err = b.Load(ctx, "newid")
	assert.Equal(t, driver.ErrNotFound, err, "a failed Move left something behind")

	// Only a regular file can be touched and deleted, the latter readable or not.
	holds := strings.TrimPrefix(h.Load, "=")
	touched := b.Touch(ctx, testID, record(holds), time.Now())
	if holds == h.Load {
		assert.Equal(t, driver.ErrConflict, touched)
	} else {
		assert.NoError(t, touched)
	}
	assert.NoError(t, b.Delete(ctx, testID))
	if h.Load != "missing" {
		assert.NoError(t, b.Create(ctx, testID, record("x")), "its name is free again")
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

// FuzzRead puts any file at any place in RootDir.
func FuzzRead(f *testing.F) {
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
		b := open(t, dir)
		full := filepath.Join(dir, path)
		if os.MkdirAll(filepath.Dir(full), 0o700) != nil || os.WriteFile(full, content, 0o600) != nil {
			t.Skip("no possible path")
		}

		got, err := b.Load(t.Context(), id)
		create := b.Create(t.Context(), id, record("new"))
		if driver.ValidID(id) && full == pathOf(dir, id) {
			require.NoError(t, err)
			require.Equal(t, string(content), string(got.Data))
			require.Equal(t, driver.ErrExists, create)
			require.NoError(t, b.Replace(t.Context(), id, driver.Record{Data: content}, record("new")))
			require.NoError(t, b.Delete(t.Context(), id))
		} else {
			require.Equal(t, driver.ErrNotFound, err, "a record out of nowhere")
			require.NoError(t, b.Delete(t.Context(), id))
			require.FileExists(t, full)
		}

		// Far in the future every session has expired, and nothing else has.
		_, err = b.DeleteExpired(t.Context(), time.Now().AddDate(1, 0, 0), 100)
		require.NoError(t, err)
		name := filepath.Base(full)
		if !staleTemp(name, time.Now()) && (!driver.ValidID(name) || full != pathOf(dir, name)) {
			require.FileExists(t, full)
		}
	})
}
