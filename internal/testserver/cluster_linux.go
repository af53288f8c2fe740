package testserver

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	clusterMasters = 3
	clusterSlots   = 16384
)

// startRedisCluster sets the cluster up itself instead of by redis-cli, which asks
// the nodes once a second and decides itself which replica goes to which master.
//
// It starts masters 0 to 2 and replicas 3 to 5, in this order.
func startRedisCluster() (*Server, error) {
	path, version, err := redisProgram()
	if err != nil {
		return nil, err
	}
	nodes, err := redisNodes(2*clusterMasters, func(i int) (*Server, error) {
		name := fmt.Sprintf("Redis %s, node %d of a cluster", version, i)
		return redisNode(redis{
			path: path, name: name, ready: askRedis,
			// A master is taken for failed after so many milliseconds of silence. A
			// replica stays with its master, so that tests know who takes over.
			conf: redisConf + `
cluster-enabled yes
cluster-node-timeout 1000
cluster-allow-replica-migration no
`,
		})
	})
	if err != nil {
		return nil, err
	}
	c := together(fmt.Sprintf("Redis %s, cluster of %d nodes", version, len(nodes)), nodes)
	if err := join(nodes); err != nil {
		c.Close()
		return nil, err
	}
	c.settled = func() error {
		return until(func() error {
			return parallel(nodes, func(_ int, n *Server) error {
				return expect(portOf(n), []string{"CLUSTER", "INFO"}, "cluster_state:ok")
			})
		})
	}
	return c, nil
}

// redisNodes starts nodes at the same time, all or none.
func redisNodes(n int, start func(i int) (*Server, error)) ([]*Server, error) {
	nodes := make([]*Server, n)
	err := parallel(nodes, func(i int, _ *Server) (err error) {
		nodes[i], err = start(i)
		return err
	})
	if err != nil {
		for _, n := range nodes {
			if n != nil {
				n.Close()
			}
		}
		return nil, err
	}
	return nodes, nil
}

// together makes one server of nodes that tests connect to.
func together(name string, nodes []*Server) *Server {
	s := &Server{Name: name, Addr: nodes[0].Addr, nodes: nodes}
	for _, n := range nodes {
		s.Addrs = append(s.Addrs, n.Addr)
	}
	return s
}

// portOf is where a node of ours listens.
func portOf(n *Server) int { return n.own.(*throwaway).port }

// join makes a cluster of single nodes.
func join(nodes []*Server) error {
	ids := make([]string, len(nodes))
	ports := make([]int, len(nodes))
	for i, n := range nodes {
		ports[i] = portOf(n)
		var err error
		// Nodes know each other by these names, not by their addresses.
		if ids[i], err = askRESP(ports[i], nil, "CLUSTER", "MYID"); err != nil {
			return err
		}
		// Epochs that differ from the start need not be agreed upon.
		if _, err := askRESP(ports[i], nil, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1)); err != nil {
			return err
		}
		if i < clusterMasters {
			// Slots one by one: ranges are known to Redis 7 only.
			add := []string{"CLUSTER", "ADDSLOTS"}
			for slot := i * clusterSlots / clusterMasters; slot < (i+1)*clusterSlots/clusterMasters; slot++ {
				add = append(add, strconv.Itoa(slot))
			}
			if _, err := askRESP(ports[i], nil, add...); err != nil {
				return err
			}
		}
	}
	// One introduces all; the others hear of each other by gossip.
	for _, port := range ports[1:] {
		if _, err := askRESP(ports[0], nil, "CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(port)); err != nil {
			return err
		}
	}
	// A replica can only be made of a node that knows its master.
	for i := clusterMasters; i < len(nodes); i++ {
		err := until(func() error {
			_, err := askRESP(ports[i], nil, "CLUSTER", "REPLICATE", ids[i-clusterMasters])
			return err
		})
		if err != nil {
			return err
		}
	}
	return until(func() error { return joined(ports) })
}

// joined is nil when every node knows all, and all replicas follow.
func joined(ports []int) error {
	for i, port := range ports {
		err := expect(port, []string{"CLUSTER", "INFO"},
			"cluster_state:ok", "cluster_slots_ok:"+strconv.Itoa(clusterSlots),
			"cluster_known_nodes:"+strconv.Itoa(len(ports)), "cluster_size:"+strconv.Itoa(clusterMasters))
		if err != nil {
			return err
		}
		if i >= clusterMasters {
			if err := expect(port, []string{"INFO", "replication"}, "role:slave", "master_link_status:up"); err != nil {
				return err
			}
			continue
		}
		if err := expect(port, []string{"INFO", "replication"}, "role:master", "connected_slaves:1"); err != nil {
			return err
		}
	}
	// Clients may ask any node who is whose replica.
	for _, port := range ports {
		view, err := askRESP(port, nil, "CLUSTER", "NODES")
		if err != nil {
			return err
		}
		if got := strings.Count(view, "slave "); got != len(ports)-clusterMasters {
			return fmt.Errorf("a node knows %d replicas yet", got)
		}
	}
	return nil
}

// agreeWithin is how long nodes may take to agree on something: seconds, usually.
const agreeWithin = 20 * time.Second

// until calls f until it is nil.
func until(f func() error) error {
	for deadline := time.Now().Add(agreeWithin); ; time.Sleep(10 * time.Millisecond) {
		err := f()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %v: %w", agreeWithin, err)
		}
	}
}
