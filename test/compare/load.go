package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// visitor is one connection that asks again as soon as it has been answered. It speaks
// HTTP by itself: a client of net/http would take more of the processor than many of
// the programs it asks.
type visitor struct {
	conn    net.Conn
	in      *bufio.Reader
	cookies []string // asked for in turn; none for a visitor that is new each time
	turn    int
	request []byte
	last    int // what the session's counter was last, or -1 for not to be checked
}

func (v *visitor) close() { _ = v.conn.Close() }

// ask sends a GET, and returns the body and the cookie that was set, if any.
func (v *visitor) ask(path, cookie string) (body []byte, set string, err error) {
	v.request = append(v.request[:0], "GET "...)
	v.request = append(v.request, path...)
	v.request = append(v.request, " HTTP/1.1\r\nHost: compare\r\n"...)
	if cookie != "" {
		v.request = append(v.request, "Cookie: "...)
		v.request = append(v.request, cookie...)
		v.request = append(v.request, "\r\n"...)
	}
	v.request = append(v.request, "\r\n"...)
	if err := v.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return nil, "", err
	}
	if _, err := v.conn.Write(v.request); err != nil {
		return nil, "", err
	}
	return v.answer()
}

var (
	statusOK  = []byte("HTTP/1.1 200 ")
	length    = []byte("Content-Length: ")
	setCookie = []byte("Set-Cookie: ")
)

func (v *visitor) answer() (body []byte, set string, err error) {
	line, err := v.in.ReadSlice('\n')
	if err != nil {
		return nil, "", err
	}
	status := "" // "" for 200
	if !bytes.HasPrefix(line, statusOK) {
		status = string(bytes.TrimSpace(line))
	}
	size := -1
	for {
		line, err := v.in.ReadSlice('\n')
		if err != nil {
			return nil, "", err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if n, ok := bytes.CutPrefix(line, length); ok {
			if size, err = strconv.Atoi(string(n)); err != nil {
				return nil, "", err
			}
		} else if c, ok := bytes.CutPrefix(line, setCookie); ok && set == "" {
			set, _, _ = strings.Cut(string(c), ";")
		}
	}
	if size < 0 {
		return nil, "", errors.New("an answer without a Content-Length")
	}
	body = make([]byte, size)
	if _, err := io.ReadFull(v.in, body); err != nil {
		return nil, "", err
	}
	if status != "" {
		return nil, "", &wrongAnswer{status}
	}
	return body, set, nil
}

// wrongAnswer leaves the connection usable.
type wrongAnswer struct{ text string }

func (w *wrongAnswer) Error() string { return "wrong answer: " + w.text }

// crew is a number of visitors of one program, all on one route.
type crew struct {
	path     string
	visitors []*visitor
}

func (c *crew) close() {
	for _, v := range c.visitors {
		v.close()
	}
}

// routes of which the comparison has figures.
const (
	untouched = "/untouched"
	read      = "/read"
	write     = "/write"
	fresh     = "/new"
)

func dial(addr string) (*visitor, error) {
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return nil, err
	}
	return &visitor{conn: conn, in: bufio.NewReaderSize(conn, 16<<10), last: -1}, nil
}

// What a session may hold besides its counter: the path that puts it there.
const (
	nothing = ""
	aStruct = "/cart"
	aText   = "/fat?n=4096"
)

// newCrew connects n visitors. Each has a session of its own, which holds something besides,
// but for the routes that are asked for without one. On a program without sessions they send a cookie as well,
// which nobody reads.
func newCrew(addrs []string, path, besides string, n int, bare bool) (*crew, error) {
	c := &crew{path: path}
	for i := range n {
		v, err := dial(addrs[i%len(addrs)])
		if err != nil {
			c.close()
			return nil, err
		}
		c.visitors = append(c.visitors, v)
		if path == untouched || path == fresh {
			continue
		}
		if bare {
			v.cookies = []string{"flamego_session=0123456789abcdefghijklmnopqrstuv"}
			continue
		}
		_, set, err := v.ask(fresh, "")
		if err == nil && set == "" {
			err = errors.New("a new session without a cookie")
		}
		if err != nil {
			c.close()
			return nil, err
		}
		v.cookies, v.last = []string{set}, 1
		if besides != nothing {
			if _, _, err := v.ask(besides, set); err != nil {
				c.close()
				return nil, err
			}
		}
	}
	return c, nil
}

