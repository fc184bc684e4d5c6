// Package frontier is the thinking part of the scheduler: which URL may be
// visited next, what a result changes, and what has to be written down so that a
// crash at any moment loses nothing.
//
// It is pure: no I/O, no goroutine, no clock, no randomness of its own. Time is
// an argument of every method; a Frontier belongs to one goroutine. What it
// knows beyond memory it asks of its caller, who answers from a Store:
//
//	             ┌─────────────── Missing/Admit, Wants/Fill, Wake ───────────────┐
//	events ──► Add, Report, Complete, Next ──► Flush ──► Store.Apply ──► Store ──┘
//
// One turn of the caller's loop:
//
//  1. Gather events. For completions and candidates: f.Ref for each URL,
//     store.Known for links and seeds, store.Lookup where f.NeedsRecord says so,
//     store.Hosts for f.Missing, then f.Admit.
//  2. f.Report, f.Complete, f.CompleteRobots, f.Add.
//  3. f.Next.
//  4. store.Apply(f.Flush()).
//  5. For each of f.Wants(): store.Window, f.Fill. When f.DueAt() has come:
//     store.Due, f.Missing, f.Admit, f.Wake. If either found anything: 3 again.
//  6. When f.Parked says so: store.ScanHosts, f.Unpark, store.Hosts and f.Admit for
//     what it returns; 3 and 4 again.
//  7. Wait for an event or f.WakeAt.
//
// Owns: crawls and their counters, host queues, leases, politeness, robots rules.
//
// Guarantees, each checked by the model test:
//   - discovered = queued + leased + delayed + done + failed + dropped, after
//     every call and in every batch.
//   - A URL stays in its durable queue until the batch that records its outcome.
//   - The first completion of a visit (URL and generation) counts, later ones
//     change nothing.
//   - No host is visited sooner or by more fetches than its crawls allow.
//
// Never: holds a URL that is not near its turn, scans URLs, or decides "seen"
// by anything but the store.
package frontier
