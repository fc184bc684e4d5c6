package weburl

import (
	"fmt"
	"testing"
)

// pageLinks are 40 links as pages have them.
func pageLinks() []string {
	links := []string{
		"/", "#top", "/about.html", "../index.html", "./next", "?page=2", "https://www.shop.example/", "//cdn.shop.example/x.css",
		"http://other.example/path/page.html", "/search?q=shoes&sort=price&page=3",
	}
	for i := len(links); i < 40; i += 3 {
		links = append(links, fmt.Sprintf("/products/item-%d.html", i), fmt.Sprintf("item-%d.html?colour=red&size=%d", i, i%5),
			fmt.Sprintf("https://www.shop.example/catalogue/category-%d/index.html", i))
	}
	return links[:40]
}

func BenchmarkResolvePage(b *testing.B) {
	for name, opts := range map[string]Options{"plain": {}, "options": everything()} {
		b.Run(name, func(b *testing.B) {
			links := pageLinks()
			c := New(opts)
			b.ReportAllocs()
			for b.Loop() {
				base, err := c.Base("https://www.shop.example/catalogue/category-1/page.html?x=1")
				if err != nil {
					b.Fatal(err)
				}
				for _, l := range links {
					if _, err := base.Resolve(l); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(links)), "ns/link")
		})
	}
}

func BenchmarkResolve(b *testing.B) {
	for _, ref := range []string{"/a/b.html", "b.html?x=1", "../c", "https://www.shop.example/x/y.html", "http://other.example/", "/b?z=1&a=2", "/%C3%A9", "/é"} {
		b.Run(ref, func(b *testing.B) {
			base, err := New(everything()).Base("https://www.shop.example/catalogue/category-1/page.html?x=1")
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := base.Resolve(ref); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkURL(b *testing.B) {
	const s = "https://www.shop.example/catalogue/category-1/page.html?x=1"
	u, err := FromCanonical(s)
	if err != nil {
		b.Fatal(err)
	}
	for name, f := range map[string]func(){
		"FromCanonical": func() { _, _ = FromCanonical(s) },
		"Key":           func() { _ = u.Key() },
		"HostID":        func() { _ = u.HostID() },
		"Site":          func() { _ = u.Site() },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}

func TestResolveAllocatesOnce(t *testing.T) {
	base, err := New(everything()).Base("https://www.shop.example/catalogue/category-1/page.html?x=1")
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range pageLinks() {
		got := testing.AllocsPerRun(100, func() {
			if _, err := base.Resolve(ref); err != nil {
				t.Fatal(err)
			}
		})
		if got > 1 {
			t.Errorf("Resolve(%q) allocates %v times", ref, got)
		}
	}
	u := base.self
	if got := testing.AllocsPerRun(100, func() { _, _ = u.Key(), u.HostID() }); got > 0 {
		t.Errorf("hashing allocates %v times", got)
	}
}
