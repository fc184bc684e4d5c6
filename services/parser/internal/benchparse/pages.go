//go:build unix

package main

import (
	"fmt"
	"strings"
)

// makePage makes a product page of about size bytes: navigation, structured data,
// a description at length, a table, and links to other products.
func makePage(size int) []byte {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Product 4711 &amp; more</title>
<meta name="description" content="All about product 4711"><link rel="stylesheet" href="/style.css"><link rel="canonical" href="https://shop.example/p/4711">
<meta property="og:title" content="Product 4711"><meta property="og:image" content="/img/4711.jpg">
<script type="application/ld+json">{"@context":"https://schema.org","@type":"Product","name":"Product 4711","offers":{"@type":"Offer","price":"19.90","priceCurrency":"EUR"},"aggregateRating":{"ratingValue":4.5,"reviewCount":12}}</script>
<script>window.dataLayer = window.dataLayer || []; function gtag(){ dataLayer.push(arguments); } if (1 < 2) { gtag('js', new Date()); }</script></head><body>
<nav class="top"><ul>`)
	for i := range 12 + size/4096 {
		fmt.Fprintf(&b, `<li class="item"><a class="nav-link" href="/category/%d?page=1&amp;sort=price">Category %d</a></li>`+"\n", i, i)
	}
	b.WriteString(`</ul><div class="crumb"><a href="/">Home</a> <a href="/lamps">Lamps</a></div></nav>
<main itemscope itemtype="https://schema.org/Product"><h1 itemprop="name">Product 4711</h1><meta itemprop="sku" content="S4711"><p class="price">19.90 EUR</p><span id="brand">ACME</span>
<span class="stock" data-rating="4.5">12 left</span><img class="photo" src="/img/4711.jpg" alt="">
<table class="specs"><tr><th>Weight</th><td>2 kg</td></tr><tr><th>Height</th><td>40 cm</td></tr></table>` + "\n")
	for i := 0; b.Len() < size-size/5; i++ {
		fmt.Fprintf(&b, `<div class="text"><p>Paragraph %d of a page whose text says nothing at all but says it at some length, so that the page is as long as pages are, with a <b>word</b> set off here and there.</p><span class="tag">tag%d</span></div>`+"\n", i, i)
	}
	for i := 0; b.Len() < size-120; i++ {
		fmt.Fprintf(&b, `<div class="card"><a href="item-%d.html" title="Item %d"><img src="/img/%d.jpg" alt=""></a><a href="item-%d.html">Item %d</a></div>`+"\n", i, i, i, i, i)
	}
	b.WriteString(`<a rel="next" href="/p/4712">next</a></main><footer>Imprint</footer></body></html>`)
	return []byte(b.String())
}
