package spec

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// Bounds of a user's program.
const (
	maxExtractorTime        = 5 * time.Minute
	maxExtractorConcurrency = 256
	maxExtractorRetries     = 10
	maxExtractorBody        = 64 << 20
)

// resolveExtractor fills in the defaults. An absent section stays absent: it means
// that there is no program.
func resolveExtractor(e *crawlv1.Extractor) {
	if e == nil {
		return
	}
	if e.Timeout == nil {
		e.Timeout = durationpb.New(5 * time.Second)
	}
	if e.Concurrency == nil {
		e.Concurrency = proto.Uint32(8)
	}
	if e.Retries == nil {
		e.Retries = proto.Uint32(2)
	}
	if e.MaxBody == nil {
		e.MaxBody = proto.Int64(4 << 20)
	}
}

// extractor checks how a program is called. Whether it is there shows when the first
// page comes: a spec may be written before the program runs.
func (c *checker) extractor(e *crawlv1.Extractor) {
	if e == nil {
		return
	}
	if problem := targetProblem(e.GetAddress()); problem != "" {
		c.addf("extractor.address", "%s", problem)
	}
	if e.GetMatch() != "" {
		c.pattern("extractor.match", e.GetMatch())
	}
	c.duration("extractor.timeout", e.GetTimeout(), 10*time.Millisecond, maxExtractorTime)
	if e.Concurrency != nil {
		c.between("extractor.concurrency", uint64(e.GetConcurrency()), 1, maxExtractorConcurrency)
	}
	if e.Retries != nil {
		c.between("extractor.retries", uint64(e.GetRetries()), 0, maxExtractorRetries)
	}
	if b := e.MaxBody; b != nil && (*b < 1 || *b > maxExtractorBody) {
		c.addf("extractor.max_body", "must be between 1 and %s, not %s", FormatSize(maxExtractorBody), FormatSize(*b))
	}
}

// targetProblem says what is wrong with an address of gRPC, empty for nothing.
func targetProblem(address string) string {
	const right = "give dns:///host:port, host:port or unix:///path"
	scheme, rest, found := strings.Cut(address, "://")
	switch {
	case address == "":
		return "is required: where the program listens; " + right
	case len(address) > maxSelector || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "must be one word; " + right
	case found && (scheme == "http" || scheme == "https"):
		return "is an address of gRPC, not of the web, so without " + scheme + "://; " + right
	case scheme == "unix":
		if !strings.HasPrefix(rest, "/") || len(rest) < 2 {
			return "needs an absolute path after unix://; " + right
		}
		return ""
	case found && scheme != "dns":
		return "has the unknown scheme " + scheme + "; " + right
	case found:
		// The part before the slash names a DNS server.
		_, rest, found = strings.Cut(rest, "/")
		if !found {
			return "needs three slashes after dns:; " + right
		}
	default:
		rest = address
	}
	host, port, ok := cutPort(rest)
	if !ok || host == "" || port == "" || strings.Contains(port, "/") {
		return "needs a host and a port; " + right
	}
	return ""
}

// cutPort splits at the last colon, which is not one of an address in brackets.
func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
