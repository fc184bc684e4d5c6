// Package catalogue says what a catalogue keeps: every attempt at a URL (the crawl
// log), the items that rules made of pages and those that did not fit, and which WARC
// files there are. Its implementations are sqlitestore, one file of one storage, and
// pgstore, a database that several storages share; cataloguetest proves that both keep
// what is said here.
//
// A batch is committed whole or not at all, and is durable when Commit returns. Rows
// have cursors that grow in the order of commits: whoever has read up to a cursor has
// seen all that will ever be at or below it.
package catalogue
