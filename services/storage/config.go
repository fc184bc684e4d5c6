package storage

import (
	"errors"
	"flag"
	"strings"
	"time"

	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// Config is the configuration of a storage. Its zero value is not usable; start
// from DefaultConfig.
type Config struct {
	// Dir is the data directory: catalogue.db, warc/ and bodies/ are made in it.
	// Required; made when absent.
	Dir string
	// Archive is the object store for WARC files and long bodies:
	// s3://bucket/prefix?endpoint=…&region=…; see blob.Open. Empty: folders in Dir.
	Archive string
	// Catalogue is where the catalogue is kept: empty for a SQLite file in Dir, or the URL
	// of a PostgreSQL database (postgres://…), which several storages may share.
	Catalogue string
	// Replica is the name of this storage among those that share a catalogue, which its
	// segments are kept under: a later process of the same name goes on with them, on any
	// machine. There must not be two at a time. Needs Catalogue and Archive. Empty for a name that is made once and kept in Dir.
	Replica string
	// Batch is how many records one commit takes at most. Default 256.
	Batch int
	// BatchBytes bounds the records of one commit, in bytes. Default 8 MiB.
	BatchBytes int
	// BatchAge is the least time from the beginning of one commit to that of the next, unless
	// it is full; after a rest the first record waits a twentieth of it. Default 50ms.
	BatchAge time.Duration
	// SegmentSize is the length in bytes after which a WARC file is finished.
	// Default 1 GiB.
	SegmentSize int64
	// SegmentAge is the time after which a WARC file is finished. Default 24h.
	SegmentAge time.Duration
	// MinFree is the free space in bytes below which nothing is committed: the
	// catalogue still has room to close in order, and so has everything else on
	// that disk. 0 turns the guard off. Default 256 MiB.
	MinFree int64
	// BodyAge is how long a long body waits for its record. Default 24h.
	BodyAge time.Duration
	// Retention is how long what a crawl kept outlives the crawl's end. 0 is for ever.
	Retention time.Duration
	// MaxBody bounds one long body, compressed, in bytes. Default 300 MiB.
	MaxBody int64
}

// DefaultConfig returns the defaults named in Config's comments.
func DefaultConfig() Config {
	return Config{
		Batch:       256,
		BatchBytes:  8 << 20,
		BatchAge:    50 * time.Millisecond,
		SegmentSize: 1 << 30,
		SegmentAge:  24 * time.Hour,
		MinFree:     256 << 20,
		BodyAge:     24 * time.Hour,
		MaxBody:     300 << 20,
	}
}

// RegisterFlags adds the fields to fs, each name after prefix; the values that c
// has are the defaults.
func (c *Config) RegisterFlags(prefix string, fs *flag.FlagSet) {
	fs.StringVar(&c.Dir, prefix+"dir", c.Dir, "data directory: catalogue.db, warc/ and bodies/ are made in it")
	fs.StringVar(&c.Archive, prefix+"archive", c.Archive, "object store for WARC files, s3://bucket/prefix?endpoint=URL&region=NAME; credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws or the machine's role (default: the folder warc/)")
	fs.StringVar(&c.Catalogue, prefix+"catalogue", c.Catalogue, "where pages and items are kept: empty for a SQLite file in the data directory, or postgres://… for a database that several storages may share")
	fs.StringVar(&c.Replica, prefix+"replica", c.Replica, "name of this storage among those that share a catalogue, the same after a restart; empty for one kept in the data directory")
	fs.IntVar(&c.Batch, prefix+"batch", c.Batch, "records in one commit at most")
	fs.IntVar(&c.BatchBytes, prefix+"batch-bytes", c.BatchBytes, "bytes of records in one commit at most")
	fs.DurationVar(&c.BatchAge, prefix+"batch-age", c.BatchAge, "least time from one commit to the next, unless it is full")
	fs.Int64Var(&c.SegmentSize, prefix+"segment-size", c.SegmentSize, "bytes after which a WARC file is finished")
	fs.DurationVar(&c.SegmentAge, prefix+"segment-age", c.SegmentAge, "time after which a WARC file is finished")
	fs.Int64Var(&c.MinFree, prefix+"min-free", c.MinFree, "free bytes on the disk below which nothing is committed; 0 is off")
	fs.DurationVar(&c.BodyAge, prefix+"body-age", c.BodyAge, "how long a long body waits for its record")
	fs.DurationVar(&c.Retention, prefix+"retention", c.Retention, "how long what a crawl kept outlives the crawl's end; 0 is for ever")
	fs.Int64Var(&c.MaxBody, prefix+"max-body", c.MaxBody, "bytes of one long body, compressed, at most")
}

// Validate reports every field that cannot work.
func (c Config) Validate() error {
	var errs []error
	check := func(ok bool, message string) {
		if !ok {
			errs = append(errs, errors.New(message))
		}
	}
	check(c.Dir != "", "storage.dir: required")
	check(c.Catalogue == "" || strings.HasPrefix(c.Catalogue, "postgres://") || strings.HasPrefix(c.Catalogue, "postgresql://"),
		"storage.catalogue: want nothing or postgres://USER:PASSWORD@HOST/DATABASE")
	check(c.Replica == "" || c.Archive != "" && c.Catalogue != "",
		"storage.replica: goes with storage.catalogue and storage.archive; a data directory has a name of its own")
	check(c.Batch >= 1 && c.Batch <= catalogue.MaxBatch, "storage.batch: must be 1 to 16384")
	check(c.BatchBytes >= 0, "storage.batch-bytes: must not be negative")
	check(c.BatchAge >= 0, "storage.batch-age: must not be negative")
	check(c.SegmentSize >= 1, "storage.segment-size: must be at least 1")
	check(c.SegmentAge > 0, "storage.segment-age: must be above 0")
	check(c.MinFree >= 0, "storage.min-free: must not be negative")
	check(c.BodyAge >= time.Minute, "storage.body-age: must be at least 1m, or bodies are deleted under their records")
	check(c.Retention == 0 || c.Retention >= time.Minute, "storage.retention: must be 0 or at least 1m")
	check(c.MaxBody >= 1, "storage.max-body: must be at least 1")
	return errors.Join(errs...)
}
