// Package settings holds the configuration of every server process of Weir: one
// set of names for flags, file and environment, whichever part a process runs, so
// that one file serves a whole cluster.
package settings

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weircrawl/weir/cmd/weir/internal/console"
	"github.com/weircrawl/weir/internal/access"
	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/config"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/obs"
	"github.com/weircrawl/weir/internal/rpc"
	"github.com/weircrawl/weir/internal/secret"
	"github.com/weircrawl/weir/internal/trace"
	"github.com/weircrawl/weir/services/fetcher"
	"github.com/weircrawl/weir/services/parser"
	"github.com/weircrawl/weir/services/scheduler"
	"github.com/weircrawl/weir/services/storage"
)

// Mode is what a process runs.
type Mode string

// The modes: one crawl with everything in this process, everything as a server,
// the four services, and what prepares for them.
const (
	Crawl     Mode = "crawl"
	Up        Mode = "up"
	Scheduler Mode = "scheduler"
	Fetcher   Mode = "fetcher"
	Parser    Mode = "parser"
	Storage   Mode = "storage"
	// Topology declares what the others use in NATS.
	Topology Mode = "topology"
	// Console is the web page, a client of the others.
	Console Mode = "console"
)

// Embedded reports whether the process has its own NATS and all four services.
func (m Mode) Embedded() bool { return m == Crawl || m == Up }

// Addresses that a machine's own processes and clients find each other at.
const (
	// DefaultServer is where `weir up` and `weir scheduler` answer gRPC.
	DefaultServer = "127.0.0.1:7070"
	// DefaultStorage is where `weir storage` does.
	DefaultStorage = "127.0.0.1:7071"
)

// Settings are the configuration of one process.
type Settings struct {
	// File is the YAML file that settings were read from.
	File string
	// Data is the data directory. Commands give it its default.
	Data string
	// StorageAddr is where fetchers and parsers find storage.
	StorageAddr string
	// DNS is the DNS server that names are looked up at, host:port; empty for those
	// that the machine is configured with.
	DNS string
	// ShutdownDelay is how long a process that was asked to stop goes on as before,
	// once it has said that it is not ready. Default 0.
	ShutdownDelay time.Duration
	// LogLevel is debug, info, warn or error; LogFormat text or json.
	LogLevel, LogFormat string

	Bus       bus.Config
	GRPC      rpc.Config
	Access    access.Config
	Admin     obs.Config
	Trace     trace.Config
	Scheduler scheduler.Config
	Fetcher   fetcher.Config
	Parser    parser.Config
	Storage   storage.Config
	Console   console.Config

	mode Mode
	fs   *flag.FlagSet
}

// alias is a short name of a setting, for the settings that people type.
type alias struct{ short, setting, usage string }

func aliases() []alias {
	return []alias{
		{"storage", "storage.address", "address of the storage service; short for --storage.address"},
		{"archive", "storage.archive", "object store for WARC files, s3://bucket/prefix; short for --storage.archive"},
		{"store", "scheduler.store", "database of the frontier, postgres://…; short for --scheduler.store"},
		{"catalogue", "storage.catalogue", "database of pages and items, postgres://…; short for --storage.catalogue"},
		{"nats", "nats.url", "URL of the NATS server; short for --nats.url"},
		{"listen", "grpc.listen", "address of the gRPC server; short for --grpc.listen"},
		{"console-listen", "console.listen", "address of the web page; short for --console.listen"},
		{"admin-listen", "admin.listen", "address of /metrics, /readyz, /livez and pprof; short for --admin.listen"},
		{"dns", "dns.server", "DNS server to ask, host:port; short for --dns.server"},
		{"allow-net", "fetcher.allow-net", "private or loopback network that may be visited, as CIDR; may be repeated"},
		{"fetchers", "fetcher.concurrency", "pages fetched at a time; short for --fetcher.concurrency"},
		{"pool", "fetcher.pool", "pool of fetchers whose tasks are taken, http or render; short for --fetcher.pool"},
		{"browsers", "fetcher.browser.pages", "pages shown in the browser at a time; short for --fetcher.browser.pages"},
		{"parsers", "parser.concurrency", "pages parsed at a time; short for --parser.concurrency"},
	}
}

