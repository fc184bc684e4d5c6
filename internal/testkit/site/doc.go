// Package site is a programmable web site for tests: several hosts on loopback
// addresses (127.0.0.2, 127.0.0.3, … with one port), a deterministic link graph,
// routes that misbehave on request, and an exact account of what a client did.
//
// A host's pages are /, /p/1 … /p/N-1. Page i links to the pages i*F+1 … i*F+F
// of its own host (F is half of Config.Links), so that every page can be reached
// from the root, and to pseudo-random pages of its own and of other hosts. The
// same Config always gives the same graph and the same bytes.
//
// The account errs on the client's side: an exchange counts as over just before
// its last bytes are handed to the network and as begun when its request has
// been read, so that a client which keeps its limits is never accused of having
// broken them because this process was slow to look at its clock.
package site
