// Package secret is about texts with the names of secrets in them:
// {WEIR_SECRET_TOKEN} stands for what the fetchers' environment has under that name.
//
// Specs, stores, queues, logs and archives only ever hold the name. The fetcher puts
// the text in just before it sends a request. What comes from pages has its braces
// escaped before it becomes part of a request, so that no page can ask for a secret.
//
// The prefix keeps the rest of a fetcher's environment out of reach of whoever may
// submit crawls.
package secret

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/url"
	"strings"
)

// Prefix is what the names of secrets begin with.
const Prefix = "WEIR_SECRET_"

// maxName bounds a name.
const maxName = 128

// IsName reports whether an environment variable of that name may hold a secret: the
// prefix, then capitals, digits and underscores.
func IsName(name string) bool {
	rest, ok := strings.CutPrefix(name, Prefix)
	if !ok || rest == "" || len(name) > maxName {
		return false
	}
	for i := range len(rest) {
		if c := rest[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

// Names returns the names of the secrets in text, in their order.
func Names(text string) []string {
	var names []string
	for {
		_, name, rest, ok := next(text)
		if !ok {
			return names
		}
		names, text = append(names, name), rest
	}
}

// Has reports whether text has the name of a secret in it.
func Has(text string) bool {
	_, _, _, ok := next(text)
	return ok
}

// next parts text at the first secret.
func next(text string) (before, name, after string, ok bool) {
	for at := 0; ; {
		i := strings.Index(text[at:], "{"+Prefix)
		if i < 0 {
			return text, "", "", false
		}
		i += at
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			return text, "", "", false
		}
		if name := text[i+1 : i+end]; IsName(name) {
			return text[:i], name, text[i+end+1:], true
		}
		at = i + 1
	}
}

// Missing is the error of a secret that the environment does not have.
type Missing struct{ Name string }

// Error names the variable.
func (m *Missing) Error() string {
	return fmt.Sprintf("the environment of the fetcher has no %s", m.Name)
}

// Lookup finds a secret; os.LookupEnv fits. An empty one counts as missing.
type Lookup func(name string) (string, bool)

// Get returns a secret; the error is a *Missing.
func (l Lookup) Get(name string) (string, error) {
	if v, ok := l(name); ok && v != "" && IsName(name) {
		return v, nil
	}
	return "", &Missing{Name: name}
}

// Fill puts the secrets into text, each changed by escape first; nil leaves them as
// they are. The error is a *Missing.
func (l Lookup) Fill(text string, escape func(string) string) (string, error) {
	var b strings.Builder
	for {
		before, name, rest, ok := next(text)
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		v, err := l.Get(name)
		if err != nil {
			return "", err
		}
		if escape != nil {
			v = escape(v)
		}
		b.WriteString(v)
		text = rest
	}
}

// EscapeFor returns how a secret is written inside a body of a media type: as a value
// of a form, or inside the quotes of a JSON string; nil for any other type.
func EscapeFor(contentType string) func(string) string {
	kind, _, _ := mime.ParseMediaType(contentType)
	switch {
	case kind == "application/x-www-form-urlencoded":
		return url.QueryEscape
	case kind == "application/json", strings.HasSuffix(kind, "+json"):
		return inJSON
	}
	return nil
}

func inJSON(s string) string {
	quoted, err := json.Marshal(s)
	if err != nil {
		return ""
	}
	return string(quoted[1 : len(quoted)-1])
}
