package front

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
)

// mask is a partial response's fields; one without any inside means all.
type mask map[string]mask

// maxFields bounds a partial response's fields, in bytes, and by that how deep they go.
const maxFields = 16 << 10

// CheckFields returns an error if a client's fields can't be parsed.
func CheckFields(fields string) error {
	_, err := parseFields(fields)
	return err
}

// Selected returns the fields of a resource that a client asks for. It returns all if the
// client asks for none, or if [CheckFields] refuses what it asks for.
// https://cloud.google.com/storage/docs/json_api#partial-response
func Selected(v any, fields string) any {
	m, err := parseFields(fields)
	if len(m) == 0 || err != nil {
		return v
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var doc any
	if json.Unmarshal(encoded, &doc) != nil {
		return v
	}
	return m.of(doc)
}

func parseFields(fields string) (mask, error) {
	if fields == "" {
		return nil, nil
	}
	if len(fields) > maxFields {
		return nil, fmt.Errorf("fields has %d bytes, and %d are the most", len(fields), maxFields)
	}
	m, rest, err := parseMask(fields)
	if err == nil && rest != "" {
		err = errors.New("a parenthesis is closed that was not opened")
	}
	if err != nil {
		return nil, fmt.Errorf("fields=%.100q: %w; want names, as in kind,items(name,owner/entity)", fields, err)
	}
	return m, nil
}

// parseMask reads a(b,c/d),e up to the end or to a parenthesis that nothing has
// opened, and returns the rest.
func parseMask(s string) (m mask, rest string, err error) {
	m = mask{}
	for {
		end := strings.IndexAny(s, ",()")
		if end < 0 {
			end = len(s)
		}
		inner := m
		for name := range strings.SplitSeq(s[:end], "/") {
			if name == "" {
				return nil, s, errors.New("a name is missing")
			}
			if inner[name] == nil {
				inner[name] = mask{}
			}
			inner = inner[name]
		}
		s = s[end:]
		if strings.HasPrefix(s, "(") {
			below, rest, err := parseMask(s[1:])
			if err != nil {
				return nil, rest, err
			}
			maps.Copy(inner, below)
			var closed bool
			if s, closed = strings.CutPrefix(rest, ")"); !closed {
				return nil, rest, errors.New("a parenthesis is not closed")
			}
		}
		switch {
		case s == "" || s[0] == ')':
			return m, s, nil
		case s[0] != ',':
			return nil, s, errors.New("a comma is missing")
		}
		s = s[1:]
	}
}

func (m mask) of(doc any) any {
	if len(m) == 0 {
		return doc
	}
	switch doc := doc.(type) {
	case []any:
		for i, v := range doc {
			doc[i] = m.of(v)
		}
		return doc
	case map[string]any:
		out := map[string]any{}
		for k, v := range doc {
			inner, ok := m[k]
			if !ok {
				inner, ok = m["*"]
			}
			if ok {
				out[k] = inner.of(v)
			}
		}
		return out
	}
	return doc
}
