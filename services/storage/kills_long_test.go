//go:build long

package storage

// kills is how often TestKill kills.
const kills = 200
