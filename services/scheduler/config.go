package scheduler

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

// Config is the configuration of a scheduler. Its zero value is not usable; start
// from DefaultConfig.
type Config struct {
	// Store is where the frontier is kept: empty for the folder Dir, or the URL of a
	// PostgreSQL database (postgres://…), which several schedulers may share.
	Store string
	// Dir is the folder of the frontier store. Required without Store; made when absent.
	Dir string
	// Replica is this scheduler's name among those that share a store. Default: host
	// name and process id.
	Replica string
	// Advertise is the address, host:port, at which the others reach its gRPC server.
	// Required with a shared store.
	Advertise string
	// Partitions of the frontier, fixed when the store is created. Default 64.
	Partitions uint
	// Window is how many tasks may be with the fetchers, not yet reported. It bounds
	// the tasks stream. Default 0: it follows the fleet, so that the work of 2 to 5
	// seconds waits for it.
	Window int
	// MaxLeases is how many URLs may be anywhere between dispatch and result. It
	// bounds what the streams hold when a later stage is slow. Default 4096.
	MaxLeases int
	// LeaseTime is after how long without a result a URL that is on no stream any
	// more is handed out again. Default 10m.
	LeaseTime time.Duration
	// Batch is how many results one commit takes at most. Default 64.
	Batch int
	// BatchAge is the least time from the beginning of one commit to that of the next, unless
	// it is full; after a rest the first result waits a twentieth of it. Default 10ms.
	BatchAge time.Duration
	// CacheSize of the store in bytes. Default 64 MiB.
	CacheSize int64
}

// DefaultConfig returns the defaults named in Config's comments.
func DefaultConfig() Config {
	return Config{
		Partitions: 64,
		MaxLeases:  4096,
		LeaseTime:  10 * time.Minute,
		Batch:      64,
		BatchAge:   10 * time.Millisecond,
		CacheSize:  64 << 20,
	}
}

// RegisterFlags adds the fields to fs, each name after prefix; the values that c
// has are the defaults.
func (c *Config) RegisterFlags(prefix string, fs *flag.FlagSet) {
	fs.StringVar(&c.Dir, prefix+"dir", c.Dir, "folder of the frontier store")
	fs.UintVar(&c.Partitions, prefix+"partitions", c.Partitions, "partitions of the frontier, fixed when the store is created")
	fs.StringVar(&c.Store, prefix+"store", c.Store, "where the frontier is kept: empty for the folder, or postgres://… for a database that several schedulers may share")
	fs.StringVar(&c.Replica, prefix+"replica", c.Replica, "name of this scheduler among those that share a store; empty for host name and process id")
	fs.StringVar(&c.Advertise, prefix+"advertise", c.Advertise, "address at which schedulers that share a store reach this one; empty for that of its gRPC server")
	fs.IntVar(&c.Window, prefix+"window", c.Window, "tasks that may be with the fetchers, not yet reported; 0 to follow what they can do")
	fs.IntVar(&c.MaxLeases, prefix+"max-leases", c.MaxLeases, "URLs that may be between dispatch and result")
	fs.DurationVar(&c.LeaseTime, prefix+"lease-time", c.LeaseTime, "time after which a URL without a result that is on no stream is handed out again")
	fs.IntVar(&c.Batch, prefix+"batch", c.Batch, "results in one commit at most")
	fs.DurationVar(&c.BatchAge, prefix+"batch-age", c.BatchAge, "least time from one commit to the next, unless it is full")
	fs.Int64Var(&c.CacheSize, prefix+"cache-size", c.CacheSize, "cache of the store in bytes")
}

// Validate reports every field that cannot work.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("scheduler: "+format, args...))
		}
	}
	check(c.Dir != "" || c.Store != "", "dir is not set")
	check(c.Store == "" || strings.HasPrefix(c.Store, "postgres://") || strings.HasPrefix(c.Store, "postgresql://"),
		"store is %q, want nothing or postgres://USER:PASSWORD@HOST/DATABASE", redact(c.Store))
	check(c.Replica == "" || validReplica(c.Replica), "replica is %q, want at most 128 of a-z, A-Z, 0-9, -, _ and .", c.Replica)
	check(c.Partitions >= 1 && c.Partitions <= 4096, "partitions is %d, want 1 to 4096", c.Partitions)
	check(c.Window >= 0, "window is %d, want at least 0", c.Window)
	check(c.MaxLeases >= c.Window, "max-leases is %d, want at least window (%d)", c.MaxLeases, c.Window)
	check(c.LeaseTime >= time.Second, "lease-time is %s, want at least 1s", c.LeaseTime)
	check(c.Batch >= 1 && c.Batch <= 4096, "batch is %d, want 1 to 4096", c.Batch)
	check(c.BatchAge >= 0 && c.BatchAge <= time.Second, "batch-age is %s, want 0 to 1s", c.BatchAge)
	check(c.CacheSize >= 1<<20, "cache-size is %d, want at least 1 MiB", c.CacheSize)
	return errors.Join(errs...)
}

// redact keeps what may be a password out of messages.
func redact(url string) string {
	scheme, _, ok := strings.Cut(url, "://")
	if !ok {
		return "…"
	}
	return scheme + "://…"
}

// defaultReplica names this process.
func defaultReplica() string {
	host, err := os.Hostname()
	if err != nil || !validReplica(host) {
		host = "replica"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}

// validReplica reports whether a name can be part of a key of the bus.
func validReplica(name string) bool {
	if name == "" || len(name) > 128 || name[0] == '.' || name[len(name)-1] == '.' || strings.Contains(name, "..") {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
	})
}
