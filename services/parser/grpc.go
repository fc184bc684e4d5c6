package parser

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/rpc"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
	"github.com/weircrawl/weir/services/parser/internal/link"
	"github.com/weircrawl/weir/services/parser/internal/page"
)

// maxRequestBody is the longest body that Parse takes.
const maxRequestBody = 10 << 20

// Parse reads one page under a spec and explains its links. It publishes and keeps nothing.
func (s *Service) Parse(ctx context.Context, req *parserv1.ParseRequest) (*parserv1.ParseResponse, error) {
	j, err := s.jobOf(req)
	if err != nil {
		return nil, rpc.Status(err)
	}
	j.found = make(chan []link.Found, 1)
	start := s.deps.Now()
	o, err := s.read(ctx, j)
	if err == nil && o.given {
		err = s.extract(ctx, j, &o)
	}
	if errors.Is(err, errAside) {
		err = crawl.Errorf(crawl.Unavailable, "extractor %s: %w", j.crawl.extractor.address, err)
	}
	if err != nil {
		return nil, rpc.Status(err)
	}
	resp := &parserv1.ParseResponse{Result: o.result, Duration: durationpb.New(s.deps.Now().Sub(start))}
	select {
	case found := <-j.found:
		resp.Links = linksOf(found)
	default: // the page was given up
	}
	resp.Links = append(resp.Links, linksOf(o.found)...)
	return resp, nil
}

// ListFields tells how the fields of a crawl do.
func (s *Service) ListFields(_ context.Context, req *parserv1.ListFieldsRequest) (*parserv1.ListFieldsResponse, error) {
	resp := &parserv1.ListFieldsResponse{}
	fields, states := s.drift.List(req.GetCrawlId())
	for i, f := range fields {
		st := states[i]
		resp.Fields = append(resp.Fields, &parserv1.FieldState{
			Rule: f.Rule, Field: f.Name, Filled: st.Filled, Empty: st.Empty, Invalid: st.Invalid, Past: st.Past, Present: st.Present, Fallen: st.Fallen,
		})
	}
	return resp, nil
}

// jobOf checks a request.
func (s *Service) jobOf(req *parserv1.ParseRequest) (*job, error) {
	if len(req.GetBody()) > maxRequestBody {
		return nil, crawl.Errorf(crawl.Invalid, "body: %d bytes, at most %d are taken", len(req.GetBody()), maxRequestBody)
	}
	u, err := weburl.New(weburl.Options{}).Parse(req.GetUrl())
	if err != nil {
		return nil, crawl.Errorf(crawl.Invalid, "url: %w", err)
	}
	given := req.GetSpec()
	if given == nil {
		given = &crawlv1.CrawlSpec{}
	}
	c, err := spec.Compile(&crawlv1.Crawl{Spec: given, SeedHosts: []string{u.HostPort()}})
	if err != nil {
		return nil, fmt.Errorf("spec: %w", err)
	}
	if err := CheckSpec(given); err != nil {
		return nil, fmt.Errorf("spec: %w", err)
	}
	if u, err = c.Canon.Parse(req.GetUrl()); err != nil {
		return nil, crawl.Errorf(crawl.Invalid, "url: %w", err)
	}
	r := ready(c, s.cfg.MaxOutlinks)
	r.crawl.Links.Explain = true
	in := page.Input{
		URL: u, Depth: req.GetDepth(), FetchedAt: s.deps.Now(), Status: 200,
		Body: req.GetBody(), Size: uint64(len(req.GetBody())),
	}
	headers := req.GetHeaders()
	if t := req.GetContentType(); t != "" {
		headers = append(slices.Clone(headers), &crawlv1.Header{Name: "Content-Type", Value: []byte(t)})
	}
	readHeaders(&in, headers)
	return &job{trial: true, crawl: r, in: in, headers: headers}, nil
}
