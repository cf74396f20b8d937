package jobspec

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Explanation says where one field of the resolved job comes from.
type Explanation struct {
	// Field is its path, e.g. trainingInput.region.
	Field string `json:"field"`
	// Value is text as it is; anything else, lists included, is JSON.
	Value string `json:"value"`
	// Origin is a position in the job file (job.yaml:3:11), "metadata
	// jobdrop-set-region", the words given with the defaults, or "jobdrop"
	// where a caller worked it out.
	Origin string `json:"origin"`
}

// Explain lists every field that is set, options of jobdrop's own included: the
// job ID, the labels by their keys, then the training input's fields by their
// names.
func (f *File) Explain() []Explanation {
	var list []Explanation
	add := func(path string, v reflect.Value) {
		e := Explanation{Field: printable(path), Origin: f.origin(path)}
		if p, ok := f.places[path]; ok && !p.null && e.Origin == "" {
			e.Origin = fmt.Sprintf("%s:%d:%d", f.Name, p.pos.Line, p.pos.Column)
		} else if e.Origin == "" {
			if v.IsZero() {
				return
			}
			e.Origin = "jobdrop"
		} else if v.IsZero() {
			return
		}
		if v.Kind() == reflect.String {
			e.Value = printable(v.String())
		} else if data, err := json.Marshal(v.Interface()); err == nil { // all numbers are finite
			e.Value = printable(string(data))
		}
		list = append(list, e)
	}
	var walk func(v reflect.Value, path string)
	walk = func(v reflect.Value, path string) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem(), path)
			}
		case reflect.Struct:
			for _, m := range structures()[v.Type()].members {
				walk(v.FieldByIndex(m.index), join(path, m.name))
			}
		case reflect.Map:
			keys := v.MapKeys()
			slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
			for _, key := range keys {
				add(join(path, key.String()), v.MapIndex(key))
			}
		case reflect.Slice:
			if v.Type().Elem().Kind() != reflect.Struct {
				add(path, v)
				return
			}
			for i := range v.Len() {
				walk(v.Index(i), element(path, i))
			}
		default:
			add(path, v)
		}
	}
	walk(reflect.ValueOf(document{f.Spec, f.Options}), "")
	return list
}
