// Package blob keeps objects by key, in a folder or in an S3-compatible store.
//
// An object is complete and durable once it can be seen, and it is never changed:
// Put refuses a key that is taken, whoever took it, and a Put that was done but
// whose answer got lost is not done twice. That is all that writers need so that
// a retry neither loses nor duplicates anything.
//
// Both stores pass one conformance suite, blobtest.
package blob
