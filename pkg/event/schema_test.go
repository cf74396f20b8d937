package event_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/testing/eventtest"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// sources parses the Go files of a package, tests left out.
func sources(t *testing.T, dir string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%d Go files in %s, %v", len(names), dir, err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// constants returns the values of package job's constants of a type. They are read
// from the source, so that a new one can't be forgotten here.
func constants(t *testing.T, typeName string) []string {
	t.Helper()
	var values []string
	for _, f := range sources(t, "../job") {
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && named(spec.Type, typeName) {
				for _, v := range spec.Values {
					values = append(values, text(t, v))
				}
			}
			return true
		})
	}
	if len(values) == 0 {
		t.Fatalf("package job has no constants of type %s", typeName)
	}
	return values
}

func named(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

func text(t *testing.T, e ast.Expr) string {
	t.Helper()
	literal, ok := e.(*ast.BasicLit)
	if !ok {
		t.Fatalf("%T is not a literal", e)
	}
	s, err := strconv.Unquote(literal.Value)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// types returns all types of lifecycle events.
func types(t *testing.T) []event.Type {
	t.Helper()
	var ts []event.Type
	for _, v := range constants(t, "EventType") {
		ts = append(ts, event.Type(v))
	}
	return ts
}

// object is a JSON object as the decoder gives it.
type object = map[string]any

func schema(t *testing.T, uri string) object {
	t.Helper()
	data, err := event.Schema(uri)
	if err != nil {
		t.Fatal(err)
	}
	var doc object
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatalf("%s: %v", uri, err)
	}
	return doc
}

func TestEverySchemaIsReached(t *testing.T) {
	title := map[string]string{
		event.BodySchema: "What jobdrop tells of an attempt", event.StatusSchema: "status.json",
		event.MisnamedSchema: "status.json of a folder without a job file",
	}
	for _, typ := range types(t) {
		title[event.SchemaOf(typ)] = string(typ)
	}
	var want []string
	for uri, title := range title {
		want = append(want, filepath.Base(uri))
		doc := schema(t, uri)
		for field, want := range map[string]string{
			"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": uri, "title": title,
		} {
			if doc[field] != want {
				t.Errorf("%s has the %s %v, want %s", uri, field, doc[field], want)
			}
		}
		if description, _ := doc["description"].(string); !strings.HasSuffix(description, ".") {
			t.Errorf("%s has the description %q, want sentences", uri, description)
		}
	}
	var got []string
	files, err := os.ReadDir("schemas")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		got = append(got, f.Name())
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files of schemas (-want +got):\n%s", diff)
	}
	for _, uri := range []string{
		"", "https://jobdrop.dev/schemas/", "https://jobdrop.dev/schemas/../event.go",
		"https://jobdrop.dev/schemas/job.later.v1.json",
	} {
		if data, err := event.Schema(uri); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("schema %q is %q, %v, want an error that it does not exist", uri, data, err)
		}
	}
}

// What subscribers import has a name for everything that comes.
func TestEveryConstantIsExported(t *testing.T) {
	exported := map[string]bool{}
	for _, f := range sources(t, ".") {
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && named(s.X, "job") {
				exported[s.Sel.Name] = true
			}
			return true
		})
	}
	for _, f := range sources(t, "../job") {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || !named(spec.Type, "EventType") && !named(spec.Type, "State") && !named(spec.Type, "BackendState") {
				return true
			}
			for _, name := range spec.Names {
				if !exported[name.Name] {
					t.Errorf("package event does not have job.%s", name.Name)
				}
			}
			return true
		})
	}
}

// comparison holds a schema to a Go type, in both directions.
type comparison struct {
	*testing.T
	root object
	// enums are the values that the constants of a Go type have.
	enums map[reflect.Type][]string
}

// The body's schema has the fields that the Go type can emit and no others,
// each of the type that the encoder gives it, required where it is never left
// out, with the constants' values, and described.
func TestBodySchemaIsThatOfTheGoType(t *testing.T) {
	c := comparison{t, schema(t, event.BodySchema), map[reflect.Type][]string{
		reflect.TypeFor[job.State]():        constants(t, "State"),
		reflect.TypeFor[job.BackendState](): constants(t, "BackendState"),
		reflect.TypeFor[job.Severity]():     constants(t, "Severity"),
	}}
	c.value("body", c.root, reflect.TypeFor[event.Body](), false)
}

