package hostile

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/hex"
	"io"
	"strings"

	"github.com/weircrawl/weir/internal/crawl"
)

// codings are bombs and lies about content codings.
func codings() []behaviour {
	page := strings.Repeat(pageOf("coded"), 50)
	whole := Want{Status: 200, Body: page}
	full := Want{Status: 200, Size: Full, Truncated: true}
	corrupt := Want{Class: crawl.ClassBadResponse, Status: 200, Size: Any, Truncated: true}
	gz := gzipped(page)
	// Endless ones would take the site longer than the client.
	twice := gzipped(gzipped(strings.Repeat("\x00", 32<<20)))
	as := func(coding, body string) serve {
		return func(x *exchange) bool { return x.page("200 OK", body, "Content-Encoding: "+coding) }
	}
	return []behaviour{
		{"/coded/gzip", whole, as("gzip", gz)},
		{"/coded/gzip-twice", whole, as("gzip, gzip", gzipped(gz))},
		{"/coded/unknown", whole, as("utf-8", page)},
		{"/coded/not-at-all", whole, as("gzip", page)},
		{"/coded/rubbish-behind", whole, as("gzip", gz+"rubbish")},
		{"/coded/cut", Want{Status: 200, Size: Any, Truncated: true}, as("gzip", gz[:len(gz)-20])},
		{"/coded/corrupt", corrupt, as("gzip", gz[:20]+strings.Repeat("\xff", 50)+gz[70:])},
		{"/coded/rubbish-br", corrupt, as("br", page)},
		{"/coded/rubbish-zstd", corrupt, as("zstd", page)},
		{"/coded/rubbish-deflate", corrupt, as("deflate", "\xff"+page)},
		{"/coded/layers", corrupt, as("gzip,gzip,gzip,gzip,gzip,gzip", gz)},
		{"/bomb/gzip", full, bomb("gzip", func(w io.Writer) io.Writer { return gzip.NewWriter(w) })},
		{"/bomb/deflate", full, bomb("deflate", func(w io.Writer) io.Writer { return zlib.NewWriter(w) })},
		{"/bomb/raw-deflate", full, bomb("deflate", func(w io.Writer) io.Writer { z, _ := flate.NewWriter(w, flate.BestSpeed); return z })},
		{"/bomb/gzip-of-gzip", full, as("gzip, gzip", twice)},
		{"/bomb/gzip-of-gzip-of-gzip", full, as("gzip, gzip, gzip", gzipped(twice))},
		{"/bomb/br", full, as("br", brotliZeros())},
		{"/bomb/br-in-gzip", full, as("br, gzip", gzipped(brotliZeros()))},
		{"/bomb/zstd", full, repeat(head(ok, isHTML, "Content-Encoding: zstd")+zstdHead, strings.Repeat(zstdZeros, 64))},
		{"/bomb/zstd-window", Want{Class: crawl.ClassBadResponse, Status: 200, Truncated: true}, as("zstd", "\x28\xb5\x2f\xfd\x00\xf8"+zstdZeros)},
		// What passes between two codings is not what comes out in the end.
		{"/bomb/in-the-middle", Want{Class: crawl.ClassTooLarge, Status: 200, Truncated: true, Detail: "longer than the limit"}, as("gzip, gzip", gzipped(strings.Repeat(gzipped(""), 1<<18)))},
		// A file to be kept as it is: nobody has asked to unpack it.
		{"/bomb/archive.gz", Want{Status: 200, Size: Any}, func(x *exchange) bool {
			body := gzipped(strings.Repeat("\x00", 8<<20))
			return x.page("200 OK", body, "Content-Disposition: attachment")
		}},
	}
}

// bomb writes zeros through a coding until the client has had enough. A coding that
// is too good would not notice.
func bomb(coding string, through func(io.Writer) io.Writer) serve {
	return func(x *exchange) bool {
		err := x.text(head(ok, isHTML, "Content-Encoding: "+coding))
		w := through(x)
		zeros := make([]byte, 256<<10)
		for err == nil {
			_, err = w.Write(zeros)
		}
		return false
	}
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s) // a bytes.Buffer takes everything
	_ = w.Close()
	return b.String()
}

// A zstd frame with a window of 1 MiB, and a block that repeats one byte 128 Ki
// times.
const (
	zstdHead  = "\x28\xb5\x2f\xfd\x00\x50"
	zstdZeros = "\x02\x00\x10\x00"
)

// brotliZeros is 256 MiB of zeros, in 405 bytes: a first part, one that repeats for
// the other 16 MiB, and an end.
func brotliZeros() string {
	const first = "cbffff3f002400e2b14072effff8ffff078004401c1680eefd1fffffff00900088c302d0bdffe3ffff1f001200715800baf77ffcffff034002200e0b40f7fe8fffff7f004800c46101e8defff1ffff0f000980382c00ddfb3ffeffff012001108705a07bffc7"
	const other = "ffff3f002400e2b00074effff8ffff078004401c1680eefd1fffffff00900088c302d0bdffe3ffff1f001200715800baf77ffcffff034002200e0b40f7fe8fffff7f004800c46101e8defff1ffff0f000980382c00ddfb3ffeffff012001108705a07bffc7"
	const last = "ffff3f002400e2b00074effff8ffff078004401c1680eefd1fffffff00900088c302d0bdffe3ffff1f001200715800baf77ffcffff034002200e0b40f7fe8fffff7f004800c46101e8defff1ffff0f000980382c00ddfb3ffeffff012001108705a07bff37"
	data, err := hex.DecodeString(first + strings.Repeat(other, 2) + last)
	if err != nil {
		return "" // shows as a bomb that is none
	}
	return string(data)
}
