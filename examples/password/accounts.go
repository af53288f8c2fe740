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

// version returns the version of the user's password.
func (a *accounts) version(user string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p := a.passwords[user]; p != nil {
		return p.version
	}
	return 0
}

// check returns the version of the password, or 0 if it is another one. An unknown user takes
// as long as a known one.
func (a *accounts) check(user, text string) (version int) {
	a.mu.Lock()
	p := a.passwords[user]
	a.mu.Unlock()
	if p == nil {
		p = new(password)
	}
	if subtle.ConstantTimeCompare(p.hash, stretch(text, p.salt)) == 0 {
		return 0
	}
	return p.version
}

// change returns the version of the new password.
func (a *accounts) change(user, text string) (version int) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // Never fails.
	p := &password{salt: salt, hash: stretch(text, salt), version: 1}
	a.mu.Lock()
	defer a.mu.Unlock()
	if old := a.passwords[user]; old != nil {
		p.version = old.version + 1
	}
	a.passwords[user] = p
	return p.version
}

// password is what is stored of one.
type password struct {
	salt, hash []byte
	version    int // grows with each change
}

// stretch makes guessing slow. The number is that of OWASP's Password Storage Cheat Sheet.
func stretch(text string, salt []byte) []byte {
	hash, err := pbkdf2.Key(sha256.New, text, salt, 600_000, sha256.Size)
	if err != nil {
		panic(err) // A length that cannot be.
	}
	return hash
}
