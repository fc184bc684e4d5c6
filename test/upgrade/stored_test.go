package upgrade

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/weircrawl/weir/test/driver"
)

// TestReleaseIsMissing: a clone without the release before fails, and says how to get it.
func TestReleaseIsMissing(t *testing.T) {
	t.Parallel()
	_, err := driver.BuildAt(t.Context(), strings.Repeat("0", 40))
	if err == nil || !strings.Contains(err.Error(), "git fetch --unshallow") {
		t.Errorf("got %v", err)
	}
}

var usable = regexp.MustCompile(`(?m)^-- weir: usable from (\d+)$`)

// TestMigrationsAreAdditive: migrations of the release before are as they were, and new
// ones leave the tables to it (ADR-0040).
func TestMigrationsAreAdditive(t *testing.T) {
	t.Parallel()
	commit, err := driver.Previous(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	root, err := driver.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"services/scheduler/internal/sqlstore/migrations", "services/storage/internal/pgstore/migrations", "services/storage/internal/sqlitestore/migrations"} {
		files, err := filepath.Glob(filepath.Join(root, dir, "*.sql"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no migrations, %v", dir, err)
		}
		old, newest, err := migrationsAt(t.Context(), commit, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			name := filepath.Base(file)
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if was, ok := old[name]; ok {
				if was != string(text) {
					t.Errorf("%s/%s was changed since the release before: make a new one instead", dir, name)
				}
				delete(old, name)
				continue
			}
			m := usable.FindSubmatch(text)
			if m == nil {
				t.Errorf("%s/%s: no line \"-- weir: usable from N\": who upgrades cannot go back", dir, name)
				continue
			}
			if n, err := strconv.Atoi(string(m[1])); err != nil || n > newest {
				t.Errorf("%s/%s: usable from %d, but the release before knows %d", dir, name, n, newest)
			}
		}
		for name := range old {
			t.Errorf("%s/%s is gone", dir, name)
		}
	}
}

// migrationsAt are the texts of a folder's migrations at a commit, and the highest version.
func migrationsAt(ctx context.Context, commit, dir string) (texts map[string]string, newest int, err error) {
	out, err := driver.Git(ctx, "ls-tree", "--name-only", commit, dir+"/")
	if err != nil {
		return nil, 0, fmt.Errorf("%w; in a shallow clone: git fetch --unshallow", err)
	}
	texts = make(map[string]string)
	for _, file := range strings.Fields(string(out)) {
		text, err := driver.Git(ctx, "show", commit+":"+file)
		if err != nil {
			return nil, 0, err
		}
		name := path.Base(file)
		texts[name] = string(text)
		number, _, _ := strings.Cut(name, "_")
		n, err := strconv.Atoi(number)
		if err != nil {
			return nil, 0, fmt.Errorf("migration %s: %w", name, err)
		}
		newest = max(newest, n)
	}
	return texts, newest, nil
}
