package jobspec

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	ml "google.golang.org/api/ml/v1"
	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/internal/cli/rules"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// cluster is a job with most of what people use.
const cluster = `# census, nightly
jobId: census_20260101
labels:
  team: growth
trainingInput:
  scaleTier: CUSTOM
  masterType: complex_model_m
  workerType: complex_model_m
  parameterServerType: large_model
  workerCount: 9
  parameterServerCount: '3'
  packageUris:
  - gs://census-trainers/trainer-0.1.tar.gz
  pythonModule: trainer.task
  args: [--epochs, '20', --rate=0.1]
  region: us-central1
  jobDir: gs://census-jobs/nightly
  runtimeVersion: '2.6'
  pythonVersion: "3.7"
  scheduling:
    maxWaitTime: 3600s
    maxRunningTime: 7200s
    priority: 10
  hyperparameters:
    goal: MINIMIZE
    maxTrials: 4
    params:
    - parameterName: learning_rate
      type: DOUBLE
      minValue: 0
      maxValue: 1e-1
jobdrop:
  packages:
  - name: trainer-0.1.tar.gz
    generation: 1712345678901234
  notify: [growth]
  backend: vertex
`

func TestParse(t *testing.T) {
	low, high := 0.0, 0.1
	want := job.Spec{
		JobID:  "census_20260101",
		Labels: map[string]string{"team": "growth"},
		TrainingInput: &job.TrainingInput{
			ScaleTier:            "CUSTOM",
			MasterType:           "complex_model_m",
			WorkerType:           "complex_model_m",
			ParameterServerType:  "large_model",
			WorkerCount:          9,
			ParameterServerCount: 3,
			PackageURIs:          []string{"gs://census-trainers/trainer-0.1.tar.gz"},
			PythonModule:         "trainer.task",
			Args:                 []string{"--epochs", "20", "--rate=0.1"},
			Region:               "us-central1",
			JobDir:               "gs://census-jobs/nightly",
			RuntimeVersion:       "2.6",
			PythonVersion:        "3.7",
			Scheduling:           &job.Scheduling{MaxWaitTime: "3600s", MaxRunningTime: "7200s", Priority: 10},
			Hyperparameters: &job.HyperparameterSpec{
				Goal:      "MINIMIZE",
				MaxTrials: 4,
				Params:    []job.ParameterSpec{{ParameterName: "learning_rate", Type: "DOUBLE", MinValue: &low, MaxValue: &high}},
			},
		},
	}
	options := job.Options{
		Packages: []job.Pin{{Name: "trainer-0.1.tar.gz", Generation: 1712345678901234}},
		Notify:   []string{"growth"},
		Backend:  "vertex",
	}
	for _, tt := range []struct{ name, data string }{
		{"as written", cluster},
		{"byte order mark", "\ufeff" + cluster},
		{"lines of Windows", strings.ReplaceAll(cluster, "\n", "\r\n")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, vs := Parse("job.yaml", []byte(tt.data))
			if diff := cmp.Diff([]job.Violation(nil), append(vs, f.Check(nil)...)); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(want, f.Spec); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(options, f.Options); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
			if got, want := f.Position("trainingInput.workerCount"), (job.Position{Line: 10, Column: 16}); got != want {
				t.Errorf("position: got %v, want %v", got, want)
			}
		})
	}
}

