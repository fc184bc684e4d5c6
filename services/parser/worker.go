package parser

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/parser/internal/charset"
	"github.com/weircrawl/weir/services/parser/internal/link"
	"github.com/weircrawl/weir/services/parser/internal/page"
)

// lane is what one page at a time needs; lanes are pooled.
type lane struct {
	inflater inflater
	parser   *page.Parser
}

// keptBuffer is the largest body whose memory is kept for the next page.
const keptBuffer = 1 << 20

// job is one page to read: its compressed or plain body and its facts.
type job struct {
	crawl *readyCrawl
	in    page.Input
	// found takes what was decided on the page's links, where somebody asks; it has
	// room for it.
	found    chan []link.Found
	deflated []byte // empty for a plain body in in.Body, or none
	sum      []byte // SHA-256 of what deflated holds, where that is known
	trial    bool   // it is of no crawl: somebody tries rules

	// For the crawl's program, where it gets the page.
	facts     bool // the page is none that Parse reads: its body is for the program alone
	headers   []*crawlv1.Header
	truncated bool
}

// outcome is what became of a job.
type outcome struct {
	result *crawlv1.ParseResult
	label  string
	// given says that the crawl's program is to get the page, text being its body as far
	// as it is sent and cut that there is more.
	given bool
	text  []byte
	cut   bool
	// found are the pages and files that the program asked for.
	found []link.Found
}

// read reads a page under the watchdog. Whatever is wrong with the page comes
// back as a result with a warning; the error is that of a ctx that ended.
//
// The page has a goroutine of its own. When its time is up it is asked to stop,
// which all long loops of the core obey. One that does not is left behind: its
// slot is given away, so that the page costs the parser no more than a processor,
// until there are as many such pages as slots; from then on slots wait for them.
func (s *Service) read(ctx context.Context, j *job) (outcome, error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return outcome{}, context.Cause(ctx)
	}
	if err := s.pages.Acquire(ctx, 1); err != nil { // waits only while join does
		<-s.slots
		return outcome{}, context.Cause(ctx)
	}
	v := &visit{}
	done := make(chan outcome, 1)
	s.readers.Go(func() {
		defer s.pages.Release(1)
		o := s.isolated(j, &v.stop)
		s.end(v)
		done <- o
	})
	watchdog := time.NewTimer(s.cfg.PageTimeout)
	defer watchdog.Stop()
	select {
	case o := <-done:
		return s.finished(j, o), nil
	case <-ctx.Done():
		v.stop.Store(true)
		s.leave(v)
		return outcome{}, context.Cause(ctx)
	case <-watchdog.C:
	}
	v.stop.Store(true)
	// What was found until now comes back at once from a page that obeys.
	grace := time.NewTimer(s.cfg.PageTimeout / 10)
	defer grace.Stop()
	select {
	case o := <-done:
		o.label = outcomeTimeout
		o.result.Warning = join(o.result.GetWarning(), s.timedOut())
		return s.finished(j, o), nil
	case <-grace.C:
	}
	s.leave(v)
	return s.finished(j, outcome{result: &crawlv1.ParseResult{Warning: s.timedOut()}, label: outcomeTimeout}), nil
}

func (s *Service) timedOut() string {
	return fmt.Sprintf("not read within %v: some links and all items may be missing", s.cfg.PageTimeout)
}

// visit is the state of one page that is being read.
type visit struct {
	stop atomic.Bool
	over atomic.Bool // it ended or was given up, whichever came first
	free atomic.Bool // its slot is free
}

// leave gives up a page that goes on, unless it ended meanwhile.
func (s *Service) leave(v *visit) {
	if v.over.Swap(true) {
		return
	}
	s.m.stuck.Inc()
	if s.stuck.Add(1) <= int64(cap(s.slots)) {
		s.freeSlot(v)
	}
}

