// Package cookie keeps the whole session in an encrypted cookie, and nothing on
// the server:
//
//	f.Use(session.Sessioner(session.Options{
//		Initer: cookie.Initer(),
//		Config: cookie.Config{Keys: [][]byte{key}},
//	}))
//
// Servers share only the keys. The price is that a server cannot take a session back: a
// copy of a cookie is valid until it expires, even after signing out. Concurrent
// requests do not merge, and a session has less than 4,096 bytes. The guide on encrypted
// cookies says which of the library's guarantees hold.
package cookie

import (
	"context"
	"fmt"
	"time"

	"github.com/flamego/session"
)

// Config contains options for the cookie session store.
type Config struct {
	// Keys are the keys that encrypt the cookies, each of 32 random bytes. The first
	// writes, all of them read, so that you can change keys without losing a session.
	// At least one is required; session.ParseKey reads what `openssl rand -hex 32`
	// prints. Managers may share keys: a cookie or header of one name is invalid in
	// another.
	Keys [][]byte
	// Lifetime is the idle timeout. The server enforces it, by a time in the encrypted
	// part. Default is one hour, also for anything under a second. A copy of a cookie is
	// valid for that long, so keep it short.
	Lifetime time.Duration
	// Encoder is the encoder to encode session data, before encryption. Default is
	// session.GobEncoder.
	Encoder session.Encoder
	// Decoder is the decoder to decode session data. Default is session.GobDecoder.
	Decoder session.Decoder
}

// Initer returns the session.Initer for sessions in encrypted cookies. Its Config
// is a Config.
func Initer() session.Initer { return session.ClientIniter(open) }

func open(_ context.Context, cfg Config) (*session.Cipher, session.StoreConfig, error) {
	sc := session.StoreConfig{Lifetime: cfg.Lifetime, Encoder: cfg.Encoder, Decoder: cfg.Decoder}
	c, err := session.NewCipher(cfg.Keys...)
	if err != nil {
		return nil, sc, fmt.Errorf("cookie: Config.Keys: %w", err)
	}
	return c, sc, nil
}
