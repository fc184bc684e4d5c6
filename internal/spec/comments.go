package spec

import (
	_ "embed"
	"regexp"
	"strings"
)

// comments.txt holds the comments of spec.proto, which Go's descriptors do not
// carry: a line "Message.field<TAB>comment" each. A test keeps it fresh; go test
// -run TestComments -update rewrites it.
//
//go:embed comments.txt
var commentsText string

// comments returns the comment of every message and field by name.
func comments() map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(commentsText) {
		if name, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); ok {
			out[name] = text
		}
	}
	return out
}

// extractComments reads the comments of a proto file, in its order. It knows as
// much of the language as our own files use: one declaration a line, comments
// above it.
func extractComments(proto string) []string {
	var (
		decl  = regexp.MustCompile(`^(?:message|enum) (\w+) \{`)
		field = regexp.MustCompile(`^(?:repeated |optional )?[\w.]+(?:<[^>]*>)? (\w+) = \d+`)
		value = regexp.MustCompile(`^(\w+) = \d+;`)

		out     []string
		comment []string
		message string
	)
	for line := range strings.Lines(proto) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "//"); ok {
			comment = append(comment, strings.TrimSpace(text))
			continue
		}
		name := ""
		if m := decl.FindStringSubmatch(line); m != nil {
			message = m[1]
			name = message
		} else if m := field.FindStringSubmatch(line); m != nil {
			name = message + "." + m[1]
		} else if m := value.FindStringSubmatch(line); m != nil {
			name = message + "." + m[1]
		}
		if name != "" && len(comment) > 0 {
			out = append(out, name+"\t"+strings.Join(comment, " "))
		}
		comment = nil
	}
	return out
}
