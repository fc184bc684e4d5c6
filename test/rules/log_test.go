package rules

import (
	"go/ast"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// logWords are the keys of the log for what has more than one name.
var logWords = map[string]string{
	"crawl": "crawl_id", "crawlid": "crawl_id", "lease": "lease_id", "error": "err", "address": "addr", "uri": "url",
	"hostname": "host", "trace": "trace_id", "span": "span_id", "try": "attempt",
}

// logKey returns why a key of the log is wrong, "" when it is not.
func logKey(key string) string {
	if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(key) {
		return "keys are snake_case"
	}
	if right := logWords[key]; right != "" {
		return "the key is " + right
	}
	return ""
}

// TestLogKeys: the same things have the same keys in every log.
func TestLogKeys(t *testing.T) {
	t.Parallel()
	found := 0
	for _, s := range mustSources(t) {
		if s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			fn, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !one(strings.TrimSuffix(fn.Sel.Name, "Context"), "Debug", "Info", "Warn", "Error") || !isLog(fn.X) {
				return true
			}
			first := 1
			if strings.HasSuffix(fn.Sel.Name, "Context") {
				first = 2
			}
			for i := first; i < len(call.Args); i += 2 {
				lit, ok := call.Args[i].(*ast.BasicLit)
				if !ok {
					break // an Attr, or a list of them
				}
				found++
				key, err := strconv.Unquote(lit.Value)
				if err != nil {
					continue
				}
				if why := logKey(key); why != "" {
					t.Errorf("%s: key %q of the log: %s", s.at(n), key, why)
				}
			}
			return true
		})
	}
	if found < 100 {
		t.Errorf("only %d keys found: the search is wrong", found)
	}
}

// isLog tells by its name whether an expression is a logger.
func isLog(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return strings.EqualFold(e.Name, "log")
	case *ast.SelectorExpr:
		return strings.EqualFold(e.Sel.Name, "log")
	}
	return false
}

// TestLogKey proves that the rule bites.
func TestLogKey(t *testing.T) {
	t.Parallel()
	for key, bad := range map[string]bool{"crawl_id": false, "err": false, "crawl": true, "error": true, "URL": true, "two words": true} {
		if why := logKey(key); (why != "") != bad {
			t.Errorf("%s: %q", key, why)
		}
	}
}
