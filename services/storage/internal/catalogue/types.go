package catalogue

import (
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/storage/internal/archive"
)

// Kind is what an attempt was for; the numbers are those of crawlv1.TaskKind.
type Kind uint8

// The kinds.
const (
	// KindPage is a URL of the frontier.
	KindPage Kind = 1
	// KindRobots is a host's robots.txt.
	KindRobots Kind = 2
	// KindMedia is a file that an item refers to.
	KindMedia Kind = 3
	// KindReading is no attempt: a row in the log that has the items of a later reading of
	// a stored page, with the key of the visit that the page is of. Lists of attempts
	// leave it out.
	KindReading Kind = 4
)

// Carriers are the kinds of rows that may have the items of a visit.
func (k Kind) Carriers() [2]Kind {
	if k == KindPage {
		return [2]Kind{KindPage, KindReading}
	}
	return [2]Kind{k, k}
}

// Key names an attempt; no two rows have the same.
type Key struct {
	// Crawl is the crawl's id.
	Crawl string
	// URL is the key of the canonical URL.
	URL weburl.Key
	// Generation counts the scheduled visits of the URL.
	Generation uint32
	// Attempt counts the attempts at the URL.
	Attempt uint32
	// Kind of the visit.
	Kind Kind
}

// Page is an attempt at a URL, a failure included.
type Page struct {
	Key
	// ID of the row; set by the catalogue.
	ID uint64
	// Cursor is the position in the order of commits; set when read.
	Cursor uint64
	// CanonicalURL is the URL that was visited.
	CanonicalURL string
	// Via is the URL of the page that redirected here; empty without one.
	Via string
	// Lease that the visit was made under, for people; 0 when not known.
	Lease uint64
	// Depth is the number of links from a seed.
	Depth uint32
	// Revision of the spec that the items which hold for the page were made by; it may be
	// a later one in fact. 0: not known.
	Revision uint64
	// FetchedAt is when the exchange began; kept to the microsecond.
	FetchedAt time.Time
	// Duration of the exchange.
	Duration time.Duration
	// Status of the response; 0 without one.
	Status uint32
	// Error says why the attempt gave no page.
	Error crawl.Class
	// ErrorDetail is a line for people.
	ErrorDetail string
	// ContentType is the media type.
	ContentType string
	// Title of the page.
	Title string
	// Language of the page as a BCP 47 tag.
	Language string
	// Size of the body in bytes.
	Size uint64
	// SHA256 of the body; nil without one.
	SHA256 []byte
	// RedirectURL is the target of a redirect.
	RedirectURL string
	// Truncated: the body was cut.
	Truncated bool
	// Rendered: the body is the page as a browser had it.
	Rendered bool
	// Outlinks is the number of links that may be followed.
	Outlinks uint32
	// RejectedItems were dropped because a required field had no value.
	RejectedItems uint32
	// Warning is what went wrong while the page was read.
	Warning string
	// Place of the response in the archive.
	Place archive.Place
	// RecordID is the ID of the response record where it does not follow from the
	// key; empty: it does.
	RecordID []byte
	// Revisit is the ID of the page whose body this attempt found unchanged; 0
	// without one. It has a body of its own, and is no revisit itself.
	Revisit uint64
	// Items to store; not filled when read. Those of earlier visits of the URL are
	// deleted when Supersedes is set.
	Items []Item
	// Rejects are items that did not fit, in the same way.
	Rejects []Item
	// ItemCount is the number of items that the page has; set when read. To store, it
	// counts where there are no Items: those of an earlier visit still hold.
	ItemCount uint32
	// ItemsDigest is DigestItems of the items that hold for the page; 0: not known.
	ItemsDigest uint64

	// Content is the digest by which pages with the same content are found, at least 12
	// bytes of it; empty for an attempt that is not compared. Not filled when read.
	Content []byte
	// DuplicateOf is the ID of the first page of the crawl with the same content, under
	// another URL; 0 without one. Set by Commit where there is a Content.
	DuplicateOf uint64
	// DuplicateURL is that page's URL; set when read.
	DuplicateURL string
	// SimHash of the text; 0 without one.
	SimHash uint64
	// NearOf is the ID of a page of the crawl, under another URL, whose SimHash differs
	// in few bits; 0 without one. Set by Commit where there is a SimHash.
	NearOf uint64
	// NearURL is that page's URL; set when read.
	NearURL string

	// Replaces: a failed attempt with the same key makes room for this one.
	Replaces bool
	// Supersedes: the items of earlier visits of the URL are no longer true.
	Supersedes bool
}

// Reading is the row that carries the items of a reading.
func (p *Page) Reading() *Page {
	r := &Page{
		Key: p.Key, CanonicalURL: p.CanonicalURL, FetchedAt: p.FetchedAt, Revision: p.Revision,
		Items: p.Items, Rejects: p.Rejects, ItemsDigest: p.ItemsDigest, RejectedItems: p.RejectedItems,
	}
	r.Kind = KindReading
	return r
}

// State is what the catalogue has of an attempt.
type State uint8

// The states.
const (
	// Unknown: nothing.
	Unknown State = iota
	// Failed: an attempt that gave no page.
	Failed
	// Good: an attempt that did.
	Good
)

// Known is what is committed of an attempt.
type Known struct {
	// State of the attempt.
	State State
	// Duplicate: an earlier page has the same content.
	Duplicate bool
}

// Prior is the newest page of a URL that a new visit may find unchanged.
type Prior struct {
	// Page as it was stored, its times and place left out.
	Page
	// Source is the page that has the body, the same page where the body is its own:
	// its key, URL, FetchedAt, RecordID and whether it is archived.
	Source Page
	// Archived: the source has a record in the archive.
	Archived bool
}

// Item is a record that a rule extracted.
type Item struct {
	// Cursor is the position in the order of commits; set when read.
	Cursor uint64
	// URL of the page; set when read.
	URL string
	// Rule that made it.
	Rule string
	// Index among the items of its rule and page.
	Index uint32
	// JSON object; must be UTF-8.
	JSON []byte
}

// Batch is one transaction.
type Batch struct {
	// Pages with their items; none may be known already, no two may have the same key.
	Pages []*Page
	// Sizes are the committed sizes from now on of the segments that the pages' records
	// were appended to, by number. A segment that is sealed or gone fails the batch: its
	// writer has lost it.
	Sizes map[int64]int64
	// ArchiveBytes is how much of the segments' growth each crawl caused.
	ArchiveBytes map[string]int64
}

// MaxBatch is how many pages a batch may have.
const MaxBatch = 1 << 14

// Stats are sums over a crawl.
type Stats struct {
	// Attempts in the crawl log.
	Attempts uint64
	// Pages with a 2xx status.
	Pages uint64
	// Items stored.
	Items uint64
	// ArchiveBytes in WARC files.
	ArchiveBytes uint64
	// Rejects are the items that did not fit.
	Rejects uint64
	// Media are the files that items refer to.
	Media uint64
	// Duplicates are the pages with the content of an earlier one.
	Duplicates uint64
	// Statuses counts attempts by status, those without a response left out.
	Statuses map[uint32]uint64
	// Errors counts failed attempts by the name of their class.
	Errors map[string]uint64
	// Rules counts items by rule.
	Rules map[string]uint64
}
