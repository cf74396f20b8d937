package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Decode reads a request body by a schema into the form that the API itself
// writes: proto names become JSON names, enum values their own spelling, 64-bit
// numbers text and 32-bit ones numbers. What does not fit is reported in the
// words of Google's services, under paths that begin with name.
func (d *Document) Decode(body []byte, schemaName, name string) ([]byte, []Violation) {
	notJSON := func(why string) []Violation {
		return []Violation{{Description: "Invalid JSON payload received. " + why}}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil && !errors.Is(err, io.EOF) {
		return nil, notJSON(err.Error())
	} else if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, notJSON("Unexpected text after the JSON value.")
	}
	if value == nil { // no body, or null, is an empty message
		value = map[string]any{}
	}
	var n normalizer
	n.schemas = d.Schemas
	value = n.value(d.Schemas[schemaName], value, name)
	if len(n.violations) > 0 {
		slices.SortStableFunc(n.violations, func(a, b Violation) int { return strings.Compare(a.Field, b.Field) })
		return nil, n.violations
	}
	out, err := json.Marshal(value)
	if err != nil {
		return nil, notJSON(err.Error())
	}
	return out, nil
}

type normalizer struct {
	schemas    map[string]*schema
	violations []Violation
}

func (n *normalizer) invalid(path, kind string, value any) any {
	text, _ := json.Marshal(value)
	if len(text) > 200 {
		text = append(text[:200:200], "…"...)
	}
	n.violations = append(n.violations, Violation{path, fmt.Sprintf("Invalid value at '%s' (%s), %s", path, kind, text)})
	return nil
}

func (n *normalizer) value(s *schema, v any, path string) any {
	if s != nil && s.Ref != "" {
		s = n.schemas[s.Ref]
	}
	if s == nil {
		return n.invalid(path, "no schema", v)
	}
	text, isText := v.(string)
	number, isNumber := v.(json.Number)
	switch s.Type {
	case "any":
		return v
	case "object":
		members, ok := v.(map[string]any)
		if !ok {
			return n.invalid(path, "message", v)
		}
		return n.object(s, members, path)
	case "array":
		items, ok := v.([]any)
		if !ok {
			return n.invalid(path, "repeated field", v)
		}
		out := make([]any, len(items))
		for i, item := range items {
			out[i] = n.value(s.Items, item, fmt.Sprintf("%s[%d]", path, i))
		}
		return out
	case "boolean":
		if b, ok := v.(bool); ok {
			return b
		}
		return n.invalid(path, "TYPE_BOOL", v)
	case "integer":
		if i, ok := integer(textOf(text, number), 32); ok && (isText || isNumber) {
			return i
		}
		return n.invalid(path, "TYPE_INT32", v)
	case "number":
		if f, err := strconv.ParseFloat(textOf(text, number), 64); err == nil && (isText || isNumber) && !math.IsInf(f, 0) &&
			!math.IsNaN(f) {
			return f
		}
		return n.invalid(path, "TYPE_DOUBLE", v)
	}
	switch {
	case s.Format == "int64":
		if i, ok := integer(textOf(text, number), 64); ok && (isText || isNumber) {
			return strconv.FormatInt(i, 10)
		}
		return n.invalid(path, "TYPE_INT64", v)
	case len(s.Enum) > 0 && (isText || isNumber):
		if i, ok := integer(textOf(text, number), 32); ok {
			if name, ok := s.named(i); ok {
				return name
			}
		}
		// Google's services fold case and hyphens of enum values.
		folded := strings.ToUpper(strings.ReplaceAll(text, "-", "_"))
		if !slices.Contains(s.Enum, folded) {
			return n.invalid(path, "enum: "+strings.Join(s.Enum, ", "), v)
		}
		return folded
	case !isText:
		return n.invalid(path, "TYPE_STRING", v)
	case s.Format == "google-duration":
		if _, err := job.ParseDuration(text); err != nil {
			return n.invalid(path, "type.googleapis.com/google.protobuf.Duration: seconds with the suffix s", v)
		}
	}
	return text
}

func (n *normalizer) object(s *schema, members map[string]any, path string) any {
	out := map[string]any{}
	for key, v := range members {
		if s.AdditionalProperties != nil {
			out[key] = n.value(s.AdditionalProperties, v, path+"."+key)
			continue
		}
		name := key
		if s.Properties[name] == nil {
			name = Camel(key)
		}
		property := s.Properties[name]
		switch {
		case property == nil:
			n.violations = append(n.violations, Violation{path, fmt.Sprintf("Invalid JSON payload received. Unknown name %q "+
				"at '%s': Cannot find field.", key, path)})
		case v == nil: // null is an absent field
		default:
			out[name] = n.value(property, v, path+"."+plan.Snake(name))
		}
	}
	return out
}

func textOf(text string, number json.Number) string {
	if number != "" {
		return number.String()
	}
	return text
}

// integer accepts what proto3's JSON does: 4, "4" and 4.0, but not 4.5.
func integer(text string, bits int) (int64, bool) {
	if i, err := strconv.ParseInt(text, 10, bits); err == nil {
		return i, true
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= math.Ldexp(1, min(bits, 54)-1) {
		return 0, false
	}
	return int64(f), true
}

// Camel turns a proto field's name into its JSON name.
func Camel(name string) string {
	var b strings.Builder
	up := false
	for _, r := range name {
		if r == '_' {
			up = true
			continue
		}
		if up {
			r = unicode.ToUpper(r)
		}
		b.WriteRune(r)
		up = false
	}
	return b.String()
}
