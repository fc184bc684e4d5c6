package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

func (a *app) mediaCmd() *cobra.Command {
	var (
		dir          string
		after, limit uint64
	)
	cmd := a.clientCmd("media CRAWL", "List the files that a crawl's items refer to, or write them to a folder", exact("a CRAWL (id or name)"), func(ctx context.Context, c *client.Client, args []string) error {
		id, err := c.ID(ctx, args[0])
		if err != nil {
			return err
		}
		req := &storagev1.ListMediaRequest{CrawlId: id, After: after, Limit: limit}
		if dir == "" {
			return eachMedia(ctx, c, req, func(m *storagev1.MediaInfo) error { return writeMediaLine(a.Stdout, m, "") })
		}
		n, err := saveMedia(ctx, c, req, dir)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(a.Stdout, "the files of %d URLs are in %s; %s names the file of each\n", n, dir, filepath.Join(dir, mediaIndex))
		return err
	})
	cmd.Long = `List the files that a crawl's items refer to (media fields), as JSON lines. With -o
they are written to a folder: each under the SHA-256 of what it holds, once however
many URLs it has, and index.jsonl, which names the file of every URL. Files that are there
already are not fetched again.`
	cmd.Flags().StringVarP(&dir, "output", "o", "", "folder to write the files to; made when missing")
	cmd.Flags().Uint64Var(&limit, "limit", 0, "at most this many (0: all)")
	cmd.Flags().Uint64Var(&after, "after", 0, "start after this position")
	return cmd
}

// mediaIndex is the file that says which file has what.
const mediaIndex = "index.jsonl"

// mediaLine is a line about a file. The digest is in the form of file names and tools.
type mediaLine struct {
	Cursor      uint64    `json:"cursor"`
	URL         string    `json:"url"`
	File        string    `json:"file,omitempty"` // inside the folder
	SHA256      string    `json:"sha256"`
	Size        uint64    `json:"size"`
	ContentType string    `json:"content_type"`
	FetchedAt   time.Time `json:"fetched_at"`
	Truncated   bool      `json:"truncated,omitempty"`
}

func writeMediaLine(w io.Writer, m *storagev1.MediaInfo, file string) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(mediaLine{
		m.GetCursor(), m.GetUrl(), file, hex.EncodeToString(m.GetSha256()), m.GetSize(), m.GetContentType(), m.GetFetchedAt().AsTime(), m.GetTruncated(),
	})
}

// eachMedia calls f for the files of a crawl.
func eachMedia(ctx context.Context, c *client.Client, req *storagev1.ListMediaRequest, f func(*storagev1.MediaInfo) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.Storage.ListMedia(ctx, req)
	if err != nil {
		return err
	}
	return client.Each(stream, func(resp *storagev1.ListMediaResponse) error {
		for _, m := range resp.GetMedia() {
			if err := f(m); err != nil {
				return err
			}
		}
		return nil
	})
}

// saveMedia writes files to a folder and returns how many lines the index has.
func saveMedia(ctx context.Context, c *client.Client, req *storagev1.ListMediaRequest, dir string) (n int, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, err
	}
	index, err := os.CreateTemp(dir, "."+mediaIndex+".*")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.Remove(index.Name()) }() // renamed when all went well
	err = eachMedia(ctx, c, req, func(m *storagev1.MediaInfo) error {
		n++
		name := hex.EncodeToString(m.GetSha256()) + extensionOf(m.GetUrl())
		if err := saveFile(ctx, c, req.GetCrawlId(), m, filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("%s: %w", m.GetUrl(), err)
		}
		return writeMediaLine(index, m, name)
	})
	if err := errors.Join(err, index.Chmod(0o644), index.Close()); err != nil {
		return n, err
	}
	return n, os.Rename(index.Name(), filepath.Join(dir, mediaIndex))
}

// saveFile writes a file to path, unless it is there.
func saveFile(ctx context.Context, c *client.Client, crawlID string, m *storagev1.MediaInfo, path string) error {
	if info, err := os.Stat(path); err == nil && info.Size() == int64(m.GetSize()) {
		return nil
	}
	stream, err := c.Storage.GetMedia(ctx, &storagev1.GetMediaRequest{CrawlId: crawlID, File: &storagev1.GetMediaRequest_Sha256{Sha256: m.GetSha256()}})
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".media.*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // renamed when all went well
	for err == nil {
		var resp *storagev1.GetMediaResponse
		if resp, err = stream.Recv(); err == nil {
			_, err = tmp.Write(resp.GetData())
		}
	}
	if !errors.Is(err, io.EOF) {
		return errors.Join(err, tmp.Close())
	}
	if err := errors.Join(tmp.Chmod(0o644), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// extensionOf is the extension of a URL's path, for programs that want one.
func extensionOf(url string) string {
	url, _, _ = strings.Cut(url, "?")
	url, _, _ = strings.Cut(url, "#")
	ext := strings.ToLower(filepath.Ext(url[strings.LastIndexByte(url, '/')+1:]))
	if len(ext) < 2 || len(ext) > 6 {
		return ""
	}
	for _, c := range ext[1:] {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return ""
		}
	}
	return ext
}
