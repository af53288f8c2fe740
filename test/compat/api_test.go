package compat

import (
	"go/types"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/exp/apidiff"
	"golang.org/x/tools/go/packages"
)

const module = "github.com/flamego/session"

// load returns the library's packages as the go.mod in dir has them, by name. Both
// versions have the same paths, so they can't be loaded together.
func load(t *testing.T, dir, version string, paths ...string) map[string]*types.Package {
	t.Helper()
	cfg := &packages.Config{
		Mode:    packages.NeedName | packages.NeedTypes | packages.NeedModule,
		Dir:     dir,
		Env:     goEnv(),
		Context: t.Context(),
	}
	list, err := packages.Load(cfg, paths...)
	require.NoError(t, err)
	loaded := make(map[string]*types.Package)
	for _, p := range list {
		require.Empty(t, p.Errors, "%s in %s", p.PkgPath, dir)
		if p.Module == nil || p.Module.Path != module {
			continue // The application in legacy/.
		}
		require.Equal(t, version, p.Module.Version)
		loaded[strings.TrimPrefix(p.PkgPath, module)] = p.Types
	}
	return loaded
}

// bothAPIs loads what v1.6.6 has, and what we have of that.
func bothAPIs(t *testing.T) (theirs, ours map[string]*types.Package) {
	t.Helper()
	theirs = load(t, "legacy", "v1.6.6", module+"/...")
	require.Len(t, theirs, 6)
	var paths []string
	for name := range theirs {
		paths = append(paths, module+name)
	}
	ours = load(t, "../..", "", paths...) // The main module of a build has no version.
	require.Len(t, ours, len(theirs))
	return theirs, ours
}

// What compiles with v1.6.6 compiles with ours.
func TestAPI(t *testing.T) {
	theirs, ours := bothAPIs(t)
	for name, old := range theirs {
		t.Run("session"+name, func(t *testing.T) {
			for _, change := range apidiff.Changes(old, ours[name]).Changes {
				if !change.Compatible {
					t.Errorf("incompatible with v1.6.6: %s", change.Message)
				}
			}
		})
	}
}

// The other way round, each addition of ours would be a removal. If the
// comparison were blind, this is where it would show.
func TestAPIComparisonSees(t *testing.T) {
	theirs, ours := bothAPIs(t)
	var seen []string
	for _, change := range apidiff.Changes(ours[""], theirs[""]).Changes {
		if !change.Compatible {
			seen = append(seen, change.Message)
		}
	}
	assert.Contains(t, seen, "NewManager: removed")
	assert.Contains(t, seen, "Options.StoreTimeout: removed")
	assert.Contains(t, seen, "CookieOptions.AllowScriptAccess: removed")
}
