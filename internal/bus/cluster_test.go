package bus_test

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/testkit/vacant"
)

// cluster starts three servers that keep everything thrice, and returns a bus to one.
func cluster(tb testing.TB, cfg bus.Config) *bus.Bus {
	tb.Helper()
	// Each must know the others before it starts, so the ports are chosen before.
	var routes []*url.URL
	for range 3 {
		routes = append(routes, &url.URL{Scheme: "nats", Host: vacant.Addr(tb)})
	}
	var servers []*server.Server
	for i, route := range routes {
		port, err := strconv.Atoi(route.Port())
		if err != nil {
			tb.Fatal(err)
		}
		ns, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("n%d", i),
			Host:       "127.0.0.1",
			Port:       server.RANDOM_PORT,
			JetStream:  true,
			StoreDir:   tb.TempDir(),
			// Whatever room the disk has: the bounds of the streams are not its business here.
			JetStreamMaxStore: 1 << 40,
			Cluster:           server.ClusterOpts{Name: "weir", Host: "127.0.0.1", Port: port},
			Routes:            routes,
			NoSigs:            true,
			NoLog:             true,
		})
		if err != nil {
			tb.Fatal(err)
		}
		ns.Start()
		tb.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
		servers = append(servers, ns)
	}
	for _, ns := range servers {
		if !ns.ReadyForConnections(deadline) {
			tb.Fatal("a server did not start")
		}
	}
	eventually(tb, "the servers have a leader", func() bool {
		for _, ns := range servers {
			if ns.JetStreamIsLeader() {
				return len(ns.JetStreamClusterPeers()) == len(servers)
			}
		}
		return false
	})
	cfg.URL, cfg.Replicas = servers[0].ClientURL(), 3
	b, err := bus.Connect(tb.Context(), cfg, bus.Deps{Name: "test"})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.Close)
	settles(tb, "the topology is in place", func() string {
		if err := b.EnsureTopology(tb.Context(), 4); err != nil {
			return err.Error()
		}
		return ""
	})
	return b
}

// A stream with replicas takes no two messages with the same fence at once: many in
// flight must come through all the same, and none be called stale.
func TestFencesWithReplicas(t *testing.T) {
	t.Parallel()
	cfg := bus.DefaultConfig()
	cfg.LeaseTTL = time.Hour
	cfg.TasksPerCrawl = 10_000
	b := cluster(t, cfg)
	var fences [4]uint64
	for p := range fences {
		fences[p] = fence(t, b, uint32(p))
	}
	for _, partitions := range []uint64{1, 4} {
		var pendings []bus.Pending
		begin := time.Now()
		const n = 300
		for i := range uint64(n) {
			p := i % partitions
			pendings = append(pendings, b.Publish(t.Context(), fencedTask(uint32(p), fences[p])(partitions*10_000+i)))
		}
		for _, p := range pendings {
			if err := p.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%d partitions: %s a task", partitions, time.Since(begin)/n)
	}
	old := fences[2]
	if next := fence(t, b, 2); next <= old {
		t.Errorf("fence %d after %d", next, old)
	}
	if err := b.PublishAll(t.Context(), fencedTask(2, old)(1)); !errors.Is(err, bus.ErrFenced) {
		t.Errorf("stale fence: %v", err)
	}
	publish(t, b, fencedTask(3, fences[3]), 2, 50)
	rev := claim(t, b, "p.1", "a")
	if _, err := b.Leases().Renew(t.Context(), "p.1", []byte("a"), rev); err != nil {
		t.Error(err)
	}
	if _, err := b.Leases().Claim(t.Context(), "p.1", []byte("b")); !errors.Is(err, bus.ErrTaken) {
		t.Errorf("taken: %v", err)
	}
}
