package main

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/examples/internal/exampletest"
)

func call(t *testing.T, method, url, authorization, form string) (res *http.Response, body string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(form))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Authorization", authorization)
	res, err = http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(b)
}

func TestTokenOfOnesOwn(t *testing.T) {
	items := exampletest.Serve(t, newApp()) + "/items"
	res, body := call(t, http.MethodGet, items, "", "")
	assert.Empty(t, body)
	assert.Empty(t, res.Header.Get("X-Token"), "there is no session to tell of")

	res, body = call(t, http.MethodPost, items, "", "item=tea")
	assert.Equal(t, "1", body)
	token := res.Header.Get("X-Token")
	require.Len(t, token, 32)
	assert.Empty(t, res.Cookies())
	res, body = call(t, http.MethodPost, items, "Token "+token, "item=sugar")
	assert.Equal(t, "2", body)
	assert.Empty(t, res.Header.Get("X-Token"), "the client knows it")

	for authorization, want := range map[string]string{
		"Token " + token:       "tea, sugar",
		"Bearer " + token:      "",
		"Token ../../etc/pass": "",
		"":                     "",
	} {
		_, body = call(t, http.MethodGet, items, authorization, "")
		assert.Equal(t, want, body, authorization)
	}
	_, body = call(t, http.MethodGet, items+"?sid="+token, "", "")
	assert.Empty(t, body)

	res, _ = call(t, http.MethodDelete, items, "Token "+token, "")
	assert.Equal(t, http.StatusNoContent, res.StatusCode)
	_, body = call(t, http.MethodGet, items, "Token "+token, "")
	assert.Empty(t, body)
}
