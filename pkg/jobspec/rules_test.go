package jobspec

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/cli/rules"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Jobs that pass (tuning, once its parameter has a type), for [with] to change.
const (
	trainer = `jobId: census
trainingInput:
  scaleTier: BASIC
  packageUris: [gs://bucket/trainer-0.1.tar.gz]
  pythonModule: trainer.task
  region: us-central1
  runtimeVersion: '2.6'
  pythonVersion: '3.7'
`
	custom = `jobId: census
trainingInput:
  scaleTier: CUSTOM
  masterType: n1-standard-8
  packageUris: [gs://bucket/trainer-0.1.tar.gz]
  pythonModule: trainer.task
  region: us-central1
  runtimeVersion: '2.6'
  pythonVersion: '3.7'
`
	container = `jobId: census
trainingInput:
  scaleTier: BASIC
  region: us-central1
  masterConfig:
    imageUri: gcr.io/project/image
`
	tpuContainer = `jobId: census
trainingInput:
  scaleTier: CUSTOM
  masterType: n1-highcpu-16
  masterConfig: {imageUri: gcr.io/project/image}
  workerType: cloud_tpu
  workerCount: 1
  region: us-central1
`
	tuning = trainer + `  hyperparameters:
    goal: MAXIMIZE
    params:
    - parameterName: rate
`
)

