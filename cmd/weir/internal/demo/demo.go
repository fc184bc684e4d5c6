// Package demo is a small web shop on a loopback address for `weir demo`: pages
// that nobody has to be asked for, with the things that crawls meet: a sitemap of
// links, product pages, a redirect, a missing page, a robots.txt.
package demo

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"time"
)

// Site is a running shop. Close it.
type Site struct {
	lis  net.Listener
	srv  *http.Server
	done chan error
}

// Start opens the shop on a free loopback port.
func Start() (*Site, error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open the demo shop: %w", err)
	}
	s := &Site{lis: lis, srv: &http.Server{Handler: handler(), ReadHeaderTimeout: 5 * time.Second}, done: make(chan error, 1)}
	go func() { s.done <- s.srv.Serve(lis) }()
	return s, nil
}

// URL is the front page.
func (s *Site) URL() string { return "http://" + s.lis.Addr().String() + "/" }

// Net is the network that a crawl of the shop must be allowed.
func (s *Site) Net() string { return "127.0.0.1/32" }

// Close closes the shop and waits for it.
func (s *Site) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.srv.Shutdown(ctx)
	if err != nil {
		err = s.srv.Close() // idle connections of the crawl are no reason to wait
	}
	if serr := <-s.done; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	return err
}

// Spec is the spec that suits the shop.
func Spec(url string) []byte {
	return fmt.Appendf(nil, `name: demo
seeds: {urls: ["%s"]}
politeness: {delay: 0s}
extract:
  - name: product
    match: "*/product/*"
    fields:
      name:  {css: h1, required: true}
      price: {css: .price, regex: "([0-9.]+)", type: number}
      image: {css: img, attr: src, type: url}
      tags:  {css: .tag, many: true}
`, url)
}

type product struct {
	ID, Name, Price string
	Tags            []string
}

func products() []product {
	return []product{
		{"1", "Eel trap, willow", "48.00", []string{"fishing", "willow"}},
		{"2", "Landing net", "19.50", []string{"fishing"}},
		{"3", "Waders", "89.90", []string{"clothing"}},
		{"4", "Sluice board, oak", "35.00", []string{"timber", "weir"}},
		{"5", "Gauge staff, 2 m", "27.80", []string{"weir", "measuring"}},
		{"6", "Fish counter", "412.00", []string{"measuring", "fishing"}},
	}
}

// pages are parsed at each start: a demo starts once.
func pages() *template.Template {
	return template.Must(template.New("").Parse(`
{{define "home"}}<!doctype html><html lang="en"><title>The Weir Shop</title>
<meta name="description" content="Everything for the river keeper">
<h1>The Weir Shop</h1><ul>{{range .}}<li><a href="/product/{{.ID}}">{{.Name}}</a></li>{{end}}</ul>
<p><a href="/about">About us</a> <a href="/old">Old catalogue</a> <a href="/gone">Lost page</a> <a href="/admin/">Staff</a></p></html>{{end}}
{{define "product"}}<!doctype html><html lang="en"><title>{{.Name}} - The Weir Shop</title>
<h1>{{.Name}}</h1><img src="/img/{{.ID}}.jpg" alt=""><p class="price">€ {{.Price}}</p>
<p>{{range .Tags}}<span class="tag">{{.}}</span> {{end}}</p><a href="/">All products</a></html>{{end}}
{{define "about"}}<!doctype html><html lang="en"><title>About us</title><h1>About us</h1><a href="/?sessionid=1">Home</a></html>{{end}}`))
}

func handler() http.Handler {
	tmpl, all := pages(), products()
	mux := http.NewServeMux()
	show := func(w http.ResponseWriter, name string, data any) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = tmpl.ExecuteTemplate(w, name, data) // the crawl sees a broken page
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { show(w, "home", all) })
	mux.HandleFunc("GET /about", func(w http.ResponseWriter, _ *http.Request) { show(w, "about", nil) })
	mux.HandleFunc("GET /product/{id}", func(w http.ResponseWriter, r *http.Request) {
		for _, p := range all {
			if p.ID == r.PathValue("id") {
				show(w, "product", p)
				return
			}
		}
		http.NotFound(w, r)
	})
	mux.Handle("GET /old", http.RedirectHandler("/product/4", http.StatusMovedPermanently))
	mux.HandleFunc("GET /robots.txt", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("User-agent: *\nDisallow: /admin/\n")) // the crawl sees a broken file
	})
	return mux
}
