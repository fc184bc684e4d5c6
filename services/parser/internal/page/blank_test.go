package page

import "testing"

// TestBlank: a page without content keeps its links and has no items, where the crawl
// asks for that and no browser has shown it.
func TestBlank(t *testing.T) {
	t.Parallel()
	const shell = `<!doctype html><title>app</title><nav><a href="/about">About</a></nav><div id="root"></div><script src="/main.js"></script>`
	tests := []struct {
		name             string
		render, rendered bool
		body             string
		want             bool
		items            int
	}{
		{"a shell", true, false, shell, true, 0},
		{"a shell after a browser", true, true, shell, false, 1},
		{"a shell of a crawl without browsers", false, false, shell, false, 1},
		{"a page", true, false, `<title>page</title><a href="/about">About</a><p>text`, false, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := &Input{URL: mustURL(t, "https://shop.example/"), Status: 200, ContentType: "text/html", Body: []byte(tt.body), Rendered: tt.rendered}
			c := benchCrawl(nil)
			c.Render = tt.render
			out := New().Parse(in, c, nil)
			if out.WantsRender != tt.want || len(out.Items.Items) != tt.items || len(out.Links.Outlinks) != 1 {
				t.Errorf("wants a browser %v, %d items, %d links", out.WantsRender, len(out.Items.Items), len(out.Links.Outlinks))
			}
		})
	}
}
