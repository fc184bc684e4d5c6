package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/klauspost/compress/flate"

	"github.com/weircrawl/weir/internal/warc"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/storage/internal/archive"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

const (
	crawlID = "0123456789abcdefghijklmnop"
	perPage = 3 // items
	bodies  = 64
)

var when = time.Date(2026, 11, 22, 10, 11, 12, 345678000, time.UTC)

// batch is what a turn is made of.
type batch struct {
	pages     []*catalogue.Page
	exchanges []*archive.Exchange
}

// makeBatch makes n pages from a number on.
func makeBatch(from, n int) *batch {
	b := &batch{}
	for i := from; i < from+n; i++ {
		p := makePage(i)
		b.pages = append(b.pages, p)
		b.exchanges = append(b.exchanges, exchangeOf(i, p))
	}
	return b
}

func makePage(n int) *catalogue.Page {
	url := fmt.Sprintf("https://shop.example/catalogue/category-%d/product-%d.html", n%97, n)
	sum := sha256.Sum256([]byte(url))
	p := &catalogue.Page{
		Key:          catalogue.Key{Crawl: crawlID, URL: weburl.KeyOf(url), Generation: 1, Attempt: 1, Kind: catalogue.KindPage},
		CanonicalURL: url, Lease: 1<<40 | uint64(n), Depth: 3, FetchedAt: when.Add(time.Duration(n) * time.Millisecond), Duration: 123 * time.Millisecond, Status: 200,
		ContentType: "text/html", Title: fmt.Sprintf("Product %d: a willow eel trap, hand made", n), Language: "en", Size: 16384, SHA256: sum[:], Outlinks: 41, Content: sum[:],
		Place: archive.Place{Segment: 1, Offset: int64(n) * 6000, Length: 5800},
	}
	for i := range perPage {
		p.Items = append(p.Items, catalogue.Item{Rule: "offer", Index: uint32(i), JSON: fmt.Appendf(nil,
			`{"name":"Eel trap %d, variant %d","price":%d.5,"currency":"EUR","in_stock":true,"tags":["fishing","willow","hand made"],"image":"https://shop.example/img/%d-%d.jpg","_url":%q,"_rule":"offer","_fetched_at":"2026-11-22T10:11:12.345Z"}`,
			n, i, n%500, n, i, url)})
	}
	p.ItemsDigest = catalogue.DigestItems(p.Items)
	return p
}

// body is a page's body as the fetcher hands it over.
type body struct {
	deflate []byte
	sum     warc.Sum
	sha     [32]byte
}

// makeBodies makes pages of about 16 KiB that compress to about a fifth.
func makeBodies() []body {
	words := strings.Fields("the of and water river fish weir stone flow measured rate keeps stream gate level upstream bank bridge mill pond season spring autumn")
	var all []body
	for n := range bodies {
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		var text bytes.Buffer
		for link := 0; text.Len() < 16<<10; link++ {
			text.WriteString("<p class=\"text\">")
			for range 40 {
				text.WriteString(words[rng.IntN(len(words))] + " ")
			}
			fmt.Fprintf(&text, "<a href=\"/section/%d/page-%d.html\">Link %d</a></p>\n", rng.IntN(20), rng.IntN(10000), link)
		}
		var out bytes.Buffer
		w, _ := flate.NewWriter(&out, flate.BestSpeed) // the level is one that there is
		_, _ = w.Write(text.Bytes())                   // a buffer takes everything
		_ = w.Flush()
		_ = w.Close()
		trimmed, _ := warc.Trim(out.Bytes())
		all = append(all, body{trimmed, warc.Sum{Size: int64(text.Len()), CRC32: crc32.ChecksumIEEE(text.Bytes())}, sha256.Sum256(text.Bytes())})
	}
	return all
}

var theBodies = makeBodies()

func exchangeOf(n int, p *catalogue.Page) *archive.Exchange {
	b := theBodies[n%bodies]
	header := func(name, value string) archive.Header { return archive.Header{Name: name, Value: []byte(value)} }
	return &archive.Exchange{
		Crawl: crawlID, ID: archive.NewID(p.SHA256), URL: p.CanonicalURL, At: p.FetchedAt, Protocol: "HTTP/1.1", Status: 200,
		Request:  []archive.Header{header("User-Agent", "Weir/0.1 (+https://github.com/weircrawl/weir)"), header("Accept", "text/html,*/*;q=0.8")},
		Response: []archive.Header{header("Content-Type", "text/html; charset=utf-8"), header("Date", "Sun, 22 Nov 2026 10:11:12 GMT"), header("Server", "nginx")},
		Body:     archive.Body{Deflate: b.deflate, Sum: b.sum, SHA256: b.sha[:]},
	}
}
