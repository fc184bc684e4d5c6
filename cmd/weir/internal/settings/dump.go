package settings

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"net/url"
	"regexp"
	"strings"

	"github.com/weircrawl/weir/internal/secret"
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

// address finds values that are URLs with something before the host.
var address = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://.*@`)

func hasPassword(u *url.URL) bool {
	_, ok := u.User.Password()
	return ok
}

// redacted leaves out what is nobody's business.
func redacted(name, value string) string {
	last := name[strings.LastIndexByte(name, '.')+1:]
	for _, word := range []string{"password", "secret", "token"} {
		if value != "" && strings.Contains(last, word) && !strings.HasSuffix(last, "-file") && !strings.HasSuffix(last, "-env") {
			return "(hidden)"
		}
	}
	switch u, err := url.Parse(value); {
	case !address.MatchString(value):
	case err != nil, strings.Contains(value, ","), u.User == nil && strings.Contains(value, "@"), u.User != nil && !hasPassword(u):
		// One that cannot be read, several, or a token where the name of a user would be.
		value = secret.Address(value)
	case u.User != nil:
		value = u.Redacted()
	}
	return password.ReplaceAllString(value, "${1}xxxxx")
}
