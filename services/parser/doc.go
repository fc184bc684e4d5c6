// Package parser reads fetched pages: their links, their items, their facts.
//
//	In          pages (stream); ParserService over gRPC, to try rules on one page
//	Out         records (stream): the page as it came, and what was found in it
//	Owns        nothing: a parser may be killed at any moment and lose only time
//	Guarantees  every page becomes a record, whatever is in it: one that makes the
//	            parser panic or takes too long becomes a record with a warning; the
//	            same page gives the same record
//	Never       visits anything; keeps anything between pages but memory to reuse
//
// One page, step by step:
//
//  1. Decode the message and look up the crawl's spec, with its rules compiled.
//  2. Fetch the body from storage where the message has only a reference.
//  3. Wait for one of the slots, as many as there are processors.
//  4. In a goroutine of its own, under a watchdog: inflate the body, read it
//     (internal/page).
//  5. Give it to the crawl's own program where the spec names one, and add what that
//     finds; put the page aside while the program is down (ADR-0024).
//  6. Publish the record, moving the body to storage, compressing or cutting links
//     where it would not fit a message.
//  7. The message is acknowledged after the record is.
package parser
