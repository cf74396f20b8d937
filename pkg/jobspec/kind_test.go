package jobspec_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// tree is a structure within itself, with maps of structures and of lists.
type tree struct {
	Name    string              `json:"name"`
	Size    int64               `json:"size"`
	Trees   []tree              `json:"trees"`
	First   *tree               `json:"first"`
	ByName  map[string]tree     `json:"byName"`
	Words   map[string][]string `json:"words"`
	Texts   map[string]string   `json:"texts"`
	Weather string              `json:"weather" enum:"sun rain"`
}

var treeKind = jobspec.NewKind[tree]("the tree", "a tree", "write name:", func(string) bool { return false })

func TestOtherKind(t *testing.T) {
	const data = `name: root
trees:
- {name: a, trees: [{name: b, first: {name: c}}]}
byName:
  x.y@z[0]: {name: d, byName: {e: {size: 3}}}
  nothing:
words: {one: a, two: [b, c], none: }
texts: {none: }
`
	var got tree
	o := jobspec.ParseOther("tree.yaml", []byte(data), treeKind, &got)
	if vs := o.Violations(); len(vs) > 0 {
		t.Error(vs)
	}
	want := tree{
		Name:  "root",
		Trees: []tree{{Name: "a", Trees: []tree{{Name: "b", First: &tree{Name: "c"}}}}},
		ByName: map[string]tree{
			"x.y@z[0]": {Name: "d", ByName: map[string]tree{"e": {Size: 3}}},
			"nothing":  {}, // its name alone may say something
		},
		Words: map[string][]string{"one": {"a"}, "two": {"b", "c"}},
		Texts: map[string]string{},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"byName.nothing", "texts.none", "words.none"}, o.EmptyFields()); diff != "" {
		t.Errorf("empty fields (-want +got):\n%s", diff)
	}
	for field, want := range map[string]job.Position{
		"trees[0].trees[0].first.name": {Line: 3, Column: 45}, "byName.x.y@z[0].byName.e.size": {Line: 5, Column: 42},
		"byName.x.y@z[0].weather": {Line: 5, Column: 3}, "byName.nothing": {Line: 6, Column: 3}, "words.two[1]": {Line: 7,
			Column: 26},
	} {
		if got := o.Position(field); got != want {
			t.Errorf("%s stands at %v, want %v", field, got, want)
		}
	}
}

// What is reported names the value, also of a field within a map's entry, and a place of the caller's own.
func TestOtherReports(t *testing.T) {
	var got tree
	o := jobspec.ParseOther("tree.yaml", []byte(`byName: {a.b: {size: 3, trees: [{name: x}]}}
words: {a.b: [p, q], a: []}
trees: [{weather: snow, nam: x, trees: [{weathr: sun}]}]
first: {}
`), treeKind, &got)
	v := job.Violation{Message: "m"}
	o.Report("r", "byName.a.b.size", v)
	o.Report("r", "byName.a.b.trees[0].name", v)
	o.Report("r", "words.a.b[1]", v)
	o.ReportAt("r", "first", job.Position{Line: 4, Column: 9}, v)
	o.ReportAt("r", "trees[0].weather", job.Position{Line: 1, Column: 1}, v) // could not be read: that was said
	var list []string
	for _, v := range o.Violations() {
		list = append(list, fmt.Sprintf("%d:%d %s %s found %q", v.Line, v.Column, v.Rule, v.Field, v.Found))
	}
	if diff := cmp.Diff([]string{
		`1:22 r byName.a.b.size found "3"`,
		`1:40 r byName.a.b.trees[0].name found "x"`,
		`2:18 r words.a.b[1] found "q"`,
		`3:19 enum trees[0].weather found "snow"`,
		`3:25 unknown-field trees[0].nam found "x"`,
		`3:42 unknown-field trees[0].trees[0].weathr found "sun"`,
		`4:9 r first found ""`,
	}, list); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A name that stands in the wrong place is looked for within maps, and once within a structure that holds itself.
func TestOtherMisplaced(t *testing.T) {
	type leaf struct {
		Colour string `json:"colour"`
	}
	type branch struct {
		Leaves map[string]leaf `json:"leaves"`
		Next   []tree          `json:"next"`
	}
	kind := jobspec.NewKind[branch]("the branch", "a branch", "write leaves:", func(string) bool { return false })
	var got branch
	vs := jobspec.ParseOther("b.yaml", []byte("colour: red\nsize: 3\n"), kind, &got).Violations()
	var remedies []string
	for _, v := range vs {
		remedies = append(remedies, v.Remedy)
	}
	want := []string{"move it to leaves.*.colour", "move it to next[].size"}
	if diff := cmp.Diff(want, remedies); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