// The schema of a folder without an attempt is that of its Go type.
func TestMisnamedSchemaIsThatOfTheGoType(t *testing.T) {
	c := comparison{t, schema(t, event.MisnamedSchema), nil}
	c.value("body", c.root, reflect.TypeFor[event.Misnamed](), false)
}

func (c comparison) value(path string, s object, t reflect.Type, asText bool) {
	c.Helper()
	if description, _ := s["description"].(string); !strings.HasSuffix(description, ".") && path != "body" &&
		!strings.HasSuffix(path, "[]") {
		c.Errorf("%s has the description %q, want sentences", path, description)
	}
	if ref, ok := s["$ref"].(string); ok {
		name := strings.TrimPrefix(ref, "#/$defs/")
		s, ok = c.root["$defs"].(object)[name].(object)
		if !ok {
			c.Fatalf("%s refers to %s, which is not there", path, ref)
		}
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	want := object{}
	switch {
	case t == reflect.TypeFor[time.Time]():
		want = object{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[job.Duration]():
		want["type"] = "string"
	case asText:
		want = object{"type": "string", "pattern": "^[0-9]+$"}
	case t.Kind() == reflect.String:
		want["type"] = "string"
	case t.Kind() == reflect.Bool:
		want["type"] = "boolean"
	case t.Kind() == reflect.Int || t.Kind() == reflect.Int64:
		want["type"] = "integer"
	case t.Kind() == reflect.Float64:
		want["type"] = "number"
	case t.Kind() == reflect.Slice:
		want["type"] = "array"
		items, _ := s["items"].(object)
		c.value(path+"[]", items, t.Elem(), false)
	case t.Kind() == reflect.Map:
		want["type"] = "object"
		items, _ := s["additionalProperties"].(object)
		c.value(path+"[]", items, t.Elem(), false)
	case t.Kind() == reflect.Struct:
		want["type"] = "object"
		c.fields(path, s, t)
		if _, closed := s["additionalProperties"]; closed {
			c.Errorf("%s says additionalProperties: a later field would break subscribers", path)
		}
	default:
		c.Fatalf("%s is a %s, which this test does not know", path, t)
	}
	for field, value := range want {
		if s[field] != value {
			c.Errorf("%s has the %s %v, want %v", path, field, s[field], value)
		}
	}
	if values, ok := c.enums[t]; ok {
		if diff := cmp.Diff(values, texts(s["enum"])); diff != "" {
			c.Errorf("%s (-constants +enum):\n%s", path, diff)
		}
	}
}

func (c comparison) fields(path string, s object, t reflect.Type) {
	c.Helper()
	properties, _ := s["properties"].(object)
	known := map[string]bool{}
	var required []string
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
			continue
		case f.Anonymous && name == "":
			continue // its fields are visible themselves
		case name == "":
			c.Errorf("%s.%s has no JSON name", path, f.Name)
			continue
		}
		known[name] = true
		o := strings.Split(options, ",")
		if !slices.Contains(o, "omitempty") && !slices.Contains(o, "omitzero") {
			required = append(required, name)
		}
		p, ok := properties[name].(object)
		if !ok {
			c.Errorf("%s.%s is not in the schema", path, name)
			continue
		}
		c.value(path+"."+name, p, f.Type, slices.Contains(o, "string"))
	}
	for name := range properties {
		if !known[name] {
			c.Errorf("%s.%s is in the schema, but no Go field", path, name)
		}
	}
	got := texts(s["required"])
	slices.Sort(got)
	slices.Sort(required)
	if diff := cmp.Diff(required, got); diff != "" {
		c.Errorf("%s: fields that are never left out (-Go +required):\n%s", path, diff)
	}
}

func texts(list any) []string {
	var ts []string
	values, _ := list.([]any)
	for _, v := range values {
		s, _ := v.(string)
		ts = append(ts, s)
	}
	return ts
}

// Fields without a type of their own have the words of the code.
func TestWordsAreThoseOfTheCode(t *testing.T) {
	body := schema(t, event.BodySchema)["properties"].(object)
	for field, want := range map[[2]string][]string{
		{"timeout", "kind"}:       {job.KindWait, job.KindRun},
		{"timeout", "enforcedBy"}: {job.ByBackend, job.ByJobdrop},
		{"delay", "kind"}:         {job.KindWait, job.KindRun, job.KindState},
		{"delay", "cause"}:        {job.CauseQuota, job.CauseCapacity, job.CausePermission},
	} {
		got := texts(body[field[0]].(object)["properties"].(object)[field[1]].(object)["enum"])
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s.%s (-code +schema):\n%s", field[0], field[1], diff)
		}
	}
}

