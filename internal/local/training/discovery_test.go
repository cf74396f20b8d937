package training

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestDiscoveryServed(t *testing.T) {
	_, server := idle(t)
	for path, want := range map[string]string{
		"/$discovery/rest":                       "ml v1",
		"/$discovery/rest?version=v1":            "ml v1",
		"/$discovery/rest?version=v2":            "logging v2",
		"/discovery/v1/apis/ml/v1/rest":          "ml v1",
		"/discovery/v1/apis/aiplatform/v1/rest":  "aiplatform v1",
		"/discovery/v1/apis/logging/v2/rest?x=1": "logging v2",
	} {
		t.Run(path, func(t *testing.T) { discoveryServed(t, server.URL, path, want) })
	}
	for _, path := range []string{"/$discovery/rest?version=v9", "/discovery/v1/apis/ml/v2/rest", "/discovery/v1/apis"} {
		if a := send(t, "GET", server.URL+path, ""); a.code != 400 || a.err.Status != "UNIMPLEMENTED" {
			t.Errorf("%s: %d %s", path, a.code, a.body)
		}
	}
}

func discoveryServed(t *testing.T, server, path, want string) {
	a := send(t, "GET", server+path, "")
	var doc struct {
		RootURL, BaseURL, ServicePath, Name, Version, BatchPath string
		Schemas                                                 map[string]any
		Resources                                               map[string]any
	}
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Fatal(err)
	}
	if root := server + "/"; doc.RootURL != root || doc.BaseURL != root || doc.ServicePath != "" || doc.BatchPath != "batch" ||
		doc.Name+" "+doc.Version != want {
		t.Errorf("rootUrl %q, baseUrl %q, servicePath %q, batchPath %q, %s %s", doc.RootURL, doc.BaseURL, doc.ServicePath,
			doc.BatchPath, doc.Name, doc.Version)
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
