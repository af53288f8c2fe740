package testserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/flamego/session/internal/wait"
)

// redisScript writes a file and no command line, as only with a file a node that was
// made a master remembers it when it is started again.
const redisScript = `
[ -e redis.conf ] || echo "port $PORT$CONF" >redis.conf
exec redis-server redis.conf $MODE`

// redisConf is for nodes that hold data. The log of changes is written before they
// are acknowledged, so they survive SIGKILL. With everysec that write may be put
// off, and always waits for the disk, which only a crash of the machine asks for.
// Replicas are served at once: nobody else will want the same.
const redisConf = `
bind 127.0.0.1
save ""
appendonly yes
appendfsync no
repl-diskless-sync-delay 0
`

func redisNode(conf string, env ...string) (*Server, error) {
	r := recipe{title: "Redis", script: redisScript, env: slices.Concat([]string{"MODE=", "CONF=" + conf}, env)}
	r.ready = func(_ context.Context, port int) (string, error) { return askRedis(port, nil) }
	return r.run()
}

// askRedis tells the version, or an error while it loads its data.
func askRedis(port int, cfg *tls.Config) (version string, err error) {
	if _, err := ask(loopback(port), cfg, "PING"); err != nil {
		return "", err
	}
	info, err := ask(loopback(port), cfg, "INFO server")
	return regexp.MustCompile(`\d+\.[\d.]+`).FindString(info), err
}

// ask sends one command, and returns the answer as text: of a map "map[k:v k:v]".
func ask(addr string, cfg *tls.Config, command string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	c := redis.NewClient(&redis.Options{Addr: addr, TLSConfig: cfg, MaxRetries: -1})
	defer func() { _ = c.Close() }()
	var args []any
	for word := range strings.FieldsSeq(command) {
		args = append(args, word)
	}
	answer, err := c.Do(ctx, args...).Result()
	return fmt.Sprint(answer), err
}

// tell asks nodes until each answer has all of the texts in it.
func tell(nodes []*Server, command string, texts ...string) error {
	return wait.Until(20*time.Second, func() error {
		for _, n := range nodes {
			answer, err := ask(n.Addr, nil, command)
			if err != nil {
				return fmt.Errorf("redis %s: %w", command, err)
			}
			for _, text := range texts {
				if !strings.Contains(answer, text) {
					return fmt.Errorf("redis %s has no %q yet: %s", command, text, answer)
				}
			}
		}
		return nil
	})
}

// launchRedisTLS uses the certificate for 127.0.0.1 that Go's own tests have. Clients
// need none: a password or the network is what usually protects a Redis.
func launchRedisTLS() (*Server, error) {
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	key, err := x509.MarshalPKCS8PrivateKey(web.TLS.Certificates[0].PrivateKey)
	if err != nil {
		return nil, err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	cert = append(cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	cfg := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	cfg.RootCAs.AddCert(web.Certificate())
	s, err := recipe{
		title: "Redis with TLS",
		script: `echo "$CERT" >pem
exec redis-server --bind 127.0.0.1 --save '' --port 0 --tls-port $PORT --tls-cert-file pem --tls-key-file pem --tls-auth-clients no`,
		env:   []string{"CERT=" + string(cert)},
		ready: func(_ context.Context, port int) (string, error) { return askRedis(port, cfg) },
	}.run()
	if err != nil {
		return nil, err
	}
	s.TLS = cfg
	return s, nil
}

// add starts more nodes of a server.
func (s *Server) add(n int, conf string, env ...string) error {
	for range n {
		node, err := redisNode(conf, env...)
		if err != nil {
			return err
		}
		s.nodes = append(s.nodes, node)
	}
	return nil
}

// reached names a server and the nodes that clients connect to; or ends it.
func (s *Server) reached(title string, from int, err error) (*Server, error) {
	if err != nil {
		s.Close()
		return nil, err
	}
	s.Name = s.nodes[0].Name + ", " + title
	for _, n := range s.nodes[from:] {
		s.Addrs = append(s.Addrs, n.Addr)
	}
	s.Addr = s.Addrs[0]
	return s, nil
}

func launchRedisCluster() (*Server, error) {
	s := new(Server)
	// A master is taken for failed after so many milliseconds of silence.
	err := s.add(6, redisConf+"cluster-enabled yes\ncluster-node-timeout 1000\ncluster-allow-replica-migration no\n")
	if err != nil {
		return s.reached("", 0, err)
	}
	s.settled = func() error { return tell(s.nodes, "CLUSTER INFO", "cluster_state:ok", "cluster_known_nodes:6") }
	args := []string{"--cluster", "create"}
	for _, n := range s.nodes {
		args = append(args, n.Addr)
	}
	out, err := exec.Command("redis-cli", append(args, "--cluster-replicas", "1", "--cluster-yes")...).CombinedOutput()
	if err != nil {
		return s.reached("", 0, fmt.Errorf("redis-cli: %w: %s", err, out))
	}
	return s.reached("cluster", 0, errors.Join(
		tell(s.nodes[:3], "INFO replication", "role:master", "connected_slaves:1"),
		tell(s.nodes[3:], "INFO replication", "role:slave", "master_link_status:up"),
		s.settled(),
	))
}

// launchRedisSentinel starts a master, then its replica, then the sentinels: each
// needs the address of those before it. Two of three must agree that the master is
// gone, which they call it after half a second of silence; a fail-over that doesn't
// succeed is tried again after three.
func launchRedisSentinel() (*Server, error) {
	s := &Server{Master: sentinelMaster}
	if err := s.add(1, redisConf); err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(s.nodes[0].Addr)
	err := s.add(1, redisConf+"replicaof "+host+" "+port+"\n")
	if err == nil { // A sentinel that finds no replica at first looks again after 10 s only.
		err = tell(s.nodes[:1], "INFO replication", "connected_slaves:1", "state=online")
	}
	if err == nil {
		err = s.add(3, strings.NewReplacer("NAME", s.Master, "ADDR", host+" "+port).Replace(`
bind 127.0.0.1
sentinel monitor NAME ADDR 2
sentinel down-after-milliseconds NAME 500
sentinel failover-timeout NAME 3000
`), "MODE=--sentinel")
	}
	if err == nil {
		err = tell(s.nodes[2:], "SENTINEL MASTER "+s.Master, "flags:master ", "num-slaves:1 ", "num-other-sentinels:2 ")
	}
	return s.reached("sentinels", 2, err)
}
