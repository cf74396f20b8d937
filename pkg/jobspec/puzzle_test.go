package jobspec

import (
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/cli/rules"
)

// head is a job to which a test adds fields of its training input.
const head = `jobId: census
trainingInput:
  scaleTier: BASIC
  region: us-central1
  packageUris: [gs://bucket/trainer-0.1.tar.gz]
  pythonModule: trainer.task
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
`

// workerPools is a specification of Vertex AI's, as gcloud takes it.
const workerPools = `workerPoolSpecs:
- machineSpec:
    machineType: n1-standard-8
    acceleratorType: NVIDIA_TESLA_T4
    acceleratorCount: 1
  replicaCount: 1
  pythonPackageSpec:
    executorImageUri: europe-docker.pkg.dev/vertex-ai/training/tf-gpu.2-9:latest
    packageUris: [gs://bucket/trainer-0.1.tar.gz]
    pythonModule: trainer.task
    args: [--steps=5]
    env: [{name: A, value: b}]
- machineSpec: {machineType: n1-standard-4}
  replicaCount: 3
scheduling: {timeout: 3600s, strategy: SPOT}
reservedIpRanges: [a]
baseOutputDirectory: {outputUriPrefix: gs://bucket/out}
`

// puzzle is a job file that people write by mistake, with all that Parse and Check
// say of it, parts of each text in the order of the lines. Nothing else is said.
type puzzle struct {
	name, data string
	want       [][]string
}

// indent moves lines to the right.
func indent(lines string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(lines, "\n"), "\n", "\n  ") + "\n"
}

func TestPuzzles(t *testing.T) {
	for _, list := range [][]puzzle{
		vertexPuzzles(), placeholderPuzzles(), oddPuzzles(), spellingPuzzles(), shapePuzzles(), valuePuzzles(),
	} {
		for _, p := range list {
			t.Run(p.name, func(t *testing.T) {
				f, vs := Parse("job.yaml", []byte(p.data))
				vs = append(vs, f.Check(nil)...)
				var got []string
				for _, v := range vs {
					got = append(got, v.String())
					if !rules.Known(v.Rule) || v.Remedy == "" || v.Line == 0 {
						t.Errorf("incomplete: %+v", v)
					}
				}
				if len(got) != len(p.want) {
					t.Fatalf("got %d violations, want %d:\n%s\n%s", len(got), len(p.want), strings.Join(got, "\n"), p.data)
				}
				for i, parts := range p.want {
					for _, part := range parts {
						if !strings.Contains(got[i], part) {
							t.Errorf("got %q, want %q in it", got[i], part)
						}
					}
				}
			})
		}
	}
}

