package session

import (
	"cmp"
	"context"
	"path/filepath"
	"time"

	"github.com/flamego/session/internal/filestore"
	"github.com/flamego/session/internal/recordstore"
)

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
