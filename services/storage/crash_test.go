package storage

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/testkit/pgtest"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// The test binary, started anew with these variables, is the process under test.
const (
	roleVariable  = "WEIR_STORAGE_TEST_ROLE"
	dirVariable   = "WEIR_STORAGE_TEST_DIR"
	startVariable = "WEIR_STORAGE_TEST_START"
	storeVariable = "WEIR_STORAGE_TEST_ARCHIVE"
	rowsVariable  = "WEIR_STORAGE_TEST_CATALOGUE"
)

func play(role string) int {
	cfg := DefaultConfig()
	cfg.Dir, cfg.MinFree = os.Getenv(dirVariable), 0
	cfg.SegmentSize = 1 << 20 // rolled every few batches
	cfg.Archive, cfg.Catalogue = os.Getenv(storeVariable), os.Getenv(rowsVariable)
	s, err := New(cfg, Deps{Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	if err == nil {
		switch role {
		case "writer":
			err = writeForEver(s)
		case "full":
			err = fillUp(s)
		default:
			err = fmt.Errorf("no role %q", role)
		}
		err = errors.Join(err, s.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// textOf is the body of a page: long enough, and random enough, that the archive
// grows faster than the catalogue's log.
func textOf(n int) string {
	rng := rand.New(rand.NewPCG(uint64(n), 0))
	b := make([]byte, 3000+n%500*20)
	for i := range b {
		b[i] = byte('!' + rng.IntN(90))
	}
	return string(b)
}

// storeRecords takes records through everything but the bus.
func storeRecords(s *Service, from, to int) error {
	var ds []bus.Delivery
	for n := from; n < to; n++ {
		data, err := proto.Marshal(record(n, textOf(n)))
		if err != nil {
			return err
		}
		ds = append(ds, bus.Delivery{Data: data, Number: 1})
	}
	b, err := s.decode(ds)
	if err != nil {
		return err
	}
	defer b.close()
	return s.store(context.Background(), b)
}

// writeForEver stores batches and prints the number of records that are stored,
// until it is killed. The first batch may have been stored before the last kill:
// like a redelivery.
func writeForEver(s *Service) error {
	from, err := strconv.Atoi(os.Getenv(startVariable))
	if err != nil {
		return err
	}
	for size := 1; ; size = size%40 + 7 {
		if err := storeRecords(s, from, from+size); err != nil {
			return err
		}
		from += size
		fmt.Println(from)
		if size%3 == 0 {
			// Here, so that kills hit the merging and indexing too.
			if _, err := s.arch.Tend(context.Background(), time.Now()); err != nil {
				return err
			}
		}
	}
}

// TestKill kills a writing process again and again. What it said was stored is
// there exactly once, and the archive has whole records only, each known to the
// catalogue.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, medium := range []string{"files", "objects", "postgres"} {
		t.Run(medium, func(t *testing.T) {
			t.Parallel()
			dir, at := t.TempDir(), places{}
			switch medium {
			case "objects":
				at.archive = "file://" + filepath.Join(dir, "objects")
			case "postgres":
				at.catalogue = pgtest.Start(t, pgtest.Options{}).Database(t)
			}
			killAgainAndAgain(t, dir, at)
		})
	}
}

// places are where a storage keeps what is not in its folder; empty: in its folder.
type places struct{ archive, catalogue string }

func killAgainAndAgain(t *testing.T, dir string, at places) {
	acked := 0
	rng := rand.New(rand.NewPCG(1, 2))
	for range kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), roleVariable+"=writer", dirVariable+"="+dir, storeVariable+"="+at.archive, rowsVariable+"="+at.catalogue, fmt.Sprintf("%s=%d", startVariable, acked))
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Killed after a random number of batches and a random moment more, so
		// that any step of a commit may be the last.
		lines := bufio.NewScanner(out)
		for batches := 1 + rng.IntN(8); batches > 0 && lines.Scan(); batches-- {
			if acked, err = strconv.Atoi(lines.Text()); err != nil {
				t.Fatal(err)
			}
		}
		time.AfterFunc(time.Duration(rng.IntN(8000))*time.Microsecond, func() { _ = cmd.Process.Kill() })
		for lines.Scan() { // it may have got further before it died
			if acked, err = strconv.Atoi(lines.Text()); err != nil {
				t.Fatal(err)
			}
		}
		_ = cmd.Wait() // killed: always an error
		if stderr.Len() > 0 {
			t.Fatalf("the writer failed: %s", stderr.String())
		}
	}
	checkStore(t, dir, at, acked)
	t.Logf("%d records acknowledged over %d kills", acked, kills)
}

