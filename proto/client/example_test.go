package client_test

import (
	"context"
	"fmt"
	"log"
	"slices"
	"time"

	"github.com/weircrawl/weir/proto/client"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// Submit a crawl, wait for its end and take all its items at once.
func Example() {
	addr, stop := serve(&weir{}) // yours is at 127.0.0.1:7070 after `weir up`
	defer stop()
	c, err := client.Dial(client.Config{Server: addr})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	cr, err := c.Submit(ctx, &crawlv1.CrawlSpec{
		Name:  "shop",
		Seeds: &crawlv1.Seeds{Urls: []string{"https://shop.example/"}},
	}, client.Submission{Close: true})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := cr.Wait(ctx, 0); err != nil {
		log.Fatal(err)
	}
	items, err := cr.Results(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, it := range items {
		fmt.Println(string(it.JSON))
	}
	// Output: {"url":"https://shop.example/"}
}

// Add URLs to a crawl that is open, close it, and take the items as they come.
func ExampleCrawl_Items() {
	addr, stop := serve(&weir{})
	defer stop()
	c, err := client.Dial(client.Config{Server: addr})
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx := context.Background()

	cr, err := c.Submit(ctx, &crawlv1.CrawlSpec{Name: "list"}, client.Submission{})
	if err != nil {
		log.Fatal(err)
	}
	added, err := cr.Add(ctx, slices.Values([]string{"https://a.example/", "https://b.example/", "https://a.example/"}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(added.Added, "added,", added.Known, "known")
	if err := cr.Close(ctx); err != nil {
		log.Fatal(err)
	}
	for it, err := range cr.Items(ctx, 0) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(it.Cursor, it.URL)
	}
	// Output:
	// 2 added, 1 known
	// 1 https://a.example/
	// 2 https://b.example/
}
