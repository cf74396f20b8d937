package agree_test

import (
	"fmt"
	"strings"
)

// drop is a drop of the table.
type drop struct {
	name string
	job  string
	// found are the rules that validate names, in any order; ~ marks a warning.
	found string
	// packages are the files beside the job file: the plain trainer if nil.
	packages files
	flags    []string
	// says has, for each rule set that says otherwise than validate, its reason.
	says map[string]string
}

// Jobs that pass (tuning, once its parameter has a type), for [with] to change.
const (
	trainer = `trainingInput:
  scaleTier: BASIC
  region: us-central1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
  pythonModule: trainer.task
`
	custom = `trainingInput:
  scaleTier: CUSTOM
  masterType: n1-standard-8
  region: us-central1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
  pythonModule: trainer.task
`
	container = `trainingInput:
  scaleTier: BASIC
  region: us-central1
  masterConfig:
    imageUri: gcr.io/my-project/image
`
	customContainer = `trainingInput:
  scaleTier: CUSTOM
  masterType: n1-standard-8
  region: us-central1
  masterConfig:
    imageUri: gcr.io/my-project/image
`
	tuning = trainer + `  hyperparameters:
    goal: MAXIMIZE
    params:
    - parameterName: rate
`
)

// double is the tuning of one DOUBLE.
const double = tuning + "      type: DOUBLE\n      minValue: 0.1\n      maxValue: 1\n"

// with replaces the line of a job that has the same key and indentation, or appends the line if
// there is none. "-KEY" removes a line.
func with(base string, lines ...string) string {
	all := strings.Split(strings.TrimSuffix(base, "\n"), "\n")
	key := func(line string) string { before, _, _ := strings.Cut(line, ":"); return before }
	for _, line := range lines {
		remove := strings.HasPrefix(line, "-")
		line = strings.TrimPrefix(line, "-")
		kept, done := []string{}, remove
		for _, old := range all {
			switch {
			case key(old) != key(line):
				kept = append(kept, old)
			case !done:
				kept, done = append(kept, line), true
			}
		}
		if !done {
			kept = append(kept, line)
		}
		all = kept
	}
	return strings.Join(all, "\n") + "\n"
}

// of returns a drop with the plain trainer.
func of(name, job, found string) drop { return drop{name: name, job: job, found: found} }

// alone returns a drop without a package.
func alone(name, job, found string) drop {
	return drop{name: name, job: job, found: found, packages: files{}}
}

// packed returns a drop with one package.
func packed(name string, p files, found string) drop {
	return drop{name: name, job: trainer, found: found, packages: p}
}

// but adds why a rule set says otherwise.
func (d drop) but(who, why string) drop {
	says := map[string]string{who: why}
	for other, reason := range d.says {
		says[other] = reason
	}
	d.says = says
	return d
}

func (d drop) with(flags ...string) drop {
	d.flags = flags
	return d
}

// drops is the table.
func drops() []drop {
	var all []drop
	for _, part := range [][]drop{
		names(), places(), machines(), versions(), containers(), accelerators(), tunings(), times(), rights(), texts(), odd(),
		packages(), forVertex(),
	} {
		all = append(all, part...)
	}
	return all
}

