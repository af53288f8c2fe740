package main

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"slices"
	"strings"
)

// user is somebody who has an account. Handlers behind requireSignIn take it as a
// parameter.
type user struct {
	ID   string // the owner of sessions; it never changes
	Name string // as in pages
}

// everyPassword is that of every account.
const everyPassword = "open sesame"

// pbkdf2Rounds is what OWASP recommends for PBKDF2 with SHA-256.
const pbkdf2Rounds = 600_000

// accounts stand in for a table of users, which does not change here. The methods may be
// called concurrently.
type accounts struct {
	rounds    int
	users     []user
	passwords map[string]password // by the user's ID
}

// password is what a site keeps of one: enough to check it, too little to find it.
type password struct{ salt, hash []byte }

func newAccounts(rounds int) *accounts {
	a := &accounts{rounds: rounds, passwords: make(map[string]password), users: []user{
		{ID: "ann", Name: "Ann"}, {ID: "bob", Name: "Bob"}, {ID: "carol", Name: "Carol"},
	}}
	for _, u := range a.users {
		salt := make([]byte, 16)
		_, _ = rand.Read(salt) // Never fails.
		a.passwords[u.ID] = password{salt: salt, hash: a.hash(everyPassword, salt)}
	}
	return a
}

func (a *accounts) find(id string) (user, bool) {
	i := slices.IndexFunc(a.users, func(u user) bool { return u.ID == id })
	if i < 0 {
		return user{}, false
	}
	return a.users[i], true
}

// check returns who has this name and password. It takes as long for a name that nobody has:
// how long it takes must not tell which names exist. A real site also slows down those who
// guess.
func (a *accounts) check(name, typed string) (user, bool) {
	u, known := a.find(strings.ToLower(name))
	p := a.passwords[u.ID] // without salt and hash if nobody has the name
	fits := subtle.ConstantTimeCompare(a.hash(typed, p.salt), p.hash) == 1
	return u, known && fits
}

func (a *accounts) hash(typed string, salt []byte) []byte {
	hash, err := pbkdf2.Key(sha256.New, typed, salt, a.rounds, sha256.Size)
	if err != nil {
		panic(err) // Only if the numbers above were not allowed.
	}
	return hash
}
