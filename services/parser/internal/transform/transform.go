// Package transform changes the texts of a field step by step: trims, replaces,
// parts and joins them. Steps are made once for a spec and are safe for concurrent
// use.
package transform

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/weircrawl/weir/internal/weburl"
)

// Bounds of what a step may make: a replacement of one letter by a kibibyte, twice,
// would make a page into gigabytes.
const (
	maxText  = 256 << 10
	maxTexts = 10_000
)

// Page is what steps may ask of the page.
type Page struct {
	// Base that references count from; nil where the page has none.
	Base *weburl.Base
}

// Step is one step: a closed set, made by the functions of this package.
type Step interface {
	// apply returns the texts after the step. It may reuse the memory of in.
	apply(in []string, p Page) []string
}

// Apply does steps one after the other. It may reuse the memory of texts.
func Apply(steps []Step, texts []string, p Page) []string {
	for _, s := range steps {
		texts = s.apply(texts, p)
	}
	return texts
}

// Joins reports whether one of the steps puts all texts into one.
func Joins(steps []Step) bool {
	for _, s := range steps {
		if _, ok := s.(join); ok {
			return true
		}
	}
	return false
}

// each is a step that makes one text of one; it drops those that it refuses.
type each func(s string, p Page) (string, bool)

func (f each) apply(in []string, p Page) []string {
	out := in[:0]
	for _, s := range in {
		if s, ok := f(s, p); ok {
			out = append(out, s)
		}
	}
	return out
}

// Trim drops white space at both ends.
func Trim() Step {
	return each(func(s string, _ Page) (string, bool) { return strings.TrimSpace(s), true })
}

// Lower makes letters small.
func Lower() Step {
	return each(func(s string, _ Page) (string, bool) { return strings.ToLower(s), true })
}

// Upper makes letters capitals.
func Upper() Step {
	return each(func(s string, _ Page) (string, bool) { return strings.ToUpper(s), true })
}

// Absolute makes references absolute and drops what is none to a page.
func Absolute() Step {
	return each(func(s string, p Page) (string, bool) {
		if p.Base == nil || strings.TrimSpace(s) == "" {
			return "", false
		}
		u, err := p.Base.Resolve(s)
		if err != nil {
			return "", false
		}
		return u.String(), true
	})
}

// Add adds a number to texts that are decimal numbers with a point, and drops others.
func Add(n float64) Step {
	return each(func(s string, _ Page) (string, bool) {
		v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return "", false
		}
		// As shown: 0.1 more than 0.2 is 0.3.
		sum, err := strconv.ParseFloat(strconv.FormatFloat(v+n, 'g', 15, 64), 64)
		if err != nil || math.Abs(sum) > 1<<53 {
			return "", false
		}
		return strconv.FormatFloat(sum, 'f', -1, 64), true
	})
}

// Replace puts a text in the place of another, which must not be empty.
func Replace(old, new string) Step {
	return each(func(s string, _ Page) (string, bool) {
		if n := strings.Count(s, old); len(s)+n*(len(new)-len(old)) > maxText {
			return "", false
		}
		return strings.ReplaceAll(s, old, new), true
	})
}

// ReplaceRegex puts a text, in which $1 is the first group, in the place of every
// match.
func ReplaceRegex(re *regexp.Regexp, new string) Step {
	return each(func(s string, _ Page) (string, bool) {
		var out []byte
		end := 0
		for _, m := range re.FindAllStringSubmatchIndex(s, -1) {
			out = append(out, s[end:m[0]]...)
			out = re.ExpandString(out, new, s, m)
			end = m[1]
			if len(out) > maxText {
				return "", false
			}
		}
		return string(append(out, s[end:]...)), true
	})
}

type split struct{ sep string }

// Split parts texts at a separator, which must not be empty.
func Split(sep string) Step { return split{sep} }

func (s split) apply(in []string, _ Page) []string {
	var out []string
	for _, text := range in {
		for part := range strings.SplitSeq(text, s.sep) {
			if len(out) == maxTexts {
				return out
			}
			out = append(out, part)
		}
	}
	return out
}

type join struct{ sep string }

// Join puts all texts into one.
func Join(sep string) Step { return join{sep} }

func (j join) apply(in []string, _ Page) []string {
	if len(in) == 0 {
		return nil
	}
	size := -len(j.sep)
	for i, s := range in {
		if size += len(s) + len(j.sep); size > maxText {
			in = in[:i]
			break
		}
	}
	return append(in[:0], strings.Join(in, j.sep))
}

// Cut returns at most maxText bytes of a text, between characters.
func Cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	n := maxText
	for n > maxText-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
