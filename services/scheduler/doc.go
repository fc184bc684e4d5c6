// Package scheduler decides what is visited, when and how gently, and accounts
// for every URL.
//
//	In          CrawlService over gRPC; results (stream); fetch reports (core NATS)
//	Out         fetch tasks (stream); crawls (KV), for the other services
//	Owns        crawls, URLs, host queues, the seen set, leases, politeness, robots
//	            facts, counters: the frontier, in a store under Config.Dir, or of
//	            some partitions in the database Config.Store
//	Guarantees  a URL that was accepted ends in exactly one final state; a host's
//	            limits hold for all crawls together; the ledger balances at every
//	            commit; a restart at any line goes on where the last commit was
//	Never       fetches, parses or sleeps for politeness; puts work on the bus that
//	            may not be done now
//
// One goroutine, the loop, owns the frontier (internal/frontier, pure code) and
// its store. Its turn:
//
//  1. Gather what has come: batches of results, reports, calls of the API.
//  2. Look up in the store which of their URLs are known.
//  3. Apply them to the frontier.
//  4. Take the leases that may be fetched now.
//  5. Write everything as one batch; the fsync goes on while the loop turns.
//  6. Publish a task for each lease; acknowledge results once their batch is durable.
//
// At start the leases that the last process left are compared with what is still
// on the bus: those that are on no stream return to their queues at once.
//
// Several schedulers may share a database. Each owns some partitions (tenure.go,
// internal/ownership) and hands out work of these alone:
//
//	take   claim the key -> Store.Acquire, which shuts the last owner out of the store
//	       -> Bus.Fence, which shuts it out of the tasks -> into the frontier ->
//	       return what is on no stream -> consume
//	give   hand out no more -> stop consuming -> write -> out of the frontier ->
//	       Store.Release -> free the key
//
// What is in memory is right only while nobody else writes the partitions: when a key
// is lost, or a write is refused, the session (session.go) ends and another begins
// from the store. Links between partitions of two owners go through the outbox
// (outbox.go). A crawl is changed by the owner of its home partition alone; others
// learn of it from the KV (follow.go), pass calls on (peers.go), and the home's owner
// sees by the counters of all partitions that it is over (steward.go).
package scheduler
