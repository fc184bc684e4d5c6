package warc

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base32"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestWget reads a file that wget 1.21 wrote (wget -r --warc-file=wget --warc-cdx
// of a site of two pages) and checks it against wget's own index: offsets, URLs,
// ids and the digests of the payloads.
func TestWget(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/wget.warc.gz")
	if err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile("testdata/wget.cdx")
	if err != nil {
		t.Fatal(err)
	}
	types := map[Type]int{}
	byOffset := map[int64]*Entry{}
	digests := map[int64]string{}
	r := NewReader(bytes.NewReader(file))
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		types[e.Type()]++
		byOffset[e.Offset] = e
		if e.Type() != Response {
			continue
		}
		b := bufio.NewReader(e)
		if err := SkipHTTPHead(b); err != nil {
			t.Fatal(err)
		}
		payload, err := io.ReadAll(b)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha1.Sum(payload)
		digests[e.Offset] = base32.StdEncoding.EncodeToString(sum[:])
	}
	if r.End() != int64(len(file)) {
		t.Errorf("ends at %d of %d", r.End(), len(file))
	}
	if types[Response] != 4 || types[Request] != 4 || types[Info] != 1 || types[Metadata] != 1 {
		t.Errorf("types: %v", types)
	}
	lines := strings.Split(strings.TrimSpace(string(index)), "\n")[1:]
	if len(lines) != types[Response] {
		t.Errorf("%d lines in the index", len(lines))
	}
	for _, line := range lines {
		f := strings.Fields(line)
		offset, err := strconv.ParseInt(f[8], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		e := byOffset[offset]
		if e == nil {
			t.Errorf("no record at %d", offset)
			continue
		}
		if uri := strings.Trim(e.Get("WARC-Target-URI"), "<>"); uri != f[0] || e.Get("WARC-Record-ID") != f[10] || digests[offset] != f[5] {
			t.Errorf("at %d: %s %s %s, wget has %s %s %s", offset, uri, e.Get("WARC-Record-ID"), digests[offset], f[0], f[10], f[5])
		}
	}
}
