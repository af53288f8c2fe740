package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/examples/internal/exampletest"
	"github.com/flamego/session/sessiontest"
)

// call sends a request as a program does, and returns what the answer says.
func call(t *testing.T, method, url, token, form string) (*http.Response, map[string]any) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(form))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	var answer map[string]any
	if res.StatusCode != http.StatusNoContent {
		require.NoError(t, json.NewDecoder(res.Body).Decode(&answer))
	}
	return res, answer
}

func TestToken(t *testing.T) {
	site := exampletest.Serve(t, newApp(exampletest.Open(t, options(), sessiontest.NewClock())))

	res, _ := call(t, http.MethodGet, site+"/me", "", "")
	assert.Equal(t, http.StatusUnauthorized, res.StatusCode)
	assert.Equal(t, "Bearer", res.Header.Get("WWW-Authenticate"))
	assert.NotContains(t, res.Header, "Authorization", "who has no session is told none")
	res, _ = call(t, http.MethodGet, site+"/me", "0123456789abcdefghijklmnopqrstuv", "")
	assert.Equal(t, http.StatusUnauthorized, res.StatusCode, "a token that nobody was given")

	res, answer := call(t, http.MethodPost, site+"/login", "", "user=ann")
	token, _ := answer["token"].(string)
	require.Len(t, token, 32)
	assert.Equal(t, "Bearer "+token, res.Header.Get("Authorization"))
	assert.Equal(t, "no-store", res.Header.Get("Cache-Control"))
	assert.Empty(t, res.Cookies())

	for calls := range 2 {
		_, answer = call(t, http.MethodGet, site+"/me", token, "")
		assert.Equal(t, map[string]any{"user": "ann", "calls": float64(calls + 1)}, answer)
	}

	// Signing in again replaces the token.
	_, answer = call(t, http.MethodPost, site+"/login", token, "user=bob")
	next, _ := answer["token"].(string)
	require.NotEqual(t, token, next)
	res, _ = call(t, http.MethodGet, site+"/me", token, "")
	assert.Equal(t, http.StatusUnauthorized, res.StatusCode)

	res, _ = call(t, http.MethodDelete, site+"/me/session", next, "")
	assert.Equal(t, http.StatusNoContent, res.StatusCode)
	assert.Equal(t, []string{""}, res.Header["Authorization"], "the client is told to forget it")
	res, _ = call(t, http.MethodGet, site+"/me", next, "")
	assert.Equal(t, http.StatusUnauthorized, res.StatusCode)
}
