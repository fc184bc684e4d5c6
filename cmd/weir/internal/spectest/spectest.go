// Package spectest runs users' tests of their specs: saved pages, and what the spec
// is to make of them. A file of tests is YAML:
//
//	spec: shop.yaml
//	tests:
//	  - name: a product
//	    page: product.html              # relative to this file
//	    url: https://shop.example/p/1   # where it is from
//	    items:                          # exactly these, in any order of fields
//	      - {title: A lamp, price: 12.5}
//	    follow: [https://shop.example/p/2]    # these among others
//	    not_follow: [https://shop.example/cart]
//	    requests:                       # exactly these, in their order
//	      - {method: POST, url: https://shop.example/api, json: {page: 2}}
//	    media: [https://shop.example/1.jpg]   # exactly these files
package spectest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/weircrawl/weir/cmd/weir/internal/trial"
	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
)

// File is a file of tests.
type File struct {
	// Spec is the path of the spec, relative to the file.
	Spec string `yaml:"spec"`
	// Tests in the order of the file.
	Tests []Test `yaml:"tests"`

	dir string
}

// Test is one page and what is expected of it. What is left out is not looked at.
type Test struct {
	// Name for people. Default: the page.
	Name string `yaml:"name"`
	// Page is a file, relative to the file of tests.
	Page string `yaml:"page"`
	// URL that the page is from. Default: trial.DefaultURL.
	URL string `yaml:"url"`
	// ContentType of the page. Default: by the file's name.
	ContentType string `yaml:"content_type"`
	// Headers of the response.
	Headers map[string]string `yaml:"headers"`
	// Depth of the page in links from a seed.
	Depth uint32 `yaml:"depth"`
	// Rule whose items alone are looked at.
	Rule string `yaml:"rule"`
	// Items in their order. A field that begins with _ counts only where it is
	// named here.
	Items *[]map[string]any `yaml:"items"`
	// Rejected is the number of items that lack a required field.
	Rejected *uint32 `yaml:"rejected"`
	// Follow and NotFollow are URLs that are followed, or not.
	Follow []string `yaml:"follow"`
	// NotFollow are URLs that the page may have and that are not followed.
	NotFollow []string `yaml:"not_follow"`
	// Title of the page.
	Title *string `yaml:"title"`
	// Requests that the rules make, in their order.
	Requests *[]Request `yaml:"requests"`
	// Media are the files that items name, in any order.
	Media *[]string `yaml:"media"`
	// Refresh is where the page sends its reader on to; empty for nowhere.
	Refresh *string `yaml:"refresh"`
}

// Load reads a file of tests. Its error is of kind crawl.Invalid and names the
// line.
func Load(name string) (*File, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		if pe, ok := errors.AsType[*os.PathError](err); ok {
			err = pe.Err
		}
		return nil, crawl.Errorf(crawl.Invalid, "cannot read the tests %s: %w", name, err)
	}
	f := &File{dir: filepath.Dir(name)}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(f); err != nil && !errors.Is(err, io.EOF) {
		return nil, crawl.Errorf(crawl.Invalid, "%s: %s", name, strings.Join(strings.Fields(err.Error()), " "))
	}
	if f.Spec == "" {
		return nil, crawl.Errorf(crawl.Invalid, "%s: spec: must name the spec that is tested", name)
	}
	if len(f.Tests) == 0 {
		return nil, crawl.Errorf(crawl.Invalid, "%s: tests: has none", name)
	}
	for i := range f.Tests {
		t := &f.Tests[i]
		if t.Page == "" {
			return nil, crawl.Errorf(crawl.Invalid, "%s: tests[%d].page: must name a saved page", name, i)
		}
		if t.Name == "" {
			t.Name = t.Page
		}
	}
	return f, nil
}

// SpecPath returns where the spec is.
func (f *File) SpecPath() string { return f.path(f.Spec) }

func (f *File) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(f.dir, name)
}

// Run runs one of the file's tests and returns what is not as expected, a line
// each. The error says why the page could not be read at all.
func (f *File) Run(ctx context.Context, p *trial.Parser, t *Test, s *crawlv1.CrawlSpec) (failures []string, err error) {
	page, err := trial.File(f.path(t.Page), t.URL, nil)
	if err != nil {
		return nil, err
	}
	if t.ContentType != "" {
		page.ContentType = t.ContentType
	}
	for name, value := range t.Headers {
		page.Headers = append(page.Headers, &crawlv1.Header{Name: name, Value: []byte(value)})
	}
	resp, err := p.Parse(ctx, page, s, t.Depth)
	if err != nil {
		return nil, err
	}
	return t.check(resp, s)
}

