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

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/resolve"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/fetcher/internal/body"
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
	bufs := make([][]byte, workers)
	for i := range bufs {
		bufs[i] = make([]byte, size+1)
	}
	url := "http://" + addr + "/page"
	into := func(worker int, r io.Reader) ([]byte, error) {
		n, err := io.ReadFull(r, bufs[worker])
		if err != io.ErrUnexpectedEOF || n != size {
			return nil, fmt.Errorf("a page of %d bytes: %w", n, err)
		}
		return bufs[worker][:n], nil
	}
	var packer body.Reader
	ours, closeOurs := fetch(url, size, workers)
	return []bench{
		{"bare", bare(hc, url, func(worker int, r io.Reader) error {
			_, err := into(worker, r)
			return err
		})},
		{"bare + hashes", bare(hc, url, func(worker int, r io.Reader) error {
			page, err := into(worker, r)
			sum, crc := sha256.Sum256(page), crc32.ChecksumIEEE(page)
			bufs[worker][size] = sum[0] ^ byte(crc) // not for nothing
			return err
		})},
		{"bare + hashes + deflate", bare(hc, url, func(_ int, r io.Reader) error {
			b, err := packer.Read(r, 10<<20, func(int64) error { return nil })
			if err == nil && b.Size != int64(size) {
				err = fmt.Errorf("a page of %d bytes", b.Size)
			}
			return err
		})},
		{"fetch", ours},
	}, func() { tr.CloseIdleConnections(); closeOurs() }
}

// bare is what a loop without a design does.
func bare(hc *http.Client, url string, read func(worker int, r io.Reader) error) func(worker int) error {
	return func(worker int) error {
		req, err := http.NewRequest(http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		req.Header.Set("User-Agent", "Weir/bench")
		req.Header.Set("Accept-Encoding", inflate.AcceptEncoding)
		resp, err := hc.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		return read(worker, resp.Body)
	}
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
