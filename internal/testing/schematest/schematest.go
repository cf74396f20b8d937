// Package schematest makes JSON Schemas of Go structures and holds files to
// them, for the tests of packages that bring a schema of what they read.
package schematest

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// Object is a JSON object.
type Object = map[string]any

// Described is what the Go types don't say of a field: in words, and as further
// keywords of its schema and of that of its entries, if it is a list.
type Described struct {
	Text  string
	More  Object
	Items Object
}

// Source is what a schema is made of.
type Source struct {
	// Root is the structure of a whole file.
	Root                   reflect.Type
	ID, Title, Description string
	// Names has the names of structures that are not called as in Go.
	Names map[reflect.Type]string
	// Descriptions has an entry for each member of each structure, under the
	// structure's name and the member's JSON name, as in Scheduling.priority.
	Descriptions map[string]Described
	// Required has the members that each structure needs.
	Required map[string][]string
	// Printed reports that the file is what a program prints: numbers and lists are written in one way, and later
	// revisions add members. Otherwise people write it.
	Printed bool
	// Elsewhere has the URIs of the schemas of types that are described elsewhere.
	Elsewhere map[reflect.Type]string
}

// generator gathers the schemas of structures.
type generator struct {
	t    testing.TB
	src  Source
	defs Object
	used map[string]bool
}

// Generate makes the JSON Schema (2020-12) of the Go types, by their json and
// enum tags, and of the descriptions.
func (src Source) Generate(t testing.TB) []byte {
	t.Helper()
	g := generator{t, src, Object{}, map[string]bool{}}
	root := g.structure(src.Root)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = src.ID
	root["title"] = src.Title
	root["description"] = src.Description
	root["$defs"] = g.defs
	for key := range src.Descriptions {
		if !g.used[key] {
			t.Errorf("%s is described, but no field", key)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (g *generator) structure(typ reflect.Type) Object {
	properties := Object{}
	for _, f := range reflect.VisibleFields(typ) {
		if f.Anonymous || !f.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		key := g.name(typ) + "." + name
		d, ok := g.src.Descriptions[key]
		if !ok {
			g.t.Errorf("%s has no description", key)
		}
		g.used[key] = true
		s := g.value(f.Type, strings.Fields(f.Tag.Get("enum")), d)
		s["description"] = d.Text
		properties[name] = s
	}
	s := Object{"type": "object", "properties": properties}
	if !g.src.Printed {
		s["additionalProperties"] = false
	}
	if names := g.src.Required[g.name(typ)]; names != nil {
		s["required"] = names
	}
	return s
}

// name returns the name of a structure.
func (g *generator) name(typ reflect.Type) string {
	if name, ok := g.src.Names[typ]; ok {
		return name
	}
	return typ.Name()
}

func (g *generator) value(typ reflect.Type, enum []string, d Described) Object {
	s := Object{}
	var or Object // another way to write it
	if uri, ok := g.src.Elsewhere[typ]; ok {
		return Object{"$ref": uri}
	}
	if typ == reflect.TypeFor[time.Time]() {
		return Object{"type": "string", "format": "date-time"}
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return g.value(typ.Elem(), enum, d)
	case reflect.Struct:
		if g.defs[g.name(typ)] == nil {
			g.defs[g.name(typ)] = Object{} // ends recursion
			g.defs[g.name(typ)] = g.structure(typ)
		}
		s["$ref"] = "#/$defs/" + g.name(typ)
	case reflect.Map:
		s["type"] = "object"
		s["additionalProperties"] = g.value(typ.Elem(), nil, Described{})
	case reflect.Slice:
		s["type"] = "array"
		s["items"] = g.value(typ.Elem(), nil, Described{More: d.Items})
		if typ.Elem().Kind() != reflect.Struct { // a single value stands for a list of one
			or = g.value(typ.Elem(), nil, Described{More: d.Items})
		}
	case reflect.String:
		s["type"] = "string"
		if len(enum) > 0 {
			s["enum"] = enum
		}
	case reflect.Bool:
		s["type"] = "boolean"
	case reflect.Int, reflect.Int32, reflect.Int64: // JSON spells 64-bit numbers as text
		s["type"] = "integer"
		or = Object{"type": "string", "pattern": "^[0-9]+$"}
	case reflect.Float64:
		s["type"] = "number"
		or = Object{"type": "string", "pattern": `^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$`}
	default:
		g.t.Fatalf("no schema for %v", typ)
	}
	maps.Copy(s, d.More)
	if or != nil && !g.src.Printed {
		return Object{"anyOf": []Object{s, or}}
	}
	return s
}

// UpToDate writes a generated schema to a file if update says so; else it
// compares the two.
func UpToDate(t testing.TB, file string, want []byte, update bool) {
	t.Helper()
	if update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is out of date, go generate writes it (-want +got):\n%s", file, diff)
	}
	if bytes.ContainsRune(got, '\t') {
		t.Errorf("%s has tabs", file)
	}
}

// Validator compiles a schema and returns a function that checks a YAML file against
// it.
func Validator(t testing.TB, schema []byte) func(data []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return func(data []byte) error {
		var v any
		if err := yaml.Unmarshal(data, &v); err != nil {
			return err
		}
		// The validator wants what a JSON decoder makes.
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			return err
		}
		return compiled.Validate(instance)
	}
}
