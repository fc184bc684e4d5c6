package spec

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// MaxSize bounds a spec as a message, in bytes: it travels in one NATS message
// with room to spare. Long lists of seeds belong in seeds.files or AddURLs.
const MaxSize = 512 << 10

// Problem is one mistake in a spec.
type Problem struct {
	// Path of the field: politeness.delay, scope.rules[2].accept.
	Path string
	// Text says what is wrong and what would be right.
	Text string
}

// Error returns "path: text".
func (p *Problem) Error() string { return p.Path + ": " + p.Text }

// Validate returns every mistake in s, each a *Problem, joined; its kind is
// crawl.Invalid. Fields left out are right: they have defaults. CSS selectors
// are the parser's to judge.
func Validate(s *crawlv1.CrawlSpec) error {
	problems := check(s)
	if len(problems) == 0 {
		return nil
	}
	errs := make([]error, len(problems))
	for i, p := range problems {
		errs[i] = p
	}
	return &crawl.Error{Kind: crawl.Invalid, Err: errors.Join(errs...)}
}

// checker gathers problems.
type checker struct {
	problems []*Problem
	noText   bool // the spec looks for no text
	request  bool // the fields in hand are those of a request
}

func (c *checker) addf(path, format string, args ...any) {
	c.problems = append(c.problems, &Problem{Path: path, Text: fmt.Sprintf(format, args...)})
}

func check(s *crawlv1.CrawlSpec) []*Problem {
	c := &checker{}
	if s == nil {
		c.addf("spec", "is missing")
		return c.problems
	}
	if n := proto.Size(s); n > MaxSize {
		c.addf("spec", "takes %d bytes, the most is %d; put long lists of seeds into a file named in seeds.files", n, MaxSize)
		return c.problems
	}
	if s.GetName() != "" && !isName(s.GetName(), false) {
		c.addf("name", "must be 1 to 63 characters of a-z, 0-9 and -, not %q", s.GetName())
	}
	c.seeds(s)
	c.scope(s.GetScope())
	c.canonical(s.GetCanonical())
	c.enum("order", int32(s.GetOrder()), crawlv1.Order_name)
	c.priorities(s.GetPriorities())
	c.limits(s.GetLimits())
	c.politeness(s.GetPoliteness())
	c.fetch(s.GetFetch())
	c.parse(s.GetParse())
	c.extract(s.GetExtract(), s.GetParse())
	c.follow(s.GetFollow())
	c.requests(s.GetRequests())
	c.extractor(s.GetExtractor())
	c.recrawl(s.GetRecrawl())
	if s.Weight != nil {
		c.between("weight", uint64(s.GetWeight()), 1, 1000)
	}
	c.traps(s.GetTraps())
	return c.problems
}

func (c *checker) seeds(s *crawlv1.CrawlSpec) {
	canon := canonicalizer(Resolve(s).GetCanonical())
	for i, u := range s.GetSeeds().GetUrls() {
		if _, err := canon.Parse(u); err != nil {
			c.addf(index("seeds.urls", i), "%s", urlProblem(u, err))
		}
	}
	for i, u := range s.GetSeeds().GetSitemaps() {
		if _, err := canon.Parse(u); err != nil {
			c.addf(index("seeds.sitemaps", i), "%s", urlProblem(u, err))
		}
	}
	if len(s.GetSeeds().GetSitemaps()) > 0 && s.GetParse() != nil && s.Parse.Sitemaps != nil && !s.Parse.GetSitemaps() {
		c.addf("seeds.sitemaps", "needs parse.sitemaps, which is false")
	}
	c.seedRequests(canon, s.GetSeeds().GetRequests())
	for i, f := range s.GetSeeds().GetFiles() {
		if f == "" {
			c.addf(index("seeds.files", i), "must name a file")
		}
	}
}

// urlProblem explains why a seed is refused, with the likely correction.
func urlProblem(u string, err error) string {
	u = weburl.Shown(u)
	switch {
	case errors.Is(err, weburl.ErrTooLong):
		return fmt.Sprintf("a URL of %d bytes is too long; the most is %d", len(u), weburl.MaxLength)
	case u != "" && !strings.Contains(u, "://") && !strings.ContainsAny(u, " \t\n"):
		return fmt.Sprintf("%q is not an absolute URL; did you mean %q?", u, "https://"+strings.TrimLeft(u, "/"))
	case errors.Is(err, weburl.ErrScheme):
		return fmt.Sprintf("%q cannot be crawled: only http and https can", u)
	default:
		return fmt.Sprintf("%q is not a valid URL", u)
	}
}

func (c *checker) scope(s *crawlv1.Scope) {
	for i, h := range s.GetHosts() {
		if err := checkHost(h, true); err != nil {
			c.addf(index("scope.hosts", i), "%s", err)
		}
	}
	for i, d := range s.GetDomains() {
		if err := checkHost(d, false); err != nil {
			c.addf(index("scope.domains", i), "%s", err)
		}
	}
	for i, n := range s.GetNets() {
		if _, err := netip.ParsePrefix(n); err != nil {
			c.addf(index("scope.nets", i), "%q is not a network such as 10.1.0.0/16", n)
		}
	}
	for i, r := range s.GetRules() {
		path := index("scope.rules", i)
		text, accept := ruleText(r)
		switch {
		case r.GetAction() == nil:
			c.addf(path, "needs accept or reject with a pattern")
		case accept:
			c.pattern(path+".accept", text)
		default:
			c.pattern(path+".reject", text)
		}
	}
	if s != nil && s.MaxUrlLength != nil {
		c.between("scope.max_url_length", uint64(s.GetMaxUrlLength()), 1, weburl.MaxLength)
	}
}

