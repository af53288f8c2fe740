package drivertest

import (
	"context"
	"testing"

	"github.com/flamego/session"
)

// TestMemory has several Managers share one memory, as one process would with
// several.
func TestMemory(t *testing.T) {
	Suite{
		inProcess: true,
		Open: func(t *testing.T) func() session.Options {
			var shared session.Store
			return func() session.Options {
				return session.Options{Initer: func(ctx context.Context, args ...interface{}) (session.Store, error) {
					if shared == nil {
						st, err := session.MemoryIniter()(ctx, args...)
						if err != nil {
							return nil, err
						}
						shared = st
					}
					return shared, nil
				}}
			}
		},
	}.Run(t)
}
