// Package e2e proves from outside what Weir promises: it drives the built binary
// against a test site in a process of its own, all in one process and as four
// services around a NATS server, with the same scenarios. The forms that take
// minutes run with -args -long (make e2e).
package e2e
