package compat

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flamego/session/test/compat/legacy/app"
)

// schema returns what SQLite has been told to make, by name.
func schema(t *testing.T, cfg app.Config) map[string]string {
	t.Helper()
	rows, err := database(t, cfg).Query("SELECT name, coalesce(sql, '') FROM sqlite_master")
	require.NoError(t, err)
	defer rows.Close()
	made := make(map[string]string)
	for rows.Next() {
		var name, text string
		require.NoError(t, rows.Scan(&name, &text))
		made[name] = text
	}
	require.NoError(t, rows.Err())
	return made
}

func sqliteConfig(t *testing.T) app.Config {
	t.Helper()
	cfg := storages[1].config(t)
	require.Equal(t, "sqlite", cfg.Store)
	cfg.IDLength = 16
	return cfg
}

// Our InitTable adds an index to the table of v1.6.6, and changes nothing else.
func TestTableOfLegacy(t *testing.T) {
	cfg := sqliteConfig(t)
	theirs := startLegacy(t, cfg)
	v := newVisitor(t)
	v.want("filled", theirs, "/fill")
	want := schema(t, cfg)

	cfg.InitTable = false
	ours := startOurs(t, cfg)
	v.want("all there", ours, "/check")
	require.Equal(t, want, schema(t, cfg), "without InitTable nothing is to change")

	cfg.InitTable = true
	startOurs(t, cfg)
	made := schema(t, cfg)
	require.Contains(t, made, "sessions_expired_at_idx")
	delete(made, "sessions_expired_at_idx")
	require.Equal(t, want, made)

	v.want("set", theirs, "/set", "k", "k", "v", "v")
	v.want("all there", ours, "/check")
}

// The InitTable of v1.6.6 leaves our table alone, and works with it.
func TestTableOfOurs(t *testing.T) {
	cfg := sqliteConfig(t)
	ours := startOurs(t, cfg)
	v := newVisitor(t)
	v.want("filled", ours, "/fill")
	want := schema(t, cfg)

	theirs := startLegacy(t, cfg)
	require.Equal(t, want, schema(t, cfg))
	v.want("all there", theirs, "/check")
	v.want("set", theirs, "/set", "k", "k", "v", "v")
	v.want("v", ours, "/get", "k", "k")
}

// With v1.6.6, a table of another name has to be made beforehand.
func TestCustomTableOfLegacy(t *testing.T) {
	for _, name := range []string{"app_sessions", "Web Sessions", "order"} {
		t.Run(name, func(t *testing.T) {
			cfg := sqliteConfig(t)
			cfg.Table, cfg.InitTable = name, false
			_, err := database(t, cfg).Exec(`CREATE TABLE "` + name + `" (
				key        TEXT PRIMARY KEY,
				data       BLOB NOT NULL,
				expired_at TEXT NOT NULL
			)`)
			require.NoError(t, err)
			theirs := startLegacy(t, cfg)
			v := newVisitor(t)
			v.want("filled", theirs, "/fill")
			want := schema(t, cfg)

			cfg.InitTable = true
			ours := startOurs(t, cfg)
			v.want("all there", ours, "/check")
			v.want("set", ours, "/set", "k", "k", "v", "v")
			v.want("v", theirs, "/get", "k", "k")
			made := schema(t, cfg)
			delete(made, name+"_expired_at_idx")
			require.Equal(t, want, made)
		})
	}
}

// Our InitTable makes the table that Table names. That of v1.6.6 makes another
// one, called sessions, which it leaves empty.
func TestCustomTableOfOurs(t *testing.T) {
	cfg := sqliteConfig(t)
	cfg.Table = "app_sessions"
	ours := startOurs(t, cfg)
	require.NotContains(t, schema(t, cfg), "sessions")
	v := newVisitor(t)
	v.want("filled", ours, "/fill")

	theirs := startLegacy(t, cfg)
	v.want("all there", theirs, "/check")
	v.want("set", theirs, "/set", "k", "k", "v", "v")
	v.want("v", ours, "/get", "k", "k")
}