func names() []drop {
	labels := func(n int) string {
		text := "labels: {"
		for i := range n {
			text += fmt.Sprintf("l%d: v, ", i)
		}
		return strings.TrimSuffix(text, ", ") + "}"
	}
	return []drop{
		of("plain", trainer, ""),
		of("job ID", with(trainer, "jobId: census_1"), ""),
		of("job ID, a digit first", with(trainer, "jobId: 1census"), "job-id-format"),
		of("job ID, an underscore first", with(trainer, "jobId: _census"), "job-id-format"),
		of("job ID, a dash", with(trainer, "jobId: census-1"), "job-id-format"),
		of("job ID, other letters", with(trainer, "jobId: größe"), "job-id-format"),
		of("job ID of 128", with(trainer, "jobId: a"+strings.Repeat("b", 127)), ""),
		of("job ID of 129", with(trainer, "jobId: a"+strings.Repeat("c", 128)), "~job-id-length"),
		of("job ID of 200", with(trainer, "jobId: a"+strings.Repeat("d", 199)), "~job-id-length"),
		of("job ID of 201", with(trainer, "jobId: a"+strings.Repeat("e", 200)), "~job-id-length"),
		of("job ID of 512", with(trainer, "jobId: a"+strings.Repeat("e", 511)), "~job-id-length"),
		of("job ID of 513", with(trainer, "jobId: a"+strings.Repeat("f", 512)), "job-id-length"),
		of("61 labels", with(trainer, labels(61)), ""),
		of("62 labels", with(trainer, labels(62)), "label-count"),
		of("label, a capital", with(trainer, "labels: {Team: nlp}"), "label-key"),
		of("label, other letters", with(trainer, "labels: {größe: ä1}"), "~label-value-narrow"),
		of("label, a script without case", with(trainer, "labels: {課: 語}"), "~label-value-narrow"),
		of("label, a key of 63", with(trainer, "labels: {a"+strings.Repeat("b", 62)+": v}"), ""),
		of("label, a key of 64", with(trainer, "labels: {a"+strings.Repeat("b", 63)+": v}"), "label-key"),
		of("label, a value of 63", with(trainer, "labels: {a: "+strings.Repeat("b", 63)+"}"), ""),
		of("label, a value of 64", with(trainer, "labels: {a: "+strings.Repeat("b", 64)+"}"), "label-value"),
		of("label, a value with a capital", with(trainer, "labels: {a: Nlp}"), "label-value"),
		of("label, an empty value", with(trainer, "labels: {a: ''}"), "~label-value-narrow"),
		of("label, a number", with(trainer, "labels: {a: 1}"), "text"),
		of("label of jobdrop's own", with(trainer, "labels: {jobdrop-attempt: a}"), "label-reserved"),
	}
}

func places() []drop {
	return []drop{
		of("no region", with(trainer, "-  region"), "region-required"),
		of("a zone", with(trainer, "  region: us-central1-a"), "region-format"),
		of("no such region", with(trainer, "  region: mars-central1"), "~region-unknown"),
		of("a region of Vertex AI's", with(trainer, "  region: us-west4"), "~region-unknown"),
		of("a region in capitals", with(trainer, "  region: US-CENTRAL1"), "region-format"),
		of("job directory", with(trainer, "  jobDir: gs://out/census"), ""),
		of("job directory, the bucket", with(trainer, "  jobDir: gs://out"), ""),
		of("job directory, no bucket", with(trainer, "  jobDir: gs://"), "job-dir-format"),
		of("job directory, a path", with(trainer, "  jobDir: /tmp/out"), "job-dir-format"),
		of("job directory, one slash", with(trainer, "  jobDir: gs:/out/census"), "job-dir-format"),
		of("job directory, a bucket in capitals", with(trainer, "  jobDir: gs://Out/census"), "bucket-format"),
		of("job directory, a short bucket", with(trainer, "  jobDir: gs://ab/census"), "~bucket-length"),
		of("job directory, an address", with(trainer, "  jobDir: gs://10.0.0.1/census"), "bucket-format"),
		of("job directory, spaces", with(trainer, "  jobDir: gs://out/a b"), ""),
		of("job directory, a line break", with(trainer, `  jobDir: "gs://out/a\nb"`), "control-character object-name"),
		of("job directory, a NUL", with(trainer, `  jobDir: "gs://out/a\0b"`), "control-character"),
		of("job directory, the inbox", with(trainer, "  jobDir: gs://inbox/out"), "").
			but(inInstallation, "only --inbox says which bucket is the inbox"),
		of("job directory, a name of 1025", with(trainer, "  jobDir: gs://out/"+strings.Repeat("a", 1025)),
			"object-name"),
	}
}

