package event

import (
	"embed"
	"fmt"
	"strings"
)

// schemaBase begins the URI of every schema; the rest is the name of its file.
const schemaBase = "https://jobdrop.dev/schemas/"

// The JSON Schemas that belong to no single type.
const (
	// BodySchema describes [Body]: what the schemas of all types, and that
	// of status.json, build on.
	BodySchema = schemaBase + "lifecycle.v1.json"
	// StatusSchema describes status.json.
	StatusSchema = schemaBase + "status.v1.json"
	// MisnamedSchema describes [Misnamed]: status.json in a folder without an attempt, which
	// has no field of the name.
	MisnamedSchema = schemaBase + "misnamed.v1.json"
)

// SchemaOf returns the URI of the JSON Schema of a type's body: the dataschema of
// its CloudEvents.
func SchemaOf(t Type) string {
	return schemaBase + t.Short() + ".v1.json"
}

//go:embed schemas/*.json
var schemas embed.FS

// Schema returns the JSON Schema (draft 2020-12) whose $id is the URI: the
// dataschema of a CloudEvent, [BodySchema], [StatusSchema] or [MisnamedSchema]. It needs no
// network, so a validator that loads references through it needs none either.
// For any other URI the error is [io/fs.ErrNotExist].
//
// The schemas allow fields that they do not know, as later releases add some.
func Schema(uri string) ([]byte, error) {
	data, err := schemas.ReadFile("schemas/" + strings.TrimPrefix(uri, schemaBase))
	if err != nil {
		return nil, fmt.Errorf("schema %q: %w", uri, err)
	}
	return data, nil
}
