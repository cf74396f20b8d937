package event_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// published holds the schemas as they were last published. Version 1 only grows from there. A release copies
// schemas there: go test ./pkg/event -run TestSchemasOnlyGrow -update.
const published = "testdata/published"

// broken says what of an earlier schema a later one does not keep. Whoever reads bodies by the earlier one
// has to be able to read those of the later one: each field has the type that it had, what was always there
// still is, and no value comes that could not come before. at is the place in the schema.
func broken(at string, before, after any) []string {
	if list, ok := before.([]any); ok {
		later, _ := after.([]any)
		if len(later) != len(list) {
			return []string{fmt.Sprintf("%s had %d schemas, and has %d", at, len(list), len(later))}
		}
		var faults []string
		for i, item := range list {
			faults = append(faults, broken(fmt.Sprintf("%s[%d]", at, i), item, later[i])...)
		}
		return faults
	}
	old, isObject := before.(map[string]any)
	now, stillObject := after.(map[string]any)
	if !isObject || !stillObject {
		if !reflect.DeepEqual(before, after) {
			return []string{fmt.Sprintf("%s was %v, and is %v", at, before, after)}
		}
		return nil
	}
	var faults []string
	for _, key := range slices.Sorted(maps.Keys(old)) {
		place := at + "/" + key
		value, kept := now[key]
		switch {
		case key == "description" || key == "title":
		case !kept:
			faults = append(faults, place+" is gone")
		case key == "required":
			for _, name := range old[key].([]any) {
				if !slices.Contains(value.([]any), name) {
					faults = append(faults, fmt.Sprintf("%s was always there: %v", place, name))
				}
			}
		case key == "enum":
			for _, item := range value.([]any) {
				if !slices.Contains(old[key].([]any), item) && path.Base(at) != "state" { // README: states may come
					faults = append(faults, fmt.Sprintf("%s has the new value %v", place, item))
				}
			}
		case key == "minimum" || key == "minLength" || key == "minItems":
			if value.(float64) < old[key].(float64) {
				faults = append(faults, place+" is lower")
			}
		case key == "maxItems":
			if value.(float64) > old[key].(float64) {
				faults = append(faults, place+" is higher")
			}
		default:
			faults = append(faults, broken(place, old[key], value)...)
		}
	}
	return faults
}

func TestSchemasOnlyGrow(t *testing.T) {
	paths, err := filepath.Glob("schemas/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d schemas, %v", len(paths), err)
	}
	names := map[string]bool{}
	for _, path := range paths {
		name := filepath.Base(path)
		names[name] = true
		after := readFile(t, path)
		before, err := os.ReadFile(filepath.Join(published, name))
		if err == nil {
			for _, fault := range broken(name, decoded(t, before), decoded(t, after)) {
				t.Error(fault)
			}
		}
		if *update && !t.Failed() {
			if err := os.WriteFile(filepath.Join(published, name), after, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	earlier, err := os.ReadDir(published)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range earlier {
		if !names[file.Name()] {
			t.Errorf("schema %s is gone", file.Name())
		}
	}
}

func decoded(t *testing.T, data []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestBroken(t *testing.T) {
	const before = `{
		"type": "object", "required": ["a"],
		"properties": {
			"a": {"type": "string", "enum": ["x", "y"]}, "state": {"type": "string", "enum": ["s"]},
			"n": {"type": "integer", "minimum": 1}, "l": {"type": "array", "maxItems": 3, "items": {"type": "string"}}
		},
		"anyOf": [{"required": ["b"]}, {"required": ["c"]}]
	}`
	for _, test := range []struct{ name, old, new, want string }{
		{"the same", "", "", ""},
		{"a new field", `"n": {`, `"new": {"type": "string"}, "n": {`, ""},
		{"more is required", `["a"]`, `["a", "n"]`, ""},
		{"a description", `"minimum"`, `"description": "d", "minimum"`, ""},
		{"a value less", `["x", "y"]`, `["x"]`, ""},
		{"a new state", `["s"]`, `["s", "t"]`, ""},
		{"narrower", `"minimum": 1`, `"minimum": 2`, ""},
		{"shorter", `"maxItems": 3`, `"maxItems": 2`, ""},
		{"a field less", `"n": {"type": "integer", "minimum": 1},`, ``, "/properties/n is gone"},
		{"another type", "integer", "string", "/properties/n/type was integer, and is string"},
		{"no longer required", `["a"]`, `[]`, "/required was always there: a"},
		{"a new value", `["x", "y"]`, `["x", "y", "z"]`, "/properties/a/enum has the new value z"},
		{"lower", `"minimum": 1`, `"minimum": 0`, "/properties/n/minimum is lower"},
		{"longer", `"maxItems": 3`, `"maxItems": 4`, "/properties/l/maxItems is higher"},
		{"an alternative more", `{"required": ["c"]}`, `{"required": ["c"]}, {}`, "/anyOf had 2 schemas, and has 3"},
		{"a weaker alternative", `{"required": ["c"]}`, `{"required": []}`, "/anyOf[1]/required was always there: c"},
		{"a stricter alternative", `{"required": ["c"]}`, `{"type": "object", "required": ["c"]}`, ""},
		{"other items", `"items": {"type": "string"}`, `"items": {"type": "number"}`,
			"/properties/l/items/type was string, and is number"},
	} {
		var want []string
		if test.want != "" {
			want = []string{test.want}
		}
		after := strings.Replace(before, test.old, test.new, 1)
		if diff := cmp.Diff(want, broken("", decoded(t, []byte(before)), decoded(t, []byte(after)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
