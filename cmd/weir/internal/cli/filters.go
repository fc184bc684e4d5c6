package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// filterFlags are the flags by which commands choose among what was kept.
type filterFlags struct {
	url, since, until string
	fields            []string // of items
	statuses, errors  []string // of pages
	kind              string
}

// common adds the flags of items and pages.
func (f *filterFlags) common(fs *pflag.FlagSet) {
	fs.StringVar(&f.url, "url", "", "only those whose URL matches: a glob, or re: and a regular expression, as in a scope's rules")
	fs.StringVar(&f.since, "since", "", "only those fetched since a time, a day, or a time ago such as 90m")
	fs.StringVar(&f.until, "until", "", "only those fetched before a time, a day, or a time ago such as 90m")
}

// items adds the flags of items.
func (f *filterFlags) items(fs *pflag.FlagSet) {
	f.common(fs)
	fs.StringArrayVar(&f.fields, "where", nil, "only those with a value of a field: price=12, offer.currency=EUR; may be repeated")
}

// pages adds the flags of pages.
func (f *filterFlags) pages(fs *pflag.FlagSet) {
	f.common(fs)
	fs.StringSliceVar(&f.statuses, "status", nil, "only those with an HTTP status, 0 for no response; may be repeated")
	fs.StringSliceVar(&f.errors, "error", nil, "only those with a class of errors, for example timeout_body, or none; may be repeated")
	fs.StringVar(&f.kind, "kind", "", "only page, robots or media")
}

// ofItems is the filter of items.
func (f *filterFlags) ofItems(now time.Time) (*storagev1.ItemFilter, error) {
	since, until, err := f.times(now)
	if err != nil {
		return nil, err
	}
	out := &storagev1.ItemFilter{UrlPattern: f.url, Since: since, Until: until}
	for _, text := range f.fields {
		field, value, ok := strings.Cut(text, "=")
		if !ok || field == "" {
			return nil, crawl.Errorf(crawl.Invalid, "--where %q: want field=value", text)
		}
		out.Fields = append(out.Fields, &storagev1.FieldValue{Field: field, Value: value})
	}
	return out, nil
}

// keyOf names a filter, so that an export is not gone on with by another one; empty for
// one that takes all.
func keyOf(f *storagev1.ItemFilter) string {
	key := ""
	for _, v := range f.GetFields() {
		key += fmt.Sprintf(" %q=%q", v.GetField(), v.GetValue())
	}
	if f.GetUrlPattern() != "" {
		key += fmt.Sprintf(" url %q", f.GetUrlPattern())
	}
	if f.GetSince() != nil {
		key += " since " + f.GetSince().AsTime().Format(time.RFC3339Nano)
	}
	if f.GetUntil() != nil {
		key += " until " + f.GetUntil().AsTime().Format(time.RFC3339Nano)
	}
	return key
}

// ofPages is the filter of pages.
func (f *filterFlags) ofPages(now time.Time) (*storagev1.PageFilter, error) {
	since, until, err := f.times(now)
	if err != nil {
		return nil, err
	}
	out := &storagev1.PageFilter{UrlPattern: f.url, Since: since, Until: until}
	for _, text := range f.statuses {
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n > 999 {
			return nil, crawl.Errorf(crawl.Invalid, "--status %q: want an HTTP status such as 404, or 0 for no response", text)
		}
		out.Statuses = append(out.Statuses, uint32(n))
	}
	for _, text := range f.errors {
		name := strings.ToUpper(text)
		if name == "NONE" {
			name = "UNSPECIFIED"
		}
		class, ok := crawlv1.ErrorClass_value["ERROR_CLASS_"+name]
		if !ok {
			return nil, crawl.Errorf(crawl.Invalid, "--error %q: no such class of errors; weir pages shows those that there are, for example dns_nxdomain or status_4xx", text)
		}
		out.Errors = append(out.Errors, crawlv1.ErrorClass(class))
	}
	if f.kind != "" {
		kind, ok := crawlv1.TaskKind_value["TASK_KIND_"+strings.ToUpper(f.kind)]
		if !ok || kind == 0 {
			return nil, crawl.Errorf(crawl.Invalid, "--kind %q: want page, robots or media", f.kind)
		}
		out.Kind = crawlv1.TaskKind(kind)
	}
	return out, nil
}

func (f *filterFlags) times(now time.Time) (since, until *timestamppb.Timestamp, err error) {
	for _, t := range []struct {
		flag, text string
		to         **timestamppb.Timestamp
	}{{"since", f.since, &since}, {"until", f.until, &until}} {
		if t.text == "" {
			continue
		}
		at, err := past(now, t.flag, t.text)
		if err != nil {
			return nil, nil, err
		}
		*t.to = timestamppb.New(at)
	}
	return since, until, nil
}

// past reads a time that has been: a time, a day, or how long ago.
func past(now time.Time, flag, text string) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, crawl.Errorf(crawl.Invalid, "--%s %q: want a time such as 2026-01-31T08:00:00Z, a day such as 2026-01-31, or a time ago such as 90m", flag, text)
}
