package jobspec

import (
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// member is one field of a structure.
type member struct {
	name  string // in JSON
	index []int
	typ   reflect.Type
	enum  []string // its values, if it has a set of them
}

// structure is a structure of the job file; its members include those of
// embedded structures.
type structure struct {
	members []member
	byName  map[string]int    // index in members
	byFold  map[string]string // names, by what fold makes of them
	// former maps earlier names of members, of their tag was, to those of today.
	former map[string]string
	names  []string // sorted
}

func (s *structure) member(name string) (member, bool) {
	i, ok := s.byName[name]
	if !ok {
		return member{}, false
	}
	return s.members[i], true
}

// structures has every structure that a job file can have.
var structures = sync.OnceValue(func() map[reflect.Type]*structure {
	return structuresOf(reflect.TypeFor[document](), reflect.TypeFor[job.Spec]())
})

// structuresOf returns every structure that is part of the roots.
func structuresOf(roots ...reflect.Type) map[reflect.Type]*structure {
	all := map[reflect.Type]*structure{}
	var add func(t reflect.Type)
	add = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			add(t.Elem())
		case reflect.Struct:
			if all[t] != nil {
				return
			}
			s := &structure{byName: map[string]int{}, byFold: map[string]string{}, former: map[string]string{}}
			all[t] = s
			for _, f := range reflect.VisibleFields(t) {
				if f.Anonymous || !f.IsExported() {
					continue
				}
				name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				s.byName[name] = len(s.members)
				s.byFold[fold(name)] = name
				s.names = append(s.names, name)
				if was := f.Tag.Get("was"); was != "" {
					s.former[was] = name
				}
				s.members = append(s.members, member{name, f.Index, f.Type, strings.Fields(f.Tag.Get("enum"))})
				add(f.Type)
			}
			slices.Sort(s.names)
		}
	}
	for _, t := range roots {
		add(t)
	}
	return all
}

// field returns a structure's field by its JSON name. The field must exist.
func field(v reflect.Value, name string) reflect.Value {
	m, _ := structures()[v.Type()].member(name)
	return v.FieldByIndex(m.index)
}

// spot is a field anywhere in a job file; [] in its path stands for a list's
// entries, * for the names of a map's.
type spot struct {
	path string
	member
}

// spots lists every field of a job file, those of a structure after it.
var spots = sync.OnceValue(func() []spot { return spotsOf(reflect.TypeFor[document](), structures()) })

// spotsOf lists every field of a structure, known having those within it. One within
// itself is listed once.
func spotsOf(root reflect.Type, known map[reflect.Type]*structure) []spot {
	var list []spot
	within := map[reflect.Type]bool{}
	var walk func(t reflect.Type, path string)
	walk = func(t reflect.Type, path string) {
		switch t.Kind() {
		case reflect.Pointer:
			walk(t.Elem(), path)
		case reflect.Slice:
			walk(t.Elem(), path+"[]")
		case reflect.Map:
			walk(t.Elem(), join(path, "*"))
		case reflect.Struct:
			if within[t] {
				return
			}
			within[t] = true
			for _, m := range known[t].members {
				list = append(list, spot{join(path, m.name), m})
				walk(m.typ, join(path, m.name))
			}
			delete(within, t)
		}
	}
	walk(root, "")
	return list
}

