// Package rules holds the laws of this repository as tests: who may import whom,
// what no code may call, how long a file may be. Each breach is printed with the
// file or the edge that commits it.
package rules
