// Package freeport finds ports for the programs and servers that tests start.
package freeport

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are below the range that systems take from for outgoing connections (32768
// and up), so that nobody gets one by chance while its server is killed. The port above
// by busOffset is the one that Redis Clusters use among themselves.
const (
	first     = 12000
	busOffset = 10000
)

// Reserve finds a port on which nobody listens, nor on the one 10,000 above it, and keeps the other tests of this machine from it until reserved is closed.
// Without that, the program of one test could answer the client of another.
func Reserve() (port int, reserved io.Closer, err error) {
	for range 1000 {
		port = first + rand.IntN(busOffset)
		// The reservation is the UDP port of the same number, which no server here uses.
		if reserved, err = net.ListenPacket("udp", Loopback(port)); err != nil {
			continue
		}
		if err = errors.Join(Silent(port), Silent(port+busOffset)); err == nil {
			return port, reserved, nil
		}
		_ = reserved.Close()
	}
	return 0, nil, fmt.Errorf("no free port: %w", err)
}

// Silent is nil when nobody listens.
func Silent(port int) error {
	l, err := net.Listen("tcp", Loopback(port))
	if err != nil {
		return err
	}
	return l.Close()
}

// Loopback is an address that nobody outside of this machine reaches.
func Loopback(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
