package export

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// checkpointEvery is how often an export that can go on notes how far it is. Each time
// costs an fsync, and ends a member of what is compressed.
const checkpointEvery = 5 * time.Second

// clockEvery is how many items pass between two looks at the clock.
const clockEvery = 256

// File writes the items of a range into a local file that appears under path when it
// is complete and on the disk; an existing file is replaced. What is there until then is
// beside it, as .NAME.part.
//
// An export that is interrupted leaves its part: the next call with the same key goes
// on there, if the format allows it (Parquet does not: its table of contents comes last)
// and the part is as it was. key names what is exported: crawl, rule, filter. The range
// that is returned is that of the whole file. One export at a time may write to a path.
func File(ctx context.Context, path, key string, src Source, o Options) (Range, error) {
	p := newPart(path, key, o)
	r, err := p.run(ctx, src)
	if err != nil {
		return r, fmt.Errorf("write %s: %w", path, err)
	}
	return r, nil
}

func newPart(path, key string, o Options) *part {
	return &part{path: path, data: beside(path, ".part"), state: beside(path, ".part.json"), key: key, o: o, every: checkpointEvery}
}

func beside(path, suffix string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+suffix)
}

// part is a file on its way.
type part struct {
	path, data, state string
	key               string
	o                 Options
	every             time.Duration // between two checkpoints
	saved             bool          // there is one
	f                 *os.File
	buf               *bufio.Writer
}

// checkpoint is what a part that can go on leaves beside it.
type checkpoint struct {
	Key     string   `json:"key"`
	Kind    Kind     `json:"kind"`
	Written Range    `json:"written"`
	Columns []string `json:"columns,omitempty"`
	End     uint64   `json:"end"`
}

func (p *part) run(ctx context.Context, src Source) (_ Range, err error) {
	was := p.load()
	p.saved = was.Written.Items > 0
	if p.f, err = os.OpenFile(p.data, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return Range{}, err
	}
	done := false
	defer func() {
		if !done {
			err = errors.Join(err, p.f.Close())
			if !p.saved {
				_ = os.Remove(p.data) // nobody could go on with it
			}
		}
	}()
	if err := p.f.Truncate(int64(was.Written.Bytes)); err != nil {
		return Range{}, err
	}
	if _, err := p.f.Seek(0, io.SeekEnd); err != nil {
		return Range{}, err
	}
	p.buf = bufio.NewWriterSize(p.f, 256<<10)
	r, err := p.write(ctx, src, was)
	if err != nil {
		return r, err
	}
	done = true
	return r, p.finish()
}

// load finds where an earlier export was interrupted; a checkpoint of nothing when there
// is nothing to go on with.
func (p *part) load() checkpoint {
	fresh := checkpoint{Written: Range{After: p.o.After, Last: p.o.After}}
	if !p.o.Kind.resumable() {
		return fresh
	}
	data, err := os.ReadFile(p.state)
	if err != nil {
		return fresh
	}
	var c checkpoint
	st, err := os.Stat(p.data)
	if err != nil || json.Unmarshal(data, &c) != nil || st.Size() < int64(c.Written.Bytes) ||
		c.Key != p.key || c.Kind != p.o.Kind || c.Written.After != p.o.After || p.o.End > 0 && c.End != p.o.End {
		return fresh
	}
	return c
}

func (p *part) write(ctx context.Context, src Source, was checkpoint) (Range, error) {
	o := p.o
	cols := &table{columns: was.Columns, schema: o.Schema}
	if was.Written.Items == 0 {
		var err error
		if cols, o.End, err = look(ctx, src, o); err != nil {
			return Range{}, err
		}
		if cols.empty {
			src = nothing{}
		}
	} else {
		o.After, o.End = was.Written.Last, was.End
	}
	total := func(r Range) Range {
		r.After = was.Written.After
		r.Items += was.Written.Items
		r.Bytes += was.Written.Bytes
		return r
	}
	if progress := o.Progress; progress != nil {
		o.Progress = func(r Range) { progress(total(r)) }
	}
	next := time.Now().Add(p.every)
	r, err := write(ctx, p.buf, src, o, cols, func(enc encoder, r Range) error {
		if !o.Kind.resumable() || r.Items%clockEvery != 0 || time.Now().Before(next) {
			return nil
		}
		next = time.Now().Add(p.every)
		return p.save(enc, checkpoint{Key: p.key, Kind: o.Kind, Written: total(r), Columns: cols.columns, End: o.End})
	})
	return total(r), err
}

// save makes durable what was written until now, and then the note of it.
func (p *part) save(enc encoder, c checkpoint) error {
	if err := enc.flush(); err != nil {
		return err
	}
	if err := p.sync(); err != nil {
		return err
	}
	at, err := p.f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	c.Written.Bytes = uint64(at)
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	tmp := p.state + ".tmp"
	if err := os.WriteFile(tmp, data, 0o644); err != nil {
		return err
	}
	if err := os.Rename(tmp, p.state); err != nil {
		return err
	}
	p.saved = true
	return nil
}

func (p *part) sync() error {
	if err := p.buf.Flush(); err != nil {
		return err
	}
	return p.f.Sync()
}

// finish puts the whole file into its place.
func (p *part) finish() error {
	if err := errors.Join(p.sync(), p.f.Close()); err != nil {
		return err
	}
	if err := os.Rename(p.data, p.path); err != nil {
		return err
	}
	if err := os.Remove(p.state); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
