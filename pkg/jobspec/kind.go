package jobspec

import (
	"context"
	"reflect"
	"slices"
	"sync"

	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Kind is a kind of file that is written and reported on as job files are: YAML
// or JSON that fills a Go structure by its json and enum tags.
type Kind struct {
	file, whole string // what messages call the file, and what it describes
	// advice says what to do about a file that is too large, and empty what to
	// write into one that is empty.
	// twice is for a key that stands twice.
	advice, empty, twice string
	isDuration           func(field string) bool
	// foreign returns a violation if the file is for another program altogether.
	foreign    func(root *yaml.Node) *job.Violation
	structures func() map[reflect.Type]*structure
	spots      func() []spot
}

// NewKind makes a kind of file that fills a T. Messages call the file and what it
// describes as in "the job file" and "a job"; empty says what to write into an empty
// one. isDuration reports whether a field is a duration.
func NewKind[T any](file, whole, empty string, isDuration func(field string) bool) *Kind {
	k := &Kind{
		file:       file,
		whole:      whole,
		advice:     "shorten the lists",
		empty:      empty,
		twice:      "keep one of the two",
		isDuration: isDuration,
	}
	k.structures = sync.OnceValue(func() map[reflect.Type]*structure { return structuresOf(reflect.TypeFor[T]()) })
	k.spots = sync.OnceValue(func() []spot { return spotsOf(reflect.TypeFor[T](), k.structures()) })
	return k
}

// jobKind returns the kind of job files.
func jobKind() *Kind {
	return &Kind{
		file: "the job file", whole: "a job",
		advice: "move data out of the job file, into a package or an object that the trainer reads",
		empty: "describe the job: trainingInput with at least scaleTier, region, pythonModule, runtimeVersion and " +
			"pythonVersion",
		twice:      "keep one of the two; gcloud would take the first",
		isDuration: isDuration,
		foreign:    vertexSpec,
		structures: structures,
		spots:      spots,
	}
}

// Other is a decoded file of another kind than a job file, with the violations
// in it.
type Other struct {
	file *File
	out  *violations
}

// ParseOther decodes a file of a kind into out, which points to that kind's
// structure. The bounds and the violations are those of [Parse].
func ParseOther(name string, data []byte, k *Kind, out any) *Other {
	f := newFile(name)
	f.kind, f.other = k, reflect.ValueOf(out).Elem()
	return &Other{f, f.parse(context.Background(), data, f.other)}
}

// Name returns the file's name as violations carry it.
func (o *Other) Name() string { return o.file.Name }

// Position returns where a field stands, as [File.Position] does.
func (o *Other) Position(field string) job.Position { return o.file.Position(field) }

// Report adds a violation of a rule at a field, which it completes as [File.Violation]
// does. Of a field that could not be read it adds none: that was reported.
func (o *Other) Report(rule job.Rule, field string, v job.Violation) {
	if !o.file.silent(field) {
		o.out.add(o.file.Violation(rule, field, v))
	}
}

// ReportAt is like Report for a place within the field's value.
func (o *Other) ReportAt(rule job.Rule, field string, pos job.Position, v job.Violation) {
	if !o.file.silent(field) {
		v = o.file.Violation(rule, field, v)
		v.Position = pos
		o.out.add(v)
	}
}

// Violations returns what was found, sorted by position.
func (o *Other) Violations() []job.Violation { return o.out.sorted() }

// Given reports whether the file has a field with a value.
func (o *Other) Given(field string) bool {
	p, ok := o.file.places[field]
	return ok && !p.null
}

// Empty reports whether the file has a field without a value.
func (o *Other) Empty(field string) bool { return o.file.places[field].null }

// EmptyFields returns the fields that the file has without a value, sorted.
func (o *Other) EmptyFields() []string {
	var fields []string
	for field, p := range o.file.places {
		if p.null && field != "" {
			fields = append(fields, field)
		}
	}
	slices.Sort(fields)
	return fields
}
