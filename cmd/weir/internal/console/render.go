package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static/*
var staticFiles embed.FS

// handle is the body of a page. What it returns becomes a page that says so.
type handle func(w http.ResponseWriter, r *http.Request) error

// page runs a handle with the token of whoever looks and a bound on its time.
func (s *Server) page(h handle) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		deadline(w)
		ctx, cancel := context.WithTimeout(withToken(r.Context(), tokenOf(r)), callTime)
		defer cancel()
		r = r.WithContext(ctx)
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
			return
		}
		// They may have signed in at another console, or before this one was started.
		s.lender.offer(tokenOf(r))
	})
}

// stream is page without the bound: for what lasts as long as there is something to send.
func (s *Server) stream(h handle) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The time for reading the request is over while the answer goes on.
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		r = r.WithContext(withToken(r.Context(), tokenOf(r)))
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

// view is a page to be rendered.
type view struct {
	// Name of the template and Title of the page.
	Name, Title string
	// Section is the entry of the navigation that is current.
	Section string
	// Live pages are fetched again when there is something new.
	Live bool
	// Page is the page's own data.
	Page any
}

// layout is what the template of all pages is given.
type layout struct {
	view
	Version  string
	SignedIn bool
	// Trouble is why the charts stand still; empty where they do not.
	Trouble string
	// Notice says what was done by the request before.
	Notice string
	// CSS and JS are the addresses of the assets, with their versions.
	CSS, JS, Icon string
	Now           time.Time
}

// render writes a page. It is made whole before the first byte is sent, so that one that
// cannot be made is an error and no half page.
func (s *Server) render(w http.ResponseWriter, r *http.Request, code int, v view) error {
	l := layout{
		view: v, Version: s.deps.Version, SignedIn: tokenOf(r) != "", Notice: notices()[r.URL.Query().Get("done")],
		CSS: s.assets.url("console.css"), JS: s.assets.url("console.js"), Icon: s.assets.url("icon.svg"), Now: s.deps.Now(),
	}
	if v.Live {
		l.Trouble = s.trouble.get()
	}
	t := s.templates[v.Name]
	if t == nil {
		return fmt.Errorf("no template %q", v.Name)
	}
	var out bytes.Buffer
	if err := t.ExecuteTemplate(&out, "layout", l); err != nil {
		return fmt.Errorf("render %s: %w", v.Name, err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write(out.Bytes()) // whoever has gone away needs no page
	return nil
}

// fragment renders one block of a page's template.
func (s *Server) fragment(page, block string, data any) (string, error) {
	var out bytes.Buffer
	if err := s.templates[page].ExecuteTemplate(&out, block, data); err != nil {
		return "", fmt.Errorf("render %s of %s: %w", block, page, err)
	}
	return out.String(), nil
}

// parse reads the templates: each page's own file with those that all share, which begin
// with an underscore.
func (s *Server) parse() (map[string]*template.Template, error) {
	files, err := fs.ReadDir(templateFiles, "templates")
	if err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	shared, err := template.New("").Funcs(funcs(s.deps.Now)).ParseFS(templateFiles, "templates/_*.html")
	if err != nil {
		return nil, fmt.Errorf("parse templates: %w", err)
	}
	out := map[string]*template.Template{}
	for _, f := range files {
		name, ok := strings.CutSuffix(f.Name(), ".html")
		if !ok || strings.HasPrefix(name, "_") {
			continue
		}
		t, err := shared.Clone()
		if err == nil {
			t, err = t.ParseFS(templateFiles, "templates/"+f.Name())
		}
		if err != nil {
			return nil, fmt.Errorf("parse template %s: %w", name, err)
		}
		out[name] = t
	}
	return out, nil
}

// notices are what pages say was done, by the code that a redirect carries: no text comes
// from an address.
func notices() map[string]string {
	return map[string]string{
		"created": "The crawl was created and runs.",
		"pause":   "The crawl is paused: nothing new is handed out, what is in flight is finished.",
		"resume":  "The crawl goes on.",
		"close":   "The crawl takes no more seeds and finishes when nothing is left to visit.",
		"cancel":  "The crawl was cancelled.",
		"deleted": "The crawl was deleted.",
		"policy":  "The policy of the host was changed; it counts for all crawls from now on.",
		"cleared": "The policy of the host was taken back.",
		"retried": "The dead letters were put back into their queues.",
	}
}

// assets are the files that pages use. They are small, and named with a digest of their
// content, so that browsers keep them for as long as they are right.
type assets struct {
	files map[string][]byte
	sums  map[string]string
}

func readAssets() (*assets, error) {
	a := &assets{files: map[string][]byte{}, sums: map[string]string{}}
	files, err := fs.ReadDir(staticFiles, "static")
	if err != nil {
		return nil, fmt.Errorf("read assets: %w", err)
	}
	for _, f := range files {
		data, err := fs.ReadFile(staticFiles, "static/"+f.Name())
		if err != nil {
			return nil, fmt.Errorf("read assets: %w", err)
		}
		sum := sha256.Sum256(data)
		a.files[f.Name()], a.sums[f.Name()] = data, hex.EncodeToString(sum[:6])
	}
	return a, nil
}

// url is the address of a file.
func (a *assets) url(name string) string { return "/static/" + name + "?v=" + a.sums[name] }

// ServeHTTP implements http.Handler.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	deadline(w)
	name := r.PathValue("file")
	data, ok := a.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	age := "no-cache"
	if r.URL.Query().Get("v") == a.sums[name] {
		age = "public, max-age=31536000, immutable"
	}
	h := w.Header()
	h.Set("Cache-Control", age)
	h.Set("Etag", `"`+a.sums[name]+`"`)
	if ct := mime.TypeByExtension(path.Ext(name)); ct != "" {
		h.Set("Content-Type", ct)
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
}