func TestParseAccepts(t *testing.T) {
	for _, tt := range []struct {
		name string
		data string
		get  func(*File) any
		want any
		// warning is the rule that warns, "" for none.
		warning string
	}{
		{
			"count as a number", "trainingInput: {workerCount: 9}",
			func(f *File) any { return f.Spec.TrainingInput.WorkerCount }, int64(9), "",
		},
		{
			"count as text", "trainingInput: {workerCount: '9'}", func(f *File) any { return f.Spec.TrainingInput.WorkerCount },
			int64(9), "",
		},
		{
			"count as a whole float", "trainingInput: {workerCount: 9.0}",
			func(f *File) any { return f.Spec.TrainingInput.WorkerCount }, int64(9), "",
		},
		{
			"32 bits as text", "trainingInput: {hyperparameters: {maxTrials: '4'}}",
			func(f *File) any { return f.Spec.TrainingInput.Hyperparameters.MaxTrials }, int32(4), "",
		},
		{
			"float as text", "trainingInput: {hyperparameters: {params: [{minValue: '0.1'}]}}",
			func(f *File) any { return *f.Spec.TrainingInput.Hyperparameters.Params[0].MinValue }, 0.1, "",
		},
		{
			"value for a list", "trainingInput: {args: --a}", func(f *File) any { return f.Spec.TrainingInput.Args },
			[]string{"--a"}, "",
		},
		{
			"value with spaces for a list", "trainingInput: {args: --a 1}",
			func(f *File) any { return f.Spec.TrainingInput.Args }, []string{"--a 1"}, "list-of-one",
		},
		{
			"null field", "trainingInput: {region: , jobDir: ~, scheduling: null}",
			func(f *File) any { return *f.Spec.TrainingInput }, job.TrainingInput{}, "",
		},
		{"null label", "labels: {a: }", func(f *File) any { return f.Spec.Labels }, map[string]string{}, ""},
		{
			"an earlier name", "jobdrop: {trainer: vertex}", func(f *File) any { return f.Options.Backend }, "vertex",
			"field-spelling",
		},
		{
			"snake case", "training_input: {use_chief_in_tf_config: true}",
			func(f *File) any { return f.Spec.TrainingInput.UseChiefInTFConfig }, true, "field-spelling",
		},
		{
			"enum in lower case", "trainingInput: {scaleTier: custom}",
			func(f *File) any { return f.Spec.TrainingInput.ScaleTier }, "CUSTOM", "enum-spelling",
		},
		{
			"enum with hyphen", "trainingInput: {scaleTier: standard-1}",
			func(f *File) any { return f.Spec.TrainingInput.ScaleTier }, "STANDARD_1", "enum-spelling",
		},
		{
			"yes", "trainingInput: {enableWebAccess: yes}", func(f *File) any { return f.Spec.TrainingInput.EnableWebAccess },
			true, "bool-spelling",
		},
		{
			"OFF", "trainingInput: {enableWebAccess: OFF}", func(f *File) any { return f.Spec.TrainingInput.EnableWebAccess },
			false, "bool-spelling",
		},
		{
			"TRUE", "trainingInput: {enableWebAccess: TRUE}", func(f *File) any { return f.Spec.TrainingInput.EnableWebAccess },
			true, "",
		},
		{
			"JSON", "{\n\t\"jobId\": \"a\", \"trainingInput\": {\"workerCount\": \"4\",}\n}",
			func(f *File) any { return f.Spec.TrainingInput.WorkerCount }, int64(4), "",
		},
		{
			"output-only", "jobId: a\ncreateTime: '2026-01-01T00:00:00Z'", func(f *File) any { return f.Spec.JobID }, "a",
			"output-only",
		},
		{"alias", "labels: {a: &x b, c: *x}", func(f *File) any { return f.Spec.Labels["c"] }, "b", ""},
		{
			"merges as deep as may be",
			"labels: " + strings.Repeat("{<<: ", maxMerges) + "{a: b}" + strings.Repeat("}", maxMerges),
			func(f *File) any { return f.Spec.Labels }, map[string]string{"a": "b"}, "",
		},
		{
			"merge",
			"trainingInput:\n  masterConfig: &m\n    imageUri: gcr.io/p/i\n    tpuTfVersion: '1.15'\n  workerConfig:\n" +
				"    <<: *m\n    tpuTfVersion: '2.1'", func(f *File) any { return *f.Spec.TrainingInput.WorkerConfig },
			job.ReplicaConfig{ImageURI: "gcr.io/p/i", TPUTFVersion: "2.1"}, "",
		},
		{
			"explicit text", "trainingInput: {runtimeVersion: !!str 2.1}",
			func(f *File) any { return f.Spec.TrainingInput.RuntimeVersion }, "2.1", "",
		},
		{
			"octal of newer YAML", "trainingInput: {args: [08, 0o17, -09]}",
			func(f *File) any { return f.Spec.TrainingInput.Args }, []string{"08", "0o17", "-09"}, "",
		},
		{
			"escaped slash of JSON", `{"trainingInput": {"packageUris": ["gs:\/\/bucket\/a\"\/.whl"]}}`,
			func(f *File) any { return f.Spec.TrainingInput.PackageURIs }, []string{`gs://bucket/a"/.whl`}, "",
		},
		{
			"two halves of a character in JSON", ` {"jobId": "\ud83d\uDE00\n\/", "trainingInput": {"workerCount": 4}}`,
			func(f *File) any { return [...]any{f.Spec.JobID, f.Position("trainingInput.workerCount")} },
			[...]any{"😀\n/", job.Position{Line: 1, Column: 65}}, "",
		},
		{
			"newer YAML", "# comment\n\n%YAML 1.2\n---\njobId: a\n", func(f *File) any {
				return [...]any{
					f.Spec.JobID, f.Position("jobId"),
				}
			}, [...]any{"a", job.Position{Line: 5, Column: 8}}, "",
		},
		{
			"block text", "trainingInput:\n  pythonModule: >-\n    trainer.task\n",
			func(f *File) any { return f.Spec.TrainingInput.PythonModule }, "trainer.task", "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, vs := Parse("job.yaml", []byte(tt.data))
			warning := ""
			for _, v := range vs {
				if v.Severity != job.Warning {
					t.Errorf("unexpected: %v", v)
				}
				warning = string(v.Rule)
			}
			if warning != tt.warning {
				t.Errorf("warning: got %q, want %q", warning, tt.warning)
			}
			if diff := cmp.Diff(tt.want, tt.get(f)); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	bomb := "trainingInput:\n  hyperparameters:\n    params:\n    - &p {discreteValues: [" + strings.Repeat("1,", 1000) +
		"]}\n" + strings.Repeat("    - *p\n", 200)
	for _, tt := range []struct {
		name string
		data string
		// want is each error's line:column: field: message (…); remedy, by parts.
		want [][]string
	}{
		{
			"version unquoted", "trainingInput:\n  runtimeVersion: 2.10\n",
			[][]string{
				{
					"job.yaml:2:19: trainingInput.runtimeVersion: ", "reads 2.10 as the number 2.1,", "(found 2.10)", "quotes: '2.10'",
				},
			},
		},
		{"python unquoted", "trainingInput:\n  pythonVersion: 3.7\n", [][]string{{":2:18: ", "quotes: '3.7'"}}},
		{
			"duration as a number", "trainingInput:\n  scheduling:\n    maxWaitTime: 3600\n",
			[][]string{{":3:18: trainingInput.scheduling.maxWaitTime", "3600s"}},
		},
		{
			"number in args", "trainingInput:\n  args: [--a, 5]\n",
			[][]string{{":2:15: trainingInput.args[1]: ", "quotes: '5'"}},
		},
		{
			"empty entry in args", "trainingInput:\n  args:\n  - a\n  -\n",
			[][]string{{":4:4: trainingInput.args[1]: ", "empty"}},
		},
		{"number as label", "labels:\n  a: 1\n", [][]string{{":2:6: labels.a: ", "quotes: '1'"}}},
		{"truth value as label", "labels:\n  country: no\n", [][]string{{":2:12: labels.country: ", "truth value", "'no'"}}},
		{"date as label", "labels:\n  day: 2026-01-01\n", [][]string{{":2:8: ", "date"}}},
		{"base 60 as label", "labels:\n  at: 12:30\n", [][]string{{":2:7: ", "base 60"}}},
		{"label key as number", "labels:\n  1: a\n", [][]string{{":2:3: labels: ", "key must be text", "'1'"}}},
		{
			"numbers as categories", "trainingInput: {hyperparameters: {params: [{categoricalValues: [128]}]}}",
			[][]string{{"params[0].categoricalValues[0]: ", "'128'"}},
		},
		{
			"misspelt field", "trainingInput:\n  runtimVersion: '2.1'\n",
			[][]string{{":2:3: trainingInput.runtimVersion: ", "did you mean runtimeVersion?", "write runtimeVersion"}},
		},
		{"wrong case", "jobID: a\n", [][]string{{":1:1: jobId: jobID is not the field's name", "write jobId"}}},
		{
			"unknown field", "trainingInput:\n  xyzzyplugh: 1\n",
			[][]string{{":2:3: ", "not a field of trainingInput", "allowed: args, ", "remove it"}},
		},
		{
			"misplaced field", "trainingInput:\n  params: []\n",
			[][]string{{":2:3: ", "move it to trainingInput.hyperparameters.params"}},
		},
		{
			"field of many places", "count: 8\n",
			[][]string{
				{
					":1:1: count: ",
					"indent it below the field that it belongs to, as in trainingInput.evaluatorConfig.acceleratorConfig.count",
				},
			},
		},
		{
			"field not indented", "trainingInput:\nscaleTier: BASIC\n",
			[][]string{{":1:1: trainingInput: trainingInput is empty: scaleTier stands beside it", "indent the lines below"}},
		},
		{
			"unknown enum value", "trainingInput:\n  scaleTier: complex_model_m\n",
			[][]string{
				{
					":2:14: trainingInput.scaleTier: ",
					"(found complex_model_m, allowed: BASIC, STANDARD_1, PREMIUM_1, BASIC_GPU, BASIC_TPU, CUSTOM)",
				},
			},
		},
		{
			"misspelt enum value", "trainingInput:\n  scaleTier: BASIC_CPU\n",
			[][]string{{":2:14: ", "did you mean BASIC_GPU?"}},
		},
		{
			"key twice", "jobId: a\nlabels: {}\njobId: b\n",
			[][]string{{":3:1: jobId: jobId stands twice, in line 1 and in line 3"}},
		},
		{
			"key twice in two spellings", "trainingInput:\n  jobDir: gs://abc\n  job_dir: gs://abc\n",
			[][]string{{":3:3: ", "in line 2 and in line 3"}},
		},
		{"label twice", "labels:\n  a: b\n  a: c\n", [][]string{{":3:3: labels.a: ", "twice"}}},
		{"two documents", "jobId: a\n---\njobId: b\n", [][]string{{":2:1: ", "more than one YAML document"}}},
		{"tab", "trainingInput:\n\tregion: us-east1\n", [][]string{{":2:1: ", "tab", "indent with spaces"}}},
		{"tab later", "trainingInput:\n  region: us-east1\n \tjobDir: gs://abc\n", [][]string{{":3:2: ", "tab"}}},
		{
			"list for mapping", "trainingInput:\n- region: us-east1\n",
			[][]string{{":1:1: trainingInput: ", "is a list, not a mapping"}},
		},
		{
			"mapping for list", "trainingInput:\n  args:\n    a: b\n",
			[][]string{{":2:3: trainingInput.args: ", "is a mapping of names to values, not a list", "'- '"}},
		},
		{
			"list for text", "trainingInput:\n  region: [us-east1]\n",
			[][]string{{":2:3: trainingInput.region: ", "is a list, not text"}},
		},
		{"text for mapping", "labels: prod\n", [][]string{{":1:9: labels: ", "single value"}}},
		{"text for all", "hello\n", [][]string{{":1:1: the job file is a single value"}}},
		{
			"32 bits passed", "trainingInput: {scheduling: {priority: 3000000000}}",
			[][]string{{":1:40: ", "out of range", "32 bits"}},
		},
		{
			"64 bits passed", "trainingInput: {workerCount: 9223372036854775808}",
			[][]string{{":1:30: ", "out of range", "64 bits"}},
		},
		{"64 bits passed as text", "trainingInput: {workerCount: '9223372036854775808'}", [][]string{{"out of range"}}},
		{"fraction", "trainingInput: {hyperparameters: {maxTrials: 4.5}}", [][]string{{"whole number", "found 4.5"}}},
		{"list for number", "trainingInput: {hyperparameters: {maxTrials: [2]}}", [][]string{{"whole number"}}},
		{"not finite", "trainingInput: {hyperparameters: {params: [{minValue: .inf}]}}", [][]string{{"a finite number"}}},
		{"truth value in quotes", "trainingInput: {enableWebAccess: 'TRUE'}", [][]string{{":1:34: ", "without quotes"}}},
		{"y for true", "trainingInput: {enableWebAccess: y}", [][]string{{"truth value"}}},
		{"prediction", "jobId: a\npredictionInput: {}\n", [][]string{{":2:1: predictionInput: ", "batch prediction"}}},
		{"alias bomb", bomb, [][]string{{":4:", "too many values"}}},
		{
			"alias within itself", "trainingInput: &a\n  workerConfig:\n    <<: *a\n",
			[][]string{{"workerConfig.workerConfig", "not a field"}},
		},
		{"merge within itself", "trainingInput: &a\n  <<: *a\n", [][]string{{":2:7: trainingInput.<<: ", "merges itself"}}},
		{
			"merge within itself, with a field", "trainingInput: &a\n  region: us-east1\n  <<: *a\n",
			[][]string{{":3:7: ", "merges itself"}},
		},
		{
			"merge within itself, many times", "trainingInput: &a {<<: [*a, *a, *a]}\n",
			[][]string{{":1:25: ", "merges itself"}},
		},
		{
			"merge of one that merges the first", "labels: &a {<<: {<<: *a}}\n",
			[][]string{{":1:22: labels.<<: ", "merges itself"}},
		},
		{
			"merges too deep", "labels: " + strings.Repeat("{<<: ", maxMerges+1) + "{a: b}" + strings.Repeat("}", maxMerges+1),
			[][]string{{":1:54: labels.<<: ", "merge others too deeply", "at most 8 levels"}},
		},
		{
			"too many parts", "labels: {" + strings.Repeat("a,", maxMarks),
			[][]string{{":1:100007: ", "too many parts", "at most 50000"}},
		},
		{"merge of text", "trainingInput:\n  <<: a\n", [][]string{{"<< takes a mapping"}}},
		{"alias without anchor", "jobId: a\nlabels: *x\n", [][]string{{":2:9: ", "the alias *x has no anchor"}}},
		{"too deep", strings.Repeat("[", 40) + strings.Repeat("]", 40), [][]string{{":1:33: ", "too deeply"}}},
		{"not UTF-8", "jobId: a\nlabels: {a: \xff}\n", [][]string{{":2:13: ", "UTF-8", "0xFF"}}},
		{"control character", "jobId: é\x00\n", [][]string{{":1:9: ", "U+0000"}}},
		{"UTF-16", "\xff\xfej\x00", [][]string{{":1:1: ", "UTF-8"}}},
		{"empty", "", [][]string{{"job.yaml: the job file is empty"}}},
		{"comments only", "# later\n", [][]string{{"job file is empty"}}},
		{"null", "---\n~\n", [][]string{{"job file is empty"}}},
		{"too large", strings.Repeat("#", MaxSize+1), [][]string{{"more than 262144 bytes", "at most 262144 bytes"}}},
		{
			"no space after a colon", "trainingInput:\n  masterConfig:imageUri: x\n",
			[][]string{{":2:3: ", "a space or a line break after masterConfig:"}},
		},
		{
			"second colon", "trainingInput:\n  region: us-east1\n  masterConfig:imageUri: x: y\n",
			[][]string{{":3:27: the job file is not valid YAML: mapping values are not allowed", "quotes"}},
		},
		{"second colon in the first line", "a: b: c\n", [][]string{{":1:5: ", "not valid YAML"}}},
		{"indented below a value", "jobId: a\n  labels: {}\n", [][]string{{":2:9: ", "mapping values", "indent"}}},
		{
			"list not closed", "jobId: a\ntrainingInput:\n  args: [a, [b], c\n  region: us-east1\n",
			[][]string{{":3:9: ", "close the bracket ["}},
		},
		{"list not closed in the first line", "[a, b\n", [][]string{{":1:1: ", "close the bracket ["}}},
		{"mapping not closed", "jobId: a\nlabels: {a: b\n", [][]string{{":2:9: ", "close the brace {"}}},
		{"no comma", "labels: {a: b c: d}\n", [][]string{{":1:9: ", "commas"}}},
		{"reserved character", "trainingInput:\n  pythonModule: @x\n", [][]string{{":2:17: ", "in quotes"}}},
		{"reserved character after é", "labels: {é: `x`}\n", [][]string{{":1:13: ", "in quotes"}}},
		{
			"key after a block", "trainingInput:\n    region: us-east1\n  jobDir: gs://abc\nlabels: {}\n",
			[][]string{{":3:3: ", "did not find expected key", "indent"}},
		},
		{
			"text after a quote", "jobId: a\nlabels:\n  a: 'b'\n  b: 'c' d\n",
			[][]string{{":4:3: ", "did not find expected key", "after a closing quote"}},
		},
		{
			"key within a list", "trainingInput:\n  args:\n  - a\n  - b\n   c: d\n  - e\n",
			[][]string{{":5:5: ", "mapping values"}},
		},
		{
			"entry without dash", "trainingInput:\n  args:\n    - a\n    - b\n    c: d\n",
			[][]string{{":5:5: ", "'-' indicator", "'- '"}},
		},
		{
			"no colon", "jobId: a\nlabels\ntrainingInput: {}\n",
			[][]string{{":2:1: ", "could not find expected ':'", "name: value"}},
		},
		{"quote not closed", "jobId: a\nlabels:\n  a: 'b'\n  c: \"d\n  e: f\n", [][]string{{":4:6: ", "close the quote"}}},
		{"backslash", "trainingInput:\n  jobDir: \"C:\\data\\x\"\n", [][]string{{":2:14: ", "backslash twice"}}},
		{"half a character", "{\"jobId\": \"\\ud83d\"}", [][]string{{":1:12: ", "the character itself"}}},
		{"tag", "labels:\n  a: !b!c d\n", [][]string{{":2:6: ", "! begins a tag"}}},
		{"text after the file's value", "{jobId: a} b\n", [][]string{{":1:1: ", "remove what follows"}}},
		{"other YAML", "%YAML 2.0\n---\njobId: a\n", [][]string{{":1:1: ", "remove the line %YAML"}}},
		{
			"key too long", "labels:\n  ? " + strings.Repeat("a", 1025) + "\n  : b\n",
			[][]string{{":2:5: labels: ", "the key is too long", "at most 1024 bytes"}},
		},
		{"name of jobdrop's own options", "name: foo\n", [][]string{{":1:1: name: ", "remove it"}}},
		{
			"duration with a fraction", "trainingInput: {scheduling: {maxWaitTime: 3600.5}}\n",
			[][]string{{":1:43: ", "3600.5s"}},
		},
		{"duration as a clock", "trainingInput: {scheduling: {maxRunningTime: 1:30:00}}\n", [][]string{{":1:46: ", "5400s"}}},
		{
			"duration as a clock with a fraction", "trainingInput: {scheduling: {maxRunningTime: 1:30:00.5}}\n",
			[][]string{{":1:46: ", "with the suffix s"}},
		},
		{
			"runtime version of one number", "trainingInput: {runtimeVersion: 2}\n",
			[][]string{{":1:33: ", "both of its numbers", "'2.MINOR'"}},
		},
		{
			"Python version of one number", "trainingInput: {pythonVersion: 3}\n",
			[][]string{{":1:32: ", "both of its numbers"}},
		},
		{"unknown option", "jobdrop:\n  pakages: []\n", [][]string{{":2:3: jobdrop.pakages: ", "write packages"}}},
		{"several", "trainingInput:\n  pythonVersion: 3.7\n  runtimeVersion: 2.1\n", [][]string{{":2:18: "}, {":3:19: "}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, vs := Parse("job.yaml", []byte(tt.data))
			var got []string
			for _, v := range vs {
				if v.Severity == job.Error {
					got = append(got, v.String())
				}
				if !rules.Known(v.Rule) || v.Message == "" || v.Remedy == "" {
					t.Errorf("incomplete: %+v", v)
				}
			}
			if len(got) != len(tt.want) {
				t.Fatalf("got %d errors, want %d:\n%s", len(got), len(tt.want), strings.Join(got, "\n"))
			}
			for i, parts := range tt.want {
				for _, part := range parts {
					if !strings.Contains(got[i], part) {
						t.Errorf("got %q, want %q in it", got[i], part)
					}
				}
			}
			f.Check(nil)
		})
	}
}

// A field that is wrong earns one violation, not a second for its emptiness.
func TestCheckAfterParse(t *testing.T) {
	for _, tt := range []struct{ name, old, new string }{
		{"unquoted", "'2.6'", "2.6"},
		{"misspelt", "pythonModule", "pythonModul"},
		{"misplaced", "\ntrainingInput:", "\nregion: us-central1\ntrainingInput:"},
		{"wrong type of a parameter", "type: DOUBLE", "type: FLOAT"},
		{"bad bound", "minValue: 0\n", "minValue: zero\n"},
		{"master type a list", "masterType: complex_model_m", "masterType: [complex_model_m]"},
		{"worker type a number", "workerType: complex_model_m", "workerType: 4"},
		{"all not decoded", "\ntrainingInput:", "\ntrainingInput: []\ntrainingInputs:"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(cluster, tt.old) {
				t.Fatal("nothing to replace")
			}
			data := strings.Replace(cluster, tt.old, tt.new, 1)
			f, vs := Parse("job.yaml", []byte(data))
			if !job.HasErrors(vs) {
				t.Error("Parse accepts it")
			}
			if more := f.Check(nil); job.HasErrors(more) {
				t.Errorf("Check adds %v", more)
			}
		})
	}
	f, vs := Parse("job.yaml",
		[]byte("trainingInput:\n  masterConfig: {imageUri: 5}\n  scaleTier: BASIC\n  region: us-east1\n"))
	if !job.HasErrors(vs) || job.HasErrors(f.Check(nil)) {
		t.Errorf("unreadable image: got %v and %v", vs, f.Check(nil))
	}
}

func TestPosition(t *testing.T) {
	f, _ := Parse("job.yaml", []byte(cluster+"labels.x: 1\n"))
	for _, tt := range []struct {
		field string
		want  job.Position
	}{
		{"", job.Position{Line: 2, Column: 1}},
		{"jobId", job.Position{Line: 2, Column: 8}},
		{"labels.team", job.Position{Line: 4, Column: 9}},
		{"labels.absent.with.dots", job.Position{Line: 3, Column: 1}},
		{"trainingInput", job.Position{Line: 5, Column: 1}},
		{"trainingInput.serviceAccount", job.Position{Line: 5, Column: 1}},
		{"trainingInput.packageUris[0]", job.Position{Line: 13, Column: 5}},
		{"trainingInput.packageUris[7]", job.Position{Line: 12, Column: 3}},
		{"trainingInput.hyperparameters.params[0].type", job.Position{Line: 29, Column: 13}},
		{"trainingInput.hyperparameters.params[0].scaleType", job.Position{Line: 28, Column: 7}},
		{"absent", job.Position{Line: 2, Column: 1}},
		{"jobdrop.packages[0].generation", job.Position{Line: 35, Column: 17}},
	} {
		if got := f.Position(tt.field); got != tt.want {
			t.Errorf("Position(%q) = %v, want %v", tt.field, got, tt.want)
		}
	}
}

func TestViolation(t *testing.T) {
	f, _ := Parse("job.yaml", []byte(cluster))
	f.Spec.TrainingInput.Region = "europe-west1"
	f.Spec.TrainingInput.Network = strings.Repeat("é", 100)
	for _, tt := range []struct {
		name, field string
		v, want     job.Violation
	}{
		{
			"from the file", "trainingInput.hyperparameters.params[0].maxValue",
			job.Violation{Rule: "r", Message: "m", Allowed: "a", Remedy: "y"},
			job.Violation{
				Rule: "r", Message: "m", Allowed: "a", Remedy: "y", Severity: job.Error, File: "job.yaml",
				Position: job.Position{Line: 31, Column: 17}, Field: "trainingInput.hyperparameters.params[0].maxValue",
				Found: "0.1",
			},
		},
		{
			"replaced since", "trainingInput.region",
			job.Violation{Severity: job.Warning},
			job.Violation{
				Severity: job.Warning, File: "job.yaml", Position: job.Position{Line: 16, Column: 11},
				Field: "trainingInput.region", Found: "europe-west1",
			},
		},
		{
			"not in the file", "trainingInput.network",
			job.Violation{},
			job.Violation{
				Severity: job.Error, File: "job.yaml", Position: job.Position{Line: 5, Column: 1}, Field: "trainingInput.network",
				Found: strings.Repeat("é", 80) + "…",
			},
		},
		{
			"found given", "labels.team",
			job.Violation{Found: "f"},
			job.Violation{
				Severity: job.Error, File: "job.yaml", Position: job.Position{Line: 4, Column: 9}, Field: "labels.team", Found: "f",
			},
		},
		{
			"no scalar", "trainingInput.args",
			job.Violation{},
			job.Violation{
				Severity: job.Error, File: "job.yaml", Position: job.Position{Line: 15, Column: 3}, Field: "trainingInput.args",
			},
		},
		{
			"no field", "trainingInput.args[99].x",
			job.Violation{},
			job.Violation{
				Severity: job.Error, File: "job.yaml", Position: job.Position{Line: 15, Column: 3},
				Field: "trainingInput.args[99].x",
			},
		},
		{
			"option", "jobdrop.packages[0].name",
			job.Violation{},
			job.Violation{
				Severity: job.Error, File: "job.yaml", Position: job.Position{Line: 34, Column: 11},
				Field: "jobdrop.packages[0].name", Found: "trainer-0.1.tar.gz",
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, f.Violation(tt.v.Rule, tt.field, tt.v)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestViolationsBounded(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        job.Severity
	}{
		{"errors", "5", job.Error},
		{"warnings", "a", job.Warning},
	} {
		t.Run(tt.name, func(t *testing.T) {
			vs := &violations{}
			for range maxViolations + 20 {
				vs.add(job.Violation{Severity: tt.want})
			}
			got := vs.sorted()
			if len(got) != maxViolations+1 {
				t.Fatalf("got %d violations", len(got))
			}
			if last := got[maxViolations]; last.Message != "there are 20 more violations" || last.Severity != tt.want {
				t.Errorf("last: got %+v", last)
			}
		})
	}
	var b strings.Builder
	b.WriteString("trainingInput:\n  args:\n")
	for range 30_000 {
		b.WriteString("  - 5\n")
	}
	if _, vs := Parse("job.yaml", []byte(b.String())); len(vs) != maxViolations+1 || !job.HasErrors(vs) {
		t.Errorf("got %d violations", len(vs))
	}
}

// What the service gets is a Spec's JSON, so its names, nesting and number
// formats must be those of the API's own client.
func TestSpecMirrorsAPI(t *testing.T) {
	outputOnlyOrPrediction := func(name string) bool { return outputOnly(name) || name == "predictionInput" }
	var compare func(path string, ours, theirs reflect.Type, skip func(string) bool)
	compare = func(path string, ours, theirs reflect.Type, skip func(string) bool) {
		for ours.Kind() == reflect.Pointer || ours.Kind() == reflect.Slice && theirs.Kind() == reflect.Slice {
			ours = ours.Elem()
			if theirs.Kind() == reflect.Pointer || theirs.Kind() == reflect.Slice {
				theirs = theirs.Elem()
			}
		}
		for theirs.Kind() == reflect.Pointer {
			theirs = theirs.Elem()
		}
		// Go's client has 64 bits for all of the API's integers.
		if ours.Kind() != theirs.Kind() && !(ours.Kind() == reflect.Int32 && theirs.Kind() == reflect.Int64) {
			t.Errorf("%s: got %v, want %v", path, ours, theirs)
			return
		}
		if ours.Kind() != reflect.Struct {
			return
		}
		fields := func(s reflect.Type) map[string]reflect.StructField {
			m := map[string]reflect.StructField{}
			for i := range s.NumField() {
				if f := s.Field(i); strings.Split(f.Tag.Get("json"), ",")[0] != "-" {
					m[strings.Split(f.Tag.Get("json"), ",")[0]] = f
				}
			}
			return m
		}
		got, want := fields(ours), fields(theirs)
		for name, f := range want {
			if skip(name) {
				continue
			}
			g, ok := got[name]
			if !ok {
				t.Errorf("%s.%s: missing", path, name)
				continue
			}
			if asText := strings.HasSuffix(f.Tag.Get("json"), ",string"); asText != strings.HasSuffix(g.Tag.Get("json"),
				",string") {
				t.Errorf("%s.%s: got tag %s, want %s", path, name, g.Tag, f.Tag)
			}
			compare(path+"."+name, g.Type, f.Type, func(string) bool { return false })
		}
		for name := range got {
			if _, ok := want[name]; !ok || skip(name) {
				t.Errorf("%s.%s: not in the API", path, name)
			}
		}
	}
	compare("job", reflect.TypeFor[job.Spec](), reflect.TypeFor[ml.GoogleCloudMlV1__Job](), outputOnlyOrPrediction)
}

// seeds returns small files that between them reach every branch of the decoder.
func seeds() []string {
	return []string{
		cluster, "", "a: b: c", "\ttrainingInput:", "{\"jobId\": \"a\"}", "[1, [2, {a: b}]]",
		"trainingInput: &a {<<: *a, args: --x}", "labels: {1: a, ? [b] : c}", "a: &x [*x]", "*y",
		"trainingInput:\n  runtimeVersion: 2.10\n  workerCount: 0x1F\n  args: [~, 5, !!binary aGk=]\n",
		"--- a\n--- b\n", "? a\n: b\n", "jobId: |\n  a\n \u2028b: c\u0085\n", "%YAML 1.1\n---\njobId: a\n",
		"\ufeff\r\rjobId: 'é\r\n  ü'\r\n",
		`{"a": "\/", "b": "\ud83d\ude00\\u\ud83d"}`, "# a\n%YAML 1.2\n---\njobId: a\n",
		"labels:\n  a.b[0].c: Ä\n  a.b.c: D\n",
		"a: [b, 'c\n", "a: {b: c\n", "a: @b\n", "a: \"\\d\"\n", "a:\n    b: c\n  d: e\nf: g\n", "a:\n  - b\n  c: d\n",
		"a: !b!c d\n", "{a: b} c\n",
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range seeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, vs := Parse("job.yaml", data)
		vs = append(vs, file.Check(nil)...)
		lines := splitLines([]byte(strings.TrimPrefix(string(data), "\ufeff")))
		for _, v := range vs {
			if !rules.Known(v.Rule) || v.Message == "" && v.Rule != "unknown-field" || v.File != "job.yaml" ||
				!utf8.ValidString(v.String()) || strings.ContainsAny(v.String(), "\n\r\x1b") {
				t.Errorf("bad violation %+q", v)
			}
			if v.Position == (job.Position{}) {
				continue
			}
			if v.Line < 1 || v.Line > len(lines)+1 || v.Column < 1 {
				t.Fatalf("position outside of %d lines: %v", len(lines), v)
			}
			// The parser puts an empty value one past the end.
			if width := utf8.RuneCountInString(lines[min(v.Line, len(lines))-1]); v.Line <= len(lines) && v.Column > width+1 {
				t.Fatalf("position outside of line of %d characters: %v", width, v)
			}
			if text := Excerpt(data, v); text != "" &&
				(strings.Count(text, "\n") != 2 || !strings.HasSuffix(text, "^\n") || !utf8.ValidString(text)) {
				t.Fatalf("bad excerpt %+q", text)
			}
		}
	})
}

// BenchmarkCheck is all that is done with a usual job file, beside what the YAML
// parser alone takes for it.
func BenchmarkCheck(b *testing.B) {
	b.Run("job", func(b *testing.B) {
		b.SetBytes(int64(len(cluster)))
		b.ReportAllocs()
		for b.Loop() {
			f, vs := Parse("job.yaml", []byte(cluster))
			if len(vs) > 0 || len(f.Check(nil)) > 0 {
				b.Fatal("violations")
			}
		}
	})
	b.Run("yaml alone", func(b *testing.B) {
		b.SetBytes(int64(len(cluster)))
		b.ReportAllocs()
		for b.Loop() {
			var v any
			if err := yaml.Unmarshal([]byte(cluster), &v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("1000 parameters", func(b *testing.B) {
		var text strings.Builder
		text.WriteString(tuning[:strings.LastIndex(tuning, "    - ")])
		for i := range 1000 {
			fmt.Fprintf(&text,
				"    - {parameterName: p%d, type: DOUBLE, minValue: 0.1, maxValue: %d, scaleType: UNIT_LOG_SCALE}\n", i, i+1)
		}
		data := []byte(text.String())
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			f, vs := Parse("job.yaml", data)
			if len(vs) > 0 || len(f.Check(nil)) > 0 {
				b.Fatal("violations")
			}
		}
	})
}

func BenchmarkDefaultCatalogue(b *testing.B) {
	for b.Loop() {
		var c Catalogue
		if err := json.Unmarshal(catalogueJSON, &c); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHostile shows what the largest accepted files cost.
func BenchmarkHostile(b *testing.B) {
	for _, bb := range []struct{ name, unit string }{
		{"flow", "[1,"}, {"brackets", "["}, {"keys", "a: 1\n"}, {"comments", "#\n"}, {"nested", "- "},
		{"anchors", "- &a b\n"}, {"quotes", "'a' "}, {"questions", "? "},
	} {
		b.Run(bb.name, func(b *testing.B) {
			data := []byte(strings.Repeat(bb.unit, MaxSize/len(bb.unit)))
			b.ReportAllocs()
			for b.Loop() {
				f, _ := Parse("job.yaml", data)
				f.Check(nil)
			}
		})
	}
	var keys strings.Builder
	keys.WriteString("labels:\n")
	for i := range MaxSize / (maxKey + 10) {
		fmt.Fprintf(&keys, "  %sa%d: B\n", strings.Repeat("a.", maxKey/2-4), i)
	}
	for _, bb := range []struct{ name, data string }{
		{"long keys", keys.String()},
		{"late fault", "a:\n" + strings.Repeat("    b: 1\n", maxSearched/9-1) + "  c: 1\n"},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				f, _ := Parse("job.yaml", []byte(bb.data))
				f.Check(nil)
			}
		})
	}
}

func TestRuleNames(t *testing.T) {
	seen := map[job.Rule]bool{}
	for _, r := range slices.Concat(jobRules[:], trainingRules[:]) {
		if seen[r.name] {
			t.Errorf("rule %s stands twice", r.name)
		}
		seen[r.name] = true
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ name, want string }{
		{"scale_tier", "scaleTier"},
		{"boot_disk_size_gb", "bootDiskSizeGb"},
		{"scaleTier", "scaleTier"},
		{"Scale_Tier", "Scale_Tier"},
		{"_", ""},
	} {
		if got := camelCase(tt.name); got != tt.want {
			t.Errorf("camelCase(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}