func machines() []drop {
	return []drop{
		of("no tier", with(trainer, "-  scaleTier"), "scale-tier-required"),
		alone("no tier, an image", with(container, "-  scaleTier"), "~policy-image ~scale-tier-required"),
		of("tier in lower case", with(trainer, "  scaleTier: basic"), "~enum-spelling"),
		of("tier with a hyphen", with(trainer, "  scaleTier: STANDARD-1"), "~enum-spelling"),
		of("tier STANDARD_1", with(trainer, "  scaleTier: STANDARD_1"), ""),
		of("tier PREMIUM_1", with(trainer, "  scaleTier: PREMIUM_1"), ""),
		of("tier BASIC_GPU", with(trainer, "  scaleTier: BASIC_GPU"), "").but(onVertex, noK80),
		of("tier BASIC_TPU", with(trainer, "  scaleTier: BASIC_TPU"), "").but(onVertex, noTPU),
		of("no such tier", with(trainer, "  scaleTier: HUGE"), "enum"),
		of("CUSTOM", custom, ""),
		of("CUSTOM without a machine", with(custom, "-  masterType"), "master-type-required"),
		of("a machine without CUSTOM", with(custom, "  scaleTier: BASIC"), "~machine-unused"),
		of("workers", with(custom, "  workerType: n1-standard-8", "  workerCount: 2"), ""),
		of("workers, as text", with(custom, "  workerType: n1-standard-8", "  workerCount: '2'"), ""),
		of("workers, a word", with(custom, "  workerType: n1-standard-8", "  workerCount: two"), "integer"),
		of("workers, a fraction", with(custom, "  workerType: n1-standard-8", "  workerCount: 1.5"), "integer"),
		of("workers, below zero", with(custom, "  workerType: n1-standard-8", "  workerCount: -1"), "replica-count"),
		of("workers without a type", with(custom, "  workerCount: 2"), "replica-type-required"),
		of("workers without a count", with(custom, "  workerType: n1-standard-8"), "~replica-type-unused"),
		of("workers beside BASIC", with(trainer, "  workerType: n1-standard-8", "  workerCount: 1"),
			"custom-tier-only ~machine-unused"),
		of("a parameter server", with(custom, "  parameterServerType: n1-highmem-8", "  parameterServerCount: 1"), ""),
		of("an evaluator", with(custom, "  evaluatorType: n1-standard-8", "  evaluatorCount: 1"), ""),
		of("two evaluators", with(custom, "  evaluatorType: n1-standard-8", "  evaluatorCount: 2"), "~evaluator-count"),
		of("old machine", with(custom, "  masterType: standard"), ""),
		of("old machine, no such", with(custom, "  masterType: complex_model_xl"), "~machine-unknown"),
		of("old machine with a GPU", with(custom, "  masterType: standard_p100"), ""),
		of("old machine with a K80", with(custom, "  masterType: standard_gpu"), "").but(onVertex, noK80),
		of("old machine of today", with(custom, "  masterType: complex_model_s"), ""),
		of("old and new machines", with(custom, "  workerType: standard", "  workerCount: 1"), "machine-category"),
		of("machine that is not known", with(custom, "  masterType: e2-standard-4"), "~machine-unknown"),
		of("machine, no such form", with(custom, "  masterType: big machine"), "machine-format"),
		of("a TPU worker", with(custom, "  workerType: cloud_tpu", "  workerCount: 1"), "").but(onVertex, noTPU).
			but(atML, noTPU),
		of("two TPU workers", with(custom, "  workerType: cloud_tpu", "  workerCount: 2"), "~tpu-worker-count"),
		of("a TPU elsewhere", with(custom, "  region: us-east1", "  workerType: cloud_tpu",
			"  workerCount: 1"), "~tpu-region"),
		of("disk", with(custom, "  masterConfig: {diskConfig: {bootDiskType: pd-ssd, bootDiskSizeGb: 200}}"), ""),
		of("disk, no such type", with(custom, "  masterConfig: {diskConfig: {bootDiskType: floppy}}"), "disk-type"),
		of("disk, below zero", with(custom, "  masterConfig: {diskConfig: {bootDiskSizeGb: -1}}"), "disk-size"),
		of("disk, small", with(custom, "  masterConfig: {diskConfig: {bootDiskSizeGb: 50}}"), "~disk-size"),
	}
}

