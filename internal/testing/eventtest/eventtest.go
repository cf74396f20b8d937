// Package eventtest holds what jobdrop told others to what it promises them: its
// own JSON Schemas, read more strictly than subscribers may read them.
package eventtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	lifecycle "github.com/jobdrop/jobdrop/pkg/event"
)

// Check reports an error unless the CloudEvent is a lifecycle event as
// subscribers were promised it: its dataschema is that of its type, its data
// are valid by that schema and hold nothing that the schema does not know, no
// field is lost by decoding, and its attributes repeat what the body says.
func Check(t testing.TB, e event.Event) {
	t.Helper()
	if err := check(e); err != nil {
		t.Errorf("event %s of type %s: %v\n%s", e.ID(), e.Type(), err, e.Data())
	}
}

// CheckStatus does for the content of a status.json what [Check] does for the
// data of an event.
func CheckStatus(t testing.TB, data []byte) {
	t.Helper()
	if err := Validate(lifecycle.StatusSchema, data); err != nil {
		t.Errorf("status.json: %v\n%s", err, data)
	}
}

func check(e event.Event) error {
	if err := e.Validate(); err != nil {
		return err
	}
	typ, body, err := lifecycle.Decode(e)
	if err != nil {
		return err
	}
	if err := Validate(lifecycle.SchemaOf(typ), e.Data()); err != nil {
		return err
	}
	again, err := json.Marshal(body)
	if err != nil {
		return err
	}
	if diff := cmp.Diff(value(e.Data()), value(again)); diff != "" {
		return fmt.Errorf("decoding changes the data (-before +after):\n%s", diff)
	}
	type attributes struct{ ID, Subject, Schema, JobID, Backend, Sequence, CorrelationID string }
	extension := func(name string) string {
		text, _ := e.Extensions()[name].(string)
		return text
	}
	sequence := strconv.FormatInt(body.Sequence, 10)
	want := attributes{
		body.Attempt + "-" + sequence, strings.TrimSuffix(body.Drop.Prefix, "/"), lifecycle.SchemaOf(typ),
		body.Job.ID, body.Job.Backend, sequence, body.CorrelationID,
	}
	got := attributes{
		e.ID(), e.Subject(), e.DataSchema(), extension(lifecycle.ExtensionJobID), extension(lifecycle.ExtensionBackend),
		extension(lifecycle.ExtensionSequence), extension(lifecycle.ExtensionCorrelationID),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return fmt.Errorf("attributes (-want +got):\n%s", diff)
	}
	return nil
}

// value returns the value of a JSON text, without the order of its fields and its white
// space. Numbers keep their text.
func value(data []byte) any {
	v, _ := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	return v
}

// Validate checks a JSON text by the schema of this URI, formats such as
// date-time included, and refuses fields that no schema knows.
func Validate(uri string, data []byte) error {
	return validate(uri, data, true)
}

// ValidateOpen validates as [Validate] does, but takes unknown fields, as the published
// schemas say.
func ValidateOpen(uri string, data []byte) error {
	return validate(uri, data, false)
}

func validate(uri string, data []byte, strict bool) error {
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseLoader(loader(strict))
	s, err := c.Compile(uri)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// loader takes schemas from package event alone. Where it is true, it closes the
// objects of the body's schema.
type loader bool

func (strict loader) Load(uri string) (any, error) {
	data, err := lifecycle.Schema(uri)
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if strict && uri == lifecycle.BodySchema {
		closeObjects(doc)
	}
	return doc, err
}

// closeObjects forbids, in every object of a schema that lists its fields, all
// others. Only the body's schema lists them; those of the types only constrain.
func closeObjects(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		_, listed := s["properties"].(map[string]any)
		if _, said := s["additionalProperties"]; listed && !said && s["type"] == "object" {
			s["additionalProperties"] = false
		}
		for _, v := range s {
			closeObjects(v)
		}
	case []any:
		for _, v := range s {
			closeObjects(v)
		}
	}
}
