package main

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"sync"
)

// accounts stands for your table of users. Its methods may be called concurrently.
type accounts struct {
	mu        sync.Mutex
	passwords map[string]*password // by user
}

func newAccounts() *accounts {
	a := &accounts{passwords: make(map[string]*password)}
	a.change("ann", "correct horse")
	return a
}

// password returns what the table has now.
func (a *accounts) password(user string) *password {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.passwords[user]
}

// check returns the password that it was compared with, or nil if it is another one. An
// unknown user takes as long as a known one.
func (a *accounts) check(user, text string) *password {
	p := a.password(user)
	if p == nil {
		p = new(password)
	}
	if subtle.ConstantTimeCompare(p.hash, stretch(text, p.salt)) == 0 {
		return nil
	}
	return p
}

func (a *accounts) change(user, text string) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // Never fails.
	p := &password{salt: salt, hash: stretch(text, salt)}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.passwords[user] = p
}

// password is what is stored of one.
type password struct{ salt, hash []byte }

// stretch makes guessing slow. The number is that of OWASP's Password Storage Cheat Sheet.
func stretch(text string, salt []byte) []byte {
	hash, err := pbkdf2.Key(sha256.New, text, salt, 600_000, sha256.Size)
	if err != nil {
		panic(err) // A length that cannot be.
	}
	return hash
}
