// Command bearer is an API for programs: signing in returns a token, which later
// requests send as "Authorization: Bearer …". The token is the session's ID.
//
//	curl -d user=ann localhost:2830/login
//	curl -H "Authorization: Bearer $TOKEN" localhost:2830/me
package main

import (
	"encoding/json"
	"net/http"

	"github.com/flamego/flamego"

	"github.com/flamego/session"
)

func main() {
	m, err := session.NewManager(options())
	if err != nil {
		panic(err)
	}
	newApp(m).Run()
}

func options() session.Options {
	return session.Options{
		Transport: session.BearerTransport(),
		MaxSize:   4 << 10, // Anybody may sign in here, by any name.
	}
}

func newApp(m *session.Manager) *flamego.Flame {
	f := flamego.Classic()
	f.Use(m.Sessioner())
	f.Post("/login", signIn)
	f.Group("/me", func() {
		f.Get("", me)
		f.Delete("/session", signOut)
	}, requireToken)
	return f
}

func signIn(c flamego.Context, s session.Session) error {
	user := c.Request().PostFormValue("user")
	if user == "" || len(user) > 100 {
		return answer(c, http.StatusUnprocessableEntity, map[string]any{"error": "user is missing, or longer than 100 bytes"})
	}
	s.Flush()
	if err := session.SetOwner(s, user); err != nil { // A new ID, on the list of the user's sessions.
		return err
	}
	s.Set("user", user)
	// The ID is final now. It is also in the response's Authorization header.
	return answer(c, http.StatusOK, map[string]any{"token": s.ID()})
}

// requireToken also refuses unknown, expired and ended tokens: such a request has no
// session.
func requireToken(c flamego.Context, s session.Session) error {
	if s.Get("user") == nil {
		c.ResponseWriter().Header().Set("WWW-Authenticate", "Bearer")
		return answer(c, http.StatusUnauthorized, map[string]any{"error": "sign in first"})
	}
	return nil
}

func me(c flamego.Context, s session.Session) error {
	n := session.Update(s, "calls", func(n int) int { return n + 1 })
	return answer(c, http.StatusOK, map[string]any{"user": s.Get("user"), "calls": n})
}

func signOut(c flamego.Context, s session.Session) {
	session.Destroy(s)
	c.ResponseWriter().WriteHeader(http.StatusNoContent)
}

func answer(c flamego.Context, status int, v any) error {
	c.ResponseWriter().Header().Set("Content-Type", "application/json")
	c.ResponseWriter().WriteHeader(status)
	return json.NewEncoder(c.ResponseWriter()).Encode(v)
}
