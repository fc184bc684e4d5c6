package gateway

import (
	"context"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/internal/spec"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// Route is a path that is served by hand.
type Route struct {
	// Method and Path, as of http.ServeMux.
	Method, Path string
	// RPC is the full name of what it calls.
	RPC string
	// Summary, Query (by name) and Body say what it takes, Answer what comes back, each
	// with a media type in front where it is not JSON.
	Summary string
	Query   map[string]string
	Body    string
	Answer  string

	serve func(http.ResponseWriter, *http.Request) error
}

// byHand are the paths of bytes and lines.
func (g *Gateway) byHand() []Route {
	const (
		scheduler = "weir.scheduler.v1.CrawlService."
		storage   = "weir.storage.v1.StorageService."
	)
	filter := map[string]string{"after": "start after the item with this cursor", "rule": "only items of this rule"}
	with := func(m map[string]string, more ...string) map[string]string {
		out := map[string]string{}
		for k, v := range m {
			out[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			out[more[i]] = more[i+1]
		}
		return out
	}
	return []Route{
		{"POST", "/api/v1/crawls/yaml", scheduler + "CreateCrawl", "Create a crawl of a spec as it is written, in YAML.",
			map[string]string{"close": "true: take no seeds after those of the spec"}, "application/yaml: the spec", "the crawl", g.createYAML},
		{"POST", "/api/v1/crawls/{crawl}/urls", scheduler + "AddURLs", "Add URLs to a crawl; the answer comes when all are durable. Of lines there may be any number.",
			nil, "text/plain: one URL a line; or application/json: an AddURLsRequest", "how many were added, known and refused", g.addURLs},
		{"GET", "/api/v1/crawls/{crawl}/items", storage + "ListItems", "The items of a crawl so far, one JSON object a line.",
			with(filter, "limit", "at most this many", "rejected", "true: those that did not fit their schema"), "", "application/x-ndjson: cursor, url, rule and item", g.items},
		{"GET", "/api/v1/crawls/{crawl}/items/tail", storage + "Tail", "The items of a crawl as they come, until it has ended; go on with the last cursor after an interruption.",
			filter, "", "application/x-ndjson: cursor, url, rule and item", g.tail},
		{"GET", "/api/v1/crawls/{crawl}/export", storage + "Export", "One whole file of a crawl's items, or its archive.",
			with(filter, "format", "jsonl, csv or parquet, the first two also with .gz or .zst; or warc.gz"), "", "application/octet-stream: the file", g.export},
		{"GET", "/api/v1/crawls/{crawl}/body", storage + "GetBody", "What was stored under a URL, as the site sent it.",
			map[string]string{"url": "canonical URL of the page"}, "", "application/octet-stream: the body", g.body},
		{"GET", "/api/v1/crawls/{crawl}/file", storage + "GetMedia", "A file that an item names.",
			map[string]string{"url": "canonical URL of the file", "sha256": "or its SHA-256 in hexadecimal"}, "", "application/octet-stream: the file", g.file},
	}
}

// handle makes a handler of a route.
func (g *Gateway) handle(serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := serve(w, r); err != nil {
			g.fail(w, r, err)
		}
	})
}

// id returns the id of the crawl that a path names, by id or name.
func (g *Gateway) id(ctx context.Context, name string) (string, error) {
	if isID(name) { // also of one that the scheduler has forgotten
		return name, nil
	}
	return g.client.ID(ctx, name)
}

// isID tells an id from a name.
func isID(s string) bool {
	return len(s) == 26 && !strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'v') })
}

// createYAML creates a crawl of a spec in YAML.
func (g *Gateway) createYAML(w http.ResponseWriter, r *http.Request) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return err
	}
	s, err := spec.Decode("spec", data, nil)
	if err != nil {
		return err
	}
	if files := s.GetSeeds().GetFiles(); len(files) > 0 {
		return invalid("seeds.files: %s is on your machine: send its URLs to /api/v1/crawls/{crawl}/urls", files[0])
	}
	ctx, cancel := context.WithTimeout(outgoing(r), callTime)
	defer cancel()
	resp, err := g.client.Crawls.CreateCrawl(ctx, &schedulerv1.CreateCrawlRequest{Spec: s, Close: r.FormValue("close") == "true"})
	if err != nil {
		return err
	}
	return answer(w, resp.GetCrawl())
}

