package catalogue

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRejects: items that did not fit are kept apart, and go when a later visit of
// the page takes the place of the one that they are of.
func TestRejects(t *testing.T) {
	t.Parallel()
	c := open(t, t.TempDir())
	first, other := page("one", 1, `{"a":1}`), page("one", 2)
	first.Rejects = []Item{{Rule: "r", JSON: []byte(`{"a":"x"}`)}, {Rule: "s", JSON: []byte(`{"a":"y"}`)}}
	other.Rejects = []Item{{Rule: "r", JSON: []byte(`{"a":"z"}`)}}
	if err := c.Commit(t.Context(), &Batch{Pages: []*Page{first, other}}); err != nil {
		t.Fatal(err)
	}
	rejects := func(rule string, after uint64) (out []string) {
		list, err := c.Rejects(t.Context(), "one", rule, after, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range list {
			out = append(out, it.URL+" "+string(it.JSON))
		}
		return out
	}
	x, y, z := first.CanonicalURL+` {"a":"x"}`, first.CanonicalURL+` {"a":"y"}`, other.CanonicalURL+` {"a":"z"}`
	if diff := cmp.Diff([]string{x, y, z}, rejects("", 0)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{y}, rejects("s", 0)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{z}, rejects("", 2)); diff != "" {
		t.Error(diff)
	}
	if items, err := c.Items(t.Context(), "one", "", 0, 0, 10); err != nil || len(items) != 1 {
		t.Errorf("%d items, %v", len(items), err)
	}
	again := page("one", 1, `{"a":2}`)
	again.Generation, again.Supersedes = first.Generation+1, true
	if err := c.Commit(t.Context(), &Batch{Pages: []*Page{again}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{z}, rejects("", 0)); diff != "" {
		t.Error(diff)
	}
}
