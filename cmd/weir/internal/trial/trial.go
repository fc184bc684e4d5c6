// Package trial reads one page under a spec in this process, as weir parse, weir
// spec test and weir shell do: a page of the web or a file, parsed by the same code
// that a crawl uses. Nothing is kept.
package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	fetcherv1 "github.com/weircrawl/weir/proto/weir/fetcher/v1"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
	"github.com/weircrawl/weir/services/fetcher"
	"github.com/weircrawl/weir/services/parser"
)

// DefaultURL is that of a file when nothing says where it is from.
const DefaultURL = "https://page.example/"

// maxFollow is the most redirects that a fetcher follows in one call.
const maxFollow = 20

// maxFile bounds a file: what ParserService takes.
const maxFile = 10 << 20

// Page is a page to read.
type Page struct {
	// URL that it is from, after redirects.
	URL string
	// Status of HTTP; 0 for a file.
	Status uint32
	// ContentType of a file, where its name tells; of a fetched page it is among
	// the headers.
	ContentType string
	// Headers of the response.
	Headers []*crawlv1.Header
	// Body after decompression.
	Body []byte
}

// File reads a page from a file, or from stdin for "-". An empty url means
// DefaultURL.
func File(name, url string, stdin io.Reader) (Page, error) {
	var body []byte
	var err error
	if name == "-" {
		body, err = io.ReadAll(io.LimitReader(stdin, maxFile+1))
	} else {
		body, err = os.ReadFile(name)
	}
	switch pe, ok := errors.AsType[*os.PathError](err); {
	case ok:
		return Page{}, crawl.Errorf(crawl.Invalid, "cannot read the page %s: %w", name, pe.Err)
	case err != nil:
		return Page{}, fmt.Errorf("read %s: %w", name, err)
	case len(body) > maxFile:
		return Page{}, crawl.Errorf(crawl.Invalid, "%s has %d bytes, at most %d are taken", name, len(body), maxFile)
	}
	if url == "" {
		url = DefaultURL
	}
	return Page{URL: url, ContentType: typeOf(name), Body: body}, nil
}

// typeOf tells the media type of a file by its name; empty leaves it to the parser
// to look.
func typeOf(name string) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".html", ".htm":
		return "text/html"
	case ".xhtml":
		return "application/xhtml+xml"
	case ".json":
		return "application/json"
	case ".xml", ".rss", ".atom":
		return "application/xml"
	case ".txt":
		return "text/plain"
	case ".gz":
		return "application/gzip"
	}
	return ""
}

// Fetch gets a page as the spec says, and follows as many redirects as it allows.
// It reads no robots.txt.
func Fetch(ctx context.Context, url string, s *crawlv1.Fetch, nets []netip.Prefix, version string) (Page, error) {
	cfg := fetcher.DefaultConfig()
	cfg.AllowNets = nets
	svc, err := fetcher.New(cfg, fetcher.Deps{Log: slog.New(slog.DiscardHandler), Version: version})
	if err != nil {
		return Page{}, err
	}
	defer svc.Close()
	resp, err := svc.Fetch(ctx, &fetcherv1.FetchRequest{Url: url, Options: s, Follow: min(s.GetMaxRedirects(), maxFollow)})
	if err != nil {
		return Page{}, err
	}
	f := resp.GetFetch()
	if f.GetStatus() == 0 {
		return Page{}, fmt.Errorf("%s: %s", resp.GetUrl(), f.GetErrorDetail())
	}
	return Page{URL: resp.GetUrl(), Status: f.GetStatus(), Headers: f.GetResponseHeaders(), Body: resp.GetBody()}, nil
}

// Parser reads pages. Make it with NewParser, and close it.
type Parser struct{ svc *parser.Service }

// NewParser returns a parser with the limits that a crawl has by default.
func NewParser() (*Parser, error) {
	svc, err := parser.New(parser.DefaultConfig(), parser.Deps{})
	if err != nil {
		return nil, err
	}
	return &Parser{svc: svc}, nil
}

// Close lets go what the parser keeps between pages. Call it when no call is under way.
func (p *Parser) Close() { p.svc.Close() }

// Parse reads a page that is depth links from a seed. The error is of kind
// crawl.Invalid when the spec or the URL is at fault.
func (p *Parser) Parse(ctx context.Context, page Page, s *crawlv1.CrawlSpec, depth uint32) (*parserv1.ParseResponse, error) {
	return p.svc.Parse(ctx, &parserv1.ParseRequest{
		Url: page.URL, ContentType: page.ContentType, Headers: page.Headers, Body: page.Body, Spec: s, Depth: depth,
	})
}
