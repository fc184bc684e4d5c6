package crawl

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// ErrPattern is wrapped by every error of CompilePattern.
var ErrPattern = errors.New("bad URL pattern")

// maxPattern bounds a pattern's text: it is matched against every link, and RE2
// programs grow with it.
const maxPattern = 4096

// Pattern is a compiled URL pattern, immutable and safe for concurrent use.
type Pattern struct {
	text string
	re   *regexp.Regexp // nil for a glob

	// A glob is prefix, middle parts in order, suffix; without a star it is exact.
	exact          bool
	prefix, suffix string
	middle         []string
	minLen         int
}

// CompilePattern compiles a glob over the whole canonical URL, in which * stands
// for any run of characters, slashes included, and every other character for
// itself; or, after "re:", an RE2 expression that may match anywhere.
func CompilePattern(s string) (*Pattern, error) {
	if len(s) > maxPattern {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrPattern, maxPattern)
	}
	if expr, ok := strings.CutPrefix(s, "re:"); ok {
		if expr == "" {
			return nil, fmt.Errorf("%w: re: without an expression", ErrPattern)
		}
		re, err := regexp.Compile(expr)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrPattern, err)
		}
		return &Pattern{text: s, re: re}, nil
	}
	if s == "" {
		return nil, fmt.Errorf("%w: empty; use * for every URL", ErrPattern)
	}
	return compileGlob(s), nil
}

func compileGlob(s string) *Pattern {
	parts := strings.Split(s, "*")
	p := &Pattern{text: s, prefix: parts[0]}
	last := len(parts) - 1
	if last == 0 {
		p.exact = true
		return p
	}
	p.suffix = parts[last]
	for _, m := range parts[1:last] {
		if m != "" {
			p.middle = append(p.middle, m)
		}
	}
	p.minLen = len(s) - last
	return p
}

// Match reports whether the pattern matches a canonical URL. A glob takes time
// linear in the URL and allocates nothing.
func (p *Pattern) Match(url string) bool {
	switch {
	case p.re != nil:
		return p.re.MatchString(url)
	case p.exact:
		return url == p.prefix
	case len(url) < p.minLen || !strings.HasPrefix(url, p.prefix) || !strings.HasSuffix(url, p.suffix):
		return false
	}
	// The leftmost place for each part leaves the most room for the next, so no
	// backtracking is needed.
	rest := url[len(p.prefix) : len(url)-len(p.suffix)]
	for _, m := range p.middle {
		i := strings.Index(rest, m)
		if i < 0 {
			return false
		}
		rest = rest[i+len(m):]
	}
	return true
}

// String returns the pattern as written.
func (p *Pattern) String() string { return p.text }
