package console

import (
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/internal/crawl"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// formats of an export, as the ends of file names.
func formats() []string {
	return []string{"jsonl", "jsonl.gz", "jsonl.zst", "csv", "csv.gz", "csv.zst", "parquet", "warc.gz"}
}

// export streams a crawl's items, or its archive, as one file. The name that is asked for
// ends with the format.
func (s *Server) export(w http.ResponseWriter, r *http.Request) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	_, format, _ := strings.Cut(r.PathValue("file"), ".")
	if !slices.Contains(formats(), format) {
		return crawl.Errorf(crawl.Invalid, "%q is no format: there are %s", cut(format, 20), strings.Join(formats(), ", "))
	}
	req := &storagev1.ExportRequest{CrawlId: c.GetId(), Format: format}
	if format != "warc.gz" {
		req.Rule = r.FormValue("rule")
	}
	stream, err := s.deps.Client.Storage.Export(r.Context(), req)
	if err != nil {
		return err
	}
	return s.download(w, fileName(nameOf(c))+"."+format, "application/octet-stream", true, client.Pieces(stream, (*storagev1.ExportResponse).GetData))
}

// body streams what was stored under a URL. It is a file for the disk and never a page:
// what a site wrote must not run as part of the console.
func (s *Server) body(w http.ResponseWriter, r *http.Request) error {
	c, err := s.find(r)
	if err != nil {
		return err
	}
	stream, err := s.deps.Client.Storage.GetBody(r.Context(), &storagev1.GetBodyRequest{
		Body: &storagev1.GetBodyRequest_Page{Page: &storagev1.GetPageRequest{CrawlId: c.GetId(), Url: r.FormValue("url")}},
	})
	if err != nil {
		return err
	}
	return s.download(w, "body.bin", "application/octet-stream", true, client.Pieces(stream, (*storagev1.GetBodyResponse).GetData))
}

// file streams a file that an item names. Pictures may be shown by the page that lists
// them; anything else is for the disk.
func (s *Server) file(w http.ResponseWriter, r *http.Request) error {
	digest, err := hex.DecodeString(r.PathValue("digest"))
	if err != nil || len(digest) != 32 {
		return crawl.Errorf(crawl.Invalid, "a file is named by its SHA-256 in hexadecimal")
	}
	c, err := s.find(r)
	if err != nil {
		return err
	}
	stream, err := s.deps.Client.Storage.GetMedia(r.Context(), &storagev1.GetMediaRequest{CrawlId: c.GetId(), File: &storagev1.GetMediaRequest_Sha256{Sha256: digest}})
	if err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	kind, shown := "application/octet-stream", picture(first.GetInfo().GetContentType())
	if shown {
		kind = first.GetInfo().GetContentType()
	}
	next := client.Pieces(stream, (*storagev1.GetMediaResponse).GetData)
	again := func() ([]byte, error) {
		if first != nil {
			data := first.GetData()
			first = nil
			return data, nil
		}
		return next()
	}
	return s.download(w, hex.EncodeToString(digest[:8]), kind, !shown, again)
}

// download writes a file. An error before its first byte is one of the page; after that
// the connection is broken off, so that nobody takes half a file for a whole one.
func (s *Server) download(w http.ResponseWriter, name, kind string, attach bool, next func() ([]byte, error)) error {
	data, err := next()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	if attach {
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	}
	for err == nil {
		deadline(w)
		if _, werr := w.Write(data); werr != nil {
			return nil // the browser is gone
		}
		select {
		case <-s.closing:
			err = crawl.Errorf(crawl.Unavailable, "the console stops")
		default:
			data, err = next()
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	s.log.Warn("download broke off", "file", name, "err", err)
	panic(http.ErrAbortHandler) // the only way to have net/http end a connection in the middle
}

// fileName leaves of a name what every system takes.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, cut(name, 64))
	return strings.Trim(name, "-")
}
