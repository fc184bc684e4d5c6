package rules

import (
	"strings"
	"testing"
)

// pure packages of internal: no I/O, no clock, no wire types.
func isPure(rel string) bool {
	switch rel {
	case "internal/weburl", "internal/robots", "internal/crawl", "internal/warc", "internal/cookie", "internal/schema", "internal/secret", "internal/crew":
		return true
	}
	return false
}

// pureMay are the packages from outside that pure packages may use.
var pureMay = []string{
	"golang.org/x/net/publicsuffix", "golang.org/x/net/idna", "golang.org/x/text",
	"github.com/nlnwa/whatwg-url", "github.com/klauspost/compress/flate", "github.com/klauspost/compress/gzip",
}

// pureMayNot are the standard packages that do I/O.
var pureMayNot = []string{
	"os", "net", "net/http", "syscall", "log", "log/slog", "database/sql", "plugin", "io/ioutil",
}

// wire is what a service's core never sees.
var wire = []string{
	modulePath + "/proto", "google.golang.org/grpc", "google.golang.org/protobuf",
	"github.com/nats-io", "github.com/prometheus",
}

// under tells whether path is one of the given paths or lies below one.
func under(path string, roots ...string) bool {
	for _, r := range roots {
		if path == r || strings.HasPrefix(path, r+"/") {
			return true
		}
	}
	return false
}

func stdlib(path string) bool { return !strings.Contains(strings.SplitN(path, "/", 2)[0], ".") }

// local returns the path below the module, and whether it is ours at all.
func local(path string) (string, bool) {
	if path == modulePath {
		return "", true
	}
	return strings.CutPrefix(path, modulePath+"/")
}

// service returns the name of the service that a package of ours belongs to.
func service(rel string) string {
	rest, ok := strings.CutPrefix(rel, "services/")
	if !ok {
		return ""
	}
	return strings.SplitN(rest, "/", 2)[0]
}

// breach returns why the package from may not import the package to ("" when it
// may). Both are import paths; test tells whether the import is a test's.
func breach(from, to string, test bool) string {
	rel, _ := local(from)
	toRel, ours := local(to)
	if ours && under(toRel, "test", "cmd") && !under(rel, strings.SplitN(toRel, "/", 2)[0]) {
		return "nothing is built on the binary or its tests"
	}
	if test {
		return testBreach(rel, toRel, ours)
	}
	switch {
	case under(rel, "proto"):
		if !stdlib(to) && !under(to, modulePath+"/proto", "google.golang.org") {
			return "proto is all that an outside client imports, so it stands alone"
		}
	case isPure(rel):
		return pureBreach(to, toRel, ours)
	case under(rel, "internal"):
		if ours && !under(toRel, "internal", "proto") {
			return "shared libraries know no service"
		}
	case service(rel) != "" && strings.Contains(rel, "/internal/"):
		return coreBreach(rel, to, toRel, ours)
	case service(rel) != "":
		return serviceBreach(rel, toRel, ours)
	case under(rel, "cmd"):
		if service(toRel) != "" && strings.Contains(toRel, "/internal/") {
			return "the binary uses the root packages of services"
		}
	case under(rel, "test"):
		if ours && !under(toRel, "test", "proto", "internal/testkit") {
			return "the black-box tests know the binary, proto and testkit"
		}
	}
	return ""
}

func pureBreach(to, toRel string, ours bool) string {
	switch {
	case ours && !isPure(toRel):
		return "a pure package uses pure packages only"
	case ours:
	case stdlib(to):
		for _, p := range pureMayNot {
			if to == p {
				return "a pure package does no I/O"
			}
		}
		if under(to, "net/http", "os", "database/sql") {
			return "a pure package does no I/O"
		}
	case !under(to, pureMay...):
		return "a pure package uses the standard library and " + strings.Join(pureMay, ", ")
	}
	return ""
}

