package warc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// manyRecords is a file with records of every form that the encoder has.
func manyRecords(t testing.TB) []byte {
	t.Helper()
	e := NewEncoder()
	file := e.Append(nil, &Record{Type: Info, ID: id(1), Date: when, ContentType: TypeFields}, []byte("software: test\r\n"))
	for n := range 20 {
		body := page(100 << (n % 10))
		trimmed, _ := Trim(deflate(t, body))
		head := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nX-Long: " + strings.Repeat("x", n*300) + "\r\n\r\n")
		rec := Record{Type: Response, ID: id(byte(n)), Date: when, TargetURI: fmt.Sprintf("http://example.com/%d", n), ContentType: TypeResponse}
		switch n % 4 {
		case 0:
			file = e.Begin(file, &rec, head, sum(body), int64(len(trimmed)))
			file = e.End(append(file, trimmed...))
		case 1:
			rec.Type, rec.ContentType = Resource, "image/png"
			file = e.AppendStored(file, &rec, body)
		default:
			file = e.AppendSpliced(file, &rec, head, trimmed, sum(body))
		}
	}
	return file
}

// TestSkim: skimming sees what reading does, and the length of every member.
func TestSkim(t *testing.T) {
	t.Parallel()
	ours := manyRecords(t)
	var plain, unknown []byte
	for r := NewReader(bytes.NewReader(ours)); ; {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		plain = append(plain, "WARC/1.1\r\n"...)
		for _, f := range e.Fields {
			plain = append(plain, f.Name+": "+f.Value+"\r\n"...)
		}
		plain = append(plain, "\r\n"...)
		block, err := io.ReadAll(e)
		if err != nil {
			t.Fatal(err)
		}
		plain = append(append(plain, block...), closing...)
	}
	unknown = bytes.Clone(ours) // lengths that are not known
	for at := 0; at < len(unknown); {
		n := binary.LittleEndian.Uint32(unknown[at+lengthsAt:])
		clear(unknown[at+lengthsAt : at+lengthsAt+8])
		at += int(n)
	}
	for name, file := range map[string][]byte{"with lengths": ours, "without": unknown, "plain": plain} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slow, fast := NewReader(bytes.NewReader(file)), NewReader(bytes.NewReader(file))
			end := int64(0)
			for n := 0; ; n++ {
				e, err := slow.Next()
				var h *Head
				var herr error
				if n%5 == 4 { // they can take turns
					var other *Entry
					if other, herr = fast.Next(); herr == nil {
						h = &Head{Entry: *other, Packed: -1}
					}
				} else {
					h, herr = fast.Skim()
				}
				if errors.Is(err, io.EOF) && errors.Is(herr, io.EOF) {
					if n != 21 || fast.End() != int64(len(file)) {
						t.Errorf("%d records, end %d of %d", n, fast.End(), len(file))
					}
					return
				}
				if err != nil || herr != nil {
					t.Fatal(err, herr)
				}
				if diff := cmp.Diff(e.Fields, h.Fields); diff != "" || h.Offset != e.Offset || h.Offset != end && end >= 0 {
					t.Fatalf("record %d at %d and %d, want %d: %s", n, e.Offset, h.Offset, end, diff)
				}
				if end = -1; h.Packed >= 0 {
					end = h.Offset + h.Packed
					block, err := io.ReadAll(e)
					if err != nil {
						t.Fatal(err)
					}
					if !bytes.HasPrefix(block, h.Block) || e.Type() == Response && !bytes.Contains(h.Block, []byte("\r\n\r\n")) {
						t.Errorf("block of record %d begins with %.40q", n, h.Block)
					}
				}
			}
		})
	}
}

// TestSkimDamage: a file that was cut or changed is an error, never a panic or an
// endless row of records.
func TestSkimDamage(t *testing.T) {
	t.Parallel()
	file := manyRecords(t)
	rng := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		bad := bytes.Clone(file)
		if rng.IntN(2) == 0 {
			bad = bad[:rng.IntN(len(bad))]
		}
		for range rng.IntN(4) {
			if len(bad) > 0 {
				bad[rng.IntN(len(bad))] ^= byte(1 + rng.IntN(255))
			}
		}
		r := NewReader(bytes.NewReader(bad))
		for n := 0; ; n++ {
			if _, err := r.Skim(); err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, ErrFormat) {
					t.Fatalf("error %v", err)
				}
				break
			}
			if n > 50 {
				t.Fatal("more records than there were")
			}
		}
	}
}

