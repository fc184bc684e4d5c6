package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
)

// An expression is evaluated for every link of every page, and whoever submits a
// crawl writes it: what it may cost is bounded when it is compiled. It has no
// loops but those over one list, so its time is at most its nodes times the
// length of the URL.
const (
	maxExpression      = 1024
	maxExpressionNodes = 100
	// expressionMemory bounds the values that lists inside an expression hold.
	expressionMemory = 100_000
)

// facts are the names that an expression knows.
type facts struct {
	URL      string   `expr:"url"`
	Scheme   string   `expr:"scheme"`
	Host     string   `expr:"host"`
	Domain   string   `expr:"domain"`
	Path     string   `expr:"path"`
	Query    string   `expr:"query"`
	Segments []string `expr:"segments"`
	Depth    int      `expr:"depth"`
}

func factNames() []string {
	return []string{"url", "scheme", "host", "domain", "path", "query", "segments", "depth"}
}

// expressionFunctions are the functions of the language that take time linear in
// what they are given and make nothing longer. Those with a condition go through
// a list.
func expressionFunctions() (plain, withCondition []string) {
	return []string{
			"abs", "ceil", "first", "float", "floor", "hasPrefix", "hasSuffix", "indexOf", "int", "last", "lastIndexOf", "len",
			"lower", "max", "min", "round", "string", "trim", "trimPrefix", "trimSuffix", "upper",
		}, []string{
			"all", "any", "count", "none", "one",
		}
}

// expression is compiled, immutable and safe for concurrent use.
type expression struct {
	program *vm.Program
	// What costs something to find is found only where it is used.
	domain, segments bool
}

// compileExpression compiles an expression that is a condition or a number. The
// error is one line that says what is wrong, where, and what would be right.
func compileExpression(text string, condition bool) (*expression, error) {
	return compileIn(facts{}, factNames(), text, condition)
}

// compileIn compiles an expression over the names of an environment.
func compileIn(env any, names []string, text string, condition bool) (*expression, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("must not be longer than %d bytes, not %d", maxExpression, len(text))
	}
	want := expr.AsFloat64()
	if condition {
		want = expr.AsBool()
	}
	guard := &expressionGuard{}
	program, err := expr.Compile(text, expr.Env(env), want, expr.WarnOnAny(), expr.MaxNodes(maxExpressionNodes), expr.Patch(guard))
	if guard.problem != nil {
		err = guard.problem.Bind(file.NewSource(text))
	}
	if err != nil {
		return nil, fmt.Errorf("%q cannot be used: %s", shorten(text), expressionProblem(text, err, names, condition))
	}
	return &expression{program, guard.uses["domain"], guard.uses["segments"]}, nil
}

// shorten cuts a long expression for an error.
func shorten(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// expressionProblem puts a compiler's error into one line.
func expressionProblem(text string, err error, names []string, condition bool) string {
	e, ok := errors.AsType[*file.Error](err)
	if !ok {
		return resultProblem(err, condition)
	}
	where := fmt.Sprintf("column %d", e.Column+1)
	if strings.Contains(text, "\n") {
		where = fmt.Sprintf("line %d, column %d", e.Line, e.Column+1)
	}
	hint := ""
	if name, ok := strings.CutPrefix(e.Message, "unknown name "); ok {
		hint = "; " + didYouMean(name, names)
	}
	return where + ": " + strings.Join(strings.Fields(e.Message), " ") + hint
}

// resultProblem explains an expression whose result is of another type.
func resultProblem(err error, condition bool) string {
	_, got, ok := strings.Cut(err.Error(), "but got ")
	if strings.HasPrefix(got, "interface") {
		got = "a value of any type"
	}
	switch {
	case !ok:
		return oneLine(err)
	case condition:
		return "it must give true or false, as depth > 3 does, not " + got
	default:
		return "it must give a number, as depth * 10 does, not " + got
	}
}

// expressionGuard looks through the syntax tree for what would break the bounds,
// and notes the facts that are used.
type expressionGuard struct {
	uses    map[string]bool
	problem *file.Error
}

// Visit looks at a node.
func (g *expressionGuard) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if n.Value == "$env" {
			g.refuse(n, "unknown name $env")
		}
		if g.uses == nil {
			g.uses = map[string]bool{}
		}
		g.uses[n.Value] = true
	case *ast.VariableDeclaratorNode:
		g.refuse(n, "let cannot be used here")
	case *ast.BinaryNode:
		_, literal := n.Right.(*ast.StringNode)
		switch {
		case n.Operator == "..":
			g.refuse(n, "a range cannot be used here")
		case n.Operator == "matches" && !literal:
			g.refuse(n, "matches needs an RE2 expression in quotes after it")
		}
	case *ast.BuiltinNode:
		g.function(n)
	}
}

