package export

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/blob"
	"github.com/weircrawl/weir/internal/crawl"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// pollEvery is how often a feed looks for new items.
const pollEvery = time.Second

// Feed writes a crawl's items into many files of a store, each whole when it appears:
//
//	NAME-000001.jsonl.gz       items
//	NAME-000001.json           what is in it: a Part
//	NAME-manifest.json         once the crawl has ended: a Manifest
//
// A feed that is run again goes on after the last part that is there.
type Feed struct {
	// Store takes the files.
	Store blob.Store
	// Name that the files' names begin with; a path inside the store.
	Name string
	// Options of each file; After is where the first begins, End is not used.
	Options Options
	// Items is the most items of a file. 0: no bound.
	Items uint64
	// Every is how long items wait for others before they are written. 0: until there
	// are Items of them, or the crawl has ended.
	Every time.Duration
	// Key names what is exported, as in File: parts of something else are not gone on
	// with.
	Key string
}

// Part says what is in one file of a feed.
type Part struct {
	// File is its name in the store, SHA256 its digest in hexadecimal.
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
	// Key of the feed.
	Key string `json:"key"`
	Range
	// Written is when the file was complete.
	Written time.Time `json:"written"`
}

// Manifest says what a whole feed consists of.
type Manifest struct {
	Key   string `json:"key"`
	Items uint64 `json:"items"`
	Bytes uint64 `json:"bytes"`
	Last  uint64 `json:"last"`
	Parts []Part `json:"parts"`
}

// Run writes parts until ended is closed and everything is written, and returns the
// manifest. When ctx ends it returns at once; what waited to be written is written by
// the next run.
func (f Feed) Run(ctx context.Context, src Source, ended <-chan struct{}) (Manifest, error) {
	m, err := f.resume(ctx)
	if err != nil {
		return m, err
	}
	w := waiting{feed: f, src: src, last: m.Last, scanned: m.Last, since: time.Now()}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for over := false; ; {
		select {
		case <-ended:
			over = true // what is found from here on was committed before
		default:
		}
		if err := w.count(ctx); err != nil {
			return m, err
		}
		if w.due(over) {
			p, err := f.cut(ctx, src, len(m.Parts)+1, w.last, w.scanned)
			if err != nil {
				return m, err
			}
			m.add(p)
			w.taken()
			continue
		}
		if over {
			return m, f.put(ctx, f.Name+"-manifest.json", m)
		}
		select {
		case <-ctx.Done():
			return m, context.Cause(ctx)
		case <-ended:
		case <-tick.C:
		}
	}
}

func (m *Manifest) add(p Part) {
	m.Parts = append(m.Parts, p)
	m.Items, m.Bytes, m.Last = m.Items+p.Items, m.Bytes+p.Bytes, p.Last
}

// waiting counts the items that no part has yet.
type waiting struct {
	feed          Feed
	src           Source
	last, scanned uint64 // cursors: of the last part, of the last item counted
	n             uint64
	since         time.Time // the last cut
}

// count looks for further items, no more than a part takes.
func (w *waiting) count(ctx context.Context) error {
	limit := uint64(0)
	if w.feed.Items > 0 {
		if limit = w.feed.Items - w.n; limit == 0 {
			return nil
		}
	}
	end, err := w.src.Each(ctx, w.scanned, limit, func(*storagev1.StoredItem) error {
		w.n++
		return nil
	})
	w.scanned = max(end, w.scanned)
	return err
}

// due reports whether what waits is to be written now.
func (w *waiting) due(over bool) bool {
	switch {
	case w.n == 0:
		return false
	case over, w.feed.Items > 0 && w.n >= w.feed.Items:
		return true
	}
	return w.feed.Every > 0 && time.Since(w.since) >= w.feed.Every
}

func (w *waiting) taken() {
	w.last, w.n, w.since = w.scanned, 0, time.Now()
}