func FuzzSkim(f *testing.F) {
	f.Add(manyRecords(f)[:4000])
	f.Add([]byte("WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 3\r\n\r\nabc\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(bytes.NewReader(data))
		for n := 0; ; n++ {
			h, err := r.Skim()
			if err != nil {
				return
			}
			if n > len(data) {
				t.Fatal("more records than bytes")
			}
			if line, ok := AppendCDXJ(nil, h, "f"); ok && (bytes.Count(line, []byte("\n")) != 1 || line[len(line)-1] != '\n') {
				t.Fatalf("line %q", line)
			}
		}
	})
}

func TestSURT(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"http://example.com/":                           "com,example)/",
		"https://www.Example.com/A/B?b=2&a=1&A=0":       "com,example)/a/b?a=0&a=1&b=2",
		"http://www2.example.com:8080/x/":               "com,example:8080)/x/",
		"http://wwwhat.example.com":                     "com,example,wwwhat)/",
		"https://example.com:443/?":                     "com,example)/",
		"http://127.0.0.1:8000/p":                       "127.0.0.1:8000)/p",
		"http://[2001:db8::1]/p":                        "2001:db8::1)/p",
		"http://xn--bcher-kva.example/%C3%A4?q=%2F":     "example,xn--bcher-kva)/%c3%a4?q=%2f",
		"urn:screenshot:http://example.com/":            "urn:screenshot:http://example.com/",
		"metadata://gnu.org/software/wget/warc/log.txt": "metadata://gnu.org/software/wget/warc/log.txt",
		"http://":    "http://",
		"http://%zz": "http://%zz",
	} {
		if got := SURT(url); got != want {
			t.Errorf("SURT(%q) = %q, want %q", url, got, want)
		}
	}
}

// TestCDXJ has what other programs' records may be like; test/interop compares the
// lines with those of warcio.
func TestCDXJ(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fields []Field
		block  string
		want   string
	}{
		"response": {
			[]Field{{"WARC-Type", "response"}, {"WARC-Target-URI", "<http://a.example/>"}, {"WARC-Date", "2026-01-02T03:04:05Z"}, {"WARC-Payload-Digest", "sha1:ABC"}},
			"HTTP/1.1 200 OK\r\ncontent-type: text/html;charset=x\r\n\r\nContent-Type: other/type",
			`example,a)/ 20260102030405 {"url":"http://a.example/","mime":"text/html","status":"200","digest":"ABC","length":"9","offset":"7","filename":"f"}` + "\n",
		},
		"not http": {
			[]Field{{"warc-type", "response"}, {"WARC-Target-URI", "dns:a.example"}, {"WARC-Date", "yesterday"}},
			"\xff\"\\", `dns:a.example 00000000000000 {"url":"dns:a.example","length":"9","offset":"7","filename":"f"}` + "\n",
		},
		"odd text":  {[]Field{{"WARC-Type", "revisit"}, {"WARC-Target-URI", "http://a.example/\"\xff"}}, "HTTP/1.1 304\r\n\r\n", `example,a)/%22%EF%BF%BD 00000000000000 {"url":"http://a.example/\"\ufffd","mime":"warc/revisit","status":"304","length":"9","offset":"7","filename":"f"}` + "\n"},
		"blanks":    {[]Field{{"WARC-Type", "resource"}, {"WARC-Target-URI", "urn:a b\tc"}}, "", "urn:a%20b%09c 00000000000000 " + `{"url":"urn:a b\tc","length":"9","offset":"7","filename":"f"}` + "\n"},
		"request":   {[]Field{{"WARC-Type", "request"}}, "", ""},
		"our facts": {[]Field{{"WARC-Type", "metadata"}, {"Content-Type", TypeFields}}, "", ""},
	} {
		h := &Head{Entry: Entry{Fields: tt.fields, Offset: 7}, Packed: 9, Block: []byte(tt.block)}
		got, ok := AppendCDXJ(nil, h, "f")
		if string(got) != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// FuzzSplit: what split takes apart itself, it takes apart as net/url does.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"example.com/a/b?b=2&a=1", "h:8080", "h:/?", "a..b.", "h:1:2/", "/x", "h?q?r", "h//a:b=~/../_-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, port, path, query, ok := split(s)
		if !ok {
			return
		}
		u, err := url.Parse("http://" + s)
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if u.Hostname() != host || u.Port() != port || u.EscapedPath() != path || u.RawQuery != query {
			t.Errorf("%q: %q %q %q %q, want %q %q %q %q", s, host, port, path, query, u.Hostname(), u.Port(), u.EscapedPath(), u.RawQuery)
		}
	})
}
