// Package discovery reduces ml/v1's discovery document to what the local
// training service serves.
package discovery

import (
	"encoding/json"
	"fmt"
	"strings"
)

// served are the methods of projects.jobs that the local service has.
var served = []string{"cancel", "create", "get", "list", "patch"}

// kept are the document's own members that a client needs. auth is left out: a
// client that finds scopes asks for credentials.
var kept = []string{
	"basePath", "canonicalName", "discoveryVersion", "fullyEncodeReservedExpansion", "id", "kind", "name",
	"parameters", "protocol", "revision", "servicePath", "title", "version", "version_module",
}

// Reduce takes the document of the google.golang.org/api module and keeps the
// methods that are served and the schemas that they reach, without prose,
// scopes and the addresses of Google's own service.
func Reduce(document []byte) ([]byte, error) {
	var all struct {
		Resources struct {
			Projects struct {
				Resources struct {
					Jobs struct {
						Methods map[string]any `json:"methods"`
					} `json:"jobs"`
				} `json:"resources"`
			} `json:"projects"`
		} `json:"resources"`
		Schemas map[string]any `json:"schemas"`
	}
	var members map[string]any
	if err := json.Unmarshal(document, &all); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(document, &members); err != nil {
		return nil, err
	}

	out := map[string]any{}
	for _, name := range kept {
		if v, ok := members[name]; ok {
			out[name] = strip(v)
		}
	}
	methods, schemas := map[string]any{}, map[string]any{}
	for _, name := range served {
		m, ok := all.Resources.Projects.Resources.Jobs.Methods[name].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("the document has no method projects.jobs.%s", name)
		}
		delete(m, "scopes")
		methods[name] = strip(m)
		if err := reach(methods[name], all.Schemas, schemas); err != nil {
			return nil, err
		}
	}
	out["resources"] = map[string]any{"projects": map[string]any{"resources": map[string]any{"jobs": map[string]any{"methods": methods}}}}
	out["schemas"] = schemas

	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(out); err != nil {
		return nil, err
	}
	return []byte(b.String()), nil
}

// strip removes prose. A property that is called description has a schema for
// its value, not a text, and stays.
func strip(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			_, text := value.(string)
			_, texts := value.([]any)
			if name == "description" && text || name == "enumDescriptions" && texts {
				continue
			}
			out[name] = strip(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = strip(v[i])
		}
		return out
	}
	return v
}

// reach copies every schema that v refers to, and what those refer to.
func reach(v any, from, to map[string]any) error {
	switch v := v.(type) {
	case map[string]any:
		if name, ok := v["$ref"].(string); ok && to[name] == nil {
			schema, ok := from[name]
			if !ok {
				return fmt.Errorf("the document has no schema %s", name)
			}
			to[name] = strip(schema)
			if err := reach(to[name], from, to); err != nil {
				return err
			}
		}
		for _, value := range v {
			if err := reach(value, from, to); err != nil {
				return err
			}
		}
	case []any:
		for _, value := range v {
			if err := reach(value, from, to); err != nil {
				return err
			}
		}
	}
	return nil
}
