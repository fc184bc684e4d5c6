//go:build long

package fetcher_test

// hostileRounds is how often TestHostileMemory fetches everything: go test -tags long
// -run TestHostileMemory -v ./services/fetcher.
const hostileRounds = 100
