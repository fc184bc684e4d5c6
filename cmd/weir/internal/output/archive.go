package output

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/weircrawl/weir/internal/blob"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/export"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// Archive is that of a crawl, as a storage service has it.
type Archive struct {
	// Client of the service.
	Client storagev1.StorageServiceClient
	// CrawlID names the crawl.
	CrawlID string
	// Warn takes a line about what is not in the file although it should be; nil for
	// nobody.
	Warn func(string)
}

// copy writes the archive to w.
func (a Archive) copy(ctx context.Context, w io.Writer, progress func(export.Range)) (r export.Range, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := a.Client.Export(ctx, &storagev1.ExportRequest{CrawlId: a.CrawlID, Format: string(export.WARC)})
	if err != nil {
		return r, fmt.Errorf("read the archive: %w", err)
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return r, fmt.Errorf("read the archive: %w", err)
		}
		if data := m.GetData(); len(data) > 0 {
			if _, err := w.Write(data); err != nil {
				return r, fmt.Errorf("write the archive: %w", err)
			}
		}
		r.Bytes += uint64(len(m.GetData()))
		if progress != nil {
			progress(r)
		}
		for _, line := range m.GetWarnings() {
			if a.Warn != nil {
				a.Warn(line)
			}
		}
	}
}

// archive writes the archive to a target.
func (j Job) archive(ctx context.Context, t Target) (r export.Range, err error) {
	switch {
	case t.Stdout():
		return j.Archive.copy(ctx, j.Stdout, j.Progress)
	case !t.remote():
		err = WriteFile(t.Path, func(w io.Writer) error {
			r, err = j.Archive.copy(ctx, w, j.Progress)
			return err
		})
		return r, err
	}
	store, name, err := t.store(ctx)
	if err != nil {
		return r, err
	}
	err = blob.Stream(ctx, store, name, func(w io.Writer) (err error) {
		r, err = j.Archive.copy(ctx, w, j.Progress)
		return err
	})
	return r, t.taken(err)
}

// taken says what the error of writing an object means.
func (t Target) taken(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return crawl.Errorf(crawl.Invalid, "%s is there already: choose another name", t.Path)
	}
	return fmt.Errorf("write %s: %w", t.Path, err)
}
