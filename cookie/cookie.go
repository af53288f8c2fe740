// Package cookie keeps the whole session in an encrypted cookie, and nothing on
// the server:
//
//	f.Use(session.Sessioner(session.Options{
//		Initer: cookie.Initer(),
//		Config: cookie.Config{Keys: [][]byte{key}},
//	}))
//
// No server needs to share anything but the keys. The price is that the server
// cannot take a session back: a copy of a cookie is good until it expires, also
// after signing out, requests at the same time do not merge, and a session has
// less than 4,096 bytes. The guide on the cookie store says what of the library's
// guarantees holds.
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
	// one writes, all of them read, so that keys can be changed without a session
	// being lost. One is required; session.ParseKey reads what `openssl rand -hex
	// 32` prints. Managers may share them: a cookie or header of one name is of no
	// use in another.
	Keys [][]byte
	// Lifetime is the duration to have no access to a session before it expires. It
	// is enforced by the server, from a time in the encrypted part. Default is 3600
	// seconds, also for anything under a second. A copy of a cookie is good for that
	// long, so keep it short.
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
