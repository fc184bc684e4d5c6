package bus_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weircrawl/weir/internal/authority"
	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// guarded is a server with a user for each service.
type guarded struct {
	url  string
	dir  string // of the password files
	ns   *server.Server
	opts *server.Options
}

func startGuarded(t *testing.T) guarded {
	t.Helper()
	g := guarded{dir: t.TempDir()}
	var users []*server.User
	for _, name := range bus.Users() {
		p := bus.PermissionsOf(name)
		users = append(users, &server.User{Username: name, Password: "pw-" + name, Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: p.Publish}, Subscribe: &server.SubjectPermission{Allow: p.Subscribe},
		}})
		if err := os.WriteFile(filepath.Join(g.dir, name), []byte("pw-"+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g.opts = &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), JetStreamMaxStore: 1 << 40, NoSigs: true, NoLog: true, Users: users,
	}
	ns, err := server.NewServer(g.opts)
	if err != nil {
		t.Fatal(err)
	}
	g.ns = ns
	ns.Start()
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	if !ns.ReadyForConnections(deadline) {
		t.Fatal("the server did not start")
	}
	g.url = ns.ClientURL()
	return g
}

// user connects as a service; what it is refused is a failure of the test, unless wrong
// is true.
func (g guarded) user(t *testing.T, name string, wrong bool) (*bus.Bus, *lockedBuffer) {
	t.Helper()
	cfg := patient()
	cfg.URL, cfg.User, cfg.PasswordFile = g.url, name, filepath.Join(g.dir, name)
	log, reg := new(lockedBuffer), prometheus.NewRegistry()
	b, err := bus.Connect(t.Context(), cfg, bus.Deps{Name: name, Registry: reg, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Close()
		families, err := reg.Gather()
		if err != nil {
			t.Error(err)
		}
		for _, f := range families {
			if f.GetName() == "weir_bus_refused_total" && !wrong {
				t.Errorf("%s: %v\n%s", name, f.GetMetric(), log)
			}
		}
	})
	return b, log
}

// lockedBuffer is a log that several goroutines write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// ringUsers are connected users of the four services, with the topology in place.
type ringUsers struct{ scheduler, fetcher, parser, storage *bus.Bus }

