package testserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// redisConf is for nodes that hold data. The log of changes is written before they
// are acknowledged, so they survive SIGKILL. With everysec that write may be put
// off, and always waits for the disk, which only a crash of the machine asks for.
// Replicas are served at once: nobody else will want the same.
const redisConf = `
bind 127.0.0.1
daemonize no
save ""
appendonly yes
appendfsync no
repl-diskless-sync-delay 0
`

// redis is one process of it.
type redis struct {
	path, name string
	ready      func(port int) error
	// conf is its configuration, except for the port. Redis and the sentinels keep
	// what they learn there, so it is written once for each port.
	conf     string
	sentinel bool
	tls      bool
}

// redisProgram finds Redis, and tells its version.
func redisProgram() (path, version string, err error) {
	err = installed(func() error {
		path, err = programPath("redis-server")
		return err
	}, "redis-server")
	if err != nil {
		return "", "", err
	}
	version, err = versionOf(path)
	return path, version, err
}

// redisNode starts one with a folder of its own.
func redisNode(r redis) (*Server, error) {
	return fresh("", func(s *throwaway) (*Server, error) { return s.serveRedis(r) })
}

// serveRedis starts one in a folder that may already have what its configuration
// names.
func (s *throwaway) serveRedis(r redis) (*Server, error) {
	err := s.serve(program{
		command: func(port int) (command, error) {
			conf, err := s.writeRedisConf(r, port)
			args := []string{r.path, conf}
			if r.sentinel {
				args = append(args, "--sentinel")
			}
			return command{Args: args, Env: plainEnv()}, err
		},
		ready: r.ready,
	})
	return s.server(r.name, ""), err
}

// writeRedisConf writes a file and not a command line, as only with a file a node
// that was made a master remembers it when it is started again.
func (s *throwaway) writeRedisConf(r redis, port int) (path string, err error) {
	path = s.path(fmt.Sprintf("redis-%d.conf", port))
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	var conf strings.Builder
	fmt.Fprintf(&conf, "dir %q\n", s.dir)
	if r.tls { // Without another port that would take plain connections.
		fmt.Fprintf(&conf, "port 0\ntls-port %d\n", port)
	} else {
		fmt.Fprintf(&conf, "port %d\n", port)
	}
	conf.WriteString(r.conf)
	return path, os.WriteFile(path, []byte(conf.String()), 0o600)
}

// askRedis is an error while a Redis loads its data.
func askRedis(port int) error { return askRedisTLS(port, nil) }

// askRedisTLS is askRedis by TLS, or without it for nil.
func askRedisTLS(port int, cfg *tls.Config) error {
	_, err := askRESP(port, cfg, "PING")
	return err
}

// startRedis starts one that keeps its data, also for tests that don't need it: it
// is hardly slower.
func startRedis() (*Server, error) {
	path, version, err := redisProgram()
	if err != nil {
		return nil, err
	}
	return redisNode(redis{path: path, name: "Redis " + version, ready: askRedis, conf: redisConf})
}

// startRedisTLS makes an authority for each server, so that no two tests trust each
// other.
func startRedisTLS() (*Server, error) {
	path, version, err := redisProgram()
	if err != nil {
		return nil, err
	}
	return fresh("", func(s *throwaway) (*Server, error) {
		cfg, err := writeCertificates(s.dir)
		if err != nil {
			return nil, err
		}
		server, err := s.serveRedis(redis{
			path: path, name: "Redis " + version + " with TLS", tls: true,
			ready: func(port int) error { return askRedisTLS(port, cfg) },
			// Paths are from its own folder, where it goes first. Clients need no
			// certificates: a password or the network is what usually protects a Redis.
			conf: redisConf + `
tls-cert-file server.crt
tls-key-file server.key
tls-ca-cert-file ca.crt
tls-auth-clients no
`,
		})
		server.extra = cfg
		return server, err
	})
}
