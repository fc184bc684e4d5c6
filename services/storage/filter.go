package storage

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// pageFilter is a filter as the catalogue knows it, and the pattern of URLs that it
// does not know, nil for all.
func pageFilter(f *storagev1.PageFilter) (catalogue.PageFilter, *crawl.Pattern, error) {
	out := catalogue.PageFilter{Statuses: f.GetStatuses(), Kind: catalogue.Kind(f.GetKind())}
	for _, s := range f.GetStatuses() {
		if s > 999 {
			return out, nil, crawl.Errorf(crawl.Invalid, "filter.statuses: %d is no HTTP status", s)
		}
	}
	for _, e := range f.GetErrors() {
		if _, ok := crawlv1.ErrorClass_name[int32(e)]; !ok {
			return out, nil, crawl.Errorf(crawl.Invalid, "filter.errors: %d is no class of errors", e)
		}
		out.Errors = append(out.Errors, crawl.Class(e))
	}
	if f.GetKind() < 0 || f.GetKind() > crawlv1.TaskKind_TASK_KIND_MEDIA {
		return out, nil, crawl.Errorf(crawl.Invalid, "filter.kind: %d is no kind of fetches", f.GetKind())
	}
	var err error
	if out.Since, out.Until, err = bounds(f.GetSince(), f.GetUntil()); err != nil {
		return out, nil, err
	}
	pattern, err := urlPattern(f.GetUrlPattern())
	return out, pattern, err
}

func urlPattern(text string) (*crawl.Pattern, error) {
	if text == "" {
		return nil, nil
	}
	p, err := crawl.CompilePattern(text)
	if err != nil {
		return nil, crawl.Errorf(crawl.Invalid, "filter.url_pattern: %w", err)
	}
	return p, nil
}

func bounds(since, until *timestamppb.Timestamp) (a, b time.Time, err error) {
	for _, t := range []*timestamppb.Timestamp{since, until} {
		if t != nil && !t.IsValid() {
			return a, b, crawl.Errorf(crawl.Invalid, "filter: a time is out of range")
		}
	}
	if since != nil {
		a = since.AsTime()
	}
	if until != nil {
		b = until.AsTime()
	}
	return a, b, nil
}

// itemFilter is a filter of items, beside the times, which the catalogue knows.
type itemFilter struct {
	since, until time.Time
	pattern      *crawl.Pattern
	fields       []*storagev1.FieldValue
}

func newItemFilter(f *storagev1.ItemFilter) (*itemFilter, error) {
	out := &itemFilter{fields: f.GetFields()}
	for _, v := range out.fields {
		if v.GetField() == "" {
			return nil, crawl.Errorf(crawl.Invalid, "filter.fields: a field without a name")
		}
	}
	var err error
	if out.since, out.until, err = bounds(f.GetSince(), f.GetUntil()); err != nil {
		return nil, err
	}
	out.pattern, err = urlPattern(f.GetUrlPattern())
	return out, err
}

// match reports whether an item passes.
func (f *itemFilter) match(it *catalogue.Item) bool {
	if f.pattern != nil && !f.pattern.Match(it.URL) {
		return false
	}
	for _, v := range f.fields {
		if !hasValue(it.JSON, strings.Split(v.GetField(), "."), v.GetValue()) {
			return false
		}
	}
	return true
}

// hasValue reports whether a field of a JSON object, or one of the values of a list
// there, is a text. A name with a point in it is found as it is, too.
func hasValue(object json.RawMessage, path []string, want string) bool {
	object = bytes.TrimSpace(object)
	switch {
	case len(object) == 0:
		return false
	case object[0] == '[':
		var list []json.RawMessage
		return json.Unmarshal(object, &list) == nil && slices.ContainsFunc(list, func(v json.RawMessage) bool { return hasValue(v, path, want) })
	case len(path) == 0:
		return isText(object, want)
	case object[0] != '{':
		return false
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(object, &fields) != nil {
		return false
	}
	for n := 1; n <= len(path); n++ {
		if v, ok := fields[strings.Join(path[:n], ".")]; ok && hasValue(v, path[n:], want) {
			return true
		}
	}
	return false
}

// isText reports whether a value is a text: a string by what it says, a number by its
// amount, anything else by how it is written.
func isText(value json.RawMessage, want string) bool {
	if value[0] == '"' {
		var s string
		return json.Unmarshal(value, &s) == nil && s == want
	}
	if string(value) == want {
		return true
	}
	var a, b float64
	return json.Unmarshal(value, &a) == nil && json.Unmarshal([]byte(want), &b) == nil && value[0] != 'n' && want != "null" && a == b
}
