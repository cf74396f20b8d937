// Command terraform-provider-google stands in for the real one where no registry
// of providers can be reached: it has the schema of the resources that deploy/
// uses, as google 6.50.0 has it, and no cloud. With it terraform validate, and
// terraform test with a mock_provider, tell unknown arguments and blocks, wrong
// types, missing ones, and values that an argument can't have. It knows neither
// conflicts between arguments nor what Google would answer.
//
// The mirror that Terraform takes it from is made by the tests in ../check.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

//go:generate sh -c "npm ci --no-audit --no-fund && node gen.mjs"

//go:embed schema.json
var document []byte

func main() {
	p, err := newProvider(document)
	if err != nil {
		fmt.Fprintln(os.Stderr, "terraform-provider-google:", err)
		os.Exit(1)
	}
	err = tf6server.Serve("registry.terraform.io/hashicorp/google", func() tfprotov6.ProviderServer { return p })
	if err != nil {
		fmt.Fprintln(os.Stderr, "terraform-provider-google:", err)
		os.Exit(1)
	}
}

// attribute is an argument or a result of a resource or block.
type attribute struct {
	// Type is "string", "number", "bool", or a list of "list", "set" or "map" and
	// one of these.
	Type                         json.RawMessage
	Required, Optional, Computed bool
	// Values are all that there may be; none where that is not known.
	Values []string
}

type block struct {
	Attributes map[string]attribute
	Blocks     map[string]nested
}

type nested struct {
	Nesting  string // list or set
	Min, Max int64  // Max is 0 without a limit
	block
}

// provider serves a schema. What it embeds is nil: Terraform asks for all else
// only after ConfigureProvider, which refuses.
type provider struct {
	tfprotov6.ProviderServer
	resources, data map[string]block
	schema          *tfprotov6.GetProviderSchemaResponse
}

func newProvider(document []byte) (*provider, error) {
	var d struct{ Resources, Data map[string]block }
	if err := json.Unmarshal(document, &d); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	p := &provider{resources: d.Resources, data: d.Data, schema: &tfprotov6.GetProviderSchemaResponse{
		Provider:                 &tfprotov6.Schema{Block: &tfprotov6.SchemaBlock{Attributes: providerArguments()}},
		ResourceSchemas:          map[string]*tfprotov6.Schema{},
		DataSourceSchemas:        map[string]*tfprotov6.Schema{},
		ServerCapabilities:       &tfprotov6.ServerCapabilities{},
		Functions:                map[string]*tfprotov6.Function{},
		EphemeralResourceSchemas: map[string]*tfprotov6.Schema{},
	}}
	for from, to := range map[*map[string]block]map[string]*tfprotov6.Schema{
		&d.Resources: p.schema.ResourceSchemas, &d.Data: p.schema.DataSourceSchemas,
	} {
		for name, b := range *from {
			s, err := schemaBlock(b)
			if err != nil {
				return nil, fmt.Errorf("schema of %s: %w", name, err)
			}
			to[name] = &tfprotov6.Schema{Block: s}
		}
	}
	return p, nil
}

// providerArguments returns the arguments of the provider block that the examples set.
func providerArguments() []*tfprotov6.SchemaAttribute {
	return []*tfprotov6.SchemaAttribute{
		{Name: "project", Type: tftypes.String, Optional: true},
		{Name: "region", Type: tftypes.String, Optional: true},
		{Name: "billing_project", Type: tftypes.String, Optional: true},
		{Name: "user_project_override", Type: tftypes.Bool, Optional: true},
		{Name: "impersonate_service_account", Type: tftypes.String, Optional: true},
		{Name: "default_labels", Type: tftypes.Map{ElementType: tftypes.String}, Optional: true},
	}
}

func schemaBlock(b block) (*tfprotov6.SchemaBlock, error) {
	s := &tfprotov6.SchemaBlock{}
	for _, name := range sorted(b.Attributes) {
		a := b.Attributes[name]
		t, err := typeOf(a.Type)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		s.Attributes = append(s.Attributes, &tfprotov6.SchemaAttribute{
			Name: name, Type: t, Required: a.Required, Optional: a.Optional, Computed: a.Computed,
		})
	}
	for _, name := range sorted(b.Blocks) {
		n := b.Blocks[name]
		inner, err := schemaBlock(n.block)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		nesting := tfprotov6.SchemaNestedBlockNestingModeList
		if n.Nesting == "set" {
			nesting = tfprotov6.SchemaNestedBlockNestingModeSet
		}
		s.BlockTypes = append(s.BlockTypes, &tfprotov6.SchemaNestedBlock{
			TypeName: name, Nesting: nesting, MinItems: n.Min, MaxItems: n.Max, Block: inner,
		})
	}
	return s, nil
}

