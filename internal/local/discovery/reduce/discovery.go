// Package discovery reduces an API's discovery document to what a local service
// serves of it.
package discovery

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// kept are the document's own members that a client needs. auth is left out: a
// client that finds scopes asks for credentials.
var kept = []string{
	"basePath", "batchPath", "canonicalName", "discoveryVersion", "fullyEncodeReservedExpansion", "id", "kind", "name",
	"parameters", "protocol", "revision", "servicePath", "title", "version", "version_module",
}

// Reduce takes a document of the google.golang.org/api module and keeps the
// methods whose IDs (ml.projects.jobs.create) are served, and the schemas that
// they reach, without prose, scopes and the addresses of Google's own service.
func Reduce(document []byte, served []string) ([]byte, error) {
	var all struct {
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
	missing := map[string]bool{}
	for _, id := range served {
		missing[id] = true
	}
	out["resources"] = reduceResources(members["resources"], missing)
	if len(missing) > 0 {
		return nil, fmt.Errorf("the document lacks the methods %s", strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
	}
	schemas := map[string]any{}
	if err := reach(out["resources"], all.Schemas, schemas); err != nil {
		return nil, err
	}
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

// reduceResources keeps the methods that are missing yet, and the resources that
// lead to them.
func reduceResources(v any, missing map[string]bool) map[string]any {
	resources, _ := v.(map[string]any)
	out := map[string]any{}
	for name, resource := range resources {
		members, _ := resource.(map[string]any)
		methods, _ := members["methods"].(map[string]any)
		keptMethods := map[string]any{}
		for method, m := range methods {
			m, _ := m.(map[string]any)
			id, _ := m["id"].(string)
			if !missing[id] {
				continue
			}
			delete(missing, id)
			delete(m, "scopes")
			keptMethods[method] = strip(m)
		}
		reduced := map[string]any{}
		if len(keptMethods) > 0 {
			reduced["methods"] = keptMethods
		}
		if below := reduceResources(members["resources"], missing); len(below) > 0 {
			reduced["resources"] = below
		}
		if len(reduced) > 0 {
			out[name] = reduced
		}
	}
	return out
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
