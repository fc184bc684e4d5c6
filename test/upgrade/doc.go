// Package upgrade proves that this version and the release before it work together: the
// processes of a cluster are replaced one by one in the middle of a crawl, forth and
// back, and each opens what the other has stored.
//
// The file previous names the release before, as a commit; it is built from the
// repository's history. With each release the file is set to the one before.
package upgrade
