package jobspec

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// MetadataPrefix begins the names of object metadata that set a field of the
// job: jobdrop-set-region.
const MetadataPrefix = "jobdrop-set-"

// maxMetadata is Cloud Storage's bound for an object's custom metadata in all,
// in bytes. That many bytes hold no more than a hundred settings.
const (
	maxMetadata = 8 << 10
	maxSettings = 100
)

// setting is one piece of metadata with the field that it sets.
type setting struct {
	key, value string
	field      spot
}

func (s setting) origin() string { return "metadata " + printable(text.Shorten(s.key, maxShown)) }

// SetMetadata sets the fields that the job file's object metadata names, under
// keys that begin with [MetadataPrefix] and go on with the path of a field,
// whole or below trainingInput: jobdrop-set-region,
// jobdrop-set-scheduling.maxRunningTime, jobdrop-set-labels. Of jobdrop's own
// options those for Vertex AI can be set: jobdrop-set-vertex.strategy. Case, dashes and
// underscores don't matter, since Cloud Storage's XML API lowers the case of
// metadata. Text is taken as it is, so that runtimeVersion 2.10 needs no quotes;
// lists and mappings are written in YAML's flow form or in JSON, and replace the
// file's. What can't be set is a violation and leaves the field as it was.
func (f *File) SetMetadata(metadata map[string]string) []job.Violation {
	out := &violations{}
	settings := f.settings(metadata, out)
	left := maxMetadata // no honest value has more parts than bytes
	for i, s := range settings {
		if i > 0 && s.field.path == settings[i-1].field.path {
			f.refuse(out, s, job.Violation{
				Rule:    ruleMetadataTwice,
				Message: fmt.Sprintf("the metadata %s sets the same field", printable(text.Shorten(settings[i-1].key, maxShown))),
				Remedy:  "remove one of the two",
			})
			continue
		}
		if f.set(s, &left, out); left < 0 {
			break
		}
	}
	return out.sorted()
}

// settings finds the fields that metadata names: parents before what is within
// them, whose own setting then counts.
func (f *File) settings(metadata map[string]string, out *violations) []setting {
	var list []setting
	size := 0
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		if len(key) < len(MetadataPrefix) || !strings.EqualFold(key[:len(MetadataPrefix)], MetadataPrefix) {
			continue
		}
		s := setting{key: key, value: metadata[key]}
		if size += len(key) + len(s.value); size > maxMetadata || len(list) == maxSettings {
			f.refuse(out, s, job.Violation{
				Rule:    ruleMetadataSize,
				Found:   "more",
				Allowed: fmt.Sprintf("at most %d settings and %d bytes in all", maxSettings, maxMetadata),
				Message: "the object's metadata sets too much",
				Remedy:  "write the fields into the job file",
			})
			return nil
		}
		name := fold(key[len(MetadataPrefix):])
		field, ok := settable()[name]
		if !ok {
			f.refuse(out, s, unknownSetting(name, key[len(MetadataPrefix):]))
			continue
		}
		s.field = field
		list = append(list, s)
	}
	slices.SortStableFunc(list, func(a, b setting) int { return strings.Compare(a.field.path, b.field.path) })
	return list
}

// refuse reports a setting. Nothing in the file is to blame, so there is no
// position.
func (f *File) refuse(out *violations, s setting, v job.Violation) {
	v.File, v.Position = f.Name, job.Position{}
	if v.Severity == "" {
		v.Severity = job.Error
	}
	if v.Field == "" {
		v.Field = s.field.path
	}
	if v.Found == "" {
		v.Found = show(s.value)
	}
	if suffix := "the value comes from " + s.origin(); v.Field != "" && !strings.HasSuffix(v.Remedy, suffix) {
		v.Remedy += "; " + suffix
	}
	out.add(v)
}

// settable maps the names of fields that metadata can set, folded, to the
// fields.
var settable = sync.OnceValue(func() map[string]spot {
	fields := map[string]spot{}
	for _, s := range spots() {
		short := settingName(s.path)
		ours := s.path == vertexField || strings.HasPrefix(s.path, vertexField+".")
		if strings.Contains(s.path, "[]") ||
			!ours && s.path != "jobId" && s.path != "labels" && !strings.HasPrefix(s.path, trainingInput+".") {
			continue
		}
		fields[fold(s.path)] = s
		fields[fold(short)] = s
	}
	return fields
})

// settingName returns the shortest name by which metadata can set a field.
func settingName(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, trainingInput+"."), options)
}

// options begins the paths of jobdrop's own options.
const options = "jobdrop."

const trainingInput = "trainingInput"

