package session

import (
	"cmp"
	"context"
	"time"

	"github.com/flamego/session/internal/filestore"
	"github.com/flamego/session/internal/recordstore"
)

// FileConfig contains options for the file session store.
//
// A session is one file of mode 0600, RootDir/a/b/abc… for the ID abc…, in
// folders of mode 0700. Its modification time is its expiry minus Lifetime, so
// processes that share a RootDir must have the same Lifetime. They take turns by
// advisory locks in RootDir/.locks; that works on local file systems, and on
// those network file systems that lock across machines. Where the system has no
// such locks (AIX, Solaris, Plan 9, WebAssembly), one process and one Manager
// may use a RootDir at a time.
type FileConfig struct {
	// Lifetime is the duration to have no access to a session before it expires.
	// Default is 3600 seconds, also for anything under a second; more than 100 years
	// count as 100 years.
	Lifetime time.Duration
	// RootDir is the folder of the sessions, made when it is missing. A relative
	// path starts from the working folder of the moment the store is opened.
	// Nothing else should live in it, but what does is left alone. Default is
	// "sessions".
	RootDir string
	// Encoder is the encoder to encode session data. Default is GobEncoder.
	Encoder Encoder
	// Decoder is the decoder to decode session data. Default is GobDecoder.
	Decoder Decoder
	// Sync makes stored sessions survive a power failure, for several times the
	// price of a write. Without it, such a failure may cost what was changed in the
	// last seconds before; the end of the process, also by kill -9, costs nothing
	// either way. Default is false.
	Sync bool
}

var _ recordstore.Unsettled = (*filestore.Backend)(nil)

// FileIniter returns the Initer for the file session store, which needs nothing
// but a folder. Several processes may share it. Its Config is a FileConfig. A
// session may have up to 64 MiB.
func FileIniter() Initer {
	return BackendIniter(openFile)
}

func openFile(_ context.Context, cfg FileConfig) (*filestore.Backend, StoreConfig, error) {
	b, err := filestore.Open(cmp.Or(cfg.RootDir, "sessions"), defaultLifetime(cfg.Lifetime), cfg.Sync)
	return b, StoreConfig{Lifetime: cfg.Lifetime, Encoder: cfg.Encoder, Decoder: cfg.Decoder}, err
}
