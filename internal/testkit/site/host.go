package site

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"hash/fnv"
	"html"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

const robotsPath = "/robots.txt"

// host answers the requests of one host and keeps their account.
type host struct {
	site   *Server
	number int
	acc    *account
	root   *os.Root // with Config.Dir
}

// answer is a response before it is sent.
type answer struct {
	status int
	header map[string]string
	body   []byte
	delay  time.Duration
	abort  bool
	gzip   bool
	// retryAfter is asked for, as a date if date is set.
	retryAfter time.Duration
	date       bool
}

func (s *Server) newHost(number int) (*host, error) {
	h := &host{site: s, number: number, acc: s.accounts[number]}
	if s.cfg.Dir == "" {
		return h, nil
	}
	root, err := os.OpenRoot(s.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("directory to serve: %w", err)
	}
	h.root = root
	return h, nil
}

// ServeHTTP implements http.Handler.
func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := r.URL.RequestURI()
	before := h.acc.begin(target, r.UserAgent(), time.Now())
	b := h.site.behaviour.Load()
	a := h.answer(b, r, before)
	wait(r.Context(), b.latency(h.number, target)+a.delay)
	h.send(w, r, target, a)
}

// latency of a path of a host.
func (b *Behaviour) latency(host int, target string) time.Duration {
	if b.LatencyMax <= b.Latency {
		return b.Latency
	}
	sum := fnv.New64a()
	_, _ = fmt.Fprint(sum, host, target) // a hash takes everything
	return b.Latency + time.Duration(sum.Sum64()%uint64(b.LatencyMax-b.Latency))
}

// answer decides what a request gets: routes first, then robots.txt, then files or
// the graph.
func (h *host) answer(b *Behaviour, r *http.Request, before int) answer {
	if route, ok := b.Routes[r.URL.Path]; ok {
		return h.route(route, r.URL.Path, before)
	}
	switch {
	case r.URL.Path == robotsPath && b.Robots != "":
		return answer{status: http.StatusOK, body: []byte(b.Robots), header: map[string]string{"Content-Type": "text/plain"}}
	case h.root != nil:
		return h.file(r.URL.Path)
	}
	if i, ok := h.site.graph.pageNumber(r.URL.Path); ok {
		return answer{status: http.StatusOK, body: h.site.graph.page(h.number, i)}
	}
	for _, extra := range h.site.cfg.Extra {
		if extra == r.URL.RequestURI() {
			return h.route(Route{}, r.URL.Path, before)
		}
	}
	return answer{status: http.StatusNotFound, body: []byte("<title>Not found</title>\n")}
}

func (h *host) route(route Route, name string, before int) answer {
	a := answer{
		status: route.Status, header: route.Header, body: []byte(route.Body),
		delay: route.Delay, abort: route.Abort, gzip: route.Gzip,
	}
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if before < route.FailFirst {
		a.status = route.FailStatus
		if a.status == 0 {
			a.status = http.StatusServiceUnavailable
		}
		a.retryAfter, a.date = route.RetryAfter, route.RetryAfterDate
	}
	if route.Body == "" {
		a.body = []byte("<!doctype html>\n<title>" + html.EscapeString(name) + "</title>\n")
	}
	filler := h.site.graph.filler
	for len(a.body) < route.Size {
		a.body = append(a.body, filler[:min(len(filler), route.Size-len(a.body))]...)
	}
	return a
}

// file reads a file of Config.Dir; a directory is answered with its index.html, and
// there are no listings.
func (h *host) file(name string) answer {
	missing := answer{status: http.StatusNotFound, body: []byte("<title>Not found</title>\n")}
	rel := strings.TrimPrefix(path.Clean("/"+name), "/")
	if rel == "" {
		rel = "."
	}
	info, err := h.root.Stat(rel)
	if err != nil {
		return missing
	}
	if info.IsDir() {
		if !strings.HasSuffix(name, "/") {
			return answer{status: http.StatusMovedPermanently, header: map[string]string{"Location": name + "/"}}
		}
		rel = path.Join(rel, "index.html")
	}
	body, err := h.root.ReadFile(rel)
	if err != nil {
		return missing
	}
	return answer{status: http.StatusOK, body: body, header: map[string]string{"Content-Type": contentType(rel)}}
}

// contentType knows the types of a documentation tree; the machine's own table
// would make tests depend on what is installed.
func contentType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".html", ".htm":
		return "text/html; charset=utf-8"
	case ".css":
		return "text/css"
	case ".js":
		return "text/javascript"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".xml":
		return "application/xml"
	case ".json":
		return "application/json"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".pdf":
		return "application/pdf"
	default:
		return "application/octet-stream"
	}
}

// send writes an answer. The account is closed before the last bytes leave, see the
// package comment.
func (h *host) send(w http.ResponseWriter, r *http.Request, target string, a answer) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	for k, v := range a.header {
		header.Set(k, v)
	}
	if a.gzip && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		a.body = compress(a.body)
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Content-Length", strconv.Itoa(len(a.body)))
	if a.retryAfter > 0 {
		h.askBack(header, a)
	}
	h.acc.end(target, a.status, len(a.body), time.Now())
	w.WriteHeader(a.status)
	if r.Method == http.MethodHead {
		return
	}
	if a.abort {
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler) // net/http's way to cut a connection
	}
	_, _ = w.Write(a.body) // a client that went away is the client's business
}

// askBack asks to be left alone for a while.
func (h *host) askBack(header http.Header, a answer) {
	now := time.Now()
	until := now.Add(a.retryAfter.Truncate(time.Second))
	if a.date {
		until = until.Truncate(time.Second)
		header.Set("Date", now.UTC().Format(http.TimeFormat)) // the two agree
		header.Set("Retry-After", until.UTC().Format(http.TimeFormat))
	} else {
		header.Set("Retry-After", strconv.Itoa(int(a.retryAfter.Seconds())))
	}
	h.acc.ask(until)
}

func compress(body []byte) []byte {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	_, _ = zw.Write(body) // a bytes.Buffer takes everything
	_ = zw.Close()
	return b.Bytes()
}

// wait passes d, less when the site is closed or the client goes away.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
