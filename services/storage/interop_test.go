//go:build interop

package storage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWarcio lets warcio.js index an archive: another project's reader finds the
// records where the catalogue says they are, and the bodies that were stored. It
// needs the program's path in WARCIO (npm install warcio).
func TestWarcio(t *testing.T) {
	t.Parallel()
	program := os.Getenv("WARCIO")
	if program == "" {
		t.Fatal("set WARCIO to the path of warcio (npm install warcio; node_modules/.bin/warcio)")
	}
	dir := t.TempDir()
	s := newStore(t, dir)
	defer s.Close()
	const pages = 300
	if err := storeRecords(s, 0, pages); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "warc", "*.warc.gz"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	out, err := exec.Command(program, "index", files[0], "--fields", "offset,warc-type,warc-target-uri,warc-payload-digest,content-length,http:status").Output()
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		Offset json.Number `json:"offset"`
		Type   string      `json:"warc-type"`
		URI    string      `json:"warc-target-uri"`
		Digest string      `json:"warc-payload-digest"`
		Status json.Number `json:"http:status"`
	}
	types := map[string]int{}
	for text := range bytes.Lines(out) {
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		types[l.Type]++
		if l.Type != "response" {
			continue
		}
		p, err := s.cat.Newest(t.Context(), crawlID, l.URI, true)
		if err != nil {
			t.Fatal(err)
		}
		if l.Offset.String() != fmt.Sprint(p.Place.Offset) || l.Digest != fmt.Sprintf("sha256:%x", p.SHA256) || l.Status != "200" {
			t.Errorf("warcio has %+v, the catalogue %+v", l, p.Place)
		}
	}
	if types["response"] != pages || types["request"] != pages || types["warcinfo"] != 1 {
		t.Errorf("types %v of %s", types, strings.TrimSpace(string(out[:min(len(out), 300)])))
	}
}
