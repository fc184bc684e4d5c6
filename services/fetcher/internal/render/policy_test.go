package render

import "testing"

// TestPolicy: what becomes of each request of a page, in order.
func TestPolicy(t *testing.T) {
	t.Parallel()
	const page = "https://shop.example/a?x=1"
	sub := func(kind, url string) request { return request{url: url, method: "GET", kind: kind} }
	main := func(method, url string) request {
		return request{url: url, method: method, kind: "Document", main: true}
	}
	tests := []struct {
		name   string
		images bool
		max    int
		asked  []request
		want   []verdict
	}{
		{"the page", false, 9, []request{main("GET", page)}, []verdict{answer}},
		{"again, once", false, 9, []request{main("GET", page), main("GET", page+"#b"), main("GET", page)}, []verdict{answer, allow, block}},
		{"elsewhere", false, 9, []request{main("GET", page), main("GET", "https://shop.example/b")}, []verdict{answer, leave}},
		{"by a form", false, 9, []request{main("GET", page), main("POST", "https://shop.example/b")}, []verdict{answer, block}},
		{"no page", false, 9, []request{main("GET", page), main("GET", "about:blank"), main("GET", "data:text/html,x")}, []verdict{answer, block, block}},
		{"types", false, 99, []request{
			sub("Script", "https://a.example/x.js"), sub("XHR", "http://b.example/"), sub("Document", "https://frame.example/"), sub("Stylesheet", "blob:x"),
			sub("Image", "https://a.example/x.png"), sub("Media", "https://a.example/x.mp4"), sub("Font", "https://a.example/x.woff2"),
			sub("Ping", "https://a.example/"), sub("CSPViolationReport", "https://a.example/"), sub("Manifest", "https://a.example/"),
		}, []verdict{allow, allow, allow, allow, block, block, block, block, block, block}},
		{"images", true, 99, []request{sub("Image", "https://a.example/x.png"), sub("Image", "data:image/png;base64,x")}, []verdict{allow, allow}},
		{"icon", false, 99, []request{{url: "https://a.example/favicon.ico", method: "GET", kind: "Other", accept: "image/png,*/*"}}, []verdict{block}},
		{"schemes", false, 99, []request{
			sub("XHR", "file:///etc/passwd"), sub("Script", "chrome://version"), sub("XHR", "ftp://a.example/"), sub("XHR", "HTTPS://a.example/"), sub("XHR", "x"),
		}, []verdict{block, block, block, allow, block}},
		{"too many", false, 2, []request{main("GET", page), sub("Script", "https://a.example/1"), sub("Script", "https://a.example/2")}, []verdict{answer, allow, tooMany}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := policy{url: page, images: tt.images, max: tt.max}
			made := 0
			for i, r := range tt.asked {
				v := p.judge(r)
				if v != tt.want[i] {
					t.Errorf("request %d, %s %s: verdict %d, want %d", i, r.kind, r.url, v, tt.want[i])
				}
				if v == allow || v == answer {
					made++
				}
			}
			if p.requests != made {
				t.Errorf("%d requests counted, %d made", p.requests, made)
			}
		})
	}
}
