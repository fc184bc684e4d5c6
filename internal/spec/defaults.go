package spec

import (
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// Project is the address that the default User-Agent shows to site owners.
const Project = "https://github.com/weircrawl/weir"

// Defaults returns a new spec in which every field that has a default has it.
// It is the one table of defaults: the comments of spec.proto say the same.
func Defaults() *crawlv1.CrawlSpec {
	return &crawlv1.CrawlSpec{
		Seeds: &crawlv1.Seeds{},
		Scope: &crawlv1.Scope{
			MaxUrlLength: proto.Uint32(2048),
		},
		Canonical: &crawlv1.Canonical{
			SortQuery:       proto.Bool(true),
			StripParams:     &crawlv1.StringList{Values: []string{"utm_*", "gclid", "fbclid", "msclkid"}},
			StripSessionIds: proto.Bool(true),
		},
		Order: crawlv1.Order_ORDER_BREADTH_FIRST,
		Limits: &crawlv1.Limits{
			Duration: durationpb.New(0),
		},
		Politeness: &crawlv1.Politeness{
			Delay:              durationpb.New(time.Second),
			Jitter:             proto.Float64(0),
			ConcurrencyPerHost: proto.Uint32(1),
			Adaptive:           proto.Bool(false),
			MaxDelay:           durationpb.New(time.Minute),
			ObeyRobots:         proto.Bool(true),
		},
		Fetch: &crawlv1.Fetch{
			UserAgent:    "Weir/" + version() + " (+" + Project + ")",
			Timeout:      durationpb.New(30 * time.Second),
			MaxBody:      proto.Int64(10 << 20),
			MaxRedirects: proto.Uint32(10),
			Retries:      proto.Uint32(2),
			Cookies:      proto.Bool(true),
			MinSpeed:     proto.Int64(100),
			Render:       crawlv1.Render_RENDER_NEVER,
			Browser: &crawlv1.Browser{
				Wait:        crawlv1.BrowserWait_BROWSER_WAIT_NETWORK_IDLE,
				WaitTimeout: durationpb.New(10 * time.Second),
				MaxRequests: proto.Uint32(200),
				Width:       1280,
				Height:      800,
			},
		},
		Parse: &crawlv1.Parse{
			FollowLinks:    proto.Bool(true),
			ObeyNofollow:   proto.Bool(true),
			StructuredData: proto.Bool(false),
			Text:           crawlv1.TextForm_TEXT_FORM_NONE,
			Sitemaps:       proto.Bool(true),
			Follow: []crawlv1.LinkKind{
				crawlv1.LinkKind_LINK_KIND_ANCHOR, crawlv1.LinkKind_LINK_KIND_FRAME, crawlv1.LinkKind_LINK_KIND_CANONICAL,
				crawlv1.LinkKind_LINK_KIND_ALTERNATE, crawlv1.LinkKind_LINK_KIND_NEXT, crawlv1.LinkKind_LINK_KIND_REFRESH,
				crawlv1.LinkKind_LINK_KIND_FEED, crawlv1.LinkKind_LINK_KIND_SITEMAP,
			},
		},
		Weight: proto.Uint32(1),
		Traps: &crawlv1.Traps{
			PathRepeats:  proto.Uint32(3),
			PathSegments: proto.Uint32(0),
		},
	}
}

// Resolve returns a copy of s with every default filled in, all sections present
// (but recrawl and extractor, whose absence means never and none) and a name. It does not validate.
func Resolve(s *crawlv1.CrawlSpec) *crawlv1.CrawlSpec {
	out := &crawlv1.CrawlSpec{}
	if s != nil {
		out = proto.CloneOf(s)
	}
	longDelay := out.GetPoliteness().GetDelay()
	ownMax := out.GetPoliteness().GetMaxDelay() != nil
	fill(out.ProtoReflect(), Defaults().ProtoReflect())
	// A delay beyond the default ceiling is meant: the ceiling gives way.
	if !ownMax && longDelay.AsDuration() > out.Politeness.MaxDelay.AsDuration() {
		out.Politeness.MaxDelay = proto.CloneOf(longDelay)
	}
	resolveRecrawl(out.GetRecrawl())
	resolveExtractor(out.GetExtractor())
	resolveExtractor(out.GetExtractor())
	for _, rule := range out.GetExtract() {
		typeFields(rule.GetFields())
	}
	if out.GetName() == "" {
		out.Name = nameFor(slices.Concat(out.GetSeeds().GetUrls(), out.GetSeeds().GetSitemaps()))
	}
	return out
}

// resolveRecrawl fills in what follows from every.
func resolveRecrawl(r *crawlv1.Recrawl) {
	if r == nil {
		return
	}
	if r.Adaptive == nil {
		r.Adaptive = proto.Bool(false)
	}
	if !r.GetAdaptive() {
		return
	}
	every := r.GetEvery().AsDuration()
	if r.Min == nil {
		r.Min = durationpb.New(max(every/10, min(every, time.Second)))
	}
	if r.Max == nil {
		r.Max = durationpb.New(min(every, maxRecrawl/10) * 10)
	}
}

// typeFields gives fields without a type the one that they have.
func typeFields(fields map[string]*crawlv1.FieldRule) {
	for _, f := range fields {
		switch {
		case f == nil:
		case len(f.GetFields()) > 0:
			f.Type = crawlv1.FieldType_FIELD_TYPE_JSON
			typeFields(f.GetFields())
		case f.Type == crawlv1.FieldType_FIELD_TYPE_UNSPECIFIED:
			f.Type = crawlv1.FieldType_FIELD_TYPE_STRING
		}
	}
}

// fill copies to dst what def has and dst has not. Sections are filled field by
// field; a duration or an inline list is a value and is taken whole, so that an
// explicit 0s or [] stays.
func fill(dst, def protoreflect.Message) {
	def.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.Message() != nil && !fd.IsList() && !fd.IsMap() && !isValue(fd):
			fill(dst.Mutable(fd).Message(), v.Message())
		case !dst.Has(fd):
			dst.Set(fd, v)
		}
		return true
	})
}

// isValue tells a message field that users write as one value from a section.
func isValue(fd protoreflect.FieldDescriptor) bool {
	return isDuration(fd) || isInlineList(fd)
}

// nameFor derives a crawl's name from its first seed's host: shop.example:8080
// becomes shop-example-8080. It takes the host as written, so that a seed which
// is no URL still gives a name that validation can report on.
func nameFor(urls []string) string {
	if len(urls) == 0 {
		return "crawl"
	}
	_, host, found := strings.Cut(urls[0], "://")
	if !found {
		host = urls[0]
	}
	if i := strings.IndexAny(host, "/?#"); i >= 0 {
		host = host[:i]
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	var b strings.Builder
	for _, r := range strings.ToLower(host) {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			b.WriteRune(r)
		} else if b.Len() > 0 {
			b.WriteByte('-')
		}
	}
	name := b.String()
	if len(name) > 63 {
		name = name[:63]
	}
	if name = strings.Trim(name, "-"); name == "" {
		return "crawl"
	}
	return name
}

// version is that of the running program as the Go tool stamped it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "dev"
	}
	v, _, _ := strings.Cut(strings.TrimPrefix(info.Main.Version, "v"), "+")
	return v
}
