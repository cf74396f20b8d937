package cli

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// submitSchemas has the schemas of what submit prints with -o json.
const submitSchemas = "../../docs/submit"

// checkSubmitted reports an error unless JSON is what a schema of submitSchemas says.
func checkSubmitted(t *testing.T, file, text string) {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(submitSchemas, file))
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err == nil {
		err = schema.Validate(value)
	}
	if err != nil {
		t.Errorf("%v: %s", err, text)
	}
}

// The schemas describe each member that is printed, and no other.
func TestSubmitSchemas(t *testing.T) {
	for file, typ := range map[string]reflect.Type{
		"submitted.v1.json": reflect.TypeFor[submitted](), "dry-run.v1.json": reflect.TypeFor[drawn](),
	} {
		text, err := os.ReadFile(filepath.Join(submitSchemas, file))
		if err != nil {
			t.Fatal(err)
		}
		var schema struct {
			Properties map[string]json.RawMessage
			Required   []string
		}
		if err := json.Unmarshal(text, &schema); err != nil {
			t.Fatal(err)
		}
		var printed, always []string
		for _, f := range reflect.VisibleFields(typ) {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			printed = append(printed, name)
			if !strings.Contains(options, "omitempty") {
				always = append(always, name)
			}
		}
		slices.Sort(printed)
		if diff := cmp.Diff(printed, slices.Sorted(maps.Keys(schema.Properties))); diff != "" {
			t.Errorf("%s: members (-printed +described):\n%s", file, diff)
		}
		if diff := cmp.Diff(always, schema.Required); diff != "" {
			t.Errorf("%s: members that are always there (-printed +described):\n%s", file, diff)
		}
		doc, err := os.ReadFile("../../docs/submit.md")
		if err != nil || !bytes.Contains(doc, []byte("(submit/"+file+")")) {
			t.Errorf("docs/submit.md does not link %s: %v", file, err)
		}
	}
}
