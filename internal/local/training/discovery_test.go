package training

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestDiscoveryServed(t *testing.T) {
	_, server := idle(t)
	a := send(t, "GET", server.URL+"/$discovery/rest?version=v1", "")
	var doc struct {
		RootURL, BaseURL, ServicePath, Name, Version string
		Schemas                                      map[string]any
		Resources                                    map[string]any
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Fatal(err)
	}
	if root := server.URL + "/"; doc.RootURL != root || doc.BaseURL != root || doc.ServicePath != "" || doc.Name != "ml" ||
		doc.Version != "v1" {
		t.Errorf("rootUrl %q, baseUrl %q, servicePath %q, %s %s", doc.RootURL, doc.BaseURL, doc.ServicePath, doc.Name,
			doc.Version)
	}
	if strings.Contains(a.body, "googleapis.com") {
		t.Error("the document names Google's own service")
	}
	refs := 0
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				if refs++; doc.Schemas[ref] == nil {
					t.Errorf("no schema %s", ref)
				}
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(doc.Schemas)
	walk(doc.Resources)
	if refs == 0 {
		t.Error("the document refers to no schema")
	}
}
