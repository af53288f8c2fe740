// Package testproxy is a TCP proxy for tests of backends, which loses answers.
package testproxy

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy stands between a client and its servers, and loses answers: the server
// has done what it was asked to, and the client does not hear of it. Its methods
// may be called concurrently.
type Proxy struct {
	t testing.TB

	mu      sync.Mutex
	entries map[string]net.Addr // by the address of the server
	pattern []byte              // requests that hold it lose their answer, unless it is empty
	left    int                 // so many more times
	silent  bool                // by waiting, not by closing
	seen    int                 // requests that held the pattern
	conns   []net.Conn
}

// New returns a proxy that ends with the test.
func New(t testing.TB) *Proxy {
	p := &Proxy{t: t, entries: make(map[string]net.Addr)}
	t.Cleanup(p.close)
	return p
}

// Lose makes the next n requests that hold the pattern lose their answers: by
// closing the connection, or if silent by leaving it at that. It starts to count
// such requests. An empty pattern is in none.
func (p *Proxy) Lose(pattern string, n int, silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pattern, p.left, p.silent, p.seen = []byte(pattern), n, silent, 0
}

// Requests returns how many requests held the pattern since Lose.
func (p *Proxy) Requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// DialContext connects to a server through the proxy. It is for the client's Dialer.
func (p *Proxy) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	p.mu.Lock()
	entry := p.entries[addr]
	if entry == nil {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			p.mu.Unlock()
			return nil, err
		}
		p.t.Cleanup(func() { _ = l.Close() })
		go p.serve(l, addr)
		entry = l.Addr()
		p.entries[addr] = entry
	}
	p.mu.Unlock()
	var d net.Dialer
	return d.DialContext(ctx, network, entry.String())
}

func (p *Proxy) serve(l net.Listener, addr string) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", addr)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		go p.relay(client, server)
	}
}

// relay carries one request and one answer at a time, as the clients do it. Each
// fits in a packet or is carried on by the next round.
func (p *Proxy) relay(client, server net.Conn) {
	var lost sync.Mutex
	losing := false
	go func() {
		defer func() { _ = client.Close(); _ = server.Close() }()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			lost.Lock()
			drop := losing
			lost.Unlock()
			if err != nil || drop && !p.isSilent() {
				return
			}
			if drop {
				continue
			}
			if _, err := client.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			_ = server.Close()
			return
		}
		if p.decide(buf[:n]) {
			lost.Lock()
			losing = true
			lost.Unlock()
		}
		if _, err := io.Copy(server, bytes.NewReader(buf[:n])); err != nil {
			return
		}
	}
}

func (p *Proxy) isSilent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.silent
}

func (p *Proxy) decide(request []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pattern) == 0 || !bytes.Contains(request, p.pattern) {
		return false
	}
	p.seen++
	if p.left == 0 {
		return false
	}
	p.left--
	return true
}

// close ends all connections. The listeners end with the test.
func (p *Proxy) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}
