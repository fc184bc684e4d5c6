package charset

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/gogs/chardet"
	"golang.org/x/text/encoding/htmlindex"
)

// sampleSize is what a guess is made from. Detection runs at 14 MB/s: a whole
// page of a MiB would cost more than everything else done with it.
const sampleSize = 8 << 10

// guess names the encoding of a page that declares none and is not UTF-8.
func guess(body []byte) string {
	s := sample(body)
	if bytes.IndexByte(s, 0x1b) < 0 && countHigh(s) < fewBytes {
		return "windows-1252"
	}
	results, err := chardet.NewHtmlDetector().DetectAll(s)
	if err != nil {
		return "windows-1252"
	}
	// The detector runs its recognisers concurrently and answers equals in the
	// order they finish; a page must not change its encoding from visit to visit.
	slices.SortFunc(results, func(a, b chardet.Result) int {
		if a.Confidence != b.Confidence {
			return b.Confidence - a.Confidence
		}
		return bytes.Compare([]byte(a.Charset), []byte(b.Charset))
	})
	for _, r := range results {
		name := declared(r.Charset)
		if name == "" || name == UTF8 {
			continue
		}
		if decodesCleanly(s, name) {
			return name
		}
	}
	return "windows-1252"
}

// guessUTF16 recognises UTF-16 without a byte order mark by the NULs that every
// other byte of markup then is.
func guessUTF16(body []byte) string {
	if len(body) < 8 || body[0] != 0 && body[1] != 0 && body[2] != 0 && body[3] != 0 {
		return "" // nearly every page, without a look at more
	}
	head := body[:min(len(body), 256)]
	var nul [2]int
	for i, c := range head {
		if c == 0 {
			nul[i&1]++
		}
	}
	half := len(head) / 2
	switch {
	case half < 4:
		return ""
	case nul[1] > half*3/4 && nul[0] == 0:
		return "utf-16le"
	case nul[0] > half*3/4 && nul[1] == 0:
		return "utf-16be"
	}
	return ""
}

// sample returns a piece of the page that has text outside ASCII, which pages
// with a long head of scripts and styles have far from the start.
func sample(body []byte) []byte {
	start := 0
	for start < len(body) && body[start] < utf8.RuneSelf && body[start] != 0x1b {
		start++
	}
	start = max(0, start-sampleSize/8)
	return body[start:min(len(body), start+sampleSize)]
}

// decodesCleanly reports whether nearly all of the sample has a meaning in an
// encoding. The last character may be cut.
func decodesCleanly(s []byte, name string) bool {
	e, err := htmlindex.Get(name)
	if err != nil {
		return false
	}
	text, err := e.NewDecoder().Bytes(s)
	if err != nil {
		return false
	}
	bad := bytes.Count(text, []byte("\ufffd"))
	return bad <= 1+len(s)/200
}

// countHigh counts the bytes outside ASCII.
func countHigh(s []byte) int {
	n := 0
	for _, c := range s {
		if c >= utf8.RuneSelf {
			n++
		}
	}
	return n
}
