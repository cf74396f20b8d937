package jobspec

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/internal/text"
)

// member is one field of a structure.
type member struct {
	index []int
	enum  string
}

// membersOf maps a structure's JSON names, those of embedded structures
// included, to its fields.
func membersOf(t reflect.Type) map[string]member {
	members := map[string]member{}
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous {
			members[jsonName(f)] = member{f.Index, f.Tag.Get("enum")}
		}
	}
	return members
}

func memberByName(t reflect.Type, name string) (member, bool) {
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous && jsonName(f) == name {
			return member{f.Index, f.Tag.Get("enum")}, true
		}
	}
	return member{}, false
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func names(members map[string]member) []string {
	return slices.Sorted(maps.Keys(members))
}

// placesOf lists the fields, anywhere in a job file, that have exactly this
// name, [] standing for a list's entries: most misplaced fields are a matter of
// indentation.
func placesOf(name string) []string {
	var places []string
	var walk func(t reflect.Type, field string)
	walk = func(t reflect.Type, field string) {
		switch t.Kind() {
		case reflect.Pointer:
			walk(t.Elem(), field)
		case reflect.Slice:
			walk(t.Elem(), field+"[]")
		case reflect.Struct:
			for _, f := range reflect.VisibleFields(t) {
				if f.Anonymous {
					continue
				}
				path := join(field, jsonName(f))
				if jsonName(f) == camelCase(name) {
					places = append(places, path)
				}
				walk(f.Type, path)
			}
		}
	}
	walk(reflect.TypeFor[document](), "")
	return places
}

// camelCase turns a field's name as protocol buffers write it (scale_tier) into
// that of JSON. Anything else stays as it is.
func camelCase(name string) string {
	if !strings.Contains(name, "_") || strings.ToLower(name) != name {
		return name
	}
	var b strings.Builder
	for i, part := range strings.Split(name, "_") {
		if i > 0 && part != "" {
			part = strings.ToUpper(part[:1]) + part[1:]
		}
		b.WriteString(part)
	}
	return b.String()
}

// closest picks the candidate that name is a misspelling of, if there is one.
func closest(name string, candidates []string) string {
	best, least := "", 0
	folded := fold(name)
	for _, c := range candidates {
		to := fold(c)
		most := max(1, len(to)/4)
		if len(folded) > len(to)+most || len(to) > len(folded)+most {
			continue
		}
		if n := text.Distance(folded, to); n <= most && (best == "" || n < least) {
			best, least = c, n
		}
	}
	return best
}

func fold(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(name))
}

func isRange(err error) bool {
	return errors.Is(err, strconv.ErrRange)
}
