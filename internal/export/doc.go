// Package export writes a crawl's items for other tools: as JSON lines, CSV or
// Parquet, compressed or not, to a stream, a file or an object store.
//
//	Write   one stream, from one range of the items
//	File    a local file that appears when it is complete, and whose export goes on
//	        where it was interrupted
//	Feed    many files of a bounded number of items or time each, while the crawl runs or
//	        after it, with a manifest that says what is in them
//
// Memory does not grow with the number of items: tables whose columns are not known
// beforehand are made by reading the items twice.
package export
