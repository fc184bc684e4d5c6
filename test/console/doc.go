// Package console looks at Weir's web page with a real browser, a headless Chromium, while
// the ring crawls a local site: what is shown, what changes by itself, what can be done
// with and without scripts, and that nothing leaves the machine. It keeps a picture of
// each page in bin/screenshots, for people to look at.
package console
