package weburl

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Key is a 96-bit hash of a canonical URL, with its request: the first 12 bytes of its SHA-256.
type Key [12]byte

// KeyOf returns the key of a canonical URL.
func KeyOf(canonical string) Key {
	sum := sum(canonical)
	return Key(sum[:len(Key{})])
}

// ParseKey reads what Key.String wrote.
func ParseKey(s string) (Key, error) {
	var k Key
	if len(s) != hex.EncodedLen(len(k)) {
		return Key{}, fmt.Errorf("URL key of %d characters, want %d", len(s), hex.EncodedLen(len(k)))
	}
	if _, err := hex.Decode(k[:], []byte(s)); err != nil {
		return Key{}, fmt.Errorf("URL key: %w", err)
	}
	return k, nil
}

// String returns the key in lower-case hex.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// Key returns the key of the URL with its request.
func (u URL) Key() Key { return KeyOf(u.s) }

// HostID returns the hash of the URL's origin that names its host queue.
func (u URL) HostID() uint64 {
	sum := sum(u.Origin())
	return binary.BigEndian.Uint64(sum[:])
}

// Partition returns the partition, below n, that a site belongs to; 0 for n = 0.
func Partition(site string, n uint32) uint32 {
	if n == 0 {
		return 0
	}
	sum := sum(site)
	return uint32(binary.BigEndian.Uint64(sum[:]) % uint64(n))
}

// sum hashes by way of a buffer on the stack, as most URLs fit one.
func sum(s string) [sha256.Size]byte {
	var buf [256]byte
	return sha256.Sum256(append(buf[:0], s...))
}

// SiteID returns the hash of the URL's site.
func (u URL) SiteID() uint64 {
	sum := sum(u.Site())
	return binary.BigEndian.Uint64(sum[:])
}
