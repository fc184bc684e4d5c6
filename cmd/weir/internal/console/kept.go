package console

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

const (
	// itemsShown and pagesShown are how many of the newest a page shows.
	itemsShown = 20
	pagesShown = 50
	// maxFields bounds the fields of an item that are shown.
	maxFields = 12
)

// itemRow is an item in a list.
type itemRow struct {
	Cursor    uint64
	URL, Rule string
	Fields    []itemField
	More      int // fields that are not shown
}

// itemField is a field of an item.
type itemField struct{ Name, Value string }

// itemsPage is what the page about items shows.
type itemsPage struct {
	Head  crawlHead
	Items []itemRow // the newest first
	// Stream is where further items come from.
	Stream   string
	Rejected bool
	Rules    []string
	Rule     string
	Running  bool
}

func (s *Server) items(w http.ResponseWriter, r *http.Request) error {
	c, head, err := s.headOf(r, "items")
	if err != nil {
		return err
	}
	p := itemsPage{Head: head, Rejected: r.FormValue("rejected") != "", Rule: r.FormValue("rule"), Running: head.CanCancel}
	for _, rule := range c.GetSpec().GetExtract() {
		p.Rules = append(p.Rules, rule.GetName())
	}
	stream, err := s.deps.Client.Storage.ListItems(r.Context(), &storagev1.ListItemsRequest{
		CrawlId: c.GetId(), Newest: true, Limit: itemsShown, Rule: p.Rule, Rejected: p.Rejected,
	})
	if err != nil {
		return err
	}
	var after uint64
	err = client.Each(stream, func(m *storagev1.ListItemsResponse) error {
		for _, it := range m.GetItems() {
			p.Items = append(p.Items, rowOfItem(it))
			after = it.GetCursor()
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Reverse(p.Items)
	p.Stream = "/crawls/" + c.GetId() + "/items/stream?" + url.Values{"after": {strconv.FormatUint(after, 10)}, "rule": {p.Rule}}.Encode()
	return s.render(w, r, http.StatusOK, view{Name: "items", Title: "Items of " + head.Name, Section: "crawls", Page: p})
}

// rowOfItem reads the JSON of an item for people: its own fields in their order, nested
// ones as JSON.
func rowOfItem(it *storagev1.StoredItem) itemRow {
	row := itemRow{Cursor: it.GetCursor(), URL: it.GetUrl(), Rule: it.GetRule()}
	dec := json.NewDecoder(bytes.NewReader(it.GetJson()))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		row.Fields = []itemField{{"json", cut(string(it.GetJson()), maxTitle)}}
		return row
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			break
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			break
		}
		key, _ := name.(string)
		if key == "_url" || key == "_rule" || key == "_fetched_at" {
			continue
		}
		if len(row.Fields) == maxFields {
			row.More++
			continue
		}
		text := string(value)
		var plain string
		if json.Unmarshal(value, &plain) == nil {
			text = plain
		}
		row.Fields = append(row.Fields, itemField{cut(key, 60), cut(text, 300)})
	}
	return row
}

// pagesPage is what the page about the crawl log shows.
type pagesPage struct {
	Head    crawlHead
	Pages   []*storagev1.PageInfo // the newest first
	Failed  bool
	Class   string
	Match   string
	Classes []string
	Problem string
}

// pages shows the newest attempts, or those that failed.
func (s *Server) pages(w http.ResponseWriter, r *http.Request) error {
	c, head, err := s.headOf(r, "pages")
	if err != nil {
		return err
	}
	p := pagesPage{Head: head, Failed: r.FormValue("failed") != "", Class: r.FormValue("class"), Match: r.FormValue("match"), Classes: errorClasses()}
	filter := &storagev1.PageFilter{UrlPattern: p.Match}
	switch class, known := classOf(p.Class); {
	case known:
		filter.Errors = []crawlv1.ErrorClass{class}
	case p.Failed:
		for _, name := range p.Classes {
			if class, ok := classOf(name); ok {
				filter.Errors = append(filter.Errors, class)
			}
		}
	}
	p.Pages, err = s.newestPages(r.Context(), &storagev1.ListPagesRequest{CrawlId: c.GetId(), Filter: filter, Limit: pagesShown})
	if crawl.KindOf(err) == crawl.Invalid {
		p.Problem, err = sentence(err.Error()), nil
	}
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, view{Name: "pages", Title: "Pages of " + head.Name, Section: "crawls", Live: filter.GetUrlPattern() == "" && len(filter.GetErrors()) == 0, Page: p})
}

