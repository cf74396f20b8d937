package jobspec

import (
	"fmt"
	"reflect"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// trainingFields is the structure below trainingInput.
var trainingFields = sync.OnceValue(func() *structure { return structures()[reflect.TypeFor[job.TrainingInput]()] })

// isTrainingField reports whether a key names a field of a training input.
func isTrainingField(key string) bool {
	_, ok := trainingFields().member(trainingFields().canonical(key))
	return ok
}

// empty is a field of a structure that has no value in the file.
type empty struct {
	at     int // index of its key in the mapping's content
	name   string
	fields *structure
	moved  []*yaml.Node // keys and values that stand beside the field
}

// indented returns n with those keys moved that stand beside an empty field and
// belong into it: whoever wrote them has not indented them. Each such field is one
// violation, and what is in the keys is then checked where it belongs.
func (d *decoder) indented(n *yaml.Node, s *structure, field string) *yaml.Node {
	if d.done() {
		return n
	}
	blanks := d.empties(n, s)
	if field == "" && !d.other() && !has(n, s, trainingInput) {
		blanks = append(blanks, empty{at: -1, name: trainingInput, fields: trainingFields()})
	}
	if len(blanks) == 0 {
		return n
	}
	content := make([]*yaml.Node, 0, len(n.Content))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		into := -1
		if _, known := s.member(s.canonical(key.Value)); key.Kind == yaml.ScalarNode && !known && len(key.Value) <= maxKey {
			for b := range blanks {
				if _, fits := blanks[b].fields.member(blanks[b].fields.canonical(key.Value)); fits &&
					(into < 0 || blanks[b].at < i) {
					into = b
				}
			}
		}
		if into >= 0 {
			blanks[into].moved = append(blanks[into].moved, key, value)
			continue
		}
		content = append(content, key, value)
	}
	for _, b := range blanks {
		if len(b.moved) == 0 {
			continue
		}
		var key *yaml.Node
		key, content = b.fill(n, content)
		d.notIndented(join(field, b.name), key, b)
	}
	moved := *n
	moved.Content = content
	return &moved
}

// empties lists the members of a structure that hold fields and that n leaves empty.
func (d *decoder) empties(n *yaml.Node, s *structure) []empty {
	var list []empty
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], target(n.Content[i+1])
		if !isNull(value) && !(value.Kind == yaml.MappingNode && len(value.Content) == 0) || key.Kind != yaml.ScalarNode {
			continue
		}
		m, ok := s.member(s.canonical(key.Value))
		if ok && m.typ.Kind() == reflect.Pointer && m.typ.Elem().Kind() == reflect.Struct {
			list = append(list, empty{at: i, name: m.name, fields: d.f.kind.structures()[m.typ.Elem()]})
		}
	}
	return list
}

// has reports whether a mapping has a field.
func has(n *yaml.Node, s *structure, name string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].ShortTag() == "!!merge" || s.canonical(n.Content[i].Value) == name {
			return true
		}
	}
	return false
}

// fill puts the moved keys into the field, in n's content less those keys. It
// returns the field's key.
func (b empty) fill(n *yaml.Node, content []*yaml.Node) (*yaml.Node, []*yaml.Node) {
	first := b.moved[0]
	value := &yaml.Node{
		Kind: yaml.MappingNode, Tag: "!!map", Line: first.Line, Column: first.Column, Content: b.moved,
	}
	if b.at < 0 {
		key := &yaml.Node{
			Kind: yaml.ScalarNode, Tag: "!!str", Value: b.name, Line: first.Line, Column: first.Column,
		}
		return key, append(content, key, value)
	}
	key := n.Content[b.at]
	for i := 0; i < len(content); i += 2 {
		if content[i] == key {
			content[i+1] = value
		}
	}
	return key, content
}

// notIndented reports fields that stand beside the one that they belong into.
func (d *decoder) notIndented(path string, key *yaml.Node, b empty) {
	var names []string
	for i := 0; i < len(b.moved) && len(names) < 4; i += 2 {
		names = append(names, printable(text.Shorten(b.moved[i].Value, maxShown)))
	}
	if len(b.moved)/2 > len(names) {
		names = append(names, fmt.Sprintf("%d more", len(b.moved)/2-len(names)))
	}
	listed := names[0]
	if last := len(names) - 1; last > 0 {
		listed = strings.Join(names[:last], ", ") + " and " + names[last]
	}
	verb, belong := "stands", "belongs"
	if len(names) > 1 {
		verb, belong = "stand", "belong"
	}
	v := job.Violation{}
	if b.at < 0 {
		v.Message = fmt.Sprintf("%s %s at the top, and %s below %s", listed, verb, belong, b.name)
		v.Remedy = fmt.Sprintf("write %s: above, and indent the lines below it by two spaces", b.name)
	} else {
		v.Message = fmt.Sprintf("%s is empty: %s %s beside it, not below", b.name, listed, verb)
		v.Remedy = fmt.Sprintf("indent the lines below %s: by two spaces", b.name)
	}
	v = d.f.Violation(ruleNotIndented, path, v)
	v.Position = position(key)
	d.out.add(v)
}
