package rest

import (
	"fmt"
	"strings"
)

// FieldMask is a google.protobuf.FieldMask as a tree; nil is all fields.
type FieldMask map[string]FieldMask

// Mask reads a mask over a schema. Fields may be named as JSON or proto names them;
// a list or map is taken or left as a whole.
func (d *Document) Mask(text, schemaName, title string) (FieldMask, error) {
	if text == "" || text == "*" {
		return nil, nil
	}
	all := FieldMask{}
	for path := range strings.SplitSeq(text, ",") {
		path = strings.TrimSpace(path)
		if !d.addPath(all, d.Schemas[schemaName], strings.Split(path, ".")) {
			return nil, fmt.Errorf("%q is not a field of a %s", path, title)
		}
	}
	return all, nil
}

// addPath reports whether there is such a field.
func (d *Document) addPath(m FieldMask, s *schema, names []string) bool {
	name := Camel(names[0])
	if s == nil || s.Properties[name] == nil {
		return false
	}
	if len(names) == 1 {
		m[name] = nil
		return true
	}
	inner, had := m[name]
	if inner == nil {
		inner = FieldMask{}
	}
	if !had {
		m[name] = inner
	}
	return d.addPath(inner, d.Schemas[s.Properties[name].Ref], names[1:])
}

// Of returns the fields of a message that a mask names.
func (m FieldMask) Of(message map[string]any) map[string]any {
	if m == nil {
		return message
	}
	out := map[string]any{}
	for name, inner := range m {
		value, ok := message[name]
		if below, isMessage := value.(map[string]any); ok && isMessage {
			value = inner.Of(below)
		}
		if ok {
			out[name] = value
		}
	}
	return out
}