// newestPages reads the newest attempts, the last one first.
func (s *Server) newestPages(ctx context.Context, req *storagev1.ListPagesRequest) ([]*storagev1.PageInfo, error) {
	req.Newest = true
	stream, err := s.deps.Client.Storage.ListPages(ctx, req)
	if err != nil {
		return nil, err
	}
	var out []*storagev1.PageInfo
	err = client.Each(stream, func(m *storagev1.ListPagesResponse) error {
		out = append(out, m.GetPages()...)
		return nil
	})
	slices.Reverse(out)
	return out, err
}

// errorClasses are the names of the classes of errors, in the order of their numbers.
func errorClasses() []string {
	var out []string
	for n := int32(1); ; n++ {
		name, ok := crawlv1.ErrorClass_name[n]
		if !ok {
			return out
		}
		out = append(out, strings.ToLower(strings.TrimPrefix(name, "ERROR_CLASS_")))
	}
}

// classOf returns a class by its name.
func classOf(name string) (crawlv1.ErrorClass, bool) {
	n, ok := crawlv1.ErrorClass_value["ERROR_CLASS_"+strings.ToUpper(name)]
	return crawlv1.ErrorClass(n), ok && n != 0
}

// mediaPage is what the page about files shows.
type mediaPage struct {
	Head  crawlHead
	Files []*storagev1.MediaInfo
	// More is where the next list begins; 0 on the last.
	More uint64
}

// mediaShown is how many files a page shows.
const mediaShown = 60

func (s *Server) media(w http.ResponseWriter, r *http.Request) error {
	c, head, err := s.headOf(r, "media")
	if err != nil {
		return err
	}
	after, err := strconv.ParseUint(r.FormValue("after"), 10, 64)
	if err != nil {
		after = 0
	}
	stream, err := s.deps.Client.Storage.ListMedia(r.Context(), &storagev1.ListMediaRequest{CrawlId: c.GetId(), After: after, Limit: mediaShown})
	if err != nil {
		return err
	}
	p := mediaPage{Head: head}
	err = client.Each(stream, func(m *storagev1.ListMediaResponse) error {
		p.Files = append(p.Files, m.GetMedia()...)
		return nil
	})
	if err != nil {
		return err
	}
	if len(p.Files) == mediaShown {
		p.More = p.Files[mediaShown-1].GetCursor()
	}
	return s.render(w, r, http.StatusOK, view{Name: "media", Title: "Files of " + head.Name, Section: "crawls", Page: p})
}

// specPage shows a spec.
type specPage struct {
	Head crawlHead
	YAML string
}

func (s *Server) spec(w http.ResponseWriter, r *http.Request) error {
	c, head, err := s.headOf(r, "spec")
	if err != nil {
		return err
	}
	text, err := spec.Encode(c.GetSpec())
	if err != nil {
		return err
	}
	return s.render(w, r, http.StatusOK, view{Name: "spec", Title: "Spec of " + head.Name, Section: "crawls", Page: specPage{head, shownLines(string(text))}})
}

// maxLines bounds the lines of a spec that are shown: one may have a list of a million.
const maxLines = 5000

// shownLines cuts long lines, and what is too many.
func shownLines(text string) string {
	lines := strings.Split(text, "\n")
	if len(lines) > maxLines {
		lines = append(lines[:maxLines], "…")
	}
	for i, line := range lines {
		lines[i] = cut(line, maxTitle)
	}
	return strings.Join(lines, "\n")
}
