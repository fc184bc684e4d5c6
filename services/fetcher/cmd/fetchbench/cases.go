//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/netip"
	"time"

	"github.com/klauspost/compress/flate"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/resolve"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/fetcher/internal/budget"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
	"github.com/weircrawl/weir/services/fetcher/internal/guard"
	"github.com/weircrawl/weir/services/fetcher/internal/inflate"
)

// bench is one thing that is measured.
type bench struct {
	name string
	do   func(worker int) error
}

// cases are what is measured, the bare loop first.
func cases(addr string, size, workers int) (list []bench, closeAll func()) {
	tr := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: workers}
	hc := &http.Client{Transport: tr}
	state := make([]scratch, workers)
	for i := range state {
		state[i].buf = make([]byte, size+1)
		state[i].deflate, _ = flate.NewWriter(nil, flate.BestSpeed)
	}
	url := "http://" + addr + "/page"
	with := func(more func(*scratch, []byte)) func(int) error {
		return func(worker int) error {
			s := &state[worker]
			page, err := bare(hc, url, s.buf)
			if err == nil && len(page) != size {
				err = fmt.Errorf("a page of %d bytes", len(page))
			}
			if err == nil && more != nil {
				more(s, page)
			}
			return err
		}
	}
	ours, closeOurs := fetch(url, size, workers)
	return []bench{
		{"bare", with(nil)},
		{"bare + hashes", with(func(s *scratch, page []byte) { s.hash(page) })},
		{"bare + hashes + deflate", with(func(s *scratch, page []byte) { s.hash(page); s.compress(page) })},
		{"fetch", ours},
	}, func() { tr.CloseIdleConnections(); closeOurs() }
}

// scratch is what a worker of the bare loop keeps.
type scratch struct {
	buf     []byte
	deflate *flate.Writer
	out     []byte
	sum     [sha256.Size]byte
	crc     uint32
}

func (s *scratch) hash(page []byte) {
	s.sum, s.crc = sha256.Sum256(page), crc32.ChecksumIEEE(page)
}

// Write keeps what the compressor gives.
func (s *scratch) Write(p []byte) (int, error) {
	s.out = append(s.out, p...)
	return len(p), nil
}

func (s *scratch) compress(page []byte) {
	s.out = s.out[:0]
	s.deflate.Reset(s)
	_, _ = s.deflate.Write(page) // scratch takes everything
	_ = s.deflate.Close()
	s.out = append([]byte(nil), s.out...) // somebody will keep it
}

// bare is what a loop without a design does.
func bare(hc *http.Client, url string, buf []byte) ([]byte, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "Weir/bench")
	req.Header.Set("Accept-Encoding", inflate.AcceptEncoding)
	resp, err := hc.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	n, err := io.ReadFull(resp.Body, buf)
	if err != io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("the page is not as long as it should be: %w", err)
	}
	return buf[:n], nil
}

// fetch is the fetcher's client as the service uses it.
func fetch(url string, size, workers int) (do func(int) error, closeAll func()) {
	names := resolve.New(resolve.DefaultConfig(), resolve.System)
	c := client.New(client.Config{
		DialTimeout: 10 * time.Second, TLSTimeout: 10 * time.Second, HeaderTimeout: time.Minute,
		MaxIdle: 2 * workers, MaxIdlePerHost: workers, IdleTimeout: 30 * time.Second,
	}, guard.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}), names)
	memory := budget.New(576 << 20)
	opts := &client.Options{
		Header:  http.Header{"User-Agent": {"Weir/bench"}, "Accept-Encoding": {inflate.AcceptEncoding}},
		Timeout: 30 * time.Second, MaxBody: 10 << 20, MinSpeed: 100, Canon: weburl.New(weburl.Options{}),
	}
	return func(int) error {
		u, err := weburl.FromCanonical(url)
		if err != nil {
			return err
		}
		acc, err := memory.Open(context.Background(), client.BaseWeight)
		if err != nil {
			return err
		}
		defer acc.Close()
		res, err := c.Do(context.Background(), u, opts, acc)
		if err == nil && (res.Class != crawl.ClassNone || res.Body.Size != int64(size)) {
			err = fmt.Errorf("%s: %s, %d bytes", res.Class, res.Detail, res.Body.Size)
		}
		return err
	}, c.Close
}