// The schemas of the types, and of status.json, constrain fields that exist, and
// states that exist.
func TestOtherSchemasConstrainWhatExists(t *testing.T) {
	body := schema(t, event.BodySchema)
	uris := []string{event.StatusSchema}
	for _, typ := range types(t) {
		uris = append(uris, event.SchemaOf(typ))
	}
	for _, uri := range uris {
		doc := schema(t, uri)
		if doc["$ref"] != filepath.Base(event.BodySchema) {
			t.Errorf("%s builds on %v", uri, doc["$ref"])
		}
		constrains(t, uri, doc, body)
	}
	// The state alone tells which constraints status.json is under, so none
	// may be left out.
	var states []string
	for _, c := range schema(t, event.StatusSchema)["allOf"].([]any) {
		switch state := c.(object)["if"].(object)["properties"].(object)["state"].(object); {
		case state["enum"] != nil:
			states = append(states, texts(state["enum"])...)
		default:
			states = append(states, state["const"].(string))
		}
	}
	if diff := cmp.Diff(constants(t, "State"), states); diff != "" {
		t.Errorf("states of status.json (-constants +schema):\n%s", diff)
	}
}

func constrains(t *testing.T, path string, s, body object) {
	t.Helper()
	fields, _ := body["properties"].(object)
	for _, name := range texts(s["required"]) {
		if fields[name] == nil {
			t.Errorf("%s requires %s, which does not exist", path, name)
		}
	}
	if value, ok := s["const"].(string); ok && !slices.Contains(texts(body["enum"]), value) {
		t.Errorf("%s is %q, which is none of %q", path, value, body["enum"])
	}
	properties, _ := s["properties"].(object)
	for name, p := range properties {
		if fields[name] == nil {
			t.Errorf("%s has %s, which does not exist", path, name)
			continue
		}
		constrains(t, path+"."+name, p.(object), fields[name].(object))
	}
	for _, keyword := range []string{"if", "then"} {
		if p, ok := s[keyword].(object); ok {
			constrains(t, path+" "+keyword, p, body)
		}
	}
	for _, keyword := range []string{"allOf", "anyOf"} {
		list, _ := s[keyword].([]any)
		for i, p := range list {
			constrains(t, fmt.Sprintf("%s %s %d", path, keyword, i), p.(object), body)
		}
	}
}

// at replaces the field at a path of a JSON object; nil deletes it.
func at(value any, path ...string) func(object) {
	return func(o object) {
		for _, name := range path[:len(path)-1] {
			o = o[name].(object)
		}
		if last := path[len(path)-1]; value == nil {
			delete(o, last)
		} else {
			o[last] = value
		}
	}
}

