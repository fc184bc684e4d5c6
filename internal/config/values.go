package config

import (
	"log/slog"
	"strings"
)

// List is a flag with values separated by commas.
type List []string

// String implements flag.Value.
func (l *List) String() string { return strings.Join(*l, ",") }

// Set implements flag.Value: it replaces the list.
func (l *List) Set(s string) error {
	*l = nil
	for v := range strings.SplitSeq(s, ",") {
		if v = strings.TrimSpace(v); v != "" {
			*l = append(*l, v)
		}
	}
	return nil
}

// Secret is a flag whose value is shown to nobody: not in logs, not in the
// reference, not in errors that print a configuration.
type Secret string

// String implements flag.Value and fmt.Stringer and hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(hidden)"
}

// GoString hides it from %#v.
func (s Secret) GoString() string { return s.String() }

// Set implements flag.Value.
func (s *Secret) Set(v string) error { *s = Secret(v); return nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Reveal returns the value for its use.
func (s Secret) Reveal() string { return string(s) }
