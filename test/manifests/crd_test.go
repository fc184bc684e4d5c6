package manifests

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"
)

// release is a module whose own CRDs the manifests are held against. They are taken
// from the module cache by the go command: no more of the module is built.
type release struct {
	Module, Version, Sum, Folder string
	Kinds                        []string // names of files end so
}

// releases are the projects whose kinds the components use.
func releases() []release {
	return []release{
		{"github.com/kedacore/keda/v2", "v2.21.0", "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
			"config/crd/bases", []string{"_scaledobjects.yaml", "_triggerauthentications.yaml"}},
		{"github.com/cert-manager/cert-manager", "v1.21.2", "h1:UWgoYM+KLNtRlqmoWOKjKBOBUPVHeepQ6/ac3ERJW68=",
			"deploy/crds", []string{"_certificates.yaml", "_issuers.yaml"}},
		{"github.com/prometheus-operator/prometheus-operator", "v0.85.0", "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
			"example/prometheus-operator-crd", []string{"_podmonitors.yaml", "_prometheusrules.yaml"}},
	}
}

// fetched are the paths of the CRDs, found once for all tests.
var fetched = sync.OnceValues(func() ([]string, error) {
	var files []string
	for _, r := range releases() {
		cmd := exec.Command("go", "mod", "download", "-json", r.Module+"@"+r.Version)
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
		cmd.Dir = os.TempDir()
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("fetch %s: %w\n%s", r.Module, err, out)
		}
		var got struct{ Dir, Sum string }
		if err := json.Unmarshal(out, &got); err != nil {
			return nil, err
		}
		if got.Sum != r.Sum {
			return nil, fmt.Errorf("%s has the sum %s, want %s", r.Module, got.Sum, r.Sum)
		}
		for _, kind := range r.Kinds {
			found, err := filepath.Glob(filepath.Join(got.Dir, r.Folder, "*"+kind))
			if err != nil || len(found) != 1 {
				return nil, fmt.Errorf("%d files *%s in %s, %w", len(found), kind, r.Module, err)
			}
			files = append(files, found[0])
		}
	}
	return files, nil
})

// crdFiles returns the paths of the CRDs.
func crdFiles(t *testing.T) []string {
	t.Helper()
	files, err := fetched()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// schemas are those of CRDs by apiVersion/kind.
type schemas map[string]*schema

// schema is the part of an OpenAPI schema that tells known fields from others.
type schema struct {
	Type                 string             `json:"type"`
	Properties           map[string]*schema `json:"properties"`
	AdditionalProperties *schemaOrBool      `json:"additionalProperties"`
	Items                *schema            `json:"items"`
	Required             []string           `json:"required"`
	Enum                 []any              `json:"enum"`
	IntOrString          bool               `json:"x-kubernetes-int-or-string"`
	PreserveUnknown      bool               `json:"x-kubernetes-preserve-unknown-fields"`
}

// schemaOrBool is what additionalProperties may be.
type schemaOrBool struct{ Schema *schema }

// UnmarshalJSON reads either.
func (s *schemaOrBool) UnmarshalJSON(data []byte) error {
	if string(data) == "true" || string(data) == "false" {
		return nil
	}
	s.Schema = new(schema)
	return json.Unmarshal(data, s.Schema)
}

// customTypes returns the schemas of the CRDs.
func customTypes(t *testing.T) schemas {
	t.Helper()
	all, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// parsed are the CRDs, read once for all tests.
var parsed = sync.OnceValues(func() (schemas, error) {
	files, err := fetched()
	if err != nil {
		return nil, err
	}
	all := schemas{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var crd struct {
			Spec struct {
				Group    string `json:"group"`
				Names    struct{ Kind string }
				Versions []struct {
					Name   string
					Schema struct {
						V3 *schema `json:"openAPIV3Schema"`
					}
				}
			}
		}
		if err := yaml.Unmarshal(data, &crd); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, v := range crd.Spec.Versions {
			all[crd.Spec.Group+"/"+v.Name+"/"+crd.Spec.Names.Kind] = v.Schema.V3
		}
	}
	return all, nil
})

// problems returns what an object has that its schema does not know, lacks, or has of
// another type.
func (s *schema) problems(path string, v any) []string {
	if v == nil || s.IntOrString {
		return nil
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
		return []string{fmt.Sprintf("%s: %v is none of %v", path, v, s.Enum)}
	}
	switch v := v.(type) {
	case map[string]any:
		if s.Type != "object" && s.Type != "" {
			return []string{fmt.Sprintf("%s: want %s", path, s.Type)}
		}
		return s.objectProblems(path, v)
	case []any:
		if s.Type != "array" || s.Items == nil {
			return []string{fmt.Sprintf("%s: want %s", path, s.Type)}
		}
		var all []string
		for i, e := range v {
			all = append(all, s.Items.problems(fmt.Sprintf("%s[%d]", path, i), e)...)
		}
		return all
	default:
		if want := scalar(v); s.Type != "" && !strings.Contains(want, s.Type) {
			return []string{fmt.Sprintf("%s: want %s, have %s", path, s.Type, want)}
		}
		return nil
	}
}

func (s *schema) objectProblems(path string, v map[string]any) []string {
	var all []string
	for _, name := range s.Required {
		if _, ok := v[name]; !ok {
			all = append(all, fmt.Sprintf("%s: %s is missing", path, name))
		}
	}
	for name, e := range v {
		sub := s.Properties[name]
		switch {
		case sub != nil:
		case s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil:
			sub = s.AdditionalProperties.Schema
		case s.PreserveUnknown || s.AdditionalProperties != nil || len(s.Properties) == 0:
			continue // metadata, which every object has, among them
		default:
			all = append(all, fmt.Sprintf("%s: there is no field %s", path, name))
			continue
		}
		all = append(all, sub.problems(path+"."+name, e)...)
	}
	return all
}

// scalar names the types that a value without parts may have.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		if v == float64(int64(v)) {
			return "integer, number"
		}
		return "number"
	}
	return fmt.Sprintf("%T", v)
}
