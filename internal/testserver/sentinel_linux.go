package testserver

import (
	"fmt"
	"strconv"
	"strings"
)

const sentinels = 3

// startRedisSentinel starts a master, then its replica, then the sentinels: each
// needs the address of those before it.
func startRedisSentinel() (*Server, error) {
	path, version, err := redisProgram()
	if err != nil {
		return nil, err
	}
	all := &Server{Name: fmt.Sprintf("Redis %s with %d sentinels", version, sentinels)}
	if err := all.addSentinelNodes(path, version); err != nil {
		all.Close()
		return nil, err
	}
	return all, nil
}

// addSentinelNodes adds each node to s as soon as it runs, so that the caller can
// end them if a later one fails.
func (s *Server) addSentinelNodes(path, version string) error {
	master, err := redisNode(redis{path: path, name: "Redis " + version + ", master", ready: askRedis, conf: redisConf})
	if err != nil {
		return err
	}
	s.nodes = append(s.nodes, master)
	port := strconv.Itoa(portOf(master))

	replica, err := redisNode(redis{
		path: path, name: "Redis " + version + ", replica", ready: askRedis,
		conf: redisConf + "replicaof 127.0.0.1 " + port + "\n",
	})
	if err != nil {
		return err
	}
	s.nodes = append(s.nodes, replica)
	// A sentinel that finds no replica at first looks again after 10 s only.
	err = until(func() error {
		return expect(portOf(master), []string{"INFO", "replication"}, "connected_slaves:1", "state=online")
	})
	if err != nil {
		return err
	}

	// Two of three must agree that the master is gone, which they call it after half
	// a second of silence; a fail-over that doesn't succeed is tried again after three.
	watchers, err := redisNodes(sentinels, func(i int) (*Server, error) {
		return redisNode(redis{
			path: path, name: fmt.Sprintf("Redis %s, sentinel %d", version, i), ready: askRedis, sentinel: true,
			conf: strings.NewReplacer("NAME", sentinelMaster, "PORT", port).Replace(`
bind 127.0.0.1
sentinel monitor NAME 127.0.0.1 PORT 2
sentinel down-after-milliseconds NAME 500
sentinel failover-timeout NAME 3000
`),
		})
	})
	if err != nil {
		return err
	}
	s.nodes = append(s.nodes, watchers...)
	for _, w := range watchers {
		s.Addrs = append(s.Addrs, w.Addr)
	}
	s.Addr = s.Addrs[0]
	for _, w := range watchers {
		if err := until(func() error { return watches(portOf(w)) }); err != nil {
			return err
		}
	}
	return nil
}

// watches is nil when a sentinel knows the replica and the other sentinels, so
// that a fail-over can take place.
func watches(port int) error {
	answer, err := askRESP(port, nil, "SENTINEL", "MASTER", sentinelMaster)
	if err != nil {
		return err
	}
	want := map[string]string{"flags": "master", "num-slaves": "1", "num-other-sentinels": strconv.Itoa(sentinels - 1)}
	fields := strings.Split(answer, "\n") // names and values by turns
	for i := 0; i+1 < len(fields); i += 2 {
		if v, ok := want[fields[i]]; ok && v != fields[i+1] {
			return fmt.Errorf("a sentinel sees %s %s, not %s yet", fields[i], fields[i+1], v)
		}
	}
	return nil
}
