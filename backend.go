package session

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/flamego/session/driver"
)

// What a storage system has to offer is package driver's affair: see there for
// the contract.
type (
	// Backend is a storage system as the library sees it. NewStore makes a Store of
	// it.
	Backend = driver.Backend
	// Record is what a Backend stores under a session ID.
	Record = driver.Record
	// Counter is a Backend that knows how many sessions are alive. It is optional:
	// it is what Manager.Count needs. A Store of your own may have the method, too.
	Counter = driver.Counter
)

// The conditions a Backend tells apart, looked for with errors.Is.
var (
	ErrNotFound = driver.ErrNotFound
	ErrExists   = driver.ErrExists
	ErrConflict = driver.ErrConflict
)

// parseArgs finds the Config among the arguments of an Initer. It may be a
// pointer too.
func parseArgs[C any](args []interface{}) (cfg C, given bool) {
	for _, arg := range args {
		switch v := arg.(type) {
		case C:
			cfg, given = v, true
		case *C:
			if v != nil {
				cfg, given = *v, true
			}
		}
	}
	return cfg, given
}

// startTimeout bounds what the start waits for a storage system.
const startTimeout = 15 * time.Second

// BackendIniter returns an Initer for a Backend: it finds the Config of type C
// in the arguments, or says what it found instead, calls open, and makes a Store
// of what open returns. C is a struct like FileConfig, B the type of the Backend.
// An error of open ends up in NewManager's, so it should name the field of C and
// the remedy; what is returned beside it is dropped. The context is that of the
// start, and ends after 15 seconds: it must not be kept.
func BackendIniter[C any, B Backend](open func(ctx context.Context, cfg C) (B, StoreConfig, error)) Initer {
	return func(ctx context.Context, args ...interface{}) (Store, error) {
		cfg, err := configOf[C](args)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, startTimeout)
		defer cancel()
		b, sc, err := open(ctx, cfg)
		if err != nil {
			return nil, err
		}
		return NewStore(b, sc), nil
	}
}

// configOf is parseArgs where there must be a Config.
func configOf[C any](args []interface{}) (C, error) {
	cfg, given := parseArgs[C](args)
	if !given {
		return cfg, fmt.Errorf("Options.Config is %s: set it to a %T", typeOfConfig(args), cfg)
	}
	return cfg, nil
}

// typeOfConfig describes what stands in the place of the Config.
func typeOfConfig(args []interface{}) string {
	for _, arg := range args {
		switch arg.(type) {
		case nil, IDWriter:
		default:
			return "a " + reflect.TypeOf(arg).String()
		}
	}
	return "not set"
}
