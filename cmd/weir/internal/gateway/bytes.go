package gateway

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// lines writes items, each batch at once. An error after the first line is a last line
// with a key error.
func (g *Gateway) lines(w http.ResponseWriter, next func() ([]*storagev1.StoredItem, error)) error {
	items, err := next()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w).Flush
	_ = flush() // a reader that waits for items sees that it is right
	enc := json.NewEncoder(w)
	for err == nil {
		for _, it := range items {
			if werr := enc.Encode(itemLine{Cursor: it.GetCursor(), URL: it.GetUrl(), Rule: it.GetRule(), Item: it.GetJson()}); werr != nil {
				return nil //nolint:nilerr // the reader is gone
			}
		}
		_ = flush()
		items, err = next()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	if text, merr := protojson.Marshal(statusOf(err).Proto()); merr == nil {
		_, _ = w.Write([]byte(`{"error":` + string(text) + "}\n"))
	}
	return nil
}

// export writes a whole file.
func (g *Gateway) export(w http.ResponseWriter, r *http.Request) error {
	after, err := number(r, "after")
	if err != nil {
		return err
	}
	id, err := g.id(outgoing(r), r.PathValue("crawl"))
	if err != nil {
		return err
	}
	stream, err := g.client.Storage.Export(outgoing(r), &storagev1.ExportRequest{CrawlId: id, Format: r.FormValue("format"), Rule: r.FormValue("rule"), After: after})
	if err != nil {
		return err
	}
	return g.send(w, client.Pieces(stream, (*storagev1.ExportResponse).GetData))
}

// body writes the body of a page.
func (g *Gateway) body(w http.ResponseWriter, r *http.Request) error {
	id, err := g.id(outgoing(r), r.PathValue("crawl"))
	if err != nil {
		return err
	}
	stream, err := g.client.Storage.GetBody(outgoing(r), &storagev1.GetBodyRequest{
		Body: &storagev1.GetBodyRequest_Page{Page: &storagev1.GetPageRequest{CrawlId: id, Url: r.FormValue("url")}},
	})
	if err != nil {
		return err
	}
	return g.send(w, client.Pieces(stream, (*storagev1.GetBodyResponse).GetData))
}

// file writes a file that an item names.
func (g *Gateway) file(w http.ResponseWriter, r *http.Request) error {
	id, err := g.id(outgoing(r), r.PathValue("crawl"))
	if err != nil {
		return err
	}
	req := &storagev1.GetMediaRequest{CrawlId: id}
	if digest := r.FormValue("sha256"); digest != "" {
		sum, err := hex.DecodeString(digest)
		if err != nil || len(sum) != 32 {
			return invalid("sha256: want 64 hexadecimal digits")
		}
		req.File = &storagev1.GetMediaRequest_Sha256{Sha256: sum}
	} else {
		req.File = &storagev1.GetMediaRequest_Url{Url: r.FormValue("url")}
	}
	stream, err := g.client.Storage.GetMedia(outgoing(r), req)
	if err != nil {
		return err
	}
	return g.send(w, client.Pieces(stream, (*storagev1.GetMediaResponse).GetData))
}

// send writes bytes that a site may have written: a browser that is led here must keep
// them, and not show them as a page of this origin. An error after the first byte breaks
// the connection off, so that nobody takes half a file for a whole one.
func (g *Gateway) send(w http.ResponseWriter, next func() ([]byte, error)) error {
	data, err := next()
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", "attachment")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	for err == nil {
		if _, werr := w.Write(data); werr != nil {
			return nil //nolint:nilerr // the reader is gone
		}
		data, err = next()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	g.log.Warn("download broke off", "err", err)
	panic(http.ErrAbortHandler) // the only way to have net/http end a connection in the middle
}
