package hostile

import (
	"strings"

	"github.com/weircrawl/weir/internal/crawl"
)

// Sizes of a body that are not a number of bytes.
const (
	// Any: what came before the trouble, or what the client cares to read.
	Any = -1
	// Full: as much as the client takes at most.
	Full = -2
)

// Want is what a good client makes of a behaviour in one exchange.
type Want struct {
	// Class of the failure.
	Class crawl.Class
	// Status of the response, 0 without one.
	Status int
	// Truncated: the body is not whole.
	Truncated bool
	// Body after decoding, exact unless Size is set.
	Body string
	// Size of the body, Any or Full. 0: Body says.
	Size int64
	// Long is the size of a body that may be over the client's limit: then it is Full
	// and truncated.
	Long int64
	// Redirect is the target of the redirect, a path for one on the same host.
	Redirect string
	// Later: a page, for who comes back with the cookies, or when asked to.
	Later bool
	// Refresh is where the page itself sends its reader on to, as Redirect.
	Refresh string
	// Detail is a part of the line that describes the trouble.
	Detail string
	// Slow: the site never ends this; the client has to, by its time limit.
	Slow bool
}

// For returns what to want of a client that takes so many bytes of a body: no size but
// Any is left to be understood.
func (w Want) For(maxBody int64) Want {
	if w.Long > maxBody {
		w.Size, w.Truncated = Full, true
	}
	if w.Size == Full {
		w.Size = maxBody
	}
	return w
}

// behaviour is what one path of the main host does.
type behaviour struct {
	path  string
	want  Want
	serve serve
}

// serve answers a request and reports whether the connection goes on.
type serve func(x *exchange) (keep bool)

// behaviours are all of them. Where one's path is the beginning of another's, the
// longer counts.
func behaviours() []behaviour {
	var all []behaviour
	for _, list := range [][]behaviour{
		wellFormed(), ends(), lengths(), rubbish(), floods(), slow(), codings(), contents(), redirects(), baits(), statuses(), cookies(), refreshes(),
	} {
		all = append(all, list...)
	}
	return all
}

// find returns the behaviour of a path.
func find(all []behaviour, path string) (behaviour, bool) {
	path, _, _ = strings.Cut(path, "?")
	var best behaviour
	for _, b := range all {
		if (b.path == path || strings.HasSuffix(b.path, "/") && strings.HasPrefix(path, b.path)) && len(b.path) > len(best.path) {
			best = b
		}
	}
	return best, best.path != ""
}

// pageOf is a page that a crawler should have.
func pageOf(title string) string {
	return "<!doctype html>\n<title>" + title + "</title>\n<h1>" + title + "</h1>\n"
}

// head makes a response's header of its lines, the status line first.
func head(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n\r\n" }

const ok = "HTTP/1.1 200 OK"
