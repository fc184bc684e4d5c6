package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/weircrawl/weir/internal/warc"
)

// Response is a stored response: what it said, and its decoded body.
type Response struct {
	io.ReadCloser
	// Status of the response.
	Status int
	// Header fields as received.
	Header []Header
}

// Response reads a stored response as Body does. The caller closes it.
func (a *Archive) Response(ctx context.Context, p Place) (*Response, error) {
	r, err := a.shelf.read(ctx, p.File, p.Offset, p.Length)
	if err != nil {
		return nil, a.wrap("read "+p.File, err)
	}
	resp, err := openResponse(r)
	if err != nil {
		a.damaged(ctx, p, err)
		return nil, errors.Join(fmt.Errorf("read %s at %d: %w", p.File, p.Offset, err), r.Close())
	}
	resp.ReadCloser = readCloser{&watched{resp.ReadCloser, func(err error) { a.damaged(ctx, p, err) }}, r}
	return resp, nil
}

func openResponse(r io.Reader) (*Response, error) {
	c, err := openRecord(r)
	if err != nil {
		return nil, err
	}
	lines, err := warc.HTTPHead(c.r)
	if err != nil {
		return nil, err
	}
	resp := &Response{ReadCloser: io.NopCloser(c)}
	for i, line := range lines {
		if i == 0 {
			if words := strings.Fields(line); len(words) > 1 {
				resp.Status, _ = strconv.Atoi(words[1]) // 0: nobody can tell
			}
			continue
		}
		if name, value, ok := strings.Cut(line, ":"); ok {
			name = strings.TrimPrefix(name, renamed)
			resp.Header = append(resp.Header, Header{Name: name, Value: []byte(strings.TrimSpace(value))})
		}
	}
	return resp, nil
}
