package parser

import (
	"errors"
	"fmt"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/parser/internal/request"
)

// requestsOf compiles the rules that make requests; nil without any.
func requestsOf(rules []*crawlv1.RequestRule) (*request.Set, error) {
	out := make([]request.Rule, 0, len(rules))
	var errs []error
	for i, r := range rules {
		rule, err := requestOf(fmt.Sprintf("requests[%d]", i), r)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out = append(out, rule)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return request.Compile(out)
}

func requestOf(path string, r *crawlv1.RequestRule) (request.Rule, error) {
	out := request.Rule{
		Path: path, Name: r.GetName(), Each: r.GetEach(), Form: r.GetForm(), URL: r.GetUrl(), Method: r.GetMethod(),
		Encoding: encodingOf(r.GetEncoding()), Body: r.GetBody(), Header: r.GetHeaders(), Priority: r.Priority, MaxDepth: -1, Pagination: r.GetPagination(),
	}
	if r.MaxDepth != nil {
		out.MaxDepth = int(r.GetMaxDepth())
	}
	var err error
	if out.Match, err = optionalPattern(path+".match", r.GetMatch()); err != nil {
		return out, err
	}
	if out.When, err = conditionOf(path, r.GetWhen(), false); err != nil {
		return out, err
	}
	out.Fields, err = fieldsOf(path+".fields", r.GetFields())
	return out, err
}

func encodingOf(e crawlv1.RequestEncoding) request.Encoding {
	switch e {
	case crawlv1.RequestEncoding_REQUEST_ENCODING_FORM:
		return request.Form
	case crawlv1.RequestEncoding_REQUEST_ENCODING_JSON:
		return request.JSON
	case crawlv1.RequestEncoding_REQUEST_ENCODING_QUERY:
		return request.Query
	}
	return request.Default
}
