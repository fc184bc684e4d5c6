package console

import (
	"math"
	"net/http"
	"time"

	"github.com/weircrawl/weir/cmd/weir/internal/console/history"
	"github.com/weircrawl/weir/cmd/weir/internal/summary"
)

// stageName is what a stage is called and does.
type stageName struct{ title, does string }

func stageNames() map[string]stageName {
	return map[string]stageName{
		"fetch-http":   {"Fetch", "Fetchers visit the web."},
		"fetch-render": {"Render", "Fetchers show pages in a browser."},
		"parse":        {"Parse", "Parsers find links and items."},
		"store":        {"Store", "Storage commits pages and items."},
		"result":       {"Results", "Schedulers settle URLs and queue what was found."},
		"links":        {"Links", "Schedulers take links that other partitions found."},
		"dead":         {"Dead letters", "Schedulers settle messages that were given up."},
	}
}

// stageRow is a stage in a list.
type stageRow struct {
	history.Stage
	Title, Does string
	Health      history.Health
	Why, Class  string
	// Main stages are shown on the first page: those that every page passes, and the
	// browsers where they are used.
	Main                      bool
	RateFig, LagFig, ErrorFig figure
	// Failed counts what failed within the charts.
	Failed uint64
}

// seen returns what was seen lately: the last two or five minutes while the console has
// not seen more, so that charts are not nearly empty.
func (s *Server) seen() history.View {
	now := s.deps.Now()
	all := s.history.View(now, window)
	for _, w := range []time.Duration{2 * time.Minute, 5 * time.Minute} {
		if len(all.Samples) == 0 || now.Sub(all.Samples[0].At) <= w {
			all.Window = w
			break
		}
	}
	return all
}

// minutes is the length of a view.
func minutes(v history.View) int { return int(v.Window / time.Minute) }

// queueRow is a queue in a list.
type queueRow struct {
	history.Queue
	Share  string
	Bar    bar
	Class  string
	Oldest string
	Rate   string
}

// stagesPage is what the page about stages shows.
type stagesPage struct {
	Stages []stageRow
	Queues []queueRow
	Window int // of the charts, in minutes
}

func (s *Server) stages(w http.ResponseWriter, r *http.Request) error {
	if err := s.allowed(r.Context()); err != nil {
		return err
	}
	v := s.seen()
	p := stagesPage{Stages: stageRows(v), Queues: queueRows(v), Window: minutes(v)}
	return s.render(w, r, http.StatusOK, view{Name: "stages", Title: "Stages", Section: "stages", Live: true, Page: p})
}

// stageRows makes rows of the newest sample.
func stageRows(v history.View) []stageRow {
	names := stageNames()
	var out []stageRow
	for _, st := range v.Last().Stages {
		row := stageRow{Stage: st, Title: names[st.Name].title, Does: names[st.Name].does}
		if row.Title == "" {
			row.Title = st.Name
		}
		row.Health, row.Why = v.Health(st.Name)
		row.Class = healthClass(row.Health)
		switch st.Name {
		case "links", "dead":
		case "fetch-render":
			row.Main = st.Delivered > 0 || st.Lag() > 0
		default:
			row.Main = true
		}
		delivered := history.OfStage(st.Name, func(s history.Stage) uint64 { return s.Delivered })
		failed := history.OfStage(st.Name, func(s history.Stage) uint64 { return s.Errors })
		lag := history.OfStage(st.Name, history.Stage.Lag)
		row.Failed = uint64(v.Grown(failed))
		row.RateFig = newFigure("Rate", "a second", 1, rateSeries(v, "rate", "rate", delivered))
		row.LagFig = newFigure("Lag", "messages", 10, series{name: "lag", class: "lag", now: summary.Count(st.Lag()), points: v.Gauge(lag)})
		row.ErrorFig = newFigure("Errors", "a second", 1, series{name: "errors", class: "errors", now: summary.Count(row.Failed), points: v.Rate(failed)})
		out = append(out, row)
	}
	return out
}

// queueRows makes rows of the newest sample.
func queueRows(v history.View) []queueRow {
	var out []queueRow
	for _, q := range v.Last().Queues {
		full := q.Full()
		row := queueRow{Queue: q, Share: percent(uint64(math.Ceil(1000*full)), 1000), Class: "go"}
		if full >= 0.9 {
			row.Class = "bad"
		} else if full >= 0.6 {
			row.Class = "hold"
		}
		if !q.Oldest.IsZero() {
			row.Oldest = summary.Duration(max(v.Now.Sub(q.Oldest), 0))
		}
		name := q.Name
		row.Rate = rate(v.RateNow(func(s history.Sample) (float64, bool) {
			q, ok := s.Queue(name)
			return float64(q.Published), ok
		}))
		row.Bar = fullBar(full)
		out = append(out, row)
	}
	return out
}

// healthClass is the colour of a health.
func healthClass(h history.Health) string {
	switch h {
	case history.Working:
		return "go"
	case history.Behind:
		return "hold"
	case history.Full, history.Missing:
		return "bad"
	default:
		return "off"
	}
}
