package parser

import (
	"errors"
	"flag"
	"fmt"
	"runtime"
	"time"

	"github.com/weircrawl/weir/internal/access"
	"github.com/weircrawl/weir/internal/config"
)

// Config is the configuration of a parser. Its zero value is not usable; start
// from DefaultConfig.
type Config struct {
	// Concurrency is how many pages may be in hand. Only as many as there are
	// processors are being read at a time; the others wait for bodies and for the
	// acknowledgement of their records, which takes ten times as long as reading a
	// page does. Default: 16 for each processor, at least 64.
	Concurrency int
	// PageTimeout is how long one page may be read. Default 10s.
	PageTimeout time.Duration
	// MaxBody is how many bytes of a page are read, after decompression. The rest
	// is kept but not parsed. Default 16 MiB.
	MaxBody int64
	// MaxOutlinks is how many links are taken of one page. Default 10000.
	MaxOutlinks int
	// MaxStored bounds the bytes of bodies that are being fetched from storage, for
	// the whole process. Default 128 MiB.
	MaxStored int64
	// ExtractorAllow are patterns of the addresses that specs may name as extractors, as
	// they write them: whoever may submit a crawl makes parsers call that address.
	// Default: *, all.
	ExtractorAllow config.List
	// SoftStop is how long pages in hand may take when the parser stops. Default 10s.
	SoftStop time.Duration
}

// DefaultConfig returns the defaults named in Config's comments.
func DefaultConfig() Config {
	return Config{
		Concurrency: max(64, 16*runtime.GOMAXPROCS(0)),
		PageTimeout: 10 * time.Second,
		MaxBody:     16 << 20,
		MaxOutlinks: 10_000,
		MaxStored:   128 << 20,
		SoftStop:    10 * time.Second,

		ExtractorAllow: config.List{"*"},
	}
}

// RegisterFlags adds the fields to fs, each name after prefix; the values that c
// has are the defaults.
func (c *Config) RegisterFlags(prefix string, fs *flag.FlagSet) {
	fs.IntVar(&c.Concurrency, prefix+"concurrency", c.Concurrency, "pages in hand at a time")
	fs.DurationVar(&c.PageTimeout, prefix+"page-timeout", c.PageTimeout, "how long one page may be read")
	fs.Int64Var(&c.MaxBody, prefix+"max-body", c.MaxBody, "bytes of a page that are read, after decompression")
	fs.IntVar(&c.MaxOutlinks, prefix+"max-outlinks", c.MaxOutlinks, "links that are taken of one page")
	fs.Int64Var(&c.MaxStored, prefix+"max-stored", c.MaxStored, "bytes of bodies that are fetched from storage at a time")
	fs.Var(&c.ExtractorAllow, prefix+"extractor-allow", "patterns of the addresses that specs may name as extractors; empty for none")
	fs.DurationVar(&c.SoftStop, prefix+"soft-stop", c.SoftStop, "how long pages in hand may take when the parser stops")
}

// StopTime is how long Run may take once its context has ended: a page that does not
// obey the end of the soft stop is waited for as long again.
func (c Config) StopTime() time.Duration { return 2*c.SoftStop + 3*time.Second }

// Validate reports every field that cannot work.
func (c Config) Validate() error {
	var errs []error
	positive := func(name string, ok bool, got any) {
		if !ok {
			errs = append(errs, fmt.Errorf("parser: %s must be positive, not %v", name, got))
		}
	}
	positive("concurrency", c.Concurrency > 0, c.Concurrency)
	positive("page-timeout", c.PageTimeout > 0, c.PageTimeout)
	positive("max-body", c.MaxBody > 0, c.MaxBody)
	positive("max-outlinks", c.MaxOutlinks > 0, c.MaxOutlinks)
	positive("max-stored", c.MaxStored > 0, c.MaxStored)
	positive("soft-stop", c.SoftStop > 0, c.SoftStop)
	if err := access.CheckPatterns("extractor-allow", c.ExtractorAllow); err != nil {
		errs = append(errs, fmt.Errorf("parser: %w", err))
	}
	return errors.Join(errs...)
}
