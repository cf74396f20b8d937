package jobspec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

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

func TestCheck(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	passing, failing := map[string]bool{}, map[string]bool{}
	const double = "      type: DOUBLE"
	for _, tt := range []struct {
		rule string // the one that is exercised
		name string
		data string
		// want is that rule's findings, "severity line:column field: part of
		// the text"; a case without is one that passes all rules.
		want []string
	}{
		{"job-id-format", "fits", with(trainer, "jobId: Census_2"), nil},
		{"job-id-format", "absent", with(trainer, "-jobId"), nil},
		{"job-id-format", "dashes", with(trainer, "jobId: cool-job"), []string{"error 1:8 jobId: write cool_job"}},
		{"job-id-format", "digit first", with(trainer, "jobId: 1st"), []string{"error 1:8 jobId: write job_1st"}},
		{"job-id-length", "128", with(trainer, "jobId: "+strings.Repeat("a", 128)), nil},
		{"job-id-length", "129", with(trainer, "jobId: "+strings.Repeat("a", 129)), []string{"warning 1:8 jobId: found 129 characters"}},
		{"job-id-length", "513", with(trainer, "jobId: "+strings.Repeat("a", 513)), []string{"error 1:8 jobId: found 513 characters"}},
		{"label-count", "61", trainer + "labels: {" + many(61, "a%d: b, ") + "}\n", nil},
		{"label-count", "62", trainer + "labels: {" + many(62, "a%d: b, ") + "}\n", []string{"error 9:1 labels: found 62"}},
		{"label-key", "letters of any script", trainer + "labels: {größe-1_é: b}\n", nil},
		{"label-key", "63", trainer + "labels: {" + strings.Repeat("é", 63) + ": b}\n", nil},
		{"label-key", "64", trainer + "labels: {" + strings.Repeat("é", 64) + ": b}\n", []string{"error 9:"}},
		{"label-key", "capital", trainer + "labels:\n  Team: b\n", []string{"error 10:9 labels.Team: found Team"}},
		{"label-key", "dot", trainer + "labels:\n  a.b: c\n", []string{"error 10:8 labels.a.b: found a.b"}},
		{"label-value", "empty", trainer + "labels: {a: '', b: '1'}\n", nil},
		{"label-value", "capital", trainer + "labels:\n  a: B\n", []string{"error 10:6 labels.a: found B"}},
		{"label-reserved", "similar", trainer + "labels: {jobdrop: b}\n", nil},
		{"label-reserved", "ours", trainer + "labels: {jobdrop-attempt: b}\n", []string{"error 9:27 labels.jobdrop-attempt: rename"}},
		{"training-input-required", "there", trainer, nil},
		{"training-input-required", "absent", "jobId: a\n", []string{"error 1:1 trainingInput: no trainingInput"}},
		{"training-input-required", "null", "jobId: a\ntrainingInput:\n", []string{"error 2:1 trainingInput: no trainingInput"}},

		{"pin", "generation", trainer + "jobdrop: {packages: [{name: a.whl, generation: 5}]}\n", nil},
		{"pin", "sum", trainer + "jobdrop: {packages: [{name: a.whl, crc32c: AAAAAA==}]}\n", nil},
		{"pin", "no name", trainer + "jobdrop:\n  packages:\n  - generation: 5\n", []string{"error 11:5 jobdrop.packages[0].name: names no package"}},
		{"pin", "path", trainer + "jobdrop:\n  packages:\n  - {name: gs://b/a.whl, generation: 5}\n", []string{"error 11:12 jobdrop.packages[0].name: write a.whl"}},
		{"pin", "negative", trainer + "jobdrop:\n  packages:\n  - {name: a.whl, generation: -5}\n", []string{"error 11:31 jobdrop.packages[0].generation: positive"}},
		{"pin", "no sum", trainer + "jobdrop:\n  packages:\n  - {name: a.whl, crc32c: AAAA}\n", []string{"error 11:27 jobdrop.packages[0].crc32c: no CRC32C"}},
		{"pin", "nothing", trainer + "jobdrop:\n  packages:\n  - name: a.whl\n", []string{"error 11:5 jobdrop.packages[0]: nothing about"}},
		{"pin-twice", "two", trainer + "jobdrop: {packages: [{name: a.whl, generation: 5}, {name: b.whl, generation: 5}]}\n", nil},
		{"pin-twice", "one twice", trainer + "jobdrop:\n  packages:\n  - {name: a.whl, generation: 5}\n  - {name: a.whl, generation: 6}\n", []string{"error 12:12 jobdrop.packages[1].name: packages[0]"}},
		{"notify-route", "named", trainer + "jobdrop: {notify: growth}\n", nil},
		{"notify-route", "blank", trainer + "jobdrop: {notify: [growth, ' ']}\n", []string{"error 9:28 jobdrop.notify[1]: no name"}},

		{"region-required", "there", trainer, nil},
		{"region-required", "absent", with(trainer, "-  region"), []string{"error 2:1 trainingInput.region: no region"}},
		{"region-format", "fits", with(trainer, "  region: northamerica-northeast1"), nil},
		{"region-format", "zone", with(trainer, "  region: us-central1-a"), []string{"error 6:11 trainingInput.region: write us-central1"}},
		{"region-format", "capitals", with(trainer, "  region: US-Central1"), []string{"error 6:11 trainingInput.region: write us-central1"}},
		{"region-format", "multi-region", with(trainer, "  region: us"), []string{"error 6:11 trainingInput.region: no region's name"}},
		{"region-format", "no dash", with(trainer, "  region: uscentral1"), []string{"error 6:11 trainingInput.region: write us-central1"}},
		{"region-unknown", "known", with(trainer, "  region: asia-northeast3"), nil},
		{"region-unknown", "unknown", with(trainer, "  region: us-centrl1"), []string{"warning 6:11 trainingInput.region: did you mean us-central1?"}},

		{"scale-tier-required", "there", trainer, nil},
		{"scale-tier-required", "absent", with(trainer, "-  scaleTier"), []string{"error 2:1 trainingInput.scaleTier: no scale tier"}},
		{"scale-tier-required", "unspecified", with(trainer, "  scaleTier: SCALE_TIER_UNSPECIFIED"), []string{"error 3:14 trainingInput.scaleTier: no scale tier"}},
		{"scale-tier-required", "container", with(container, "-  scaleTier"), []string{"warning 2:1 trainingInput.scaleTier: no scale tier"}},
		{"master-type-required", "there", custom, nil},
		{"master-type-required", "absent", with(custom, "-  masterType"), []string{"error 2:1 trainingInput.masterType: needs masterType"}},
		{"custom-tier-only", "zero", with(trainer, "  workerCount: 0"), nil},
		{"custom-tier-only", "count", with(trainer, "  workerCount: 1"), []string{"error 9:16 trainingInput.workerCount: goes with scaleTier CUSTOM only"}},
		{"custom-tier-only", "type", with(trainer, "  masterType: standard"), []string{"warning 9:15 trainingInput.masterType: goes with scaleTier CUSTOM only"}},
		{"replica-count", "some", with(custom, "  workerCount: 1", "  workerType: n1-standard-4"), nil},
		{"replica-count", "negative", with(custom, "  evaluatorCount: -1"), []string{"error 10:19 trainingInput.evaluatorCount: negative"}},
		{"replica-type-required", "no replicas", with(custom, "  workerCount: 0"), nil},
		{"replica-type-required", "absent", with(custom, "  workerCount: 2"), []string{"error 2:1 trainingInput.workerType: workerCount is 2"}},
		{"replica-type-unused", "used", with(custom, "  evaluatorCount: 1", "  evaluatorType: n1-standard-4"), nil},
		{"replica-type-unused", "count absent", with(custom, "  workerType: n1-standard-4"), []string{"warning 10:15 trainingInput.workerType: no effect"}},
		{"machine-category", "one", with(custom, "  masterType: standard", "  workerType: complex_model_l_gpu", "  workerCount: 1"), nil},
		{"machine-category", "TPU", with(custom, "  workerType: cloud_tpu", "  workerCount: 1"), nil},
		{"machine-category", "two", with(custom, "  workerType: standard_gpu", "  workerCount: 1"), []string{"error 10:15 trainingInput.workerType: masterType n1-standard-8 is a Compute Engine one"}},
		{"machine-category", "two, the other way", with(custom, "  masterType: large_model_v100", "  evaluatorType: n1-standard-4", "  evaluatorCount: 1"), []string{"error 10:18 trainingInput.evaluatorType: is a legacy one"}},
		{"machine-unknown", "new family", with(custom, "  masterType: a9-megagpu-16g"), nil},
		{"machine-unknown", "capitals", with(custom, "  masterType: N1"), []string{"warning 4:15 trainingInput.masterType: no machine type"}},
		{"evaluator-count", "one", with(custom, "  evaluatorCount: 1", "  evaluatorType: n1-standard-4"), nil},
		{"evaluator-count", "two", with(custom, "  evaluatorCount: 2", "  evaluatorType: n1-standard-4"), []string{"warning 10:19 trainingInput.evaluatorCount: at most one"}},

		{"packages-required", "there", trainer, nil},
		{"packages-required", "container", container, nil},
		{"packages-required", "absent", with(trainer, "-  packageUris"), []string{"error 2:1 trainingInput.packageUris: no package and no image"}},
		{"package-count", "100", with(trainer, "  packageUris: ["+many(100, "gs://bucket/%d.whl, ")+"]"), nil},
		{"package-count", "101", with(trainer, "  packageUris: ["+many(101, "gs://bucket/%d.whl, ")+"]"), []string{"error 4:3 trainingInput.packageUris: found 101"}},
		{"package-uri", "path", with(trainer, "  packageUris: [gs://b.example.com/a/b c/t.tgz]"), nil},
		{"package-uri", "not resolved", with(trainer, "  packageUris: [trainer.tar.gz]"), []string{"error 4:17 trainingInput.packageUris[0]: no object of Cloud Storage"}},
		{"package-uri", "bucket only", with(trainer, "  packageUris: ['gs://bucket/']"), []string{"error 4:17 trainingInput.packageUris[0]: no object"}},
		{"package-uri", "folder", with(trainer, "  packageUris: ['gs://bucket/a.tar.gz/']"), []string{"error 4:17 trainingInput.packageUris[0]: no object"}},
		{"package-uri", "web", with(trainer, "  packageUris: ['https://storage.googleapis.com/b/a.whl']"), []string{"error 4:17 trainingInput.packageUris[0]: no object"}},
		{"package-uri", "no bucket's name", with(trainer, "  packageUris: ['gs://Bucket/a.whl']"), []string{"error 4:17 trainingInput.packageUris[0]: found Bucket"}},
		{"package-name-twice", "two", with(trainer, "  packageUris: [gs://bucket/a.whl, gs://bucket/b.whl]"), nil},
		{"package-name-twice", "one twice", with(trainer, "  packageUris: [gs://bucket/a.whl, gs://other/a.whl]"), []string{"error 4:36 trainingInput.packageUris[1]: packageUris[0] has the same"}},
		{"package-extension", "known", with(trainer, "  packageUris: [gs://bucket/a.whl, gs://bucket/a.tgz]"), nil},
		{"package-extension", "other", with(trainer, "  packageUris: [gs://bucket/a.zip]"), []string{"warning 4:17 trainingInput.packageUris[0]: allowed: .tar.gz, .tgz, .whl"}},
		{"python-module-required", "container", container, nil},
		{"python-module-required", "absent", with(trainer, "-  pythonModule"), []string{"error 2:1 trainingInput.pythonModule: which module"}},
		{"python-module-format", "one name", with(trainer, "  pythonModule: task"), nil},
		{"python-module-format", "dash", with(trainer, "  pythonModule: my-trainer.task"), nil},
		{"python-module-format", "path", with(trainer, "  pythonModule: trainer/task.py"), []string{"error 5:17 trainingInput.pythonModule: write trainer.task"}},
		{"python-module-format", "path within src", with(trainer, "  pythonModule: ./src/trainer/task.py"), []string{"error 5:17 trainingInput.pythonModule: write trainer.task"}},
		{"python-module-format", "extension", with(trainer, "  pythonModule: trainer.task.py"), []string{"error 5:17 trainingInput.pythonModule: write trainer.task"}},
		{"python-module-format", "option", with(trainer, "  pythonModule: -m trainer.task"), []string{"error 5:17 trainingInput.pythonModule: write trainer.task"}},
		{"python-module-format", "empty name", with(trainer, "  pythonModule: trainer..task"), []string{"error 5:17 trainingInput.pythonModule: joined by a dot"}},
		{"runtime-version-required", "container", container, nil},
		{"runtime-version-required", "absent", with(trainer, "-  runtimeVersion"), []string{"error 2:1 trainingInput.runtimeVersion: no runtime version"}},
		{"runtime-version-format", "fits", with(trainer, "  runtimeVersion: '2.11'"), nil},
		{"runtime-version-format", "word", with(trainer, "  runtimeVersion: latest"), []string{"error 7:19 trainingInput.runtimeVersion: found latest"}},
		{"runtime-version-format", "major only", with(trainer, "  runtimeVersion: '2'"), []string{"error 7:19 trainingInput.runtimeVersion: no runtime version"}},
		{"runtime-version-unknown", "known", with(trainer, "  runtimeVersion: '1.15'"), nil},
		{"runtime-version-unknown", "later", with(trainer, "  runtimeVersion: '2.12'"), []string{"warning 7:19 trainingInput.runtimeVersion: not among those known"}},
		{"runtime-version-unknown", "patch", with(trainer, "  runtimeVersion: 2.6.1"), []string{"warning 7:19 trainingInput.runtimeVersion: write '2.6'"}},
		{"runtime-version-unknown", "ended", with(trainer, "  runtimeVersion: '1.9'", "  pythonVersion: '2.7'"), []string{"warning 7:19 trainingInput.runtimeVersion: no longer"}},
		{"python-version-required", "container", container, nil},
		{"python-version-required", "absent", with(trainer, "-  pythonVersion"), []string{"error 2:1 trainingInput.pythonVersion: no Python version"}},
		{"python-version", "2.7", with(trainer, "  runtimeVersion: '1.15'", "  pythonVersion: '2.7'"), nil},
		{"python-version", "3.8", with(trainer, "  pythonVersion: '3.8'"), []string{"error 8:18 trainingInput.pythonVersion: allowed: 3.7, 3.5, 2.7"}},
		{"python-for-runtime", "3.7 with 1.15", with(trainer, "  runtimeVersion: '1.15'"), nil},
		{"python-for-runtime", "3.5 with 1.13", with(trainer, "  runtimeVersion: '1.13'", "  pythonVersion: '3.5'"), nil},
		{"python-for-runtime", "3.5 with 1.14", with(trainer, "  runtimeVersion: '1.14'", "  pythonVersion: '3.5'"), nil},
		{"python-for-runtime", "3.7 with 1.14", with(trainer, "  runtimeVersion: '1.14'"), []string{"error 8:18 trainingInput.pythonVersion: write pythonVersion: '3.5', or runtimeVersion 1.15 or later"}},
		{"python-for-runtime", "3.5 with 1.12", with(trainer, "  runtimeVersion: '1.12'", "  pythonVersion: '3.5'"), []string{"error 8:18 trainingInput.pythonVersion: versions 1.13 to 1.14, not with 1.12"}},
		{"python-for-runtime", "3.5 with 1.15", with(trainer, "  runtimeVersion: '1.15'", "  pythonVersion: '3.5'"), []string{"error 8:18 trainingInput.pythonVersion: not with 1.15 (found 3.5, allowed: 3.7, 2.7)"}},
		{"python-for-runtime", "2.7 with 2.1", with(trainer, "  runtimeVersion: '2.1'", "  pythonVersion: '2.7'"), []string{"error 8:18 trainingInput.pythonVersion: 1.15 or earlier, not with 2.1"}},
		{"image-excludes-runtime", "packages", with(container, "  packageUris: gs://bucket/a.whl", "  pythonModule: a"), nil},
		{"image-excludes-runtime", "both", with(container, "  runtimeVersion: '2.6'", "  pythonVersion: '3.7'"), []string{"error 7:19 trainingInput.runtimeVersion: excludes", "error 8:18 trainingInput.pythonVersion: excludes"}},

		{"job-dir-format", "path", with(trainer, "  jobDir: gs://bucket.example_1/a b/c/"), nil},
		{"job-dir-format", "bucket", with(trainer, "  jobDir: gs://bucket"), nil},
		{"job-dir-format", "the manual's example", with(trainer, "  jobDir: gs://my/training/job/directory"), []string{"warning 9:11 trainingInput.jobDir: at least 3 characters"}},
		{"job-dir-format", "local", with(trainer, "  jobDir: /tmp/out"), []string{"error 9:11 trainingInput.jobDir: found /tmp/out"}},
		{"job-dir-format", "no bucket", with(trainer, "  jobDir: gs:///a"), []string{"error 9:11 trainingInput.jobDir: must be in Cloud Storage"}},
		{"job-dir-format", "capital", with(trainer, "  jobDir: gs://YOUR_BUCKET/a"), []string{"error 9:11 trainingInput.jobDir: found YOUR_BUCKET"}},
		{"job-dir-format", "dash last", with(trainer, "  jobDir: gs://bucket-/a"), []string{"error 9:11 trainingInput.jobDir: begins and ends"}},
		{"job-dir-format", "long", with(trainer, "  jobDir: gs://"+strings.Repeat("a", 64)), []string{"error 9:11 trainingInput.jobDir: 63"}},
		{"job-dir-format", "longest", with(trainer, "  jobDir: gs://"+strings.Repeat("abc.", 56)+"d"), []string{"error 9:11 trainingInput.jobDir: 222"}},
		{"job-dir-format", "address", with(trainer, "  jobDir: gs://10.0.0.1/a"), []string{"error 9:11 trainingInput.jobDir: IP address"}},
		{"job-dir-format", "long path", with(trainer, "  jobDir: gs://bucket/"+strings.Repeat("a", 1025)), []string{"error 9:11 trainingInput.jobDir: 1024"}},
		{"max-wait-time", "least", with(trainer, "  scheduling: {maxWaitTime: 1800s}"), nil},
		{"max-wait-time", "less", with(trainer, "  scheduling: {maxWaitTime: 1799.9s}"), []string{"error 9:29 trainingInput.scheduling.maxWaitTime: 1800s or more"}},
		{"max-wait-time", "no unit", with(trainer, "  scheduling: {maxWaitTime: '3600'}"), []string{"error 9:29 trainingInput.scheduling.maxWaitTime: write 3600s"}},
		{"max-wait-time", "hours", with(trainer, "  scheduling: {maxWaitTime: 1h}"), []string{"error 9:29 trainingInput.scheduling.maxWaitTime: write 3600s"}},
		{"max-wait-time", "words", with(trainer, "  scheduling: {maxWaitTime: an hour}"), []string{"error 9:29 trainingInput.scheduling.maxWaitTime: write the seconds"}},
		{"max-running-time", "fraction", with(trainer, "  scheduling: {maxRunningTime: 0.5s}"), nil},
		{"max-running-time", "more than the default", with(trainer, "  scheduling: {maxRunningTime: 1209600s}"), nil},
		{"max-running-time", "zero", with(trainer, "  scheduling: {maxRunningTime: 0s}"), []string{"error 9:32 trainingInput.scheduling.maxRunningTime: no time to run"}},
		{"max-running-time", "negative", with(trainer, "  scheduling: {maxRunningTime: -5s}"), []string{"error 9:32 trainingInput.scheduling.maxRunningTime: no duration"}},
		{"priority-range", "most", with(trainer, "  scheduling: {priority: 1000}"), nil},
		{"priority-range", "more", with(trainer, "  scheduling: {priority: 1001}"), []string{"error 9:26 trainingInput.scheduling.priority: 0 to 1000"}},
		{"priority-range", "negative", with(trainer, "  scheduling: {priority: -1}"), []string{"error 9:26 trainingInput.scheduling.priority: 0 to 1000"}},
		{"service-account-format", "address", with(trainer, "  serviceAccount: a@p.iam.gserviceaccount.com"), nil},
		{"service-account-format", "number", with(trainer, "  serviceAccount: '10234'"), nil},
		{"service-account-format", "name", with(trainer, "  serviceAccount: trainer"), []string{"error 9:19 trainingInput.serviceAccount: e-mail"}},
		{"network-format", "number", with(trainer, "  network: projects/12345/global/networks/default"), nil},
		{"network-format", "project's ID", with(trainer, "  network: projects/census/global/networks/default"), []string{"error 9:12 trainingInput.network: number of the project census"}},
		{"network-format", "name", with(trainer, "  network: default"), []string{"error 9:12 trainingInput.network: no network's full name"}},
		{"kms-key-format", "fits", with(trainer, "  encryptionConfig: {kmsKeyName: projects/p/locations/us-central1/keyRings/r/cryptoKeys/k}"), nil},
		{"kms-key-format", "version", with(trainer, "  encryptionConfig: {kmsKeyName: projects/p/locations/us-central1/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1}"), []string{"error 9:34 trainingInput.encryptionConfig.kmsKeyName: without a version"}},
		{"kms-key-format", "other region", with(trainer, "  encryptionConfig: {kmsKeyName: projects/p/locations/us/keyRings/r/cryptoKeys/k}"), []string{"warning 9:34 trainingInput.encryptionConfig.kmsKeyName: the key is in us"}},

		{"args-exclusive", "containerArgs", with(container, "    containerArgs: [a]"), nil},
		{"args-exclusive", "args", with(container, "  args: [a]"), nil},
		{"args-exclusive", "both", with(container, "    containerArgs: [a]", "    containerCommand: [b]", "  args: [c]"), []string{"error 7:5 trainingInput.masterConfig.containerArgs: exclude", "error 8:5 trainingInput.masterConfig.containerCommand: exclude"}},
		{"container-needs-image", "of the master", with(container, "  scaleTier: CUSTOM", "  masterType: n1-standard-4", "  workerType: n1-standard-4", "  workerCount: 1", "  workerConfig: {containerArgs: [a]}"), nil},
		{"container-needs-image", "none", with(custom, "  masterConfig: {containerArgs: [a]}"), []string{"error 10:18 trainingInput.masterConfig.containerArgs: needs an image"}},
		{"chief-unused", "used", with(container, "  useChiefInTfConfig: true"), nil},
		{"chief-unused", "no image", with(trainer, "  useChiefInTfConfig: true"), []string{"warning 9:23 trainingInput.useChiefInTfConfig: no effect"}},
		{"accelerator-complete", "both", with(custom, "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4, count: '1'}}"), nil},
		{"accelerator-complete", "empty", with(custom, "  masterConfig: {acceleratorConfig: {}}"), nil},
		{"accelerator-complete", "no count", with(custom, "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4}}"), []string{"error 10:18 trainingInput.masterConfig.acceleratorConfig.count: no count"}},
		{"accelerator-complete", "zero", with(custom, "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 0}}"), []string{"error 10:68 trainingInput.masterConfig.acceleratorConfig.count: found 0"}},
		{"accelerator-complete", "no type", with(custom, "  masterConfig: {acceleratorConfig: {count: 1}}"), []string{"error 10:18 trainingInput.masterConfig.acceleratorConfig.type: no type"}},
		{"accelerator-count", "eight", with(custom, "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_V100, count: 8}}"), nil},
		{"accelerator-count", "negative", with(custom, "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4, count: -1}}"), []string{"error 10:68 trainingInput.masterConfig.acceleratorConfig.count: negative"}},
		{"accelerator-machine", "TPU", with(custom, "  workerType: cloud_tpu", "  workerCount: 1", "  workerConfig: {acceleratorConfig: {type: TPU_V3, count: 8}}"), nil},
		{"accelerator-machine", "legacy", with(custom, "  masterType: standard", "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 1}}"), []string{"error 10:18 trainingInput.masterConfig.acceleratorConfig: legacy machine type standard"}},
		{"disk-type", "fits", with(custom, "  masterConfig: {diskConfig: {bootDiskType: pd-standard}}"), nil},
		{"disk-type", "other", with(custom, "  masterConfig: {diskConfig: {bootDiskType: local-ssd}}"), []string{"error 10:45 trainingInput.masterConfig.diskConfig.bootDiskType: pd-ssd, pd-standard"}},
		{"disk-size", "default", with(custom, "  masterConfig: {diskConfig: {bootDiskSizeGb: 100}}"), nil},
		{"disk-size", "small", with(custom, "  masterConfig: {diskConfig: {bootDiskSizeGb: 50}}"), []string{"warning 10:47 trainingInput.masterConfig.diskConfig.bootDiskSizeGb: found 50"}},
		{"disk-size", "negative", with(custom, "  masterConfig: {diskConfig: {bootDiskSizeGb: -1}}"), []string{"error 10:47 trainingInput.masterConfig.diskConfig.bootDiskSizeGb: negative"}},

		{"goal-required", "resumed", with(trainer, "  hyperparameters: {resumePreviousJobId: a}"), nil},
		{"goal-required", "absent", with(tuning, "-    goal", double, "      minValue: 1", "      maxValue: 2"), []string{"warning 9:3 trainingInput.hyperparameters.goal: maximized"}},
		{"params-required", "resumed", with(trainer, "  hyperparameters: {resumePreviousJobId: a}"), nil},
		{"params-required", "absent", with(trainer, "  hyperparameters: {goal: MAXIMIZE}"), []string{"error 9:3 trainingInput.hyperparameters.params: no params"}},
		{"trial-count", "some", with(trainer, "  hyperparameters: {resumePreviousJobId: a, maxTrials: 1000, maxFailedTrials: 0}"), nil},
		{"trial-count", "negative", with(trainer, "  hyperparameters: {resumePreviousJobId: a, maxTrials: -1, maxFailedTrials: -2}"), []string{"error 9:56 trainingInput.hyperparameters.maxTrials: found -1", "error 9:77 trainingInput.hyperparameters.maxFailedTrials: found -2"}},
		{"parallel-trials", "all", with(trainer, "  hyperparameters: {resumePreviousJobId: a, maxTrials: 3, maxParallelTrials: 3}"), nil},
		{"parallel-trials", "default", with(trainer, "  hyperparameters: {resumePreviousJobId: a, maxParallelTrials: 1}"), nil},
		{"parallel-trials", "more", with(trainer, "  hyperparameters: {resumePreviousJobId: a, maxTrials: 3, maxParallelTrials: 4}"), []string{"warning 9:78 trainingInput.hyperparameters.maxParallelTrials: the 3"}},
		{"param-name-required", "there", with(tuning, double, "      minValue: 1", "      maxValue: 2"), nil},
		{"param-name-required", "absent", with(tuning, "    - parameterName:", double, "      minValue: 1", "      maxValue: 2"), []string{"error 12:7 trainingInput.hyperparameters.params[0].parameterName: no name"}},
		{"param-name-twice", "two", tuning + "      type: DISCRETE\n      discreteValues: 1\n    - {parameterName: b, type: DISCRETE, discreteValues: [1]}\n", nil},
		{"param-name-twice", "one twice", tuning + "      type: DISCRETE\n      discreteValues: 1\n    - {parameterName: rate, type: DISCRETE, discreteValues: [1]}\n", []string{"error 15:23 trainingInput.hyperparameters.params[1].parameterName: params[0] has the same"}},
		{"param-name-in-args", "other", with(tuning, "      type: DISCRETE", "      discreteValues: 1", "  args: [--rates=1, rate]"), nil},
		{"param-name-in-args", "same", with(tuning, "      type: DISCRETE", "      discreteValues: 1", "  args: [--x, --rate=1]"), []string{"warning 12:22 trainingInput.hyperparameters.params[0].parameterName: args[1]"}},
		{"param-type-required", "there", with(tuning, "      type: DISCRETE", "      discreteValues: 1"), nil},
		{"param-type-required", "absent", tuning, []string{"error 12:7 trainingInput.hyperparameters.params[0].type: no type"}},
		{"param-type-required", "unspecified", with(tuning, "      type: PARAMETER_TYPE_UNSPECIFIED"), []string{"error 13:13 trainingInput.hyperparameters.params[0].type: no type"}},
		{"param-bounds", "zero", with(tuning, double, "      minValue: 0", "      maxValue: 0"), nil},
		{"param-bounds", "absent", with(tuning, "      type: INTEGER"), []string{"error 12:7 trainingInput.hyperparameters.params[0].maxValue: INTEGER needs maxValue", "error 12:7 trainingInput.hyperparameters.params[0].minValue: INTEGER needs minValue"}},
		{"param-bounds-order", "equal", with(tuning, double, "      minValue: 0.95", "      maxValue: 0.95"), nil},
		{"param-bounds-order", "reversed", with(tuning, double, "      minValue: 2", "      maxValue: 1"), []string{"error 14:17 trainingInput.hyperparameters.params[0].minValue: greater than maxValue, 1"}},
		{"param-bounds-integer", "whole", with(tuning, "      type: INTEGER", "      minValue: 1.0", "      maxValue: 1e3"), nil},
		{"param-bounds-integer", "fraction", with(tuning, "      type: INTEGER", "      minValue: 0.5", "      maxValue: 3"), []string{"error 14:17 trainingInput.hyperparameters.params[0].minValue: whole number"}},
		{"param-log-scale", "above zero", with(tuning, double, "      minValue: 0.1", "      maxValue: 3", "      scaleType: UNIT_REVERSE_LOG_SCALE"), nil},
		{"param-log-scale", "linear", with(tuning, double, "      minValue: -1", "      maxValue: 3", "      scaleType: UNIT_LINEAR_SCALE"), nil},
		{"param-log-scale", "zero", with(tuning, double, "      minValue: 0", "      maxValue: 3", "      scaleType: UNIT_LOG_SCALE"), []string{"error 14:17 trainingInput.hyperparameters.params[0].minValue: above 0"}},
		{"param-categories", "there", with(tuning, "      type: CATEGORICAL", "      categoricalValues: [a, '5']", "      scaleType: NONE"), nil},
		{"param-categories", "absent", with(tuning, "      type: CATEGORICAL"), []string{"error 12:7 trainingInput.hyperparameters.params[0].categoricalValues: needs categoricalValues"}},
		{"param-values", "rising", with(tuning, "      type: DISCRETE", "      discreteValues: [1, '2.5', 4]"), nil},
		{"param-values", "1000", with(tuning, "      type: DISCRETE", "      discreteValues: ["+many(1000, "%d,")+"]"), nil},
		{"param-values", "1001", with(tuning, "      type: DISCRETE", "      discreteValues: ["+many(1001, "%d,")+"]"), []string{"error 14:7 trainingInput.hyperparameters.params[0].discreteValues: found 1001"}},
		{"param-values", "absent", with(tuning, "      type: DISCRETE"), []string{"error 12:7 trainingInput.hyperparameters.params[0].discreteValues: needs discreteValues"}},
		{"param-values", "falling", with(tuning, "      type: DISCRETE", "      discreteValues: [1, 3, 2]"), []string{"warning 14:30 trainingInput.hyperparameters.params[0].discreteValues[2]: increase"}},
		{"param-unused", "none", with(tuning, "      type: CATEGORICAL", "      categoricalValues: [a]"), nil},
		{"param-unused", "bound and scale", with(tuning, "      type: CATEGORICAL", "      categoricalValues: [a]", "      minValue: 0", "      scaleType: UNIT_LOG_SCALE"), []string{"warning 15:17 trainingInput.hyperparameters.params[0].minValue: no meaning", "warning 16:18 trainingInput.hyperparameters.params[0].scaleType: no meaning"}},
		{"grid-search", "integers", with(tuning, "      type: INTEGER", "      minValue: 1", "      maxValue: 2", "    algorithm: GRID_SEARCH"), nil},
		{"grid-search", "doubles", with(tuning, double, "      minValue: 1", "      maxValue: 2", "    algorithm: GRID_SEARCH"), []string{"error 13:13 trainingInput.hyperparameters.params[0].type: GRID_SEARCH"}},
	} {
		t.Run(tt.rule+"/"+tt.name, func(t *testing.T) {
			f, vs := Parse("job.yaml", []byte(tt.data))
			if len(vs) > 0 {
				t.Fatalf("Parse: %v\n%s", vs, tt.data)
			}
			var got []job.Violation
			for _, v := range f.Check() {
				if v.Message == "" || v.Remedy == "" || v.File != "job.yaml" {
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
		if tt.want == nil {
			passing[tt.rule] = true
		} else {
			failing[tt.rule] = true
		}
	}
	for _, r := range append(jobRules(), trainingRules()...) {
		if !passing[r.name] || !failing[r.name] {
			t.Errorf("rule %s has no passing or no failing case", r.name)
		}
	}
}

// Rules look at Spec, not at the file: what a caller fills in counts.
func TestCheckFilledIn(t *testing.T) {
	f, vs := Parse("job.yaml", []byte("trainingInput:\n  scaleTier: BASIC\n  packageUris:\n  - trainer-0.1.tar.gz\n  pythonModule: trainer.task\n"))
	if len(vs) > 0 {
		t.Fatal(vs)
	}
	in := f.Spec.TrainingInput
	in.Region, in.RuntimeVersion, in.PythonVersion = "us-central1", "2.6", "3.7"
	in.PackageURIs = []string{"gs://inbox/census/trainer-0.1.tar.gz"}
	if got := f.Check(); len(got) > 0 {
		t.Errorf("filled in: got %v", got)
	}
	in.Region = "nowhere"
	in.PackageURIs = append(in.PackageURIs, "elsewhere.whl")
	var got []string
	for _, v := range f.Check() {
		got = append(got, v.String())
	}
	want := []string{
		"job.yaml:1:1: trainingInput.region: this is no region's name (found nowhere, allowed: a region such as us-central1); write the region of the data's bucket",
		"job.yaml:3:3: trainingInput.packageUris[1]: this is no object of Cloud Storage (found elsewhere.whl, allowed: gs://bucket/object, or the name of a file in the drop's folder); write the name of a file that is in the drop's folder",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
