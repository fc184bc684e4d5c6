package bus

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// maxUnpacked bounds what packed outlinks may take when they are unpacked: 100,000
// URLs of usual length.
const maxUnpacked = 32 << 20

// PackOutlinks compresses outlinks. URLs of one site shrink to a tenth.
func PackOutlinks(links []*crawlv1.Outlink) (*crawlv1.PackedOutlinks, error) {
	data, err := proto.Marshal(&crawlv1.Result{Outlinks: links})
	if err != nil {
		return nil, fmt.Errorf("pack outlinks: %w", err)
	}
	var buf bytes.Buffer
	w, err := flate.NewWriter(&buf, flate.DefaultCompression)
	if err != nil {
		return nil, fmt.Errorf("pack outlinks: %w", err)
	}
	if _, err := w.Write(data); err != nil {
		return nil, fmt.Errorf("pack outlinks: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack outlinks: %w", err)
	}
	return &crawlv1.PackedOutlinks{Count: uint32(len(links)), Deflate: buf.Bytes()}, nil
}

// UnpackOutlinks returns what PackOutlinks packed; none for nil. Its error is of
// kind crawl.Invalid.
func UnpackOutlinks(p *crawlv1.PackedOutlinks) ([]*crawlv1.Outlink, error) {
	if p == nil {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(p.GetDeflate())), maxUnpacked+1))
	if err != nil {
		return nil, crawl.Errorf(crawl.Invalid, "unpack outlinks: %w", err)
	}
	if len(data) > maxUnpacked {
		return nil, crawl.Errorf(crawl.Invalid, "unpack outlinks: more than %d bytes", maxUnpacked)
	}
	var r crawlv1.Result
	if err := proto.Unmarshal(data, &r); err != nil {
		return nil, crawl.Errorf(crawl.Invalid, "unpack outlinks: %w", err)
	}
	return r.GetOutlinks(), nil
}