// newReaders connects n visitors that read many sessions in turn.
func newReaders(addr string, n int, cookies []string) (*crew, error) {
	c := &crew{path: read}
	for i := range n {
		v, err := dial(addr)
		if err != nil {
			c.close()
			return nil, err
		}
		v.cookies, v.turn, v.last = cookies, i*len(cookies)/n, 1
		c.visitors = append(c.visitors, v)
	}
	return c, nil
}

// slice is what a crew has seen in one stretch of time.
type slice struct {
	requests  int
	wrong     int
	example   error
	took      time.Duration
	latencies []time.Duration
}

func (s slice) perSecond() float64 { return float64(s.requests) / s.took.Seconds() }

// work lets all visitors ask until the time is over, or each has asked that many
// times.
func (c *crew) work(d time.Duration, times int) (slice, error) {
	results := make([]slice, len(c.visitors))
	latencies := make([][]time.Duration, len(c.visitors))
	errs := make([]error, len(c.visitors))
	begin := time.Now()
	var wg sync.WaitGroup
	for i, v := range c.visitors {
		wg.Go(func() {
			s := &results[i]
			for n := 0; n < times; n++ {
				start := time.Now()
				if start.Sub(begin) > d {
					return
				}
				err := v.next(c.path)
				latencies[i] = append(latencies[i], time.Since(start))
				s.requests++
				if wrong := new(wrongAnswer); errors.As(err, &wrong) {
					s.wrong++
					s.example = err
				} else if err != nil {
					errs[i] = err
					return
				}
			}
		})
	}
	wg.Wait()
	all := slice{took: time.Since(begin)}
	for _, s := range results {
		all.requests += s.requests
		all.wrong += s.wrong
		if s.example != nil {
			all.example = s.example
		}
	}
	all.latencies = slices.Concat(latencies...)
	return all, errors.Join(errs...)
}

// next asks once and looks at the answer. What is wrong is counted, not fatal: it is a
// result.
func (v *visitor) next(path string) error {
	cookie := ""
	if len(v.cookies) > 0 {
		cookie = v.cookies[v.turn%len(v.cookies)]
		v.turn++
	}
	body, _, err := v.ask(path, cookie)
	if err != nil || v.last < 0 {
		return err
	}
	want := v.last
	if path == write {
		want++
	}
	n, err := strconv.Atoi(string(body))
	if err != nil || n != want {
		err = &wrongAnswer{fmt.Sprintf("%q, want %d", body, want)}
	}
	if path == write {
		v.last = n
	}
	return err
}

// check holds a program against the contract, with a client that treats cookies as a
// browser does.
func check(addr string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	get := func(c *http.Client, path string) (string, error) {
		res, err := c.Get("http://" + addr + path)
		if err != nil {
			return "", err
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusOK {
			return "", fmt.Errorf("%s: %s %s", path, res.Status, body)
		}
		return string(body), err
	}
	browser := &http.Client{Jar: jar, Timeout: 20 * time.Second}
	stranger := &http.Client{Timeout: 20 * time.Second}
	for _, step := range []struct {
		c          *http.Client
		path, want string
	}{
		{browser, untouched, "ok"}, {browser, read, "0"},
		{browser, fresh, "1"}, {browser, write, "2"}, {browser, write, "3"}, {browser, read, "3"},
		{stranger, fresh, "1"}, {stranger, read, "0"},
		{browser, "/fat?n=1000", "ok"}, {browser, read, "3"}, {browser, write, "4"}, {browser, untouched, "ok"}, {browser, read, "4"},
		{browser, aStruct, "ok"}, {browser, read, "4"}, {browser, write, "5"}, {browser, read, "5"},
	} {
		got, err := get(step.c, step.path)
		if err != nil {
			return err
		}
		if got != step.want {
			return fmt.Errorf("%s answers %q, want %q", step.path, got, step.want)
		}
	}
	return nil
}
