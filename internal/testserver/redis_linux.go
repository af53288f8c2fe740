package testserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http/httptest"
	"os/exec"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/flamego/session/internal/wait"
)

// redisScript writes a file, since only there a node that was made a master remembers
// it when it is started again.
const redisScript = `
[ -e conf ] || echo "port $PORT$CONF" >conf
if grep -q ^sentinel conf; then exec redis-server conf --sentinel; fi
exec redis-server conf`

const (
	// The log of changes is written before they are acknowledged, so they survive
	// SIGKILL. With everysec that write may be put off, and always waits for the disk.
	// Replicas are served at once: nobody else will want the same.
	redisConf = `
bind 127.0.0.1
save ""
appendonly yes
appendfsync no
repl-diskless-sync-delay 0
`
	// A master is taken for failed after so many milliseconds of silence.
	clusterConf = redisConf + `
cluster-enabled yes
cluster-node-timeout 1000
cluster-allow-replica-migration no
`
	replicaConf = redisConf + "replicaof FIRST\n"
	// Two of three must agree that the master is gone, which they call it after half
	// a second; a fail-over that doesn't succeed is tried again after three.
	sentinelConf = `
bind 127.0.0.1
sentinel monitor mymaster FIRST 2
sentinel down-after-milliseconds mymaster 500
sentinel failover-timeout mymaster 3000
`
)

func redisRecipe(conf string) recipe {
	return recipe{title: "Redis", script: redisScript, env: []string{"CONF=" + conf}, ready: readyRedis(nil)}
}

// readyRedis is an error while it loads its data.
func readyRedis(cfg *tls.Config) func(context.Context, int) error {
	return func(_ context.Context, port int) error {
		_, err := ask(loopback(port), cfg, "PING")
		return err
	}
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
	return wait.Until(time.Minute, func() error {
		for _, n := range nodes {
			answer, err := ask(n.Addr, nil, command)
			for _, text := range texts {
				if err == nil && !strings.Contains(answer, text) {
					err = fmt.Errorf("no %q yet: %s", text, answer)
				}
			}
			if err != nil {
				return fmt.Errorf("redis %s: %w", command, err)
			}
		}
		return nil
	})
}

// together starts nodes; clients connect to those from one on. In a conf FIRST is the
// host and the port of the first. settled waits until all work together.
func together(title string, from int, settled func(nodes []*Server) error, confs ...string) (*Server, error) {
	s := &Server{Name: title, Master: "mymaster"}
	s.settled = func() error { return settled(s.nodes) }
	err := s.add(confs)
	if err == nil {
		err = s.settled()
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	s.Addr = s.nodes[from].Addr
	for _, n := range s.nodes[from:] {
		s.Addrs = append(s.Addrs, n.Addr)
	}
	return s, nil
}

func (s *Server) add(confs []string) error {
	first, create := "", []string{"--cluster", "create", "--cluster-replicas", "1", "--cluster-yes"}
	for _, conf := range confs {
		n, err := redisRecipe(strings.Replace(conf, "FIRST", first, 1)).run()
		if err != nil {
			return err
		}
		s.nodes, create = append(s.nodes, n), append(create, n.Addr)
		first = strings.Replace(s.nodes[0].Addr, ":", " ", 1)
		if conf == replicaConf { // A sentinel that finds none looks again after 10 s only.
			err = tell(s.nodes[:1], "INFO replication", "connected_slaves:1", "state=online")
		}
		if err != nil {
			return err
		}
	}
	if confs[0] != clusterConf {
		return nil
	}
	if out, err := exec.Command("redis-cli", create...).CombinedOutput(); err != nil {
		return fmt.Errorf("redis-cli: %w: %s", err, out)
	}
	return errors.Join(tell(s.nodes[:3], "INFO replication", "role:master", "connected_slaves:1"),
		tell(s.nodes[3:], "INFO replication", "role:slave", "master_link_status:up"))
}

func settledCluster(nodes []*Server) error {
	return tell(nodes, "CLUSTER INFO", "cluster_state:ok", "cluster_known_nodes:6")
}

func settledSentinels(nodes []*Server) error {
	return tell(nodes[2:], "SENTINEL MASTER mymaster", "flags:master ", "num-slaves:1 ", "num-other-sentinels:2 ")
}

// launchTLS uses the certificate for 127.0.0.1 that Go's own tests have. Clients need
// none: a password or the network is what usually protects a Redis.
func launchTLS() (*Server, error) {
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	key, err := x509.MarshalPKCS8PrivateKey(web.TLS.Certificates[0].PrivateKey)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	cfg.RootCAs.AddCert(web.Certificate())
	s, err := recipe{
		title: "Redis with TLS", ready: readyRedis(cfg),
		script: `echo "$CERT$KEY" >pem
exec redis-server --bind 127.0.0.1 --save '' --port 0 --tls-port $PORT --tls-cert-file pem --tls-key-file pem --tls-auth-clients no`,
		env: []string{
			"CERT=" + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})),
			"KEY=" + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		},
	}.run()
	if err == nil {
		s.TLS = cfg
	}
	return s, err
}
