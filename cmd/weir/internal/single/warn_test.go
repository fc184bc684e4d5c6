package single

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/cmd/weir/internal/progress"
)

func TestWarningsOfTheParserAreTold(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	var told []string
	s := &screen{View: progress.None{}, warn: func(line string) { told = append(told, line) }}
	log := slog.New(&teller{Handler: slog.NewTextHandler(&file, nil), tell: s.tell})
	parser := log.With("component", "parser")
	parser.With("crawl", "01", "field", "price").Warn("a field fell", "past", 0.756)
	parser.Warn("a program fails", "extractor", "127.0.0.1:1")
	parser.Info("nothing")
	log.With("component", "storage").Warn("not the user's")
	want := []string{"a field fell field=price past=0.76", "a program fails extractor=127.0.0.1:1"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if n := strings.Count(file.String(), "\n"); n != 4 {
		t.Errorf("%d lines in the file:\n%s", n, &file)
	}
}