func versions() []drop {
	return []drop{
		of("no runtime", with(trainer, "-  runtimeVersion"), "runtime-version-required"),
		of("runtime without quotes", with(trainer, "  runtimeVersion: 2.11"), "text"),
		of("runtime, a patch", with(trainer, "  runtimeVersion: '2.11.0'"), "~runtime-version-patch"),
		of("runtime, a word", with(trainer, "  runtimeVersion: latest"), "runtime-version-format"),
		of("runtime that is not known", with(trainer, "  runtimeVersion: '2.99'", "  pythonVersion: '3.10'"),
			"~runtime-version-unknown"),
		of("runtime that ended", with(trainer, "  runtimeVersion: '1.9'", "  pythonVersion: '2.7'"),
			"~runtime-version-ended"),
		of("runtime 2.17", with(trainer, "  runtimeVersion: '2.17'", "  pythonVersion: '3.10'"), ""),
		of("runtime 2.10", with(trainer, "  runtimeVersion: '2.10'"), ""),
		of("no Python", with(trainer, "-  pythonVersion"), "python-version-required"),
		of("Python 3.8", with(trainer, "  pythonVersion: '3.8'"), "python-version"),
		of("Python 3.10 with 2.11", with(trainer, "  pythonVersion: '3.10'"), ""),
		of("Python 3.10 with 2.7", with(trainer, "  runtimeVersion: '2.7'", "  pythonVersion: '3.10'"),
			"python-for-runtime"),
		of("Python 3.5 with 1.10", with(trainer, "  runtimeVersion: '1.10'", "  pythonVersion: '3.5'"),
			"~python-for-runtime"),
		of("Python 3.5 with 1.14", with(trainer, "  runtimeVersion: '1.14'", "  pythonVersion: '3.5'"), "").
			but(onVertex, noImage),
		of("Python without quotes", with(trainer, "  pythonVersion: 3.7"), "text"),
	}
}

func containers() []drop {
	return []drop{
		alone("image", container, "~policy-image"),
		alone("image, Artifact Registry", with(container,
			"    imageUri: us-docker.pkg.dev/my-project/r/i:1"), "~policy-image"),
		alone("image of another project", with(container, "    imageUri: gcr.io/other-project/image"), "~policy-image"),
		alone("image of another project, with the project", with(container,
			"    imageUri: gcr.io/other-project/image"), "policy-image").
			with("--project", "my-project"),
		alone("image of Docker Hub", with(container,
			"    imageUri: tensorflow/tensorflow:2.11.0"), "policy-image ~image-registry"),
		alone("image in capitals", with(container, "    imageUri: gcr.io/my-project/Image"), "image-format policy-image"),
		alone("image with a scheme", with(container,
			"    imageUri: https://gcr.io/my-project/image"), "image-format policy-image"),
		alone("image, a placeholder", with(container,
			"    imageUri: gcr.io/my-project/image-name"), "~image-placeholder ~policy-image"),
		alone("image and runtime", with(container, "  runtimeVersion: '2.11'"), "image-excludes-runtime ~policy-image"),
		alone("image and Python", with(container, "  pythonVersion: '3.7'"), "~image-excludes-python ~policy-image"),
		of("image and module", with(container, "  pythonModule: trainer.task", "  packageUris: [t-1.tar.gz]"),
			"~policy-image").
			but(atML, "ml/v1 had images that install packages; the local service installs nothing into an image"),
		alone("image, chief", with(container, "  useChiefInTfConfig: true"), "~policy-image"),
		of("chief without an image", with(trainer, "  useChiefInTfConfig: true"), "~chief-unused"),
		alone("image, args", with(container, "  args: [--epochs, '3']"), "~policy-image"),
		alone("image, container args", with(container, "    containerArgs: [--epochs, '3']"), "~policy-image"),
		alone("image, both args", with(customContainer, "  masterConfig: {imageUri: gcr.io/my-project/image, "+
			"containerArgs: [--epochs]}", "-    imageUri", "  args: [--epochs]"), "args-exclusive ~policy-image"),
		alone("image, a command", with(container, "    containerCommand: [python, main.py]"), "~policy-image"),
		alone("image, an empty command", with(container,
			"    containerCommand: ['']"), "container-command-empty ~policy-image"),
		of("container args without an image", with(custom,
			"  masterConfig: {containerArgs: [a]}"), "container-needs-image"),
		alone("image for the workers", with(customContainer, "  workerType: n1-standard-8", "  workerCount: 1",
			"  workerConfig: {imageUri: gcr.io/my-project/worker}"), "~policy-image"),
		of("image for the workers alone", with(custom, "  workerType: n1-standard-8", "  workerCount: 1",
			"  workerConfig: {imageUri: gcr.io/my-project/worker}"), "~policy-image"),
		alone("a TPU worker with an image", with(customContainer, "  workerType: cloud_tpu", "  workerCount: 1"),
			"tpu-tf-version-required ~policy-image"),
		of("tpuTfVersion without a TPU", with(custom,
			"  masterConfig: {tpuTfVersion: '2.11'}"), "~tpu-tf-version-unused"),
	}
}

