package outage_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flamego/session/driver"
	"github.com/flamego/session/internal/outage"
)

func TestIs(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	server.TLS.ClientAuth = tls.RequireAnyClientCert
	encrypted := server.Listener.Addr().String()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	silent := l.Addr().String() // It takes connections, and says nothing.
	defer func() { _ = l.Close() }()
	cut, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = cut.Close() }()
	go func() {
		for c, err := cut.Accept(); err == nil; c, err = cut.Accept() {
			_ = c.Close()
		}
	}()

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	dial := func(network, addr string) error {
		c, err := net.Dial(network, addr)
		if err == nil {
			_ = c.SetDeadline(time.Now().Add(100 * time.Millisecond))
			_, err = c.Read(make([]byte, 1))
			_ = c.Close()
		}
		return err
	}
	overTLS := func(addr string, cfg *tls.Config) error {
		c, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", addr)
		if err == nil {
			_, err = c.Read(make([]byte, 1)) // The server judges the client's certificate.
			_ = c.Close()
		}
		return err
	}
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, notADirectory := os.Open(filepath.Join(file, "sessions"))

	<-ctx.Done()
	timedOut := ctx.Err()
	ctx = t.Context()

	for name, err := range map[string]error{
		"refused":     dial("tcp", "127.0.0.1:1"),
		"no answer":   dial("tcp", silent),
		"closed":      dial("tcp", cut.Addr().String()),
		"no socket":   dial("unix", t.TempDir()+"/missing"),
		"timed out":   timedOut,
		"no name yet": &net.DNSError{Err: "no such host", IsNotFound: true},
		"said":        driver.ErrUnavailable,
		"marked":      outage.Mark(errors.New("sorry, too many clients")),
		"of several":  errors.Join(errors.New("it is a standby"), dial("tcp", "127.0.0.1:1")),
	} {
		assert.Error(t, err, name)
		assert.True(t, outage.Is(fmt.Errorf("wrapped: %w", err)), "%s: %v", name, err)
	}
	for name, err := range map[string]error{
		"unknown authority":     overTLS(encrypted, nil),
		"no client certificate": overTLS(encrypted, &tls.Config{InsecureSkipVerify: true}), // #nosec G402
		"no port":               dial("tcp", "127.0.0.1"),
		"no such network":       dial("tcp5", "127.0.0.1:1"),
		"cancelled":             context.Canceled,
		"an answer":             errors.New("permission denied"),
		"a file":                notADirectory,
		"nothing":               nil,
	} {
		assert.False(t, outage.Is(err), "%s: %v", name, err)
	}
}

func TestMark(t *testing.T) {
	plain := errors.New("sorry, too many clients")
	err := outage.Mark(plain)
	assert.Equal(t, plain.Error(), err.Error())
	require.ErrorIs(t, err, plain)
	require.ErrorIs(t, err, driver.ErrUnavailable)
	assert.Equal(t, err, outage.Mark(err))
	assert.NoError(t, outage.Mark(nil))
}
