// Package loop has the crawlers that the ring is compared with: a bare Go loop that
// keeps everything in memory, the same with a log of bodies on the disk, and Colly.
// All three find the same links in scope and make the same item of a page as the ring
// does by default. None of them keeps a frontier, asks for robots.txt or survives
// anything.
package loop