// checkStore opens a directory as after a crash and checks all of it.
func checkStore(t *testing.T, dir string, at places, atLeast int) {
	t.Helper()
	s := newStore(t, dir, func(c *Config) { c.Archive, c.Catalogue = at.archive, at.catalogue })
	defer s.Close()
	pages := allPages(t, s)
	if len(pages) < atLeast {
		t.Errorf("%d pages, %d were acknowledged", len(pages), atLeast)
	}
	seen := map[string]bool{}
	for _, p := range pages {
		if seen[p.CanonicalURL] {
			t.Errorf("%s is there twice", p.CanonicalURL)
		}
		seen[p.CanonicalURL] = true
		body, err := s.arch.Body(t.Context(), p.Place)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(p.CanonicalURL[strings.LastIndex(p.CanonicalURL, "/")+1:])
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(body); string(got) != textOf(n) || err != nil {
			t.Errorf("%s has another body, %v", p.CanonicalURL, err)
		}
		_ = body.Close()
	}
	for n := range atLeast {
		if !seen[fmt.Sprintf("http://example.com/page/%d", n)] {
			t.Errorf("page %d is lost", n)
		}
	}
	st, err := s.cat.Stats(t.Context(), crawlID)
	if err != nil || st.Attempts != uint64(len(pages)) || st.Items != uint64(len(pages)) {
		t.Errorf("stats %+v for %d pages, %v", st, len(pages), err)
	}
	checkItems(t, s, len(pages))
	checkArchive(t, dir, len(pages))
	// And once more, when everything is merged and has its index.
	if _, err := s.arch.Tend(t.Context(), time.Now().Add(48*time.Hour)); err != nil {
		t.Fatal(err)
	}
	checkArchive(t, dir, len(pages))
	lines := 0
	for _, name := range globAll(t, dir, ".cdxj") {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		lines += bytes.Count(data, []byte("\n"))
	}
	if lines != len(pages) {
		t.Errorf("%d lines in the indexes, %d pages", lines, len(pages))
	}
	if parts := globAll(t, filepath.Join(dir, "objects", "parts"), ""); len(parts) > 0 {
		t.Errorf("parts that are merged are left: %v", parts)
	}
}