// answer writes a message.
func answer(w http.ResponseWriter, c *crawlv1.Crawl) error {
	data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(&schedulerv1.CreateCrawlResponse{Crawl: c})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(data, '\n')) // a reader that has gone away
	return nil
}

// added is the answer of addURLs.
type added struct {
	Added   uint64 `json:"added"`
	Known   uint64 `json:"known"`
	Refused uint64 `json:"refused"`
	// Examples of refused URLs.
	Examples []refused `json:"examples,omitempty"`
}

type refused struct {
	URL    string `json:"url"`
	Reason string `json:"reason"`
}

// addURLs streams URLs to a crawl. Memory does not depend on their number.
func (g *Gateway) addURLs(w http.ResponseWriter, r *http.Request) error {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	var total client.Added
	var err error
	switch kind {
	case "text/plain":
		total, err = g.client.AddFrom(outgoing(r), r.PathValue("crawl"), r.Body, client.Terms{})
	case "application/json":
		total, err = g.addMessage(w, r)
	default:
		return invalid("Content-Type: want text/plain with one URL a line, or application/json")
	}
	if err != nil {
		return err
	}
	out := added{Added: total.Added, Known: total.Known, Refused: total.RefusedCount}
	for _, u := range total.Refused {
		out.Examples = append(out.Examples, refused{u.GetUrl(), u.GetReason()})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // a reader that has gone away
	return nil
}

// addMessage adds the URLs of one message.
func (g *Gateway) addMessage(w http.ResponseWriter, r *http.Request) (client.Added, error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return client.Added{}, err
	}
	var req schedulerv1.AddURLsRequest
	if err := protojson.Unmarshal(data, &req); err != nil {
		return client.Added{}, invalid("the body is no AddURLsRequest: %w", err)
	}
	req.Crawl = r.PathValue("crawl")
	ctx, cancel := context.WithTimeout(outgoing(r), callTime)
	defer cancel()
	stream, err := g.client.Crawls.AddURLs(ctx)
	if err != nil {
		return client.Added{}, err
	}
	_ = stream.Send(&req) // Recv has the reason
	_ = stream.CloseSend()
	var total client.Added
	return total, total.Receive(stream)
}

// itemLine is an item as a line.
type itemLine struct {
	Cursor uint64          `json:"cursor"`
	URL    string          `json:"url"`
	Rule   string          `json:"rule,omitempty"`
	Item   json.RawMessage `json:"item"`
}

// number reads a number of the query; 0 where it is absent.
func number(r *http.Request, name string) (uint64, error) {
	text := r.FormValue(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, invalid("%s: %.20q is no number", name, text)
	}
	return n, nil
}

// items writes the items so far.
func (g *Gateway) items(w http.ResponseWriter, r *http.Request) error {
	after, err := number(r, "after")
	if err != nil {
		return err
	}
	limit, err := number(r, "limit")
	if err != nil {
		return err
	}
	id, err := g.id(outgoing(r), r.PathValue("crawl"))
	if err != nil {
		return err
	}
	stream, err := g.client.Storage.ListItems(outgoing(r), &storagev1.ListItemsRequest{
		CrawlId: id, After: after, Limit: limit, Rule: r.FormValue("rule"), Rejected: r.FormValue("rejected") == "true",
	})
	if err != nil {
		return err
	}
	return g.lines(w, func() ([]*storagev1.StoredItem, error) {
		m, err := stream.Recv()
		return m.GetItems(), err
	})
}

// tail writes the items as they come.
func (g *Gateway) tail(w http.ResponseWriter, r *http.Request) error {
	after, err := number(r, "after")
	if err != nil {
		return err
	}
	id, err := g.id(outgoing(r), r.PathValue("crawl"))
	if err != nil {
		return err
	}
	stream, err := g.client.Storage.Tail(outgoing(r), &storagev1.TailRequest{CrawlId: id, After: after, Rule: r.FormValue("rule")})
	if err != nil {
		return err
	}
	return g.lines(w, func() ([]*storagev1.StoredItem, error) {
		m, err := stream.Recv()
		return m.GetItems(), err
	})
}
