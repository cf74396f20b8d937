package rest

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
)

// Method is a method of a discovery document.
type Method struct {
	ID       string
	response string // the name of its schema
	verb     string
	path     *regexp.Regexp
	queries  map[string]bool
}

// method is what discovery documents say of a method.
type method struct {
	ID         string
	HTTPMethod string
	FlatPath   string
	Parameters map[string]struct{ Location string }
	Response   struct {
		Ref string `json:"$ref"`
	}
}

// resources are the collections of a discovery document.
type resources map[string]struct {
	Methods   map[string]method
	Resources resources
}

// addMethods notes the methods of resources and of those below.
func (d *Document) addMethods(all resources, servicePath string) {
	for _, r := range all {
		for _, m := range r.Methods {
			method := &Method{ID: m.ID, response: m.Response.Ref, verb: m.HTTPMethod, queries: map[string]bool{}}
			for name, p := range m.Parameters {
				method.queries[name] = p.Location == "query"
			}
			path := variable.ReplaceAllString(regexp.QuoteMeta("/"+servicePath+m.FlatPath), "[^/:]+")
			method.path = regexp.MustCompile("^" + path + "$")
			d.methods = append(d.methods, method)
		}
		d.addMethods(r.Resources, servicePath)
	}
}

// variable is one of a path, when the path has been quoted.
var variable = regexp.MustCompile(`\\\{[^}]*\\\}`)

// Method returns the method that a request calls, or nil.
func (d *Document) Method(r *http.Request) *Method {
	i := slices.IndexFunc(d.methods, func(m *Method) bool { return m.verb == r.Method && m.path.MatchString(r.URL.Path) })
	if i < 0 {
		return nil
	}
	return d.methods[i]
}

// Query returns the method's parameters by their names in JSON; a client may write them
// as proto does. It refuses parameters that the method does not have.
func (m *Method) Query(query url.Values) (url.Values, error) {
	own := url.Values{}
	for name, values := range query {
		if !m.queries[Camel(name)] {
			return nil, Invalid("Invalid JSON payload received. Unknown name %q: Cannot bind query parameter. Field "+
				"'%[1]s' could not be found in request message.", name)
		}
		own[Camel(name)] = values
	}
	return own, nil
}

// Numbered returns a method's answer, as encoding/json decodes it, with the numbers of
// enumerations' values in the place of their names.
func (d *Document) Numbered(m *Method, answer any) any {
	return d.numbered(d.Schemas[m.response], answer)
}

func (d *Document) numbered(s *schema, v any) any {
	if s != nil && s.Ref != "" {
		s = d.Schemas[s.Ref]
	}
	if s == nil {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			property := s.Properties[name]
			if s.AdditionalProperties != nil {
				property = s.AdditionalProperties
			}
			v[name] = d.numbered(property, value)
		}
	case []any:
		for i, value := range v {
			v[i] = d.numbered(s.Items, value)
		}
	case string:
		if n, ok := s.numbers[v]; ok {
			return n
		}
	}
	return v
}

// Numbering returns the numbers of the values of the enumeration that a property of a
// schema is of, by their names. Values without a number are left out.
type Numbering func(schema, property string, values []string) map[string]int32

// number notes the numbers of the values of each enumeration.
func (d *Document) number(of Numbering) {
	for name, s := range d.Schemas {
		for property, p := range s.Properties {
			for p.Items != nil {
				p = p.Items
			}
			if len(p.Enum) > 0 {
				p.numbers = of(name, property, p.Enum)
			}
		}
	}
}

// InOrder is the [Numbering] of enumerations whose values are listed from 0 on, without
// a gap.
func InOrder(_, _ string, values []string) map[string]int32 {
	numbers := map[string]int32{}
	for i, name := range values {
		numbers[name] = int32(i)
	}
	return numbers
}

// named returns the value of an enumeration that has a number.
func (s *schema) named(number int64) (string, bool) {
	for _, name := range s.Enum {
		if n, ok := s.numbers[name]; ok && int64(n) == number {
			return name, true
		}
	}
	return "", false
}
