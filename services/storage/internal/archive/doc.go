// Package archive keeps exchanges in WARC files.
//
// One file is open for appending; it is rolled by size and age. A batch is
// appended, synced once, and becomes part of the archive when the catalogue has
// committed the file's new size. Whatever a file has beyond that size, from a
// crash or from a commit that failed, is cut off before anything else is
// appended: there is never half a record, nor one that no page knows of.
//
//	Append ──> catalogue commit ──> Keep
//	   ▲              │ failed
//	   └── cut to the size that was kept last
package archive
