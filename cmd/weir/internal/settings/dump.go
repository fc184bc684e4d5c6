package settings

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"net/url"
	"regexp"
	"strings"
)

// Dump is every setting with its value in force, one a line in the order of their
// names, without secrets.
func (s *Settings) Dump() string {
	var b strings.Builder
	s.base().VisitAll(func(f *flag.Flag) {
		b.WriteString(f.Name + ": " + redacted(f.Name, f.Value.String()) + "\n")
	})
	return b.String()
}

// Hash tells configurations apart: processes of one service that show different ones
// run with different settings. What Dump leaves out does not count.
func (s *Settings) Hash() string {
	sum := sha256.Sum256([]byte(s.Dump()))
	return hex.EncodeToString(sum[:6])
}

// password finds the passwords of a database's key=value form, and those in queries.
var password = regexp.MustCompile(`(?i)((?:password|passwd|secret|token|key)=)('[^']*'|[^\s&]+)`)

// redacted leaves out what is nobody's business.
func redacted(name, value string) string {
	last := name[strings.LastIndexByte(name, '.')+1:]
	for _, word := range []string{"password", "secret", "token"} {
		if value != "" && strings.Contains(last, word) && !strings.HasSuffix(last, "-file") && !strings.HasSuffix(last, "-env") {
			return "(hidden)"
		}
	}
	if u, err := url.Parse(value); err == nil && u.User != nil {
		value = u.Redacted()
	}
	return password.ReplaceAllString(value, "${1}xxxxx")
}
