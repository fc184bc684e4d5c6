package driver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Cluster is the ring in split mode: a NATS server, a storage and a scheduler, or several
// that share a database, and any number of fetchers and parsers, each a process of
// its own.
type Cluster struct {
	Client

	wrap     []string
	commands map[string]Command
	admin    map[string]string // admin address by process
	procs    map[string]*Proc
	order    []string          // in which they were first started
	nats     string            // address
	monitor  string            // address of its facts
	database string            // of the schedulers
	shelf    string            // catalogue of the storages
	dns      string            // server of names, empty for the machine's
	servers  map[string]string // gRPC address by scheduler and storage
	settings []string          // arguments of every service
	users    Users             // of NATS, empty without security
	more     map[string][]string
	ports    Ports
}

// natsLimits let streams have their bounds whatever the disk has free: they hold next to
// nothing in a test, and by itself the server would refuse what does not fit.
const natsLimits = "jetstream { max_file_store: 1TB }\n"

// startTime bounds how long a process may take to be ready on a busy machine.
const startTime = 60 * time.Second

// ClusterConfig says how a cluster is laid out.
type ClusterConfig struct {
	// Fetchers and Parsers are the numbers of processes. Default: 1.
	Fetchers, Parsers int
	// Browsers is the number of fetchers of the render pool. Default: 0.
	Browsers int
	// Schedulers is the number of them, named scheduler-1 and so on, that share the
	// database Store (postgres://…). Default: one, named scheduler, with a folder.
	Schedulers int
	Store      string
	// Storages is the number of them, named storage-1 and so on, that share the catalogue
	// Catalogue (postgres://…). Clients, fetchers and parsers ask the first. Default: one,
	// named storage, with a folder.
	Storages  int
	Catalogue string
	// DNS is the DNS server of schedulers and fetchers. Default: the machine's.
	DNS string
	// Settings are further arguments of every service. Default: none.
	Settings []string
	// Secure has everything go over TLS, with a user of NATS for each service, who shows
	// who it is in this way. Default: plain text, and NATS is open to all.
	Secure Users
	// More are further arguments, by service, and Env is added to the environment of all.
	More map[string][]string
	Env  []string
	// Wrap is a program and its arguments to put before every command, for example
	// taskset. Default: none.
	Wrap []string
}

