package rest

import (
	"encoding/json"
	"maps"
)

// Document is the discovery document, to serve and to check requests by.
type Document struct {
	members map[string]any
	Schemas map[string]*schema
	methods []*Method
}

// schema is the part of JSON Schema that discovery documents use.
type schema struct {
	Ref                  string             `json:"$ref"`
	Type                 string             `json:"type"`
	Format               string             `json:"format"`
	Enum                 []string           `json:"enum"`
	numbers              map[string]int32   // of Enum
	ReadOnly             bool               `json:"readOnly"`
	Items                *schema            `json:"items"`
	Properties           map[string]*schema `json:"properties"`
	AdditionalProperties *schema            `json:"additionalProperties"`
}

// ParseDocument reads a document, whose enumerations number has the numbers of.
func ParseDocument(data []byte, number Numbering) (*Document, error) {
	d := &Document{}
	if err := json.Unmarshal(data, &d.members); err != nil {
		return nil, err
	}
	var parts struct {
		Schemas     map[string]*schema
		ServicePath string
		Resources   resources
	}
	if err := json.Unmarshal(data, &parts); err != nil {
		return nil, err
	}
	d.Schemas = parts.Schemas
	d.number(number)
	d.addMethods(parts.Resources, parts.ServicePath)
	return d, nil
}

// Is reports whether the document is of a version of an API, e.g. v1 of ml.
func (d *Document) Is(name, version string) bool {
	return d.members["name"] == name && d.members["version"] == version
}

// At returns the document of a service at a base URL, which ends in a slash.
func (d *Document) At(base string) map[string]any {
	doc := maps.Clone(d.members)
	doc["rootUrl"], doc["baseUrl"] = base, base
	return doc
}