func accelerators() []drop {
	gpu := func(text string) string {
		return with(custom, "  masterConfig: {acceleratorConfig: {"+text+"}}")
	}
	return []drop{
		of("a T4", gpu("type: NVIDIA_TESLA_T4, count: 1"), ""),
		of("three T4", gpu("type: NVIDIA_TESLA_T4, count: 3"), "accelerator-machine"),
		of("a K80", gpu("type: NVIDIA_TESLA_K80, count: 1"), "").but(onVertex, noK80),
		of("an A100", gpu("type: NVIDIA_TESLA_A100, count: 1"), "~accelerator-machine"),
		of("an accelerator in lower case", gpu("type: nvidia-tesla-t4, count: 1"), "~enum-spelling"),
		of("no such accelerator", gpu("type: NVIDIA_GTX, count: 1"), "enum"),
		of("an accelerator without a count", gpu("type: NVIDIA_TESLA_T4"), "accelerator-complete"),
		of("an accelerator without a type", gpu("count: 1"), "accelerator-complete"),
		of("accelerators below zero", gpu("type: NVIDIA_TESLA_T4, count: -1"), "accelerator-count"),
		of("a TPU as an accelerator", gpu("type: TPU_V2, count: 8"), "~tpu-accelerator"),
		of("an accelerator on an old machine", with(gpu("type: NVIDIA_TESLA_T4, count: 1"),
			"  masterType: standard"), "accelerator-legacy"),
		of("an accelerator beside BASIC", with(gpu("type: NVIDIA_TESLA_T4, count: 1"),
			"  scaleTier: BASIC", "-  masterType"),
			"~accelerator-unused"),
	}
}