func vertexPuzzles() []puzzle {
	moves := []string{
		"jobdrop takes a job of AI Platform Training", "write below trainingInput: scaleTier: CUSTOM, region",
		"masterType for machineType", "masterConfig.acceleratorConfig.type for acceleratorType",
		"runtimeVersion: '2.9' and pythonVersion: '3.7' for executorImageUri", "packageUris, pythonModule, args",
		"workerType for workerPoolSpecs[1]'s machineType", "workerCount for workerPoolSpecs[1]'s replicaCount",
		"scheduling.maxRunningTime for timeout", "jobDir for baseOutputDirectory", "pass what env holds in args",
		"jobdrop.vertex.strategy for strategy", "leave out reservedIpRanges",
	}
	says := func(first string, more ...string) [][]string {
		return [][]string{append(append([]string{first}, more...), moves...)}
	}
	return []puzzle{
		{"the specification of a custom job", workerPools, says(":1:1: workerPoolSpecs: this is Vertex AI's CustomJobSpec;")},
		{
			"a custom job", "displayName: Census job\njobSpec:\n" + indent(workerPools),
			says(":2:1: jobSpec: this is Vertex AI's CustomJob;", "write jobId for displayName (of letters, digits"),
		},
		{
			"a custom job's description", "name: projects/1/locations/europe-west4/customJobs/2\nstate: JOB_STATE_SUCCEEDED\n" +
				"createTime: '2026-01-01T00:00:00Z'\njobSpec:\n" + indent(workerPools),
			says(":4:1: jobSpec: this is Vertex AI's CustomJob;"),
		},
		{
			"in a wrapper", "customJob:\n  displayName: a\n  jobSpec:\n" + indent(indent(workerPools)),
			says(":1:1: customJob: this is Vertex AI's CustomJob;", "jobId for displayName"),
		},
		{
			"below trainingInput", "jobId: a\ntrainingInput:\n  region: us-central1\n" + indent(workerPools),
			says(":4:3: trainingInput.workerPoolSpecs: this is Vertex AI's CustomJobSpec;"),
		},
		{
			"a tuning job", "displayName: a\nmaxTrialCount: 4\nparallelTrialCount: 2\nstudySpec:\n  metrics: [{metricId: loss}]\n" +
				"  parameters: [{parameterId: rate, doubleValueSpec: {minValue: 0, maxValue: 1}}]\ntrialJobSpec:\n" +
				indent(workerPools),
			says(":4:1: studySpec: this is Vertex AI's HyperparameterTuningJob;", "hyperparameters.maxTrials for maxTrialCount",
				"hyperparameters.maxParallelTrials for parallelTrialCount", "hyperparameters.params for parameters",
				"hyperparameters.hyperparameterMetricTag and hyperparameters.goal for metrics"),
		},
		{
			"a training pipeline", "displayName: a\ntrainingTaskDefinition: gs://a/custom_task_1.0.0.yaml\ntrainingTaskInputs:\n" +
				indent(workerPools), says(":3:1: trainingTaskInputs: this is Vertex AI's TrainingPipeline;"),
		},
		{
			"JSON", `{"displayName": "a", "jobSpec": {"workerPoolSpecs": [{"machineSpec": {"machineType": "n1-standard-4"},
 "replicaCount": "1", "containerSpec": {"imageUri": "gcr.io/p/i", "command": ["run"], "args": ["a"]}}]}}`,
			[][]string{{
				":1:22: jobSpec: this is Vertex AI's CustomJob;", "masterType for machineType", "masterConfig.imageUri for imageUri",
				"masterConfig.containerCommand for command", "args",
			}},
		},
		{
			"names of Python", "- machine_spec: {machine_type: n1-standard-4}\n  replica_count: 1\n  container_spec: {image_uri: a/b}\n",
			[][]string{{":1:3: ", "Vertex AI's list of worker pools", "masterType for machine_type", "imageUri for image_uri"}},
		},
		{
			"one worker pool", "machineSpec: {machineType: n1-standard-4}\ncontainerSpec: {imageUri: a/b}\n",
			[][]string{{":1:1: machineSpec: ", "Vertex AI's worker pool", "masterType for machineType"}},
		},
		{
			"names of Vertex AI's in a job file", "displayName: a\n" + head + "  machineType: n1-standard-4\n  timeout: 60s\n",
			[][]string{
				{":1:1: displayName: ", "the name is Vertex AI's", "write it as jobId"},
				{":10:3: trainingInput.machineType: ", "the name is Vertex AI's", "write it as trainingInput.masterType"},
				{":11:3: trainingInput.timeout: ", "write it as trainingInput.scheduling.maxRunningTime"},
			},
		},
		{
			"a label of the same name", head + "labels: {jobspec: a, workerpoolspecs: b}\n", nil,
		},
		{
			"flags of gcloud", strings.Replace(head, "pythonModule", "module-name", 1) + "  master-machine-type: n1-standard-4\n" +
				"  staging-bucket: gs://bucket\n",
			[][]string{
				{":6:3: trainingInput.module-name: ", "the name is gcloud's", "write it as trainingInput.pythonModule"},
				{":9:3: ", "write it as trainingInput.masterType"},
				{":10:3: ", "remove it: jobdrop stages packages by itself"},
			},
		},
	}
}

