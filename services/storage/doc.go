// Package storage keeps what crawls bring in: bodies in WARC files, the crawl log
// and items in a catalogue.
//
//   - In: records (stream WEIR_RECORD), long bodies (PutBody).
//   - Out: results (stream WEIR_RESULT); pages, items and bodies over gRPC.
//   - Owns: the data directory's catalogue.db, warc/ and bodies/; or its part of a
//     PostgreSQL and of an object store that several storages share.
//   - Guarantees: a result is published only after its record was committed; an
//     attempt is stored once however often its record comes; after a crash there is
//     neither half a record nor one that the catalogue does not know.
//   - Never: looks at what a page says, decides what is fetched.
//
// One batch of records, step by step:
//
//  1. decode and check every record: a bad one is refused before anything is written
//  2. refuse the batch while the disk has less free space than it should
//  3. look up which attempts are stored already, and what the last visits of the
//     others' URLs left: a page that did not change keeps its items and its body
//  4. append the others' exchanges to the open segments of their crawls, durably
//  5. write pages, items and the segments' new sizes in one transaction; the items of a
//     page take the place of those of its earlier visits
//  6. delete the long bodies that are in the archive now
//  7. publish the results of all records, known ones included
//  8. ack (the bus does, when the handler returns)
//
// Records of stored pages that were read again (Reparse) are written in a transaction of
// their own after step 6 and have no result.
//
// A failure at any step leaves the records on the stream, and the next try begins
// at 1.
package storage
