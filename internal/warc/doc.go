// Package warc writes and reads WARC 1.1 (ISO 28500:2017), one gzip member per
// record, so that any WARC tool can open the files and any record can be read by
// its offset alone.
//
// It is pure: records are appended to byte slices and read from io.Readers;
// files, names and clocks belong to the caller.
//
// # The splice
//
// A body reaches the archive as a raw DEFLATE stream. Compressing it again would
// be the dearest step of storing a page, so it is placed into the gzip member as
// it is: the record's headers go in front of it as a stored block (or, if long,
// deflated and sync-flushed), which leaves the stream open and on a byte boundary;
// the body's own blocks follow; a last stored block carries the two line ends that
// close a record. The member's CRC-32 is combined from those of the parts, its
// length is their sum.
//
//	gzip header, lengths | headers, left open | body's blocks | "\r\n\r\n", final | CRC-32 | length
//
// This needs a body whose last block is empty, final, and preceded by a sync
// marker (see Trim): what klauspost's and zlib's writers leave when they are
// flushed before they are closed. A Resyncer turns any other stream into that form.
package warc
