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
	for _, file := range []string{"revisions_test.go", "revisions_store_test.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:is\(|case )"([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
			if !slices.Contains(mutants, m[1]) {
				t.Errorf("the mutant %q is not tried", m[1])
			}
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

// mutants are all that the backend can get wrong.
var mutants = []string{
	"a done context is ignored",
	"IDs that look like numbers are numbers",
	"IDs are cut off at 64 characters",
	"data are cut off at 64 KiB",
	"data are text",
	"the caller's bytes are kept",
	"an expiry is rounded up",
	"an expiry is cut to seconds",
	"an expiry ends in 2038",
	"a version is taken for the data",
	"prefixes are the same",
	"case makes no difference",
	"nil is not empty",
	"Load has a cache",
	"what is missing is empty",
	"what is empty is missing",
	"Load shares its bytes",
	"Create overwrites",
	"Create looks first",
	"Replace creates",
	"Replace ignores old",
	"Replace looks first",
	"Replace keeps the expiry",
	"Move purges the old ID",
	"Move overwrites the new ID",
	"Move calls a taken ID a conflict",
	"Move keeps the data",
	"Move undoes what it has not done",
	"Move leaves the old record",
	"Move ignores old",
	"Move is not undone",
	"Move is undone blindly",
	"Move is undone without looking again",
	"Move is not undone once time is up",
	"Touch overwrites",
	"Touch ignores old",
	"Touch recreates a missing record",
	"Touch recreates what goes missing",
	"a conflict of Touch is another error",
	"Touch of nothing is another error",
	"Touch does nothing",
	"Touch only makes it later",
	"Delete of nothing is an error",
	"Delete does nothing",
	"DeleteExpired does nothing",
	"DeleteExpired removes what is alive",
	"DeleteExpired ignores its limit",
	"DeleteExpired does not look again",
	"DeleteExpired stops early",
	"LoadMany fails for what is missing",
	"LoadMany has what is missing",
	"LoadMany stops early",
}