// New returns the settings of a mode with its defaults.
func New(mode Mode) *Settings {
	s := &Settings{
		mode: mode, StorageAddr: DefaultStorage, LogLevel: "info", LogFormat: "text",
		Bus: bus.DefaultConfig(), GRPC: rpc.DefaultConfig(), Access: access.DefaultConfig(), Admin: obs.DefaultConfig(),
		Scheduler: scheduler.DefaultConfig(), Fetcher: fetcher.DefaultConfig(), Parser: parser.DefaultConfig(), Storage: storage.DefaultConfig(),
		Console: console.DefaultConfig(),
	}
	s.GRPC.Listen, s.Admin.Listen, s.Console.Listen = "", "", ""
	switch mode {
	case Crawl:
	case Up:
		s.GRPC.Listen, s.Admin.Listen, s.Console.Listen = DefaultServer, "127.0.0.1:7080", console.DefaultListen
	case Console:
		s.Console.Listen = console.DefaultListen
	case Scheduler:
		s.GRPC.Listen, s.Admin.Listen = DefaultServer, "127.0.0.1:7080"
	case Storage:
		s.GRPC.Listen, s.Admin.Listen = DefaultStorage, "127.0.0.1:7081"
	case Fetcher, Parser, Topology:
		// Several of them run on one machine, and nobody needs to call them.
	}
	if mode.Embedded() {
		s.Bus = bus.EmbeddedConfig()
		// One process owns all partitions: more would only mean more queues.
		s.Scheduler.Partitions = 1
	}
	return s
}

// FlagSet returns the flags of all settings, made at the first call.
func (s *Settings) FlagSet() *flag.FlagSet {
	if s.fs == nil {
		s.fs = s.base()
		for _, a := range aliases() {
			s.fs.Var(s.fs.Lookup(a.setting).Value, a.short, a.usage)
		}
	}
	return s.fs
}

// base makes the flags without the short names.
func (s *Settings) base() *flag.FlagSet {
	fs := flag.NewFlagSet(string(s.mode), flag.ContinueOnError)
	fs.StringVar(&s.File, "config", s.File, "YAML file with settings (see weir config reference)")
	fs.StringVar(&s.Data, "data", s.Data, "data directory")
	fs.StringVar(&s.StorageAddr, "storage.address", s.StorageAddr, "where fetchers and parsers find the storage service")
	fs.StringVar(&s.DNS, "dns.server", s.DNS, "DNS server of scheduler and fetcher, host:port (default: the machine's)")
	fs.DurationVar(&s.ShutdownDelay, "shutdown-delay", s.ShutdownDelay, "how long a process that was asked to stop goes on as before once it says that it is not ready: what a load balancer or the DNS of a cluster needs to learn of it")
	fs.StringVar(&s.LogLevel, "log.level", s.LogLevel, "debug, info, warn or error")
	fs.StringVar(&s.LogFormat, "log.format", s.LogFormat, "text or json")
	s.Bus.RegisterFlags("nats", fs)
	s.GRPC.RegisterFlags("grpc", fs)
	s.Access.RegisterFlags("access", fs)
	s.Admin.RegisterFlags("admin", fs)
	s.Trace.RegisterFlags("trace", fs)
	s.Scheduler.RegisterFlags("scheduler.", fs)
	s.Fetcher.RegisterFlags("fetcher.", fs)
	s.Parser.RegisterFlags("parser.", fs)
	s.Storage.RegisterFlags("storage.", fs)
	s.Console.RegisterFlags("console.", fs)
	return fs
}

