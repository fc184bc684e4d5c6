// Package driver drives the built binary as a user would: it builds the programs,
// starts and kills processes, runs crawls all in one process or as four services
// around a NATS server, and reads back what they leave.
//
// It knows the command line and the files of a crawl, and nothing of the code.
package driver
