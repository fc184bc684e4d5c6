package console

import (
	"net/http"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/cmd/weir/internal/console/history"
	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// crawlsAtOnce is how many crawls a page lists.
const crawlsAtOnce = 25

// crawlRow is a crawl in a list.
type crawlRow struct {
	ID, Name, State, Class, Why string
	Bar                         bar
	Done, Discovered            uint64
	Share, Rate                 string
	Pages, Items, Errors        uint64
	Since                       *timestamppb.Timestamp
}

// overviewPage is what the first page shows.
type overviewPage struct {
	// PagesRate and ItemsRate are those of all crawls, a second.
	PagesRate, ItemsRate string
	// Running crawls, URLs in flight, and Dead letters.
	Running, InFlight, Dead uint64
	Crawls                  []crawlRow
	// Older is the place of the next list; empty on the last.
	Older  string
	Paged  bool
	Stages []stageRow
	// Behind are the stages that do not keep up.
	Behind []stageRow
	// Window is the length of the charts in minutes.
	Window int
}

func (s *Server) overview(w http.ResponseWriter, r *http.Request) error {
	token := r.FormValue("after")
	resp, err := s.deps.Client.Crawls.ListCrawls(r.Context(), &schedulerv1.ListCrawlsRequest{PageSize: crawlsAtOnce, PageToken: token})
	if err != nil {
		return err
	}
	v := s.seen()
	p := overviewPage{Window: minutes(v), Older: resp.GetNextPageToken(), Paged: token != ""}
	for _, c := range resp.GetCrawls() {
		p.Crawls = append(p.Crawls, rowOf(v, c))
	}
	pages, items := 0.0, 0.0
	for id := range v.Last().Crawls {
		pages += v.RateNow(history.OfCrawl(id, func(c history.Crawl) uint64 { return c.Pages }))
		items += v.RateNow(history.OfCrawl(id, func(c history.Crawl) uint64 { return c.Items }))
	}
	p.PagesRate, p.ItemsRate = rate(pages), rate(items)
	for _, c := range resp.GetCrawls() {
		if !summary.Final(c.GetState()) && c.GetState() != crawlv1.CrawlState_CRAWL_STATE_PAUSED {
			p.Running++
		}
		p.InFlight += c.GetStats().GetLedger().GetLeased()
	}
	for _, row := range stageRows(v) {
		p.Dead += row.Dead
		if row.Main {
			p.Stages = append(p.Stages, row)
		}
		if row.Health > history.Working {
			p.Behind = append(p.Behind, row)
		}
	}
	return s.render(w, r, http.StatusOK, view{Name: "overview", Title: "Crawls", Section: "crawls", Live: true, Page: p})
}

// rowOf makes a row of a crawl.
func rowOf(v history.View, c *crawlv1.Crawl) crawlRow {
	st, l := c.GetStats(), c.GetStats().GetLedger()
	row := crawlRow{
		ID: c.GetId(), Name: nameOf(c), State: summary.StateName(c.GetState()), Class: stateClass(c.GetState()), Why: why(v, c),
		Bar: barOf(l), Done: l.GetDone(), Discovered: l.GetDiscovered(), Share: percent(settled(l), l.GetDiscovered()),
		Pages: st.GetPages(), Items: st.GetItems(), Errors: sum(st.GetErrors()), Since: c.GetCreatedAt(),
	}
	row.Rate = rate(v.RateNow(history.OfCrawl(c.GetId(), func(c history.Crawl) uint64 { return c.Pages })))
	return row
}

// settled URLs will not be visited any more.
func settled(l *crawlv1.Ledger) uint64 { return l.GetDone() + l.GetFailed() + sum(l.GetDropped()) }

// nameOf is what people call a crawl.
func nameOf(c *crawlv1.Crawl) string {
	if name := c.GetSpec().GetName(); name != "" {
		return cut(name, maxShown)
	}
	return c.GetId()
}

// stateClass is the colour of a state.
func stateClass(s crawlv1.CrawlState) string {
	switch s {
	case crawlv1.CrawlState_CRAWL_STATE_RUNNING, crawlv1.CrawlState_CRAWL_STATE_CLOSING:
		return "go"
	case crawlv1.CrawlState_CRAWL_STATE_PAUSED:
		return "hold"
	case crawlv1.CrawlState_CRAWL_STATE_FINISHED:
		return "good"
	case crawlv1.CrawlState_CRAWL_STATE_FAILED:
		return "bad"
	default:
		return "off"
	}
}
