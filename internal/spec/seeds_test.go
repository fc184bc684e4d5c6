package spec

import (
	"strings"
	"testing"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

func TestSeeds(t *testing.T) {
	t.Parallel()
	const api = "https://a.example/api"
	c, err := Compile(&crawlv1.Crawl{Spec: &crawlv1.CrawlSpec{Seeds: &crawlv1.Seeds{
		Urls: []string{"https://A.example/x#y"}, Sitemaps: []string{"https://a.example/map.xml"},
		Requests: []*crawlv1.SeedRequest{
			{Url: api},
			{Url: api, Headers: map[string]string{"x-token": "{WEIR_SECRET_T}"}},
			{Url: api, Body: `{"a":1}`},
			{Url: api, Body: "a=1&b=2"},
			{Url: api, Body: "<a/>", ContentType: "text/xml"},
			{Url: api, Method: "POST"},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	seeds, err := c.Seeds()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"https://a.example/x", "https://a.example/map.xml", api,
		api + "#!header=X-Token%3A+%7BWEIR_SECRET_T%7D",
		api + "#!method=POST&type=application%2Fjson&body=%7B%22a%22%3A1%7D",
		api + "#!method=POST&type=application%2Fx-www-form-urlencoded&body=a%3D1%26b%3D2",
		api + "#!method=POST&type=text%2Fxml&body=%3Ca%2F%3E",
		api + "#!method=POST",
	}
	if len(seeds) != len(want) {
		t.Fatalf("%d seeds", len(seeds))
	}
	for i, u := range seeds {
		if u.String() != want[i] {
			t.Errorf("seed %d is %s, want %s", i, u, want[i])
		}
	}
	if got := SeedPath(c.Spec, 1) + SeedPath(c.Spec, 4); got != "seeds.sitemaps[0]seeds.requests[2]" {
		t.Errorf("paths %s", got)
	}
}

func TestSeedRequestMistakes(t *testing.T) {
	t.Parallel()
	const api = "https://a.example/api"
	for _, tt := range []struct {
		name string
		in   *crawlv1.SeedRequest
		want string
	}{
		{"no URL", &crawlv1.SeedRequest{Body: "x"}, "seeds.requests[0].url"},
		{"relative URL", &crawlv1.SeedRequest{Url: "a.example/api"}, "https://a.example/api"},
		{"method", &crawlv1.SeedRequest{Url: api, Method: "PUT"}, "seeds.requests[0].method"},
		{"GET with a body", &crawlv1.SeedRequest{Url: api, Method: "GET", Body: "x"}, "seeds.requests[0].body"},
		{"type without a body", &crawlv1.SeedRequest{Url: api, ContentType: "text/xml"}, "seeds.requests[0].content_type"},
		{"secret in the address", &crawlv1.SeedRequest{Url: api + "?k={WEIR_SECRET_K}"}, "seeds.requests[0].url"},
		{"header", &crawlv1.SeedRequest{Url: api, Headers: map[string]string{"a b": "x"}}, "seeds.requests[0].headers"},
		{"content type with a line feed", &crawlv1.SeedRequest{Url: api, Body: "x", ContentType: "a\nb"}, "seeds.requests[0]"},
		{"too long", &crawlv1.SeedRequest{Url: api, Body: strings.Repeat("x", 9000)}, "too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := Validate(&crawlv1.CrawlSpec{Seeds: &crawlv1.Seeds{Requests: []*crawlv1.SeedRequest{tt.in}}})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

func TestAddPriority(t *testing.T) {
	t.Parallel()
	if AddPriority(3, 100) != 103 || AddPriority(maxPriority, maxPriority) != maxPriority || AddPriority(-maxPriority, -1) != -maxPriority {
		t.Error("priorities do not add up")
	}
}
