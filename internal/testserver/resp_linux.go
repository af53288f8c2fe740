package testserver

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// resp is a connection to a Redis: as much of its protocol as it takes to set up
// a cluster and see that it works.
type resp struct {
	conn net.Conn
	in   *bufio.Reader
}

// dialRESP shakes hands with the first command; the deadline of dial is for that,
// too.
func dialRESP(port int, cfg *tls.Config) (*resp, error) {
	conn, err := dial(port)
	if err != nil {
		return nil, err
	}
	if cfg != nil {
		conn = tls.Client(conn, cfg)
	}
	return &resp{conn, bufio.NewReader(conn)}, nil
}

// askRESP sends one command and returns the answer: strings as they are, the
// elements of lists one on each line.
func askRESP(port int, cfg *tls.Config, args ...string) (string, error) {
	r, err := dialRESP(port, cfg)
	if err != nil {
		return "", err
	}
	defer func() { _ = r.conn.Close() }()
	return r.do(args...)
}

// do sends a command in the form that also takes binary arguments, and so needs no
// quoting.
func (r *resp) do(args ...string) (string, error) {
	var out strings.Builder
	fmt.Fprintf(&out, "*%d\r\n", len(args))
	for _, arg := range args {
		fmt.Fprintf(&out, "$%d\r\n%s\r\n", len(arg), arg)
	}
	if _, err := io.WriteString(r.conn, out.String()); err != nil {
		return "", err
	}
	answer, err := r.read()
	if err != nil {
		return "", fmt.Errorf("redis %s: %w", strings.ToLower(args[0]), err)
	}
	return answer, nil
}

// read reads one answer of version 2 of the protocol, which every Redis speaks
// unless asked for another.
func (r *resp) read() (string, error) {
	line, err := r.in.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("not a Redis")
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '+', ':':
		return rest, nil
	case '-': // Such as LOADING, or CLUSTERDOWN: in time it may go away.
		return "", errors.New(rest)
	}
	n, err := strconv.Atoi(rest)
	if err != nil || kind != '$' && kind != '*' {
		return "", fmt.Errorf("not a Redis: %q", line)
	}
	if n < 0 {
		return "", nil // nil
	}
	if kind == '$' {
		text := make([]byte, n+2)
		_, err := io.ReadFull(r.in, text)
		return string(text[:n]), err
	}
	// Commands here answer with short lists; names and values by turns, mostly.
	list := make([]string, n)
	for i := range list {
		if list[i], err = r.read(); err != nil {
			return "", err
		}
	}
	return strings.Join(list, "\n"), nil
}

// expect asks, and is an error unless the answer has all these texts in it.
func expect(port int, args []string, texts ...string) error {
	answer, err := askRESP(port, nil, args...)
	if err != nil {
		return err
	}
	for _, text := range texts {
		if !strings.Contains(answer, text) {
			return fmt.Errorf("redis %s does not tell %q yet", strings.ToLower(strings.Join(args, " ")), text)
		}
	}
	return nil
}
