package spec

import _ "embed"

//go:embed example.yaml
var exampleYAML string

// Example returns a commented spec that is valid as it stands and shows every
// section. The caller owns the bytes.
func Example() []byte { return []byte(exampleYAML) }