// Load fills in the file and the environment beneath the flags that changed
// reports as given on the command line, and the folders of the parts beneath the
// data directory. Its error is of kind crawl.Invalid.
func (s *Settings) Load(environ []string, changed func(string) bool) error {
	given := func(name string) bool {
		if changed(name) {
			return true
		}
		for _, a := range aliases() {
			if name == a.setting && changed(a.short) || name == a.short && changed(a.setting) {
				return true
			}
		}
		return false
	}
	file := s.File
	if file == "" {
		file = lookup(environ, config.EnvName("config"))
	}
	// The file knows no short names: nats and storage are sections there.
	err := errors.Join(
		config.Load(s.base(), config.Source{File: file, Explicit: given}),
		config.Load(s.FlagSet(), config.Source{Environ: environ, Explicit: given, IgnoreEnv: append(ClientEnv(), secrets(environ)...)}))
	if err != nil {
		return &crawl.Error{Kind: crawl.Invalid, Err: err}
	}
	s.scaleFetcher()
	return nil
}

// scaleFetcher lets memory and idle connections follow a concurrency beyond the
// default's, so that --fetchers N alone is enough.
func (s *Settings) scaleFetcher() {
	def := fetcher.DefaultConfig()
	if n := s.Fetcher.Concurrency; n > def.Concurrency {
		if s.Fetcher.Memory == def.Memory {
			s.Fetcher.Memory = def.Memory / int64(def.Concurrency) * int64(n)
		}
		if s.Fetcher.IdleConns == def.IdleConns {
			s.Fetcher.IdleConns = 2 * n
		}
	}
}

// secrets are the variables of our prefix that specs name; see the package secret.
func secrets(environ []string) []string {
	var names []string
	for _, kv := range environ {
		if name, _, _ := strings.Cut(kv, "="); secret.IsName(name) {
			names = append(names, name)
		}
	}
	return names
}

// Guard opens the guard of the process's servers; the caller closes it.
func (s *Settings) Guard(log *slog.Logger, registry prometheus.Registerer) (*access.Guard, error) {
	return access.New(s.Access, access.Deps{
		Log: log, Registry: registry, ClientCA: s.GRPC.TLSClientCA != "",
		// Refused where a spec is submitted, and by fetchers and parsers again.
		Specs: access.Specs{
			Secrets:    access.OnlyThese(s.Fetcher.SecretsAllow),
			Extractors: access.OnlyThese(s.Parser.ExtractorAllow),
			Proxies:    access.OnlyThese(s.Fetcher.ProxyAllow),
		},
	})
}

// ClientEnv are the variables of our prefix that are for client commands.
func ClientEnv() []string {
	return []string{"WEIR_SERVER", "WEIR_STORAGE_SERVER", "WEIR_FETCHER_SERVER", "WEIR_PARSER_SERVER",
		"WEIR_TOKEN", "WEIR_TOKEN_FILE", "WEIR_TLS", "WEIR_TLS_CA", "WEIR_TLS_CERT", "WEIR_TLS_KEY"}
}

// SetData places the stores of the parts in the data directory, unless they were
// placed by themselves.
func (s *Settings) SetData(dir string) {
	if dir == "" {
		return
	}
	s.Data = dir
	if s.Scheduler.Dir == "" {
		s.Scheduler.Dir = filepath.Join(dir, "frontier")
	}
	if s.Storage.Dir == "" {
		s.Storage.Dir = dir
	}
}