func tunings() []drop {
	param := func(lines ...string) string { return tuning + "      " + strings.Join(lines, "\n      ") + "\n" }
	named := func(name string) string {
		return strings.Replace(double, "parameterName: rate", "parameterName: "+name, 1)
	}
	more := func(line string) string {
		return strings.Replace(double, "    params:", "    "+line+"\n    params:", 1)
	}
	numbers := strings.TrimSuffix(strings.Repeat("1, ", 1001), ", ")
	return []drop{
		of("DOUBLE", double, ""),
		of("INTEGER", param("type: INTEGER", "minValue: 1", "maxValue: 4"), ""),
		of("INTEGER, a fraction", param("type: INTEGER", "minValue: 0.5", "maxValue: 4"), "param-bounds-integer"),
		of("INTEGER, too large", param("type: INTEGER", "minValue: 1", "maxValue: 1.0e+17"), "~param-bounds-exact"),
		of("CATEGORICAL", param("type: CATEGORICAL", "categoricalValues: [a, b]"), ""),
		of("CATEGORICAL, a number", param("type: CATEGORICAL", "categoricalValues: [1, 2]"), "text"),
		of("CATEGORICAL without values", param("type: CATEGORICAL"), "param-categories"),
		of("CATEGORICAL with bounds", param("type: CATEGORICAL", "categoricalValues: [a]", "minValue: 1"),
			"~param-unused"),
		of("CATEGORICAL, a tab", param("type: CATEGORICAL", `categoricalValues: ["a\tb"]`), ""),
		of("DISCRETE", param("type: DISCRETE", "discreteValues: [1, 2]"), ""),
		of("DISCRETE without values", param("type: DISCRETE"), "param-values"),
		of("DISCRETE, not sorted", param("type: DISCRETE", "discreteValues: [2, 1]"), "~param-values-order"),
		of("DISCRETE, 1,001", param("type: DISCRETE", "discreteValues: ["+numbers+"]"),
			"param-values-count ~param-values-order"),
		of("no type", tuning, "param-type-required"),
		of("no such type", param("type: FLOAT"), "enum"),
		of("type in lower case", param("type: double", "minValue: 0", "maxValue: 1"), "~enum-spelling"),
		of("no bound", param("type: DOUBLE", "minValue: 0"), "param-bounds"),
		of("bounds the wrong way", param("type: DOUBLE", "minValue: 2", "maxValue: 1"), "param-bounds-order"),
		of("bounds alike", param("type: DOUBLE", "minValue: 1", "maxValue: 1"), ""),
		of("a logarithm of zero", param("type: DOUBLE", "minValue: 0", "maxValue: 1",
			"scaleType: UNIT_LOG_SCALE"), "param-log-scale"),
		of("parameter, a hyphen", named("learning-rate"), ""),
		of("parameter, other letters", named("größe"), ""),
		of("parameter, a dot", named("model.rate"), ""),
		of("parameter, a space", named("learning rate"), "param-name-format"),
		of("parameter, dashes", named("--learning-rate"), "param-name-format"),
		of("parameter, an equals sign", named("rate=1"), "param-name-format"),
		of("parameter without a name", named("''"), "param-name-required"),
		of("parameter twice", double+"    - parameterName: rate\n      type: DOUBLE\n      minValue: 0\n      maxValue: 1\n",
			"param-name-twice"),
		of("parameter in args", with(double, "  args: [--rate=1]"), "~param-name-in-args"),
		of("no goal", with(double, "-    goal"), "~goal-required"),
		of("no parameters", trainer+"  hyperparameters: {goal: MAXIMIZE, params: []}\n", "params-required"),
		of("trials", more("maxTrials: 4"), ""),
		of("trials, none", more("maxTrials: 0"), "~trial-count"),
		of("trials below zero", more("maxTrials: -1"), "trial-count"),
		of("trials, 1,000", more("maxTrials: 1000"), ""),
		of("trials, 1,001", more("maxTrials: 1001"), "").but(atML, bounded).but(atVertex, bounded),
		of("more at once than in all", more("maxParallelTrials: 4"), "~parallel-trials"),
		of("grid", strings.Replace(param("type: INTEGER", "minValue: 1", "maxValue: 4"), "    params:",
			"    algorithm: GRID_SEARCH\n    params:", 1), ""),
		of("grid of a DOUBLE", more("algorithm: GRID_SEARCH"), "grid-search"),
		of("early stopping", more("enableTrialEarlyStopping: true"), ""),
		of("resume", more("resumePreviousJobId: earlier"), "").
			but(onVertex, "Vertex AI can't go on with an earlier study, which ml/v1 could").
			but(atML, "the local service keeps no study"),
		of("metric", more("hyperparameterMetricTag: loss"), ""),
		of("metric, a space", more("hyperparameterMetricTag: my loss"), "").
			but(onVertex, "Vertex AI takes no such name, and ml/v1 did"),
		alone("tuning of an image", with(container,
			"  hyperparameters: {goal: MAXIMIZE, params: [{parameterName: a, type: "+
				"INTEGER, minValue: 1, maxValue: 2}]}"), "~policy-image"),
	}
}

