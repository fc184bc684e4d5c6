package progress

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// Live draws a few lines on a terminal again and again at the same place.
type Live struct {
	w     io.Writer
	width func() int
	rate  rate
	drawn int // lines on the screen
}

// NewLive returns a live view. width gives the terminal's columns at any moment;
// lines are cut to it, since a wrapped line would not be drawn over.
func NewLive(w io.Writer, width func() int) *Live { return &Live{w: w, width: width} }

// hostLines is how many busy hosts are shown.
const hostLines = 5

// Update implements View.
func (l *Live) Update(now time.Time, w *schedulerv1.WatchCrawlResponse) {
	c := w.GetCrawl()
	perSecond := l.rate.add(now, c.GetStats().GetPages())
	elapsed := time.Duration(0)
	if c.GetCreatedAt() != nil {
		elapsed = max(now.Sub(c.GetCreatedAt().AsTime()), 0)
	}
	lines := []string{
		fmt.Sprintf("%s  %s  %s", c.GetSpec().GetName(), summary.StateName(c.GetState()), summary.Duration(elapsed)),
		"  " + strings.Join(figures(now, c, perSecond), " · "),
	}
	for i, h := range w.GetBusiestHosts() {
		if i == hostLines {
			break
		}
		lines = append(lines, fmt.Sprintf("  %-40s %d in flight, %s queued", h.GetHost(), h.GetLeased(), summary.Count(h.GetQueued())))
	}
	l.draw(lines)
}

// Done implements View.
func (l *Live) Done() { l.draw(nil) }

// draw replaces what was drawn last: up to its first line, each line cleared as
// it is written, then everything below.
func (l *Live) draw(lines []string) {
	var b strings.Builder
	if l.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", l.drawn)
	}
	for _, line := range lines {
		b.WriteString("\r\x1b[K" + cut(line, l.width()) + "\n")
	}
	b.WriteString("\x1b[J")
	_, _ = io.WriteString(l.w, b.String()) // progress is no data
	l.drawn = len(lines)
}

// cut shortens a line to less than width columns and drops what could move the
// cursor: host names come from the web.
func cut(line string, width int) string {
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, line)
	if width <= 1 || utf8.RuneCountInString(line) < width {
		return line
	}
	return string([]rune(line)[:width-1])
}