func (c *checker) pattern(path, text string) {
	if text == "" {
		c.addf(path, "must be a pattern: a glob such as */product/*, or re: and an RE2 expression")
		return
	}
	if re, ok := strings.CutPrefix(text, "re:"); ok {
		c.regex(path, text, re)
	} else if _, err := crawl.CompilePattern(text); err != nil {
		c.addf(path, "%s", oneLine(err))
	}
}

// regex checks the expression re, which the spec writes as text.
func (c *checker) regex(path, text, re string) {
	if _, err := regexp.Compile(re); err != nil {
		c.addf(path, "%q is not an RE2 expression: %s", text, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
}

func (c *checker) canonical(s *crawlv1.Canonical) {
	for i, p := range s.GetStripParams().GetValues() {
		if p == "" || strings.Contains(strings.TrimSuffix(p, "*"), "*") {
			c.addf(index("canonical.strip_params", i), "must be the name of a query parameter, with * at most at its end, not %q", p)
		}
	}
}

func (c *checker) enum(path string, value int32, names map[int32]string) {
	if _, ok := names[value]; !ok {
		c.addf(path, "has the unknown value %d", value)
	}
}

func (c *checker) limits(s *crawlv1.Limits) {
	if s.GetBytes() < 0 {
		c.addf("limits.bytes", "must not be negative; 0 means no limit")
	}
	c.duration("limits.duration", s.GetDuration(), 0, 0)
}

func (c *checker) politeness(s *crawlv1.Politeness) {
	c.duration("politeness.delay", s.GetDelay(), 0, 24*time.Hour)
	c.duration("politeness.max_delay", s.GetMaxDelay(), 0, 24*time.Hour)
	if s.GetMaxDelay() != nil && s.GetMaxDelay().AsDuration() < delayOf(s) {
		c.addf("politeness.max_delay", "must not be less than delay (%s)", delayOf(s))
	}
	if j := s.GetJitter(); !(j >= 0 && j <= 1) {
		c.addf("politeness.jitter", "must be between 0 and 1, not %s", strconv.FormatFloat(j, 'g', -1, 64))
	}
	if s != nil && s.ConcurrencyPerHost != nil {
		c.between("politeness.concurrency_per_host", uint64(s.GetConcurrencyPerHost()), 1, 64)
	}
	c.between("politeness.concurrency_per_ip", uint64(s.GetConcurrencyPerIp()), 0, 1024)
	c.between("politeness.concurrency_per_domain", uint64(s.GetConcurrencyPerDomain()), 0, 1024)
}

// delayOf is the delay in force, the default where none is given.
func delayOf(s *crawlv1.Politeness) time.Duration {
	if s.GetDelay() != nil {
		return s.GetDelay().AsDuration()
	}
	return time.Second
}

// duration checks a duration; a most of 0 means that only the least counts.
func (c *checker) duration(path string, d *durationpb.Duration, least, most time.Duration) {
	if d == nil {
		return
	}
	v := d.AsDuration()
	switch {
	case d.CheckValid() != nil:
		c.addf(path, "is not a valid duration")
	case v < 0:
		c.addf(path, "must not be negative, not %s", v)
	case v < least || most > 0 && v > most:
		c.addf(path, "must be between %s and %s, not %s", formatDuration(least), formatDuration(most), formatDuration(v))
	}
}

func (c *checker) between(path string, v, least, most uint64) {
	if v < least || v > most {
		c.addf(path, "must be between %d and %d, not %d", least, most, v)
	}
}

// checkHost tells whether a scope's host can be one. Its error says what would
// be right; crawl.NewScope brings hosts to their canonical form.
func checkHost(s string, portAllowed bool) error {
	form := "a host name such as shop.example"
	if portAllowed {
		form += " or shop.example:8080"
	}
	wrong := fmt.Errorf("%q is not %s", s, form)
	if s == "" || strings.ContainsAny(s, "/?#@\\ \t*") {
		return wrong
	}
	host := s
	if _, err := netip.ParseAddr(s); err == nil && strings.Contains(s, ":") {
		return fmt.Errorf("%q must be written in brackets: [%s]", s, s)
	}
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host = s[:i]
		if n, err := strconv.ParseUint(s[i+1:], 10, 16); err != nil || n == 0 || !portAllowed {
			return wrong
		}
	}
	if _, err := weburl.New(weburl.Options{}).Parse("http://" + host + "/"); err != nil {
		return wrong
	}
	return nil
}

func isName(s string, underscore bool) bool {
	for _, r := range s {
		if !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || underscore && r == '_') {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 63
}

func isToken(s string) bool {
	for _, r := range s {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r) {
			return false
		}
	}
	return s != ""
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
