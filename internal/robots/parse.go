package robots

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
)

// Parse reads a robots.txt. It never fails: lines that make no sense are skipped,
// and a file without any that do allows everything.
func Parse(body []byte) *Rules {
	p := parser{rules: &Rules{}}
	for number, rest := 1, strip(body); rest != ""; number++ {
		var line string
		line, rest = cutLine(rest)
		p.line(number, line)
	}
	p.endGroup()
	return p.rules
}

// Head returns the part of a robots.txt that Parse reads, which is all of one that is
// not longer than MaxSize. A line cut by the limit is left out: half a pattern would
// match more than was meant. To be used by whoever keeps the text, so that it means
// the same when it is read again.
func Head(body []byte) []byte {
	if len(body) <= MaxSize {
		return body
	}
	if isEOL(body[MaxSize]) {
		return body[:MaxSize]
	}
	return body[:bytes.LastIndexAny(body[:MaxSize], "\r\n")+1]
}

// strip drops what is over the limit, and the byte order mark, whole or begun.
func strip(body []byte) string {
	text := string(Head(body))
	for _, c := range []byte("\xef\xbb\xbf") {
		if text == "" || text[0] != c {
			break
		}
		text = text[1:]
	}
	return text
}

func isEOL(c byte) bool { return c == '\n' || c == '\r' }

// cutLine splits after a line that ends in LF, CR or CRLF.
func cutLine(s string) (line, rest string) {
	i := strings.IndexAny(s, "\r\n")
	if i < 0 {
		return s, ""
	}
	if strings.HasPrefix(s[i:], "\r\n") {
		return s[:i], s[i+2:]
	}
	return s[:i], s[i+1:]
}

// parser holds the group being read.
type parser struct {
	rules *Rules
	group group
	// hasRule says that the group has had an allow or disallow line, so that the
	// next user-agent line starts another group. Only these lines count: the RFC
	// (§2.2.4) forbids that sitemap and other records end a group.
	hasRule bool
}

func (p *parser) endGroup() {
	if len(p.group.agents) > 0 { // a group without rules allows its agents everything
		p.rules.groups = append(p.rules.groups, p.group)
	}
	p.group, p.hasRule = group{}, false
}

func (p *parser) line(number int, raw string) {
	text, _, _ := strings.Cut(raw, "#")
	text = trim(text)
	key, value, ok := splitLine(text)
	if !ok {
		return
	}
	switch fieldOf(key) {
	case fieldAgent:
		if p.hasRule {
			p.endGroup()
		}
		p.group.agents = append(p.group.agents, agentToken(value))
	case fieldAllow:
		p.rule(true, value, Line{Number: number, Text: text})
	case fieldDisallow:
		p.rule(false, value, Line{Number: number, Text: text})
	case fieldDelay:
		if d, ok := parseDelay(value); ok && len(p.group.agents) > 0 {
			p.group.delay, p.group.hasDelay = max(d, p.group.delay), true
		}
	case fieldSitemap:
		if value != "" {
			p.rules.sitemaps = append(p.rules.sitemaps, value)
		}
	}
}

func (p *parser) rule(allow bool, value string, line Line) {
	if len(p.group.agents) == 0 {
		return // rules before any user-agent line are nobody's
	}
	p.hasRule = true
	if value == "" {
		return // "Disallow:" matches nothing
	}
	p.group.rules = append(p.group.rules, rule{allow: allow, pattern: compile(value), line: line})
}

// trim drops the white space of the RFC and what else people paste.
func trim(s string) string { return strings.Trim(s, " \t\v\f\x00\u00a0") }

// splitLine splits "key: value". Like Google's parser it accepts white space instead
// of the colon if there are exactly two words.
func splitLine(text string) (key, value string, ok bool) {
	if key, value, ok = strings.Cut(text, ":"); ok {
		key, value = trim(key), trim(value)
		return key, value, key != ""
	}
	words := strings.Fields(text)
	if len(words) != 2 {
		return "", "", false
	}
	return words[0], words[1], true
}

type field uint8

const (
	fieldUnknown field = iota
	fieldAgent
	fieldAllow
	fieldDisallow
	fieldDelay
	fieldSitemap
)

// fieldOf recognises a key in any case, and the misspellings that Google's parser
// accepts, as they are common and clear.
func fieldOf(key string) field {
	switch strings.ToLower(key) {
	case "user-agent", "useragent", "user agent":
		return fieldAgent
	case "allow":
		return fieldAllow
	case "disallow", "dissallow", "dissalow", "disalow", "diasllow", "disallaw":
		return fieldDisallow
	case "crawl-delay", "crawldelay", "crawl delay":
		return fieldDelay
	case "sitemap", "site-map":
		return fieldSitemap
	}
	return fieldUnknown
}

// agentToken reads the product token of a user-agent line: "FooBot/2.1" means
// FooBot, and "* (everybody)" everybody.
func agentToken(value string) string {
	if value == "*" || len(value) > 1 && value[0] == '*' && (value[1] == ' ' || value[1] == '\t') {
		return "*"
	}
	return strings.ToLower(leadingToken(value))
}

// leadingToken returns the product token at the start of s. The RFC allows letters,
// "_" and "-"; digits are taken too, for crawlers do have them in their names and
// "MJ12bot" must not become "MJ".
func leadingToken(s string) string {
	for i := range len(s) {
		switch c := s[i] | 0x20; {
		case 'a' <= c && c <= 'z', '0' <= s[i] && s[i] <= '9', s[i] == '_', s[i] == '-':
		default:
			return s[:i]
		}
	}
	return s
}

// ProductToken returns the product token of a User-Agent header, which is what
// robots.txt files name: "ShopBot" for "ShopBot/1.0 (+https://shop.example/bot)". For
// an agent that poses as a browser it is the one after "compatible;", if any.
func ProductToken(userAgent string) string {
	userAgent = trim(userAgent)
	token := leadingToken(userAgent)
	if !strings.EqualFold(token, "Mozilla") {
		return token
	}
	const mark = "compatible;"
	if i := strings.Index(strings.ToLower(userAgent), mark); i >= 0 && len(userAgent) >= i+len(mark) {
		if t := leadingToken(trim(userAgent[i+len(mark):])); t != "" {
			return t
		}
	}
	return token
}

// maxDelay bounds crawl-delay, far above any limit that a crawl would honour.
const maxDelay = 24 * time.Hour

// parseDelay reads a number of seconds; a decimal comma or a unit "s" is forgiven.
func parseDelay(value string) (time.Duration, bool) {
	value = strings.TrimSuffix(strings.Replace(strings.ToLower(value), ",", ".", 1), "s")
	seconds, err := strconv.ParseFloat(trim(value), 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 {
		return 0, false
	}
	return time.Duration(min(seconds, maxDelay.Seconds()) * float64(time.Second)), true
}
