package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// tokenPrefix lets people and scanners of repositories see what it is.
const tokenPrefix = "weir_"

// NewToken returns a token of 256 random bits, as text.
func NewToken() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // it never fails
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(raw)
}

// Hash is what is kept of a token. A token is random and long, so that SHA-256 alone
// keeps it: nothing can be guessed.
type Hash [sha256.Size]byte

// HashOf returns the hash of a token.
func HashOf(token string) Hash { return sha256.Sum256([]byte(token)) }

// String writes the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// UnmarshalText reads 64 hexadecimal digits.
func (h *Hash) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(h) {
		return errors.New("sha256: want the 64 hexadecimal digits of the token's hash, as `weir token new` prints them")
	}
	if _, err := hex.Decode(h[:], text); err != nil {
		return fmt.Errorf("sha256: %w", err)
	}
	return nil
}

// Token is a caller with a token.
type Token struct {
	// Caller is who it is for.
	Caller Caller
	// Hash of the token.
	Hash Hash
	// Expires is when it ends; zero for never.
	Expires time.Time
}

// find returns the token with a hash, comparing with each in constant time.
func find(tokens []Token, h Hash) (Token, bool) {
	at := -1
	for i := range tokens {
		if subtle.ConstantTimeCompare(tokens[i].Hash[:], h[:]) == 1 {
			at = i
		}
	}
	if at < 0 {
		return Token{}, false
	}
	return tokens[at], true
}
