package job

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a folder's note says after attempts, each by the generation of its job file,
// were decided upon packages, each named a letter and a generation.
func TestNote(t *testing.T) {
	file := func(generation int64) Object { return object("d/job.yaml", generation) }
	p := func(name string, generation int64) Object { return object("d/"+name+".tar.gz", generation) }
	type entered struct {
		file   int64
		listed []Object // all packages of the folder
		had    []Object // those of them that it was decided upon
	}
	tests := []struct {
		name    string
		entered []entered
		file    int64
		asks    []Object
		want    []Object
		over    bool // a newer attempt stands there
	}{
		{name: "nothing was decided", file: 2, asks: []Object{p("a", 1)}},
		{
			name: "the same generation", entered: []entered{{2, []Object{p("a", 1)}, []Object{p("a", 1)}}},
			file: 3, asks: []Object{p("a", 1)}, want: []Object{p("a", 1)},
		},
		{
			name: "a newer generation", entered: []entered{{2, []Object{p("a", 1)}, []Object{p("a", 1)}}},
			file: 3, asks: []Object{p("a", 4)},
		},
		{
			name: "an older one, by a list that is late", entered: []entered{{5, []Object{p("a", 4)}, []Object{p("a", 4)}}},
			file: 6, asks: []Object{p("a", 1)}, want: []Object{p("a", 1)},
		},
		{
			name: "its own entry", entered: []entered{{3, []Object{p("a", 1)}, []Object{p("a", 1)}}},
			file: 3, asks: []Object{p("a", 1)},
		},
		{
			name:    "its own entry after another's",
			entered: []entered{{2, []Object{p("a", 1)}, []Object{p("a", 1)}}, {3, []Object{p("a", 1)}, []Object{p("a", 1)}}},
			file:    3, asks: []Object{p("a", 1)}, want: []Object{p("a", 1)},
		},
		{
			name:    "decided by the one before the last",
			entered: []entered{{2, []Object{p("a", 1)}, []Object{p("a", 1)}}, {4, []Object{p("a", 1), p("b", 3)}, []Object{p("b", 3)}}},
			file:    5, asks: []Object{p("a", 1), p("b", 3)}, want: []Object{p("a", 1), p("b", 3)},
		},
		{
			name: "there, and not decided upon", entered: []entered{{2, []Object{p("a", 1), p("b", 1)}, []Object{p("a", 1)}}},
			file: 3, asks: []Object{p("b", 1)},
		},
		{
			name:    "no longer in the folder, and then again",
			entered: []entered{{2, []Object{p("a", 1)}, []Object{p("a", 1)}}, {3, nil, nil}},
			file:    5, asks: []Object{p("a", 4)},
		},
		{
			name:    "an older one, after its own entry", // a worker whose list is late
			entered: []entered{{2, []Object{p("a", 1)}, []Object{p("a", 1)}}, {3, []Object{p("a", 4)}, []Object{p("a", 4)}}},
			file:    3, asks: []Object{p("a", 1)}, want: []Object{p("a", 1)},
		},
		{
			name: "a newer attempt was decided", entered: []entered{{9, nil, nil}},
			file: 8, over: true,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var n Note
			for _, e := range test.entered {
				before := n
				n = n.Enter(Drop{Bucket: "inbox", Folder: "d/", Packages: e.listed}, file(e.file), e.had)
				if again := n.Enter(Drop{Bucket: "inbox", Folder: "d/", Packages: e.listed}, file(e.file), e.had); !again.Equal(n) || before.Equal(n) {
					t.Errorf("entered: %+v, again: %+v", n, again)
				}
			}
			if diff := cmp.Diff(test.want, n.Decided(file(test.file), test.asks)); diff != "" {
				t.Errorf("decided (-want +got):\n%s", diff)
			}
			if got := n.Supersedes(file(test.file)); got != test.over {
				t.Errorf("Supersedes() = %t, want %t", got, test.over)
			}
			if len(n.Packages) > 0 && len(test.entered) > 0 && len(n.Packages) > len(test.entered[len(test.entered)-1].listed) {
				t.Errorf("the note keeps names that are not in the folder: %+v", n.Packages)
			}
		})
	}
}

// Another worker of the same attempt saw a package that came later: its entry stays.
func TestNoteOfTwoWorkers(t *testing.T) {
	a, b := object("d/a.tar.gz", 1), object("d/b.tar.gz", 3)
	n := Note{}.Enter(Drop{Packages: []Object{a, b}}, object("d/job.yaml", 2), []Object{a, b})
	n = n.Enter(Drop{Packages: []Object{a}}, object("d/job.yaml", 2), []Object{a})
	if len(n.Decided(object("d/job.yaml", 4), []Object{b})) != 1 {
		t.Errorf("forgotten: %+v", n)
	}
	if older := object("d/b.tar.gz", 2); !n.Outdates([]Object{a, older}) || n.Outdates([]Object{a, b}) {
		t.Errorf("of %+v the list that shows generation 2 is older, and one of generation 3 is not", n)
	}
}

// A note of an earlier revision does not say which packages it was about.
func TestNoteOfAnEarlierRevision(t *testing.T) {
	a := object("d/a.tar.gz", 1)
	n := Note{Newest: Entered{Attempt: "x", Generation: 2}}
	if len(n.Decided(object("d/job.yaml", 3), []Object{a})) != 1 || len(n.Decided(object("d/job.yaml", 2), []Object{a})) != 0 {
		t.Errorf("decided by %+v", n)
	}
	n = n.Enter(Drop{Packages: []Object{a}}, object("d/job.yaml", 3), nil)
	if len(n.Decided(object("d/job.yaml", 4), []Object{a})) != 0 {
		t.Errorf("decided by %+v", n)
	}
}

// Of a folder that is too large the packages are not listed, and not forgotten.
func TestNoteOfAFolderThatIsTooLarge(t *testing.T) {
	a := object("d/a.tar.gz", 1)
	n := Note{}.Enter(Drop{Packages: []Object{a}}, object("d/job.yaml", 2), []Object{a})
	n = n.Enter(Drop{TooMany: ManyObjects}, object("d/job.yaml", 3), nil)
	if len(n.Decided(object("d/job.yaml", 4), []Object{a})) != 1 {
		t.Errorf("forgotten: %+v", n)
	}
}
