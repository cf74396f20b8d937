package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// small is a schema with all that schema.json may hold.
const small = `{"resources": {"google_thing": {
	"attributes": {
		"name": {"type": "string", "required": true},
		"id": {"type": "string", "optional": true, "computed": true},
		"colour": {"type": "string", "optional": true, "values": ["RED", "BLUE"]},
		"events": {"type": ["list", "string"], "optional": true, "values": ["MADE", "GONE"]}
	},
	"blocks": {"part": {"nesting": "list", "min": 1, "max": 2,
		"attributes": {"size": {"type": "number", "optional": true}, "kind": {"type": "string", "optional": true, "values": ["ROUND"]}},
		"blocks": {}
	}}
}}, "data": {}}`

func TestSchema(t *testing.T) {
	p, err := newProvider([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.GetProviderSchema(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &tfprotov6.SchemaBlock{
		Attributes: []*tfprotov6.SchemaAttribute{
			{Name: "colour", Type: tftypes.String, Optional: true},
			{Name: "events", Type: tftypes.List{ElementType: tftypes.String}, Optional: true},
			{Name: "id", Type: tftypes.String, Optional: true, Computed: true},
			{Name: "name", Type: tftypes.String, Required: true},
		},
		BlockTypes: []*tfprotov6.SchemaNestedBlock{{
			TypeName: "part", Nesting: tfprotov6.SchemaNestedBlockNestingModeList, MinItems: 1, MaxItems: 2,
			Block: &tfprotov6.SchemaBlock{Attributes: []*tfprotov6.SchemaAttribute{
				{Name: "kind", Type: tftypes.String, Optional: true}, {Name: "size", Type: tftypes.Number, Optional: true},
			}},
		}},
	}
	if diff := cmp.Diff(want, got.ResourceSchemas["google_thing"].Block); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
}

func TestValidateResourceConfig(t *testing.T) {
	text, number := func(s string) tftypes.Value { return tftypes.NewValue(tftypes.String, s) },
		tftypes.NewValue(tftypes.Number, 1)
	none := tftypes.NewValue(tftypes.String, nil)
	unknown := tftypes.NewValue(tftypes.String, tftypes.UnknownValue)
	tests := []struct {
		name                string
		colour, event, kind tftypes.Value
		want                []string
	}{
		{"all good", text("RED"), text("MADE"), text("ROUND"), nil},
		{"not set", none, text("MADE"), none, nil},
		{"not known yet", unknown, unknown, unknown, nil},
		{"in an attribute", text("GREEN"), text("MADE"), none, []string{`AttributeName("colour")`}},
		{"in a list", none, text("made"), none, []string{`AttributeName("events")`}},
		{
			"in a block", none, text("GONE"), text("SQUARE"), []string{
				`AttributeName("part").ElementKeyInt(0).AttributeName("kind")`,
			},
		},
		{"everywhere", text(""), text(""), text(""), []string{
			`AttributeName("colour")`, `AttributeName("events")`, `AttributeName("part").ElementKeyInt(0).AttributeName("kind")`,
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, err := newProvider([]byte(small))
			if err != nil {
				t.Fatal(err)
			}
			of := p.schema.ResourceSchemas["google_thing"].ValueType().(tftypes.Object)
			part := of.AttributeTypes["part"].(tftypes.List).ElementType
			config, err := tfprotov6.NewDynamicValue(of, tftypes.NewValue(of, map[string]tftypes.Value{
				"name": text("x"), "id": none, "colour": test.colour,
				"events": tftypes.NewValue(of.AttributeTypes["events"], []tftypes.Value{test.event}),
				"part": tftypes.NewValue(of.AttributeTypes["part"], []tftypes.Value{
					tftypes.NewValue(part, map[string]tftypes.Value{"size": number, "kind": test.kind}),
				}),
			}))
			if err != nil {
				t.Fatal(err)
			}
			r, err := p.ValidateResourceConfig(t.Context(),
				&tfprotov6.ValidateResourceConfigRequest{TypeName: "google_thing", Config: &config})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range r.Diagnostics {
				got = append(got, d.Attribute.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewProviderRefuses(t *testing.T) {
	for name, schema := range map[string]string{
		"no JSON":       `{`,
		"unknown type":  strings.Replace(small, `"number"`, `"integer"`, 1),
		"unknown group": strings.Replace(small, `["list", "string"]`, `["array", "string"]`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := newProvider([]byte(schema)); err == nil {
				t.Error("no error")
			}
		})
	}
}

// The schema that is shipped can be served, and has what cdktf does not keep.
func TestShippedSchema(t *testing.T) {
	p, err := newProvider(document)
	if err != nil {
		t.Fatal(err)
	}
	bucket := p.resources["google_storage_bucket"]
	if got := bucket.Attributes["public_access_prevention"].Values; len(got) == 0 {
		t.Error("a bucket's public access prevention may have any value")
	}
	trigger := p.resources["google_cloudfunctions2_function"].Blocks["event_trigger"]
	if got := trigger.Attributes["retry_policy"].Values; len(got) == 0 {
		t.Error("a trigger's retry policy may have any value")
	}
	// Terraform asks for nothing else after this.
	if r, err := p.ConfigureProvider(t.Context(), nil); err != nil || len(r.Diagnostics) == 0 {
		t.Errorf("ConfigureProvider gives %v, %v: the stand-in passes for a cloud", r, err)
	}
}
