// Package bench measures the whole ring as a user has it: the built binary crawls a
// test site, all in one process and as services, and a bare Go loop that keeps
// nothing crawls the same site in the same rounds. A figure of the ring means
// something only as a ratio to the loop's: machines differ, and so do their
// neighbours.
//
// The site runs on one processor and what is measured on the others, where there
// are enough. Everything is a process of its own, so that processor time can be
// read from the system.
package bench
