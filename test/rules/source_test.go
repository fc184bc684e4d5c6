package rules

import (
	"go/ast"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

func itoa(n int) string { return strconv.Itoa(n) }

const (
	maxFileLines = 600
	maxFuncLines = 100
)

// deterministic packages take the time as an argument.
func deterministic(rel string) bool {
	if isPure(rel) || under(rel, "services/parser/internal") {
		return true
	}
	// Opening and compacting a store is I/O of its own; the frontier is not.
	return under(rel, "services/scheduler/internal") &&
		!under(rel, "services/scheduler/internal/pebblestore", "services/scheduler/internal/sqlstore")
}

var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

func TestCalls(t *testing.T) {
	t.Parallel()
	for _, s := range mustSources(t) {
		rel := s.pkgRel()
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			on, ok := call.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch {
			case on.Name == "time" && !s.test && deterministic(rel) && one(call.Sel.Name, clock...):
				t.Errorf("%s: time.%s in a deterministic package: take the time as an argument", s.at(n), call.Sel.Name)
			case on.Name == "time" && call.Sel.Name == "Sleep" && !(s.test && imports(s, "testing/synctest")):
				t.Errorf("%s: time.Sleep: wait for a signal, or select on a timer and ctx.Done()", s.at(n))
			case on.Name == "fmt" && !s.test && one(call.Sel.Name, "Print", "Printf", "Println"):
				t.Errorf("%s: fmt.%s: write to an injected writer or log", s.at(n), call.Sel.Name)
			case s.test && one(on.Name, "t", "b", "f", "tb") && one(call.Sel.Name, "Skip", "Skipf", "SkipNow"):
				t.Errorf("%s: %s.%s: a test never skips; what it needs and does not find is a failure", s.at(n), on.Name, call.Sel.Name)
			}
			return true
		})
	}
}

// imports tells whether a file imports a package. In a bubble of testing/synctest a
// sleep is how time passes.
func imports(s source, path string) bool {
	for _, i := range s.file.Imports {
		if i.Path.Value == strconv.Quote(path) {
			return true
		}
	}
	return false
}

func one(name string, names ...string) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

func TestFunctions(t *testing.T) {
	t.Parallel()
	for _, s := range mustSources(t) {
		for _, d := range s.file.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: init(): say it in a constructor", s.at(fn))
			}
			lines := s.fset.Position(fn.End()).Line - s.fset.Position(fn.Pos()).Line + 1
			if lines > maxFuncLines && !s.test {
				t.Errorf("%s: %s has %d lines, more than %d", s.at(fn), fn.Name.Name, lines, maxFuncLines)
			}
		}
		if s.lines > maxFileLines {
			t.Errorf("%s: %d lines, more than %d: split by noun", s.path, s.lines, maxFileLines)
		}
	}
}

func TestDocs(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, s := range mustSources(t) {
		if s.test {
			continue
		}
		rel := s.pkgRel()
		documented[rel] = documented[rel] || s.file.Doc != nil
		if s.file.Name.Name == "main" {
			continue
		}
		for _, d := range s.file.Decls {
			for _, name := range undocumented(d) {
				t.Errorf("%s: exported %s has no comment", s.at(d), name)
			}
		}
	}
	for rel, ok := range documented {
		if !ok {
			t.Errorf("%s: no package comment", rel)
		}
	}
}

// undocumented returns the exported names of a declaration that have no comment.
func undocumented(d ast.Decl) []string {
	var out []string
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && (d.Recv == nil || exportedReceiver(d.Recv)) {
			out = append(out, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() && spec.Doc == nil && d.Doc == nil {
					out = append(out, spec.Name.Name)
				}
			case *ast.ValueSpec:
				// A comment on a group speaks for its members.
				if spec.Names[0].IsExported() && spec.Doc == nil && spec.Comment == nil && d.Doc == nil {
					out = append(out, spec.Names[0].Name)
				}
			}
		}
	}
	return out
}

func exportedReceiver(recv *ast.FieldList) bool {
	e := recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.IsExported()
		default:
			return false
		}
	}
}

// TestPanics allows a panic that says why on its line or the one above.
func TestPanics(t *testing.T) {
	t.Parallel()
	for _, s := range mustSources(t) {
		if s.test {
			continue
		}
		commented := map[int]bool{}
		for _, g := range s.file.Comments {
			for line := s.fset.Position(g.Pos()).Line; line <= s.fset.Position(g.End()).Line; line++ {
				commented[line], commented[line+1] = true, true
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "panic" && !commented[s.fset.Position(n.Pos()).Line] {
				t.Errorf("%s: panic without a comment that says whose mistake it is", s.at(n))
			}
			return true
		})
	}
}

// mutableOK are package-level variables that never change after they are made.
func mutableOK(v *ast.ValueSpec) bool {
	for i, name := range v.Names {
		if name.Name == "_" || strings.HasPrefix(name.Name, "Err") || strings.HasPrefix(name.Name, "err") {
			continue
		}
		if i >= len(v.Values) {
			return false // declared to be set later
		}
	}
	return true
}

// TestNoMutableState finds package variables that are assigned after they were made.
func TestNoMutableState(t *testing.T) {
	t.Parallel()
	vars := map[string]map[string]bool{} // package -> names
	all := mustSources(t)
	for _, s := range all {
		if s.test {
			continue
		}
		for _, d := range s.file.Decls {
			gd, ok := d.(*ast.GenDecl)
			if !ok || gd.Tok != token.VAR {
				continue
			}
			for _, spec := range gd.Specs {
				v := spec.(*ast.ValueSpec)
				if !mutableOK(v) && !stamped(s, v) && !embedded(gd, v) && !pool(v) {
					t.Errorf("%s: package variable %s is made without a value, so something sets it later", s.at(v), v.Names[0].Name)
				}
				for _, n := range v.Names {
					if vars[s.pkgRel()] == nil {
						vars[s.pkgRel()] = map[string]bool{}
					}
					vars[s.pkgRel()][n.Name] = true
				}
			}
		}
	}
	for _, s := range all {
		if s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			as, ok := n.(*ast.AssignStmt)
			if !ok || as.Tok == token.DEFINE {
				return true
			}
			for _, lhs := range as.Lhs {
				id, ok := lhs.(*ast.Ident)
				if ok && id.Name != "_" && id.Obj == nil && vars[s.pkgRel()][id.Name] {
					t.Errorf("%s: assigns to package variable %s", s.at(n), id.Name)
				}
			}
			return true
		})
	}
}

// stamped is the version that the linker writes.
func stamped(s source, v *ast.ValueSpec) bool {
	return s.file.Name.Name == "main" && v.Names[0].Name == "version"
}

// embedded is a variable that the compiler fills from a file.
func embedded(d *ast.GenDecl, v *ast.ValueSpec) bool {
	for _, doc := range []*ast.CommentGroup{d.Doc, v.Doc} {
		if doc == nil {
			continue
		}
		for _, c := range doc.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return true
			}
		}
	}
	return false
}

// pool is a sync.Pool, which holds nothing that anybody could observe.
func pool(v *ast.ValueSpec) bool {
	sel, ok := v.Type.(*ast.SelectorExpr)
	return ok && sel.Sel.Name == "Pool"
}
