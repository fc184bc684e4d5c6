package access

import (
	"slices"

	"github.com/weircrawl/weir/internal/certs"
)

// Rule is what one RPC asks of its callers.
type Rule struct {
	// Least is the least role of users; Nobody leaves the RPC open to all.
	Least Role
	// Services may call it by their certificate alone.
	Services []string
	// Changes: each call has a line in the audit log.
	Changes bool
}

// Services of ours, by their full names.
const (
	crawlService   = "/weir.scheduler.v1.CrawlService/"
	storageService = "/weir.storage.v1.StorageService/"
)

// Rules is the one table of RPCs. What is not in it is refused, and a test fails where an
// RPC of the protos is missing. Schedulers pass calls on to each other: each may call
// everything of another, for the user that the first has checked.
func Rules() map[string]Rule {
	read, submit, admin := Rule{Least: Read}, Rule{Least: Submit, Changes: true}, Rule{Least: Admin, Changes: true}
	rules := map[string]Rule{
		"/grpc.health.v1.Health/Check":                                   {},
		"/grpc.health.v1.Health/List":                                    {},
		"/grpc.health.v1.Health/Watch":                                   {},
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      read,
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": read,

		// It fetches, from our address and with our secrets, what the caller names.
		"/weir.fetcher.v1.FetcherService/Fetch": submit,
		// It may call the program that the spec names, and costs a processor's time.
		"/weir.parser.v1.ParserService/Parse":      {Least: Submit},
		"/weir.parser.v1.ParserService/ListFields": read,
		// Users serve it, no server of ours does.
		"/weir.extractor.v1.ExtractorService/Extract": admin,
	}
	for name, r := range map[string]Rule{
		"GetCrawl": read, "ListCrawls": read, "WatchCrawl": read, "WaitCrawl": read,
		"ExplainURL": read, "ListURLs": read, "ListHosts": read, "GetHost": read, "ListDeadLetters": read, "ListStages": read,
		"CreateCrawl": submit, "UpdateCrawl": submit, "AddURLs": submit,
		"PauseCrawl": submit, "ResumeCrawl": submit, "CloseCrawl": submit, "CancelCrawl": submit,
		"DeleteCrawl": admin, "SetHostPolicy": admin, "RetryDeadLetters": admin,
	} {
		r.Services = []string{certs.Scheduler}
		rules[crawlService+name] = r
	}
	for name, r := range map[string]Rule{
		"GetPage": read, "ListPages": read, "ListItems": read, "Tail": read, "Export": read,
		"ListMedia": read, "GetMedia": read, "GetStats": read,
		"GetBody": {Least: Read, Services: []string{certs.Parser}},
		// Bodies come from fetchers, a thousand a second: no line for each.
		"PutBody":     {Least: Admin, Services: []string{certs.Fetcher}},
		"DeleteCrawl": admin,
		"Reparse":     submit,
	} {
		rules[storageService+name] = r
	}
	return rules
}

// permits reports whether a caller may call an RPC.
func (r Rule) permits(c Caller) bool {
	if r.Least == Nobody || c.Service != "" && slices.Contains(r.Services, c.Service) {
		return true
	}
	return c.Service == "" && c.Role >= r.Least
}