// checkItems checks that there is one item for each page, each once.
func checkItems(t *testing.T, s *Service, pages int) {
	t.Helper()
	seen := map[string]bool{}
	for q := (catalogue.ItemQuery{Crawl: crawlID, Limit: 1000}); ; {
		a, err := s.cat.Items(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range a.Items {
			if seen[it.URL] {
				t.Errorf("the item of %s is there twice", it.URL)
			}
			seen[it.URL] = true
		}
		if a.End {
			break
		}
		q.After = a.Next
	}
	if len(seen) != pages {
		t.Errorf("items of %d pages, there are %d", len(seen), pages)
	}
}

// globAll lists the files under a folder by the end of their names, in order.
func globAll(t *testing.T, dir, suffix string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && !e.IsDir() && strings.HasSuffix(path, suffix) {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// segmentFiles lists the files that the segments under a folder are made of: a whole
// one, or the parts of one that is not merged.
func segmentFiles(t *testing.T, dir string) []string {
	t.Helper()
	out := globAll(t, dir, ".warc.gz")
	for _, part := range globAll(t, filepath.Join(dir, "objects", "parts"), "") {
		whole := filepath.Join(dir, "objects", filepath.Base(filepath.Dir(part)))
		if _, err := os.Stat(whole); err != nil && !strings.HasSuffix(part, ".part") {
			out = append(out, part)
		}
	}
	return out
}

// allPages reads the crawl log.
func allPages(t *testing.T, s *Service) (all []*catalogue.Page) {
	t.Helper()
	for q := (catalogue.PageQuery{Crawl: crawlID, Limit: 1000}); ; {
		a, err := s.cat.Pages(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if all = append(all, a.Pages...); a.End {
			return all
		}
		q.After = a.Next
	}
}

// checkArchive reads all WARC files without this project's reader: the standard
// library checks each gzip member, and the records in them are walked by hand.
// There must be one response for each page.
func checkArchive(t *testing.T, dir string, responses int) {
	t.Helper()
	files := segmentFiles(t, dir)
	ids := map[string]bool{}
	got := 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for r := bytes.NewReader(data); r.Len() > 0; {
			z, err := gzip.NewReader(r)
			if err != nil {
				t.Fatalf("%s at %d: %v", name, len(data)-r.Len(), err)
			}
			z.Multistream(false)
			text, err := io.ReadAll(z)
			if err != nil {
				t.Fatalf("%s before %d: %v", name, len(data)-r.Len(), err)
			}
			kind, id := checkRecord(t, string(text))
			if ids[id] {
				t.Errorf("%s: record %s is there twice", name, id)
			}
			ids[id] = true
			if kind == "response" {
				got++
			}
		}
	}
	if got != responses {
		t.Errorf("%d responses in the archive, want %d", got, responses)
	}
}

// checkRecord checks the text of one record against the standard's grammar.
func checkRecord(t *testing.T, text string) (kind, id string) {
	t.Helper()
	head, block, ok := strings.Cut(text, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	if !ok || lines[0] != "WARC/1.1" {
		t.Fatalf("not a record: %.60q", text)
	}
	fields := map[string]string{}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ": ")
		if _, twice := fields[name]; !ok || twice {
			t.Fatalf("header line %q", line)
		}
		fields[name] = value
	}
	for _, name := range []string{"WARC-Type", "WARC-Record-ID", "WARC-Date", "Content-Length"} {
		if fields[name] == "" {
			t.Errorf("no %s in %q", name, head)
		}
	}
	length, err := strconv.Atoi(fields["Content-Length"])
	if err != nil || len(block) != length+4 || !strings.HasSuffix(block, "\r\n\r\n") {
		t.Errorf("block of %d bytes, Content-Length %d", len(block)-4, length)
	}
	return fields["WARC-Type"], fields["WARC-Record-ID"]
}

// fillUp stores records under a limit on the size of files until it is reached,
// checks that nothing but an error of the right kind comes of it, and goes on
// after the limit was lifted.
func fillUp(s *Service) error {
	signal.Ignore(syscall.SIGXFSZ) // writes fail with EFBIG instead
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	from, full := 0, 0
	for round := range uint64(4) {
		low := limit
		low.Cur = 900_000 + round*100_001
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &low); err != nil {
			return err
		}
		var err error
		for ; err == nil; from += 30 {
			err = storeRecords(s, from, from+30)
		}
		from -= 30 // the failed batch comes again
		if crawl.KindOf(err) != crawl.Unavailable {
			return fmt.Errorf("an error of another kind: %w", err)
		}
		if strings.Contains(err.Error(), "no space left in ") {
			full++
		}
		for range 3 { // and again, as the bus does
			if err := storeRecords(s, from, from+30); crawl.KindOf(err) != crawl.Unavailable {
				return fmt.Errorf("tried again: %w", err)
			}
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			return err
		}
		if err := storeRecords(s, from, from+30); err != nil {
			return fmt.Errorf("after space was freed: %w", err)
		}
		from += 30
	}
	fmt.Println(from, full)
	return nil
}

func TestNoSpace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"=full", dirVariable+"="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	var stored, full int
	if _, err := fmt.Sscan(string(out), &stored, &full); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d records stored, %d of 4 times the archive was what was full", stored, full)
	checkStore(t, dir, places{}, stored)
}

// TestInterruptedUpload: a client that goes away leaves no body behind.
func TestInterruptedUpload(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := b.client.PutBody(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&storagev1.PutBodyRequest{CrawlId: crawlID, Data: []byte("half")}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := stream.CloseAndRecv(); err == nil {
		t.Error("the upload counts as whole")
	}
}
