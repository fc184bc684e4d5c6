package single

import (
	"context"
	"fmt"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/cmd/weir/internal/client"
	"github.com/weircrawl/weir/cmd/weir/internal/datadir"
	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// requestID makes CreateCrawl safe to repeat: a data directory has one crawl.
const requestID = "weir-crawl"

// prepare saves the spec of a new crawl, or loads the saved one, and leaves a
// marker: from here on the directory holds an unfinished crawl.
func prepare(dir *datadir.Dir, o *Options) error {
	saved, err := dir.Spec()
	if err != nil {
		return err
	}
	if o.Resume {
		return checkSaved(dir, o, saved)
	}
	data, err := spec.Encode(o.Spec)
	if err != nil {
		return err
	}
	if err := dir.WriteSpec(data); err != nil {
		return err
	}
	return dir.WriteMarker(datadir.Marker{Name: o.Spec.GetName(), State: datadir.Unfinished})
}

// checkSaved compares the spec given with the one saved, before the ring goes on
// with that one, or takes that one.
func checkSaved(dir *datadir.Dir, o *Options, saved []byte) error {
	if saved == nil {
		return nil
	}
	s, err := spec.Decode(filepath.Join(dir.Path(), "spec.yaml"), saved, nil)
	if err != nil {
		return err
	}
	if o.Spec == nil {
		o.Spec = s
		if o.Check != nil {
			return o.Check(s)
		}
		return nil
	}
	return same(dir, o.Spec, s)
}

// same refuses to resume a crawl with another spec than its own.
func same(dir *datadir.Dir, given, own *crawlv1.CrawlSpec) error {
	if name := firstDifference(spec.Resolve(given), spec.Resolve(own)); name != "" {
		return crawl.Errorf(crawl.Invalid,
			"the crawl in %s has another spec: %s differs; leave the spec and --set out to go on with its own, or crawl anew with another --data",
			dir.Path(), name)
	}
	return nil
}

// obtain creates the crawl, or finds it in the data directory and sets it going
// again, and gives it the seeds of its files.
func (j *job) obtain(ctx context.Context) error {
	crawls, err := j.client.List(ctx)
	if err != nil {
		return err
	}
	switch {
	case len(crawls) > 1:
		return crawl.Errorf(crawl.Invalid, "%s holds %d crawls of `weir up`: serve them with `weir up --data %s`", j.dir.Path(), len(crawls), j.dir.Path())
	case len(crawls) == 1:
		if err := j.takeUp(ctx, crawls[0]); err != nil {
			return err
		}
	case j.Spec == nil:
		return crawl.Errorf(crawl.Invalid, "the crawl in %s was stopped before it began: name its spec again with --resume", j.dir.Path())
	default:
		if err := j.create(ctx); err != nil {
			return err
		}
	}
	if j.crawl.GetState() == crawlv1.CrawlState_CRAWL_STATE_RUNNING {
		return j.seed(ctx)
	}
	return nil
}

func (j *job) create(ctx context.Context) error {
	// It stays open until its seed files were streamed, lest it finish before them.
	resp, err := j.client.Crawls.CreateCrawl(ctx, &schedulerv1.CreateCrawlRequest{Spec: j.Spec, RequestId: requestID})
	if err != nil {
		return err
	}
	j.crawl = resp.GetCrawl()
	return nil
}

// takeUp sets an existing crawl going again if it may go on. One that has
// finished stays so: its items are exported again.
func (j *job) takeUp(ctx context.Context, c *crawlv1.Crawl) error {
	j.crawl = c
	if j.Spec != nil {
		if err := same(j.dir, j.Spec, c.GetSpec()); err != nil {
			return err
		}
	}
	switch c.GetState() {
	case crawlv1.CrawlState_CRAWL_STATE_PAUSED, crawlv1.CrawlState_CRAWL_STATE_CANCELLED:
		resp, err := j.client.Crawls.ResumeCrawl(ctx, &schedulerv1.ResumeCrawlRequest{Crawl: c.GetId()})
		if err != nil {
			return err
		}
		j.crawl = resp.GetCrawl()
	default:
	}
	return nil
}

// seed streams the seed files, as often as it is asked to: what the crawl knows
// is not added again. Then it closes the crawl.
func (j *job) seed(ctx context.Context) error {
	id := j.crawl.GetId()
	added, err := j.client.AddFiles(ctx, id, "", j.crawl.GetSpec().GetSeeds().GetFiles(), j.Stdin)
	if err != nil {
		return err
	}
	for _, line := range RefusedLines(added) {
		j.Warn(line)
	}
	resp, err := j.client.Crawls.CloseCrawl(ctx, &schedulerv1.CloseCrawlRequest{Crawl: id})
	if err != nil {
		// A limit may have ended it meanwhile.
		c, getErr := j.client.Get(ctx, id)
		if getErr != nil || !summary.Final(c.GetState()) {
			return err
		}
		j.crawl = c
		return nil
	}
	j.crawl = resp.GetCrawl()
	return nil
}

// RefusedLines tells people of seeds that a crawl did not take.
func RefusedLines(a client.Added) []string {
	var lines []string
	for _, r := range a.Refused {
		lines = append(lines, fmt.Sprintf("refused %s: %s", weburl.Shown(r.GetUrl()), r.GetReason()))
	}
	if more := a.RefusedCount - uint64(len(a.Refused)); more > 0 {
		lines = append(lines, fmt.Sprintf("refused %d more", more))
	}
	return lines
}

// firstDifference names the first top-level field in which two specs differ.
func firstDifference(a, b *crawlv1.CrawlSpec) string {
	am, bm := a.ProtoReflect(), b.ProtoReflect()
	fields := am.Descriptor().Fields()
	for i := range fields.Len() {
		if fd := fields.Get(i); !am.Get(fd).Equal(bm.Get(fd)) {
			return fd.TextName()
		}
	}
	return ""
}

// Absolute makes the paths of a spec's seed files absolute, counted from dir, so
// that they are found again from wherever the crawl is resumed.
func Absolute(s *crawlv1.CrawlSpec, dir string) (*crawlv1.CrawlSpec, error) {
	out := proto.CloneOf(s)
	for i, file := range out.GetSeeds().GetFiles() {
		if file == "-" || filepath.IsAbs(file) {
			continue
		}
		abs, err := filepath.Abs(filepath.Join(dir, file))
		if err != nil {
			return nil, fmt.Errorf("find the seed file %s: %w", file, err)
		}
		out.Seeds.Files[i] = abs
	}
	return out, nil
}
