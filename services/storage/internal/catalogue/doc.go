// Package catalogue keeps what is known of every attempt at a URL, and the items,
// in one SQLite file that people may open with any SQLite tool: see the views
// newest_pages and item_list.
//
// One connection writes, a small pool reads. A commit is durable when it returns
// (WAL, synchronous=FULL) and holds a whole batch, so that the fsync is shared.
// Row ids grow in the order of commits and are never used twice: they are the
// cursors of readers, who miss nothing and see nothing twice.
package catalogue
