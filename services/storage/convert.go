package storage

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/warc"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
	"github.com/weircrawl/weir/services/storage/internal/archive"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// maxRobots is how much of a robots.txt is handed on: what has to be read (RFC 9309
// §2.5), and an octet more, which tells whether the last line is whole.
const maxRobots = 500<<10 + 1

// check reports what keeps a record from being stored.
func check(rec *crawlv1.Record) error {
	ref, fetch, body := rec.GetRef(), rec.GetFetch(), rec.GetBody()
	switch {
	case ref.GetCrawlId() == "":
		return errors.New("no crawl id")
	case ref.GetUrl() == "":
		return errors.New("no URL")
	case len(ref.GetUrlKey()) != len(weburl.Key{}):
		return fmt.Errorf("URL key of %d bytes", len(ref.GetUrlKey()))
	case ref.GetKind() < crawlv1.TaskKind_TASK_KIND_PAGE || ref.GetKind() > crawlv1.TaskKind_TASK_KIND_MEDIA:
		return fmt.Errorf("task kind %v", ref.GetKind())
	case fetch == nil:
		return errors.New("no fetch")
	case fetch.GetStatus() > 999:
		return fmt.Errorf("status %d", fetch.GetStatus())
	case rec.GetReparse() && (rec.GetParsed() == nil || body != nil || ref.GetKind() != crawlv1.TaskKind_TASK_KIND_PAGE || ref.GetRevision() == 0):
		return errors.New("no reading of a stored page")
	case body.GetSize() > 1<<40:
		return fmt.Errorf("body of %d bytes", body.GetSize())
	case body.GetSize() > 0 && body.GetData() == nil:
		return errors.New("a size but no body")
	case len(body.GetSha256()) != 0 && len(body.GetSha256()) != sha256.Size:
		return fmt.Errorf("digest of %d bytes", len(body.GetSha256()))
	}
	return nil
}

func pageOf(rec *crawlv1.Record) *catalogue.Page {
	ref, fetch, parsed := rec.GetRef(), rec.GetFetch(), rec.GetParsed()
	p := &catalogue.Page{
		Key: catalogue.Key{
			Crawl: ref.GetCrawlId(), URL: weburl.Key(ref.GetUrlKey()), Generation: ref.GetGeneration(),
			Attempt: ref.GetAttempt(), Kind: catalogue.Kind(ref.GetKind()),
		},
		CanonicalURL:  ref.GetUrl(),
		Via:           ref.GetVia(),
		Lease:         ref.GetLease(),
		Depth:         ref.GetDepth(),
		Revision:      ref.GetRevision(),
		FetchedAt:     fetch.GetStartedAt().AsTime(),
		Duration:      fetch.GetDuration().AsDuration(),
		Status:        fetch.GetStatus(),
		Error:         crawl.Class(fetch.GetError()),
		ErrorDetail:   fetch.GetErrorDetail(),
		ContentType:   parsed.GetContentType(),
		Title:         parsed.GetTitle(),
		Language:      parsed.GetLanguage(),
		Size:          rec.GetBody().GetSize(),
		SHA256:        rec.GetBody().GetSha256(),
		RedirectURL:   fetch.GetRedirectUrl(),
		Truncated:     fetch.GetTruncated(),
		Rendered:      fetch.GetRendered(),
		Outlinks:      uint32(len(parsed.GetOutlinks())) + parsed.GetPackedOutlinks().GetCount(),
		RejectedItems: parsed.GetRejectedItems(),
		Warning:       parsed.GetWarning(),
	}
	if p.ContentType == "" {
		p.ContentType = mediaType(fetch.GetResponseHeaders())
	}
	for _, it := range parsed.GetItems() {
		p.Items = append(p.Items, catalogue.Item{Rule: it.GetRule(), Index: it.GetIndex(), JSON: it.GetJson()})
	}
	p.ItemsDigest = catalogue.DigestItems(p.Items)
	for _, it := range parsed.GetRejects() {
		p.Rejects = append(p.Rejects, catalogue.Item{Rule: it.GetRule(), JSON: it.GetJson()})
	}
	contentOf(p, rec)
	return p
}

// leastWords is how many words a text has at least whose SimHash says something.
const leastWords = 32

// contentOf sets what a page is compared with others by: its text, or its body where
// there is no text.
func contentOf(p *catalogue.Page, rec *crawlv1.Record) {
	if p.Kind != catalogue.KindPage || p.Error != crawl.ClassNone || p.Status/100 != 2 || p.Size == 0 {
		return
	}
	p.Content = p.SHA256
	text := rec.GetParsed().GetText()
	if text.GetWords() > 0 && len(text.GetSha256()) == sha256.Size {
		p.Content = text.GetSha256()
	}
	if text.GetWords() >= leastWords {
		p.SimHash = text.GetSimhash()
	}
}

