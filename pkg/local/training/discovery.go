package training

import (
	_ "embed"
	"encoding/json"
	"maps"
)

//go:generate go run ../../../internal/discovery/gen ml/v1 discovery.json ml.projects.jobs.cancel ml.projects.jobs.create ml.projects.jobs.get ml.projects.jobs.list ml.projects.jobs.patch

// discoveryJSON is ml/v1's discovery document, reduced to what is served.
//
//go:embed discovery.json
var discoveryJSON []byte

// document is the discovery document, to serve and to check requests by.
type document struct {
	members map[string]any
	schemas map[string]*schema
}

// schema is the part of JSON Schema that discovery documents use.
type schema struct {
	Ref                  string             `json:"$ref"`
	Type                 string             `json:"type"`
	Format               string             `json:"format"`
	Enum                 []string           `json:"enum"`
	Items                *schema            `json:"items"`
	Properties           map[string]*schema `json:"properties"`
	AdditionalProperties *schema            `json:"additionalProperties"`
}

func parseDocument(data []byte) (*document, error) {
	d := &document{}
	if err := json.Unmarshal(data, &d.members); err != nil {
		return nil, err
	}
	var parts struct{ Schemas map[string]*schema }
	if err := json.Unmarshal(data, &parts); err != nil {
		return nil, err
	}
	d.schemas = parts.Schemas
	return d, nil
}

// at gives the document of a service at a base URL, which ends in a slash.
func (d *document) at(base string) map[string]any {
	doc := maps.Clone(d.members)
	doc["rootUrl"], doc["baseUrl"] = base, base
	return doc
}