func times() []drop {
	limit := func(text string) string { return with(trainer, "  scheduling: {"+text+"}") }
	return []drop{
		of("limits", limit("maxWaitTime: 1800s, maxRunningTime: 3600s"), ""),
		of("wait, too short", limit("maxWaitTime: 1799s"), "max-wait-time"),
		of("wait, a number", limit("maxWaitTime: 3600"), "text"),
		of("wait, hours", limit("maxWaitTime: 2h"), "duration-format"),
		of("run, none", limit("maxRunningTime: 0s"), "~max-running-time"),
		of("run, a fraction", limit("maxRunningTime: 3.5s"), ""),
		of("run, below zero", limit("maxRunningTime: -1s"), "duration-format"),
		of("run, too long", limit("maxRunningTime: 999999999999s"), "duration-format"),
		of("priority", limit("priority: 7"), ""),
		of("priority, out of range", limit("priority: 1001"), "priority-range"),
	}
}

func rights() []drop {
	return []drop{
		of("service account", with(trainer,
			"  serviceAccount: t@my-project.iam.gserviceaccount.com"), "policy-service-account"),
		of("service account, no such form", with(trainer,
			"  serviceAccount: me"), "policy-service-account service-account-format"),
		of("network", with(trainer, "  network: projects/1/global/networks/n"), "policy-network"),
		of("network by the project's ID", with(trainer,
			"  network: projects/p/global/networks/n"), "network-format policy-network"),
		of("key", with(trainer, "  encryptionConfig: {kmsKeyName: projects/p/locations/us-central1/keyRings/r/cryptoKeys/k}"),
			""),
		of("key of another region", with(trainer,
			"  encryptionConfig: {kmsKeyName: projects/p/locations/us-east1/keyRings/r/cryptoKeys/k}"), "~kms-key-region"),
		of("key, a version", with(trainer,
			"  encryptionConfig: {kmsKeyName: projects/p/locations/us-central1/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1}"),
			"kms-key-format"),
		of("web access", with(trainer, "  enableWebAccess: true"), ""),
		alone("package from elsewhere", with(trainer,
			"  packageUris: [gs://other/t-1.tar.gz]"), "~policy-package-source"),
		alone("package from elsewhere, with the inbox", with(trainer,
			"  packageUris: [gs://other/t-1.tar.gz]"), "policy-package-source").
			with("--inbox", "inbox"),
		of("backend", with(trainer, "jobdrop: {backend: aiplatform}"), "").
			but(onVertex, "the file asks for another backend, and plan says so"),
		of("backend, no such", with(trainer, "jobdrop: {backend: sagemaker}"), "enum"),
	}
}