// mediaType is the Content-Type of a response that was not parsed.
func mediaType(hs []*crawlv1.Header) string {
	for _, h := range hs {
		if h.GetName() == "Content-Type" {
			v, _, _ := bytes.Cut(h.GetValue(), []byte(";"))
			return string(bytes.ToValidUTF8(bytes.ToLower(bytes.TrimSpace(v)), nil))
		}
	}
	return ""
}

func exchangeOf(e *entry) *archive.Exchange {
	rec := e.rec
	ref, fetch, body := rec.GetRef(), rec.GetFetch(), rec.GetBody()
	if e.page.Replaces {
		// The failed attempt may have a record with the key's ID.
		id := exchangeID(&e.page.Key, ref.GetLease())
		e.page.RecordID = id[:]
	}
	x := &archive.Exchange{
		Crawl:     ref.GetCrawlId(),
		ID:        recordID(e.page),
		URL:       ref.GetUrl(),
		At:        fetch.GetStartedAt().AsTime(),
		Protocol:  fetch.GetProtocol(),
		Status:    int(fetch.GetStatus()),
		Request:   headers(fetch.GetRequestHeaders()),
		Response:  headers(fetch.GetResponseHeaders()),
		Truncated: fetch.GetTruncated(),
		Class:     crawl.Class(fetch.GetError()),
		Facts:     facts(rec),
		Body: archive.Body{
			Sum:    warc.Sum{Size: int64(body.GetSize()), CRC32: body.GetCrc32()},
			SHA256: body.GetSha256(),
		},
	}
	for _, t := range rec.GetAttachments() {
		x.Attachments = append(x.Attachments, archive.Attachment{Name: word(t.GetName()), ContentType: t.GetContentType(), Data: t.GetData(), SHA256: sha256.Sum256(t.GetData())})
	}
	if ap, err := netip.ParseAddrPort(fetch.GetRemoteAddr()); err == nil {
		x.Remote = ap.Addr()
	}
	return x
}

// facts are what the archive says of a visit besides the exchange, under the names
// that other crawlers use where they have one. With crawl, generation and attempt the
// archive can be read without the catalogue.
func facts(rec *crawlv1.Record) []archive.Header {
	ref, fetch, parsed := rec.GetRef(), rec.GetFetch(), rec.GetParsed()
	var fs []archive.Header
	text := func(name, value string) {
		if value != "" {
			fs = append(fs, archive.Header{Name: name, Value: []byte(value)})
		}
	}
	number := func(name string, n uint64) {
		if n != 0 {
			text(name, strconv.FormatUint(n, 10))
		}
	}
	text("crawl", ref.GetCrawlId())
	number("generation", uint64(ref.GetGeneration()))
	number("attempt", uint64(ref.GetAttempt()))
	number("lease", ref.GetLease())
	number("depth", uint64(ref.GetDepth()))
	text("via", ref.GetVia())
	number("redirects", uint64(ref.GetRedirects()))
	number("fetchTimeMs", uint64(max(0, fetch.GetDuration().AsDuration().Milliseconds())))
	text("charset", parsed.GetCharset())
	text("language", parsed.GetLanguage())
	if class := crawl.Class(fetch.GetError()); class != crawl.ClassNone {
		text("error", class.String())
	}
	if fetch.GetRendered() {
		text("rendered", "true")
		number("requests", uint64(fetch.GetRequests()))
	}
	if url := ref.GetUrl(); strings.Contains(url, "#") {
		text("canonicalUrl", url) // with the request, which is part of what it is
	}
	return fs
}

// word keeps the letters of a name that becomes part of a URN.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ToLower(s))
	if s == "" {
		return "attachment"
	}
	return s
}

// recordID is the ID of a page's response record.
func recordID(p *catalogue.Page) warc.ID {
	var id warc.ID
	if len(p.RecordID) == len(id) {
		copy(id[:], p.RecordID)
		return id
	}
	return exchangeID(&p.Key, 0)
}

// exchangeID names an attempt's response record; crawl ids are unique in the
// world. A lease of 0 is left out.
func exchangeID(k *catalogue.Key, lease uint64) warc.ID {
	var buf [96]byte
	b := append(buf[:0], k.Crawl...)
	b = append(b, k.URL[:]...)
	b = binary.BigEndian.AppendUint32(b, k.Generation)
	b = binary.BigEndian.AppendUint32(b, k.Attempt)
	b = append(b, byte(k.Kind))
	if lease != 0 {
		b = binary.BigEndian.AppendUint64(b, lease)
	}
	sum := sha256.Sum256(b)
	return archive.NewID(sum[:])
}

func headers(hs []*crawlv1.Header) []archive.Header {
	out := make([]archive.Header, len(hs))
	for i, h := range hs {
		out[i] = archive.Header{Name: h.GetName(), Value: h.GetValue()}
	}
	return out
}

