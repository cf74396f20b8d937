package training

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/pkg/job"
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
	if root := server.URL + "/"; doc.RootURL != root || doc.BaseURL != root || doc.ServicePath != "" || doc.Name != "ml" || doc.Version != "v1" {
		t.Errorf("rootUrl %q, baseUrl %q, servicePath %q, %s %s", doc.RootURL, doc.BaseURL, doc.ServicePath, doc.Name, doc.Version)
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

// TestSpecFollowsSchema: a member of the schema that the domain's type lacks
// would be taken and lost.
func TestSpecFollowsSchema(t *testing.T) {
	doc, err := parseDocument(discoveryJSON)
	if err != nil {
		t.Fatal(err)
	}
	var compare func(typ reflect.Type, name string)
	compare = func(typ reflect.Type, name string) {
		s := doc.schemas[name]
		for property, schema := range s.Properties {
			i := slices.IndexFunc(reflect.VisibleFields(typ), func(f reflect.StructField) bool {
				tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				return tag == property
			})
			if i < 0 {
				t.Errorf("%v has no member for %s.%s", typ, name, property)
				continue
			}
			field, ref := typ.Field(i).Type, schema.Ref
			if schema.Items != nil && schema.Items.Ref != "" {
				ref = schema.Items.Ref
			}
			for field.Kind() == reflect.Pointer || field.Kind() == reflect.Slice {
				field = field.Elem()
			}
			if ref != "" {
				compare(field, ref)
			}
		}
	}
	compare(reflect.TypeFor[job.TrainingInput](), "GoogleCloudMlV1__TrainingInput")
}
