// Package cookie keeps the whole session in an encrypted cookie, and nothing on
// the server:
//
//	f.Use(session.Sessioner(session.Options{
//		Initer: cookie.Initer(),
//		Config: cookie.Config{Keys: [][]byte{key}},
//	}))
//
// Servers share only the keys. The price is that a server cannot revoke a session: a copy of a
// cookie is valid until it expires, even after the user has signed out. Concurrent requests do
// not merge, and a session must fit into 4,096 bytes. The guide on encrypted cookies says
// which of the library's guarantees hold.
package cookie

import (
	"context"
	"fmt"
	"time"

	"github.com/flamego/session"
)

// Config contains options for the cookie session store.
type Config struct {
	// Keys encrypt the cookies. Each is 32 random bytes, as `openssl rand -hex 32` prints and
	// session.ParseKey reads. At least one is required. The first encrypts and all of them
	// decrypt, so that you can rotate keys without losing sessions. Managers may share keys: a
	// session that was issued under one cookie or header name is invalid under another.
	Keys [][]byte
	// Lifetime is the idle timeout. The server enforces it, by a time stamp in the encrypted
	// part. Default is one hour, also for values under a second. Keep it short: a copied
	// cookie is valid for that long.
	Lifetime time.Duration
	// Encoder encodes session data, before encryption. Default is session.GobEncoder.
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
