package ml

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// TestSpecFollowsSchema: a member of the schema that the domain's type lacks
// would be taken and lost.
func TestSpecFollowsSchema(t *testing.T) {
	doc, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	var compare func(typ reflect.Type, name string)
	compare = func(typ reflect.Type, name string) {
		s := doc.Schemas[name]
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
