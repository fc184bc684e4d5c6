package scheduler

import (
	"context"
	"encoding/base64"
	"encoding/binary"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

const (
	// defaultPage and maxPage are the rows of a page.
	defaultPage, maxPage = 100, 1000
	// maxReads bounds how often one call reads from the store, so that a filter that
	// leaves everything out does not keep it for long: the page is short then.
	maxReads = 32
)

// pageSize is the number of rows that a call asks for.
func pageSize(n uint32) int {
	if n == 0 {
		return defaultPage
	}
	return int(min(n, maxPage))
}

// place is where a list goes on: behind a host, or a URL of it, of a partition. The
// zero place is the start.
type place struct {
	partition uint32
	host      frontier.HostID
	key       frontier.Key
}

// String is the place as a page token.
func (p place) String() string {
	b := binary.BigEndian.AppendUint32(nil, p.partition)
	b = binary.BigEndian.AppendUint64(b, p.host)
	return base64.RawURLEncoding.EncodeToString(append(b, p.key[:]...))
}

// parsePlace reads a page token; empty is the start.
func parsePlace(token string) (p place, err error) {
	if token == "" {
		return p, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) != 12+len(p.key) {
		return p, crawl.Errorf(crawl.Invalid, "page_token: %q is not one that was given out", token)
	}
	p.partition, p.host = binary.BigEndian.Uint32(b), binary.BigEndian.Uint64(b[4:])
	copy(p.key[:], b[12:])
	return p, nil
}

// pages reads one partition after the other from a place on, and returns the token
// of the next page, empty at the end. read returns the token inside its partition,
// empty at that one's end, and how many rows the page still has room for. A call
// that another replica has passed on is about one partition only.
func (s *Service) pages(ctx context.Context, at place, read func(context.Context, place) (token string, room int, err error)) (string, error) {
	ses, err := s.current()
	if err != nil {
		return "", err
	}
	for ; at.partition < uint32(len(ses.held)); at = (place{partition: at.partition + 1}) {
		token, room, err := read(ctx, at)
		if err != nil || token != "" || forwarded(ctx) {
			return token, err
		}
		if last := at.partition+1 == uint32(len(ses.held)); room == 0 && !last {
			return place{partition: at.partition + 1}.String(), nil
		}
	}
	return "", nil
}
