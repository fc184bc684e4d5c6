// Package config fills the settings of a process: defaults, then a YAML file,
// then the environment, then flags, each over the one before. A setting is a
// flag with a dotted name; the file and the environment use the same names:
//
//	flag  --bus.url
//	file  bus: {url: …}
//	env   WEIR_BUS_URL
//
// A name that no setting has is an error everywhere, since a mistyped one would
// otherwise be passed over in silence.
package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// EnvPrefix begins the names of our environment variables.
const EnvPrefix = "WEIR_"

// Source says where settings come from besides their defaults.
type Source struct {
	// File is a YAML file; "" for none.
	File string
	// Environ are variables as os.Environ returns them.
	Environ []string
	// IgnoreEnv are names of variables with our prefix that are not settings.
	IgnoreEnv []string
	// Explicit reports whether a flag was given on the command line, so that file
	// and environment leave it alone. Nil asks the FlagSet itself, which knows
	// only what its own Parse has seen: with cobra pass cmd.Flags().Changed.
	Explicit func(name string) bool
}

// Load sets the flags of fs from a source. It returns all mistakes joined, each
// with its place.
func Load(fs *flag.FlagSet, src Source) error {
	l := loader{fs: fs, explicit: src.Explicit, keys: make(map[string]string)}
	if l.explicit == nil {
		given := make(map[string]bool)
		fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
		l.explicit = func(name string) bool { return given[name] }
	}
	fs.VisitAll(func(f *flag.Flag) { l.keys[EnvName(f.Name)] = f.Name })
	if src.File != "" {
		l.file(src.File)
	}
	l.environ(src.Environ, src.IgnoreEnv)
	return errors.Join(l.errs...)
}

// EnvName returns the variable of a setting: bus.url is WEIR_BUS_URL.
func EnvName(flagName string) string {
	return EnvPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(flagName))
}

// loader collects mistakes.
type loader struct {
	fs       *flag.FlagSet
	explicit func(string) bool
	keys     map[string]string // environment name to flag name
	errs     []error
}

func (l *loader) bad(format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf(format, args...))
}

// resetter is a flag whose Set adds, as one that may be repeated does. What the
// environment says replaces what the file says all the same.
type resetter interface{ Reset() }

// set sets a flag unless the command line did.
func (l *loader) set(place, name, value string) {
	if l.explicit(name) {
		return
	}
	v := l.fs.Lookup(name).Value
	if r, ok := v.(resetter); ok {
		r.Reset()
	}
	if err := v.Set(value); err != nil {
		l.bad("%s: %s: value %q: %w", place, name, value, err)
	}
}

// file reads a YAML file.
func (l *loader) file(path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		l.bad("configuration: %w", err)
		return
	}
	l.yaml(path, data)
}

// yaml sets what a document says.
func (l *loader) yaml(path string, data []byte) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return // an empty file sets nothing
	case err != nil:
		l.bad("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
		return
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		l.bad("%s: more than one document", path)
	}
	if root := doc.Content[0]; root.Kind == yaml.MappingNode {
		l.mapping(path, "", root, make(map[string]bool))
	} else if root.Tag != "!!null" {
		l.bad("%s:%d: want settings as key: value", path, root.Line)
	}
}

// mapping walks nested keys; a key may itself be dotted.
func (l *loader) mapping(path, prefix string, n *yaml.Node, seen map[string]bool) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		name := prefix + key.Value
		place := fmt.Sprintf("%s:%d:%d", path, key.Line, key.Column)
		if val.Kind == yaml.AliasNode {
			l.bad("%s: %s: aliases are not taken", place, name)
			continue
		}
		if l.fs.Lookup(name) == nil {
			if val.Kind == yaml.MappingNode && l.section(name+".") {
				l.mapping(path, name+".", val, seen)
			} else {
				l.bad("%s: %s is not a setting%s", place, name, l.suggest(name))
			}
			continue
		}
		if seen[name] {
			l.bad("%s: %s is given twice", place, name)
			continue
		}
		seen[name] = true
		if v, ok := scalar(val); ok {
			l.set(place, name, v)
		} else {
			l.bad("%s: %s: want one value or a list of them", place, name)
		}
	}
}

// section reports whether any setting's name begins so.
func (l *loader) section(prefix string) bool {
	found := false
	l.fs.VisitAll(func(f *flag.Flag) { found = found || strings.HasPrefix(f.Name, prefix) })
	return found
}

// scalar returns a node as a flag would be written; lists are joined by commas.
func scalar(n *yaml.Node) (string, bool) {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "", true
		}
		return n.Value, true
	case yaml.SequenceNode:
		vals := make([]string, len(n.Content))
		for i, c := range n.Content {
			if c.Kind != yaml.ScalarNode {
				return "", false
			}
			vals[i] = c.Value
		}
		return strings.Join(vals, ","), true
	default:
		return "", false
	}
}

// kubernetesLink matches what Kubernetes sets for every service of a namespace:
// a service named weir-storage gives WEIR_STORAGE_SERVICE_HOST and the like.
var kubernetesLink = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$`)

// environ sets what variables say.
func (l *loader) environ(environ, ignore []string) {
	for _, kv := range environ {
		name, value, ok := strings.Cut(kv, "=")
		if !ok || !strings.HasPrefix(name, EnvPrefix) || slices.Contains(ignore, name) {
			continue
		}
		if key, ok := l.keys[name]; ok {
			l.set("environment "+name, key, value)
		} else if !kubernetesLink.MatchString(name) {
			l.bad("environment: %s is not a setting%s", name, l.suggestEnv(name))
		}
	}
}
