// Package jobspec reads a drop's job file and checks it: YAML or JSON in the
// shape of ml/v1's Job, with jobdrop's own options under the key jobdrop.
//
// What gcloud and the service accept is accepted here, with a warning where it
// is accepted by luck. What either would refuse is a violation that names the
// line, the column and the remedy. All of a file's violations are gathered in
// one go, so that nobody repairs a file one upload at a time.
//
// The order is [Parse], then whatever fills in the spec from elsewhere
// ([File.SetMetadata], which beats the file, [File.ApplyDefaults], which the file
// beats, and the packages' names), then [File.Check].
package jobspec

import (
	"context"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// MaxSize is the most bytes a job file may have. Job files have a few hundred,
// the largest of those collected from public repositories have 2,000, and a tuning
// job with 20 parameters of 1,000 values has 200,000. The YAML parser needs up to
// 200 bytes of memory for each byte it reads, in each of the drops that a function
// of 512 MiB checks at once.
const MaxSize = 256 << 10

// maxShown is how many characters of a value a violation repeats: enough to
// recognise it, little enough for a chat message.
const maxShown = 80

// File is a decoded job file.
type File struct {
	// Name is the file's name within the drop; violations carry it.
	Name string
	// Spec is the job as the file describes it, in the API's own spelling.
	Spec job.Spec
	// Options is what stands under the key jobdrop.
	Options job.Options

	// kind is what the file was decoded as. Of one that is not a job file, other
	// is what it was decoded into.
	kind  *Kind
	other reflect.Value

	places map[string]place
	// origins maps fields that the file does not set to where they come from.
	origins map[string]string
	// unused says of fields that are not set why their default is not used.
	unused map[string]string
	// unreadable fields have a violation already: what the rules would say of
	// their emptiness is noise. A misspelt field excuses the one it stands for.
	unreadable map[string]bool
	excused    map[string]bool
}

// place is where a field stands and, for a scalar, what is written there.
type place struct {
	pos  job.Position
	key  job.Position // zero in a list
	text string
	null bool
	// parent is the length of the path of what the field is in: a map's key may
	// hold dots.
	parent int
}

// Parse decodes a job file (YAML or JSON). It never panics and always returns
// a File, which holds what could be decoded; the violations, sorted by
// position, say what could not.
func Parse(name string, data []byte) (*File, []job.Violation) {
	f, vs, _ := ParseContext(context.Background(), name, data) // which does not end
	return f, vs
}

// ParseContext is like [Parse] for a file that may be hostile: it ends with ctx, and
// returns an error only then.
func ParseContext(ctx context.Context, name string, data []byte) (*File, []job.Violation, error) {
	f := newFile(name)
	var doc document
	vs := f.parse(ctx, data, reflect.ValueOf(&doc).Elem())
	f.Spec, f.Options = doc.Spec, doc.Options
	if err := ctx.Err(); err != nil { // what was found may be the end's doing
		return nil, nil, fmt.Errorf("parse %s: %w", name, err)
	}
	return f, vs.sorted(), nil
}

// New makes a File of a job that is not read from one, as if a caller had set
// every field.
func New(name string, spec job.Spec) *File {
	f := newFile(name)
	f.Spec = spec
	return f
}

// parse decodes data into a value of the file's kind.
func (f *File) parse(ctx context.Context, data []byte, value reflect.Value) *violations {
	out := &violations{}
	root, fault := load(ctx, data, f.kind)
	if fault != nil {
		f.unreadable[""] = true
		v := f.Violation(fault.Rule, "", *fault)
		v.Position = fault.Position
		out.add(v)
		return out
	}
	f.places[""] = place{pos: position(root)}
	if f.kind.foreign != nil {
		if fault := f.kind.foreign(root); fault != nil {
			f.unreadable[""] = true
			v := f.Violation(fault.Rule, fault.Field, *fault)
			v.Position = fault.Position
			out.add(v)
			return out
		}
	}
	newDecoder(ctx, f, out).value(root, value, "", nil)
	return out
}

func newFile(name string) *File {
	return &File{
		Name:       name,
		kind:       jobKind(),
		places:     map[string]place{},
		origins:    map[string]string{},
		unused:     map[string]string{},
		unreadable: map[string]bool{},
		excused:    map[string]bool{},
	}
}

// Position returns where field stands in the file, for example
// trainingInput.hyperparameters.params[2].type: at a scalar's value, or at the key
// of anything larger. For a field that is not there, it returns the position of the
// nearest parent. It is zero if the field was set from elsewhere.
func (f *File) Position(field string) job.Position {
	if f.origin(field) != "" {
		return job.Position{}
	}
	for {
		if p, ok := f.places[field]; ok || field == "" {
			return p.pos
		}
		field = f.parent(field)
	}
}

// Violation completes v, which brings a Rule and a Message and as many of
// Allowed and Remedy as there are, into a violation of field: it fills in File,
// Field and Position, and, unless v has them, Severity (error) and Found. Found
// is the field's present value in Spec or Options; where that says nothing, it
// is the text in the file. Of a field that was set from elsewhere there is no
// Position, and the Remedy says where it comes from.
func (f *File) Violation(rule job.Rule, field string, v job.Violation) job.Violation {
	v.Rule = rule
	v.File = f.Name
	v.Field = printable(text.Shorten(field, 4*maxShown))
	v.Position = f.Position(field)
	if v.Severity == "" {
		v.Severity = job.Error
	}
	if v.Found == "" {
		v.Found = f.found(field)
	}
	if origin := f.origin(field); origin != "" {
		if v.Remedy != "" {
			v.Remedy += "; "
		}
		v.Remedy += "the value comes from " + origin
	} else if why := f.unused[field]; why != "" && f.current(field) == "" {
		v.Remedy += "; " + why
	}
	return v
}

// Origin returns where a field was set if not in the file: "metadata
// jobdrop-set-region", or the words given with the defaults.
func (f *File) Origin(field string) string { return f.origin(field) }

// Unreadable reports whether the field, or a parent of it, has a violation already
// because it could not be read. Such a field may be empty or not.
func (f *File) Unreadable(field string) bool { return f.silent(field) }

// origin returns where a field was set if not in the file.
func (f *File) origin(field string) string {
	for len(f.origins) > 0 && field != "" {
		if origin := f.origins[field]; origin != "" {
			return origin
		}
		if _, ok := f.places[field]; ok {
			break
		}
		field = f.parent(field)
	}
	return ""
}

func (f *File) found(field string) string {
	if text := f.current(field); text != "" {
		return show(text)
	}
	if text := f.places[field].text; text != "" {
		return show(text)
	}
	return ""
}

// current returns a scalar of Spec or Options by its path, or "" if it is empty or
// not there. It does not return the file's text, which would mislead if a caller
// replaced the value.
func (f *File) current(field string) string {
	v, known := f.other, structures
	if v.IsValid() {
		known = f.kind.structures
	} else {
		v = reflect.ValueOf(document{f.Spec, f.Options})
	}
	for field != "" {
		for v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return ""
			}
			v = v.Elem()
		}
		switch v.Kind() {
		case reflect.Struct:
			name, rest := field, ""
			if i := strings.IndexAny(field, ".["); i >= 0 {
				name, rest = field[:i], strings.TrimPrefix(field[i:], ".")
			}
			member, ok := known()[v.Type()].member(name)
			if !ok {
				return ""
			}
			v, field = v.FieldByIndex(member.index), rest
		case reflect.Slice:
			number, rest, _ := strings.Cut(strings.TrimPrefix(field, "["), "]")
			i, err := strconv.Atoi(number)
			if err != nil || i < 0 || i >= v.Len() {
				return ""
			}
			v, field = v.Index(i), strings.TrimPrefix(rest, ".")
		case reflect.Map: // a key may itself contain dots
			v, field = v.MapIndex(reflect.ValueOf(field)), ""
		default:
			return ""
		}
	}
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Int32, reflect.Int64:
		if n := v.Int(); n != 0 {
			return strconv.FormatInt(n, 10)
		}
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case reflect.Bool:
		if v.Bool() {
			return "true"
		}
	}
	return ""
}

// silent reports whether the rules skip field because it, or a parent, could not be
// read.
func (f *File) silent(field string) bool {
	if _, there := f.places[field]; !there && f.excused[field] {
		return true
	}
	for {
		if f.unreadable[field] {
			return true
		}
		if field == "" {
			return false
		}
		field = f.parent(field)
	}
}

// parent cuts the last step off a path. For the key of a map, with dots in it,
// that is not in the file the result may be no field at all; its own parent is
// then.
func (f *File) parent(field string) string {
	if p, ok := f.places[field]; ok {
		return field[:p.parent]
	}
	return field[:max(0, strings.LastIndexAny(field, ".["))]
}

func join(field, name string) string {
	if field == "" {
		return name
	}
	return field + "." + name
}

func element(field string, i int) string {
	return field + "[" + strconv.Itoa(i) + "]"
}

// show quotes a text of the file.
func show(s string) string { return text.Show(s, maxShown) }

// printable replaces what must not reach a terminal; keys are the file's own.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}