// Validate returns all mistakes of the parts that the mode runs, joined; its kind
// is crawl.Invalid.
func (s *Settings) Validate() error {
	errs := []error{s.Bus.Validate()}
	if s.ShutdownDelay < 0 || s.ShutdownDelay > time.Minute {
		errs = append(errs, fmt.Errorf("shutdown-delay is %s, want 0 to 1m", s.ShutdownDelay))
	}
	if _, _, err := net.SplitHostPort(s.DNS); s.DNS != "" && err != nil {
		errs = append(errs, fmt.Errorf("dns server %q: want host:port, for example 127.0.0.1:53", s.DNS))
	}
	runs := func(m Mode) bool { return s.mode.Embedded() || s.mode == m }
	errs = append(errs, s.Access.Validate())
	if s.GRPC.Listen != "" {
		errs = append(errs, s.GRPC.Validate())
	} else {
		errs = append(errs, s.GRPC.ValidateTLS())
	}
	errs = append(errs, s.Admin.Validate(), s.Trace.Validate())
	if runs(Scheduler) {
		errs = append(errs, s.Scheduler.Validate())
	}
	if n := s.Scheduler.Partitions; s.mode == Topology && (n < 1 || n > 4096) {
		errs = append(errs, fmt.Errorf("scheduler: partitions is %d, want 1 to 4096", n))
	}
	if runs(Fetcher) {
		errs = append(errs, s.Fetcher.Validate())
	}
	if s.mode == Fetcher && s.Fetcher.Pool == fetcher.RenderPool {
		errs = append(errs, s.Fetcher.Browser.Check())
	}
	if runs(Parser) {
		errs = append(errs, s.Parser.Validate())
	}
	if runs(Storage) {
		errs = append(errs, s.Storage.Validate())
	}
	if runs(Console) {
		errs = append(errs, s.Console.Validate())
	}
	if err := errors.Join(errs...); err != nil {
		return &crawl.Error{Kind: crawl.Invalid, Err: err}
	}
	return nil
}

// Reference is the page about all settings, with the defaults of a cluster.
func Reference() string {
	s := New(Scheduler)
	s.GRPC.Listen, s.Admin.Listen, s.Console.Listen = "", "", ""
	all := s.base()
	general, parts := flag.NewFlagSet("", flag.ContinueOnError), flag.NewFlagSet("", flag.ContinueOnError)
	all.VisitAll(func(f *flag.Flag) {
		if strings.Contains(f.Name, ".") {
			parts.Var(f.Value, f.Name, f.Usage)
		} else {
			general.Var(f.Value, f.Name, f.Usage)
		}
	})
	sections := config.Reference(parts)
	text := config.Reference(general) + sections[strings.Index(sections, "\n## "):]
	// Numbers that follow the machine would differ from one reader to the next.
	for _, name := range []string{"fetcher.concurrency", "fetcher.idle-conns", "fetcher.memory", "fetcher.browser.pages", "fetcher.browser.recycle-memory", "parser.concurrency"} {
		text = hideDefault(text, name)
	}
	text += "\n## Short names\n\n| short | setting | environment |\n|---|---|---|\n"
	for _, a := range aliases() {
		text += fmt.Sprintf("| `--%s` | `%s` | `%s` |\n", a.short, a.setting, config.EnvName(a.short))
	}
	return text + fmt.Sprintf(`
## Defaults that depend on the command

| setting | up | scheduler | storage | fetcher, parser | console | crawl |
|---|---|---|---|---|---|---|
| %[1]sgrpc.listen%[1]s | %[2]s | %[2]s | %[3]s | none | not used | none |
| %[1]sadmin.listen%[1]s | 127.0.0.1:7080 | 127.0.0.1:7080 | 127.0.0.1:7081 | none | none | none |
| %[1]sconsole.listen%[1]s | %[4]s | not used | not used | not used | %[4]s | none |
| %[1]sdata%[1]s | ./weir-data/up | required | required | not used | not used | ./weir-data/NAME |
| %[1]sscheduler.partitions%[1]s | 1 | 64 | | | | 1 |

The NATS server of %[1]sup%[1]s and %[1]scrawl%[1]s is inside the process: the limits of their streams are smaller, and %[1]snats.url%[1]s is
not used.
`, "`", DefaultServer, DefaultStorage, console.DefaultListen)
}

// hideDefault empties the default of a setting's row.
func hideDefault(text, name string) string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "| `"+name+"` |") {
			cells := strings.Split(line, " | ")
			cells[2] = "by the machine"
			line = strings.Join(cells, " | ")
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

func lookup(environ []string, name string) string {
	for _, kv := range environ {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}
