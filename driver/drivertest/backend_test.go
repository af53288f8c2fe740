package drivertest_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/flamego/session"
	"github.com/flamego/session/driver/drivertest"
)

// mutantEnv names the mutant to a test process of its own.
const mutantEnv = "DRIVERTEST_MUTANT"

// TestRevisions runs the contract on a Backend that compares revisions, or on one of
// its mutants.
func TestRevisions(t *testing.T) {
	mutant := os.Getenv(mutantEnv)
	drivertest.Backend(t, func(*testing.T) func() session.Backend {
		shared := newRevisions()
		return func() session.Backend {
			return &revisionBackend{revisions: shared, mutant: mutant, cache: make(map[string]session.Record)}
		}
	})
}

// TestRevisionsSuite checks that the library works on one as well.
func TestRevisionsSuite(t *testing.T) {
	drivertest.Suite{Open: func(*testing.T) func() session.Options {
		b := &revisionBackend{revisions: newRevisions()}
		return func() session.Options {
			return session.Options{Config: struct{}{}, Initer: session.BackendIniter(func(context.Context, struct{}) (session.Backend, session.StoreConfig, error) {
				return b, session.StoreConfig{}, nil
			})}
		}
	}}.Run(t)
}

// TestMutants checks that the contract's tests notice what an author may get wrong.
func TestMutants(t *testing.T) {
	if os.Getenv(mutantEnv) != "" {
		t.Skip("this is one of them")
	}
	source, err := os.ReadFile("revisions_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?:is\(|case )"([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
		if !slices.Contains(mutants, m[1]) {
			t.Errorf("the mutant %q is not tried", m[1])
		}
	}
	failed := regexp.MustCompile(`(?m)^\s+--- FAIL: TestRevisions/(\S+)`)
	for _, mutant := range mutants {
		t.Run(strings.ReplaceAll(mutant, " ", "_"), func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestRevisions$", "-test.failfast", "-test.timeout=2m")
			cmd.Env = append(os.Environ(), mutantEnv+"="+mutant)
			out, err := cmd.CombinedOutput()
			caught := failed.FindStringSubmatch(string(out))
			if err == nil || caught == nil {
				t.Fatalf("nothing was noticed: %v\n%s", err, out)
			}
			t.Logf("noticed by %s", caught[1])
		})
	}
}