func placeholderPuzzles() []puzzle {
	region := func(value string) string { return strings.Replace(head, "us-central1", value, 1) }
	replaced := func(what string) [][]string {
		return [][]string{{":4:11: trainingInput.region: the placeholder " + what + " has not been replaced", "write the value"}}
	}
	return []puzzle{
		{"variable in braces", region("${REGION}"), replaced("${REGION}")},
		{"variable", region("$REGION"), replaced("$REGION")},
		{"command", region("$(gcloud config get compute/region)"), replaced("$(gcloud config get compute/region)")},
		{"template in quotes", region("'{{ region }}'"), replaced("{{ region }}")},
		{"template in a text", region("us-{{region}}"), replaced("{{region}}")},
		{"manual's angles", region("<your-region>"), replaced("<your-region>")},
		{"manual's capitals", region("YOUR_REGION"), replaced("YOUR_REGION")},
		{"batch file's", region("us-%REGION%"), replaced("%REGION%")},
		{"manual's brackets", region("[REGION]"), [][]string{{":4:3: trainingInput.region: the placeholder [REGION]"}}},
		{
			"a template for a value", region("{{ region }}") + "  jobDir: {{ dir }}\n  args: ['{{ a }}']\n",
			[][]string{{":4:11: the placeholder {{ region }} has not been replaced (found"}},
		},
		{
			"a template that is not YAML, the first first", region("{{ region }}") + "  scheduling: {maxWaitTime: {{ hours }}h}\n",
			[][]string{{":4:11: the placeholder {{ region }} and 1 after it have not been replaced"}},
		},
		{
			"statements", "{% if gpu %}\n" + head + "{% endif %}\n",
			[][]string{{":1:1: the placeholder {% if gpu %} has not been replaced"}},
		},
		{
			"a variable in brackets", head + "  args: [${A}]\n", [][]string{{":9:10: the placeholder ${A} has not been replaced"}},
		},
		{"in a comment", "# {{ a }} ${B}\n" + head, nil},
		{
			"in a comment, before another fault", "# {{ a }}\n" + head + "  args: [a\n",
			[][]string{{":10:9: ", "close the bracket"}},
		},
		{
			"in quotes, before another fault", head + "  args: ['{{ a }}'\n  jobDir: gs://a\n",
			[][]string{{":9:9: ", "close the bracket"}},
		},
		{
			"a number", head + "  workerCount: ${N}\n",
			[][]string{{":9:16: trainingInput.workerCount: the placeholder ${N} has not been replaced"}},
		},
		{
			"a package", strings.Replace(head, "gs://bucket", "gs://$BUCKET", 1),
			[][]string{{":5:17: trainingInput.packageUris[0]: the placeholder $BUCKET has not been replaced"}},
		},
		{
			"a label and an ID", strings.Replace(head, "census", "census_$DATE", 1) + "labels: {team: '{{ team }}'}\n",
			[][]string{{":1:8: jobId: the placeholder $DATE"}, {":9:16: labels.team: the placeholder {{ team }}"}},
		},
	}
}

