// Package output writes items where a user wants them: JSON lines or CSV, to a
// file that appears complete or not at all, or to a stream as they come.
package output

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/weircrawl/weir/internal/crawl"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// Format of a file of items.
type Format string

// The formats that are written.
const (
	// JSONL is one JSON object a line, as the parser made it.
	JSONL Format = "jsonl"
	// CSV has a column for every field of any item; nested fields are dotted.
	CSV Format = "csv"
)

// Target is where items go.
type Target struct {
	// Path of the file, "-" for stdout, empty for nowhere.
	Path string
	// Format of what is written.
	Format Format
}

// NewTarget checks -o and --format: an empty format follows from the path's
// extension, and is JSONL for stdout. The error says what would be right.
func NewTarget(path, format string) (Target, error) {
	if path == "" {
		if format != "" {
			return Target{}, crawl.Errorf(crawl.Invalid, "--format %s needs -o FILE, or -o - for stdout", format)
		}
		return Target{}, nil
	}
	name := strings.ToLower(format)
	if name == "" {
		name = strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
		if path == "-" {
			name = string(JSONL)
		}
	}
	switch name {
	case "jsonl", "ndjson", "json":
		return target(path, JSONL)
	case "csv":
		return target(path, CSV)
	case "parquet", "warc":
		return Target{}, crawl.Errorf(crawl.Invalid, "output format %s is not there yet: use jsonl or csv%s", name, warcHint(name))
	case "":
		return Target{}, crawl.Errorf(crawl.Invalid, "%s has no extension to tell the format by: add --format jsonl or --format csv", path)
	default:
		return Target{}, crawl.Errorf(crawl.Invalid, "unknown output format %q: use jsonl or csv", name)
	}
}

func warcHint(name string) string {
	if name == "warc" {
		return " (the pages are WARC files already, in warc/ of the data directory)"
	}
	return ""
}

// target refuses a path that cannot be written before hours of crawling.
func target(path string, f Format) (Target, error) {
	if path != "-" {
		dir := filepath.Dir(path)
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return Target{}, crawl.Errorf(crawl.Invalid, "cannot write %s: %s is not a directory; make it first", path, dir)
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return Target{}, crawl.Errorf(crawl.Invalid, "cannot write %s: it is a directory", path)
		}
	}
	return Target{Path: path, Format: f}, nil
}

// Enabled reports whether items go anywhere.
func (t Target) Enabled() bool { return t.Path != "" }

// Stdout reports whether items go to stdout.
func (t Target) Stdout() bool { return t.Path == "-" }

// Source reads a crawl's items from storage.
type Source struct {
	// Client of the storage service.
	Client storagev1.StorageServiceClient
	// CrawlID is the crawl's id.
	CrawlID string
	// Rule narrows to the items of one rule; empty for all.
	Rule string
	// Rejected reads those that did not fit their schema instead, with _reason.
	Rejected bool
}

// Each calls f for the items after a cursor, at most limit of them (0 for all),
// in the order of their commit, and returns the last cursor.
func (s Source) Each(ctx context.Context, after, limit uint64, f func(*storagev1.StoredItem) error) (uint64, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := s.Client.ListItems(ctx, &storagev1.ListItemsRequest{CrawlId: s.CrawlID, After: after, Limit: limit, Rule: s.Rule, Rejected: s.Rejected})
	if err != nil {
		return after, fmt.Errorf("read items: %w", err)
	}
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return after, nil
		}
		if err != nil {
			return after, fmt.Errorf("read items: %w", err)
		}
		for _, item := range resp.GetItems() {
			if err := f(item); err != nil {
				return after, err
			}
			after = item.GetCursor()
		}
	}
}

// Export writes all items of a crawl to the target and returns how many. A file
// is written beside its place and renamed when complete.
func Export(ctx context.Context, t Target, src Source, stdout io.Writer) (uint64, error) {
	if t.Stdout() {
		return write(ctx, t.Format, src, stdout)
	}
	var n uint64
	err := WriteFile(t.Path, func(w io.Writer) error {
		var err error
		n, err = write(ctx, t.Format, src, w)
		return err
	})
	return n, err
}

func write(ctx context.Context, f Format, src Source, w io.Writer) (uint64, error) {
	if f == CSV {
		return writeCSV(ctx, src, w)
	}
	lines := NewLines(w)
	if _, err := src.Each(ctx, 0, 0, lines.Write); err != nil {
		return lines.Count, err
	}
	return lines.Count, lines.Flush()
}