// cut writes one part and then what is in it.
func (f Feed) cut(ctx context.Context, src Source, number int, after, end uint64) (Part, error) {
	name := fmt.Sprintf("%s-%06d", f.Name, number)
	p := Part{File: name + f.Options.Kind.Extension(), Key: f.Key}
	o := f.Options
	o.After, o.End = after, end
	err := f.write(ctx, &p, src, o)
	if errors.Is(err, fs.ErrExist) {
		// A run that ended before it could say what is in it.
		if err := f.Store.Delete(ctx, p.File); err != nil {
			return p, fmt.Errorf("replace %s: %w", p.File, err)
		}
		err = f.write(ctx, &p, src, o)
	}
	if err != nil {
		return p, fmt.Errorf("write %s to %s: %w", p.File, f.Store, err)
	}
	p.Written = time.Now().UTC()
	return p, f.put(ctx, name+".json", p)
}

func (f Feed) write(ctx context.Context, p *Part, src Source, o Options) error {
	r, sum, err := Put(ctx, f.Store, p.File, src, o)
	p.Range, p.SHA256 = r, hex.EncodeToString(sum)
	return err
}

// Put writes the items of a range into one object, which appears when it is complete;
// fs.ErrExist where the key is taken. It returns the object's SHA-256 too.
func Put(ctx context.Context, store blob.Store, key string, src Source, o Options) (Range, []byte, error) {
	sum := sha256.New()
	var r Range
	err := blob.Stream(ctx, store, key, func(w io.Writer) (err error) {
		r, err = Write(ctx, &tee{w, sum}, src, o)
		return err
	})
	if err != nil {
		return Range{}, nil, err
	}
	return r, sum.Sum(nil), nil
}

// tee writes to a hash what it writes.
type tee struct {
	w io.Writer
	h hash.Hash
}

func (t *tee) Write(p []byte) (int, error) {
	_, _ = t.h.Write(p) // a hash takes everything
	return t.w.Write(p)
}

// resume reads what earlier runs wrote.
func (f Feed) resume(ctx context.Context) (Manifest, error) {
	m := Manifest{Key: f.Key, Last: f.Options.After}
	for info, err := range f.Store.List(ctx, f.Name+"-", "") {
		if err != nil {
			return m, fmt.Errorf("list %s: %w", f.Store, err)
		}
		number := strings.TrimSuffix(strings.TrimPrefix(info.Key, f.Name+"-"), ".json")
		if len(number) != 6 || strings.Trim(number, "0123456789") != "" {
			continue
		}
		p, err := f.part(ctx, info.Key)
		if err != nil {
			return m, err
		}
		if p.Key != f.Key {
			return m, crawl.Errorf(crawl.Invalid, "%s in %s has parts of something else (%s): choose another name", f.Name, f.Store, p.Key)
		}
		if number != fmt.Sprintf("%06d", len(m.Parts)+1) {
			return m, crawl.Errorf(crawl.Invalid, "%s-%06d.json is missing in %s, but a later part is there: choose another name", f.Name, len(m.Parts)+1, f.Store)
		}
		m.add(p)
	}
	return m, nil
}

// maxPart bounds the description of a part that is read back.
const maxPart = 64 << 10

func (f Feed) part(ctx context.Context, key string) (p Part, err error) {
	r, err := f.Store.Get(ctx, key, 0, maxPart)
	if err != nil {
		return p, fmt.Errorf("read %s in %s: %w", key, f.Store, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := json.NewDecoder(r).Decode(&p); err != nil {
		return p, crawl.Errorf(crawl.Invalid, "read %s in %s: %w", key, f.Store, err)
	}
	return p, nil
}

// put writes a small JSON object in the place of one that may be there.
func (f Feed) put(ctx context.Context, key string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	data = append(data, '\n')
	err = f.Store.Put(ctx, key, bytes.NewReader(data), int64(len(data)))
	if errors.Is(err, fs.ErrExist) {
		if err = f.Store.Delete(ctx, key); err == nil {
			err = f.Store.Put(ctx, key, bytes.NewReader(data), int64(len(data)))
		}
	}
	if err != nil {
		return fmt.Errorf("write %s to %s: %w", key, f.Store, err)
	}
	return nil
}
