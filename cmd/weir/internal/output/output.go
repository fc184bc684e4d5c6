// Package output writes items and archives where a user wants them: to files that appear
// complete or not at all, to objects of a store, or to stdout as they come.
package output

import (
	"context"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weircrawl/weir/internal/blob"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/export"
)

// Target is where items, or the archive, go.
type Target struct {
	// Path of the file, "-" for stdout, or the URL of an object: s3://bucket/items.csv.
	Path string
	// Kind of what is written.
	Kind export.Kind
}

// Targets are all places of one export; at most one is stdout.
type Targets []Target

// NewTargets checks -o, which may be given several times, and --format: an empty format
// follows from each path's extension, and is JSONL for stdout. The error says what
// would be right.
func NewTargets(paths []string, format string) (Targets, error) {
	if len(paths) == 0 && format != "" {
		return nil, crawl.Errorf(crawl.Invalid, "--format %s needs -o FILE, or -o - for stdout", format)
	}
	var ts Targets
	for _, p := range paths {
		t, err := newTarget(p, format)
		if err != nil {
			return nil, err
		}
		for _, other := range ts {
			if other.Path == t.Path {
				return nil, crawl.Errorf(crawl.Invalid, "-o %s is given twice", t.Path)
			}
		}
		ts = append(ts, t)
	}
	return ts, nil
}

func newTarget(p, format string) (Target, error) {
	if p == "-" && format == "" {
		format = string(export.JSONL)
	}
	k, err := export.KindOf(objectPath(p), format)
	if err != nil {
		return Target{}, err
	}
	t := Target{Path: p, Kind: k}
	if p == "-" || t.remote() {
		return t, nil
	}
	return t, writable(p)
}

// writable refuses a path that cannot be written before hours of crawling.
func writable(p string) error {
	dir := filepath.Dir(p)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return crawl.Errorf(crawl.Invalid, "cannot write %s: %s is not a directory; make it first", p, dir)
	}
	if info, err := os.Stat(p); err == nil && info.IsDir() {
		return crawl.Errorf(crawl.Invalid, "cannot write %s: it is a directory", p)
	}
	return nil
}

// Stdout reports whether items go to stdout.
func (ts Targets) Stdout() bool {
	for _, t := range ts {
		if t.Stdout() {
			return true
		}
	}
	return false
}

// Archive reports whether one of the targets is a WARC file.
func (ts Targets) Archive() bool {
	return slices.ContainsFunc(ts, func(t Target) bool { return t.Kind.Format == export.WARC })
}

// String lists the files, stdout left out.
func (ts Targets) String() string {
	var names []string
	for _, t := range ts {
		if !t.Stdout() {
			names = append(names, t.Path)
		}
	}
	return strings.Join(names, ", ")
}

// Stdout reports whether items go to stdout.
func (t Target) Stdout() bool { return t.Path == "-" }

func (t Target) remote() bool { return strings.Contains(t.Path, "://") }

// objectPath is a path without what a URL has behind it.
func objectPath(p string) string {
	if !strings.Contains(p, "://") {
		return p
	}
	p, _, _ = strings.Cut(p, "?")
	return p
}

// store opens the store that a target is in and returns its name there.
func (t Target) store(ctx context.Context) (blob.Store, string, error) {
	if !t.remote() {
		folder, err := filepath.Abs(filepath.Dir(t.Path))
		if err != nil {
			return nil, "", err
		}
		s, err := blob.Open(ctx, "file://"+filepath.ToSlash(folder))
		return s, filepath.Base(t.Path), err
	}
	u, err := url.Parse(t.Path)
	if err != nil || u.User != nil {
		_, err := blob.Open(ctx, t.Path) // knows how to complain without telling secrets
		return nil, "", err
	}
	name := path.Base(u.Path)
	if u.Path = path.Dir(u.Path); u.Path == "/" || u.Path == "." {
		u.Path = ""
	}
	s, err := blob.Open(ctx, u.String())
	return s, name, err
}

// Job is what is exported.
type Job struct {
	// Source has the items.
	Source export.Source
	// Key names them, as for export.File.
	Key string
	// Schema is what the spec says of their fields.
	Schema export.Schema
	// Archive is for targets that are WARC files.
	Archive Archive
	// Stdout takes what is written to the target "-".
	Stdout io.Writer
	// Progress is told what was written until now; nil for nobody.
	Progress func(export.Range)
}

// Export writes all items, or the archive, to a target. A file or an object appears when
// it is complete; an existing file is replaced, an existing object is not.
func (j Job) Export(ctx context.Context, t Target) (export.Range, error) {
	o := export.Options{Kind: t.Kind, Schema: j.Schema, Progress: j.Progress}
	switch {
	case t.Kind.Format == export.WARC:
		return j.archive(ctx, t)
	case t.Stdout():
		return export.Write(ctx, j.Stdout, j.Source, o)
	case !t.remote():
		return export.File(ctx, t.Path, j.Key, j.Source, o)
	}
	store, name, err := t.store(ctx)
	if err != nil {
		return export.Range{}, err
	}
	r, _, err := export.Put(ctx, store, name, j.Source, o)
	return r, t.taken(err)
}

// Feed makes the feed that writes many files in the place of one target, whose name
// they begin with.
func (j Job) Feed(ctx context.Context, t Target) (export.Feed, error) {
	if t.Stdout() {
		return export.Feed{}, crawl.Errorf(crawl.Invalid, "a feed of files needs -o with a file's name, which those of its files begin with")
	}
	store, name, err := t.store(ctx)
	if err != nil {
		return export.Feed{}, err
	}
	name, _, _ = strings.Cut(name, ".")
	return export.Feed{Store: store, Name: name, Key: j.Key, Options: export.Options{Kind: t.Kind, Schema: j.Schema, Progress: j.Progress}}, nil
}
