package rules

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	adrRef = regexp.MustCompile(`ADR-([0-9]{4})`)
	todo   = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)
	todoOK = regexp.MustCompile(`\bTODO\(#[0-9]+\): `)
	goLine = regexp.MustCompile(`(?m)^go ([0-9.]+)$`)
)

func TestDecisionRecordsExist(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(root, "docs/adr/[0-9][0-9][0-9][0-9]-*.md"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no decision records found: %v", err)
	}
	known := map[string]bool{}
	for _, f := range files {
		number := filepath.Base(f)[:4]
		if known[number] {
			t.Errorf("%s: number %s is taken", f, number)
		}
		known[number] = true
	}
	err = walk(func(path string, data []byte) error {
		for _, m := range adrRef.FindAllSubmatch(data, -1) {
			if !known[string(m[1])] {
				t.Errorf("%s: ADR-%s is not in docs/adr", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTodosNameAnIssue(t *testing.T) {
	t.Parallel()
	err := walk(func(path string, data []byte) error {
		if filepath.Ext(path) != ".go" || strings.HasPrefix(path, "test/rules/") {
			return nil
		}
		for i, line := range strings.Split(string(data), "\n") {
			if comment := strings.Index(line, "//"); comment >= 0 && todo.MatchString(line[comment:]) && !todoOK.MatchString(line) {
				t.Errorf("%s:%d: write TODO(#issue): what, or do it", path, i+1)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestStandsAlone finds references to folders that only some machines have.
func TestStandsAlone(t *testing.T) {
	t.Parallel()
	forbidden := []string{"/" + "work/", "../" + "shared", "shared/" + "design"}
	err := walk(func(path string, data []byte) error {
		for _, f := range forbidden {
			if strings.Contains(string(data), f) {
				t.Errorf("%s: refers to %s", path, f)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestOneGoVersion keeps the go directives equal, so that no module surprises another.
func TestOneGoVersion(t *testing.T) {
	t.Parallel()
	version := ""
	files := []string{"go.work"}
	err := walk(func(path string, _ []byte) error {
		if filepath.Base(path) == "go.mod" {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(root, f))
		if err != nil {
			t.Fatal(err)
		}
		m := goLine.FindSubmatch(data)
		switch {
		case m == nil:
			t.Errorf("%s: no go directive", f)
		case version == "":
			version = string(m[1])
		case version != string(m[1]):
			t.Errorf("%s: go %s, others say %s", f, m[1], version)
		}
	}
}

// TestRelativeLinks follows the links between our own Markdown files.
func TestRelativeLinks(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	err := walk(func(path string, data []byte) error {
		if filepath.Ext(path) != ".md" {
			return nil
		}
		for _, m := range link.FindAllSubmatch(data, -1) {
			target := string(m[1])
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(path), target)); err != nil {
				t.Errorf("%s: link to %s: no such file", path, target)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
