package testserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/flamego/session/internal/wait"
)

// The kinds of Redis.
var (
	Redis = &Kind{
		Name: "redis", Env: "TEST_REDIS_ADDR", dsn: "ADDR",
		script: redisScript, conf: redisConf, ask: askRedis(nil),
	}
	// RedisTLS takes only TLS connections, with a certificate that it has signed itself.
	// It never comes from the environment.
	RedisTLS = &Kind{
		Name: "redis-tls", dsn: "ADDR", conf: tlsConf, ask: askRedis(&tls.Config{InsecureSkipVerify: true}), script: `
[ -e key ] || openssl req -x509 -newkey rsa:2048 -nodes -subj / -addext subjectAltName=IP:127.0.0.1 -keyout key -out cert
` + redisScript,
	}
	// RedisCluster has three masters, nodes 0 to 2, with a replica each. A replica
	// takes over from a master that is gone for about 2 s.
	RedisCluster = &Kind{
		Name: "redis-cluster", Env: "TEST_REDIS_CLUSTER_ADDRS", dsn: "ADDR",
		script: redisScript, conf: clusterConf, others: slices.Repeat([]string{clusterConf}, 5), ask: askRedis(nil), join: joinCluster,
	}
	// RedisSentinel is a master, node 0, its replica, node 1, and three sentinels at
	// the Addrs, that call the master what TEST_REDIS_SENTINEL_MASTER says. The replica
	// takes over from a master that is gone for about 2 s.
	RedisSentinel = &Kind{
		Name: "redis-sentinel", Env: "TEST_REDIS_SENTINEL_ADDRS", dsn: "ADDR",
		script: redisScript, conf: redisConf, others: []string{replicaConf, sentinelConf, sentinelConf, sentinelConf}, inner: 2,
		ask: askRedis(nil), join: joinSentinels,
	}
)

// redisScript writes a file, since only there a node that was made a master remembers
// it when it is started again.
const redisScript = `
[ -e conf ] || echo "$CONF" | sed "s/PORT/$PORT/" >conf
if grep -q ^sentinel conf; then exec redis-server conf --sentinel; fi
exec redis-server conf`

const (
	// The log of changes is written before they are acknowledged, so they survive
	// SIGKILL. With everysec that write may be put off, and always waits for the disk.
	// Replicas are served at once: nobody else will want the same.
	redisConf = `
bind 127.0.0.1
port PORT
save ""
appendonly yes
appendfsync no
repl-diskless-sync-delay 0
`
	// Clients need no certificate: a password or the network is what usually protects.
	tlsConf = redisConf + `
port 0
tls-port PORT
tls-cert-file cert
tls-key-file key
tls-auth-clients no
`
	// A master is taken for failed after so many milliseconds of silence.
	clusterConf = redisConf + `
cluster-enabled yes
cluster-node-timeout 1000
cluster-allow-replica-migration no
`
	replicaConf = redisConf + "replicaof NODE0\n"
	// Two of three must agree that the master is gone, which they call it after half
	// a second; a fail-over that doesn't succeed is tried again after three. Left to
	// itself one looks for replicas every ten.
	sentinelConf = `
bind 127.0.0.1
port PORT
sentinel monitor mymaster NODE0 2
sentinel known-replica mymaster NODE1
sentinel down-after-milliseconds mymaster 500
sentinel failover-timeout mymaster 3000
`
)

// askRedis asks for what is an error while the data is loaded.
func askRedis(cfg *tls.Config) func(ctx context.Context, addr string) error {
	return func(ctx context.Context, addr string) error {
		_, err := redisCommand(ctx, addr, cfg, "PING")
		return err
	}
}

// redisCommand returns the answer as text: of a map "map[k:v k:v]".
func redisCommand(ctx context.Context, addr string, cfg *tls.Config, command string) (string, error) {
	c := redis.NewClient(&redis.Options{Addr: addr, TLSConfig: cfg, MaxRetries: -1})
	defer func() { _ = c.Close() }()
	var args []any
	for word := range strings.FieldsSeq(command) {
		args = append(args, word)
	}
	answer, err := c.Do(ctx, args...).Result()
	return fmt.Sprint(answer), err
}

// agree asks nodes until each answer has all of the texts in it.
func agree(nodes []string, command string, texts ...string) error {
	return wait.Until(time.Minute, func() error {
		for _, addr := range nodes {
			answer, err := redisCommand(context.Background(), addr, nil, command)
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

func joinCluster(nodes []string) error {
	create := append([]string{"--cluster", "create", "--cluster-replicas", "1", "--cluster-yes"}, nodes...)
	if out, err := exec.Command("redis-cli", create...).CombinedOutput(); err != nil {
		return fmt.Errorf("redis-cli: %w: %s", err, out)
	}
	return errors.Join(agree(nodes, "CLUSTER INFO", "cluster_state:ok", "cluster_known_nodes:6"),
		agree(nodes[:3], "INFO replication", "role:master", "connected_slaves:1"),
		agree(nodes[3:], "INFO replication", "role:slave", "master_link_status:up"))
}

func joinSentinels(nodes []string) error {
	return errors.Join(agree(nodes[:1], "INFO replication", "connected_slaves:1", "state=online"),
		agree(nodes[2:], "SENTINEL MASTER mymaster", "flags:master ", "num-slaves:1 ", "num-other-sentinels:2 "))
}
