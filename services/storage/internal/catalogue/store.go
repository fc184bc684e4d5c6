package catalogue

import (
	"context"
	"slices"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/storage/internal/archive"
)

// Ledger is where commits go. It is for one goroutine, the writer.
type Ledger interface {
	// Known reports for each key what is committed of its attempt.
	Known(ctx context.Context, keys []Key) ([]Known, error)
	// Priors returns for each key the newest page of its URL and kind that a visit may
	// find unchanged, nil without one.
	Priors(ctx context.Context, keys []Key) ([]*Prior, error)
	// Commit stores a batch in one transaction, durable on return, and sets the pages'
	// ID and DuplicateOf. On an error nothing is stored. An error of kind
	// crawl.Unavailable says that the same may succeed later: after Known was asked
	// again, since another writer may have stored an attempt meanwhile.
	Commit(ctx context.Context, b *Batch) error
	// Reread puts what readings of stored pages found in the place of what was found
	// before, in one transaction, durable on return: items, which get new cursors, rejects,
	// title, language and warning; nothing else of a page changes. A reading of a page that
	// is not the newest good one of its URL any more, that is not known, or that has been
	// read by this revision or a later one, is dropped. It returns how many were not.
	// No two readings may be of the same page.
	Reread(ctx context.Context, readings []*Page) (kept int, err error)
}

// Library is where answers come from. It is safe for concurrent use.
type Library interface {
	// Newest returns the newest attempt at a URL, an error of kind crawl.NotFound
	// without one. With archived, only attempts that have a record in the archive
	// count, and the place is that of the record with the body, which for a revisit is
	// an earlier one. A URL that was visited as several kinds is the page.
	Newest(ctx context.Context, crawlID, canonicalURL string, archived bool) (*Page, error)
	// MediaByDigest returns a file with a SHA-256 and its place, an error of kind
	// crawl.NotFound without one.
	MediaByDigest(ctx context.Context, crawlID string, sha256 []byte) (*Page, error)
	// Source returns the page that has the body of a page of a list: itself, or for a
	// revisit an earlier one.
	Source(ctx context.Context, p *Page) (*Page, error)
	// Pages reads attempts in the order of their commit.
	Pages(ctx context.Context, q PageQuery) (PageAnswer, error)
	// Items reads items, or rejects, in the order of their commit.
	Items(ctx context.Context, q ItemQuery) (ItemAnswer, error)
	// Last is the cursor of what was committed last: everything up to it can be read.
	Last(ctx context.Context) (uint64, error)
	// SegmentsOf returns the WARC files of a crawl, those of other storages that share the
	// catalogue among them, in the order of their numbers.
	SegmentsOf(ctx context.Context, crawlID string) ([]archive.Segment, error)
	// Stats returns a crawl's sums; all zero for a crawl that nothing is stored of.
	Stats(ctx context.Context, crawlID string) (Stats, error)
}

// Janitor deletes. It is safe for concurrent use with itself and with all else.
type Janitor interface {
	// DeleteCrawl makes everything of a crawl unknown at once, and returns what there
	// was. The rows stay until Purge has deleted them.
	DeleteCrawl(ctx context.Context, crawlID string) (Stats, error)
	// Purge deletes rows of deleted crawls, about as many as a commit writes, in a
	// transaction of its own, and reports whether there may be more.
	Purge(ctx context.Context) (more bool, err error)
	// Unused returns the finished WARC files of this storage that no page is in any
	// more. Their bytes may be deleted, and then they are dropped.
	Unused(ctx context.Context) ([]archive.Segment, error)
	// DropSegment forgets a WARC file that is unused.
	DropSegment(ctx context.Context, id int64) error
}

// Store is a whole catalogue.
type Store interface {
	Ledger
	Library
	Janitor
	// Index remembers the WARC files of this storage.
	archive.Index
	// Segments returns the WARC files of this storage in the order of their numbers.
	Segments(ctx context.Context) ([]archive.Segment, error)
	// Ping reports whether the catalogue can be read.
	Ping(ctx context.Context) error
	// Close ends the use of the catalogue; call it when no other method runs.
	Close() error
}

// PageQuery asks for attempts.
type PageQuery struct {
	// Crawl is the crawl's id.
	Crawl string
	// URL narrows to the attempts at one canonical URL; empty: all.
	URL string
	// After is the cursor to start behind, Last the one to end with (0: no end).
	After, Last uint64
	// Limit is how many rows to return at most; at least 1.
	Limit int
	// Filter of the rows.
	Filter PageFilter
	// Unread narrows to pages that have items by a revision before this one, if they have
	// any: of each URL the newest that was visited without an error, where it has a body.
	// 0: all. It goes with no URL.
	Unread uint64
}

// PageFilter chooses attempts. The zero value takes all.
type PageFilter struct {
	// Statuses are those of which one fits; none: any.
	Statuses []uint32
	// Errors are the classes of which one fits; none: any.
	Errors []crawl.Class
	// Kind of the attempts; 0: any.
	Kind Kind
	// Since and Until bound FetchedAt, Until being outside; zero: no bound.
	Since, Until time.Time
}

// Match reports whether an attempt passes.
func (f *PageFilter) Match(p *Page) bool {
	return (len(f.Statuses) == 0 || slices.Contains(f.Statuses, p.Status)) &&
		(len(f.Errors) == 0 || slices.Contains(f.Errors, p.Error)) &&
		(f.Kind == 0 || f.Kind == p.Kind) &&
		(f.Since.IsZero() || !p.FetchedAt.Before(f.Since)) && (f.Until.IsZero() || p.FetchedAt.Before(f.Until))
}

// PageAnswer is a part of a list.
type PageAnswer struct {
	// Pages in the order of their commit; there may be none though more follow.
	Pages []*Page
	// Next is the cursor to go on from.
	Next uint64
	// End: nothing follows up to the end of the query.
	End bool
}

// ItemQuery asks for items.
type ItemQuery struct {
	// Crawl is the crawl's id.
	Crawl string
	// Rejected asks for the items that did not fit.
	Rejected bool
	// Rule narrows to the items of a rule; empty: all.
	Rule string
	// After is the cursor to start behind, Last the one to end with (0: no end).
	After, Last uint64
	// Limit is how many rows to return at most; at least 1.
	Limit int
	// Since and Until bound the FetchedAt of the page, Until being outside; zero: no
	// bound.
	Since, Until time.Time
}

// ItemAnswer is a part of a list.
type ItemAnswer struct {
	// Items in the order of their commit; there may be none though more follow.
	Items []Item
	// Next is the cursor to go on from.
	Next uint64
	// End: nothing follows up to the end of the query.
	End bool
}

// MaxAnswer is the length of items' JSON after which an answer ends early, so that
// its memory is bounded whatever the length of the items.
const MaxAnswer = 1 << 20

// Window is how many rows one query looks at, so that a filter that leaves everything
// out holds no snapshot for long: the answer is short then, and not the end.
const Window = 4096
