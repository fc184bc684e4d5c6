// Package hostile is a web site that does to its clients what the open web does,
// for tests: bombs, floods, drips, stalls, resets, lies about lengths, rubbish,
// traps, loops, bait. Every behaviour is a path of its main host, or a host of its
// own where the trouble begins before the request; all are on loopback addresses.
//
// Each behaviour says what a good client makes of it, so that one table serves the
// tests of one exchange and those of whole crawls. The trap page links to all of
// them with good pages in between: a crawler that gets over each trap has them all.
package hostile
