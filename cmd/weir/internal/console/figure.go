package console

import (
	"math"

	"github.com/weircrawl/weir/cmd/weir/internal/console/chart"
	"github.com/weircrawl/weir/cmd/weir/internal/console/history"
	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// figure is a chart as templates draw it.
type figure struct {
	// Name and Unit: Pages, a second.
	Name, Unit string
	// Now is the newest value, Top where the axis ends.
	Now, Top string
	// Lines are drawn over one another.
	Lines []figureLine
	// Empty: nothing is known yet.
	Empty bool
}

// figureLine is one series; Class colours it.
type figureLine struct {
	Name, Class, Now string
	chart.Line
}

// series is what a figure is made of.
type series struct {
	name, class string
	now         string
	points      []history.Point
}

// newFigure draws series on one axis.
func newFigure(name, unit string, least float64, all ...series) figure {
	f := figure{Name: name, Unit: unit, Empty: true}
	var points [][]chart.Point
	for _, s := range all {
		line := make([]chart.Point, len(s.points))
		for i, p := range s.points {
			line[i] = chart.Point(p)
			f.Empty = f.Empty && math.IsNaN(p.Y)
		}
		points = append(points, line)
	}
	lines, top := chart.Lines(least, points...)
	for i, l := range lines {
		f.Lines = append(f.Lines, figureLine{Name: all[i].name, Class: all[i].class, Now: all[i].now, Line: l})
	}
	if len(all) > 0 {
		f.Now = all[0].now
	}
	f.Top = axis(top)
	return f
}

// axis writes the end of an axis.
func axis(top float64) string {
	if top >= 1 && top == math.Trunc(top) {
		return summary.Count(uint64(top))
	}
	return rate(top)
}

// rateSeries is a counter's rate.
func rateSeries(v history.View, name, class string, get history.Value) series {
	return series{name: name, class: class, now: rate(v.RateNow(get)), points: v.Rate(get)}
}

// bar is the progress of a crawl.
type bar struct {
	// Label says it in words, for who does not see it.
	Label string
	// Done, Failed and Dropped lie side by side; what is left is still to come.
	Done, Failed, Dropped chart.Part
}

func barOf(l *crawlv1.Ledger) bar {
	done, failed, dropped := l.GetDone(), l.GetFailed(), sum(l.GetDropped())
	parts := chart.Bar(float64(l.GetDiscovered()), float64(done), float64(failed), float64(dropped))
	return bar{
		Label: summary.Count(done) + " of " + summary.Count(l.GetDiscovered()) + " URLs done, " + summary.Count(failed) + " failed, " + summary.Count(dropped) + " dropped",
		Done:  parts[0], Failed: parts[1], Dropped: parts[2],
	}
}

// fullBar shows how full something is, 0 to 1.
func fullBar(full float64) bar {
	return bar{Label: percent(uint64(math.Ceil(1000*full)), 1000) + " full", Done: chart.Bar(1, full)[0]}
}
