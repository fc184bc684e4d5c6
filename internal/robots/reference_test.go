package robots

import "strings"

// The reference says what RFC 9309 §2.2.2 and §2.2.3 say, as plainly as it can be
// written, slowly, and sharing nothing with the package.

// wild stands for a wildcard in what spell returns; it is no octet.
const wild = -1

// spell brings a path or pattern to its one spelling, in which octets are compared:
// what is not a URL's own octet is escaped, what need not be is not. Reserved octets
// mean something else when they are escaped, so they stay as they are, but for some
// in the query. A star of a pattern is a wildcard.
func spell(s string, isPattern bool) []int {
	var out []int
	query := false
	for len(s) > 0 {
		c, escaped := s[0], false
		if len(s) >= 3 && c == '%' && isHex(s[1]) && isHex(s[2]) {
			c, escaped = hexValue(s[1])<<4|hexValue(s[2]), true
			s = s[2:]
		}
		s = s[1:]
		query = query || !escaped && c == '?'
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		plain := letter || strings.IndexByte("-._~", c) >= 0 ||
			!escaped && strings.IndexByte("!&'()+,/:;=?@[]%", c) >= 0 ||
			escaped && query && strings.IndexByte(":/?@[]'", c) >= 0
		switch {
		case !escaped && c == '*' && isPattern:
			out = append(out, wild)
		case plain:
			out = append(out, int(c))
		default:
			out = append(out, '%', int("0123456789ABCDEF"[c>>4]), int("0123456789ABCDEF"[c&15]))
		}
	}
	return out
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

func hexValue(c byte) byte { return byte(strings.IndexByte("0123456789abcdef", c|0x20)) }

// referenceMatch tries everything: table[i][j] says that pattern[i:] matches
// target[j:].
func referenceMatch(value, path string) bool {
	value, end := strings.CutSuffix(value, "$")
	pattern, target := spell(value, true), spell(path, false)
	table := make([][]bool, len(pattern)+1)
	for i := len(pattern); i >= 0; i-- {
		table[i] = make([]bool, len(target)+1)
		for j := len(target); j >= 0; j-- {
			switch {
			case i == len(pattern):
				table[i][j] = !end || j == len(target)
			case pattern[i] == wild:
				table[i][j] = table[i+1][j] || j < len(target) && table[i][j+1]
			default:
				table[i][j] = j < len(target) && pattern[i] == target[j] && table[i+1][j+1]
			}
		}
	}
	return table[0][0]
}

// referenceRule is an allow or disallow line.
type referenceRule struct {
	allow bool
	value string
}

// referenceAllowed takes the longest rule that matches, and of two the allow.
func referenceAllowed(rules []referenceRule, path string) bool {
	if path == "/robots.txt" {
		return true
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	allowed, longest := true, -1
	for _, r := range rules {
		if r.value == "" || !referenceMatch(r.value, path) {
			continue
		}
		n := len(spell(strings.TrimSuffix(r.value, "$"), true))
		if strings.HasSuffix(r.value, "$") {
			n++
		}
		if n > longest || n == longest && r.allow {
			allowed, longest = r.allow, n
		}
	}
	return allowed
}
