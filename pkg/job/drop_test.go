package job

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func object(name string, generation int64) Object {
	return Object{Bucket: "inbox", Name: name, Generation: generation, Size: 10, CRC32C: "sum" + name}
}

func TestIsPart(t *testing.T) {
	tests := []struct {
		name string
		size int64
		want bool
	}{
		{"census/job.yaml", 1, true},
		{"job.yml", 1, true},
		{"a/b/job.json", 1, true},
		{"census/trainer-0.1.tar.gz", 1, true},
		{"census/trainer.tgz", 1, true},
		{"census/trainer-0.1-py3-none-any.whl", 1, true},
		{"census/job.yaml", 0, false}, // gcsfuse's first write
		{"census/", 0, false},
		{"job.yaml/", 1, false},
		{"census/my-job.yaml", 1, false},
		{"census/status.json", 1, false},
		{"census/.tar.gz", 1, false},
		{"census/data.csv", 1, false},
		{"gsutil/tmp/parallel_composite_uploads/for_details_see/gsutil_help_cp/abc/trainer.tar.gz_0", 1, false},
	}
	for _, test := range tests {
		if got := IsPart(test.name, test.size); got != test.want {
			t.Errorf("IsPart(%q, %d) = %t, want %t", test.name, test.size, got, test.want)
		}
	}
}

func TestAssemble(t *testing.T) {
	d := Assemble("inbox", "census/", []Object{
		object("census/z.whl", 3), object("census/job.yaml", 1), object("census/sub/job.yaml", 9),
		object("census/a.tar.gz", 2), object("census/readme.md", 4), object("census/job.json", 5),
	})
	want := Drop{
		Bucket: "inbox", Folder: "census/",
		JobFiles: []Object{object("census/job.json", 5), object("census/job.yaml", 1)},
		Packages: []Object{object("census/a.tar.gz", 2), object("census/z.whl", 3)},
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("drop (-want +got):\n%s", diff)
	}
	if f, _ := d.JobFile(); f.Generation != 5 {
		t.Errorf("job file is %+v, want the newest", f)
	}
}