// unknownSetting returns a violation that says what metadata may have meant.
func unknownSetting(name, written string) job.Violation {
	v := job.Violation{
		Rule:    ruleMetadataField,
		Found:   show(MetadataPrefix + written),
		Message: "the object's metadata names a field that it can't set",
		Remedy:  "name a field as in " + MetadataPrefix + "region, or remove the metadata",
	}
	if rest, own := strings.CutPrefix(name, options); (own && !strings.HasPrefix(rest, "vertex.")) || name == "jobdrop" {
		v.Message = "of jobdrop's own options the object's metadata can set only those below vertex"
		v.Remedy = "write it into the job file, below jobdrop:"
		return v
	}
	var places []string
	last := name[strings.LastIndex(name, ".")+1:]
	for _, folded := range slices.Sorted(maps.Keys(settable())) {
		if s := settable()[folded]; fold(s.path) == folded && fold(s.name) == last {
			places = append(places, MetadataPrefix+settingName(s.path))
		}
	}
	switch {
	case len(places) == 1:
		v.Remedy = "write " + places[0]
	case len(places) > 1:
		v.Message = "the object's metadata names a field that stands in several places"
		v.Allowed = strings.Join(places, ", ")
		v.Remedy = "write the field's path"
	default:
		if close := closest(name, slices.Sorted(maps.Keys(settable()))); close != "" {
			v.Remedy = "write " + MetadataPrefix + settingName(settable()[close].path)
		}
	}
	return v
}

// set decodes one setting apart from the file, and takes it over if nothing is
// wrong with it. left is how much all settings together may still visit.
func (f *File) set(s setting, left *int, out *violations) {
	node, fault := s.node(f.kind)
	if fault != nil {
		f.unreadable[s.field.path] = true
		f.refuse(out, s, *fault)
		return
	}
	scratch := newFile(f.Name)
	scratch.origins[s.field.path] = s.origin()
	found := &violations{}
	value := reflect.New(s.field.typ).Elem()
	d := newDecoder(context.Background(), scratch, found)
	d.left = *left
	d.over = job.Violation{
		Rule:    ruleMetadataSize,
		Found:   "more",
		Allowed: fmt.Sprintf("at most %d keys and values in all, those behind aliases counted at each use", maxMetadata),
		Message: "the object's metadata sets too much",
		Remedy:  "write the fields into the job file",
	}
	scratch.places[s.field.path] = place{text: s.value}
	d.value(node, value, s.field.path, s.field.enum)
	*left = d.left
	delete(scratch.places, s.field.path)
	for _, v := range found.sorted() {
		f.refuse(out, s, v)
	}
	if job.HasErrors(found.list) {
		f.unreadable[s.field.path] = true
		return
	}
	f.forget(s.field.path)
	if own, ok := strings.CutPrefix(s.field.path, options); ok {
		reach(reflect.ValueOf(&f.Options).Elem(), own).Set(value)
	} else {
		reach(reflect.ValueOf(&f.Spec).Elem(), s.field.path).Set(value)
	}
	f.origins[s.field.path] = s.origin()
}

// node returns the value as the decoder takes it: text as if in quotes, numbers and
// booleans as if without, anything else as YAML.
func (s setting) node(k *Kind) (*yaml.Node, *job.Violation) {
	if _, what := badCharacter([]byte(s.value)); what != "" {
		return nil, &job.Violation{
			Rule:    ruleMetadataText,
			Found:   what,
			Message: "the metadata is not plain text in UTF-8",
			Remedy:  "write the value again",
		}
	}
	value := strings.TrimSpace(s.value)
	if value == "" {
		return nil, &job.Violation{
			Rule:    ruleMetadataEmpty,
			Message: "the metadata has no value",
			Remedy:  "write a value, or remove the metadata",
		}
	}
	switch s.field.typ.Kind() {
	case reflect.String:
		return &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Tag: "!!str", Value: s.value}, nil
	case reflect.Bool, reflect.Int32, reflect.Int64:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: value}, nil
	}
	node, fault := load(context.Background(), []byte(value), k)
	if fault != nil {
		fault.Message = "the metadata is not valid YAML in flow form"
		fault.Remedy = "write it as in [a, b], or in {a: b} for a mapping"
	}
	return node, fault
}

// forget drops what the file says of a field and of all within it.
func (f *File) forget(field string) {
	within := func(path string) bool {
		rest, ok := strings.CutPrefix(path, field)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	}
	maps.DeleteFunc(f.places, func(path string, _ place) bool { return within(path) })
	maps.DeleteFunc(f.origins, func(path, _ string) bool { return within(path) })
	maps.DeleteFunc(f.unreadable, func(path string, _ bool) bool { return within(path) })
	maps.DeleteFunc(f.excused, func(path string, _ bool) bool { return within(path) })
}

// reach returns the field of v with this path, which goes through structures only.
// It makes those that are missing.
func reach(v reflect.Value, path string) reflect.Value {
	for path != "" {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		}
		name, rest, _ := strings.Cut(path, ".")
		v, path = field(v, name), rest
	}
	return v
}
