package bus

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Config says where the server is and how much the streams may hold. Only the
// process that calls EnsureTopology needs the limits; all need the AckWaits, by
// which they time their heart-beats.
type Config struct {
	// URL of the server, several separated by commas. Not used with an embedded server.
	URL string
	// User is the name of the user, PasswordFile the file with its password in one line;
	// both or none.
	User, PasswordFile string
	// CredsFile holds the user's JWT and seed; empty for none.
	CredsFile string
	// TLSCA, TLSCert and TLSKey are PEM files: the server's authority, and the
	// certificate and key of this client. Empty for none. Like the other files they are
	// read at every connection.
	TLSCA, TLSCert, TLSKey string
	// ConnectTimeout bounds the wait for the server at start, and calls to it
	// that have no deadline of their own.
	ConnectTimeout time.Duration

	// Replicas of every stream and bucket: 1, 3 or 5.
	Replicas int
	// Pools of fetchers: each has its own consumer. Lower-case names.
	Pools []string
	// DuplicateWindow is how long message ids are remembered.
	DuplicateWindow time.Duration
	// Tasks bounds WEIR_TASKS; TasksPerCrawl bounds the tasks of one crawl and
	// pool, so that a big crawl cannot make a small one wait.
	Tasks         StreamLimits
	TasksPerCrawl int64
	// Pages, Records, Results and Dead bound the other streams.
	Pages, Records, Results, Dead StreamLimits

	// LeaseTTL is how long a key of Leases lives without being renewed. At least 1 s.
	LeaseTTL time.Duration

	// Fetch, Parse, Store and Result are the settings of the consumers.
	Fetch, Parse, Store, Result ConsumerConfig

	// BundleAge is how long a record waits for others of its subject that go in the same
	// message, and a page half as long. 0 sends each alone, and each result too, which services of a version
	// that knows no bundles need.
	BundleAge time.Duration
	// PublishInFlight is how many messages may wait for their acks.
	PublishInFlight int
	// PublishTimeout is how long to wait for one ack.
	PublishTimeout time.Duration
}

// StreamLimits bound a stream. A full stream refuses new messages.
type StreamLimits struct {
	// Bytes it may hold.
	Bytes int64
	// Messages it may hold; -1 for no limit.
	Messages int64
	// Age after which a message is dropped: a backstop against what nobody
	// takes, far above the time that a message waits.
	Age time.Duration
}

// ConsumerConfig are the settings of a durable consumer.
type ConsumerConfig struct {
	// AckWait is the time without a heart-beat after which the server delivers a
	// message again. Heart-beats are sent every third of it.
	AckWait time.Duration
	// MaxAckPending is how many messages may be in hand, over all replicas.
	MaxAckPending int
	// MaxDeliver is at which delivery a message whose handler fails is a dead letter; -1
	// for never. Given back at a stop it may come more often.
	MaxDeliver int
}

const (
	mib = 1 << 20
	gib = 1 << 30
)

// DefaultConfig returns the defaults for a NATS server of its own.
func DefaultConfig() Config {
	return Config{
		URL:             "nats://127.0.0.1:4222",
		ConnectTimeout:  10 * time.Second,
		Replicas:        1,
		Pools:           []string{"http", "render"},
		DuplicateWindow: 2 * time.Minute,
		Tasks:           StreamLimits{Bytes: 64 * mib, Messages: 20_000, Age: 6 * time.Hour},
		TasksPerCrawl:   256,
		Pages:           StreamLimits{Bytes: 4 * gib, Messages: -1, Age: 6 * time.Hour},
		Records:         StreamLimits{Bytes: 8 * gib, Messages: -1, Age: 6 * time.Hour},
		Results:         StreamLimits{Bytes: 2 * gib, Messages: -1, Age: 6 * time.Hour},
		Dead:            StreamLimits{Bytes: 256 * mib, Messages: -1, Age: 7 * 24 * time.Hour},
		LeaseTTL:        6 * time.Second,
		// More than any fleet fetches at once: the tasks' own bounds are what counts.
		Fetch: ConsumerConfig{AckWait: 30 * time.Second, MaxAckPending: 20_000, MaxDeliver: 3},
		// A second fetch costs a site something, a second parse or commit costs
		// nobody much: ADR-0010.
		Parse: ConsumerConfig{AckWait: 15 * time.Second, MaxAckPending: 512, MaxDeliver: 3},
		Store: ConsumerConfig{AckWait: 15 * time.Second, MaxAckPending: 2000, MaxDeliver: -1},
		// Two full batches: one in hand and one being gathered.
		Result:          ConsumerConfig{AckWait: 15 * time.Second, MaxAckPending: 4000, MaxDeliver: -1},
		BundleAge:       4 * time.Millisecond,
		PublishInFlight: 256,
		PublishTimeout:  10 * time.Second,
	}
}