// check compares.
func (t *Test) check(resp *parserv1.ParseResponse, s *crawlv1.CrawlSpec) ([]string, error) {
	var failures []string
	failf := func(format string, args ...any) { failures = append(failures, fmt.Sprintf(format, args...)) }
	r := resp.GetResult()
	if t.Title != nil && r.GetTitle() != *t.Title {
		failf("title: %q, want %q", r.GetTitle(), *t.Title)
	}
	if t.Rejected != nil && r.GetRejectedItems() != *t.Rejected {
		failf("rejected: %d items, want %d", r.GetRejectedItems(), *t.Rejected)
		failures = append(failures, trial.Rejected(r, s)...)
	}
	if t.Items != nil {
		more, err := t.checkItems(r.GetItems())
		if err != nil {
			return nil, err
		}
		failures = append(failures, more...)
	}
	reasons := map[string]string{}
	for _, l := range resp.GetLinks() {
		reasons[l.GetUrl()] = l.GetReason()
	}
	for _, u := range t.Follow {
		if reason, ok := reasons[u]; !ok {
			failf("follow: %s is not a link of the page", u)
		} else if reason != "" {
			failf("follow: %s is not followed: %s", u, reason)
		}
	}
	failures = append(failures, t.checkRequests(resp.GetLinks())...)
	if t.Refresh != nil && r.GetRefreshUrl() != *t.Refresh {
		failf("refresh: %q, want %q", r.GetRefreshUrl(), *t.Refresh)
	}
	for _, u := range t.NotFollow {
		if reason, ok := reasons[u]; ok && reason == "" {
			failf("not_follow: %s is followed", u)
		}
	}
	if len(failures) > 0 && r.GetWarning() != "" {
		failf("warning of the parser: %s", r.GetWarning())
	}
	return failures, nil
}

func (t *Test) checkItems(items []*crawlv1.Item) ([]string, error) {
	if t.Rule != "" {
		items = slices.DeleteFunc(slices.Clone(items), func(it *crawlv1.Item) bool { return it.GetRule() != t.Rule })
	}
	want := *t.Items
	var failures []string
	if len(items) != len(want) {
		failures = append(failures, fmt.Sprintf("items: %d, want %d", len(items), len(want)))
	}
	for i := range max(len(items), len(want)) {
		switch {
		case i >= len(want):
			failures = append(failures, fmt.Sprintf("items[%d]: not expected: %.500s", i, items[i].GetJson()))
		case i >= len(items):
			failures = append(failures, fmt.Sprintf("items[%d]: missing: %.500s", i, compact(want[i])))
		default:
			lines, err := diff(i, items[i], want[i])
			if err != nil {
				return nil, err
			}
			failures = append(failures, lines...)
		}
	}
	return failures, nil
}

// diff compares an item field by field.
func diff(i int, item *crawlv1.Item, want map[string]any) ([]string, error) {
	var got map[string]any
	if err := json.Unmarshal(item.GetJson(), &got); err != nil {
		return nil, fmt.Errorf("item %d: %w", i, err)
	}
	// By way of JSON both have the same types: numbers are float64.
	var expected map[string]any
	if err := json.Unmarshal([]byte(compact(want)), &expected); err != nil {
		return nil, crawl.Errorf(crawl.Invalid, "items[%d]: %w", i, err)
	}
	names := map[string]bool{}
	for name := range expected {
		names[name] = true
	}
	for name := range got {
		names[name] = names[name] || !strings.HasPrefix(name, "_")
	}
	var lines []string
	for _, name := range sorted(names) {
		g, has := got[name]
		w, wanted := expected[name]
		switch {
		case !wanted:
			lines = append(lines, fmt.Sprintf("items[%d].%s: not expected: %.500s", i, name, compact(g)))
		case !has:
			lines = append(lines, fmt.Sprintf("items[%d].%s: missing, want %.500s", i, name, compact(w)))
		case !reflect.DeepEqual(g, w):
			lines = append(lines, fmt.Sprintf("items[%d].%s: %.500s, want %.500s", i, name, compact(g), compact(w)))
		}
	}
	return lines, nil
}

// sorted returns the names that count.
func sorted(names map[string]bool) []string {
	var out []string
	for name, counts := range names {
		if counts {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// compact writes a value as JSON.
func compact(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSpace(b.String())
}