func TestSchemasRefuse(t *testing.T) {
	tests := []struct {
		name   string
		typ    event.Type // status.json where empty
		change func(object)
		// open reports that subscribers accept it all the same.
		open bool
	}{
		{name: "an unknown field", typ: event.JobRunning, change: at(1.0, "later"), open: true},
		{name: "an unknown field within", typ: event.JobRunning, change: at("x", "drop", "receipt", "later"), open: true},
		{
			name: "an unknown field of an object", typ: event.JobRunning, change: at("x", "drop", "jobFile", "later"),
			open: true,
		},
		{name: "no attempt", typ: event.JobRunning, change: at(nil, "attempt")},
		{name: "an empty attempt", typ: event.JobRunning, change: at("", "attempt")},
		{name: "no times", typ: event.JobRunning, change: at(nil, "times")},
		{name: "no generation", typ: event.JobRunning, change: at(nil, "drop", "jobFile", "generation")},
		{name: "a generation as a number", typ: event.JobRunning, change: at(7.0, "drop", "jobFile", "generation")},
		{name: "a sequence as text", typ: event.JobRunning, change: at("4", "sequence")},
		{name: "a sequence of no event", typ: event.JobRunning, change: at(0.0, "sequence")},
		{name: "another type's state", typ: event.JobRunning, change: at("accepted", "state")},
		{name: "another type's state of the job", typ: event.JobRunning, change: at("QUEUED", "job", "state")},
		{name: "no job", typ: event.JobRunning, change: at(nil, "job")},
		{name: "a state that is none", typ: event.JobDelayed, change: at("ASLEEP", "job", "state")},
		{name: "a time that is none", typ: event.JobRunning, change: at("yesterday", "times", "accepted")},
		{name: "a time without a zone", typ: event.JobRunning, change: at("2026-11-23T09:00:00", "times", "accepted")},
		{name: "a day that is none", typ: event.JobRunning, change: at("2026-02-30T09:00:00Z", "times", "accepted")},
		{name: "no receipt", typ: event.DropAccepted, change: at(nil, "drop", "receipt")},
		{name: "a receipt of nothing", typ: event.DropAccepted, change: at([]any{}, "drop", "receipt", "objects")},
		{name: "a rejection without cause", typ: event.DropRejected, change: at(nil, "violations")},
		{name: "a rejection with no violation", typ: event.DropRejected, change: at([]any{}, "violations")},
		{
			name: "a severity that is none", typ: event.DropRejected,
			change: at([]any{object{"rule": "r", "severity": "", "file": "job.yaml", "message": "m"}}, "violations"),
		},
		{name: "nothing missing", typ: event.DropIncomplete, change: at([]any{}, "drop", "missing")},
		{name: "no end", typ: event.DropExpired, change: at(nil, "deadlines", "expires")},
		{name: "a withdrawal without reason", typ: event.DropWithdrawn, change: at(nil, "reason")},
		{name: "a failure without an error", typ: event.JobFailed, change: at(nil, "error")},
		{name: "an error without a message", typ: event.JobFailed, change: at(nil, "error", "message")},
		{name: "a timeout that is not said", typ: event.JobTimedOut, change: at(nil, "timeout")},
		{name: "a limit that is none", typ: event.JobTimedOut, change: at("1h", "timeout", "limit")},
		{name: "a kind that is none", typ: event.JobTimedOut, change: at("sleep", "timeout", "kind")},
		{name: "a verdict without its time", typ: event.JobLost, change: at(nil, "times", "concluded")},
		{name: "status: an unknown field", change: at(1.0, "later"), open: true},
		{name: "status: a state that is none", change: at("asleep", "state")},
		{name: "status: a verdict without its time", change: at(nil, "times", "concluded")},
		{name: "status: a failure without an error", change: at("failed", "state")},
		{name: "status: held for no time", change: at("held", "state")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			uri := event.StatusSchema
			var data []byte
			if test.typ == "" {
				data = readFile(t, statusExample)
			} else {
				uri, data = event.SchemaOf(test.typ), readExample(t, test.typ).Data
			}
			if err := eventtest.Validate(uri, data); err != nil {
				t.Fatalf("before the change: %v", err)
			}
			var body object
			if err := json.Unmarshal(data, &body); err != nil {
				t.Fatal(err)
			}
			test.change(body)
			changed, err := json.Marshal(body)
			if err != nil {
				t.Fatal(err)
			}
			if eventtest.Validate(uri, changed) == nil {
				t.Errorf("no error of\n%s", changed)
			}
			if err := eventtest.ValidateOpen(uri, changed); (err == nil) != test.open {
				t.Errorf("as subscribers read it: %v", err)
			}
		})
	}
}

// The schemas pass the strict mode of ajv, which Node's programs validate with: each keyword
// stands beside the type that it is of, and each property that is required beside what it is.
func TestSchemasAreStrict(t *testing.T) {
	uris := []string{event.BodySchema, event.StatusSchema, event.MisnamedSchema}
	for _, typ := range types(t) {
		uris = append(uris, event.SchemaOf(typ))
	}
	for _, uri := range uris {
		strict(t, uri, schema(t, uri))
	}
}

// typeOf is the type of the values that a keyword is about.
var typeOf = map[string]string{
	"required": "object", "properties": "object", "additionalProperties": "object", "items": "array", "minItems": "array",
	"maxItems": "array", "minLength": "string", "pattern": "string", "format": "string", "minimum": "integer",
}

func strict(t *testing.T, path string, s object) {
	t.Helper()
	for keyword, value := range s {
		if want := typeOf[keyword]; want != "" && s["type"] != want {
			t.Errorf("%s has %s, and its type is %v, not %s", path, keyword, s["type"], want)
		}
		switch value := value.(type) {
		case object:
			inner := map[string]any{keyword: value}
			if keyword == "properties" || keyword == "$defs" {
				inner = value
			}
			for name, below := range inner {
				if below, ok := below.(object); ok {
					strict(t, path+"."+name, below)
				}
			}
		case []any:
			for i, below := range value {
				if below, ok := below.(object); ok {
					strict(t, fmt.Sprintf("%s %s %d", path, keyword, i), below)
				}
			}
		}
	}
	properties, _ := s["properties"].(object)
	for _, name := range texts(s["required"]) {
		if properties[name] == nil {
			t.Errorf("%s requires %s, which its properties lack", path, name)
		}
	}
}