// with replaces the line of a job that has the same key and indentation, or
// appends the line if there is none. "-KEY" removes a line.
func with(base string, lines ...string) string {
	out := strings.Split(strings.TrimSuffix(base, "\n"), "\n")
	for _, line := range lines {
		key, _, _ := strings.Cut(line, ":")
		drop := strings.HasPrefix(key, "-")
		key = strings.TrimPrefix(key, "-")
		found := false
		for i := range out {
			if strings.HasPrefix(out[i], key+":") {
				found = true
				if drop {
					out = append(out[:i], out[i+1:]...)
				} else {
					out[i] = line
				}
				break
			}
		}
		if !found {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n") + "\n"
}

// ruleCase is a job file with what one rule says of it.
type ruleCase struct {
	rule job.Rule // the one that is exercised
	name string
	data string
	// want is that rule's findings, "severity line:column field: part of
	// the text"; nil for a case that passes all rules, empty for one in
	// which others find something.
	want []string
}

func ruleCases() []ruleCase {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	const double = "      type: DOUBLE"
	tuneBy := func(name string) string {
		return with(tuning, "    - parameterName: "+name, double, "      minValue: 1", "      maxValue: 2")
	}
	passing := func(args string) string { return with(trainer, "  args: ["+args+"]") }
	return []ruleCase{
		{"job-id-format", "fits", with(trainer, "jobId: Census_2"), nil},
		{"job-id-format", "absent", with(trainer, "-jobId"), nil},
		{"job-id-format", "dashes", with(trainer, "jobId: cool-job"), []string{"error 1:8 jobId: write cool_job"}},
		{"job-id-format", "digit first", with(trainer, "jobId: 1st"), []string{"error 1:8 jobId: write job_1st"}},
		{"job-id-length", "128", with(trainer, "jobId: "+strings.Repeat("a", 128)), nil},
		{
			"job-id-length", "129", with(trainer, "jobId: "+strings.Repeat("a", 129)),
			[]string{"warning 1:8 jobId: found 129 characters"},
		},
		{
			"job-id-length", "512", with(trainer, "jobId: "+strings.Repeat("a", 512)),
			[]string{"warning 1:8 jobId: found 512 characters"},
		},
		{
			"job-id-length", "513", with(trainer, "jobId: "+strings.Repeat("a", 513)),
			[]string{"error 1:8 jobId: found 513 characters"},
		},
		{"label-count", "61", trainer + "labels: {" + many(61, "a%d: b, ") + "}\n", nil},
		{"label-count", "62", trainer + "labels: {" + many(62, "a%d: b, ") + "}\n", []string{"error 9:1 labels: found 62"}},
		{"label-key", "letters of any script", trainer + "labels: {größe-1_é: b}\n", nil},
		{"label-key", "63", trainer + "labels: {" + strings.Repeat("é", 63) + ": b}\n", nil},
		{"label-key", "64", trainer + "labels: {" + strings.Repeat("é", 64) + ": b}\n", []string{"error 9:"}},
		{"label-key", "capital", trainer + "labels:\n  Team: b\n", []string{"error 10:3 labels.Team: found Team"}},
		{"label-key", "dot", trainer + "labels:\n  a.b: c\n", []string{"error 10:3 labels.a.b: found a.b"}},
		{"label-value", "63", trainer + "labels: {a: " + strings.Repeat("b", 63) + "}\n", nil},
		{
			"label-value", "64", trainer + "labels:\n  a: " + strings.Repeat("b", 64) + "\n",
			[]string{"error 10:6 labels.a: 0 to 63 characters"},
		},
		{"label-value", "space", trainer + "labels:\n  a: b c\n", []string{"error 10:6 labels.a: found \"b c\""}},
		{"label-value", "dot", trainer + "labels:\n  a: b.c\n", []string{"error 10:6 labels.a: found b.c"}},
		{"label-value-narrow", "letter", trainer + "labels: {a: b-1_c}\n", nil},
		{
			"label-value-narrow", "empty", trainer + "labels:\n  a: ''\n",
			[]string{"warning 10:6 labels.a: some of Google's tools"},
		},
		{"label-value-narrow", "digit", trainer + "labels:\n  a: '1'\n", []string{"warning 10:6 labels.a: found 1"}},
		{
			"label-value-narrow", "other script", trainer + "labels:\n  a: grün\n",
			[]string{"warning 10:6 labels.a: found grün"},
		},
		{"label-value", "capital", trainer + "labels:\n  a: B\n", []string{"error 10:6 labels.a: found B"}},
		{"label-reserved", "similar", trainer + "labels: {jobdrop: b}\n", nil},
		{
			"label-reserved", "ours", trainer + "labels: {jobdrop-attempt: b}\n",
			[]string{"error 9:10 labels.jobdrop-attempt: rename"},
		},
		{"training-input-required", "there", trainer, nil},
		{"training-input-required", "absent", "jobId: a\n", []string{"error 1:1 trainingInput: no trainingInput"}},
		{
			"training-input-required", "null", "jobId: a\ntrainingInput:\n",
			[]string{"error 2:1 trainingInput: no trainingInput"},
		},

		{"pin", "generation", trainer + "jobdrop: {packages: [{name: a.whl, generation: 5}]}\n", nil},
		{"pin", "sum", trainer + "jobdrop: {packages: [{name: a.whl, crc32c: AAAAAA==}]}\n", nil},
		{
			"pin", "no name", trainer + "jobdrop:\n  packages:\n  - generation: 5\n",
			[]string{"error 11:5 jobdrop.packages[0].name: names no package"},
		},
		{
			"pin", "path", trainer + "jobdrop:\n  packages:\n  - {name: gs://b/a.whl, generation: 5}\n",
			[]string{"error 11:12 jobdrop.packages[0].name: write a.whl"},
		},
		{
			"pin", "negative", trainer + "jobdrop:\n  packages:\n  - {name: a.whl, generation: -5}\n",
			[]string{"error 11:31 jobdrop.packages[0].generation: positive"},
		},
		{
			"pin", "no sum", trainer + "jobdrop:\n  packages:\n  - {name: a.whl, crc32c: AAAA}\n",
			[]string{"error 11:27 jobdrop.packages[0].crc32c: not a CRC32C"},
		},
		{
			"pin", "nothing", trainer + "jobdrop:\n  packages:\n  - name: a.whl\n",
			[]string{"error 11:5 jobdrop.packages[0]: nothing about"},
		},
		{
			"pin-twice", "two", trainer + "jobdrop: {packages: [{name: a.whl, generation: 5}, {name: b.whl, generation: 5}]}\n",
			nil,
		},
		{
			"pin-twice", "one twice",
			trainer + "jobdrop:\n  packages:\n  - {name: a.whl, generation: 5}\n  - {name: a.whl, generation: 6}\n",
			[]string{"error 12:12 jobdrop.packages[1].name: packages[0]"},
		},
		{"notify-route", "named", trainer + "jobdrop: {notify: growth}\n", nil},
		{
			"notify-route", "blank", trainer + "jobdrop: {notify: [growth, ' ']}\n",
			[]string{"error 9:28 jobdrop.notify[1]: no name"},
		},

		{"region-required", "there", trainer, nil},
		{"region-required", "absent", with(trainer, "-  region"), []string{"error 2:1 trainingInput.region: no region"}},
		{"region-format", "fits", with(trainer, "  region: northamerica-northeast1"), nil},
		{
			"region-format", "zone", with(trainer, "  region: us-central1-a"),
			[]string{"error 6:11 trainingInput.region: write us-central1"},
		},
		{
			"region-format", "capitals", with(trainer, "  region: US-Central1"),
			[]string{"error 6:11 trainingInput.region: write us-central1"},
		},
		{
			"region-format", "multi-region", with(trainer, "  region: us"),
			[]string{"error 6:11 trainingInput.region: not a valid region"},
		},
		{
			"region-format", "no dash", with(trainer, "  region: uscentral1"),
			[]string{"error 6:11 trainingInput.region: write us-central1"},
		},
		{"region-unknown", "known", with(trainer, "  region: asia-northeast3"), nil},
		{
			"region-unknown", "unknown", with(trainer, "  region: us-centrl1"),
			[]string{"warning 6:11 trainingInput.region: did you mean us-central1?"},
		},

		{"scale-tier-required", "there", trainer, nil},
		{
			"scale-tier-required", "absent", with(trainer, "-  scaleTier"),
			[]string{"error 2:1 trainingInput.scaleTier: no scale tier"},
		},
		{
			"scale-tier-required", "unspecified", with(trainer, "  scaleTier: SCALE_TIER_UNSPECIFIED"),
			[]string{"error 3:14 trainingInput.scaleTier: no scale tier"},
		},
		{
			"scale-tier-required", "container", with(container, "-  scaleTier"),
			[]string{"warning 2:1 trainingInput.scaleTier: no scale tier"},
		},
		{"master-type-required", "there", custom, nil},
		{
			"master-type-required", "absent", with(custom, "-  masterType"),
			[]string{"error 3:14 trainingInput.masterType: needs masterType"},
		},
		{"custom-tier-only", "zero", with(trainer, "  workerCount: 0"), nil},
		{
			"custom-tier-only", "count", with(trainer, "  workerCount: 1"),
			[]string{"error 9:16 trainingInput.workerCount: goes with scaleTier CUSTOM only"},
		},
		{
			"machine-unused", "BASIC", with(trainer, "  masterType: standard"),
			[]string{"warning 9:15 trainingInput.masterType: goes with scaleTier CUSTOM only"},
		},
		{"replica-count", "some", with(custom, "  workerCount: 1", "  workerType: n1-standard-4"), nil},
		{
			"replica-count", "negative", with(custom, "  evaluatorCount: -1"),
			[]string{"error 10:19 trainingInput.evaluatorCount: negative"},
		},
		{"replica-type-required", "no replicas", with(custom, "  workerCount: 0"), nil},
		{
			"replica-type-required", "absent", with(custom, "  workerCount: 2"),
			[]string{"error 10:16 trainingInput.workerType: workerCount is 2"},
		},
		{"replica-type-unused", "used", with(custom, "  evaluatorCount: 1", "  evaluatorType: n1-standard-4"), nil},
		{
			"replica-type-unused", "count absent", with(custom, "  workerType: n1-standard-4"),
			[]string{"warning 10:15 trainingInput.workerType: no effect"},
		},
		{
			"machine-category", "one",
			with(custom, "  masterType: standard", "  workerType: complex_model_l_gpu", "  workerCount: 1"), nil,
		},
		{"machine-category", "TPU", with(custom, "  workerType: cloud_tpu", "  workerCount: 1"), nil},
		{
			"machine-category", "two", with(custom, "  workerType: standard_gpu", "  workerCount: 1"),
			[]string{"error 10:15 trainingInput.workerType: masterType n1-standard-8 is a Compute Engine one"},
		},
		{
			"machine-category", "two, the other way",
			with(custom, "  masterType: large_model_v100", "  evaluatorType: n1-standard-4", "  evaluatorCount: 1"),
			[]string{"error 10:18 trainingInput.evaluatorType: is a legacy one"},
		},
		{
			"machine-unknown", "new family", with(custom, "  masterType: c9-fast-16"),
			[]string{"warning 4:15 trainingInput.masterType: check it against"},
		},
		{
			"machine-unknown", "misspelt", with(custom, "  masterType: n1-standard8"),
			[]string{"warning 4:15 trainingInput.masterType: did you mean n1-standard-8?"},
		},
		{
			"machine-unknown", "too small", with(custom, "  masterType: n1-standard-2"),
			[]string{"warning 4:15 trainingInput.masterType: did you mean n1-standard-4?"},
		},
		{
			"machine-unknown", "no such legacy", with(custom, "  masterType: complex_model_l_p100"),
			[]string{"warning 4:15 trainingInput.masterType: did you mean complex_model_"},
		},
		{
			"machine-unknown", "of the workers", with(custom, "  workerType: n2-standard-8", "  workerCount: 1"),
			[]string{"warning 10:15 trainingInput.workerType: did you mean n1-standard-8?"},
		},
		{
			"machine-unknown", "Vertex AI's", with(custom, "  masterType: g2-standard-8"),
			[]string{"warning 4:15 trainingInput.masterType: nothing to do if the job is to run on Vertex AI"},
		},
		{"machine-unknown", "A2", with(custom, "  masterType: a2-megagpu-16g"), nil},
		{"machine-unknown", "legacy", with(custom, "  masterType: large_model_v100"), nil},
		{"machine-unknown", "96", with(custom, "  masterType: n1-highcpu-96"), nil},
		{"machine-format", "fits", with(custom, "  masterType: complex_model_m_p100"), nil},
		{
			"machine-format", "capital letters", with(custom, "  masterType: N1-Standard-8"),
			[]string{"error 4:15 trainingInput.masterType: write n1-standard-8"},
		},
		{
			"machine-format", "URL", with(custom, "  masterType: zones/us-central1-a/machineTypes/n1-standard-4"),
			[]string{"error 4:15 trainingInput.masterType: not a valid machine type"},
		},
		{
			"machine-format", "space", with(custom, "  masterType: n1 standard 8"),
			[]string{"error 4:15 trainingInput.masterType: write n1-standard-8"},
		},
		{
			"machine-format", "dash last", with(custom, "  masterType: n1-"),
			[]string{"error 4:15 trainingInput.masterType: write the name"},
		},
		{
			"machine-format", "capitals", with(custom, "  masterType: N1"),
			[]string{"error 4:15 trainingInput.masterType: not a valid machine type"},
		},
		{"evaluator-count", "one", with(custom, "  evaluatorCount: 1", "  evaluatorType: n1-standard-4"), nil},
		{
			"evaluator-count", "two", with(custom, "  evaluatorCount: 2", "  evaluatorType: n1-standard-4"),
			[]string{"warning 10:19 trainingInput.evaluatorCount: at most one"},
		},

		{"packages-required", "there", trainer, nil},
		{"packages-required", "container", container, nil},
		{
			"packages-required", "absent", with(trainer, "-  packageUris"),
			[]string{"error 2:1 trainingInput.packageUris: no package and no image"},
		},
		{"package-count", "100", with(trainer, "  packageUris: ["+many(100, "gs://bucket/%d.whl, ")+"]"), nil},
		{
			"package-count", "101", with(trainer, "  packageUris: ["+many(101, "gs://bucket/%d.whl, ")+"]"),
			[]string{"error 4:3 trainingInput.packageUris: found 101"},
		},
		{"package-uri", "path", with(trainer, "  packageUris: [gs://b.example.com/a/b c/t.tgz]"), nil},
		{
			"package-uri", "not resolved", with(trainer, "  packageUris: [trainer.tar.gz]"),
			[]string{"error 4:17 trainingInput.packageUris[0]: not an object of Cloud Storage"},
		},
		{
			"package-uri", "bucket only", with(trainer, "  packageUris: ['gs://bucket/']"),
			[]string{"error 4:17 trainingInput.packageUris[0]: not an object"},
		},
		{
			"package-uri", "folder", with(trainer, "  packageUris: ['gs://bucket/a.tar.gz/']"),
			[]string{"error 4:17 trainingInput.packageUris[0]: not an object"},
		},
		{
			"package-uri", "web", with(trainer, "  packageUris: ['https://storage.googleapis.com/b/a.whl']"),
			[]string{"error 4:17 trainingInput.packageUris[0]: not an object"},
		},
		{
			"bucket-format", "of a package", with(trainer, "  packageUris: ['gs://Bucket/a.whl']"),
			[]string{"error 4:17 trainingInput.packageUris[0]: found Bucket"},
		},
		{"package-name-twice", "two", with(trainer, "  packageUris: [gs://bucket/a.whl, gs://bucket/b.whl]"), nil},
		{
			"package-name-twice", "one twice", with(trainer, "  packageUris: [gs://bucket/a.whl, gs://other/a.whl]"),
			[]string{"warning 4:36 trainingInput.packageUris[1]: packageUris[0] has the same"},
		},
		{"package-extension", "known", with(trainer, "  packageUris: [gs://bucket/a.whl, gs://bucket/a.tgz]"), nil},
		{
			"package-extension", "other", with(trainer, "  packageUris: [gs://bucket/a.zip]"),
			[]string{"warning 4:17 trainingInput.packageUris[0]: allowed: .tar.gz, .tgz, .whl"},
		},
		{"python-module-required", "container", container, nil},
		{
			"python-module-required", "absent", with(trainer, "-  pythonModule"),
			[]string{"error 2:1 trainingInput.pythonModule: which module"},
		},
		{"python-module-format", "one name", with(trainer, "  pythonModule: task"), nil},
		{"python-module-format", "dash", with(trainer, "  pythonModule: my-trainer.task"), nil},
		{
			"python-module-format", "path", with(trainer, "  pythonModule: trainer/task.py"),
			[]string{"error 5:17 trainingInput.pythonModule: write trainer.task"},
		},
		{
			"python-module-format", "path within src", with(trainer, "  pythonModule: ./src/trainer/task.py"),
			[]string{"error 5:17 trainingInput.pythonModule: write trainer.task"},
		},
		{
			"python-module-format", "extension", with(trainer, "  pythonModule: trainer.task.py"),
			[]string{"error 5:17 trainingInput.pythonModule: write trainer.task"},
		},
		{
			"python-module-format", "option", with(trainer, "  pythonModule: -m trainer.task"),
			[]string{"error 5:17 trainingInput.pythonModule: write trainer.task"},
		},
		{
			"python-module-format", "empty name", with(trainer, "  pythonModule: trainer..task"),
			[]string{"error 5:17 trainingInput.pythonModule: joined by a dot"},
		},
		{"runtime-version-required", "container", container, nil},
		{
			"runtime-version-required", "absent", with(trainer, "-  runtimeVersion"),
			[]string{
				"error 2:1 trainingInput.runtimeVersion: no runtime version; write it in quotes, e.g. runtimeVersion: '2.11'",
			},
		},
		{"runtime-version-format", "fits", with(trainer, "  runtimeVersion: '2.11'"), nil},
		{
			"runtime-version-format", "word", with(trainer, "  runtimeVersion: latest"),
			[]string{"error 7:19 trainingInput.runtimeVersion: found latest"},
		},
		{
			"runtime-version-format", "major only", with(trainer, "  runtimeVersion: '2'"),
			[]string{"error 7:19 trainingInput.runtimeVersion: not a valid runtime version"},
		},
		{"runtime-version-unknown", "known", with(trainer, "  runtimeVersion: '1.15'"), nil},
		{
			"runtime-version-unknown", "later", with(trainer, "  runtimeVersion: '2.99'", "  pythonVersion: '3.10'"),
			[]string{"warning 7:19 trainingInput.runtimeVersion: not among those known"},
		},
		{
			"runtime-version-patch", "three numbers", with(trainer, "  runtimeVersion: 2.6.1"),
			[]string{"warning 7:19 trainingInput.runtimeVersion: write '2.6'"},
		},
		{
			"runtime-version-ended", "1.9", with(trainer, "  runtimeVersion: '1.9'", "  pythonVersion: '2.7'"),
			[]string{"warning 7:19 trainingInput.runtimeVersion: no longer"},
		},
		{"python-version-required", "container", container, nil},
		{
			"python-version-required", "absent", with(trainer, "-  pythonVersion"),
			[]string{"error 2:1 trainingInput.pythonVersion: no Python version"},
		},
		{"python-version", "2.7", with(trainer, "  runtimeVersion: '1.15'", "  pythonVersion: '2.7'"), nil},
		{
			"python-version", "3.8", with(trainer, "  pythonVersion: '3.8'"),
			[]string{"error 8:18 trainingInput.pythonVersion: allowed: 3.10, 3.7, 3.5, 2.7"},
		},
		{"python-for-runtime", "3.7 with 1.15", with(trainer, "  runtimeVersion: '1.15'"), nil},
		{"python-for-runtime", "3.5 with 1.13", with(trainer, "  runtimeVersion: '1.13'", "  pythonVersion: '3.5'"), nil},
		{"python-for-runtime", "3.5 with 1.14", with(trainer, "  runtimeVersion: '1.14'", "  pythonVersion: '3.5'"), nil},
		{
			"python-for-runtime", "3.7 with 1.14", with(trainer, "  runtimeVersion: '1.14'"),
			[]string{"error 8:18 trainingInput.pythonVersion: write pythonVersion: '3.5', or runtimeVersion 1.15 to 2.11"},
		},
		{
			"python-for-runtime", "3.5 with 1.12", with(trainer, "  runtimeVersion: '1.12'", "  pythonVersion: '3.5'"),
			[]string{"warning 8:18 trainingInput.pythonVersion: has Python 3.5 from runtime version 1.13 on"},
		},
		{
			"python-for-runtime", "3.5 with 1.2", with(trainer, "  runtimeVersion: '1.2'", "  pythonVersion: '3.5'"),
			[]string{"error 8:18 trainingInput.pythonVersion: versions 1.4 to 1.14, not with 1.2"},
		},
		{
			"python-for-runtime", "3.5 with 1.15", with(trainer, "  runtimeVersion: '1.15'", "  pythonVersion: '3.5'"),
			[]string{"error 8:18 trainingInput.pythonVersion: not with 1.15 (found 3.5, allowed: 3.7, 2.7)"},
		},
		{
			"python-for-runtime", "2.7 with 2.1", with(trainer, "  runtimeVersion: '2.1'", "  pythonVersion: '2.7'"),
			[]string{"error 8:18 trainingInput.pythonVersion: 1.15 or earlier, not with 2.1"},
		},
		{"image-excludes-runtime", "packages", with(container, "  packageUris: gs://bucket/a.whl", "  pythonModule: a"), nil},
		{
			"image-excludes-runtime", "both", with(container, "  runtimeVersion: '2.6'", "  pythonVersion: '3.7'"),
			[]string{"error 7:19 trainingInput.runtimeVersion: excludes"},
		},

		{"job-dir-format", "path", with(trainer, "  jobDir: gs://bucket.example_1/a b/c/"), nil},
		{"job-dir-format", "bucket", with(trainer, "  jobDir: gs://bucket"), nil},
		{
			"bucket-length", "the manual's example", with(trainer, "  jobDir: gs://my/training/job/directory"),
			[]string{"warning 9:11 trainingInput.jobDir: at least 3 characters"},
		},
		{
			"job-dir-format", "local", with(trainer, "  jobDir: /tmp/out"),
			[]string{"error 9:11 trainingInput.jobDir: found /tmp/out"},
		},
		{
			"job-dir-format", "no bucket", with(trainer, "  jobDir: gs:///a"),
			[]string{"error 9:11 trainingInput.jobDir: must be in Cloud Storage"},
		},
		{
			"bucket-format", "capital", with(trainer, "  jobDir: gs://MY_BUCKET/a"),
			[]string{"error 9:11 trainingInput.jobDir: found MY_BUCKET"},
		},
		{
			"bucket-format", "dash last", with(trainer, "  jobDir: gs://bucket-/a"),
			[]string{"error 9:11 trainingInput.jobDir: begins and ends"},
		},
		{
			"bucket-format", "long", with(trainer, "  jobDir: gs://"+strings.Repeat("a", 64)),
			[]string{"error 9:11 trainingInput.jobDir: 63"},
		},
		{
			"bucket-format", "longest", with(trainer, "  jobDir: gs://"+strings.Repeat("abc.", 56)+"d"),
			[]string{"error 9:11 trainingInput.jobDir: 222"},
		},
		{
			"bucket-format", "address", with(trainer, "  jobDir: gs://10.0.0.1/a"),
			[]string{"error 9:11 trainingInput.jobDir: IP address"},
		},
		{
			"object-name", "long path", with(trainer, "  jobDir: gs://bucket/"+strings.Repeat("a", 1025)),
			[]string{"error 9:11 trainingInput.jobDir: 1024"},
		},
		{"max-wait-time", "least", with(trainer, "  scheduling: {maxWaitTime: 1800s}"), nil},
		{
			"max-wait-time", "less", with(trainer, "  scheduling: {maxWaitTime: 1799.9s}"),
			[]string{"error 9:29 trainingInput.scheduling.maxWaitTime: 1800s or more"},
		},
		{
			"duration-format", "no unit", with(trainer, "  scheduling: {maxWaitTime: '3600'}"),
			[]string{"error 9:29 trainingInput.scheduling.maxWaitTime: write 3600s"},
		},
		{
			"duration-format", "hours", with(trainer, "  scheduling: {maxWaitTime: 1h}"),
			[]string{"error 9:29 trainingInput.scheduling.maxWaitTime: write 3600s"},
		},
		{
			"duration-format", "words", with(trainer, "  scheduling: {maxWaitTime: an hour}"),
			[]string{"error 9:29 trainingInput.scheduling.maxWaitTime: write the seconds"},
		},
		{"max-running-time", "fraction", with(trainer, "  scheduling: {maxRunningTime: 0.5s}"), nil},
		{"max-running-time", "more than the default", with(trainer, "  scheduling: {maxRunningTime: 1209600s}"), nil},
		{
			"max-running-time", "zero", with(trainer, "  scheduling: {maxRunningTime: 0s}"),
			[]string{"warning 9:32 trainingInput.scheduling.maxRunningTime: no time to run"},
		},
		{
			"duration-format", "negative", with(trainer, "  scheduling: {maxRunningTime: -5s}"),
			[]string{"error 9:32 trainingInput.scheduling.maxRunningTime: not a valid duration"},
		},
		{"priority-range", "most", with(trainer, "  scheduling: {priority: 1000}"), nil},
		{
			"priority-range", "more", with(trainer, "  scheduling: {priority: 1001}"),
			[]string{"error 9:26 trainingInput.scheduling.priority: 0 to 1000"},
		},
		{
			"priority-range", "negative", with(trainer, "  scheduling: {priority: -1}"),
			[]string{"error 9:26 trainingInput.scheduling.priority: 0 to 1000"},
		},
		{"service-account-format", "address", with(trainer, "  serviceAccount: a@p.iam.gserviceaccount.com"), nil},
		{"service-account-format", "number", with(trainer, "  serviceAccount: '10234'"), nil},
		{
			"service-account-format", "name", with(trainer, "  serviceAccount: trainer"),
			[]string{"error 9:19 trainingInput.serviceAccount: e-mail"},
		},
		{"network-format", "number", with(trainer, "  network: projects/12345/global/networks/default"), nil},
		{
			"network-format", "project's ID", with(trainer, "  network: projects/census/global/networks/default"),
			[]string{"error 9:12 trainingInput.network: number of the project census"},
		},
		{
			"network-format", "name", with(trainer, "  network: default"),
			[]string{"error 9:12 trainingInput.network: not the full name of a network"},
		},
		{
			"kms-key-format", "fits",
			with(trainer, "  encryptionConfig: {kmsKeyName: projects/p/locations/us-central1/keyRings/r/cryptoKeys/k}"), nil,
		},
		{
			"kms-key-format", "version",
			with(trainer,
				"  encryptionConfig: {kmsKeyName: projects/p/locations/us-central1/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1}"),
			[]string{"error 9:34 trainingInput.encryptionConfig.kmsKeyName: without a version"},
		},
		{
			"kms-key-region", "other",
			with(trainer, "  encryptionConfig: {kmsKeyName: projects/p/locations/us/keyRings/r/cryptoKeys/k}"),
			[]string{"warning 9:34 trainingInput.encryptionConfig.kmsKeyName: the key is in us"},
		},

		{"argument-placeholder", "none", passing("--a=$1.50, '--pad=<pad>', 'a{b}', '^a$', '100%', a@b"), nil},
		{
			"argument-placeholder", "of a shell", passing("a, 'gs://${BUCKET}/data'"),
			[]string{"warning 9:13 trainingInput.args[1]: gets ${BUCKET} as it stands"},
		},
		{
			"argument-placeholder", "without braces", passing("--project=$PROJECT_ID"),
			[]string{"warning 9:10 trainingInput.args[0]: gets $PROJECT_ID as it stands"},
		},
		{
			"argument-placeholder", "of a template", passing("'--a={{ a }}'"),
			[]string{"warning 9:10 trainingInput.args[0]: the placeholder {{ a }}"},
		},
		{
			"argument-placeholder", "of a manual", passing("gs://YOUR_BUCKET/x, --key=<API_KEY>"),
			[]string{
				"warning 9:10 trainingInput.args[0]: the placeholder YOUR_BUCKET",
				"warning 9:30 trainingInput.args[1]: the placeholder <API_KEY>",
			},
		},
		{
			"argument-placeholder", "read by a shell", container +
				"    containerCommand: [/bin/bash, -c]\n    containerArgs: ['run ${HOME} --steps 5']\n", nil,
		},
		{"argument-odd-character", "within", passing("--title=Größe – groß"), nil},
		{
			"argument-odd-character", "en dash", passing("–steps=5"),
			[]string{"warning 9:10 trainingInput.args[0]: write --steps=5"},
		},
		{
			"argument-odd-character", "em dash", passing("a, —steps=5"),
			[]string{"warning 9:13 trainingInput.args[1]: write --steps=5"},
		},
		{
			"argument-odd-character", "quotes", passing("“a”"),
			[]string{"warning 9:10 trainingInput.args[0]: a typographic quote (U+201C)"},
		},
		{
			"argument-odd-character", "space at the end", container + "    containerArgs: [\"a\u00a0\"]\n",
			[]string{"warning 7:21 trainingInput.masterConfig.containerArgs[0]: ends with a no-break space"},
		},
		{"argument-space", "none", passing("--steps, '1000', --a=b c, a b, '-', -- x"), nil},
		{
			"argument-space", "option and value", passing("--steps 1000"),
			[]string{"warning 9:10 trainingInput.args[0]: two entries, --steps and 1000"},
		},
		{
			"argument-space", "short option", passing("-n 1"),
			[]string{"warning 9:10 trainingInput.args[0]: two entries, -n and 1"},
		},
		{
			"argument-space", "of a container", container + "    containerArgs: [--steps 5]\n",
			[]string{"warning 7:21 trainingInput.masterConfig.containerArgs[0]: two entries"},
		},
		{"image-placeholder", "a project's", with(container, "    imageUri: gcr.io/project/image:your-tag"), nil},
		{
			"image-placeholder", "yours", with(container, "    imageUri: gcr.io/your-project/image"),
			[]string{"warning 6:15 trainingInput.masterConfig.imageUri: your-project looks like a placeholder"},
		},
		{
			"image-placeholder", "of a manual", with(container, "    imageUri: us-docker.pkg.dev/project-id/repo/image:1"),
			[]string{"warning 6:15 trainingInput.masterConfig.imageUri: project-id looks like a placeholder"},
		},
		{
			"image-format", "capitals", with(container, "    imageUri: gcr.io/PROJECT_ID/image:latest"),
			[]string{"error 6:15 trainingInput.masterConfig.imageUri: PROJECT_ID looks like a placeholder"},
		},
		{"args-exclusive", "containerArgs", with(container, "    containerArgs: [a]"), nil},
		{"args-exclusive", "args", with(container, "  args: [a]"), nil},
		{
			"args-exclusive", "both", with(container, "    containerArgs: [a]", "    containerCommand: [b]", "  args: [c]"),
			[]string{
				"error 7:5 trainingInput.masterConfig.containerArgs: exclude",
				"error 8:5 trainingInput.masterConfig.containerCommand: exclude",
			},
		},
		{
			"container-needs-image", "of the master",
			with(container, "  scaleTier: CUSTOM", "  masterType: n1-standard-4", "  workerType: n1-standard-4",
				"  workerCount: 1", "  workerConfig: {containerArgs: [a]}"), nil,
		},
		{
			"container-needs-image", "none", with(custom, "  masterConfig: {containerArgs: [a]}"),
			[]string{"error 10:18 trainingInput.masterConfig.containerArgs: needs an image"},
		},
		{
			"container-command-empty", "a program", with(custom,
				"  masterConfig: {imageUri: gcr.io/p/i, containerCommand: [a, '']}", "-  packageUris", "-  pythonModule",
				"-  runtimeVersion", "-  pythonVersion"), nil,
		},
		{
			"container-command-empty", "none", with(custom,
				"  masterConfig: {imageUri: gcr.io/p/i, containerCommand: ['', a]}", "-  packageUris", "-  pythonModule",
				"-  runtimeVersion", "-  pythonVersion"),
			[]string{"error 6:59 trainingInput.masterConfig.containerCommand[0]: its first word is empty"},
		},
		{"chief-unused", "used", with(container, "  useChiefInTfConfig: true"), nil},
		{
			"chief-unused", "no image", with(trainer, "  useChiefInTfConfig: true"),
			[]string{"warning 9:23 trainingInput.useChiefInTfConfig: no effect"},
		},
		{
			"accelerator-complete", "both",
			with(custom, "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4, count: '1'}}"), nil,
		},
		{"accelerator-complete", "empty", with(custom, "  masterConfig: {acceleratorConfig: {}}"), nil},
		{
			"accelerator-complete", "no count", with(custom, "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4}}"),
			[]string{"error 10:44 trainingInput.masterConfig.acceleratorConfig.count: no count"},
		},
		{
			"accelerator-complete", "zero",
			with(custom, "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 0}}"),
			[]string{"error 10:68 trainingInput.masterConfig.acceleratorConfig.count: found 0"},
		},
		{
			"accelerator-complete", "no type", with(custom, "  masterConfig: {acceleratorConfig: {count: 1}}"),
			[]string{"error 10:45 trainingInput.masterConfig.acceleratorConfig.type: no type"},
		},
		{
			"accelerator-count", "eight",
			with(custom, "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_V100, count: 8}}"), nil,
		},
		{
			"accelerator-count", "negative",
			with(custom, "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4, count: -1}}"),
			[]string{"error 10:68 trainingInput.masterConfig.acceleratorConfig.count: negative"},
		},
		{
			"accelerator-machine", "TPU",
			with(custom, "  workerType: cloud_tpu", "  workerCount: 1",
				"  workerConfig: {acceleratorConfig: {type: TPU_V3, count: 8}}"), nil,
		},
		{
			"accelerator-legacy", "legacy",
			with(custom, "  masterType: standard", "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 1}}"),
			[]string{"error 10:18 trainingInput.masterConfig.acceleratorConfig: legacy machine type standard"},
		},
		{"disk-type", "fits", with(custom, "  masterConfig: {diskConfig: {bootDiskType: pd-standard}}"), nil},
		{
			"disk-type", "other", with(custom, "  masterConfig: {diskConfig: {bootDiskType: local-ssd}}"),
			[]string{"error 10:45 trainingInput.masterConfig.diskConfig.bootDiskType: pd-ssd, pd-standard"},
		},
		{"disk-size", "default", with(custom, "  masterConfig: {diskConfig: {bootDiskSizeGb: 100}}"), nil},
		{
			"disk-size", "small", with(custom, "  masterConfig: {diskConfig: {bootDiskSizeGb: 50}}"),
			[]string{"warning 10:47 trainingInput.masterConfig.diskConfig.bootDiskSizeGb: found 50"},
		},
		{
			"disk-size", "negative", with(custom, "  masterConfig: {diskConfig: {bootDiskSizeGb: -1}}"),
			[]string{"error 10:47 trainingInput.masterConfig.diskConfig.bootDiskSizeGb: negative"},
		},

		{"goal-required", "resumed", with(trainer, "  hyperparameters: {resumePreviousJobId: a}"), nil},
		{
			"goal-required", "absent", with(tuning, "-    goal", double, "      minValue: 1", "      maxValue: 2"),
			[]string{"warning 9:3 trainingInput.hyperparameters.goal: maximized"},
		},
		{"params-required", "resumed", with(trainer, "  hyperparameters: {resumePreviousJobId: a}"), nil},
		{
			"params-required", "absent", with(trainer, "  hyperparameters: {goal: MAXIMIZE}"),
			[]string{"error 9:3 trainingInput.hyperparameters.params: no params"},
		},
		{
			"trial-count", "some",
			with(trainer, "  hyperparameters: {resumePreviousJobId: a, maxTrials: 1000, maxFailedTrials: 0}"), nil,
		},
		{
			"trial-count", "negative",
			with(trainer, "  hyperparameters: {resumePreviousJobId: a, maxTrials: -1, maxFailedTrials: -2}"),
			[]string{
				"error 9:56 trainingInput.hyperparameters.maxTrials: found -1",
				"error 9:77 trainingInput.hyperparameters.maxFailedTrials: found -2",
			},
		},
		{
			"parallel-trials", "all",
			with(trainer, "  hyperparameters: {resumePreviousJobId: a, maxTrials: 3, maxParallelTrials: 3}"), nil,
		},
		{
			"parallel-trials", "default", with(trainer, "  hyperparameters: {resumePreviousJobId: a, maxParallelTrials: 1}"),
			nil,
		},
		{
			"parallel-trials", "more",
			with(trainer, "  hyperparameters: {resumePreviousJobId: a, maxTrials: 3, maxParallelTrials: 4}"),
			[]string{"warning 9:78 trainingInput.hyperparameters.maxParallelTrials: the 3"},
		},
		{"param-name-format", "dashes within", tuneBy("learning-rate"), nil},
		{"param-name-format", "any script", tuneBy("größe"), nil},
		{
			"param-name-format", "of a flag", tuneBy("--learning-rate"),
			[]string{"error 12:22 trainingInput.hyperparameters.params[0].parameterName: write learning-rate"},
		},
		{
			"param-name-format", "space", tuneBy("learning rate"),
			[]string{"error 12:22 trainingInput.hyperparameters.params[0].parameterName: write learning_rate"},
		},
		{
			"param-name-format", "equals sign", tuneBy("rate=1"),
			[]string{"error 12:22 trainingInput.hyperparameters.params[0].parameterName: write rate"},
		},
		{
			"param-name-format", "dashes alone", tuneBy("'--'"),
			[]string{"error 12:22 trainingInput.hyperparameters.params[0].parameterName: e.g. learning_rate"},
		},
		{"trial-count", "not given", with(tuning, double, "      minValue: 1", "      maxValue: 2"), nil},
		{
			"trial-count", "none at once", with(tuning, double, "      minValue: 1", "      maxValue: 2") +
				"    maxParallelTrials: 0\n",
			[]string{"warning 16:24 trainingInput.hyperparameters.maxParallelTrials: taken for the default, 1"},
		},
		{
			"trial-count", "none", with(tuning, double, "      minValue: 1", "      maxValue: 2") + "    maxTrials: '0'\n",
			[]string{"warning 16:16 trainingInput.hyperparameters.maxTrials: taken for the default, 1"},
		},
		{"param-name-required", "there", with(tuning, double, "      minValue: 1", "      maxValue: 2"), nil},
		{
			"param-name-required", "absent",
			with(tuning, "    - parameterName:", double, "      minValue: 1", "      maxValue: 2"),
			[]string{"error 12:7 trainingInput.hyperparameters.params[0].parameterName: no name"},
		},
		{
			"param-name-twice", "two",
			tuning +
				"      type: DISCRETE\n      discreteValues: 1\n    - {parameterName: b, type: DISCRETE, discreteValues: [1]}\n",
			nil,
		},
		{
			"param-name-twice", "one twice",
			tuning +
				"      type: DISCRETE\n      discreteValues: 1\n    - {parameterName: rate, type: DISCRETE, discreteValues: [1]}\n",
			[]string{"error 15:23 trainingInput.hyperparameters.params[1].parameterName: params[0] has the same"},
		},
		{
			"param-name-in-args", "other",
			with(tuning, "      type: DISCRETE", "      discreteValues: 1", "  args: [--rates=1, rate]"), nil,
		},
		{
			"param-name-in-args", "same",
			with(tuning, "      type: DISCRETE", "      discreteValues: 1", "  args: [--x, --rate=1]"),
			[]string{"warning 12:22 trainingInput.hyperparameters.params[0].parameterName: args[1]"},
		},
		{"param-type-required", "there", with(tuning, "      type: DISCRETE", "      discreteValues: 1"), nil},
		{
			"param-type-required", "absent", tuning,
			[]string{"error 12:7 trainingInput.hyperparameters.params[0].type: no type"},
		},
		{
			"param-type-required", "unspecified", with(tuning, "      type: PARAMETER_TYPE_UNSPECIFIED"),
			[]string{"error 13:13 trainingInput.hyperparameters.params[0].type: no type"},
		},
		{"param-bounds", "zero", with(tuning, double, "      minValue: 0", "      maxValue: 0"), nil},
		{
			"param-bounds", "absent", with(tuning, "      type: INTEGER"),
			[]string{
				"error 13:13 trainingInput.hyperparameters.params[0].maxValue: INTEGER needs maxValue",
				"error 13:13 trainingInput.hyperparameters.params[0].minValue: INTEGER needs minValue",
			},
		},
		{"param-bounds-order", "equal", with(tuning, double, "      minValue: 0.95", "      maxValue: 0.95"), nil},
		{
			"param-bounds-order", "reversed", with(tuning, double, "      minValue: 2", "      maxValue: 1"),
			[]string{"error 14:17 trainingInput.hyperparameters.params[0].minValue: greater than maxValue, 1"},
		},
		{
			"param-bounds-integer", "whole", with(tuning, "      type: INTEGER", "      minValue: 1.0", "      maxValue: 1e3"),
			nil,
		},
		{
			"param-bounds-integer", "fraction", with(tuning, "      type: INTEGER", "      minValue: 0.5", "      maxValue: 3"),
			[]string{"error 14:17 trainingInput.hyperparameters.params[0].minValue: whole number"},
		},
		{
			"param-bounds-exact", "the largest", with(tuning, "      type: INTEGER", "      minValue: -9007199254740991",
				"      maxValue: 9007199254740991"), nil,
		},
		{
			"param-bounds-exact", "larger", with(tuning, "      type: INTEGER", "      minValue: 0", "      maxValue: 1.0e+16"),
			[]string{"warning 15:17 trainingInput.hyperparameters.params[0].maxValue: -9007199254740991 to 9007199254740991"},
		},
		{
			"param-bounds-exact", "smaller", with(tuning, "      type: INTEGER", "      minValue: -1.0e+16", "      maxValue: 0"),
			[]string{"warning 14:17 trainingInput.hyperparameters.params[0].minValue: some services refuse the bound"},
		},
		{
			"param-bounds-exact", "of a DOUBLE", with(tuning, double, "      minValue: 0", "      maxValue: 1.0e+16"), nil,
		},
		{
			"param-log-scale", "above zero",
			with(tuning, double, "      minValue: 0.1", "      maxValue: 3", "      scaleType: UNIT_REVERSE_LOG_SCALE"), nil,
		},
		{
			"param-log-scale", "linear",
			with(tuning, double, "      minValue: -1", "      maxValue: 3", "      scaleType: UNIT_LINEAR_SCALE"), nil,
		},
		{
			"param-log-scale", "zero",
			with(tuning, double, "      minValue: 0", "      maxValue: 3", "      scaleType: UNIT_LOG_SCALE"),
			[]string{"error 14:17 trainingInput.hyperparameters.params[0].minValue: above 0"},
		},
		{
			"param-categories", "there",
			with(tuning, "      type: CATEGORICAL", "      categoricalValues: [a, '5']", "      scaleType: NONE"), nil,
		},
		{
			"param-categories", "absent", with(tuning, "      type: CATEGORICAL"),
			[]string{"error 13:13 trainingInput.hyperparameters.params[0].categoricalValues: needs categoricalValues"},
		},
		{"param-values", "rising", with(tuning, "      type: DISCRETE", "      discreteValues: [1, '2.5', 4]"), nil},
		{
			"param-values-count", "1000", with(tuning, "      type: DISCRETE", "      discreteValues: ["+many(1000, "%d,")+"]"),
			nil,
		},
		{
			"param-values-count", "1001", with(tuning, "      type: DISCRETE", "      discreteValues: ["+many(1001, "%d,")+"]"),
			[]string{"error 14:7 trainingInput.hyperparameters.params[0].discreteValues: found 1001"},
		},
		{
			"param-values", "absent", with(tuning, "      type: DISCRETE"),
			[]string{"error 13:13 trainingInput.hyperparameters.params[0].discreteValues: needs discreteValues"},
		},
		{
			"param-values-order", "falling", with(tuning, "      type: DISCRETE", "      discreteValues: [1, 3, 2]"),
			[]string{"warning 14:30 trainingInput.hyperparameters.params[0].discreteValues[2]: increase"},
		},
		{"param-unused", "none", with(tuning, "      type: CATEGORICAL", "      categoricalValues: [a]"), nil},
		{
			"param-unused", "bound and scale",
			with(tuning, "      type: CATEGORICAL", "      categoricalValues: [a]", "      minValue: 0",
				"      scaleType: UNIT_LOG_SCALE"), []string{
				"warning 15:17 trainingInput.hyperparameters.params[0].minValue: no meaning",
				"warning 16:18 trainingInput.hyperparameters.params[0].scaleType: no meaning",
			},
		},
		{
			"grid-search", "integers",
			with(tuning, "      type: INTEGER", "      minValue: 1", "      maxValue: 2", "    algorithm: GRID_SEARCH"), nil,
		},
		{
			"grid-search", "doubles",
			with(tuning, double, "      minValue: 1", "      maxValue: 2", "    algorithm: GRID_SEARCH"),
			[]string{"error 13:13 trainingInput.hyperparameters.params[0].type: GRID_SEARCH"},
		},

		{"job-id-format", "one letter", with(trainer, "jobId: c"), nil},
		{"job-id-format", "underscore first", with(trainer, "jobId: _a"), []string{"error 1:8 jobId: write job_a"}},
		{"job-id-format", "other letters", with(trainer, "jobId: größe"), []string{"error 1:8 jobId: write gr__e"}},
		{"job-id-format", "space", with(trainer, "jobId: 'a b'"), []string{"error 1:8 jobId: write a_b"}},
		{"label-key", "digit first", trainer + "labels:\n  '1a': b\n", []string{"error 10:3 labels.1a: found 1a"}},
		{"label-key", "underscore first", trainer + "labels:\n  _a: b\n", []string{"error 10:3 labels._a: rename"}},
		{"label-key", "empty", trainer + "labels:\n  '': b\n", []string{"error 10:3 labels.: rename"}},
		{
			"pin", "sum of other bytes", trainer + "jobdrop:\n  packages:\n  - {name: a.whl, crc32c: '????????'}\n",
			[]string{"error 11:27 jobdrop.packages[0].crc32c: not a CRC32C"},
		},

		{
			"region-unknown", "new", with(trainer, "  region: africa-south1"),
			[]string{"warning 6:11 trainingInput.region: check that"},
		},
		{
			"region-format", "spaces", with(trainer, "  region: ' us-central1'"),
			[]string{"error 6:11 trainingInput.region: write us-central1"},
		},
		{
			"region-format", "two numbers", with(trainer, "  region: us-central1-2"),
			[]string{"error 6:11 trainingInput.region: not a valid region"},
		},
		{
			"scale-tier-required", "null", with(trainer, "  scaleTier: ~"),
			[]string{"error 3:3 trainingInput.scaleTier: no scale tier"},
		},
		{"master-type-required", "another tier", trainer, nil},
		{
			"master-type-required", "empty", with(custom, "  masterType: ''"),
			[]string{"error 4:15 trainingInput.masterType: needs masterType"},
		},
		{
			"custom-tier-only", "parameter servers", with(trainer, "  parameterServerCount: 1"),
			[]string{"error 9:25 trainingInput.parameterServerCount: goes with"},
		},
		{
			"custom-tier-only", "evaluators", with(trainer, "  evaluatorCount: 1"),
			[]string{"error 9:19 trainingInput.evaluatorCount: goes with"},
		},
		{
			"custom-tier-only", "unspecified",
			with(container, "  scaleTier: SCALE_TIER_UNSPECIFIED", "  workerCount: 1", "  workerType: n1-standard-4"),
			[]string{},
		},
		{"custom-tier-only", "CUSTOM", with(custom, "  workerCount: 1", "  workerType: n1-standard-4"), nil},
		{
			"machine-unused", "workers", with(trainer, "  workerType: n1-standard-4"),
			[]string{"warning 9:15 trainingInput.workerType: the tier BASIC has its own"},
		},
		{"machine-unused", "CUSTOM", custom, nil},
		{
			"replica-count", "negative parameter servers", with(custom, "  parameterServerCount: -1"),
			[]string{"error 10:25 trainingInput.parameterServerCount: 0 or more"},
		},
		{
			"replica-type-required", "parameter servers", with(custom, "  parameterServerCount: 1"),
			[]string{"error 10:25 trainingInput.parameterServerType: e.g. n1-standard-8"},
		},
		{
			"replica-type-required", "evaluators", with(custom, "  evaluatorCount: 1"),
			[]string{"error 10:19 trainingInput.evaluatorType: evaluatorCount is 1"},
		},
		{"replica-type-required", "another tier", with(trainer, "  workerCount: 2"), []string{}},
		{
			"replica-type-unused", "count zero",
			with(custom, "  parameterServerType: n1-standard-4", "  parameterServerCount: 0"),
			[]string{"warning 10:24 trainingInput.parameterServerType: Count is 0"},
		},
		{"replica-type-unused", "another tier", with(trainer, "  workerType: n1-standard-4"), []string{}},
		{
			"machine-category", "two, without replicas", with(custom, "  workerType: standard_gpu"),
			[]string{"warning 10:15 trainingInput.workerType: is a legacy"},
		},
		{
			"machine-category", "two in another tier", with(custom, "  scaleTier: BASIC", "  workerType: standard_gpu"),
			[]string{},
		},
		{
			"machine-category", "unknown of either",
			with(custom, "  masterType: complex_model_l_p100", "  workerType: n9-fast-4", "  workerCount: 1"),
			[]string{"warning 10:15 trainingInput.workerType: is a Compute Engine machine type"},
		},
		{
			"machine-category", "TPU master",
			with(custom, "  masterType: cloud_tpu", "  workerType: standard", "  workerCount: 1"), nil,
		},
		{
			"evaluator-count", "69", with(custom, "  evaluatorCount: 69", "  evaluatorType: n1-standard-4"),
			[]string{"warning 10:19 trainingInput.evaluatorCount: shares the evaluation out"},
		},

		{
			"package-uri", "no bucket", with(trainer, "  packageUris: ['gs:///a.whl']"),
			[]string{"error 4:17 trainingInput.packageUris[0]: not an object"},
		},
		{
			"package-uri", "empty", with(trainer, "  packageUris: ['']"),
			[]string{"error 4:17 trainingInput.packageUris[0]: not an object"},
		},
		{
			"package-name-twice", "folders", with(trainer, "  packageUris: [gs://bucket/x/a.whl, gs://bucket/y/a.whl]"),
			[]string{"warning 4:38 trainingInput.packageUris[1]: rename"},
		},
		{
			"package-extension", "tar", with(trainer, "  packageUris: [gs://my-bucket/package/path]"),
			[]string{"warning 4:17 trainingInput.packageUris[0]: python -m build"},
		},
		{"bucket-format", "dots and underscores", with(trainer, "  jobDir: gs://a_b.c-d.1/x"), nil},
		{"bucket-format", "three numbers", with(trainer, "  jobDir: gs://10.0.0/x"), nil},
		{
			"bucket-format", "underscore first", with(trainer, "  jobDir: gs://_bucket/a"),
			[]string{"error 9:11 trainingInput.jobDir: begins and ends"},
		},
		{
			"bucket-format", "64 in a part", with(trainer, "  jobDir: gs://a."+strings.Repeat("a", 64)),
			[]string{"error 9:11 trainingInput.jobDir: each part"},
		},
		{"bucket-length", "three", with(trainer, "  jobDir: gs://abc"), nil},
		{
			"bucket-length", "of a package", with(trainer, "  packageUris: [gs://my/trainer/path/package-0.0.0.tar.gz]"),
			[]string{"warning 4:17 trainingInput.packageUris[0]: found my"},
		},
		{"object-name", "1024", with(trainer, "  jobDir: gs://bucket/"+strings.Repeat("a", 1024)), nil},
		{
			"object-name", "of a package", with(trainer, "  packageUris: [gs://bucket/"+strings.Repeat("a", 1024)+".whl]"),
			[]string{"error 4:17 trainingInput.packageUris[0]: 1024"},
		},
		{
			"object-name", "bytes, not characters", with(trainer, "  jobDir: gs://bucket/"+strings.Repeat("é", 600)),
			[]string{"error 9:11 trainingInput.jobDir: 1024 bytes"},
		},
		{
			"object-name", "line break", with(trainer, "  jobDir: \"gs://bucket/a\\nb\""),
			[]string{"error 9:11 trainingInput.jobDir: no line break"},
		},
		{"job-dir-format", "bucket and slash", with(trainer, "  jobDir: gs://bucket/"), nil},
		{
			"job-dir-format", "web", with(trainer, "  jobDir: https://storage.googleapis.com/b/a"),
			[]string{"error 9:11 trainingInput.jobDir: gs://bucket/path"},
		},
		{
			"job-dir-format", "scheme in capitals", with(trainer, "  jobDir: GS://bucket/a"),
			[]string{"error 9:11 trainingInput.jobDir: must be in Cloud Storage"},
		},

		{"python-module-format", "letters of any script", with(trainer, "  pythonModule: größe.aufgabe"), nil},
		{
			"python-module-format", "dot first", with(trainer, "  pythonModule: .trainer.task"),
			[]string{"error 5:17 trainingInput.pythonModule: write trainer.task"},
		},
		{
			"python-module-format", "space", with(trainer, "  pythonModule: trainer task"),
			[]string{"error 5:17 trainingInput.pythonModule: joined by a dot"},
		},
		{
			"python-module-format", "Windows", with(trainer, "  pythonModule: trainer\\task.py"),
			[]string{"error 5:17 trainingInput.pythonModule: write trainer.task"},
		},
		{
			"python-module-format", "setup.py", with(trainer, "  pythonModule: setup.py"),
			[]string{"error 5:17 trainingInput.pythonModule: setup.py installs the package"},
		},
		{
			"runtime-version-format", "four numbers", with(trainer, "  runtimeVersion: 2.6.1.0"),
			[]string{"error 7:19 trainingInput.runtimeVersion: not a valid runtime version"},
		},
		{
			"runtime-version-format", "v", with(trainer, "  runtimeVersion: v2.6"),
			[]string{"error 7:19 trainingInput.runtimeVersion: found v2.6"},
		},
		{"runtime-version-patch", "two numbers", trainer, nil},
		{
			"runtime-version-unknown", "1.3", with(trainer, "  runtimeVersion: '1.3'", "  pythonVersion: '2.7'"),
			[]string{"warning 7:19 trainingInput.runtimeVersion: found 1.3"},
		},
		{
			"runtime-version-unknown", "2.0", with(trainer, "  runtimeVersion: '2.0'"),
			[]string{"warning 7:19 trainingInput.runtimeVersion: service's list"},
		},
		{"runtime-version-ended", "1.10", with(trainer, "  runtimeVersion: '1.10'", "  pythonVersion: '2.7'"), nil},
		{
			"runtime-version-ended", "1.0", with(trainer, "  runtimeVersion: '1.0'", "  pythonVersion: '2.7'"),
			[]string{"warning 7:19 trainingInput.runtimeVersion: since 2020-03-17"},
		},
		{
			"runtime-version-ended", "1.1", with(trainer, "  runtimeVersion: '1.1'", "  pythonVersion: '2.7'"),
			[]string{"warning 7:19 trainingInput.runtimeVersion: since 2020-03-17"},
		},
		{
			"runtime-version-ended", "1.2", with(trainer, "  runtimeVersion: '1.2'", "  pythonVersion: '2.7'"),
			[]string{"warning 7:19 trainingInput.runtimeVersion: since 2020-03-17"},
		},
		{
			"python-version-required", "absent, old runtime", with(trainer, "-  pythonVersion", "  runtimeVersion: '1.10'"),
			[]string{"error 2:1 trainingInput.pythonVersion: (allowed: 3.5, 2.7)"},
		},
		{
			"runtime-version-required", "absent, old Python", with(trainer, "-  runtimeVersion", "  pythonVersion: '3.5'"),
			[]string{"error 2:1 trainingInput.runtimeVersion: runtimeVersion 1.4 to 1.14"},
		},
		{
			"python-version", "3", with(trainer, "  pythonVersion: '3'"),
			[]string{"error 8:18 trainingInput.pythonVersion: no service has this Python"},
		},
		{"python-for-runtime", "2.7 with 1.15", with(trainer, "  runtimeVersion: '1.15'", "  pythonVersion: '2.7'"), nil},
		{"python-for-runtime", "2.7 with 1.10", with(trainer, "  runtimeVersion: '1.10'", "  pythonVersion: '2.7'"), nil},
		{"python-for-runtime", "3.7 with a later", with(trainer, "  runtimeVersion: '2.11'"), nil},
		{
			"python-for-runtime", "3.5 with 2.6", with(trainer, "  pythonVersion: '3.5'"),
			[]string{"error 8:18 trainingInput.pythonVersion: write pythonVersion: '3.7', or runtimeVersion 1.4 to 1.14"},
		},
		{
			"image-excludes-runtime", "image of a worker",
			with(custom, "  workerType: n1-standard-4", "  workerCount: 1", "  workerConfig: {imageUri: gcr.io/p/i}"), nil,
		},
		{"image-excludes-python", "image", container, nil},
		{
			"image-excludes-python", "both", with(container, "  pythonVersion: '3.7'"),
			[]string{"warning 7:18 trainingInput.pythonVersion: may refuse"},
		},
		{
			"image-registry", "Container Registry of a continent", with(container, "    imageUri: eu.gcr.io/project/image:tag"),
			nil,
		},
		{
			"image-registry", "Artifact Registry",
			with(container,
				"    imageUri: us-docker.pkg.dev/project/r/image@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"), nil,
		},
		{
			"image-registry", "Docker Hub", with(container, "    imageUri: tensorflow/tensorflow:2.1.0"),
			[]string{"warning 6:15 trainingInput.masterConfig.imageUri: not in a registry"},
		},
		{
			"image-registry", "Docker Hub's mirror", with(container, "    imageUri: mirror.gcr.io/library/python"),
			[]string{"warning 6:15 trainingInput.masterConfig.imageUri: not in a registry"},
		},
		{
			"image-format", "tag and digest",
			with(container,
				"    imageUri: us-docker.pkg.dev/project/r/image:1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"), nil,
		},
		{
			"image-format", "a query in the host", with(container, "    imageUri: evil.com?.gcr.io/project/image"),
			[]string{
				"error 6:15 trainingInput.masterConfig.imageUri: not the name of a container image (found " +
					"evil.com?.gcr.io/project/image",
			},
		},
		{
			"image-format", "a scheme", with(container, "    imageUri: https://gcr.io/project/image"),
			[]string{"error 6:15 trainingInput.masterConfig.imageUri: write gcr.io/project/image"},
		},
		{
			"image-format", "an option, of a worker", with(container, "  workerConfig: {imageUri: --privileged}"),
			[]string{"error 7:28 trainingInput.workerConfig.imageUri: not the name"},
		},
		{
			"image-format", "a character that reorders", with(container, "    imageUri: \"gcr.io/project/a\\u202eb\""),
			[]string{`error 6:15 trainingInput.masterConfig.imageUri: found "gcr.io/project/a\u202eb"`},
		},
		{"control-character", "lines and columns of an argument", with(trainer, "  args: [\"a\\n\\tb\\r\\n\"]"), nil},
		{"control-character", "other scripts", with(trainer, "  jobDir: gs://bucket/größe/日本"), nil},
		{
			"control-character", "NUL in an argument", with(trainer, "  args: [a, \"b\\0c\"]"),
			[]string{"error 9:13 trainingInput.args[1]: the control character U+0000"},
		},
		{
			"control-character", "escape in an argument", with(trainer, "  args: [\"\\e[2J\"]"),
			[]string{"error 9:10 trainingInput.args[0]: U+001B"},
		},
		{
			"control-character", "of an image's command", with(container, "    containerCommand: [\"a\\0\"]"),
			[]string{"error 7:24 trainingInput.masterConfig.containerCommand[0]: U+0000"},
		},
		{
			"control-character", "line break in a directory", with(trainer, "  jobDir: \"gs://bucket/a\\tb\""),
			[]string{"error 9:11 trainingInput.jobDir: U+0009"},
		},
		{
			"control-character", "C1", with(trainer, "  jobDir: \"gs://bucket/\\u0085\""),
			[]string{"error 9:11 trainingInput.jobDir: U+0085"},
		},
		{
			"control-character", "of a parameter's name",
			with(trainer, "  hyperparameters: {hyperparameterMetricTag: \"a\\0\"}"),
			[]string{"error 9:46 trainingInput.hyperparameters.hyperparameterMetricTag: U+0000"},
		},
		{
			"control-character", "of a route", with(trainer, "jobdrop: {notify: [\"a\\ab\"]}"),
			[]string{"error 9:20 jobdrop.notify[0]: U+0007"},
		},
		{
			"control-character", "of a pin", with(trainer, "jobdrop: {packages: [{name: \"a\\0.whl\", generation: 1}]}"),
			[]string{"error 9:29 jobdrop.packages[0].name: U+0000"},
		},
		{
			"service-account-format", "NUL", with(trainer, "  serviceAccount: \"a\\0@project.iam.gserviceaccount.com\""),
			[]string{"error 9:19 trainingInput.serviceAccount: not a valid service account"},
		},
		{
			"service-account-format", "a character that reorders",
			with(trainer, "  serviceAccount: \"\\u202ea@project.iam.gserviceaccount.com\""),
			[]string{"error 9:19 trainingInput.serviceAccount: not a valid service account"},
		},
		{
			"network-format", "NUL", with(trainer, "  network: \"projects/1/global/networks/a\\0\""),
			[]string{"error 9:12 trainingInput.network: not the full name of a network"},
		},
		{
			"network-format", "query", with(trainer, "  network: projects/1/global/networks/a?b"),
			[]string{"error 9:12 trainingInput.network: not the full name of a network"},
		},
		{
			"kms-key-format", "escape",
			with(trainer, "  encryptionConfig: {kmsKeyName: \"projects/p/locations/us-central1/keyRings/a/cryptoKeys/\\e\"}"),
			[]string{"error 9:34 trainingInput.encryptionConfig.kmsKeyName: not the full name of a key"},
		},
		{
			"image-registry", "of a worker", with(container, "  workerConfig: {imageUri: evilgcr.io/a/b}"),
			[]string{"warning 7:28 trainingInput.workerConfig.imageUri: push the image"},
		},

		{"duration-format", "decimals", with(trainer, "  scheduling: {maxWaitTime: 1800.123456789s}"), nil},
		{
			"duration-format", "ten decimals", with(trainer, "  scheduling: {maxWaitTime: 1800.1234567890s}"),
			[]string{"error 9:29 trainingInput.scheduling.maxWaitTime: seconds with the suffix"},
		},
		{
			"duration-format", "run limit in minutes", with(trainer, "  scheduling: {maxRunningTime: 90m}"),
			[]string{"error 9:32 trainingInput.scheduling.maxRunningTime: write 5400s"},
		},
		{
			"duration-format", "capital", with(trainer, "  scheduling: {maxRunningTime: 60S}"),
			[]string{"error 9:32 trainingInput.scheduling.maxRunningTime: not a valid duration"},
		},
		{"duration-format", "centuries", with(trainer, "  scheduling: {maxRunningTime: 315576000000s}"), nil},
		{
			"duration-format", "beyond the API", with(trainer, "  scheduling: {maxRunningTime: 315576000001s}"),
			[]string{"error 9:32 trainingInput.scheduling.maxRunningTime: longer than the API can say"},
		},
		{
			"max-wait-time", "zero", with(trainer, "  scheduling: {maxWaitTime: 0s}"),
			[]string{"error 9:29 trainingInput.scheduling.maxWaitTime: found 0s"},
		},
		{"max-running-time", "below the least wait", with(trainer, "  scheduling: {maxRunningTime: 60s}"), nil},
		{"priority-range", "zero", with(trainer, "  scheduling: {priority: 0}"), nil},
		{
			"service-account-format", "no domain", with(trainer, "  serviceAccount: trainer@project"),
			[]string{"error 9:19 trainingInput.serviceAccount: found trainer@project"},
		},
		{
			"service-account-format", "resource name", with(trainer, "  serviceAccount: projects/p/serviceAccounts/1"),
			[]string{"error 9:19 trainingInput.serviceAccount: not a valid service account"},
		},
		{
			"network-format", "regional", with(trainer, "  network: projects/12345/regions/us-central1/networks/default"),
			[]string{"error 9:12 trainingInput.network: projects/NUMBER"},
		},
		{
			"network-format", "slash last", with(trainer, "  network: projects/12345/global/networks/default/"),
			[]string{"error 9:12 trainingInput.network: in this form"},
		},
		{
			"kms-key-format", "ring only",
			with(trainer, "  encryptionConfig: {kmsKeyName: projects/p/locations/us-central1/keyRings/r}"),
			[]string{"error 9:34 trainingInput.encryptionConfig.kmsKeyName: not the full name of a key"},
		},
		{
			"kms-key-format", "key only", with(trainer, "  encryptionConfig: {kmsKeyName: k}"),
			[]string{"error 9:34 trainingInput.encryptionConfig.kmsKeyName: found k"},
		},
		{
			"kms-key-region", "same",
			with(trainer, "  encryptionConfig: {kmsKeyName: projects/p/locations/us-central1/keyRings/r/cryptoKeys/k}"), nil,
		},

		{
			"args-exclusive", "of a worker of the tier",
			with(container, "  scaleTier: STANDARD_1", "  workerConfig: {containerCommand: [b]}", "  args: [c]"),
			[]string{"error 7:18 trainingInput.workerConfig.containerCommand: exclude each other"},
		},
		{
			"args-exclusive", "of an evaluator the tier has not",
			with(container, "  scaleTier: STANDARD_1", "  evaluatorConfig: {containerCommand: [b]}", "  args: [c]"),
			[]string{"warning 7:21 trainingInput.evaluatorConfig.containerCommand: exclude each other"},
		},
		{
			"args-exclusive", "of no worker", with(container, "  workerConfig: {containerCommand: [b]}", "  args: [c]"),
			[]string{"warning 7:18 trainingInput.workerConfig.containerCommand: exclude each other"},
		},
		{
			"container-needs-image", "command of a worker",
			with(custom, "  workerType: n1-standard-4", "  workerCount: 1", "  workerConfig: {containerCommand: [a]}"),
			[]string{"error 12:18 trainingInput.workerConfig.containerCommand: needs an image"},
		},
		{
			"container-needs-image", "image of its own",
			with(custom, "  workerType: n1-standard-4", "  workerCount: 1",
				"  workerConfig: {containerCommand: [a], imageUri: gcr.io/p/i}"), nil,
		},
		{"chief-unused", "false", with(trainer, "  useChiefInTfConfig: false"), nil},
		{
			"accelerator-complete", "unspecified",
			with(custom, "  masterConfig: {acceleratorConfig: {type: ACCELERATOR_TYPE_UNSPECIFIED, count: 1}}"),
			[]string{"error 10:44 trainingInput.masterConfig.acceleratorConfig.type: no type"},
		},
		{
			"accelerator-count", "negative, of a worker",
			with(custom, "  workerType: n1-standard-4", "  workerCount: 1",
				"  workerConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4, count: -1}}"),
			[]string{"error 12:68 trainingInput.workerConfig.acceleratorConfig.count: 1 or more"},
		},
		{
			"accelerator-legacy", "Compute Engine",
			with(custom, "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_P4, count: 1}}"), nil,
		},
		{
			"accelerator-legacy", "without replicas",
			with(custom, "  masterType: standard", "  workerType: standard",
				"  workerConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 1}}"),
			[]string{"warning 11:18 trainingInput.workerConfig.acceleratorConfig: legacy machine type standard"},
		},
		{
			"accelerator-unused", "CUSTOM",
			with(custom, "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_K80, count: 8}}"), nil,
		},
		{
			"accelerator-unused", "CUSTOM without a type",
			with(custom, "-  masterType", "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_K80, count: 8}}"), []string{},
		},
		{
			"accelerator-unused", "type beside BASIC",
			with(trainer, "  masterType: n1-standard-4",
				"  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_K80, count: 8}}"), []string{},
		},
		{
			"accelerator-unused", "BASIC_GPU",
			with(trainer, "  scaleTier: BASIC_GPU", "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_K80, count: 1}}"),
			[]string{"warning 9:18 trainingInput.masterConfig.acceleratorConfig: the tier BASIC_GPU"},
		},
		{
			"accelerator-machine", "other number",
			with(custom, "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_K80, count: 3}}"),
			[]string{"error 10:69 trainingInput.masterConfig.acceleratorConfig.count: (found 3, allowed: 1, 2, 4, 8); write 4"},
		},
		{
			"accelerator-machine", "too many",
			with(custom, "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 8}}"),
			[]string{"error 10:68 trainingInput.masterConfig.acceleratorConfig.count: (found 8, allowed: 1, 2, 4); write 4"},
		},
		{
			"accelerator-machine", "too few",
			with(custom, "  masterType: n1-highcpu-96",
				"  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_V100, count: 4}}"),
			[]string{"error 10:70 trainingInput.masterConfig.acceleratorConfig.count: write 8"},
		},
		{
			"accelerator-machine", "none on this machine",
			with(custom, "  masterType: n1-standard-64",
				"  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_K80, count: 8}}"),
			[]string{
				"error 10:44 trainingInput.masterConfig.acceleratorConfig.type: allowed: NVIDIA_TESLA_P4, NVIDIA_TESLA_T4, " +
					"NVIDIA_TESLA_V100",
			},
		},
		{
			"accelerator-machine", "K80 on n1-highcpu-64",
			with(custom, "  masterType: n1-highcpu-64",
				"  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_K80, count: 8}}"), nil,
		},
		{
			"accelerator-machine", "P100 on n1-highmem-32",
			with(custom, "  masterType: n1-highmem-32",
				"  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_P100, count: 2}}"), nil,
		},
		{
			"accelerator-machine", "A100 on N1",
			with(custom, "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_A100, count: 1}}"),
			[]string{"warning 10:44 trainingInput.masterConfig.acceleratorConfig.type: not known to take"},
		},
		{
			"accelerator-machine", "A2",
			with(custom, "  masterType: a2-highgpu-4g",
				"  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_A100, count: 4}}"), nil,
		},
		{
			"accelerator-machine", "A2 with another number",
			with(custom, "  masterType: a2-highgpu-4g",
				"  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_A100, count: 2}}"),
			[]string{"warning 10:70 trainingInput.masterConfig.acceleratorConfig.count: write 4"},
		},
		{
			"accelerator-machine", "unknown machine",
			with(custom, "  masterType: n9-standard-64",
				"  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_K80, count: 3}}"), []string{},
		},
		{
			"accelerator-machine", "without replicas",
			with(custom, "  workerConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 8}}",
				"  workerType: n1-standard-4"),
			[]string{"warning 10:68 trainingInput.workerConfig.acceleratorConfig.count: write 4"},
		},

		{"tpu-worker-count", "one", with(custom, "  workerType: cloud_tpu", "  workerCount: 1"), nil},
		{
			"tpu-worker-count", "two", with(custom, "  workerType: cloud_tpu", "  workerCount: 2"),
			[]string{"warning 11:16 trainingInput.workerCount: one worker with TPUs"},
		},
		{
			"tpu-accelerator", "pod",
			with(custom, "  workerType: cloud_tpu", "  workerCount: 1",
				"  workerConfig: {acceleratorConfig: {type: TPU_V3_POD, count: 32}}"), nil,
		},
		{
			"tpu-accelerator", "four",
			with(custom, "  workerType: cloud_tpu", "  workerCount: 1",
				"  workerConfig: {acceleratorConfig: {type: TPU_V2, count: 4}}"),
			[]string{"warning 12:59 trainingInput.workerConfig.acceleratorConfig.count: eights"},
		},
		{
			"tpu-accelerator", "GPU",
			with(custom, "  workerType: cloud_tpu", "  workerCount: 1",
				"  workerConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 1}}"),
			[]string{"warning 12:44 trainingInput.workerConfig.acceleratorConfig.type: TPUs only"},
		},
		{
			"tpu-accelerator", "on N1", with(custom, "  masterConfig: {acceleratorConfig: {type: TPU_V2, count: 8}}"),
			[]string{"warning 10:44 trainingInput.masterConfig.acceleratorConfig.type: write masterType: cloud_tpu"},
		},
		{"tpu-tf-version-required", "there", with(tpuContainer, "  workerConfig: {tpuTfVersion: '2.11'}"), nil},
		{
			"tpu-tf-version-required", "absent", tpuContainer,
			[]string{"error 6:15 trainingInput.workerConfig.tpuTfVersion: needs tpuTfVersion"},
		},
		{
			"tpu-tf-version-required", "config without",
			with(tpuContainer, "  workerConfig: {acceleratorConfig: {type: TPU_V2, count: 8}}"),
			[]string{"error 6:15 trainingInput.workerConfig.tpuTfVersion: in quotes"},
		},
		{"tpu-tf-version-required", "no image", with(custom, "  workerType: cloud_tpu", "  workerCount: 1"), nil},
		{"tpu-tf-version-format", "fits", with(tpuContainer, "  workerConfig: {tpuTfVersion: '1.15'}"), nil},
		{
			"tpu-tf-version-format", "patch", with(tpuContainer, "  workerConfig: {tpuTfVersion: 2.11.0}"),
			[]string{"error 9:32 trainingInput.workerConfig.tpuTfVersion: without its last number"},
		},
		{
			"tpu-tf-version-format", "word", with(tpuContainer, "  workerConfig: {tpuTfVersion: latest}"),
			[]string{"error 9:32 trainingInput.workerConfig.tpuTfVersion: found latest"},
		},
		{
			"tpu-tf-version-unused", "BASIC_TPU",
			with(container, "  scaleTier: BASIC_TPU", "  workerConfig: {tpuTfVersion: '2.11'}"), nil,
		},
		{
			"tpu-tf-version-unused", "no TPU",
			with(container, "    tpuTfVersion: '2.11'", "  scaleTier: CUSTOM", "  masterType: n1-standard-4"),
			[]string{"warning 7:19 trainingInput.masterConfig.tpuTfVersion: remove it"},
		},
		{
			"tpu-tf-version-unused", "no image",
			with(custom, "  workerType: cloud_tpu", "  workerCount: 1", "  workerConfig: {tpuTfVersion: '2.11'}"),
			[]string{"warning 12:32 trainingInput.workerConfig.tpuTfVersion: and an image"},
		},
		{"tpu-runtime", "BASIC_TPU", with(trainer, "  scaleTier: BASIC_TPU", "  runtimeVersion: '2.2'"), nil},
		{"tpu-runtime", "not known", with(trainer, "  scaleTier: BASIC_TPU"), nil},
		{
			"tpu-runtime", "ended",
			with(trainer, "  scaleTier: BASIC_TPU", "  runtimeVersion: '1.12'", "  pythonVersion: '2.7'"),
			[]string{"warning 7:19 trainingInput.runtimeVersion: not train on TPUs"},
		},
		{
			"tpu-runtime", "ended, worker",
			with(custom, "  workerType: cloud_tpu", "  workerCount: 1", "  runtimeVersion: '1.11'", "  pythonVersion: '2.7'"),
			[]string{"warning 8:19 trainingInput.runtimeVersion: a later one"},
		},
		{
			"tpu-runtime", "ended, of the image", with(tpuContainer, "  workerConfig: {tpuTfVersion: '1.12'}"),
			[]string{"warning 9:32 trainingInput.workerConfig.tpuTfVersion: not train on TPUs"},
		},
		{"tpu-region", "known", with(trainer, "  scaleTier: BASIC_TPU", "  region: europe-west4"), nil},
		{
			"tpu-region", "other", with(trainer, "  scaleTier: BASIC_TPU", "  region: us-east1"),
			[]string{"warning 6:11 trainingInput.region: allowed: europe-west4, us-central1"},
		},
		{"tpu-region", "other, without replicas", with(custom, "  workerType: cloud_tpu", "  region: us-east1"), []string{}},
		{
			"disk-type", "of a worker",
			with(custom, "  workerType: n1-standard-4", "  workerCount: 1",
				"  workerConfig: {diskConfig: {bootDiskType: pd-balanced}}"),
			[]string{"error 12:45 trainingInput.workerConfig.diskConfig.bootDiskType: write pd-ssd"},
		},
		{"disk-size", "zero", with(custom, "  masterConfig: {diskConfig: {bootDiskSizeGb: 0}}"), nil},

		{
			"goal-required", "unspecified",
			with(tuning, "    goal: GOAL_TYPE_UNSPECIFIED", "      type: DISCRETE", "      discreteValues: 1"),
			[]string{"warning 10:11 trainingInput.hyperparameters.goal: MAXIMIZE, MINIMIZE"},
		},
		{
			"trial-count", "negative at once",
			with(trainer, "  hyperparameters: {resumePreviousJobId: a, maxParallelTrials: -1}"),
			[]string{"error 9:64 trainingInput.hyperparameters.maxParallelTrials: can't be negative"},
		},
		{
			"parallel-trials", "more than the default",
			with(trainer, "  hyperparameters: {resumePreviousJobId: a, maxParallelTrials: 2}"),
			[]string{"warning 9:64 trainingInput.hyperparameters.maxParallelTrials: the 1"},
		},
		{
			"param-bounds", "one absent", with(tuning, double, "      minValue: 0"),
			[]string{"error 13:13 trainingInput.hyperparameters.params[0].maxValue: DOUBLE needs maxValue"},
		},
		{"param-bounds-order", "negative", with(tuning, double, "      minValue: -2", "      maxValue: -1"), nil},
		{
			"param-bounds-integer", "greatest", with(tuning, "      type: INTEGER", "      minValue: 1", "      maxValue: 3.5"),
			[]string{"error 15:17 trainingInput.hyperparameters.params[0].maxValue: or type: DOUBLE"},
		},
		{
			"param-log-scale", "reverse",
			with(tuning, double, "      minValue: -1", "      maxValue: 3", "      scaleType: UNIT_REVERSE_LOG_SCALE"),
			[]string{"error 14:17 trainingInput.hyperparameters.params[0].minValue: the scale UNIT_REVERSE_LOG_SCALE"},
		},
		{
			"param-log-scale", "discrete above zero",
			with(tuning, "      type: DISCRETE", "      discreteValues: [1, 2]", "      scaleType: UNIT_LOG_SCALE"), nil,
		},
		{
			"param-log-scale", "discrete",
			with(tuning, "      type: DISCRETE", "      discreteValues: [0, 1]", "      scaleType: UNIT_LOG_SCALE"),
			[]string{"error 14:24 trainingInput.hyperparameters.params[0].discreteValues[0]: more than 0"},
		},
		{"param-values-order", "rising", with(tuning, "      type: DISCRETE", "      discreteValues: [-1, 0, 1e3]"), nil},
		{
			"param-values-order", "repeated", with(tuning, "      type: DISCRETE", "      discreteValues: [1, 1]"),
			[]string{"warning 14:27 trainingInput.hyperparameters.params[0].discreteValues[1]: sort"},
		},
		{
			"param-unused", "bounds of DISCRETE",
			with(tuning, "      type: DISCRETE", "      discreteValues: [1]", "      minValue: 0", "      maxValue: 0"),
			[]string{
				"warning 15:17 trainingInput.hyperparameters.params[0].minValue: DISCRETE",
				"warning 16:17 trainingInput.hyperparameters.params[0].maxValue: DISCRETE",
			},
		},
		{
			"param-unused", "values of DOUBLE",
			with(tuning, double, "      minValue: 0", "      maxValue: 1", "      discreteValues: [1]"),
			[]string{"warning 16:7 trainingInput.hyperparameters.params[0].discreteValues: no meaning"},
		},
		{
			"param-unused", "categories of INTEGER",
			with(tuning, "      type: INTEGER", "      minValue: 0", "      maxValue: 1", "      categoricalValues: [a]"),
			[]string{"warning 16:7 trainingInput.hyperparameters.params[0].categoricalValues: remove"},
		},
		{
			"grid-search", "random",
			with(tuning, double, "      minValue: 1", "      maxValue: 2", "    algorithm: RANDOM_SEARCH"), nil,
		},
		{
			"grid-search", "categories",
			with(tuning, "      type: CATEGORICAL", "      categoricalValues: [a]", "    algorithm: GRID_SEARCH"), nil,
		},
	}
}

func TestCheck(t *testing.T) {
	passing, failing := map[job.Rule]bool{}, map[job.Rule]bool{}
	for _, tt := range slices.Concat(ruleCases(), vertexCases()) {
		t.Run(string(tt.rule)+"/"+tt.name, func(t *testing.T) {
			f, vs := Parse("job.yaml", []byte(tt.data))
			if len(vs) > 0 {
				t.Fatalf("Parse: %v\n%s", vs, tt.data)
			}
			var got []job.Violation
			for _, v := range f.Check(nil) {
				if !rules.Known(v.Rule) || v.Message == "" || v.Remedy == "" || v.File != "job.yaml" {
					t.Errorf("incomplete: %+v", v)
				}
				if v.Rule == tt.rule {
					got = append(got, v)
				} else if tt.want == nil {
					t.Errorf("another rule: %v", v)
				}
			}
			if len(got) != len(tt.want) {
				t.Fatalf("got %v, want %q\n%s", got, tt.want, tt.data)
			}
			for i, want := range tt.want {
				v := got[i]
				head, part, _ := strings.Cut(want, ": ")
				if at := fmt.Sprintf("%s %d:%d %s", v.Severity, v.Line, v.Column, v.Field); !strings.HasPrefix(at, head) {
					t.Errorf("got %q, want %q", at, head)
				}
				if !strings.Contains(v.String(), part) {
					t.Errorf("got %q, want %q in it", v, part)
				}
			}
		})
		if len(tt.want) == 0 {
			passing[tt.rule] = true
		} else {
			failing[tt.rule] = true
		}
	}
	for _, r := range slices.Concat(jobRules[:], trainingRules[:]) {
		if !passing[r.name] || !failing[r.name] {
			t.Errorf("rule %s has no passing or no failing case", r.name)
		}
	}
}

// Rules look at Spec, not at the file: what a caller fills in counts.
func TestCheckFilledIn(t *testing.T) {
	f, vs := Parse("job.yaml",
		[]byte("trainingInput:\n  scaleTier: BASIC\n  packageUris:\n  - trainer-0.1.tar.gz\n  pythonModule: trainer.task\n"))
	if len(vs) > 0 {
		t.Fatal(vs)
	}
	in := f.Spec.TrainingInput
	in.Region, in.RuntimeVersion, in.PythonVersion = "us-central1", "2.6", "3.7"
	in.PackageURIs = []string{"gs://inbox/census/trainer-0.1.tar.gz"}
	if got := f.Check(nil); len(got) > 0 {
		t.Errorf("filled in: got %v", got)
	}
	in.Region = "nowhere"
	in.PackageURIs = append(in.PackageURIs, "elsewhere.whl")
	var got []string
	for _, v := range f.Check(nil) {
		got = append(got, v.String())
	}
	want := []string{
		"job.yaml:1:1: trainingInput.region: this is not a valid region (found nowhere, allowed: a region such as " +
			"us-central1); write the region of the data's bucket",
		"job.yaml:3:3: trainingInput.packageUris[1]: this is not an object of Cloud Storage (found elsewhere.whl, allowed: " +
			"gs://bucket/object, or the name of a file in the drop's folder); write the name of a file that is in the drop's " +
			"folder",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
