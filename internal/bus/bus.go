// Package bus holds all JetStream knowledge: streams, subjects, consumers,
// publishing, consuming and what becomes of a message after its handler.
// Services see typed messages and the functions below, nothing of NATS.
//
// Delivery is at least once: every handler is idempotent.
package bus