func oddPuzzles() []puzzle {
	with := func(old, new string) string { return strings.Replace(head, old, new, 1) }
	return []puzzle{
		{
			"no-break spaces for all indentation", strings.ReplaceAll(head, "  ", "\u00a0\u00a0"),
			[][]string{{":3:1: ", "the key has a no-break space (U+00A0)", "write a plain space in its place"}},
		},
		{
			"a no-break space after the only colon", "trainingInput:\n  region:\u00a0us-central1\n",
			[][]string{{":2:3: trainingInput: the value has a no-break space (U+00A0)"}},
		},
		{
			"no-break spaces for indentation", with("  region", "\u00a0\u00a0region"),
			[][]string{{":4:1: the line has a no-break space (U+00A0)", "write a plain space in its place"}},
		},
		{
			"a no-break space after a colon", with("region: ", "region:\u00a0"),
			[][]string{{":4:10: the line has a no-break space (U+00A0)"}},
		},
		{
			"an ideographic space after a colon", with("region: ", "region:\u3000"),
			[][]string{{":4:10: the line has a space of another width (U+3000)"}},
		},
		{
			"a no-break space after a value", with("us-central1", "us-central1\u00a0"),
			[][]string{{":4:11: trainingInput.region: the value has a no-break space (U+00A0)"}},
		},
		{
			"an invisible character", with("trainer.task", "trainer\u200b.task"),
			[][]string{{":6:17: trainingInput.pythonModule: the value has an invisible character (U+200B)", "remove it"}},
		},
		{
			"an invisible character before a field", with("  region", "  \u200bregion"),
			[][]string{{":4:3: ", "the key has an invisible character (U+200B)", "remove it"}},
		},
		{
			"typographic quotes", with("'2.11'", "“2.11”"),
			[][]string{{":7:19: trainingInput.runtimeVersion: the value has a typographic quote (U+201C)"}},
		},
		{
			"typographic quotes round a colon", with("trainer.task", "“a: b”"),
			[][]string{{":6:17: the line has a typographic quote (U+201C)"}},
		},
		{
			"typographic quotes in JSON", "{“jobId”: “a”, “trainingInput”: {“region”: “us-central1”}}",
			[][]string{{":1:2: ", "the key has a typographic quote (U+201C)", "in the rest of the file"}},
		},
		{
			"a long dash", with("us-central1", "us–central1"),
			[][]string{{":4:11: trainingInput.region: the value has a typographic dash (U+2013)", "write - in its place"}},
		},
		{"in the name of a file", with("trainer-0.1", "trainer – 0.1\u00a0(1)"), nil},
		{"in an argument of several lines", head + "  args:\n  - |\n    a:\n    \u00a0region: a\n", nil},
		{"two marks", "\ufeff\ufeff" + head, [][]string{{":1:1: ", "a byte order mark stands within it", "remove the mark"}}},
		{"UTF-16", "\xff\xfej\x00o\x00b\x00", [][]string{{":1:1: ", "it is in UTF-16", "save the file as UTF-8"}}},
		{"gzip", "\x1f\x8b\x08\x00", [][]string{{":1:1: ", "it is packed with gzip", "unpack the file"}}},
		{"backslashes", with("gs://bucket/", `dist\`), [][]string{
			{":5:17: trainingInput.packageUris[0]: ", "a path of Windows", "write trainer-0.1.tar.gz"},
		}},
		{"a path", with("gs://bucket/", "./dist/"), [][]string{{":5:17: ", "this is a path", "write trainer-0.1.tar.gz"}}},
		{"backslashes in a URI", head + "  jobDir: gs:\\\\bucket\\out\n", [][]string{
			{":9:11: trainingInput.jobDir: ", "begins with gs://", "write gs://bucket/out"},
		}},
		{"a slash short", head + "  jobDir: gs:/bucket/out\n", [][]string{{":9:11: ", "write gs://bucket/out"}}},
		{
			"a comment of another language", "// a job\n" + head,
			[][]string{{":1:1: // and /* begin no comment", "begin the comment with #"}},
		},
		{
			"comments in JSON", "{\n  \"jobId\": \"a\", // the job\n  \"trainingInput\": {}\n}\n",
			[][]string{{":2:17: // and /* begin no comment"}},
		},
		{
			"a block of comment in JSON", "{\n  /* the job */\n  \"jobId\": \"a\"\n}\n",
			[][]string{{":2:3: // and /* begin no comment"}},
		},
		{
			"a comment after a value", with("us-central1", "us-central1 // near"),
			[][]string{{":4:11: trainingInput.region: // and /* begin no comment"}},
		},
	}
}

func spellingPuzzles() []puzzle {
	spelt := func(line, path, name string) []string {
		return []string{line + ": " + path + name + ": ", "it is written " + name, "write " + name}
	}
	return []puzzle{
		{
			"dashes, capitals, underscores, a space", "training-input:\n  scale-tier: BASIC\n  Region: us-central1\n" +
				"  PACKAGE_URIS: [gs://bucket/trainer-0.1.tar.gz]\n  python_module: trainer.task\n  runtime version: '2.11'\n" +
				"  --python-version: '3.7'\n",
			[][]string{
				spelt(":1:1", "", "trainingInput"), spelt(":2:3", "trainingInput.", "scaleTier"),
				spelt(":3:3", "trainingInput.", "region"), spelt(":4:3", "trainingInput.", "packageUris"),
				{":5:3: warning: trainingInput.pythonModule: python_module is taken for pythonModule"},
				spelt(":6:3", "trainingInput.", "runtimeVersion"), spelt(":7:3", "trainingInput.", "pythonVersion"),
			},
		},
		{
			"what a misspelt key holds is checked", strings.Replace(head, "region: us-central1", "Region: us", 1),
			[][]string{spelt(":4:3", "trainingInput.", "region"), {":4:11: trainingInput.region: this is not a valid region"}},
		},
		{
			"a misspelt key", strings.Replace(head, "pythonModule", "pythonModul", 1),
			[][]string{{":6:3: trainingInput.pythonModul: ", "did you mean pythonModule?"}},
		},
		{
			"an empty trainingInput", strings.ReplaceAll(head, "\n  ", "\n"),
			[][]string{{
				":2:1: trainingInput: trainingInput is empty: scaleTier, region, packageUris, pythonModule and 2 more stand beside",
				"indent the lines below trainingInput: by two spaces",
			}},
		},
		{
			"an empty trainingInput, and a fault below it", strings.Replace(strings.ReplaceAll(head, "\n  ", "\n"), "'2.11'", "2.11", 1),
			[][]string{{":2:1: trainingInput: trainingInput is empty"}, {":7:17: trainingInput.runtimeVersion: YAML reads 2.11"}},
		},
		{
			"no trainingInput", strings.ReplaceAll(strings.Replace(head, "trainingInput:\n", "", 1), "  ", ""),
			[][]string{{":2:1: trainingInput: scaleTier, region, ", "belong below trainingInput", "write trainingInput: above"}},
		},
		{
			"empty hyperparameters", head + "  hyperparameters:\n  goal: MINIMIZE\n  params:\n" +
				"  - {parameterName: a, type: DISCRETE, discreteValues: [1, 2]}\n",
			[][]string{{":9:3: trainingInput.hyperparameters: hyperparameters is empty: goal and params stand beside it"}},
		},
		{
			"one of two empty fields", strings.Replace(head, "BASIC", "CUSTOM", 1) + "  masterType: n1-standard-8\n" +
				"  masterConfig:\n    acceleratorConfig:\n    type: NVIDIA_TESLA_T4\n    count: 1\n  scheduling:\n  maxWaitTime: 3600s\n",
			[][]string{
				{":11:5: trainingInput.masterConfig.acceleratorConfig: acceleratorConfig is empty: type and count stand beside it"},
				{":14:3: trainingInput.scheduling: scheduling is empty: maxWaitTime stands beside it, not below"},
			},
		},
		{"an empty field of its own", head + "  scheduling:\n  hyperparameters: {}\n", [][]string{
			{":10:3: warning: trainingInput.hyperparameters.goal: "}, {":10:3: trainingInput.hyperparameters.params: "},
		}},
	}
}

func shapePuzzles() []puzzle {
	study := head + "  hyperparameters:\n    goal: MINIMIZE\n    params:\n    - parameterName: a\n"
	return []puzzle{
		{
			"a list for a number", head + "  scheduling: {priority: [5]}\n",
			[][]string{{":9:16: trainingInput.scheduling.priority: ", "is a list, not a whole number", "without the list: 5"}},
		},
		{
			"a list for a text", strings.Replace(head, "us-central1", "[us-central1]", 1),
			[][]string{{":4:3: trainingInput.region: ", "is a list, not text", "without the list: us-central1"}},
		},
		{
			"a list of a number for a text", strings.Replace(head, "'2.11'", "[2.11]", 1),
			[][]string{{":7:3: ", "is a list, not text", "in quotes: '2.11'"}},
		},
		{"a list for a truth value", head + "  enableWebAccess: [true]\n", [][]string{{":9:3: ", "is a list, not true or false"}}},
		{
			"a list for a mapping", "jobId: a\ntrainingInput:\n- scaleTier: BASIC\n  region: us-central1\n",
			[][]string{{":2:1: trainingInput: ", "is a list, not a mapping", "remove the '- '"}},
		},
		{
			"a mapping for a list", head + "  hyperparameters:\n    goal: MINIMIZE\n    params: {parameterName: a}\n",
			[][]string{{":11:5: ", "is a mapping of names to values, not a list", "write '- ' before the first field"}},
		},
		{
			"a mapping for a number", study + "      type: DOUBLE\n      minValue: {a: b}\n      maxValue: 1\n",
			[][]string{{":14:7: ", "is a mapping of names to values, not a number"}},
		},
		{
			"a number for a list", head + "  hyperparameters: {goal: MINIMIZE, params: 3}\n",
			[][]string{{":9:45: trainingInput.hyperparameters.params: ", "is a single value, not a list"}},
		},
		{
			"numbers in a text for a list", study + "      type: DISCRETE\n      discreteValues: 16, 32\n",
			[][]string{{":14:23: ", "is a single value, not a list", "write the numbers in brackets, with commas: [16, 32]"}},
		},
		{
			"a command line for a list", head + "  args: --steps 5\n",
			[][]string{{":9:9: warning: trainingInput.args: a single value is taken for a list of one"}},
		},
		{
			"values in a text for a list", study + "      type: CATEGORICAL\n      categoricalValues: a,b\n",
			[][]string{{":14:26: warning: ", "a single value is taken for a list of one, spaces and commas included"}},
		},
	}
}

func valuePuzzles() []puzzle {
	tier := func(value string) string { return strings.Replace(head, "BASIC", value, 1) }
	module := func(value string) string { return strings.Replace(head, "trainer.task", value, 1) }
	study := head + "  hyperparameters:\n    goal: MINIMIZE\n    params:\n    - parameterName: a\n      minValue: 1\n      maxValue: 2\n"
	const at, moduleAt = ":3:14: trainingInput.scaleTier: ", ":6:17: trainingInput.pythonModule: "
	return []puzzle{
		{
			"a machine type as a tier", tier("n1-standard-8"),
			[][]string{{at, "a machine type, not a scale tier", "write scaleTier: CUSTOM and masterType: n1-standard-8"}},
		},
		{
			"an unknown machine type as a tier", tier("e2-standard-4"),
			[][]string{{at, "a machine type, not a scale tier", "masterType: e2-standard-4"}},
		},
		{"an old machine type as a tier", tier("standard_gpu"), [][]string{{at, "masterType: standard_gpu"}}},
		{"an accelerator as a tier", tier("T4"), [][]string{{at, "an accelerator, not a scale tier", "type: NVIDIA_TESLA_T4"}}},
		{"part of a tier", tier("GPU"), [][]string{{at, "did you mean BASIC_GPU?"}}},
		{
			"a tier as a machine type", tier("CUSTOM") + "  masterType: BASIC_GPU\n",
			[][]string{{":9:15: trainingInput.masterType: ", "a scale tier, not a machine type", "write scaleTier: BASIC_GPU"}},
		},
		{
			"an accelerator as a machine type", tier("CUSTOM") + "  masterType: NVIDIA_TESLA_V100\n",
			[][]string{{":9:15: ", "an accelerator, not a machine type", "type: NVIDIA_TESLA_V100 and count: 1"}},
		},
		{"FLOAT", study + "      type: FLOAT\n", [][]string{{":15:13: ", "did you mean DOUBLE?", "write DOUBLE"}}},
		{"int", study + "      type: int\n", [][]string{{":15:13: ", "write INTEGER"}}},
		{
			"LOG", study + "      type: DOUBLE\n      scaleType: LOG\n",
			[][]string{{":16:18: ", "did you mean UNIT_LOG_SCALE?", "write UNIT_LOG_SCALE"}},
		},
		{
			"reverse log", study + "      type: DOUBLE\n      scaleType: reverse_log\n",
			[][]string{{":16:18: ", "write UNIT_REVERSE_LOG_SCALE"}},
		},
		{
			"short names of a study", strings.Replace(study, "MINIMIZE", "min\n    algorithm: grid", 1) + "      type: INTEGER\n",
			[][]string{{":10:11: ", "write MINIMIZE"}, {":11:16: ", "write GRID_SEARCH"}},
		},
		{
			"the default algorithm by its name", strings.Replace(study, "MINIMIZE", "MINIMIZE\n    algorithm: BAYESIAN", 1) +
				"      type: INTEGER\n",
			[][]string{{":11:16: ", "Bayesian optimization is what a job does that names no algorithm", "remove the field"}},
		},
		{
			"short name of an accelerator", tier("CUSTOM") + "  masterType: n1-standard-8\n  masterConfig:\n" +
				"    acceleratorConfig: {type: T4, count: 1}\n", [][]string{{":11:31: ", "write NVIDIA_TESLA_T4"}},
		},
		{
			"an accelerator of today", tier("CUSTOM") + "  masterType: n1-standard-8\n  masterConfig:\n" +
				"    acceleratorConfig: {type: NVIDIA_L4, count: 1}\n", [][]string{{":11:31: ", "policy: vertex.accelerators"}},
		},
		{"setup.py", module("setup.py"), [][]string{{moduleAt, "setup.py installs the package", "e.g. trainer.task"}}},
		{"a file", module("trainer/task.py"), [][]string{{moduleAt, "a file, not a module", "write trainer.task"}}},
		{"a file with dots", module("trainer.task.py"), [][]string{{moduleAt, "a file, not a module", "write trainer.task"}}},
		{"a file of Windows", module(`src\trainer\task.py`), [][]string{{moduleAt, "a file, not a module", "write trainer.task"}}},
		{"a package's main file", module("trainer/__main__.py"), [][]string{{moduleAt, "write trainer"}}},
		{"a package", module("trainer-0.1.tar.gz"), [][]string{{moduleAt, "a package's file, not a module"}}},
		{"a command", module("python3 -m trainer.task"), [][]string{{moduleAt, "write trainer.task"}}},
		{
			"a command with arguments", module("-m trainer.task --steps 5"),
			[][]string{{moduleAt, "write trainer.task", "--steps 5", "in args"}},
		},
		{"an entry point", module("'trainer.task:main'"), [][]string{{moduleAt, "a function", "write trainer.task", "main()"}}},
		{"a dash in a module's name", module("video-8x.train"), nil},
		{"another script in a module's name", module("größe"), nil},
		{
			"CUSTOM without a machine", tier("CUSTOM"),
			[][]string{{at[:6], "trainingInput.masterType: scaleTier CUSTOM needs masterType"}},
		},
		{
			"a count without a type", tier("CUSTOM") + "  masterType: n1-standard-8\n  workerCount: 2\n",
			[][]string{{":10:16: trainingInput.workerType: workerCount is 2, but workerType is missing"}},
		},
		{
			"a type without values", strings.Replace(study, "      minValue: 1\n      maxValue: 2\n", "      type: CATEGORICAL\n", 1),
			[][]string{{":13:13: ", "needs categoricalValues"}},
		},
		{
			"a machine without a tier", strings.Replace(head, "scaleTier: BASIC", "masterType: n1-standard-8", 1),
			[][]string{{"trainingInput.scaleTier: the job has no scale tier", "write scaleTier: CUSTOM, which goes with masterType"}},
		},
	}
}

// A default that the job's own choices exclude is named where the field is missed.
func TestDefaultNotUsed(t *testing.T) {
	for _, tt := range []struct{ name, data, defaults, want string }{
		{
			"Python version", strings.Replace(strings.Replace(head, "2.11", "1.14", 1), "  pythonVersion: '3.7'\n", "", 1),
			"trainingInput: {pythonVersion: '3.7'}",
			"trainingInput.pythonVersion: the job has no Python version|the default 3.7 of team.yaml is not used: it does not go " +
				"with runtimeVersion 1.14",
		},
		{
			"tier", strings.Replace(head, "scaleTier: BASIC", "masterType: n1-standard-8", 1), "trainingInput: {scaleTier: BASIC}",
			"trainingInput.scaleTier: the job has no scale tier|the default BASIC of team.yaml is not used: the job names machines " +
				"of its own",
		},
		{
			"worker's machine", strings.Replace(head, "BASIC", "CUSTOM", 1) + "  masterType: standard\n  workerCount: 1\n",
			"trainingInput: {workerType: n1-standard-8}",
			"trainingInput.workerType: workerCount is 1|the default n1-standard-8 of team.yaml is not used: it does not go with " +
				"masterType",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, vs := Parse("job.yaml", []byte(tt.data))
			d, more := Parse("team.yaml", []byte(tt.defaults))
			if len(vs)+len(more) > 0 {
				t.Fatal(vs, more)
			}
			f.ApplyDefaults(d.Spec, "team.yaml")
			got := f.Check(nil)
			if len(got) != 1 {
				t.Fatalf("got %v, want one violation", got)
			}
			for part := range strings.SplitSeq(tt.want, "|") {
				if !strings.Contains(got[0].String(), part) {
					t.Errorf("got %q, want %q in it", got[0].String(), part)
				}
			}
		})
	}
}
