package parser

import (
	"errors"
	"fmt"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/parser/internal/follow"
)

// followOf compiles the rules on links; nil without any.
func followOf(rules []*crawlv1.FollowRule) (*follow.Set, error) {
	out := make([]follow.Rule, 0, len(rules))
	var errs []error
	for i, r := range rules {
		rule := follow.Rule{
			Path: fmt.Sprintf("follow[%d]", i), CSS: r.GetCss(), XPath: r.GetXpath(), Kinds: kindsOf(r.GetKinds()), Priority: r.Priority, MaxDepth: -1,
			NoFollow: r.GetNofollow(), Pagination: r.GetPagination(),
		}
		if r.MaxDepth != nil {
			rule.MaxDepth = int(r.GetMaxDepth())
		}
		var err error
		if rule.Match, err = optionalPattern(rule.Path+".match", r.GetMatch()); err != nil {
			errs = append(errs, err)
		}
		if rule.Links, err = optionalPattern(rule.Path+".links", r.GetLinks()); err != nil {
			errs = append(errs, err)
		}
		out = append(out, rule)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return follow.Compile(out)
}

// optionalPattern compiles a pattern; nil for none.
func optionalPattern(path, text string) (*crawl.Pattern, error) {
	if text == "" {
		return nil, nil
	}
	p, err := crawl.CompilePattern(text)
	if err != nil {
		return nil, &follow.RuleError{Path: path, Err: err}
	}
	return p, nil
}
