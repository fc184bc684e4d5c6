package monitoring

import (
	"fmt"
	"slices"
	"strings"
)

// selector is a metric in a query, with the labels that it is chosen by.
type selector struct {
	metric string
	labels []string
	// in is the function that it is the argument of, "" for none.
	in string
}

// query is what this package looks at in a query; that it is right PromQL is for promtool
// to say.
type parsed struct {
	selectors []selector
	// grouped are the labels of by, on and their like.
	grouped []string
}

// lists are the words that a list of labels follows.
var lists = []string{"by", "without", "on", "ignoring", "group_left", "group_right"}

// operators are words that are no metrics.
var operators = []string{"and", "or", "unless", "bool", "offset"}

// parse finds the metrics and labels of a query.
func parse(expr string) (parsed, error) {
	var out parsed
	var calls []string // names before the open parentheses
	last := ""         // the word before
	for i := 0; i < len(expr); {
		c := expr[i]
		switch {
		case c == '"' || c == '\'' || c == '`':
			end := closing(expr, i)
			if end < 0 {
				return out, fmt.Errorf("no end of the text at %q", expr[i:])
			}
			i = end + 1
		case isLetter(c):
			end := i
			for end < len(expr) && (isLetter(expr[end]) || expr[end] >= '0' && expr[end] <= '9') {
				end++
			}
			word := expr[i:end]
			rest := strings.TrimLeft(expr[end:], " \n")
			switch {
			case slices.Contains(lists, word) && strings.HasPrefix(rest, "("):
				list, after, ok := strings.Cut(rest[1:], ")")
				if !ok {
					return out, fmt.Errorf("no end of the labels of %s", word)
				}
				for l := range strings.SplitSeq(list, ",") {
					if l = strings.TrimSpace(l); l != "" {
						out.grouped = append(out.grouped, l)
					}
				}
				end = len(expr) - len(after)
				word = last // sum by (x) ( is a call of sum
			case slices.Contains(operators, word), strings.HasPrefix(rest, "("), aggregates(rest):
			default:
				s := selector{metric: word}
				if n := len(calls); n > 0 {
					s.in = calls[n-1]
				}
				if strings.HasPrefix(rest, "{") {
					names, after, err := matchers(rest)
					if err != nil {
						return out, err
					}
					s.labels, end = names, len(expr)-len(after)
				}
				out.selectors = append(out.selectors, s)
			}
			last, i = word, end
		case c == '(':
			calls, last, i = append(calls, last), "", i+1
		case c == ')':
			if len(calls) == 0 {
				return out, fmt.Errorf("too many parentheses in %q", expr)
			}
			calls, last, i = calls[:len(calls)-1], "", i+1
		case c == '[':
			end := strings.IndexByte(expr[i:], ']')
			if end < 0 {
				return out, fmt.Errorf("no end of the range at %q", expr[i:])
			}
			i += end + 1
		case c >= '0' && c <= '9':
			for i < len(expr) && (isLetter(expr[i]) || expr[i] >= '0' && expr[i] <= '9' || expr[i] == '.') {
				i++ // a number, or a duration
			}
			last = ""
		default:
			if c != ' ' && c != '\n' {
				last = ""
			}
			i++
		}
	}
	return out, nil
}

// aggregates reports whether a list of labels follows, as after the sum of sum by (x).
func aggregates(rest string) bool {
	word, _, ok := strings.Cut(rest, " ")
	return ok && slices.Contains(lists, word)
}

// matchers reads {…} and returns the names of its labels, and what follows.
func matchers(text string) (names []string, after string, err error) {
	for i := 1; i < len(text); {
		switch c := text[i]; {
		case c == '}':
			return names, text[i+1:], nil
		case c == '"' || c == '\'':
			end := closing(text, i)
			if end < 0 {
				return nil, "", fmt.Errorf("no end of the text at %q", text[i:])
			}
			i = end + 1
		case isLetter(c):
			end := i
			for end < len(text) && (isLetter(text[end]) || text[end] >= '0' && text[end] <= '9') {
				end++
			}
			names, i = append(names, text[i:end]), end
		default:
			i++
		}
	}
	return nil, "", fmt.Errorf("no end of %q", text)
}

// closing returns where the text ends that begins at i, -1 for nowhere.
func closing(text string, i int) int {
	for j := i + 1; j < len(text); j++ {
		switch {
		case text[j] == '\\' && text[i] != '`':
			j++
		case text[j] == text[i]:
			return j
		}
	}
	return -1
}

func isLetter(c byte) bool {
	return c == '_' || c == ':' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
