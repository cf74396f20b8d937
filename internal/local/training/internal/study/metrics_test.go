package study

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMetrics(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []Measurement
		fault      string
	}{
		{
			"as cloudml-hypertune writes",
			`{"acc": "0.5", "global_step": "1000", "timestamp": 1525851440.123456, "trial": "1"}` + "\n" +
				`{"acc": "1e-05", "checkpoint_path": "gs://b/c", "global_step": "2000", "timestamp": 1525851441.1, "trial": "1"}` +
				"\n",
			[]Measurement{{1000, 0.5}, {2000, 1e-5}}, "",
		},
		{"numbers", `{"acc": 2, "global_step": 3.0}`, []Measurement{{3, 2}}, ""},
		{"no step", `{"acc": "-3"}`, []Measurement{{0, -3}}, ""},
		{"odd steps", `{"acc": "1", "global_step": "nan"}` + "\n" + `{"acc": "2", "global_step": "-5"}` + "\n" +
			`{"acc": "3", "global_step": "1e300"}`, []Measurement{{0, 1}, {0, 2}, {maxWhole, 3}}, ""},
		{"torn at the end", `{"acc": "1", "global_step": "1"}` + "\n" + `{"acc": "2", "glo`, []Measurement{{1, 1}}, ""},
		{"torn at the begin", `tep": "1"}` + "\n" + `{"acc": "2", "global_step": "2"}`, []Measurement{{2, 2}}, ""},
		{"several tags", `{"acc": "1", "loss": "4"}` + "\n" + `{"loss": "3"}`, []Measurement{{0, 1}}, ""},
		{"last is not a number", `{"acc": "1"}` + "\n" + `{"acc": "nan"}`, nil, `The last value of the metric "acc" is not a ` +
			`number to compare: "nan".`},
		{"recovered", `{"acc": "nan"}` + "\n" + `{"acc": "inf"}` + "\n" + `{"acc": "7"}`, []Measurement{{0, 7}}, ""},
		{"infinite", `{"acc": "-inf"}`, nil, `"-inf"`},
		{"too large", `{"acc": "1e999"}`, nil, `"1e999"`},
		{"text", `{"acc": "good"}`, nil, `"good"`},
		{"neither", `{"acc": [1], "b": null, "c": true}`, nil, "reported no metric"},
		{"other tags", `{"loss": "1", "ACC": "2"}`, nil, `did not report the metric "acc" (hyperparameterMetricTag), only ` +
			`"ACC", "loss".`},
		{"no line", "", nil, `reported no metric; hyperparameterMetricTag is "acc"`},
		{"no object", "[1]\n3\nnull\n\"x\"\n", nil, "reported no metric"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseMetrics([]byte(tt.text)).Result("acc")
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("measurements (-want +got):\n%s", diff)
			}
			if (err != nil) != (tt.fault != "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("the fault is %v, want %q", err, tt.fault)
			}
		})
	}
	var many strings.Builder
	for i := range 50 {
		fmt.Fprintf(&many, `{"tag%02d %s": "1"}`+"\n", i, strings.Repeat("x", 500))
	}
	if _, err := parseMetrics([]byte(many.String())).Result("acc"); len(err.Error()) > 2000 ||
		!strings.Contains(err.Error(), "tag09") {
		t.Errorf("a message of many tags: %v", err)
	}
}

// TestReadMetrics: the first file counts, and the others for what it lacks.
func TestReadMetrics(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for i, text := range []string{
		`{"a": "1"}` + "\n" + `{"odd": "nan"}`,
		`{"a": "30"}` + "\n" + `{"e": "31"}` + "\n" + `{"odd": "1"}`,
		`{"a": "10"}` + "\n" + `{"w": "20"}`,
		`{"w": "21"}`,
		"",
	} {
		file := filepath.Join(dir, strconv.Itoa(i))
		files = append(files, file)
		if text == "" {
			continue // it reported nothing
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m, err := ReadMetrics(files)
	if err != nil {
		t.Fatal(err)
	}
	want := Metrics{map[string][]Measurement{"a": {{0, 1}}, "e": {{0, 31}}, "w": {{0, 20}}},
		map[string]string{"odd": "nan"}}
	if diff := cmp.Diff(want, m, cmp.AllowUnexported(Metrics{})); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// TestMetricsFile: a program's file may be anything, and nothing is waited for.
func TestMetricsFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, make func(string) error) string {
		path := filepath.Join(dir, name)
		if err := make(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct{ name, file, want string }{
		{"missing", filepath.Join(dir, "missing"), ""},
		{"full", file("full", func(p string) error { return os.WriteFile(p, make([]byte, maxMetricsBytes), 0o644) }), ""},
		{"too large", file("large", func(p string) error { return os.WriteFile(p, make([]byte, maxMetricsBytes+1), 0o644) }),
			"Too many hyperparameter tuning metrics were written."},
		{"folder", file("folder", func(p string) error { return os.Mkdir(p, 0o755) }), "not a regular file"},
	} {
		if _, err := readFile(tt.file); (err != nil) != (tt.want != "") || err != nil &&
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func FuzzMetrics(f *testing.F) {
	f.Add([]byte(`{"acc": "0.5", "global_step": "1000", "timestamp": 1525851440.123456, "trial": "1"}` + "\n" +
		`{"acc": "nan"}`))
	f.Add([]byte(`{"acc": 1e400, "global_step": -1}` + "\nx"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := parseMetrics(data)
		for tag, values := range m.Values {
			for _, v := range values {
				if v.Step < 0 || v.Value != v.Value || v.Value-v.Value != 0 {
					t.Errorf("%q has %+v", tag, v)
				}
			}
		}
		for _, tag := range []string{"acc", ""} {
			if values, err := m.Result(tag); (len(values) > 0) == (err != nil) {
				t.Errorf("%q: %v and %v", tag, values, err)
			}
		}
	})
}
