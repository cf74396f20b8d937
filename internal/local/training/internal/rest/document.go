package rest

import (
	"encoding/json"
	"maps"
)

// Document is the discovery document, to serve and to check requests by.
type Document struct {
	members map[string]any
	Schemas map[string]*schema
	Queries map[string]map[string]bool // the query parameters of each method, by its ID
}

// schema is the part of JSON Schema that discovery documents use.
type schema struct {
	Ref                  string             `json:"$ref"`
	Type                 string             `json:"type"`
	Format               string             `json:"format"`
	Enum                 []string           `json:"enum"`
	ReadOnly             bool               `json:"readOnly"`
	Items                *schema            `json:"items"`
	Properties           map[string]*schema `json:"properties"`
	AdditionalProperties *schema            `json:"additionalProperties"`
}

func ParseDocument(data []byte) (*Document, error) {
	d := &Document{}
	if err := json.Unmarshal(data, &d.members); err != nil {
		return nil, err
	}
	var parts struct{ Schemas map[string]*schema }
	if err := json.Unmarshal(data, &parts); err != nil {
		return nil, err
	}
	d.Schemas = parts.Schemas
	d.Queries = map[string]map[string]bool{}
	common, _ := d.members["parameters"].(map[string]any)
	d.addQueries(d.members["resources"], common)
	return d, nil
}

// addQueries notes the query parameters of the methods of resources and of those
// below.
func (d *Document) addQueries(v any, common map[string]any) {
	resources, _ := v.(map[string]any)
	for _, r := range resources {
		resource, _ := r.(map[string]any)
		methods, _ := resource["methods"].(map[string]any)
		for _, m := range methods {
			method, _ := m.(map[string]any)
			own, _ := method["parameters"].(map[string]any)
			names := map[string]bool{}
			for _, parameters := range []map[string]any{common, own} {
				for name, p := range parameters {
					if parameter, _ := p.(map[string]any); parameter["location"] == "query" {
						names[name] = true
					}
				}
			}
			id, _ := method["id"].(string)
			d.Queries[id] = names
		}
		d.addQueries(resource["resources"], common)
	}
}

// At returns the document of a service at a base URL, which ends in a slash.
func (d *Document) At(base string) map[string]any {
	doc := maps.Clone(d.members)
	doc["rootUrl"], doc["baseUrl"] = base, base
	return doc
}
