package render

import (
	"net/http"
	"time"

	"github.com/weircrawl/weir/services/fetcher/internal/forward"
)

// Page is a page to show.
type Page struct {
	// URL of the page.
	URL string
	// Status, Header and Body are the answer that its address gave; the body without
	// its coding.
	Status int
	Header []Header
	Body   []byte

	// UserAgent and AcceptLanguage of all requests.
	UserAgent, AcceptLanguage string
	// Own are headers of the requests that go to the page's own origin.
	Own http.Header
	// Cookies that the context begins with.
	Cookies []Cookie
	// Dial connects for the page.
	Dial forward.Dial
	// InsecureTLS accepts any certificate.
	InsecureTLS bool

	// MaxRequests and MaxBytes bound what the page asks for, and what comes.
	MaxRequests int
	MaxBytes    int64
	// MaxHTML is the longest document, in bytes; a longer one is cut.
	MaxHTML int64
	// LoadImages also loads images, media and fonts.
	LoadImages bool
	// Width and Height of the window in pixels.
	Width, Height int

	// Wait is when the page is ready, WaitSelector what must be there too, WaitTimeout
	// how long to wait for that. A page that is not ready by then is taken as it is.
	Wait         Wait
	WaitSelector string
	WaitTimeout  time.Duration
	// Steps are done once the page is ready.
	Steps []Step
	// Screenshot asks for a picture of at most so many bytes; 0 for none.
	Screenshot int
	// Reserve is asked before so many bytes of memory are taken; nil for no bound.
	Reserve func(int64) error
}

// Header is one header field.
type Header struct {
	// Name and Value of the field.
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Cookie is one of the browser's.
type Cookie struct {
	// Name and Value of the cookie.
	Name, Value string
	// Domain without a leading point; with HostOnly it is sent to that host alone.
	Domain   string
	HostOnly bool
	// Path that it is for.
	Path string
	// Secure cookies are only sent over https.
	Secure bool
	// HTTPOnly cookies are not seen by scripts.
	HTTPOnly bool
	// Expires is when it ends; zero for one of the session.
	Expires time.Time
}

// Wait is when a page is ready.
type Wait uint8

// The rules, a closed set: no request for half a second after the load event, the
// load event, the tree.
const (
	WaitIdle Wait = iota
	WaitLoad
	WaitDOM
)

// Step is one thing done on a page. One of Click, Scroll, Fill, For and Pause is
// given.
type Step struct {
	// Click is the selector of what is clicked.
	Click string
	// Scroll is how often the page is scrolled to its end.
	Scroll int
	// Fill is the selector of a field, Text what it is filled with.
	Fill, Text string
	// For is a selector that is waited for.
	For string
	// Pause is a time that is waited.
	Pause time.Duration
	// Optional steps are left out when their element is not there.
	Optional bool
}

// Shown is a page as the browser had it.
type Shown struct {
	// HTML is the document with what scripts have made of it, in UTF-8.
	HTML []byte
	// Cut: the document was longer than MaxHTML.
	Cut bool
	// Location is where the page went instead of being shown, as it was written; there
	// is no HTML then.
	Location string
	// Requests that were made for the page, itself included, and Blocked ones that were
	// not.
	Requests, Blocked int
	// Received are the bytes that came for them.
	Received int64
	// Cookies of the context at the end.
	Cookies []Cookie
	// Screenshot as JPEG; nil for none.
	Screenshot []byte
	// Note is a line for people about what did not go as it should.
	Note string
}
