// Package testproxy is a TCP proxy for tests of backends, which loses answers and
// spoils connections.
package testproxy

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy stands between a client and its servers. Its methods may be called
// concurrently.
type Proxy struct {
	t testing.TB

	mu      sync.Mutex
	entries map[string]string // by the address of the server
	conns   []*net.TCPConn
	pattern []byte // requests that hold it lose their answer, unless it is empty
	left    int    // so many more times
	silent  bool   // by waiting, not by closing
	seen    int    // requests that held the pattern
	spell   Spell
}

// Spell is what all connections suffer from.
type Spell string

// The spells.
const (
	None   Spell = ""
	Reset  Spell = "reset"   // Connections are reset, new ones at once.
	Delay  Spell = "delayed" // Whatever is sent takes 200 to 400 ms longer.
	Silent Spell = "silent"  // Whatever is sent is lost.
)

// New returns a proxy that ends with the test.
func New(t testing.TB) *Proxy {
	p := &Proxy{t: t, entries: make(map[string]string)}
	t.Cleanup(func() { p.Cast(Reset) })
	return p
}

// Lose makes the next n requests that hold the pattern lose their answers: the
// server has done what it was asked to, and the client does not hear of it. The
// connection is closed, or if silent left at that. It starts to count such requests.
// An empty pattern is in none.
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

// Cast lets all connections suffer from a spell until the next.
func (p *Proxy) Cast(s Spell) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spell = s
	if s == Reset {
		for _, c := range p.conns {
			_ = c.SetLinger(0)
			_ = c.Close()
		}
		p.conns = nil
	}
}

// DialContext connects to a server through the proxy. It is for the client's Dialer.
func (p *Proxy) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, network, p.Addr(addr))
}

// Addr is where the proxy takes connections to a server.
func (p *Proxy) Addr(server string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.entries[server] == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			p.t.Error(err)
			return ""
		}
		p.t.Cleanup(func() { _ = l.Close() })
		go p.serve(l, server)
		p.entries[server] = l.Addr().String()
	}
	return p.entries[server]
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
		p.conns = append(p.conns, client.(*net.TCPConn), server.(*net.TCPConn))
		spell := p.spell
		p.mu.Unlock()
		if spell == Reset {
			p.Cast(Reset) // This one, too.
			continue
		}
		go p.relay(client, server)
	}
}

// relay carries one request and one answer at a time, as the clients do it. A
// pattern is found if it is not torn apart by the network.
func (p *Proxy) relay(client, server net.Conn) {
	lost := make(chan bool, 1) // holds the loss of the answer that is to come
	go carry(server, client, func([]byte) bool {
		select {
		case silent := <-lost:
			if lost <- silent; !silent { // The connection is of no use any more.
				_ = client.Close()
			}
			return false
		default:
			return p.passes()
		}
	})
	carry(client, server, func(request []byte) bool {
		if loses, silent := p.loses(request); loses {
			select {
			case lost <- silent:
			default:
			}
		}
		return p.passes()
	})
}

// carry carries from one to the other what passes, until one of them ends.
func carry(from, to net.Conn, passes func([]byte) bool) {
	defer func() { _, _ = from.Close(), to.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if passes(buf[:n]) {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
}

// passes is false for what a spell makes vanish, and takes the time that one takes.
func (p *Proxy) passes() bool {
	p.mu.Lock()
	spell := p.spell
	p.mu.Unlock()
	if spell == Delay {
		time.Sleep(200*time.Millisecond + rand.N(200*time.Millisecond))
	}
	return spell != Silent
}

// loses counts a request.
func (p *Proxy) loses(request []byte) (loses, silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pattern) == 0 || !bytes.Contains(request, p.pattern) {
		return false, false
	}
	p.seen++
	if p.left == 0 {
		return false, false
	}
	p.left--
	return true, p.silent
}
