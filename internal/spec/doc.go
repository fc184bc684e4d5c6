// Package spec is everything there is to know about a crawl spec: reading it
// from YAML with errors that say file, line, column and what would be right,
// its defaults, its validation, and its compiled form for hot paths.
//
// The schema is the protobuf message weir.crawl.v1.CrawlSpec; nothing here
// repeats it. A spec goes through the package in this order:
//
//	Decode   YAML and overrides -> message, checked        (client)
//	Validate message from anybody -> all its mistakes       (scheduler)
//	Resolve  message -> the same with every default         (anybody)
//	Compile  crawl -> patterns, scope, canonicaliser        (all services)
package spec
