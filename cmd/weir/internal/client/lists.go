package client

import (
	"context"
	"math"

	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// pageSize is how many rows a call asks for.
const pageSize = 1000

// page is one call of a list: it returns rows and where the next call goes on.
type page[T any] func(token string, size uint32) (rows []T, next string, err error)

// each calls f with the rows of all pages in turn, at most limit of them (0: all).
// A page may be empty before the last one.
func each[T any](limit uint64, get page[T], f func([]T) error) error {
	left := limit
	if limit == 0 {
		left = math.MaxUint64
	}
	for token := ""; left > 0; {
		rows, next, err := get(token, uint32(min(left, pageSize)))
		if err != nil {
			return err
		}
		rows = rows[:min(uint64(len(rows)), left)]
		left -= uint64(len(rows))
		if len(rows) > 0 {
			if err := f(rows); err != nil {
				return err
			}
		}
		if token = next; token == "" {
			return nil
		}
	}
	return nil
}

// URLs calls f with the URLs that req asks for, page by page, at most limit of them
// (0: all).
func (c *Client) URLs(ctx context.Context, req *schedulerv1.ListURLsRequest, limit uint64, f func([]*schedulerv1.URLInfo) error) error {
	return each(limit, func(token string, size uint32) ([]*schedulerv1.URLInfo, string, error) {
		req.PageToken, req.PageSize = token, size
		resp, err := c.Crawls.ListURLs(ctx, req)
		return resp.GetUrls(), resp.GetNextPageToken(), err
	}, f)
}

// Hosts calls f with the hosts that req asks for, page by page, at most limit of
// them (0: all).
func (c *Client) Hosts(ctx context.Context, req *schedulerv1.ListHostsRequest, limit uint64, f func([]*schedulerv1.HostInfo) error) error {
	return each(limit, func(token string, size uint32) ([]*schedulerv1.HostInfo, string, error) {
		req.PageToken, req.PageSize = token, size
		resp, err := c.Crawls.ListHosts(ctx, req)
		return resp.GetHosts(), resp.GetNextPageToken(), err
	}, f)
}

// DeadLetters calls f with the dead letters that req asks for, page by page, at
// most limit of them (0: all).
func (c *Client) DeadLetters(ctx context.Context, req *schedulerv1.ListDeadLettersRequest, limit uint64, f func([]*schedulerv1.DeadLetterInfo) error) error {
	return each(limit, func(token string, size uint32) ([]*schedulerv1.DeadLetterInfo, string, error) {
		req.PageToken, req.PageSize = token, size
		resp, err := c.Crawls.ListDeadLetters(ctx, req)
		return resp.GetLetters(), resp.GetNextPageToken(), err
	}, f)
}
