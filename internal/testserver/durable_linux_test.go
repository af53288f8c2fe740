package testserver

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// client runs a system's own command-line client, which answers each line of SQL
// with a line.
type client struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startClient(t *testing.T, args ...string) *client {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(plainEnv(), "PGCONNECT_TIMEOUT=5")
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &client{cmd, in, bufio.NewScanner(out)}
}

// ask is false when the server is gone.
func (c *client) ask(sql string) (string, bool) {
	if _, err := io.WriteString(c.in, sql+"\n"); err != nil {
		return "", false
	}
	if !c.out.Scan() {
		return "", false
	}
	return c.out.Text(), true
}

// What a server has acknowledged before it is killed is there when it is back.
func TestDurable(t *testing.T) {
	fromHere(t)
	sql := func(c *client) (insert func(n int) bool, stored func() string) {
		insert = func(n int) bool {
			answer, ok := c.ask(fmt.Sprintf("INSERT INTO t VALUES (%d) RETURNING n;", n))
			return ok && answer == strconv.Itoa(n)
		}
		stored = func() string {
			text, _ := c.ask("SELECT COALESCE(MAX(n), 0) + COUNT(*) FROM t;")
			return text
		}
		return insert, stored
	}
	systems := map[string]func(t *testing.T, port int) (insert func(n int) bool, stored func() string){
		"postgres": func(t *testing.T, port int) (func(int) bool, func() string) {
			c := startClient(t, "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", postgresDSN(port))
			c.ask("SET client_min_messages=error; CREATE TABLE IF NOT EXISTS t (n INT); SELECT 1;")
			return sql(c)
		},
		"mariadb": func(t *testing.T, port int) (func(int) bool, func() string) {
			c := startClient(t, "mariadb", "--no-defaults", "--batch", "--skip-column-names", "--unbuffered",
				"--host=127.0.0.1", "--port="+strconv.Itoa(port), "--user=session", "--password=session", "session")
			c.ask("CREATE TABLE IF NOT EXISTS t (n INT); SELECT 1;")
			return sql(c)
		},
		"redis": func(t *testing.T, port int) (func(int) bool, func() string) {
			r, err := dialRESP(port, nil)
			require.NoError(t, err)
			t.Cleanup(func() { _ = r.conn.Close() })
			insert := func(n int) bool {
				_, err := r.do("RPUSH", "t", strconv.Itoa(n))
				return err == nil
			}
			stored := func() string {
				count, err := r.do("LLEN", "t")
				require.NoError(t, err)
				last, err := r.do("LINDEX", "t", "-1")
				require.NoError(t, err)
				a, err := strconv.Atoi(count)
				require.NoError(t, err)
				b, err := strconv.Atoi(last)
				require.NoError(t, err)
				return strconv.Itoa(a + b)
			}
			return insert, stored
		},
	}
	for name, connect := range systems {
		t.Run(name, func(t *testing.T) {
			s := get(t, name)
			next := 1
			for range 3 {
				insert, _ := connect(t, portOf(s))
				require.True(t, insert(next), "the first one must work")
				acknowledged := make(chan int)
				go func() {
					n := next
					for insert(n + 1) {
						n++
					}
					acknowledged <- n
				}()
				time.Sleep(rand.N(200 * time.Millisecond))
				s.Kill(t)
				last := <-acknowledged
				require.Greater(t, last, next, "nothing was written")
				s.Start(t)

				// Rows 1 to n have a sum of count and maximum of 2n. One more than was
				// acknowledged may have been stored.
				_, stored := connect(t, portOf(s))
				got := stored()
				require.Contains(t, []string{strconv.Itoa(2 * last), strconv.Itoa(2 * (last + 1))}, got, "acknowledged %d", last)
				sum, err := strconv.Atoi(got)
				require.NoError(t, err)
				next = sum/2 + 1
			}
			t.Logf("%d written", next-1)
		})
	}
}