// declared connects the users and has the topology made by its own.
func declared(t *testing.T) ringUsers {
	t.Helper()
	g := startGuarded(t)
	// The only thing that a scheduler tries in vain is to declare.
	scheduler, log := g.user(t, "scheduler", true)
	waited := make(chan error, 1)
	go func() { waited <- scheduler.EnsureTopology(t.Context(), 2) }()
	eventually(t, "the scheduler says what it waits for", func() bool {
		return strings.Contains(log.String(), "waiting for the topology") && strings.Contains(log.String(), "run weir topology apply")
	})
	topology, _ := g.user(t, "topology", false)
	if err := topology.DeclareTopology(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if err := await(t, waited, "the topology"); err != nil {
		t.Fatal(err)
	}
	if err := topology.DeclareTopology(t.Context(), 2); err != nil {
		t.Fatalf("again: %v", err)
	}
	if text := log.String(); strings.Contains(text, "NATS refuses") {
		t.Errorf("a scheduler that may not declare has nothing to complain about:\n%s", text)
	}
	u := ringUsers{}
	u.scheduler, _ = g.user(t, "scheduler", false)
	for name, b := range map[string]**bus.Bus{"fetcher": &u.fetcher, "parser": &u.parser, "storage": &u.storage} {
		*b, _ = g.user(t, name, false)
	}
	return u
}

// tlsCA makes the file of an authority.
func tlsCA(t *testing.T) string {
	t.Helper()
	a, err := authority.New("test", time.Now(), time.Hour)
	must(t, err)
	file := filepath.Join(t.TempDir(), "ca.crt")
	must(t, os.WriteFile(file, a.Cert(), 0o600))
	return file
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Each service does all it ever does, with the permissions of its user.
func TestServicesWorkWithTheirPermissions(t *testing.T) {
	t.Parallel()
	u := declared(t)
	ctx := t.Context()

	// The scheduler owns a partition and tells of a crawl.
	claim(t, u.scheduler, "p.0", "a")
	rev := claim(t, u.scheduler, "p.1", "a")
	rev, err := u.scheduler.Leases().Renew(ctx, "p.1", []byte("a"), rev)
	must(t, err)
	view := watch(t, u.scheduler)
	view.sees(t, map[string]string{"p.0": "a", "p.1": "a"})
	must(t, u.scheduler.Leases().Release(ctx, "p.1", rev))
	must(t, u.scheduler.PutCrawl(ctx, &crawlv1.Crawl{Id: crawlID, Spec: &crawlv1.CrawlSpec{Name: "x", Seeds: &crawlv1.Seeds{Urls: []string{"http://a/"}}}}))
	for name, b := range map[string]*bus.Bus{"fetcher": u.fetcher, "parser": u.parser, "storage": u.storage} {
		crawls, err := b.WatchCrawls(ctx)
		must(t, err)
		background(t, crawls.Run)
		if _, err := crawls.State(ctx, crawlID); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	followed := make(chan string, 16)
	background(t, func(ctx context.Context) error {
		return u.scheduler.FollowCrawls(ctx, func(_ context.Context, id string, _ *crawlv1.Crawl) error { followed <- id; return nil })
	})
	await(t, followed, "a crawl")
	c, err := u.scheduler.GetCrawl(ctx, crawlID)
	must(t, err)
	if c.GetId() != crawlID {
		t.Errorf("crawl %v", c)
	}

	// A task goes its way.
	epoch := fence(t, u.scheduler, 0)
	reports := make(chan struct{}, 1)
	background(t, func(ctx context.Context) error {
		return u.scheduler.Reports(ctx, bus.NewPartitionSet(0), func(*crawlv1.FetchReport) {
			select {
			case reports <- struct{}{}:
			default:
			}
		})
	})
	results := newSeen(2)
	set := bus.NewConsumerSet(bus.ResultConsumer(0), bus.LinksConsumer(1))
	background(t, func(ctx context.Context) error {
		return u.scheduler.ConsumeBatch(ctx, set, bus.BatchOptions{Max: 8}, func(_ context.Context, ds []bus.Delivery) error {
			for _, d := range ds {
				if bus.IsLinks(d) {
					results.add(99)
				} else {
					results.add(leaseOf(t, d))
				}
			}
			return nil
		})
	})
	background(t, func(ctx context.Context) error {
		return u.storage.ConsumeBatch(ctx, bus.NewConsumerSet(bus.StoreConsumer()), bus.BatchOptions{Max: 8}, func(ctx context.Context, ds []bus.Delivery) error {
			var out []bus.Message
			for _, d := range ds {
				out = append(out, result(leaseOf(t, d)))
			}
			return u.storage.PublishAll(ctx, out...)
		})
	})
	aside := make(chan struct{}, 1)
	background(t, func(ctx context.Context) error {
		return u.parser.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 1}, func(ctx context.Context, d bus.Delivery) error {
			if d.Failures == 0 {
				defer func() { aside <- struct{}{} }()
				return u.parser.HoldPage(ctx, &crawlv1.Page{Ref: ref(leaseOf(t, d))}, 1, "")
			}
			return u.parser.PublishAll(ctx, record(leaseOf(t, d)))
		})
	})
	background(t, func(ctx context.Context) error {
		return u.fetcher.Consume(ctx, bus.FetchConsumer("http"), bus.Options{Concurrency: 1}, func(ctx context.Context, d bus.Delivery) error {
			n := leaseOf(t, d)
			if n == 2 {
				return crawl.Errorf(crawl.Invalid, "for the dead letters")
			}
			return u.fetcher.PublishAll(ctx, page(n))
		})
	})
	letters := make(chan *crawlv1.DeadLetter, 16)
	background(t, func(ctx context.Context) error {
		return u.scheduler.DeadLetters(ctx, func(_ context.Context, dl *crawlv1.DeadLetter) error { letters <- dl; return nil })
	})
	publish(t, u.scheduler, fencedTask(0, epoch), 1, 2)
	must(t, u.scheduler.PublishAll(ctx, bus.Links(1, &crawlv1.Links{CrawlId: crawlID})))
	// What nobody listens to yet is lost.
	eventually(t, "a report comes", func() bool {
		must(t, u.fetcher.SendReport(0, &crawlv1.FetchReport{}))
		return len(reports) > 0
	})
	await(t, letters, "a dead letter")
	await(t, aside, "a page put aside")
	eventually(t, "the page is released", func() bool {
		if _, err := u.parser.HeldPages(ctx); err != nil {
			t.Error(err)
		}
		n, err := u.parser.ReleasePages(ctx, crawlID, 10)
		if err != nil {
			t.Error(err)
		}
		return n == 1
	})
	results.wait(t)

	// What is asked for now and then.
	for what, f := range map[string]func() error{
		"in flight":        func() error { _, err := u.scheduler.InFlight(ctx); return err },
		"lag":              func() error { _, err := u.scheduler.Lag(ctx); return err },
		"stages":           func() error { _, _, err := u.scheduler.Stages(ctx); return err },
		"backlog":          func() error { _, err := u.scheduler.FetchBacklog(ctx, "http"); return err },
		"links under way":  func() error { _, err := u.scheduler.LinksUnderWay(ctx, crawlID); return err },
		"purge":            func() error { return u.scheduler.PurgeCrawl(ctx, crawlID) },
		"stored page":      func() error { return u.storage.PublishAll(ctx, bus.Page(&crawlv1.Page{Ref: ref(7), Reparse: true})) },
		"record of a file": func() error { return u.fetcher.PublishAll(ctx, record(8)) },
		"sweep":            func() error { return bus.Sweeper(u.scheduler)(ctx) },
	} {
		if err := f(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	dead, err := u.scheduler.ListDead(ctx, 0, 10)
	must(t, err)
	if len(dead) == 0 {
		t.Fatal("no dead letter")
	}
	must(t, u.scheduler.DeleteDead(ctx, dead[0].Sequence))
	must(t, u.scheduler.DeleteCrawl(ctx, crawlID))
}

// A publish that the user has no right to is an error at once, which names the subject
// and says what to do; nothing is thrown away for it.
func TestForbiddenPublishIsToldAtOnce(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	topology, _ := g.user(t, "topology", false)
	must(t, topology.DeclareTopology(t.Context(), 1))
	fetcher, log := g.user(t, "fetcher", true)
	for range 2 {
		p := fetcher.Publish(t.Context(), result(1))
		err := p.Wait(t.Context())
		if crawl.KindOf(err) != crawl.Unavailable || !strings.Contains(err.Error(), "weir.result.0") || !strings.Contains(err.Error(), "weir topology permissions") {
			t.Errorf("got %v of kind %s", err, crawl.KindOf(err))
		}
	}
	must(t, fetcher.PublishAll(t.Context(), page(1)))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := fetcher.Fence(ctx, 0, "x"); err == nil || !strings.Contains(err.Error(), "weir.fence.0") {
		t.Errorf("fence: %v", err)
	}
	if n := strings.Count(log.String(), "subject=weir.result.0"); n != 1 {
		t.Errorf("told %d times in the log:\n%s", n, log)
	}
}

// A password that was changed, in the server and in the file, is used by the connection
// that comes next, without a new process.
func TestPasswordIsReplaced(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	topology, _ := g.user(t, "topology", false)
	must(t, topology.DeclareTopology(t.Context(), 1))
	parser, log := g.user(t, "parser", false)
	must(t, parser.PublishAll(t.Context(), record(1)))
	must(t, os.WriteFile(filepath.Join(g.dir, "parser"), []byte("another"), 0o600))
	next := g.opts.Clone()
	for i, u := range next.Users {
		if u.Username == "parser" {
			changed := *u
			changed.Password = "another"
			next.Users[i] = &changed
		}
	}
	must(t, g.ns.ReloadOptions(next))
	eventually(t, "the parser is back", func() bool { return strings.Contains(log.String(), "reconnected to NATS") })
	must(t, parser.PublishAll(t.Context(), record(2)))
	if text := log.String(); strings.Contains(text, "another") || strings.Contains(text, "pw-") {
		t.Errorf("a password is in the log:\n%s", text)
	}
}

func TestWrongUsers(t *testing.T) {
	t.Parallel()
	g := startGuarded(t)
	wrong := filepath.Join(g.dir, "wrong")
	must(t, os.WriteFile(wrong, []byte("hunter2"), 0o600))
	empty := filepath.Join(g.dir, "empty")
	must(t, os.WriteFile(empty, []byte("\n"), 0o600))
	for name, tc := range map[string]struct {
		change func(*bus.Config)
		want   string
	}{
		"nobody":           {func(*bus.Config) {}, "Authorization Violation; the server knows no such user"},
		"wrong password":   {func(c *bus.Config) { c.User, c.PasswordFile = "fetcher", wrong }, "the server knows no such user"},
		"another's":        {func(c *bus.Config) { c.User, c.PasswordFile = "fetcher", filepath.Join(g.dir, "parser") }, "the server knows no such user"},
		"no file":          {func(c *bus.Config) { c.User, c.PasswordFile = "fetcher", "nowhere" }, "nowhere"},
		"empty file":       {func(c *bus.Config) { c.User, c.PasswordFile = "fetcher", empty }, "one line with the password"},
		"no password":      {func(c *bus.Config) { c.User = "fetcher" }, "user and password-file go together"},
		"password in URL":  {func(c *bus.Config) { c.URL = strings.Replace(c.URL, "nats://", "nats://fetcher:hunter2@", 1) }, "the server knows no such user"},
		"broken URL":       {func(c *bus.Config) { c.URL = "nats://fetcher:hunter2%zz@127.0.0.1:1" }, "want nats://HOST:PORT"},
		"TLS, but no TLS":  {func(c *bus.Config) { c.TLSCA = tlsCA(t) }, "the server has no TLS"},
		"two ways at once": {func(c *bus.Config) { c.User, c.PasswordFile, c.CredsFile = "fetcher", wrong, wrong }, "one of them"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := bus.EmbeddedConfig()
			cfg.URL, cfg.ConnectTimeout = g.url, deadline // what is wrong is said at once
			tc.change(&cfg)
			_, err := bus.Connect(t.Context(), cfg, bus.Deps{Name: "fetcher"})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the password is in the error: %v", err)
			}
		})
	}
}
