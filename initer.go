package session

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/flamego/session/internal/clientstore"
	"github.com/flamego/session/internal/filestore"
	"github.com/flamego/session/internal/memstore"
	"github.com/flamego/session/internal/recordstore"
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

// FileConfig contains options for the file session store.
//
// A session is one file of mode 0600, RootDir/a/b/abc… for the ID abc…, in folders of mode
// 0700. Its modification time is its expiry minus Lifetime, so processes that share a RootDir
// must have the same Lifetime. They exclude each other by advisory locks in RootDir/.locks,
// which work on local file systems, and on network file systems that lock across machines.
// Where the system has no such locks (AIX, Solaris, Plan 9, WebAssembly), only one process and
// one Manager may use a RootDir at a time.
type FileConfig struct {
	// Lifetime is the idle timeout. Default is one hour, also for values under a second;
	// values over 100 years mean 100 years.
	Lifetime time.Duration
	// RootDir is the folder of the sessions, which is created if missing. A relative path is
	// resolved against the working directory when the store is opened. Do not keep other files
	// in it; if there are any, they are left alone. Default is "sessions".
	RootDir string
	// Encoder is the encoder to encode session data. Default is GobEncoder.
	Encoder Encoder
	// Decoder is the decoder to decode session data. Default is GobDecoder.
	Decoder Decoder
	// Sync makes stored sessions survive a power failure, at a higher cost per write. Default
	// is false: a power failure may lose the changes of the last seconds. The end of the
	// process, even by kill -9, loses nothing either way.
	Sync bool
}

var _ recordstore.Unsettled = (*filestore.Backend)(nil)

// FileIniter returns the Initer for the file session store, which needs only a folder. Several
// processes may share the folder. Its Config is a FileConfig. A session may have up to 64 MiB.
func FileIniter() Initer {
	return BackendIniter(openFile)
}

func openFile(_ context.Context, cfg FileConfig) (*filestore.Backend, StoreConfig, error) {
	dir := cmp.Or(cfg.RootDir, "sessions")
	b, err := filestore.Open(dir, defaultLifetime(cfg.Lifetime), cfg.Sync)
	return b, StoreConfig{Lifetime: cfg.Lifetime, Encoder: cfg.Encoder, Decoder: cfg.Decoder, Name: filepath.Base(dir)}, err
}
