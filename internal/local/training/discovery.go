package training

import (
	_ "embed"
	"encoding/json"
	"maps"
)

//go:generate go run ../../../internal/local/discovery/gen ml/v1 discovery.json ml.projects.jobs.cancel ml.projects.jobs.create ml.projects.jobs.get ml.projects.jobs.list ml.projects.jobs.patch

//go:generate go run ../../../internal/local/discovery/gen aiplatform/v1 vertex.json aiplatform.projects.locations.customJobs.cancel aiplatform.projects.locations.customJobs.create aiplatform.projects.locations.customJobs.get aiplatform.projects.locations.customJobs.list aiplatform.projects.locations.hyperparameterTuningJobs.cancel aiplatform.projects.locations.hyperparameterTuningJobs.create aiplatform.projects.locations.hyperparameterTuningJobs.get aiplatform.projects.locations.hyperparameterTuningJobs.list

// discoveryJSON is ml/v1's discovery document, reduced to what is served.
//
//go:embed discovery.json
var discoveryJSON []byte

// vertexJSON is aiplatform/v1's.
//
//go:embed vertex.json
var vertexJSON []byte

// document is the discovery document, to serve and to check requests by.
type document struct {
	members map[string]any
	schemas map[string]*schema
	queries map[string]map[string]bool // the query parameters of each method, by its ID
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
	d.queries = map[string]map[string]bool{}
	common, _ := d.members["parameters"].(map[string]any)
	d.addQueries(d.members["resources"], common)
	return d, nil
}

// addQueries notes the query parameters of the methods of resources and of those
// below.
func (d *document) addQueries(v any, common map[string]any) {
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
			d.queries[id] = names
		}
		d.addQueries(resource["resources"], common)
	}
}

// at gives the document of a service at a base URL, which ends in a slash.
func (d *document) at(base string) map[string]any {
	doc := maps.Clone(d.members)
	doc["rootUrl"], doc["baseUrl"] = base, base
	return doc
}