// end is called by a page's goroutine when the page has been read.
func (s *Service) end(v *visit) {
	if v.over.Swap(true) {
		s.stuck.Add(-1)
		s.m.stuck.Dec()
	}
	s.freeSlot(v)
}

func (s *Service) freeSlot(v *visit) {
	if !v.free.Swap(true) {
		<-s.slots
	}
}

// finished counts an outcome.
func (s *Service) finished(j *job, o outcome) outcome {
	s.m.pages.WithLabelValues(o.label).Inc()
	s.m.link("accepted", len(o.result.GetOutlinks()))
	for reason, n := range o.result.GetRejectedLinks() {
		s.m.link(reason, int(n))
	}
	s.m.items.Add(float64(len(o.result.GetItems())))
	s.m.rejected.Add(float64(o.result.GetRejectedItems()))
	if !j.trial {
		s.countRules(j.crawl, o.result.GetRules())
	}
	return o
}

// isolated reads a page and turns a panic into an outcome. The lane of a page
// that panicked may be in any state and is not used again.
func (s *Service) isolated(j *job, stop *atomic.Bool) (o outcome) {
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("page panicked", "url", j.in.URL.String(), "panic", p, "stack", string(debug.Stack()))
			o = outcome{result: &crawlv1.ParseResult{Warning: fmt.Sprintf("the parser panicked: %.200v", p)}, label: outcomePanic}
		}
		s.m.seconds.Observe(time.Since(start).Seconds())
	}()
	l := s.lanes.Get().(*lane)
	plain, kept := s.deps.Bodies.Take(j.sum)
	o = s.inLane(l, j, plain, stop)
	if kept {
		s.deps.Bodies.Done(plain)
	}
	l.inflater.shrink(keptBuffer)
	s.lanes.Put(l)
	return o
}

// inLane reads a page, from plain where that is its body, which it inflates else.
func (s *Service) inLane(l *lane, j *job, plain []byte, stop *atomic.Bool) outcome {
	warning := j.crawl.warning
	var raw []byte // of what is no text
	if len(j.deflated) > 0 {
		body, cut, err := plain, false, error(nil)
		if len(plain) == 0 {
			body, cut, err = l.inflater.inflate(j.deflated, j.in.Size, s.cfg.MaxBody)
		} else if int64(len(plain)) > s.cfg.MaxBody {
			body, cut = plain[:s.cfg.MaxBody], true
		}
		if err != nil && len(body) == 0 {
			return outcome{result: &crawlv1.ParseResult{Warning: "the body cannot be read: " + err.Error()}, label: outcomeUnreadable}
		}
		if err != nil {
			warning = join(warning, "the body is damaged: "+err.Error())
		}
		if cut {
			warning = join(warning, fmt.Sprintf("only the first %d bytes were read", s.cfg.MaxBody))
		}
		if j.facts {
			raw = body
		} else {
			j.in.Body = body
		}
	}
	if s.beforePage != nil {
		s.beforePage(&j.in, stop)
	}
	s.m.bytes.Add(float64(len(j.in.Body)))
	out := l.parser.Parse(&j.in, &j.crawl.crawl, stop)
	if j.found != nil {
		j.found <- out.Links.Found
	}
	o := outcome{result: resultOf(&out), label: outcomeParsed}
	o.result.Warning = join(warning, o.result.GetWarning())
	if j.crawl.noDefault {
		o.result.Items = nil
	}
	if e := j.crawl.extractor; e.wants(j.in.URL) && !out.Sitemap && !o.result.GetWantsRender() && !stop.Load() {
		o.given = true
		if !j.facts && page.Textual(j.in.ContentType, j.in.URL.Path()) {
			text, _ := charset.Decode(j.in.Body, j.in.ContentType)
			o.text, o.cut = e.textFor(text, true)
		} else {
			o.text, o.cut = e.textFor(append(raw, j.in.Body...), false)
		}
	}
	return o
}

// join puts two warnings into one line.
func join(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	return a + "; " + b
}
