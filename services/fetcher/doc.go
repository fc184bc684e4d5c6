// Package fetcher does the HTTP exchanges of crawls.
//
// In: fetch tasks, each for one exchange that may start now (weir.task.<pool>.>).
// The crawl's spec from the bus's bucket of crawls.
//
// Out: a fetch report at the end of every exchange (weir.report.<partition>, may
// be lost); then a page for the parser, or, where there is no page, a
// record for storage. Bodies too long for a message go to storage first.
//
// Owns: nothing but what can be made anew: connections, a DNS cache.
//
// Guarantees: an exchange ends by its deadline and holds a bounded amount of
// memory, whatever the site does. Every task that was started has an outcome; a
// site's failure is an outcome, never an error. A task is acked after its outcome
// is on the next stream, so that it may be done twice and is never lost.
//
// Never: waits for politeness (a task is dispatchable or it is not there), follows
// a redirect, reads robots.txt on its own, retries an exchange, dials an address
// that the operator has not allowed, puts a secret into a message or a log, sends one to
// a host that it is not for.
//
// One unit of work:
//  1. Decode the task, find its crawl's options. Give it back to the frontier when
//     start_before is over, as at any later step that a stop cuts off.
//  2. Open a memory account; this is where a full fetcher waits.
//  3. Compose the request: the crawl's header, credentials for their hosts, the request
//     in the URL's fragment, validators, cookies. Do the exchange: look up, check the
//     address, connect, perhaps through a proxy, ask, decode, compress.
//  4. Send the report, so that the host's slot is free at once.
//  5. Store a long body, publish the page or record, wait for the stream's ack.
package fetcher
