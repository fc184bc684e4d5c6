package archive

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCatalogueOfYesterday: records that a restored catalogue does not know are kept
// beside the segments. What only looks like them, the tail of a batch that was not
// committed, is cut off as ever.
func TestCatalogueOfYesterday(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p *place) {
		at := func(last uint64) func(*Config) {
			return func(c *Config) { c.Owner, c.Last = "one", last }
		}
		a := p.open(t, at(0))
		first := p.append(t, a, exchange(t, 1, "of yesterday"))
		backup := slices.Clone(p.idx.list)
		p.append(t, a, exchange(t, 2, "of today"))
		today := slices.Clone(p.idx.list)
		whole := raw(t, a, today[0].File, today[0].Size)
		if err := a.Remember(t.Context(), when, 2, false); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}

		p.idx.list = backup
		a = p.open(t, at(1))
		aside := asidePrefix + strings.TrimSuffix(today[0].File, extension) + "-from-"
		names := p.names(t, a)
		i := slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, aside) })
		if i < 0 {
			t.Fatalf("nothing is set aside: %v", names)
		}
		if got := raw(t, a, names[i], today[0].Size-backup[0].Size); !bytes.Equal(got, whole[backup[0].Size:]) {
			t.Errorf("%d bytes set aside are not the %d that the catalogue does not know", len(got), today[0].Size-backup[0].Size)
		}
		if got := body(t, a, first.Places[0]); got != "of yesterday" {
			t.Errorf("the page of yesterday is %q", got)
		}
		r := p.append(t, a, exchange(t, 3, "after it"))
		if got := body(t, a, r.Places[0]); got != "after it" {
			t.Errorf("the page after the restore is %q", got)
		}

		// From here on it is a catalogue like any other.
		if err := a.Remember(t.Context(), when, 2, false); err != nil {
			t.Fatal(err)
		}
		_, err := a.Append(t.Context(), when, []*Exchange{exchange(t, 4, "never committed")})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		a = p.open(t, at(2))
		tails := slices.DeleteFunc(p.names(t, a), func(n string) bool { return !strings.HasPrefix(n, asidePrefix) })
		if len(tails) != 1 {
			t.Errorf("the tail of a batch was set aside: %v", tails)
		}
	})
}

// TestFinishedAfterTheBackup: a segment that was finished after the catalogue's time
// stays as it is.
func TestFinishedAfterTheBackup(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, p *place) {
		a := p.open(t, func(c *Config) { c.Owner, c.MaxSize = "one", 1 })
		first := p.append(t, a, exchange(t, 1, "of yesterday"))
		backup := slices.Clone(p.idx.list)
		file := backup[0].File
		p.appendAt(t, a, when.Add(time.Minute), exchange(t, 2, "another segment"))
		tend(t, a, when)
		if err := a.Remember(t.Context(), when, 2, true); err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		p.idx.list = backup
		a = p.open(t, func(c *Config) { c.Owner, c.Last = "one", 1 })
		if names := p.names(t, a); !slices.Contains(names, file) {
			t.Errorf("%s is gone: %v", file, names)
		}
		if got := body(t, a, first.Places[0]); got != "of yesterday" {
			t.Errorf("got %q", got)
		}
		tend(t, a, when.Add(48*time.Hour))
	})
}
