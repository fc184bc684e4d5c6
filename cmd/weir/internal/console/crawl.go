package console

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/cmd/weir/internal/console/chart"
	"github.com/weircrawl/weir/cmd/weir/internal/console/history"
	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// extraTime bounds what a page asks beside its main call: where a service does not
// answer, the rest of the page is shown without it.
const extraTime = 3 * time.Second

// crawlHead is what all pages of one crawl begin with.
type crawlHead struct {
	crawlRow
	// Tab is the page that is shown.
	Tab string
	// Revision of the spec.
	Revision uint64
	Ended    *timestamppb.Timestamp
	Took     string
	// What may be done now.
	CanPause, CanResume, CanClose, CanCancel, CanDelete, CanAdd bool
}

// counted is a counter with a name and a bar.
type counted struct {
	Name  string
	N     uint64
	Share string
	Part  chart.Part
	// Link leads to what was counted; empty where nothing does.
	Link string
}

// entry is a term of the ledger.
type entry struct {
	Name, Does string
	N          uint64
	State      string // of the list of URLs
}

// crawlPage is what the first page of a crawl shows.
type crawlPage struct {
	Head                       crawlHead
	Ledger                     []entry
	Discovered                 uint64
	Adds                       bool // the ledger adds up
	Dropped, Statuses, Refused []counted
	Errors                     []counted
	Stats                      *crawlv1.CrawlStats
	PagesFig, ErrorsFig        figure
	Busiest                    []*schedulerv1.HostActivity
	Stored                     *storagev1.GetStatsResponse
	Fields                     []*parserv1.FieldState
	// Trouble is what could not be asked.
	Trouble []string
	// Window is the length of the charts in minutes.
	Window int
}

// find reads the crawl of a request. Storage wants its id.
func (s *Server) find(r *http.Request) (*crawlv1.Crawl, error) {
	return s.deps.Client.Get(r.Context(), r.PathValue("crawl"))
}

func (s *Server) crawl(w http.ResponseWriter, r *http.Request) error {
	// Its first message has the crawl as it is now, and its busiest hosts.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	watch, err := s.deps.Client.Crawls.WatchCrawl(ctx, &schedulerv1.WatchCrawlRequest{Crawl: r.PathValue("crawl")})
	if err != nil {
		return err
	}
	now, err := watch.Recv()
	if errors.Is(err, io.EOF) {
		err = crawl.Errorf(crawl.Unavailable, "the scheduler ended the call without an answer")
	}
	if err != nil {
		return err
	}
	c := now.GetCrawl()
	v := s.seen()
	st, l := c.GetStats(), c.GetStats().GetLedger()
	p := crawlPage{
		Window: minutes(v), Head: s.head(v, c, "crawl"), Stats: st, Busiest: now.GetBusiestHosts(), Discovered: l.GetDiscovered(), Ledger: ledgerOf(l),
		Dropped: countedOf(l.GetDropped(), "/crawls/"+c.GetId()+"/urls?state=dropped&reason="), Refused: countedOf(st.GetRefused(), ""),
		Errors: countedOf(st.GetErrors(), "/crawls/"+c.GetId()+"/pages?class="),
	}
	var total uint64
	for _, e := range p.Ledger {
		total += e.N
	}
	p.Adds = total == p.Discovered
	codes := map[string]uint64{}
	for code, n := range st.GetStatuses() {
		codes[strconv.FormatUint(uint64(code), 10)] = n
	}
	p.Statuses = countedOf(codes, "")
	p.PagesFig = newFigure("Pages", "a second", 1, rateSeries(v, "pages", "rate", history.OfCrawl(c.GetId(), func(c history.Crawl) uint64 { return c.Pages })))
	p.ErrorsFig = newFigure("Errors", "a second", 1, rateSeries(v, "errors", "errors", history.OfCrawl(c.GetId(), func(c history.Crawl) uint64 { return c.Errors })))
	s.extras(r.Context(), c.GetId(), &p)
	return s.render(w, r, http.StatusOK, view{Name: "crawl", Title: nameOf(c), Section: "crawls", Live: true, Page: p})
}

// extras asks the other services, and does without those that do not answer.
func (s *Server) extras(ctx context.Context, id string, p *crawlPage) {
	ctx, cancel := context.WithTimeout(ctx, s.extraTime)
	defer cancel()
	var err error
	if p.Stored, err = s.deps.Client.Storage.GetStats(ctx, &storagev1.GetStatsRequest{CrawlId: id}); err != nil {
		p.Trouble = append(p.Trouble, "What is stored is not known: "+sentence(err.Error()))
	}
	// Parsers of a cluster often have no address: then their metrics tell the same.
	if fields, err := s.deps.Client.Parser.ListFields(ctx, &parserv1.ListFieldsRequest{CrawlId: id}); err == nil {
		p.Fields = fields.GetFields()
	}
}

// head makes what all pages of a crawl begin with.
func (s *Server) head(v history.View, c *crawlv1.Crawl, tab string) crawlHead {
	h := crawlHead{crawlRow: rowOf(v, c), Tab: tab, Revision: c.GetRevision(), Ended: c.GetEndedAt()}
	end := s.deps.Now()
	if c.GetEndedAt() != nil {
		end = c.GetEndedAt().AsTime()
	}
	h.Took = summary.Duration(max(end.Sub(c.GetCreatedAt().AsTime()), 0))
	final, paused := summary.Final(c.GetState()), c.GetState() == crawlv1.CrawlState_CRAWL_STATE_PAUSED
	h.CanPause = !final && !paused
	h.CanResume = paused || c.GetState() == crawlv1.CrawlState_CRAWL_STATE_CANCELLED || strings.HasPrefix(c.GetReason(), "limit:")
	h.CanClose = !final && !c.GetClosed()
	h.CanAdd = h.CanClose
	h.CanCancel, h.CanDelete = !final, final
	return h
}

// headOf reads the crawl of a request and makes its head.
func (s *Server) headOf(r *http.Request, tab string) (*crawlv1.Crawl, crawlHead, error) {
	c, err := s.find(r)
	if err != nil {
		return nil, crawlHead{}, err
	}
	return c, s.head(s.seen(), c, tab), nil
}

// ledgerOf lists the terms that make the URLs discovered.
func ledgerOf(l *crawlv1.Ledger) []entry {
	return []entry{
		{"Queued", "wait for their turn", l.GetQueued(), "queued"},
		{"In flight", "are handed out", l.GetLeased(), "leased"},
		{"Delayed", "wait for a time", l.GetDelayed(), "delayed"},
		{"Done", "are visited and stored", l.GetDone(), "done"},
		{"Failed", "are given up", l.GetFailed(), "failed"},
		{"Dropped", "are not visited", sum(l.GetDropped()), "dropped"},
	}
}

// countedOf lists counters, the largest first. With a link they lead there, the name
// behind it.
func countedOf(m map[string]uint64, link string) []counted {
	var out []counted
	total := sum(m)
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if m[name] == 0 {
			continue
		}
		c := counted{Name: name, N: m[name], Share: percent(m[name], total), Part: chart.Bar(float64(total), float64(m[name]))[0]}
		if link != "" {
			c.Link = link + url.QueryEscape(name)
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b counted) int { return cmp.Compare(b.N, a.N) })
	return out
}
