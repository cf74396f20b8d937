package front

import (
	"encoding/json"
	"strings"
)

// mask is a partial response's fields; one without any inside means all.
type mask map[string]mask

// Selected returns the fields of a resource that a client asks for. It returns all if
// the client asks for none, or if fields can't be parsed.
// https://cloud.google.com/storage/docs/json_api#partial-response
func Selected(v any, fields string) any {
	m, rest := parseMask(fields)
	if len(m) == 0 || rest != "" {
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

// parseMask reads a(b,c/d),e up to the end or to a parenthesis that nothing has
// opened, and returns the rest.
func parseMask(s string) (mask, string) {
	m := mask{}
	for s != "" && s[0] != ')' {
		end := strings.IndexAny(s, ",()")
		if end < 0 {
			end = len(s)
		}
		inner := m
		for name := range strings.SplitSeq(s[:end], "/") {
			if inner[name] == nil {
				inner[name] = mask{}
			}
			inner = inner[name]
		}
		s = s[end:]
		if strings.HasPrefix(s, "(") {
			var below mask
			below, s = parseMask(s[1:])
			for k, v := range below {
				inner[k] = v
			}
			s = strings.TrimPrefix(s, ")")
		}
		s = strings.TrimPrefix(s, ",")
	}
	return m, s
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
