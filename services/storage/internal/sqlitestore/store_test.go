package sqlitestore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
	"github.com/weircrawl/weir/services/storage/internal/catalogue/cataloguetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	cataloguetest.Run(t, func(t *testing.T) cataloguetest.Factory {
		dir := t.TempDir()
		return cataloguetest.Factory{Open: func(t *testing.T, _ string) catalogue.Store {
			s, err := Open(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}}
	})
}

// page makes an attempt at the n-th URL of a crawl, with items.
func page(n int, items ...string) *catalogue.Page {
	url := fmt.Sprintf("http://example.com/%d", n)
	p := &catalogue.Page{Key: catalogue.Key{Crawl: "one", URL: weburl.KeyOf(url), Generation: 1, Attempt: 1, Kind: catalogue.KindPage}, CanonicalURL: url, Status: 200, SHA256: []byte{1, 2}}
	for i, json := range items {
		p.Items = append(p.Items, catalogue.Item{Rule: "page", Index: uint32(i), JSON: []byte(json)})
	}
	return p
}

// TestViews reads the file as a person would: with another connection.
func TestViews(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	first, second, robots, media := page(1, `{"v":1}`), page(1, `{"v":2}`), page(1), page(3)
	first.Status, first.Error = 503, crawl.ClassStatus5xx
	second.Attempt = 2
	robots.Kind, robots.Generation = catalogue.KindRobots, 9
	media.Kind = catalogue.KindMedia
	if err := s.Commit(t.Context(), &catalogue.Batch{Pages: []*catalogue.Page{first, second, robots, page(2), media}}); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+dir+"/"+FileName+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var rows, files, attempt, status, v int
	var class, digest string
	if err := db.QueryRow("SELECT (SELECT count(*) FROM newest_pages), (SELECT count(*) FROM media)").Scan(&rows, &files); err != nil || rows != 2 || files != 1 {
		t.Errorf("%d rows, %d files, %v", rows, files, err)
	}
	q := "SELECT attempt, status, error, sha256 FROM newest_pages WHERE crawl_id = 'one' AND url = ?"
	if err := db.QueryRow(q, first.CanonicalURL).Scan(&attempt, &status, &class, &digest); err != nil || attempt != 2 || status != 200 || class != "" || digest != "0102" {
		t.Errorf("newest: %d %d %q %s, %v", attempt, status, class, digest, err)
	}
	if err := db.QueryRow("SELECT json ->> 'v' FROM item_list WHERE url = ? ORDER BY id LIMIT 1", first.CanonicalURL).Scan(&v); err != nil || v != 1 {
		t.Errorf("item: %d, %v", v, err)
	}
}

func TestFullIsUnavailable(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	if _, err := s.write.Exec("PRAGMA max_page_count = 90"); err != nil {
		t.Fatal(err)
	}
	n := 0
	var err error
	for ; err == nil && n < 10_000; n++ {
		err = s.Commit(t.Context(), &catalogue.Batch{Pages: []*catalogue.Page{page(n, `{"text":"`+string(make([]byte, 2000))+`"}`)}})
	}
	if crawl.KindOf(err) != crawl.Unavailable {
		t.Fatalf("error %v", err)
	}
	if _, err := s.write.Exec("PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), &catalogue.Batch{Pages: []*catalogue.Page{page(n-1, `{}`)}}); err != nil {
		t.Fatal(err)
	}
	if st, err := s.Stats(t.Context(), "one"); err != nil || st.Attempts != uint64(n) {
		t.Errorf("%d attempts of %d, %v", st.Attempts, n, err)
	}
}

// TestVersions: a file of a newer program is opened if that says that it may be, and
// otherwise refused in words.
func TestVersions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	var newest int64
	if err := s.write.QueryRow("SELECT max(version_id) FROM goose_db_version").Scan(&newest); err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, 1)", newest+1); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		version, floor int64
		ok             bool
	}{{newest + 1, newest, true}, {newest + 1, newest + 1, false}, {newest, newest, false}, {0, 0, false}} {
		if _, err := s.write.Exec(fmt.Sprintf("PRAGMA user_version = %d", 1000*tt.version+tt.floor)); err != nil {
			t.Fatal(err)
		}
		again, err := Open(t.Context(), dir)
		if err == nil {
			err = again.Close()
		}
		if (err == nil) != tt.ok || err != nil && (crawl.KindOf(err) != crawl.Precondition || !strings.Contains(err.Error(), "use a newer one")) {
			t.Errorf("version %d usable from %d: %v", tt.version, tt.floor, err)
		}
	}
}