// EmbeddedConfig returns the defaults for a server inside the process: streams
// that fit beside the data on the disk of one machine.
func EmbeddedConfig() Config {
	c := DefaultConfig()
	c.URL = "nats://in-process"
	// The server answers within milliseconds or is gone with the process: a message is
	// sent again after PublishTimeout or not at all. Ids that are remembered for longer
	// are memory, 300 bytes for each of three a page.
	c.PublishTimeout = 4 * time.Second
	c.DuplicateWindow = 6 * time.Second
	c.Pages.Bytes = 512 * mib // with those that are put aside
	// Below 32 MiB the server writes blocks of 4 MiB instead of 8, of which it holds the
	// one that it writes in memory, in a buffer of that size. A full stream has the stage
	// before it wait, with less under way.
	c.Tasks.Bytes = 24 * mib
	c.Records.Bytes = 24 * mib
	c.Results.Bytes = 24 * mib
	c.Dead.Bytes = 64 * mib
	return c
}

// RegisterFlags adds a flag for every setting, named prefix.setting, with the
// present values as defaults.
func (c *Config) RegisterFlags(prefix string, fs *flag.FlagSet) {
	p := prefix + "."
	fs.StringVar(&c.URL, p+"url", c.URL, "URL of the NATS server, several separated by commas")
	fs.StringVar(&c.User, p+"user", c.User, "name of the NATS user, where it has a password")
	fs.StringVar(&c.PasswordFile, p+"password-file", c.PasswordFile, "file with the NATS user's password")
	fs.StringVar(&c.CredsFile, p+"creds-file", c.CredsFile, "file with the NATS user's credentials")
	fs.StringVar(&c.TLSCA, p+"tls-ca", c.TLSCA, "PEM file with the authority of the server's certificate")
	fs.StringVar(&c.TLSCert, p+"tls-cert", c.TLSCert, "PEM file with the client's certificate")
	fs.StringVar(&c.TLSKey, p+"tls-key", c.TLSKey, "PEM file with the client's key")
	fs.DurationVar(&c.ConnectTimeout, p+"connect-timeout", c.ConnectTimeout, "how long to wait for the server at start")
	fs.IntVar(&c.Replicas, p+"replicas", c.Replicas, "replicas of every stream: 1, 3 or 5")
	fs.Var((*poolList)(&c.Pools), p+"pools", "pools of fetchers, separated by commas")
	fs.DurationVar(&c.DuplicateWindow, p+"duplicate-window", c.DuplicateWindow, "how long message ids are remembered")
	fs.Int64Var(&c.TasksPerCrawl, p+"tasks.per-crawl", c.TasksPerCrawl, "tasks that one crawl may have waiting in a pool")
	c.Tasks.registerFlags(p+"tasks", fs)
	c.Pages.registerFlags(p+"pages", fs)
	c.Records.registerFlags(p+"records", fs)
	c.Results.registerFlags(p+"results", fs)
	c.Dead.registerFlags(p+"dead", fs)
	fs.DurationVar(&c.LeaseTTL, p+"lease-ttl", c.LeaseTTL, "time without a renewal after which a scheduler's partitions go to others")
	c.Fetch.registerFlags(p+"fetch", fs)
	c.Parse.registerFlags(p+"parse", fs)
	c.Store.registerFlags(p+"store", fs)
	c.Result.registerFlags(p+"result", fs)
	fs.DurationVar(&c.BundleAge, p+"bundle-age", c.BundleAge, "how long a record waits for others that go in the same message, and a page half as long; 0 sends each alone")
	fs.IntVar(&c.PublishInFlight, p+"publish-in-flight", c.PublishInFlight, "messages that may wait for their acks")
	fs.DurationVar(&c.PublishTimeout, p+"publish-timeout", c.PublishTimeout, "how long to wait for an ack")
}