// StartCluster starts all processes and waits until they are ready.
func StartCluster(ctx context.Context, b Binaries, dir string, cfg ClusterConfig) (*Cluster, error) {
	c := newCluster(b, dir, cfg)
	if err := c.start(ctx, cfg); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func newCluster(b Binaries, dir string, cfg ClusterConfig) *Cluster {
	return &Cluster{
		Client: Client{Dir: dir, bin: b}, wrap: cfg.Wrap,
		commands: map[string]Command{}, admin: map[string]string{}, procs: map[string]*Proc{},
		database: cfg.Store, shelf: cfg.Catalogue, dns: cfg.DNS, settings: cfg.Settings, servers: map[string]string{},
		users: cfg.Secure, more: cfg.More,
	}
}

// start lays the cluster out and starts it.
func (c *Cluster) start(ctx context.Context, cfg ClusterConfig) error {
	dir, b := c.Dir, c.bin
	schedulers := []string{"scheduler"}
	if cfg.Store != "" {
		schedulers = numbered("scheduler", cfg.Schedulers)
	}
	storages := []string{"storage"}
	if cfg.Catalogue != "" {
		storages = numbered("storage", cfg.Storages)
	}
	addrs, err := c.ports.Take(2 + len(schedulers) + len(storages))
	if err != nil {
		return err
	}
	c.nats, c.monitor = addrs[0], addrs[len(addrs)-1]
	for i, name := range slices.Concat(storages, schedulers) {
		c.servers[name] = addrs[1+i]
	}
	c.storage = c.servers[storages[0]]
	c.Ask(schedulers[0])
	host, port, err := net.SplitHostPort(c.nats)
	if err != nil {
		return err
	}
	_, monitor, err := net.SplitHostPort(c.monitor)
	if err != nil {
		return err
	}
	limits := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(limits, []byte(natsLimits), 0o644); err != nil {
		return fmt.Errorf("write the limits of NATS: %w", err)
	}
	nats := Command{Name: "nats", Path: b.NATS, Args: []string{"-c", limits, "-a", host, "-p", port, "-m", monitor, "-sd", filepath.Join(dir, "nats")}}
	if c.users != "" {
		if nats.Args, nats.Env, err = c.secure(ctx); err != nil {
			return err
		}
		c.extra = c.secureEnv()
	}
	c.add(nats)
	names := slices.Concat(storages, schedulers, numbered("fetcher", cfg.Fetchers), numbered("parser", cfg.Parsers))
	if cfg.Browsers > 0 {
		names = append(names, numbered("render", cfg.Browsers)...)
	}
	admins, err := c.ports.Take(len(names))
	if err != nil {
		return err
	}
	for i, name := range names {
		c.admin[name] = admins[i]
		c.add(Command{Name: name, Path: b.Weir, Args: c.serviceArgs(name), Env: cfg.Env})
	}
	return c.startAll(ctx)
}

// startAll starts all processes and waits until they are ready.
func (c *Cluster) startAll(ctx context.Context) error {
	for _, name := range c.order {
		if err := c.Start(name); err != nil {
			return err
		}
	}
	for i, name := range c.order {
		if err := c.Ready(ctx, name); err != nil {
			return err
		}
		if i == 0 && c.users != "" { // the services wait for it
			if err := c.Topology(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// numbered are the names of n processes, of one at least.
func numbered(service string, n int) []string {
	var out []string
	for i := range max(n, 1) {
		out = append(out, fmt.Sprintf("%s-%d", service, i+1))
	}
	return out
}

// Ask has client commands go to another scheduler.
func (c *Cluster) Ask(scheduler string) { c.server = c.servers[scheduler] }

func (c *Cluster) add(cmd Command) {
	cmd.Dir, cmd.Logs = c.Dir, c.Dir
	if len(c.wrap) > 0 {
		cmd.Args = slices.Concat(c.wrap[1:], []string{cmd.Path}, cmd.Args)
		cmd.Path = c.wrap[0]
	}
	c.commands[cmd.Name] = cmd
	c.order = append(c.order, cmd.Name)
}

// withDNS adds the server of names.
func (c *Cluster) withDNS(args []string) []string {
	if c.dns == "" {
		return args
	}
	return append(args, "--dns", c.dns)
}

// serviceArgs are the arguments of one service.
func (c *Cluster) serviceArgs(name string) []string {
	service, _, _ := strings.Cut(name, "-")
	args := []string{service, "--nats.url", "nats://" + c.nats, "--admin.listen", c.admin[name]}
	identity := service
	if service == "render" {
		identity = "fetcher"
	}
	args = slices.Concat(args, c.secureArgs(identity), c.more[service])
	switch service {
	case "scheduler":
		args = append(args, "--grpc.listen", c.servers[name], "--data", filepath.Join(c.Dir, name))
		if c.database != "" {
			args = append(args, "--scheduler.store", c.database, "--scheduler.replica", name)
		}
		args = c.withDNS(args)
	case "storage":
		args = append(args, "--data", filepath.Join(c.Dir, name), "--grpc.listen", c.servers[name])
		if c.shelf != "" {
			args = append(args, "--catalogue", c.shelf)
		}
	case "fetcher":
		args = append(args, "--storage", c.storage, "--allow-net", Loopback)
		args = c.withDNS(args)
	case "render":
		args[0] = "fetcher"
		args = c.withDNS(append(args, "--pool", "render", "--storage", c.storage, "--allow-net", Loopback))
	case "parser":
		args = append(args, "--storage", c.storage)
	}
	return append(args, c.settings...)
}

// Names of all processes, NATS first.
func (c *Cluster) Names() []string { return slices.Clone(c.order) }

// Proc is the current or last process of a name.
func (c *Cluster) Proc(name string) *Proc { return c.procs[name] }

// Use has a service be another program from its next start on. The services of a wrapped
// cluster stay what they are.
func (c *Cluster) Use(name, weir string) {
	cmd := c.commands[name]
	if len(c.wrap) == 0 {
		cmd.Path = weir
	}
	c.commands[name] = cmd
}

// Start starts a process, again if it has ended.
func (c *Cluster) Start(name string) error {
	p, err := Start(c.commands[name])
	if err != nil {
		return err
	}
	c.procs[name] = p
	return nil
}

// Ready waits until a process answers.
func (c *Cluster) Ready(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	p := c.procs[name]
	err := Await(ctx, name, func() (bool, error) {
		if !p.Running() {
			return false, fmt.Errorf("it ended\n%s", p.Tail())
		}
		if name == "nats" {
			return dials(ctx, c.nats), nil
		}
		return answers(ctx, "http://"+c.admin[name]+"/readyz"), nil
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, p.Tail())
	}
	return nil
}

// Metric is the sum of a metric's values over all its labels that contain the text with
// (empty: all), as a process tells it now. A metric that is not there is 0.
func (c *Cluster) Metric(ctx context.Context, name, metric, with string) (float64, error) {
	return readMetric(ctx, c.admin[name], metric, with)
}

// Scrape reads all metrics of a process, none of the NATS server.
func (c *Cluster) Scrape(ctx context.Context, name string) (Scrape, error) {
	if c.admin[name] == "" {
		return nil, nil
	}
	return ReadMetrics(ctx, c.admin[name])
}

// Finish waits for the end of a crawl and exports its items.
func (c *Cluster) Finish(ctx context.Context, id string) (Result, error) {
	if _, err := c.Weir(ctx, "wait", id); err != nil {
		return Result{}, c.explain(err)
	}
	var res Result
	var err error
	if res.Summary, err = c.Status(ctx, id); err != nil {
		return res, c.explain(err)
	}
	file := filepath.Join(c.Dir, "items.jsonl")
	if _, err := c.Weir(ctx, "export", id, "-o", file); err != nil {
		return res, c.explain(err)
	}
	res.Items, err = ReadItems(file)
	return res, err
}

// explain adds what the processes wrote to an error.
func (c *Cluster) explain(err error) error {
	for _, name := range c.order {
		err = fmt.Errorf("%w\n%s", err, c.procs[name].Tail())
	}
	return err
}

// Close stops all processes, the consumers first and NATS last.
func (c *Cluster) Close() error {
	var errs []error
	for _, name := range slices.Backward(c.order) {
		if p := c.procs[name]; p != nil && p.Running() {
			errs = append(errs, p.Stop(20*time.Second))
		}
	}
	return errors.Join(append(errs, c.ports.Close())...)
}

func dials(ctx context.Context, addr string) bool {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close() // only the status counts
	return resp.StatusCode == http.StatusOK
}
