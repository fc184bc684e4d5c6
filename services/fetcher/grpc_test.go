package fetcher_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	fetcherv1 "github.com/weircrawl/weir/proto/weir/fetcher/v1"
	"github.com/weircrawl/weir/services/fetcher"
)

// alone starts a fetcher without a bus.
func alone(t *testing.T, cfg fetcher.Config) *fetcher.Service {
	t.Helper()
	s, err := fetcher.New(cfg, fetcher.Deps{Lookup: local})
	if err != nil {
		t.Fatal(err)
	}
	background(t, func(ctx context.Context) { _ = s.Run(ctx) })
	return s
}

func TestFetch(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/agent":
			_, _ = io.WriteString(w, r.UserAgent())
		case "/long":
			_, _ = w.Write(random(3 << 20))
		default:
			http.Redirect(w, r, "/next", http.StatusFound)
		}
	}))
	t.Cleanup(web.Close)
	s := alone(t, config())
	tests := []struct {
		name    string
		req     *fetcherv1.FetchRequest
		status  uint32
		body    []byte
		size    uint64
		target  string
		errKind crawl.Kind
	}{
		{"options", &fetcherv1.FetchRequest{Url: web.URL + "/agent", Options: &crawlv1.Fetch{UserAgent: "Mine/1"}}, 200, []byte("Mine/1"), 6, "", 0},
		{"long", &fetcherv1.FetchRequest{Url: web.URL + "/long"}, 200, random(3 << 20)[:1<<20], 3 << 20, "", 0},
		{"cut", &fetcherv1.FetchRequest{Url: web.URL + "/long", Options: &crawlv1.Fetch{MaxBody: proto.Int64(10)}}, 200, random(10), 10, "", 0},
		{"redirect", &fetcherv1.FetchRequest{Url: web.URL + "/old"}, 302, []byte("<a href=\"/next\">Found</a>.\n\n"), 28, web.URL + "/next", 0},
		{"bad URL", &fetcherv1.FetchRequest{Url: "mailto:a@b.example"}, 0, nil, 0, "", crawl.Invalid},
		{"bad options", &fetcherv1.FetchRequest{Url: web.URL, Options: &crawlv1.Fetch{MaxBody: proto.Int64(-1)}}, 0, nil, 0, "", crawl.Invalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := s.Fetch(t.Context(), tt.req)
			if tt.errKind != 0 {
				if crawl.KindOf(err) != tt.errKind {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.GetBody(), tt.body) || got.GetSize() != tt.size ||
				got.GetFetch().GetStatus() != tt.status || got.GetFetch().GetRedirectUrl() != tt.target {
				t.Errorf("got %d bytes of %d, %v", len(got.GetBody()), got.GetSize(), got.GetFetch())
			}
		})
	}
}

func TestFetchIsGuarded(t *testing.T) {
	t.Parallel()
	s := alone(t, fetcher.DefaultConfig())
	got, err := s.Fetch(t.Context(), &fetcherv1.FetchRequest{Url: "http://localhost.example:1/"})
	if err != nil {
		t.Fatal(err)
	}
	want := "127.0.0.1 is a loopback address; allow it with --allow-net 127.0.0.0/8"
	if got.GetFetch().GetErrorDetail() != want || got.GetFetch().GetError() != crawlv1.ErrorClass_ERROR_CLASS_ADDRESS_DENIED {
		t.Errorf("got %v", got.GetFetch())
	}
}

func TestReadyWithoutBus(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(nil, alone(t, config()).Ready(t.Context())); diff != "" {
		t.Error(diff)
	}
}
