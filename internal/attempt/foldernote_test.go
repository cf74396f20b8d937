package attempt

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Each case enters attempts, named by the generation of their job file, with packages, each named
// by a letter and a generation.
func TestFolderNote(t *testing.T) {
	file := func(generation int64) job.Object { return packageOf("d/job.yaml", generation) }
	p := func(name string, generation int64) job.Object { return packageOf("d/"+name+".tar.gz", generation) }
	type entered struct {
		file   int64
		listed []job.Object // all packages of the folder
		had    []job.Object // those of them that it was decided upon
	}
	tests := []struct {
		name    string
		entered []entered
		file    int64
		asks    []job.Object
		want    []job.Object
		over    bool // a newer attempt stands there
	}{
		{name: "nothing was decided", file: 2, asks: []job.Object{p("a", 1)}},
		{
			name:    "the same generation",
			entered: []entered{{2, []job.Object{p("a", 1)}, []job.Object{p("a", 1)}}},
			file:    3, asks: []job.Object{p("a", 1)}, want: []job.Object{p("a", 1)},
		},
		{
			name:    "a newer generation",
			entered: []entered{{2, []job.Object{p("a", 1)}, []job.Object{p("a", 1)}}},
			file:    3, asks: []job.Object{p("a", 4)},
		},
		{
			name:    "an older one, by a list that is late",
			entered: []entered{{5, []job.Object{p("a", 4)}, []job.Object{p("a", 4)}}},
			file:    6, asks: []job.Object{p("a", 1)}, want: []job.Object{p("a", 1)},
		},
		{
			name:    "its own entry",
			entered: []entered{{3, []job.Object{p("a", 1)}, []job.Object{p("a", 1)}}},
			file:    3, asks: []job.Object{p("a", 1)},
		},
		{
			name: "its own entry after another's",
			entered: []entered{{2, []job.Object{p("a", 1)}, []job.Object{p("a", 1)}},
				{3, []job.Object{p("a", 1)}, []job.Object{p("a", 1)}}},
			file: 3, asks: []job.Object{p("a", 1)}, want: []job.Object{p("a", 1)},
		},
		{
			name: "decided by the one before the last",
			entered: []entered{{2, []job.Object{p("a", 1)}, []job.Object{p("a", 1)}},
				{4, []job.Object{p("a", 1), p("b", 3)}, []job.Object{p("b", 3)}}},
			file: 5, asks: []job.Object{p("a", 1), p("b", 3)}, want: []job.Object{p("a", 1), p("b", 3)},
		},
		{
			name:    "there, and not decided upon",
			entered: []entered{{2, []job.Object{p("a", 1), p("b", 1)}, []job.Object{p("a", 1)}}},
			file:    3, asks: []job.Object{p("b", 1)},
		},
		{
			name:    "no longer in the folder, and then again",
			entered: []entered{{2, []job.Object{p("a", 1)}, []job.Object{p("a", 1)}}, {3, nil, nil}},
			file:    5, asks: []job.Object{p("a", 4)},
		},
		{
			name: "an older one, after its own entry", // a worker whose list is late
			entered: []entered{{2, []job.Object{p("a", 1)}, []job.Object{p("a", 1)}},
				{3, []job.Object{p("a", 4)}, []job.Object{p("a", 4)}}},
			file: 3, asks: []job.Object{p("a", 1)}, want: []job.Object{p("a", 1)},
		},
		{
			name:    "a newer attempt was decided",
			entered: []entered{{9, nil, nil}},
			file:    8, over: true,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var n FolderNote
			for _, e := range test.entered {
				before := n
				n = n.Enter(job.Drop{Bucket: "inbox", Folder: "d/", Packages: e.listed}, file(e.file), e.had)
				if again := n.Enter(job.Drop{Bucket: "inbox", Folder: "d/", Packages: e.listed}, file(e.file),
					e.had); !again.Equal(n) || before.Equal(n) {
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
func TestFolderNoteOfTwoWorkers(t *testing.T) {
	a, b := packageOf("d/a.tar.gz", 1), packageOf("d/b.tar.gz", 3)
	n := FolderNote{}.Enter(job.Drop{Packages: []job.Object{a, b}}, packageOf("d/job.yaml", 2), []job.Object{a, b})
	n = n.Enter(job.Drop{Packages: []job.Object{a}}, packageOf("d/job.yaml", 2), []job.Object{a})
	if len(n.Decided(packageOf("d/job.yaml", 4), []job.Object{b})) != 1 {
		t.Errorf("forgotten: %+v", n)
	}
	if older := packageOf("d/b.tar.gz", 2); !n.Outdates([]job.Object{a, older}) || n.Outdates([]job.Object{a, b}) {
		t.Errorf("of %+v the list that shows generation 2 is older, and one of generation 3 is not", n)
	}
}

// A note of an earlier revision does not say which packages it was about.
func TestFolderNoteOfAnEarlierRevision(t *testing.T) {
	a := packageOf("d/a.tar.gz", 1)
	n := FolderNote{Newest: Entered{Attempt: "x", Generation: 2}}
	if len(n.Decided(packageOf("d/job.yaml", 3), []job.Object{a})) != 1 ||
		len(n.Decided(packageOf("d/job.yaml", 2), []job.Object{a})) != 0 {
		t.Errorf("decided by %+v", n)
	}
	n = n.Enter(job.Drop{Packages: []job.Object{a}}, packageOf("d/job.yaml", 3), nil)
	if len(n.Decided(packageOf("d/job.yaml", 4), []job.Object{a})) != 0 {
		t.Errorf("decided by %+v", n)
	}
}

// The packages of a folder that is too large are not listed, and not forgotten.
func TestFolderNoteOfAFolderThatIsTooLarge(t *testing.T) {
	a := packageOf("d/a.tar.gz", 1)
	n := FolderNote{}.Enter(job.Drop{Packages: []job.Object{a}}, packageOf("d/job.yaml", 2), []job.Object{a})
	n = n.Enter(job.Drop{TooMany: job.ManyObjects}, packageOf("d/job.yaml", 3), nil)
	if len(n.Decided(packageOf("d/job.yaml", 4), []job.Object{a})) != 1 {
		t.Errorf("forgotten: %+v", n)
	}
}

// Each case enters contents by the generation of their job file, in this order.
func TestFolderNoteContents(t *testing.T) {
	file := func(generation int64) job.Object { return packageOf("d/job.yaml", generation) }
	tests := []struct {
		name    string
		entered []Content
		file    int64
		want    []int64
	}{
		{name: "none", file: 5},
		{name: "the same", entered: []Content{{3, "a"}}, file: 5, want: []int64{3}},
		{name: "another", entered: []Content{{3, "b"}}, file: 5},
		{
			name:    "the newest first",
			entered: []Content{{4, "a"}, {1, "a"}, {3, "a"}, {2, "b"}},
			file:    5, want: []int64{4, 3, 1},
		},
		{name: "its own", entered: []Content{{5, "a"}}, file: 5},
		{name: "a newer one", entered: []Content{{6, "a"}}, file: 5},
		{
			name:    "one of two by workers that saw other packages",
			entered: []Content{{3, "a"}, {3, "b"}},
			file:    5, want: []int64{3},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var n FolderNote
			for _, c := range test.entered {
				n = n.Enter(job.Drop{}, file(c.Generation), nil).EnterContent(file(c.Generation), c.Digest, nil, nil)
			}
			if diff := cmp.Diff(test.want, n.Same(file(test.file), "a")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if next := n.Enter(job.Drop{}, file(9), nil); !cmp.Equal(next.Contents, n.Contents) {
				t.Errorf("an attempt without a content left %+v of %+v", next.Contents, n.Contents)
			}
		})
	}
	old := FolderNote{Newest: Entered{Attempt: "x", Generation: 3}}
	if diff := cmp.Diff([]int64{3}, old.Same(file(5), "a")); diff != "" {
		t.Errorf("a note of an earlier revision (-want +got):\n%s", diff)
	}
	if same := old.Same(file(3), "a"); len(same) > 0 {
		t.Errorf("a note of an earlier revision has %d for its own attempt", same)
	}
}

// A note of an earlier revision holds no contents: its newest attempt may have any, until it is over.
func TestFolderNoteKeepsTheNewestOfAnEarlierRevision(t *testing.T) {
	file := func(generation int64) job.Object { return packageOf("d/job.yaml", generation) }
	n := FolderNote{Newest: Entered{Attempt: "x", Generation: 3}}
	n = n.Enter(job.Drop{}, file(5), nil).EnterContent(file(5), "b", nil, nil)
	if diff := cmp.Diff([]int64{3}, n.Same(file(7), "a")); diff != "" {
		t.Errorf("after other content (-want +got):\n%s", diff)
	}
	if !slices.Contains(n.contents(file(7)), Content{Generation: 3}) ||
		slices.Contains(n.contents(file(7)), Content{Generation: 5}) {
		t.Errorf("of %+v only the content of 3 is unknown", n.Contents)
	}
	rejected := FolderNote{Newest: Entered{Attempt: "x", Generation: 3}}.Enter(job.Drop{}, file(5), nil)
	if diff := cmp.Diff([]int64{3}, rejected.Same(file(7), "a")); diff != "" {
		t.Errorf("after an attempt without a content (-want +got):\n%s", diff)
	}
	n = n.Enter(job.Drop{}, file(7), nil).EnterContent(file(7), "a", []int64{3}, nil)
	if diff := cmp.Diff([]int64{7}, n.Same(file(9), "a")); diff != "" {
		t.Errorf("over (-want +got):\n%s", diff)
	}
}

// A note forgets attempts that are over, comes to each of the others in turn, and keeps no more
// contents than can be read.
func TestFolderNoteCrowd(t *testing.T) {
	file := func(generation int64) job.Object { return packageOf("d/job.yaml", generation) }
	var n FolderNote
	for i := range int64(keptContents) {
		if crowd := n.Crowd(file(i + 1)); len(crowd) > 0 {
			t.Errorf("of %d contents, %d are looked at", i, crowd)
		}
		n = n.EnterContent(file(i+1), "a", nil, nil)
	}
	if diff := cmp.Diff([]int64{1, 2}, n.Crowd(file(100))); diff != "" {
		t.Errorf("full (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{2, 3}, n.Crowd(file(1))); diff != "" {
		t.Errorf("not its own (-want +got):\n%s", diff)
	}
	before := fmt.Sprint(n)
	next := n.EnterContent(file(100), "b", []int64{1}, []int64{2})
	if fmt.Sprint(n) != before {
		t.Errorf("the note was changed: %+v", n)
	}
	if diff := cmp.Diff([]int64{3, 4}, next.Crowd(file(101))); diff != "" {
		t.Errorf("then (-want +got):\n%s", diff)
	}
	if len(next.Contents) != keptContents || !slices.Contains(next.Contents, Content{2, "a"}) {
		t.Errorf("%d contents: %+v", len(next.Contents), next.Contents)
	}
	if again := next.EnterContent(file(100), "b", []int64{1}, nil); !again.Equal(next) {
		t.Errorf("entered again: %+v, before %+v", again, next)
	}
	for i := range int64(2 * maxContents) {
		next = next.EnterContent(file(1000+i), "a", nil, nil)
	}
	last := next.Contents[len(next.Contents)-1].Generation
	if n := len(next.Contents); n != maxContents || last != 999+2*maxContents {
		t.Errorf("%d contents, the last of generation %d", n, last)
	}
}

func packageOf(name string, generation int64) job.Object {
	return job.Object{Bucket: "inbox", Name: name, Generation: generation, Size: 10, CRC32C: "sum" + name}
}