// placesOf lists the fields that have exactly this name: most misplaced fields
// are a matter of indentation. What only jobdrop knows is not where a name from
// elsewhere belongs.
func placesOf(name, field string, spots []spot) []string {
	var places []string
	folded := ""
	if len(name) <= maxKey {
		folded = fold(name)
	}
	for _, s := range spots {
		if (s.name == camelCase(name) || fold(s.name) == folded) &&
			(!strings.HasPrefix(s.path, "jobdrop.") || strings.HasPrefix(field, "jobdrop")) {
			places = append(places, s.path)
		}
	}
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
	if len(name) > maxKey {
		return ""
	}
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

var separators = strings.NewReplacer("_", "", "-", "", " ", "")

// fold drops what people write in different ways.
func fold(name string) string { return strings.ToLower(separators.Replace(name)) }

func isRange(err error) bool {
	return errors.Is(err, strconv.ErrRange)
}

// enums returns the values of a field that has a set of them, without those that
// mean none.
func enums(path string) []string {
	for _, s := range spots() {
		if s.path == path {
			return specified(s.enum)
		}
	}
	panic("jobspec: no field " + path) // a name in this package is wrong
}

func tiers() []string { return enums(tierField) }

func acceleratorTypes() []string { return enums(below + "masterConfig.acceleratorConfig.type") }

// enumLike returns the value of allowed that text is, in whatever spelling, or that
// text has some words of, in their order; among several the shortest. Otherwise it
// returns "".
func enumLike(text string, allowed []string) string {
	best := ""
	words := strings.FieldsFunc(strings.ToUpper(text[:min(len(text), maxKey)]), func(r rune) bool {
		return strings.ContainsRune("_- ", r)
	})
	for _, value := range allowed {
		rest := strings.Split(value, "_")
		matches := len(words) > 0
		for _, word := range words {
			at := slices.Index(rest, word)
			if matches = matches && at >= 0; !matches {
				break
			}
			rest = rest[at+1:]
		}
		if matches && (best == "" || len(value) < len(best)) {
			best = value
		}
	}
	return best
}

// otherWords are what people call the values of enums elsewhere, as [fold] makes them.
var otherWords = map[string]string{
	"float": "DOUBLE", "real": "DOUBLE", "number": "DOUBLE", "decimal": "DOUBLE", "uniform": "DOUBLE",
	"int": "INTEGER", "long": "INTEGER", "quniform": "INTEGER",
	"category": "CATEGORICAL", "choice": "CATEGORICAL", "string": "CATEGORICAL", "str": "CATEGORICAL",
	"text": "CATEGORICAL", "bool": "CATEGORICAL", "boolean": "CATEGORICAL", "list": "DISCRETE", "ordinal": "DISCRETE",
	"log10": "UNIT_LOG_SCALE", "loguniform": "UNIT_LOG_SCALE", "logarithmic": "UNIT_LOG_SCALE",
	"ondemand": "STANDARD", "lowcost": "SPOT", "preemptible": "SPOT", "dws": "FLEX_START", "dwsflexstart": "FLEX_START",
	"reject": "refuse", "rejected": "refuse", "deny": "refuse", "queue": "wait", "monthly": "month", "skip": "withdraw",
	"lin": "UNIT_LINEAR_SCALE", "max": "MAXIMIZE", "maximise": "MAXIMIZE", "min": "MINIMIZE", "minimise": "MINIMIZE",
}

// meantBy returns the message and the remedy for a value that is not one of an
// enum's, if it is known what is meant by it.
func meantBy(value, field string, allowed []string, known *Catalogue) (message, remedy string) {
	if len(value) > maxKey {
		return "", ""
	}
	if field == tierField {
		lower := strings.ToLower(strings.TrimSpace(value))
		if _, ok := known.machine(lower); ok || isMachine(lower) && strings.ContainsAny(lower, "-_") && lower == value {
			return "this is a machine type, not a scale tier",
				"write scaleTier: CUSTOM and masterType: " + lower
		}
		if tier := enumLike(value, allowed); tier != "" {
			return "this is not a scale tier; did you mean " + tier + "?", "write " + tier
		}
		if gpu := enumLike(value, acceleratorTypes()); gpu != "" {
			return "this is an accelerator, not a scale tier",
				"write scaleTier: CUSTOM, masterType: n1-standard-8 and masterConfig.acceleratorConfig with type: " + gpu +
					" and count: 1"
		}
		return "", ""
	}
	meant := otherWords[fold(value)]
	if !slices.Contains(allowed, meant) {
		meant = enumLike(value, allowed)
	}
	switch {
	case meant != "":
		return "this is not one of the values allowed; did you mean " + meant + "?", "write " + meant
	case strings.HasSuffix(field, ".algorithm") && strings.Contains(fold(value), "bayes"):
		return "Bayesian optimization is what a job does that names no algorithm", "remove the field"
	case strings.HasSuffix(field, ".acceleratorConfig.type") && strings.HasPrefix(strings.ToUpper(value), "NVIDIA"):
		return "this is not an accelerator of AI Platform Training",
			"write one of those allowed, in whose place the operator can put others (policy: vertex.accelerators)"
	}
	return "", ""
}
