// Package chaos proves that nothing is lost and nothing is done twice when
// processes die at any moment, stop answering, or find their disk full. The forms
// that take minutes run with -args -long (make chaos); the full disk needs root
// for a small tmpfs and belongs to them.
package chaos
