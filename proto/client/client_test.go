package client_test

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/weircrawl/weir/proto/client"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// pages are n URLs.
func pages(n int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range n {
			if !yield(fmt.Sprintf("http://x.test/%d", i)) {
				return
			}
		}
	}
}

func TestAdd(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name           string
		n              int
		refuse, vanish int
		want           client.Added
	}{
		{"none", 0, 0, 0, client.Added{}},
		{"one batch", 5, 0, 0, client.Added{Added: 5}},
		{"several", 2500, 0, 0, client.Added{Added: 2500}},
		{"a whole one", 1000, 0, 0, client.Added{Added: 1000}},
		{"a quota is waited for", 2500, 7, 0, client.Added{Added: 2500}},
		{"what was durable is known", 1500, 0, 1, client.Added{Added: 500, Known: 1000}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := &weir{refuse: tc.refuse, vanish: tc.vanish}
			got, err := connect(t, w).Crawl("c1").Add(t.Context(), pages(tc.n))
			if err != nil || got.Added != tc.want.Added || got.Known != tc.want.Known {
				t.Errorf("got %+v, %v; want %+v", got, err, tc.want)
			}
			if !slices.Equal(w.urls, slices.Collect(pages(tc.n))) {
				t.Errorf("the server has %d URLs", len(w.urls))
			}
		})
	}
}

func TestItems(t *testing.T) {
	t.Parallel()
	w := &weir{breaks: 3}
	c := connect(t, w)
	cr, err := c.Submit(t.Context(), &crawlv1.CrawlSpec{Seeds: &crawlv1.Seeds{Urls: slices.Collect(pages(10))}}, client.Submission{Close: true})
	if err != nil {
		t.Fatal(err)
	}
	items, err := cr.Results(t.Context()) // over a stream that breaks once
	if err != nil || len(items) != 10 {
		t.Fatalf("%d items, %v", len(items), err)
	}
	var page struct{ URL string }
	if err := items[7].Decode(&page); err != nil || page.URL != "http://x.test/7" || items[7].Cursor != 8 {
		t.Errorf("item %+v, %v", items[7], err)
	}
	for it, err := range cr.Items(t.Context(), 8) { // left early
		if err != nil || it.Cursor != 9 {
			t.Errorf("item %+v, %v", it, err)
		}
		break
	}
	if fmt.Sprint(w.tokens) != "[Bearer t]" {
		t.Errorf("tokens %v", w.tokens)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	w := &weir{}
	c := connect(t, w)
	cr, err := c.Submit(t.Context(), &crawlv1.CrawlSpec{}, client.Submission{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cr.Wait(t.Context(), time.Millisecond); !errors.Is(err, client.ErrTimeout) {
		t.Errorf("a crawl that is open: %v", err)
	}
	if err := cr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := cr.Wait(t.Context(), time.Minute); err != nil || got.GetState() != crawlv1.CrawlState_CRAWL_STATE_FINISHED {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := c.Crawl("nope").Wait(t.Context(), 0); status.Code(err) != codes.NotFound {
		t.Errorf("no such crawl: %v", err)
	}
}

func TestDialRefuses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		cfg  client.Config
		want string
	}{
		{client.Config{}, "Server is missing"},
		{client.Config{Server: "weir.example:7070", Token: "s3cr3t"}, "in plain text to weir.example:7070"},
		{client.Config{Server: "127.0.0.1:7070", StorageServer: "dns:///localhost.example:7070", Token: "s3cr3t"}, "in plain text"},
		{client.Config{Server: "127.0.0.1:7070", Token: "s3cr3t"}, ""},
		{client.Config{Server: "[::1]:7070", Token: "s3cr3t"}, ""},
		{client.Config{Server: "weir.example:7070", Token: "s3cr3t", PlainToken: true}, ""},
		{client.Config{Server: "weir.example:7070"}, ""},
	} {
		c, err := client.Dial(tc.cfg)
		if (err != nil) != (tc.want != "") || err != nil && (!strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "s3cr3t")) {
			t.Errorf("%s: %v", tc.cfg.Server, err)
		}
		if err == nil {
			_ = c.Close()
		}
	}
	if text := fmt.Sprintf("%v %+v %#v", client.Bearer("s3cr3t"), client.Bearer("s3cr3t"), client.Bearer("s3cr3t")); strings.Contains(text, "s3cr3t") {
		t.Errorf("a token is printed: %s", text)
	}
}