func TestResolve(t *testing.T) {
	one := []Object{object("census/a.tar.gz", 2)}
	two := []Object{object("census/a.tar.gz", 2), object("census/b.whl", 3)}
	tests := []struct {
		name     string
		packages []Object
		uris     []string
		image    bool
		pins     []Pin
		want     Resolution
	}{
		{
			"none named, one there", one, nil, false, nil,
			Resolution{URIs: []string{"gs://inbox/census/a.tar.gz"}, Packages: one, Unpinned: one},
		},
		{
			"none named, none there", nil, nil, false, nil,
			Resolution{Missing: []string{"a package (*.tar.gz, *.tgz or *.whl)"}},
		},
		{"none named, two there", two, nil, false, nil, Resolution{Ambiguous: true}},
		{
			"named twice", one, []string{"a.tar.gz", "a.tar.gz"}, false, nil,
			Resolution{URIs: []string{"gs://inbox/census/a.tar.gz", "gs://inbox/census/a.tar.gz"}, Packages: one, Unpinned: one},
		},
		{"none needed", two, nil, true, nil, Resolution{}},
		{
			"by name", two, []string{"b.whl", "a.tar.gz"}, false, nil,
			Resolution{
				URIs: []string{"gs://inbox/census/b.whl", "gs://inbox/census/a.tar.gz"}, Packages: []Object{two[1], two[0]},
				Unpinned: []Object{two[1], two[0]},
			},
		},
		{
			"by own URI", two, []string{"gs://inbox/census/a.tar.gz"}, false, nil,
			Resolution{URIs: []string{"gs://inbox/census/a.tar.gz"}, Packages: one, Unpinned: one},
		},
		{
			"one not there", one, []string{"a.tar.gz", "c.whl"}, false, nil,
			Resolution{
				URIs: []string{"gs://inbox/census/a.tar.gz", "gs://inbox/census/c.whl"}, Packages: one, Unpinned: one,
				Missing: []string{"c.whl"},
			},
		},
		{
			"elsewhere", one, []string{"gs://other/c.whl", "gs://inbox/census/deep/c.whl"}, false, nil,
			Resolution{
				URIs:    []string{"gs://other/c.whl", "gs://inbox/census/deep/c.whl"},
				Outside: []string{"gs://other/c.whl", "gs://inbox/census/deep/c.whl"},
			},
		},
		{
			"no name of a package", one, []string{"../x.tar.gz", "setup.py"}, false, nil,
			Resolution{URIs: []string{"../x.tar.gz", "setup.py"}},
		},
		{
			"pinned and there", one, nil, false, []Pin{{Name: "a.tar.gz", Generation: 2}},
			Resolution{URIs: []string{"gs://inbox/census/a.tar.gz"}, Packages: one},
		},
		{
			"pinned to a later generation", one, nil, false, []Pin{{Name: "a.tar.gz", Generation: 8}},
			Resolution{
				URIs:    []string{"gs://inbox/census/a.tar.gz"},
				Missing: []string{"a.tar.gz (generation 8), in whose place generation 2 is there"}, Mispinned: true,
			},
		},
		{
			"pinned to other content", one, nil, false, []Pin{{Name: "a.tar.gz", CRC32C: "x"}},
			Resolution{
				URIs:    []string{"gs://inbox/census/a.tar.gz"},
				Missing: []string{"a.tar.gz (CRC32C x), in whose place generation 2 is there"}, Mispinned: true,
			},
		},
		{
			"a pin of another name", one, nil, false, []Pin{{Name: "b.tar.gz", Generation: 2}},
			Resolution{Missing: []string{"b.tar.gz (generation 2)"}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			d := Drop{Bucket: "inbox", Folder: "census/", Packages: test.packages}
			if diff := cmp.Diff(test.want, d.Resolve(test.uris, test.image, test.pins)); diff != "" {
				t.Errorf("resolution (-want +got):\n%s", diff)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	a := object("census/job.yaml", 7)
	key := AttemptKey(a)
	if hash, generation, _ := strings.Cut(key, "-"); len(hash) != 40 || generation != "7" {
		t.Errorf("attempt key is %q, want 40 hex digits and the generation", key)
	}
	if other := AttemptKey(object("census/job.json", 7)); other != key {
		t.Error("the attempt's key depends on the job file's name")
	}
	for _, o := range []Object{
		object("census/job.yaml", 8), object("x/job.yaml", 7), {Bucket: "b", Name: "census/job.yaml", Generation: 7},
	} {
		if AttemptKey(o) == key {
			t.Errorf("%+v has the same key", o)
		}
	}
}

func TestDefaultJobID(t *testing.T) {
	created := time.Date(2026, 11, 22, 21, 5, 9, 0, time.FixedZone("", 3600))
	tests := []struct{ object, prefix string }{
		{"teams/nlp/my-drop.v2/job.yaml", "my_drop_v2_20261122_200509_"},
		{"2026/job.yaml", "job_2026_20261122_200509_"},
		{"job.yaml", "job_20261122_200509_"},
		{"학습/job.yaml", "job______"},
		{strings.Repeat("a", 300) + "/job.yaml", strings.Repeat("a", 96) + "_20261122_"},
	}
	for _, test := range tests {
		o := object(test.object, 7)
		o.Created = created
		id := DefaultJobID(o)
		if !strings.HasPrefix(id, test.prefix) || len(id) > 128 || id != DefaultJobID(o) {
			t.Errorf("DefaultJobID(%s) = %s, want %s…, the same each time", test.object, id, test.prefix)
		}
		o.Generation = 8
		if DefaultJobID(o) == id {
			t.Errorf("DefaultJobID(%s) does not depend on the generation", test.object)
		}
	}
}

func TestContent(t *testing.T) {
	spec := func() Spec {
		return Spec{
			JobID:         "one",
			TrainingInput: &TrainingInput{PythonModule: "trainer.task", PackageURIs: []string{"gs://inbox/a/t.tar.gz"}},
		}
	}
	packages := []Object{object("a/t.tar.gz", 3)}
	var vertex *VertexOptions
	digest := func(s Spec, p []Object) string {
		t.Helper()
		c, err := Content(s, vertex, p)
		if err != nil || len(c) != 40 {
			t.Fatalf("Content = %q, %v", c, err)
		}
		return c
	}
	base := digest(spec(), packages)
	same := spec()
	same.JobID, same.TrainingInput.PackageURIs = "two", []string{"gs://inbox/b/t.tar.gz"}
	elsewhere := packages[0]
	elsewhere.Name, elsewhere.Generation = "b/t.tar.gz", 9
	if digest(same, []Object{elsewhere}) != base {
		t.Error("the digest depends on the job ID, the folder or generations")
	}
	other := spec()
	other.TrainingInput.PythonModule = "trainer.other"
	changed := packages[0]
	changed.CRC32C = "other"
	if digest(other, packages) == base || digest(spec(), []Object{changed}) == base {
		t.Error("the digest does not depend on the job or the packages' content")
	}
	if spec().JobID != "one" || len(spec().TrainingInput.PackageURIs) != 1 {
		t.Error("Content changed its argument")
	}
	vertex = &VertexOptions{Strategy: StrategySpot}
	spot := digest(spec(), packages)
	vertex = &VertexOptions{Strategy: StrategyFlexStart}
	if flex := digest(spec(), packages); spot == base || flex == spot {
		t.Error("the digest does not depend on the options for Vertex AI")
	}
}

func TestLabels(t *testing.T) {
	user := map[string]string{"team": "nlp", LabelAttempt: "forged"}
	own := Labels(user, "prod", "attempt-1", "content-1")
	if own["team"] != "nlp" || own[LabelAttempt] == "forged" || len(user) != 2 {
		t.Errorf("labels are %v", own)
	}
	if !SameOwner(own, own) {
		t.Error("an attempt does not know its own job")
	}
	for name, other := range map[string]map[string]string{
		"another attempt":      Labels(user, "prod", "attempt-2", "content-1"),
		"other content":        Labels(user, "prod", "attempt-1", "content-2"),
		"another installation": Labels(user, "test", "attempt-1", "content-1"), "no labels": nil,
	} {
		if SameOwner(other, own) {
			t.Errorf("%s counts as the same owner", name)
		}
	}
	if SameOwner(nil, nil) {
		t.Error("jobs without labels count as the same owner's")
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0s": 0, "3600s": time.Hour, "0.5s": 500 * time.Millisecond, "1.000000001s": time.Second + 1,
		"158.655853252s": 158655853252, "9223372035.999999999s": 9223372035999999999,
	} {
		got, err := ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %s, %v; want %s", text, got, err, want)
		}
		if back := FormatDuration(want); back != text {
			t.Errorf("FormatDuration(%s) = %q, want %q", want, back, text)
		}
	}
	for _, text := range []string{"9223372036s", "315576000000s"} {
		if got, err := ParseDuration(text); got != math.MaxInt64 || err != nil {
			t.Errorf("ParseDuration(%q) = %s, %v; want the longest", text, got, err)
		}
	}
	for _, text := range []string{
		"", "3600", "1h", "-1s", "1.s", ".5s", "1.0000000001s", "99999999999999999999s", "315576000001s", " 1s", "1s ",
	} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %s, want an error", text, got)
		}
	}
}

// A record holds durations as texts, those with too many decimals of earlier revisions among them.
func TestDurationJSON(t *testing.T) {
	type holder struct {
		Limit Duration  `json:"limit,omitzero"`
		Grace *Duration `json:"grace,omitempty"`
	}
	for text, want := range map[string]holder{
		`{}`:                              {},
		`{"limit":"7200s"}`:               {Limit: Duration(2 * time.Hour)},
		`{"limit":"0.25s","grace":"0s"}`:  {Limit: Duration(250 * time.Millisecond), Grace: new(Duration(0))},
		`{"limit":"158.65585325199999s"}`: {Limit: 158655853251},
	} {
		var got holder
		if err := json.Unmarshal([]byte(text), &got); err != nil || !reflect.DeepEqual(want, got) {
			t.Errorf("%s is read as %+v, %v", text, got, err)
		}
		if data, err := json.Marshal(got); err != nil || string(data) != text && got.Limit != 158655853251 {
			t.Errorf("%s is written as %s, %v", text, data, err)
		}
	}
	for _, text := range []string{`{"limit":"1h"}`, `{"limit":""}`, `{"limit":60}`} {
		if err := json.Unmarshal([]byte(text), new(holder)); err == nil {
			t.Errorf("%s is read without an error", text)
		}
	}
	if got := Duration(-1500 * time.Millisecond).String(); got != "-1.5s" {
		t.Errorf("a negative duration is %q", got)
	}
}

func TestBoundText(t *testing.T) {
	for _, test := range []struct {
		text  string
		limit int
		want  string
	}{{"abc", 3, "abc"}, {"abcdef", 5, "ab…"}, {"ééé", 5, "é…"}, {"a\xff", 9, "a\uFFFD"}} {
		if got := BoundText(test.text, test.limit); got != test.want {
			t.Errorf("BoundText(%q, %d) = %q, want %q", test.text, test.limit, got, test.want)
		}
	}
}