// trim brings a body into the form that the archive takes. One that does not end
// as warc.Trim wants it is compressed again, and its sum checked on the way.
func trim(rs *warc.Resyncer, deflate []byte, sum warc.Sum) (trimmed []byte, resynced bool, err error) {
	if len(deflate) == 0 {
		if sum.Size > 0 {
			return nil, false, errors.New("a size but no body")
		}
		return nil, false, nil
	}
	if t, ok := warc.Trim(deflate); ok {
		return t, false, nil
	}
	var out bytes.Buffer
	got, err := rs.Resync(&out, bytes.NewReader(deflate))
	if err != nil {
		return nil, true, err
	}
	if got != sum {
		return nil, true, fmt.Errorf("body has %d bytes and checksum %08x, the record says %d and %08x", got.Size, got.CRC32, sum.Size, sum.CRC32)
	}
	t, _ := warc.Trim(out.Bytes())
	return t, true, nil
}

// inflate returns at most limit bytes of a body.
func inflate(deflate []byte, limit int64) ([]byte, error) {
	r := flate.NewReader(bytes.NewReader(deflate))
	data, err := io.ReadAll(io.LimitReader(r, limit))
	if err != nil {
		return nil, crawl.Errorf(crawl.Invalid, "inflate: %w", err)
	}
	return data, nil
}

func wantsRobots(rec *crawlv1.Record) bool {
	status := rec.GetFetch().GetStatus()
	return rec.GetRef().GetKind() == crawlv1.TaskKind_TASK_KIND_ROBOTS && status >= 200 && status < 300
}

func resultOf(rec *crawlv1.Record) *crawlv1.Result {
	fetch, parsed := rec.GetFetch(), rec.GetParsed()
	r := &crawlv1.Result{
		Ref:            rec.GetRef(),
		Duration:       fetch.GetDuration(),
		Status:         fetch.GetStatus(),
		Error:          fetch.GetError(),
		ErrorDetail:    fetch.GetErrorDetail(),
		RetryAfter:     fetch.GetRetryAfter(),
		RedirectUrl:    cmp.Or(fetch.GetRedirectUrl(), parsed.GetRefreshUrl()),
		SetCookies:     fetch.GetSetCookies(),
		Rendered:       fetch.GetRendered(),
		WantsRender:    parsed.GetWantsRender(),
		Outlinks:       parsed.GetOutlinks(),
		PackedOutlinks: parsed.GetPackedOutlinks(),
		Items:          uint32(len(parsed.GetItems())),
		RejectedItems:  parsed.GetRejectedItems(),
		Bytes:          rec.GetBody().GetSize(),
		Sha256:         rec.GetBody().GetSha256(),
		RejectedLinks:  parsed.GetRejectedLinks(),
		RemoteAddr:     fetch.GetRemoteAddr(),
	}
	// The validators of an error page would keep the URL from ever being a page.
	if status := fetch.GetStatus(); status/100 == 2 || status == http.StatusNotModified {
		r.Etag = validator(fetch.GetResponseHeaders(), "Etag")
		r.LastModified = validator(fetch.GetResponseHeaders(), "Last-Modified")
	}
	if start := fetch.GetStartedAt(); start != nil {
		r.EndedAt = timestamppb.New(start.AsTime().Add(fetch.GetDuration().AsDuration()))
	}
	return r
}

// maxValidator bounds an ETag or Last-Modified: the frontier keeps them of every
// page.
const maxValidator = 256

// validator is the value of a header that is sent back with the next visit; empty
// when it is too long, or no text that a message could carry.
func validator(hs []*crawlv1.Header, name string) string {
	for _, h := range hs {
		if h.GetName() == name {
			if v := h.GetValue(); len(v) <= maxValidator && utf8.Valid(v) {
				return string(v)
			}
			return ""
		}
	}
	return ""
}

func pageInfo(p *catalogue.Page) *storagev1.PageInfo {
	return &storagev1.PageInfo{
		Cursor:         p.Cursor,
		Url:            p.CanonicalURL,
		Depth:          p.Depth,
		Attempt:        p.Attempt,
		FetchedAt:      timestamppb.New(p.FetchedAt),
		DurationMicros: uint64(max(0, p.Duration) / time.Microsecond),
		Status:         p.Status,
		Error:          crawlv1.ErrorClass(p.Error),
		ErrorDetail:    p.ErrorDetail,
		ContentType:    p.ContentType,
		Title:          p.Title,
		Size:           p.Size,
		Sha256:         p.SHA256,
		RedirectUrl:    p.RedirectURL,
		Truncated:      p.Truncated,
		WarcFile:       p.Place.File,
		WarcOffset:     uint64(p.Place.Offset),
		Outlinks:       p.Outlinks,
		Items:          p.ItemCount,
		Kind:           crawlv1.TaskKind(p.Kind),
		Generation:     p.Generation,
		Lease:          p.Lease,

		Via:             p.Via,
		Rendered:        p.Rendered,
		DuplicateOf:     p.DuplicateURL,
		NearDuplicateOf: p.NearURL,
		Language:        p.Language,
	}
}