func (l *StreamLimits) registerFlags(p string, fs *flag.FlagSet) {
	fs.Int64Var(&l.Bytes, p+".max-bytes", l.Bytes, "bytes that the stream may hold")
	fs.Int64Var(&l.Messages, p+".max-messages", l.Messages, "messages that the stream may hold, -1 for no limit")
	fs.DurationVar(&l.Age, p+".max-age", l.Age, "age after which the stream drops a message")
}

func (c *ConsumerConfig) registerFlags(p string, fs *flag.FlagSet) {
	fs.DurationVar(&c.AckWait, p+".ack-wait", c.AckWait, "time without a heart-beat after which a message is delivered again")
	fs.IntVar(&c.MaxAckPending, p+".max-ack-pending", c.MaxAckPending, "messages that may be in hand over all replicas")
	fs.IntVar(&c.MaxDeliver, p+".max-deliver", c.MaxDeliver, "delivery at which a message that cannot be handled is a dead letter, -1 for never")
}

// Validate returns all mistakes joined.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("bus: "+format, args...)) }
	if c.URL == "" {
		bad("url is empty")
	} else if _, err := hostsOf(c.URL); err != nil {
		errs = append(errs, err)
	}
	if (c.User == "") != (c.PasswordFile == "") {
		bad("user and password-file go together")
	}
	if c.User != "" && c.CredsFile != "" {
		bad("user and creds-file are two ways to say who the user is: one of them")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		bad("tls-cert and tls-key go together")
	}
	if c.Replicas < 1 || c.Replicas > 5 || c.Replicas%2 == 0 {
		bad("replicas is %d, want 1, 3 or 5", c.Replicas)
	}
	if len(c.Pools) == 0 {
		bad("pools is empty")
	}
	for _, p := range c.Pools {
		if p == "" || p != token(p) || strings.ToLower(p) != p {
			bad("pool %q is not a lower-case name", p)
		}
	}
	if c.TasksPerCrawl < 1 || c.PublishInFlight < 1 {
		bad("tasks.per-crawl and publish-in-flight must be at least 1")
	}
	if min(c.ConnectTimeout, c.PublishTimeout, c.DuplicateWindow) <= 0 {
		bad("connect-timeout, publish-timeout and duplicate-window must be positive")
	}
	if c.BundleAge < 0 || c.BundleAge > time.Second {
		bad("bundle-age is %s, want 0 to 1s", c.BundleAge)
	}
	if c.LeaseTTL < time.Second {
		bad("lease-ttl must be at least 1s")
	}
	names := []string{"tasks", "pages", "records", "results", "dead"}
	for i, l := range []StreamLimits{c.Tasks, c.Pages, c.Records, c.Results, c.Dead} {
		if l.Bytes < 1 || l.Messages == 0 || l.Age < c.DuplicateWindow {
			bad("%s: max-bytes must be positive, max-messages not 0, max-age at least the duplicate-window", names[i])
		}
	}
	names = []string{"fetch", "parse", "store", "result"}
	for i, k := range []ConsumerConfig{c.Fetch, c.Parse, c.Store, c.Result} {
		if k.AckWait < 100*time.Millisecond || k.MaxAckPending < 1 || k.MaxDeliver == 0 {
			bad("%s: ack-wait must be at least 100ms, max-ack-pending at least 1, max-deliver not 0", names[i])
		}
	}
	return errors.Join(errs...)
}

// poolList is a flag with names separated by commas.
type poolList []string

// String implements flag.Value.
func (l *poolList) String() string { return strings.Join(*l, ",") }

// Set implements flag.Value.
func (l *poolList) Set(s string) error {
	*l = slices.DeleteFunc(strings.Split(strings.ReplaceAll(s, " ", ""), ","), func(p string) bool { return p == "" })
	return nil
}
