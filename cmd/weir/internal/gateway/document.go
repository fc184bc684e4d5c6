package gateway

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// generated is what protoc-gen-openapiv2 makes of the protos and proto/gateway.yaml.
//
//go:embed generated.swagger.json
var generated []byte

// operation is one method of a path, as OpenAPI 2 has it.
type operation struct {
	Summary     string              `json:"summary"`
	OperationID string              `json:"operationId"`
	Consumes    []string            `json:"consumes,omitempty"`
	Produces    []string            `json:"produces,omitempty"`
	Parameters  []parameter         `json:"parameters,omitempty"`
	Responses   map[string]response `json:"responses"`
	Tags        []string            `json:"tags"`
}

type parameter struct {
	Name        string            `json:"name"`
	In          string            `json:"in"`
	Description string            `json:"description,omitempty"`
	Required    bool              `json:"required"`
	Type        string            `json:"type,omitempty"`
	Schema      map[string]string `json:"schema,omitempty"`
}

type response struct {
	Description string            `json:"description"`
	Schema      map[string]string `json:"schema,omitempty"`
}

// placeholder is a part of a path that is a parameter.
var placeholder = regexp.MustCompile(`\{(\w+)\}`)

// Document is the OpenAPI document of all paths, the generated ones and those by hand.
func Document() ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(generated, &doc); err != nil {
		return nil, fmt.Errorf("read the generated OpenAPI document: %w", err)
	}
	doc["info"] = map[string]any{
		"title": "Weir", "version": "v1",
		"description": "Queue crawls, follow them and read what they kept. Field names are those of the protos; a spec is that of the YAML file, with durations as \"1.5s\" and sizes in bytes. Streams are lines of JSON: {\"result\": …} each, or {\"error\": …} at last.",
	}
	doc["securityDefinitions"] = map[string]any{"token": map[string]any{"type": "apiKey", "name": "Authorization", "in": "header", "description": "Bearer TOKEN"}}
	doc["security"] = []any{map[string]any{"token": []any{}}}
	paths, ok := doc["paths"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("read the generated OpenAPI document: it has no paths")
	}
	for _, r := range new(Gateway).byHand() {
		at, ok := paths[r.Path].(map[string]any)
		if !ok {
			at = map[string]any{}
			paths[r.Path] = at
		}
		at[strings.ToLower(r.Method)] = r.operation()
	}
	out, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the OpenAPI document: %w", err)
	}
	return append(out, '\n'), nil
}

// operation describes a route.
func (r Route) operation() operation {
	parts := strings.Split(r.RPC, ".")
	tag, method := parts[len(parts)-2], parts[len(parts)-1]
	kinds, answer := media(r.Answer)
	op := operation{
		Summary: r.Summary, OperationID: tag + "_" + method + "_ByHand", Produces: kinds, Tags: []string{tag},
		Responses: map[string]response{
			"200":     {Description: answer},
			"default": {Description: "An unexpected error response.", Schema: map[string]string{"$ref": "#/definitions/Status"}},
		},
	}
	for _, m := range placeholder.FindAllStringSubmatch(r.Path, -1) {
		op.Parameters = append(op.Parameters, parameter{Name: m[1], In: "path", Description: "Id or name.", Required: true, Type: "string"})
	}
	for _, name := range slices.Sorted(maps.Keys(r.Query)) {
		op.Parameters = append(op.Parameters, parameter{Name: name, In: "query", Description: r.Query[name], Type: "string"})
	}
	if r.Body != "" {
		var text string
		op.Consumes, text = media(r.Body)
		op.Parameters = append(op.Parameters, parameter{Name: "body", In: "body", Description: text, Required: true, Schema: map[string]string{"type": "string"}})
	}
	return op
}

// mediaType finds the types that a description begins its parts with.
var mediaType = regexp.MustCompile(`(application|text)/[a-z-]+`)

// media parts a description into its media types and itself; JSON without any.
func media(text string) ([]string, string) {
	if kinds := mediaType.FindAllString(text, -1); len(kinds) > 0 {
		return kinds, text
	}
	return []string{"application/json"}, text
}
