package cli

import (
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/testkit/pgtest"
)

// TestMigrate: an empty database gets its tables, a second run finds nothing to do, and
// a look changes nothing.
func TestMigrate(t *testing.T) {
	t.Parallel()
	args := []string{"migrate", "--store", pgtest.Database(t), "--catalogue", pgtest.Database(t)}
	for _, step := range []struct {
		name string
		more []string
		code int
		want string
	}{
		{"look at nothing", []string{"--check"}, 1, "no tables yet"},
		{"look again", []string{"--check"}, 1, "no tables yet"},
		{"make", nil, 0, "made, version "},
		{"again", nil, 0, "up to date"},
		{"look", []string{"--check"}, 0, "up to date"},
	} {
		r := weir(t, append(append([]string{}, args...), step.more...)...)
		lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
		if r.code != step.code || len(lines) != 2 || !strings.Contains(lines[0], step.want) || !strings.Contains(lines[1], step.want) ||
			!strings.HasPrefix(lines[0], "frontier store: ") || !strings.HasPrefix(lines[1], "catalogue: ") {
			t.Errorf("%s: code %d, want %d and %q; stdout:\n%sstderr:\n%s", step.name, r.code, step.code, step.want, r.stdout, r.stderr)
		}
	}
}