func typeOf(raw json.RawMessage) (tftypes.Type, error) {
	var simple string
	if json.Unmarshal(raw, &simple) == nil {
		switch simple {
		case "string":
			return tftypes.String, nil
		case "number":
			return tftypes.Number, nil
		case "bool":
			return tftypes.Bool, nil
		}
		return nil, fmt.Errorf("no such type: %q", simple)
	}
	var of [2]json.RawMessage
	if err := json.Unmarshal(raw, &of); err != nil {
		return nil, err
	}
	element, err := typeOf(of[1])
	if err != nil {
		return nil, err
	}
	switch string(of[0]) {
	case `"list"`:
		return tftypes.List{ElementType: element}, nil
	case `"set"`:
		return tftypes.Set{ElementType: element}, nil
	case `"map"`:
		return tftypes.Map{ElementType: element}, nil
	}
	return nil, fmt.Errorf("no such type: %s", raw)
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func (p *provider) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	m := &tfprotov6.GetMetadataResponse{ServerCapabilities: p.schema.ServerCapabilities}
	for _, name := range sorted(p.resources) {
		m.Resources = append(m.Resources, tfprotov6.ResourceMetadata{TypeName: name})
	}
	for _, name := range sorted(p.data) {
		m.DataSources = append(m.DataSources, tfprotov6.DataSourceMetadata{TypeName: name})
	}
	return m, nil
}

func (p *provider) GetProviderSchema(context.Context,
	*tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	return p.schema, nil
}

func (p *provider) GetResourceIdentitySchemas(context.Context,
	*tfprotov6.GetResourceIdentitySchemasRequest) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}

func (p *provider) ValidateProviderConfig(_ context.Context,
	r *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: r.Config}, nil
}

// ConfigureProvider refuses: terraform plan and apply are for the real provider.
func (p *provider) ConfigureProvider(context.Context,
	*tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	return &tfprotov6.ConfigureProviderResponse{Diagnostics: []*tfprotov6.Diagnostic{{
		Severity: tfprotov6.DiagnosticSeverityError, Summary: "This is a stand-in for the google provider",
		Detail: "It knows the provider's schema and no cloud: it serves terraform validate, and terraform test with a " +
			"mock_provider.",
	}}}, nil
}

func (p *provider) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse,
	error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

func (p *provider) ValidateResourceConfig(_ context.Context,
	r *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	b := p.resources[r.TypeName]
	found, err := check(b, p.schema.ResourceSchemas[r.TypeName], r.Config)
	return &tfprotov6.ValidateResourceConfigResponse{Diagnostics: found}, err
}

func (p *provider) ValidateDataResourceConfig(_ context.Context,
	r *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	found, err := check(p.data[r.TypeName], p.schema.DataSourceSchemas[r.TypeName], r.Config)
	return &tfprotov6.ValidateDataResourceConfigResponse{Diagnostics: found}, err
}

// check reports values that an argument may not have. Terraform itself has checked all
// else against the schema.
func check(b block, s *tfprotov6.Schema, config *tfprotov6.DynamicValue) ([]*tfprotov6.Diagnostic, error) {
	v, err := config.Unmarshal(s.ValueType())
	if err != nil {
		return nil, err
	}
	var found []*tfprotov6.Diagnostic
	checkBlock(b, v, tftypes.NewAttributePath(), &found)
	return found, nil
}

func checkBlock(b block, v tftypes.Value, at *tftypes.AttributePath, found *[]*tfprotov6.Diagnostic) {
	var members map[string]tftypes.Value
	if !v.IsKnown() || v.IsNull() || v.As(&members) != nil {
		return
	}
	for _, name := range sorted(b.Attributes) {
		if values := b.Attributes[name].Values; len(values) > 0 {
			checkValue(values, members[name], at.WithAttributeName(name), found)
		}
	}
	for _, name := range sorted(b.Blocks) {
		var items []tftypes.Value
		if v := members[name]; !v.IsKnown() || v.IsNull() || v.As(&items) != nil {
			continue
		}
		for i, item := range items {
			inner := at.WithAttributeName(name)
			if b.Blocks[name].Nesting == "set" {
				inner = inner.WithElementKeyValue(item)
			} else {
				inner = inner.WithElementKeyInt(i)
			}
			checkBlock(b.Blocks[name].block, item, inner, found)
		}
	}
}

func checkValue(values []string, v tftypes.Value, at *tftypes.AttributePath, found *[]*tfprotov6.Diagnostic) {
	if !v.IsKnown() || v.IsNull() {
		return
	}
	var text string
	if v.As(&text) == nil {
		if !slices.Contains(values, text) {
			*found = append(*found, &tfprotov6.Diagnostic{
				Severity: tfprotov6.DiagnosticSeverityError, Attribute: at, Summary: "No such value",
				Detail: fmt.Sprintf("%q is none of %s.", text, strings.Join(values, ", ")),
			})
		}
		return
	}
	var items []tftypes.Value
	if v.As(&items) == nil {
		for _, item := range items {
			checkValue(values, item, at, found)
		}
	}
}
