package schema_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/schema"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func files(texts ...string) fstest.MapFS {
	out := fstest.MapFS{}
	for i, text := range texts {
		out["0000"+string(rune('1'+i))+"_step.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + text + "\n")}
	}
	return out
}

func TestRead(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		files fstest.MapFS
		want  schema.Versions
		err   string
	}{
		{"none", files(), schema.Versions{}, ""},
		{"says nothing", files("", ""), schema.Versions{Newest: 2, Floor: 2}, ""},
		{"additive", files("", "-- weir: usable from 1", "-- weir: usable from 1"), schema.Versions{Newest: 3, Floor: 1}, ""},
		{"the highest floor counts", files("", "-- weir: usable from 1", "-- weir: usable from 2", "-- weir: usable from 1"), schema.Versions{Newest: 4, Floor: 2}, ""},
		{"of the future", files("-- weir: usable from 3"), schema.Versions{}, "makes no sense"},
		{"strange name", fstest.MapFS{"one.sql": {}}, schema.Versions{}, "NNNNN_name.sql"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := schema.Read(tt.files)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	knows := schema.Versions{Newest: 5, Floor: 4}
	tests := []struct {
		name           string
		version, floor int64
		usable         bool
	}{
		{"empty", 0, 0, true}, {"older", 3, 0, true}, {"the same", 5, 4, true},
		{"newer and additive", 7, 5, true}, {"newer, for newer programs", 7, 6, false}, {"newer, nothing known", 6, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := knows.Check("shelf", tt.version, tt.floor)
			if (err == nil) != tt.usable || err != nil && (crawl.KindOf(err) != crawl.Precondition || !strings.Contains(err.Error(), "use a newer one")) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestStateSays(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]schema.State{
		"shelf: no tables yet; this program makes version 3":                   {What: "shelf", Newest: 3},
		"shelf: made, version 3":                                               {What: "shelf", Version: 3, Newest: 3},
		"shelf: brought from version 1 to 3":                                   {What: "shelf", From: 1, Version: 3, Newest: 3},
		"shelf: version 1, to be brought to 3":                                 {What: "shelf", From: 1, Version: 1, Newest: 3},
		"shelf: version 3, up to date":                                         {What: "shelf", From: 3, Version: 3, Newest: 3},
		"shelf: version 4, newer than the 3 of this program, which can use it": {What: "shelf", From: 4, Version: 4, Newest: 3},
	} {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
