package session

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/flamego/session/internal/memstore"
)

// MemoryConfig contains options for the memory session store.
type MemoryConfig struct {
	// Lifetime is the idle timeout. Default is one hour, also for values under a second;
	// values over 100 years mean 100 years.
	Lifetime time.Duration
}

// MemoryIniter returns the Initer for the memory session store. It keeps Go values as they
// are, within the process: any type works, nothing has to be registered, and a restart ends
// all sessions. Its Config is a MemoryConfig, and is optional.
func MemoryIniter() Initer {
	return func(_ context.Context, args ...interface{}) (Store, error) {
		cfg, given := parseArgs[MemoryConfig](args)
		if !given {
			for _, arg := range args {
				if t := reflect.TypeOf(arg); t != nil && strings.HasSuffix(t.String(), "Config") {
					return nil, fmt.Errorf("Options.Config is a %T, which belongs to another Initer: set Options.Initer to that one, or Options.Config to a session.MemoryConfig", arg)
				}
			}
		}
		return newStore(memstore.New(), cfg.Lifetime), nil
	}
}
