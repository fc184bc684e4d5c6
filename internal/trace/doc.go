// Package trace follows single URLs through all services, and exports what it saw as
// OpenTelemetry spans over OTLP.
//
// Whether a visit is traced is decided once, by the scheduler, when it hands the visit
// out. A traced visit carries its place in the trace with its messages; all others
// carry nothing and cost nothing: a nil *Exporter, a nil *Tracer and a nil *Span do
// nothing, so callers need not ask whether there is a trace.
//
//	schedule ─┬─ wait: tasks
//	          └─ fetch ─┬─ dns, connect, tls, first byte, body
//	                    ├─ wait: pages
//	                    └─ parse ─┬─ wait: records
//	                              └─ store ─┬─ commit
//	                                        ├─ wait: results
//	                                        └─ apply
//
// Batches have spans of their own, with links to those of their members and back.
package trace
