//go:build !long

package fetcher_test

// hostileRounds is how often TestHostileMemory fetches everything.
const hostileRounds = 3
