package session

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"github.com/flamego/session/internal/clientstore"
)

// startTimeout limits how long the start waits for a storage system.
const startTimeout = 15 * time.Second

// BackendIniter returns an Initer for a Backend. It finds the Config of type C among the
// arguments, calls open with it, and makes a Store of what open returns; without such a
// Config, the error says what was found instead. C is a struct like FileConfig, B the type of
// the Backend. NewManager wraps an error of open, so it should name the field of C and the
// remedy; anything else that open returns with an error is ignored. The context ends 15
// seconds after the start: open must not keep it.
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

// ClientIniter returns an Initer for sessions that their clients keep: the cookie, or the
// header of Options.Transport, holds the whole session, encrypted by the Cipher, instead of an
// ID, and the server keeps nothing. Package cookie uses it, and says what such sessions cannot
// do. C and open are as for BackendIniter. Through such a Store, sessions cannot be changed
// outside of their own requests.
func ClientIniter[C any](open func(ctx context.Context, cfg C) (*Cipher, StoreConfig, error)) Initer {
	return func(ctx context.Context, args ...interface{}) (Store, error) {
		cfg, err := configOf[C](args)
		if err != nil {
			return nil, err
		}
		c, sc, err := open(ctx, cfg)
		if err != nil {
			return nil, err
		}
		return newStore(clientstore.New(sealer{c}, newCodec(sc.Encoder, sc.Decoder)), sc.Lifetime), nil
	}
}

// parseArgs finds the Config, or a pointer to one, in the arguments of an Initer.
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

// configOf is parseArgs for a Config that is required.
func configOf[C any](args []interface{}) (C, error) {
	cfg, given := parseArgs[C](args)
	if !given {
		return cfg, fmt.Errorf("Options.Config is %s: set it to a %T", typeOfConfig(args), cfg)
	}
	return cfg, nil
}

// typeOfConfig describes what is there instead of the Config.
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
