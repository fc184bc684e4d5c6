package weburl

import (
	"fmt"
	"strings"
	"sync"

	whatwg "github.com/nlnwa/whatwg-url/url"
)

// Canonicalizer parses and canonicalises URLs by one set of options. It is
// immutable and safe for concurrent use.
type Canonicalizer struct {
	opts     Options
	names    map[string]struct{} // parameters to strip
	prefixes []string            // parameters to strip by what they start with
	parser   whatwg.Parser
	builders sync.Pool // of *builder, for Parse
}

// New returns a Canonicalizer. Empty names in StripParams are ignored.
func New(o Options) *Canonicalizer {
	c := &Canonicalizer{
		opts:     o,
		names:    make(map[string]struct{}, len(o.StripParams)),
		parser:   newParser(),
		builders: sync.Pool{New: func() any { return new(builder) }},
	}
	for _, name := range o.StripParams {
		if prefix, ok := strings.CutSuffix(name, "*"); ok {
			c.prefixes = append(c.prefixes, prefix)
		} else if name != "" {
			c.names[name] = struct{}{}
		}
	}
	return c
}

// Parse returns the canonical form of an absolute URL as anybody writes it. The
// error is ErrScheme for another scheme than http and https, ErrTooLong, or
// ErrInvalid, which wraps the cause; a relative reference is invalid.
func (c *Canonicalizer) Parse(raw string) (URL, error) {
	x := c.builders.Get().(*builder)
	defer c.builders.Put(x)
	if err := c.parse(x, raw); err != nil {
		return URL{}, err
	}
	return c.finish(x)
}

// Base returns the base that a page's links are resolved against, given its URL as
// anybody writes it (nothing is stripped from it before resolution, as stripping
// may change what ".." means). Errors are those of Parse.
func (c *Canonicalizer) Base(u string) (*Base, error) {
	b := &Base{c: c}
	if err := c.parse(&b.x, u); err != nil {
		return nil, err
	}
	b.full = string(b.x.buf)
	b.hostStart, b.hostEnd, b.authEnd = b.x.hostStart, b.x.hostEnd, b.x.authEnd
	b.pathEnd = len(b.full)
	if b.x.query >= 0 {
		b.pathEnd = b.x.query
	}
	b.dirEnd = strings.LastIndexByte(b.full[:b.pathEnd], '/') + 1
	self, err := c.finish(&b.x)
	if err != nil {
		return nil, err
	}
	b.self = self
	return b, nil
}

// parse leaves the WHATWG form of an absolute URL in x.
func (c *Canonicalizer) parse(x *builder, raw string) error {
	ref, err := prepare(raw)
	if err != nil {
		return err
	}
	scheme, rest, _ := splitScheme(ref.bare)
	if isHTTP(scheme) && x.absolute(scheme, rest) {
		return nil
	}
	return c.parseSlow(x, ref, nil)
}

// parseSlow is parse and resolve by the book.
func (c *Canonicalizer) parseSlow(x *builder, ref reference, base *whatwg.Url) error {
	u, err := c.parser.BasicParser(ref.whole, base, nil, whatwg.NoState)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrInvalid, Shown(err.Error()))
	}
	return x.load(u)
}

// reference is a URL as written, made ready for either path.
type reference struct {
	// whole ends with the "#" of the fragment, if there is one. The mark stays, as
	// it shields spaces in front of it from being trimmed.
	whole string
	// bare is whole without that "#".
	bare string
}

// Bounds of what is handed to the WHATWG parser, whose cost grows with the square
// of these: no page has such links for its readers.
const (
	maxSlashes  = 2048 // slashes and backslashes
	maxUserinfo = 1024 // bytes of an authority with user information
)

// prepare trims a URL, drops its fragment and refuses what need not be parsed.
func prepare(raw string) (reference, error) {
	for raw != "" && raw[0] <= ' ' {
		raw = raw[1:]
	}
	for raw != "" && raw[len(raw)-1] <= ' ' {
		raw = raw[:len(raw)-1]
	}
	ref := reference{whole: raw, bare: raw}
	if i := strings.IndexByte(raw, '#'); i >= 0 {
		ref.whole, ref.bare = raw[:i+1], raw[:i]
	}
	if s, _, ok := splitScheme(ref.bare); ok && !isHTTP(s) {
		return reference{}, ErrScheme
	}
	if len(ref.bare) > maxRaw {
		return reference{}, ErrTooLong
	}
	if len(ref.bare) <= maxUserinfo {
		return ref, nil
	}
	if strings.Count(ref.bare, "/")+strings.Count(ref.bare, `\`) > maxSlashes {
		return reference{}, fmt.Errorf("%w: too many slashes", ErrInvalid)
	}
	if len(userinfo(ref.bare)) > maxUserinfo {
		return reference{}, fmt.Errorf("%w: user information is too long", ErrInvalid)
	}
	return ref, nil
}

// userinfo returns what stands in front of the last "@" of the authority, if the
// URL has both.
func userinfo(s string) string {
	_, rest, absolute := splitScheme(s)
	auth := strings.TrimLeft(rest, "/\\\t\n\r")
	lead := rest[:len(rest)-len(auth)]
	if !absolute && len(strings.Trim(lead, "\t\n\r")) < 2 {
		return "" // a path
	}
	if i := strings.IndexAny(auth, `/\?`); i >= 0 {
		auth = auth[:i]
	}
	return auth[:max(strings.LastIndexByte(auth, '@'), 0)]
}

// splitScheme splits "scheme:rest". Tabs and newlines inside the scheme, which
// browsers ignore, are ignored too.
func splitScheme(s string) (scheme, rest string, ok bool) {
	dirty := false
	for i := range len(s) {
		switch c := s[i]; {
		case is(c, schemeByte) && (i > 0 || is(c, alphaByte)):
		case c == '\t' || c == '\n' || c == '\r':
			dirty = true
		case c == ':' && i > 0:
			if scheme = s[:i]; dirty {
				scheme = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(scheme)
			}
			return scheme, s[i+1:], true
		default:
			return "", s, false
		}
	}
	return "", s, false
}

func isHTTP(scheme string) bool {
	return strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")
}
