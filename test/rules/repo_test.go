package rules

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const modulePath = "github.com/weircrawl/weir"

// root of the repository, seen from this package's folder.
const root = "../.."

// pkg is what go list tells of a package.
type pkg struct {
	ImportPath   string
	Dir          string
	Name         string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// packages lists every package of the workspace, once for all tests.
var packages = sync.OnceValues(func() ([]pkg, error) {
	mods, err := goTool("list", "-m")
	if err != nil {
		return nil, err
	}
	args := []string{"list", "-e", "-json=ImportPath,Dir,Name,Imports,TestImports,XTestImports"}
	for m := range strings.FieldsSeq(string(mods)) {
		args = append(args, m+"/...")
	}
	out, err := goTool(args...)
	if err != nil {
		return nil, err
	}
	var all []pkg
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
})

func goTool(args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.New("go " + strings.Join(args, " ") + ": " + err.Error() + ": " + stderr.String())
	}
	return out, nil
}

func mustPackages(t *testing.T) []pkg {
	t.Helper()
	all, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages found: the list is wrong", len(all))
	}
	return all
}

// source is one parsed Go file of ours; generated ones are left out.
type source struct {
	path  string // from the root
	fset  *token.FileSet
	file  *ast.File
	lines int
	test  bool
}

// pkgRel is the folder of the file, which is its package's path in the module.
func (s source) pkgRel() string { return filepath.ToSlash(filepath.Dir(s.path)) }

func (s source) at(n ast.Node) string {
	pos := s.fset.Position(n.Pos())
	return s.path + ":" + itoa(pos.Line)
}

var sources = sync.OnceValues(func() ([]source, error) {
	var out []source
	err := walk(func(path string, data []byte) error {
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, ".pb.go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, data, parser.ParseComments)
		if err != nil {
			return err
		}
		if ast.IsGenerated(f) {
			return nil
		}
		out = append(out, source{
			path: path, fset: fset, file: f,
			lines: bytes.Count(data, []byte("\n")),
			test:  strings.HasSuffix(path, "_test.go"),
		})
		return nil
	})
	return out, err
})

func mustSources(t *testing.T) []source {
	t.Helper()
	all, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d source files found: the walk is wrong", len(all))
	}
	return all
}

// walk calls visit with every text file of the repository, its path from the root.
func walk(visit func(path string, data []byte) error) error {
	return filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if name == ".git" || name == "bin" || name == "weir-data" || name == "testdata" || name == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || name == ".git" { // a file in a worktree of git's
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		head, _ := bufio.NewReader(bytes.NewReader(data)).Peek(512)
		if bytes.IndexByte(head, 0) >= 0 {
			return nil // not text
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return visit(filepath.ToSlash(rel), data)
	})
}
