// Package archive keeps exchanges in WARC files, on disk or in an object store.
//
// Every crawl has segments of its own (ADR-0028). One segment of a crawl is open
// for appending; it is rolled by size and age. What a batch adds is durable when
// Append returns, and becomes part of the archive when the catalogue has committed
// the segments' new sizes. Whatever a segment has beyond that size, from a crash or
// from a commit that failed, is cut off before anything else is appended: there is
// never half a record, nor one that no page knows of.
//
//	Append ──> catalogue commit ──> Keep            Tend
//	   ▲              │ failed                        │
//	   └── cut to the size that was kept last   rolled: merge, index, seal
//
// In a folder a segment is a file. In an object store, where nothing can be appended,
// it is a row of objects, one for each Append, until Tend merges them (ADR-0027);
// offsets are the same before and after.
//
// Beside a finished segment is its CDXJ index. A segment with damage is marked under
// quarantine/, takes no more, and is read as far as it goes.
package archive