func texts() []drop {
	return []drop{
		of("args", with(trainer, "  args: [--epochs, '3']"), ""),
		of("args, a number", with(trainer, "  args: [--epochs, 3]"), "text"),
		of("args, one text", with(trainer, "  args: --epochs=3"), ""),
		of("args, a NUL", with(trainer, `  args: ["a\0b"]`), "control-character"),
		of("args, a line break", with(trainer, `  args: ["a\nb"]`), ""),
		of("args, an escape", with(trainer, `  args: ["a\eb"]`), "control-character"),
		of("args, option and value", with(trainer, "  args: [--epochs 3]"), "~argument-space"),
		of("args, a long dash", with(trainer, "  args: [–epochs]"), "~argument-odd-character"),
		of("args, a placeholder", with(trainer, "  args: ['${EPOCHS}']"), "~argument-placeholder"),
		of("args, empty", with(trainer, "  args: ['']"), ""),
		of("module, a hyphen", with(trainer, "  pythonModule: video-8x.train"), ""),
		of("module, other letters", with(trainer, "  pythonModule: trainer.größe"), ""),
		of("module, a letter of two runes", with(trainer,
			"  pythonModule: trainer.gr\u006f\u0308\u00dfe"), "python-module-in-package"),
		of("module, a file", with(trainer, "  pythonModule: trainer/task.py"), "python-module-format"),
		of("module, the end of a file", with(trainer, "  pythonModule: trainer.task.py"), "python-module-format"),
		of("module, a space", with(trainer, "  pythonModule: trainer task"), "python-module-format"),
		of("module, a dash first", with(trainer, "  pythonModule: -m trainer.task"), "python-module-format"),
		of("module, an empty part", with(trainer, "  pythonModule: trainer..task"), "python-module-format"),
		of("module, another", with(trainer, "  pythonModule: trainer.tsak"), "python-module-in-package"),
		of("module, a package", with(trainer, "  pythonModule: trainer"), "python-module-in-package"),
		of("module, a package that runs", with(trainer, "  pythonModule: trainer.runs"), ""),
		of("no module", with(trainer, "-  pythonModule"), "python-module-required"),
		of("package by name", with(trainer, "  packageUris: [t-1.tar.gz]"), ""),
		of("package as one text", with(trainer, "  packageUris: t-1.tar.gz"), ""),
		of("package by path", with(trainer, "  packageUris: [dist/t-1.tar.gz]"), "package-uri"),
		of("package, a folder", with(trainer,
			"  packageUris: [gs://inbox/]"), "package-uri ~package-extension ~policy-package-source"),
		of("package twice", with(trainer, "  packageUris: [t-1.tar.gz, t-1.tar.gz]"), "~package-name-twice"),
		of("package, 101", with(trainer, "  packageUris: ["+strings.Repeat("t-1.tar.gz, ", 101)+"]"),
			"package-count ~package-name-twice ~too-many-violations"),
		of("package of another form", with(trainer, "  packageUris: [t-1.zip]"), "package-uri"),
		of("pin", with(trainer, "jobdrop: {packages: [{name: t-1.tar.gz}]}"), "pin"),
		of("pin of a path", with(trainer,
			"jobdrop: {packages: [{name: a/t-1.tar.gz, generation: 1}]}"), "incomplete pin"),
		of("notify without a name", with(trainer, "jobdrop: {notify: ['']}"), "notify-route"),
	}
}

func odd() []drop {
	return []drop{
		of("an unknown field", with(trainer, "  runtime: '2.11'"), "unknown-field"),
		of("a proto name", strings.Replace(trainer, "scaleTier", "scale_tier", 1), "~field-spelling"),
		of("an output field", with(trainer, "state: SUCCEEDED"), "~output-only"),
		of("not indented", strings.ReplaceAll(trainer, "  ", ""), "not-indented"),
		of("no training input", "jobId: nothing\n", "training-input-required"),
		of("nothing", "", "incomplete"),
		of("a list", "- a\n", "shape"),
		of("no YAML", "trainingInput: {\n", "syntax"),
		of("two documents", trainer+"---\n"+trainer, "single-document"),
		of("a key twice", trainer+"  region: us-east1\n", "duplicate-key"),
		of("JSON", `{"trainingInput": {"scaleTier": "BASIC", "region": "us-central1", "runtimeVersion": "2.11", `+
			`"pythonVersion": "3.7", "pythonModule": "trainer.task"}}`, ""),
		of("YES for true", with(trainer, "  enableWebAccess: YES"), "~bool-spelling"),
		of("text for true", with(trainer, "  enableWebAccess: 'true'"), "bool"),
		of("null", with(trainer, "  jobDir: null"), ""),
		of("a curly quote", with(trainer, "  region: “us-central1”"), "odd-character"),
		of("a template", with(trainer, "  region: '{{ region }}'"), "placeholder"),
		of("a comment of C", with(trainer, "  region: us-central1 // near"), "comment"),
		of("a list for a text", with(trainer, "  region: [us-central1]"), "shape"),
		of("a prediction", "predictionInput: {}\n", "training-only"),
		of("a custom job of Vertex AI", "displayName: a\njobSpec: {workerPoolSpecs: []}\n", "vertex-spec"),
	}
}
