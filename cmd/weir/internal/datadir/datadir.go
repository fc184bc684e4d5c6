// Package datadir looks after a data directory: who uses it, what crawl is in it,
// and whether its disk has room.
//
//	DIR/weir.lock     held while a process uses the directory
//	DIR/crawl.json    which crawl `weir crawl` runs in it, and whether it is over
//	DIR/spec.yaml     that crawl's spec, overrides applied
//	DIR/weir.log      the log of `weir crawl`
//	DIR/frontier/     URLs, crawls, counters        (scheduler)
//	DIR/catalogue.db  pages and items: SQLite       (storage)
//	DIR/warc/         bodies                        (storage)
//	DIR/nats/         what is between the services  (embedded NATS)
package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/weircrawl/weir/cmd/weir/internal/output"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/disk"
)

// Dir is a data directory that this process holds the lock of.
type Dir struct {
	path string
	lock *disk.Lock
}

// Open makes the directory if need be and locks it. It fails at once with
// crawl.Precondition when another process has it.
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	lock, err := disk.TakeLock(filepath.Join(path, "weir.lock"))
	if errors.Is(err, disk.ErrLocked) {
		return nil, crawl.Errorf(crawl.Precondition, "data directory %s is in use by another weir: stop that one, or choose another with --data", path)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	return &Dir{path: path, lock: lock}, nil
}

// Close gives the lock back.
func (d *Dir) Close() error { return d.lock.Close() }

// Path returns the directory.
func (d *Dir) Path() string { return d.path }

// Frontier, NATS and Storage are the folders of the parts.
func (d *Dir) Frontier() string { return filepath.Join(d.path, "frontier") }

// NATS is the folder of the embedded server's streams.
func (d *Dir) NATS() string { return filepath.Join(d.path, "nats") }

// Storage is the folder of catalogue and archive: the directory itself, so that
// users find them.
func (d *Dir) Storage() string { return d.path }

// Marker is what `weir crawl` leaves in its data directory.
type Marker struct {
	// CrawlID is empty until the scheduler has the crawl.
	CrawlID string `json:"crawl_id"`
	// Name of the crawl.
	Name string `json:"name"`
	// State is "unfinished", or the final state.
	State string `json:"state"`
}

// Unfinished is the marker's state of a crawl that is not over.
const Unfinished = "unfinished"

// Over reports whether the crawl has ended.
func (m Marker) Over() bool { return m.State != Unfinished }

// ReadMarker returns the marker in a directory. found is false for one that
// holds no crawl. A directory that has a frontier but no readable marker holds
// an unfinished one, as far as anybody can tell. It takes no lock.
func ReadMarker(path string) (m Marker, found bool) {
	data, err := os.ReadFile(filepath.Join(path, "crawl.json"))
	if err == nil && json.Unmarshal(data, &m) == nil && m.State != "" {
		return m, true
	}
	if _, err := os.Stat(filepath.Join(path, "frontier")); err == nil {
		return Marker{State: Unfinished}, true
	}
	return Marker{}, false
}

// WriteMarker replaces the marker.
func (d *Dir) WriteMarker(m Marker) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("write the crawl's state: %w", err)
	}
	return d.write("crawl.json", append(data, '\n'))
}

// Spec returns the saved spec as YAML, nil without one.
func (d *Dir) Spec() ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(d.path, "spec.yaml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the saved spec: %w", err)
	}
	return data, nil
}

// WriteSpec saves the spec.
func (d *Dir) WriteSpec(yaml []byte) error { return d.write("spec.yaml", yaml) }

// OpenLog opens the log for appending. The caller closes it.
func (d *Dir) OpenLog() (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(d.path, "weir.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return f, nil
}

func (d *Dir) write(name string, data []byte) error {
	return output.WriteFile(filepath.Join(d.path, name), func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