func (g *expressionGuard) function(n *ast.BuiltinNode) {
	plain, withCondition := expressionFunctions()
	loop := slices.Contains(withCondition, n.Name)
	if !loop && !slices.Contains(plain, n.Name) {
		g.refuse(n, fmt.Sprintf("the function %s cannot be used here; known: %s, %s", n.Name, strings.Join(plain, ", "), strings.Join(withCondition, ", ")))
		return
	}
	if !loop {
		return
	}
	for _, arg := range n.Arguments {
		inner := ast.Find(arg, func(x ast.Node) bool {
			b, ok := x.(*ast.BuiltinNode)
			return ok && slices.Contains(withCondition, b.Name)
		})
		if inner != nil {
			g.refuse(inner, "a list cannot be gone through for each entry of another one")
		}
		if _, ok := arg.(*ast.PredicateNode); !ok {
			continue
		}
		// The segments are together as long as the path; a whole URL for each of them
		// would be its square.
		fact := ast.Find(arg, func(x ast.Node) bool {
			id, ok := x.(*ast.IdentifierNode)
			return ok && id.Value != "depth" && id.Value != "scheme"
		})
		if fact != nil {
			g.refuse(fact, fmt.Sprintf("inside %s, # (the entry), depth and scheme are known", n.Name))
		}
	}
}

// refuse keeps the first problem.
func (g *expressionGuard) refuse(n ast.Node, message string) {
	if g.problem == nil {
		g.problem = &file.Error{Location: n.Location(), Message: message}
	}
}

// machines are what evaluating needs, pooled: a crawl's links come from many
// goroutines.
type machines struct{ pool sync.Pool }

// machine evaluates expressions for one URL at a time.
type machine struct {
	vm    vm.VM
	url   weburl.URL
	facts facts
	// Whether the facts that are found on demand are there.
	domain, segments bool
}

// get returns a machine that is set to a URL; put takes it back.
func (m *machines) get(u weburl.URL, depth int) *machine {
	x, ok := m.pool.Get().(*machine)
	if !ok {
		x = &machine{vm: vm.VM{MemoryBudget: expressionMemory}}
	}
	path, query, _ := strings.Cut(u.PathQuery(), "?")
	x.facts = facts{
		URL: u.String(), Scheme: u.Scheme(), Host: u.Host(), Path: path, Query: query, Depth: depth, Segments: x.facts.Segments[:0],
	}
	x.url, x.domain, x.segments = u, false, false
	return x
}

func (m *machines) put(x *machine) { m.pool.Put(x) }

// run evaluates an expression; ok is false for an error at run time, such as a
// segment that the URL does not have.
func (x *machine) run(e *expression) (value any, ok bool) {
	if e.domain && !x.domain {
		x.facts.Domain, x.domain = x.url.Site(), true
	}
	if e.segments && !x.segments {
		x.facts.Segments, x.segments = slices.AppendSeq(x.facts.Segments, crawl.Segments(x.facts.Path)), true
	}
	value, err := x.vm.Run(e.program, &x.facts)
	return value, err == nil
}