func coreBreach(rel, to, toRel string, ours bool) string {
	if under(to, wire...) {
		return "a service's core never sees a wire message or a metric"
	}
	if !ours || isPure(toRel) {
		return ""
	}
	if service(toRel) == service(rel) && strings.Contains(toRel, "/internal/") {
		return ""
	}
	if under(toRel, "internal/blob", "internal/postgres") {
		return "" // engines of stores, as a database's driver is
	}
	return "a service's core uses pure packages and its own sub-packages"
}

func serviceBreach(rel, toRel string, ours bool) string {
	if !ours || under(toRel, "internal", "proto") || service(toRel) == service(rel) {
		return ""
	}
	return "services meet only through proto"
}

// testBreach judges the import of a test, which may use what it likes from outside.
func testBreach(rel, toRel string, ours bool) string {
	if !ours {
		return ""
	}
	if s := service(toRel); s != "" && s != service(rel) && !under(rel, "cmd") {
		return "services meet only through proto, in tests too"
	}
	return ""
}

func TestImportRules(t *testing.T) {
	t.Parallel()
	for _, p := range mustPackages(t) {
		check := func(imports []string, test bool) {
			for _, to := range imports {
				if why := breach(p.ImportPath, to, test); why != "" {
					t.Errorf("%s -> %s: %s", p.ImportPath, to, why)
				}
			}
		}
		check(p.Imports, false)
		check(p.TestImports, true)
		check(p.XTestImports, true)
	}
}

// TestBreach proves that the rules bite.
func TestBreach(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, from, to string
		test, bad      bool
	}{
		{"pure uses os", "internal/weburl", "os", false, true},
		{"pure uses net/http", "internal/robots", "net/http", false, true},
		{"pure uses netip", "internal/weburl", "net/netip", false, false},
		{"pure uses pure", "internal/crawl", "/internal/weburl", false, false},
		{"pure uses bus", "internal/crawl", "/internal/bus", false, true},
		{"pure uses grpc", "internal/crawl", "google.golang.org/grpc/codes", false, true},
		{"pure test uses rapid", "internal/crawl", "pgregory.net/rapid", true, false},
		{"platform uses service", "internal/bus", "/services/fetcher", false, true},
		{"platform uses proto", "internal/bus", "/proto/weir/crawl/v1", false, false},
		{"core uses proto", "services/scheduler/internal/frontier", "/proto/weir/crawl/v1", false, true},
		{"core uses nats", "services/fetcher/internal/client", "github.com/nats-io/nats.go", false, true},
		{"core uses bus", "services/fetcher/internal/client", "/internal/bus", false, true},
		{"core uses own core", "services/scheduler/internal/pebblestore", "/services/scheduler/internal/frontier", false, false},
		{"core uses its service", "services/scheduler/internal/frontier", "/services/scheduler", false, true},
		{"store uses its engine", "services/scheduler/internal/pebblestore", "github.com/cockroachdb/pebble/v2", false, false},
		{"service uses service", "services/parser", "/services/storage", false, true},
		{"service test uses service", "services/parser", "/services/storage", true, true},
		{"service uses platform", "services/parser", "/internal/bus", false, false},
		{"binary uses service", "cmd/weir", "/services/parser", false, false},
		{"binary uses core", "cmd/weir", "/services/parser/internal/extract", false, true},
		{"e2e uses service", "test/e2e", "/services/parser", false, true},
		{"e2e uses bus", "test/e2e", "/internal/bus", false, true},
		{"e2e uses testkit", "test/e2e", "/internal/testkit/site", false, false},
		{"service uses e2e", "services/parser", "/test/e2e", true, true},
		{"proto uses nats", "proto/weir/crawl/v1", "github.com/nats-io/nats.go", false, true},
	} {
		to := tt.to
		if strings.HasPrefix(to, "/") {
			to = modulePath + to
		}
		why := breach(modulePath+"/"+tt.from, to, tt.test)
		if (why != "") != tt.bad {
			t.Errorf("%s: %s -> %s: %q", tt.name, tt.from, to, why)
		}
	}
}
