package page

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/services/parser/internal/document"
)

// TestLinkTable: testdata/links.txt, whose head says how it is written.
func TestLinkTable(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/links.txt")
	if err != nil {
		t.Fatal(err)
	}
	bytesOf := strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\r`, "\r", `\f`, "\f", `\0`, "\x00", `\\`, `\`)
	section, cases := "", 0
	for i, line := range strings.Split(string(data), "\n") {
		if name, ok := strings.CutPrefix(line, "## "); ok {
			section = name
		}
		html, want, ok := strings.Cut(line, " ||| ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		cases++
		html, want = bytesOf.Replace(html), bytesOf.Replace(strings.TrimSpace(want))
		if diff := cmp.Diff(want, showFound(t, html, document.All)); diff != "" {
			t.Errorf("line %d, %s: %s (-want +got):\n%s", i+1, section, html, diff)
		}
	}
	if cases < 400 {
		t.Errorf("only %d cases", cases)
	}
}
