package jobspec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/cli/rules"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// parsed returns a job file that has no errors.
func parsed(t *testing.T, data string) *File {
	t.Helper()
	f, vs := Parse("job.yaml", []byte(data))
	if job.HasErrors(vs) {
		t.Fatal(vs)
	}
	return f
}

func TestSetMetadata(t *testing.T) {
	for _, tt := range []struct {
		name string
		data string
		set  map[string]string
		// want is the resolved spec's fields, by [File.Explain], that come from
		// metadata: field=value.
		want []string
	}{
		{"nothing", trainer, map[string]string{"jobdrop-correlation-id": "a", "jobdrop-set": "b", "set-region": "c"}, nil},
		{
			"below trainingInput", trainer, map[string]string{"jobdrop-set-region": "europe-west1"},
			[]string{"trainingInput.region=europe-west1"},
		},
		{
			"whole path", trainer, map[string]string{"jobdrop-set-trainingInput.region": "europe-west1"},
			[]string{"trainingInput.region=europe-west1"},
		},
		{
			"lower case", trainer, map[string]string{"jobdrop-set-traininginput.runtimeversion": "2.10"},
			[]string{"trainingInput.runtimeVersion=2.10"},
		},
		{
			"dashes and capitals", trainer, map[string]string{"Jobdrop-Set-Runtime-Version": "2.10"},
			[]string{"trainingInput.runtimeVersion=2.10"},
		},
		{
			"snake case", trainer, map[string]string{"jobdrop-set-scheduling.max_running_time": "60s"},
			[]string{"trainingInput.scheduling.maxRunningTime=60s"},
		},
		{"job ID", trainer, map[string]string{"jobdrop-set-jobid": "other"}, []string{"jobId=other"}},
		{
			"an option for Vertex AI", trainer + "jobdrop: {vertex: {strategy: SPOT, restartJobOnWorkerRestart: true}}\n",
			map[string]string{"jobdrop-set-vertex.strategy": "FLEX_START", "jobdrop-set-jobdrop.vertex.maxwaitduration": "0s"},
			[]string{"jobdrop.vertex.strategy=FLEX_START", "jobdrop.vertex.maxWaitDuration=0s"},
		},
		{
			"a list below an option", trainer,
			map[string]string{"jobdrop-set-vertex.nfs-mounts": "[{server: 10.0.0.2, path: /a, mountPoint: a}]"},
			[]string{
				"jobdrop.vertex.nfsMounts[0].mountPoint=a", "jobdrop.vertex.nfsMounts[0].path=/a",
				"jobdrop.vertex.nfsMounts[0].server=10.0.0.2",
			},
		},
		{"labels", trainer + "labels: {a: b}\n", map[string]string{"jobdrop-set-labels": "{c: d}"}, []string{"labels.c=d"}},
		{"labels in JSON", trainer, map[string]string{"jobdrop-set-labels": `{"c":"d"}`}, []string{"labels.c=d"}},
		{
			"number", custom, map[string]string{"jobdrop-set-workercount": " 3 ", "jobdrop-set-scheduling.priority": "7"},
			[]string{"trainingInput.scheduling.priority=7", "trainingInput.workerCount=3"},
		},
		{
			"truth value", trainer, map[string]string{"jobdrop-set-enableWebAccess": "true"},
			[]string{"trainingInput.enableWebAccess=true"},
		},
		{"list", trainer, map[string]string{"jobdrop-set-args": "[--a, '5']"}, []string{`trainingInput.args=["--a","5"]`}},
		{
			"list of one", trainer, map[string]string{"jobdrop-set-args": "--epochs=5"},
			[]string{`trainingInput.args=["--epochs=5"]`},
		},
		{
			"mapping", trainer, map[string]string{
				"jobdrop-set-scheduling":                "{maxWaitTime: 1800s, maxRunningTime: 60s}",
				"jobdrop-set-scheduling.maxRunningTime": "90s",
			}, []string{"trainingInput.scheduling.maxRunningTime=90s", "trainingInput.scheduling.maxWaitTime=1800s"},
		},
		{
			"text that YAML reads otherwise", trainer, map[string]string{"jobdrop-set-jobDir": " gs://a: b #c"},
			[]string{"trainingInput.jobDir= gs://a: b #c"},
		},
		{
			"no trainingInput", "jobId: a", map[string]string{"jobdrop-set-region": "us-east1"},
			[]string{"trainingInput.region=us-east1"},
		},
		{
			"enum", trainer, map[string]string{"jobdrop-set-scaletier": "BASIC_GPU"},
			[]string{"trainingInput.scaleTier=BASIC_GPU"},
		},
		{
			"instead of what can't be read", trainer + "  jobDir: gs://abc\n",
			map[string]string{"jobdrop-set-jobdir": "gs://def"}, []string{"trainingInput.jobDir=gs://def"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parsed(t, tt.data)
			if vs := f.SetMetadata(tt.set); len(vs) > 0 {
				t.Errorf("violations: %v", vs)
			}
			var got []string
			for _, e := range f.Explain() {
				if strings.HasPrefix(e.Origin, "metadata ") {
					got = append(got, e.Field+"="+e.Value)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSetMetadataRefuses(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  map[string]string
		want []string // the violations, by part of their text
	}{
		{
			"unknown", map[string]string{"jobdrop-set-xyzzyplugh": "a"},
			[]string{
				"metadata-field job.yaml: the object's metadata names a field that it can't set (found jobdrop-set-xyzzyplugh); " +
					"name a field as in jobdrop-set-region",
			},
		},
		{"misspelt", map[string]string{"jobdrop-set-regoin": "a"}, []string{"write jobdrop-set-region"}},
		{
			"leaf alone", map[string]string{"jobdrop-set-maxrunningtime": "60s"},
			[]string{"write jobdrop-set-scheduling.maxRunningTime"},
		},
		{
			"ambiguous", map[string]string{"jobdrop-set-imageuri": "a"},
			[]string{
				"several places (found jobdrop-set-imageuri, allowed: jobdrop-set-evaluatorConfig.imageUri, " +
					"jobdrop-set-masterConfig.imageUri",
			},
		},
		{
			"options", map[string]string{"jobdrop-set-jobdrop.backend": "vertex", "jobdrop-set-jobdrop": "{}"},
			[]string{"only those below vertex (found jobdrop-set-jobdrop)", "only those below vertex"},
		},
		{"entry of a list", map[string]string{"jobdrop-set-args[0]": "a"}, []string{"names a field that it can't set"}},
		{"all of it", map[string]string{"jobdrop-set-trainingInput": "{}"}, []string{"names a field that it can't set"}},
		{"nothing", map[string]string{"jobdrop-set-": "a"}, []string{"names a field that it can't set"}},
		{
			"twice", map[string]string{
				"jobdrop-set-region": "us-east1", "jobdrop-set-Region": "us-east4", "jobdrop-set-trainingInput.region": "us-west1",
			}, []string{"metadata-twice job.yaml: trainingInput.region: the metadata jobdrop-set-", "metadata-twice"},
		},
		{
			"empty", map[string]string{"jobdrop-set-region": " "},
			[]string{
				"metadata-empty job.yaml: trainingInput.region: the metadata has no value (found \" \"); write a value, or " +
					"remove the metadata; the value comes from metadata jobdrop-set-region",
			},
		},
		{"no text", map[string]string{"jobdrop-set-region": "a\x00"}, []string{"metadata-text"}},
		{"no UTF-8", map[string]string{"jobdrop-set-region": "\xff"}, []string{"metadata-text"}},
		{
			"no number", map[string]string{"jobdrop-set-workerCount": "two"},
			[]string{
				"integer job.yaml: trainingInput.workerCount: a whole number is expected (found two, allowed: a whole number); " +
					"write a whole number; the value comes from metadata jobdrop-set-workerCount",
			},
		},
		{
			"no truth value", map[string]string{"jobdrop-set-enableWebAccess": "'true'"},
			[]string{"bool job.yaml: trainingInput.enableWebAccess"},
		},
		{
			"enum", map[string]string{"jobdrop-set-scaleTier": "BASIC_CPU"},
			[]string{"did you mean BASIC_GPU? (found BASIC_CPU,"},
		},
		{
			"enum in lower case", map[string]string{"jobdrop-set-scaleTier": "basic"},
			[]string{
				"enum-spelling job.yaml: warning: trainingInput.scaleTier: basic is taken for BASIC (found basic); write BASIC; " +
					"the value comes from metadata jobdrop-set-scaleTier",
			},
		},
		{
			"number in a list", map[string]string{"jobdrop-set-args": "[--a, 5]"},
			[]string{"text job.yaml: trainingInput.args[1]: YAML reads 5 as a number"},
		},
		{
			"mapping for a list", map[string]string{"jobdrop-set-args": "{a: b}"},
			[]string{"shape job.yaml: trainingInput.args: "},
		},
		{
			"unknown member", map[string]string{"jobdrop-set-scheduling": "{maxWait: 1800s}"},
			[]string{"unknown-field job.yaml: trainingInput.scheduling.maxWait: "},
		},
		{
			"no YAML", map[string]string{"jobdrop-set-args": "[a"},
			[]string{"syntax job.yaml: trainingInput.args: the metadata is not valid YAML in flow form"},
		},
		{"too much", map[string]string{"jobdrop-set-args": strings.Repeat("a", maxMetadata)}, []string{"metadata-size"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := parsed(t, trainer)
			vs := f.SetMetadata(tt.set)
			if len(vs) != len(tt.want) {
				t.Fatalf("got %v, want %q", vs, tt.want)
			}
			for i, v := range vs {
				if got := string(v.Rule) + " " + v.String(); !strings.Contains(got, tt.want[i]) {
					t.Errorf("got %q, want %q in it", got, tt.want[i])
				}
				if v.Line != 0 {
					t.Errorf("has a position: %v", v)
				}
			}
			for _, v := range f.Check(nil) {
				if v.Severity == job.Error {
					t.Errorf("Check adds %v", v)
				}
			}
		})
	}
	many := map[string]string{}
	for i := range maxSettings + 1 {
		// One field in many spellings.
		many["jobdrop-set-region"+strings.Repeat("-", i)] = "a"
	}
	if vs := parsed(t, trainer).SetMetadata(many); len(vs) != 1 || vs[0].Rule != "metadata-size" {
		t.Errorf("many: got %v", vs)
	}
}

// Every field has one name for metadata, and each name one field.
func TestSettable(t *testing.T) {
	names := map[string]string{}
	for _, s := range spots() {
		if strings.Contains(s.path, "[]") || s.path == trainingInput ||
			strings.HasPrefix(s.path, "jobdrop") && !strings.HasPrefix(s.path, "jobdrop.vertex") {
			continue
		}
		short := strings.TrimPrefix(strings.TrimPrefix(s.path, "trainingInput."), "jobdrop.")
		for _, name := range []string{fold(s.path), fold(short)} {
			if other := names[name]; other != "" && other != s.path {
				t.Errorf("%s and %s are both set by %s", other, s.path, name)
			}
			names[name] = s.path
			if got := settable()[name].path; got != s.path {
				t.Errorf("%s sets %q, want %s", name, got, s.path)
			}
		}
	}
	if len(names) != len(settable()) {
		t.Errorf("got %d names, want %d", len(settable()), len(names))
	}
}

// What a rule finds in a value from elsewhere says where it comes from.
func TestOriginInViolations(t *testing.T) {
	f := parsed(t, with(custom, "-  region"))
	f.SetMetadata(map[string]string{"jobdrop-set-mastertype": "N1", "jobdrop-set-scheduling": "{maxWaitTime: 60s}"})
	f.ApplyDefaults(job.Spec{
		Labels:        map[string]string{"A": "b"},
		TrainingInput: &job.TrainingInput{Region: "us", Scheduling: &job.Scheduling{Priority: 2000}},
	}, "policy.yaml")
	var got []string
	for _, v := range f.Check(nil) {
		got = append(got, v.String())
	}
	want := []string{
		"job.yaml: labels.A: a label's key begins with a lowercase letter and holds only lowercase letters, digits, " +
			"underscores and dashes (found A, allowed: 1 to 63 characters: a lowercase letter, then lowercase letters, " +
			"digits, _ and -); rename the label; the value comes from policy.yaml",
		"job.yaml: trainingInput.masterType: this is not a valid machine type (found N1, allowed: a Compute Engine type such as " +
			"n1-standard-8, a legacy type such as standard_gpu, or cloud_tpu); write the name of a machine type; the value " +
			"comes from metadata jobdrop-set-mastertype",
		"job.yaml: trainingInput.region: this is not a valid region (found us, allowed: a region such as us-central1); write " +
			"the region of the data's bucket; the value comes from policy.yaml",
		"job.yaml: trainingInput.scheduling.maxWaitTime: the wait is shorter than the service's minimum (found 60s, " +
			"allowed: 1800s or more); write 1800s, or remove the field to wait without limit; the value comes from metadata " +
			"jobdrop-set-scheduling",
		"job.yaml: trainingInput.scheduling.priority: the priority is out of range (found 2000, allowed: 0 to 1000); write " +
			"a number from 0 to 1000; the value comes from policy.yaml",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestApplyDefaults(t *testing.T) {
	all := job.Spec{
		JobID:  "never",
		Labels: map[string]string{"team": "ops", "cost": "x1"},
		TrainingInput: &job.TrainingInput{
			ScaleTier: "CUSTOM", MasterType: "n1-standard-4", WorkerType: "n1-standard-8", WorkerCount: 2,
			MasterConfig: &job.ReplicaConfig{
				AcceleratorConfig: &job.AcceleratorConfig{Type: "NVIDIA_TESLA_T4", Count: 1},
				DiskConfig:        &job.DiskConfig{BootDiskSizeGB: 200},
			},
			PackageURIs: []string{"gs://bucket/a.whl"}, PythonModule: "a.b", Args: []string{"--x"},
			Region: "us-central1", RuntimeVersion: "2.11", PythonVersion: "3.7", JobDir: "gs://bucket/out",
			Network: "projects/1/global/networks/n", ServiceAccount: "a@b.c",
			Scheduling:       &job.Scheduling{MaxRunningTime: "60s", MaxWaitTime: "1800s", Priority: 5},
			EncryptionConfig: &job.EncryptionConfig{KMSKeyName: "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"},
			Hyperparameters:  &job.HyperparameterSpec{MaxTrials: 10}, EnableWebAccess: true, UseChiefInTFConfig: true,
		},
	}
	image := job.Spec{TrainingInput: &job.TrainingInput{
		MasterConfig:   &job.ReplicaConfig{ImageURI: "gcr.io/p/i", ContainerArgs: []string{"a"}, TPUTFVersion: "2.11"},
		WorkerConfig:   &job.ReplicaConfig{ImageURI: "gcr.io/p/w"},
		RuntimeVersion: "2.11", UseChiefInTFConfig: true,
	}}
	const always = "labels.cost=x1 labels.team=ops trainingInput.enableWebAccess=true " +
		"trainingInput.encryptionConfig.kmsKeyName=projects/p/locations/us-central1/keyRings/r/cryptoKeys/k " +
		"trainingInput.jobDir=gs://bucket/out trainingInput.masterConfig.diskConfig.bootDiskSizeGb=200 " +
		"trainingInput.network=projects/1/global/networks/n trainingInput.region=us-central1 " +
		"trainingInput.scheduling.maxRunningTime=60s trainingInput.scheduling.maxWaitTime=1800s " +
		"trainingInput.scheduling.priority=5 trainingInput.serviceAccount=a@b.c "
	const code = "trainingInput.packageUris=[\"gs://bucket/a.whl\"] trainingInput.pythonModule=a.b " +
		"trainingInput.pythonVersion=3.7 trainingInput.runtimeVersion=2.11 "
	const args = "trainingInput.args=[\"--x\"] "
	const accelerators = "trainingInput.masterConfig.acceleratorConfig.count=1 " +
		"trainingInput.masterConfig.acceleratorConfig.type=NVIDIA_TESLA_T4 "
	const workers = "trainingInput.workerCount=2 trainingInput.workerType=n1-standard-8 "
	const machines = accelerators + "trainingInput.masterType=n1-standard-4 trainingInput.scaleTier=CUSTOM " + workers
	// spec is a job of one such training input.
	spec := func(change func(*job.TrainingInput)) job.Spec {
		in := *all.TrainingInput
		change(&in)
		return job.Spec{TrainingInput: &in}
	}
	keep := func(fields string, drop ...string) string {
		for _, d := range drop {
			fields = strings.ReplaceAll(fields, d, "")
		}
		return fields
	}
	for _, tt := range []struct {
		name string
		data string
		d    job.Spec
		want string // field=value, of what comes from the defaults
	}{
		{"all", "trainingInput: {}", all, always + code + args + machines},
		{"null", "trainingInput: {region: , scheduling: ~}", all, always + code + args + machines},
		{"no trainingInput", "jobId: a", all, "labels.cost=x1 labels.team=ops"},
		{"labels by key", "labels: {team: nlp}", all, "labels.cost=x1"},
		{"labels not read", "labels: []", all, ""},
		{"label not read", "labels: {team: 5}", all, "labels.cost=x1"},
		{"file not read", "[", all, ""},
		{
			"region of the file", "trainingInput: {region: us-east1}", all,
			keep(always, "trainingInput.region=us-central1 ") + code + args + machines,
		},
		{
			"region not read", "trainingInput: {region: [a]}", all,
			keep(always, "trainingInput.region=us-central1 ") + code + args + machines,
		},
		{
			"region misspelt", "trainingInput: {regoin: a}", all,
			keep(always, "trainingInput.region=us-central1 ") + code + args + machines,
		},
		{
			"scheduling by member", "trainingInput: {scheduling: {maxRunningTime: 5s}}", all,
			keep(always, "trainingInput.scheduling.maxRunningTime=60s ") + code + args + machines,
		},
		{
			"scheduling not read", "trainingInput: {scheduling: 5}", all,
			keep(always, "trainingInput.scheduling.maxRunningTime=60s ", "trainingInput.scheduling.maxWaitTime=1800s ",
				"trainingInput.scheduling.priority=5 ") + code + args + machines,
		},
		{
			"zero of the file", "trainingInput: {scheduling: {priority: 0}, enableWebAccess: false}", all,
			keep(always, "trainingInput.scheduling.priority=5 ", "trainingInput.enableWebAccess=true ") + code + args + machines,
		},
		{"tier BASIC", "trainingInput: {scaleTier: BASIC}", all, always + code + args},
		{"tier not read", "trainingInput: {scaleTier: huge}", all, always + code + args},
		{
			"tier CUSTOM", "trainingInput: {scaleTier: CUSTOM}", all,
			always + code + args + keep(machines, "trainingInput.scaleTier=CUSTOM "),
		},
		{
			"machine of the file", "trainingInput: {masterType: n1-standard-96}", all,
			always + code + args + keep(machines, accelerators, "trainingInput.masterType=n1-standard-4 "),
		},
		{
			"legacy machine of the file", "trainingInput: {masterType: standard}", all,
			always + code + args + "trainingInput.scaleTier=CUSTOM trainingInput.workerCount=2 ",
		},
		{"no workers", "trainingInput: {workerCount: 0}", all, always + code + args + keep(machines, workers)},
		{
			"machines beside a default tier", "trainingInput: {masterType: standard}",
			job.Spec{TrainingInput: &job.TrainingInput{ScaleTier: "BASIC"}}, "",
		},
		{
			"accelerators of the file", "trainingInput: {masterConfig: {acceleratorConfig: {type: TPU_V2}}}", all,
			always + code + args + keep(machines, accelerators),
		},
		{
			"image", "trainingInput: {masterConfig: {imageUri: gcr.io/p/i}}", all,
			always + args + machines + "trainingInput.useChiefInTfConfig=true",
		},
		{"image not read", "trainingInput: {masterConfig: {imageUri: 5}}", all, always + args + machines},
		{
			"command line of the file", "trainingInput: {masterConfig: {imageUri: gcr.io/p/i, containerArgs: [a]}}", all,
			always + machines + "trainingInput.useChiefInTfConfig=true",
		},
		{
			"default image", "trainingInput: {}", image,
			"trainingInput.masterConfig.containerArgs=[\"a\"] trainingInput.masterConfig.imageUri=gcr.io/p/i " +
				"trainingInput.masterConfig.tpuTfVersion=2.11 trainingInput.useChiefInTfConfig=true " +
				"trainingInput.workerConfig.imageUri=gcr.io/p/w",
		},
		{
			"default image beside args", "trainingInput: {args: [a]}", image,
			"trainingInput.masterConfig.imageUri=gcr.io/p/i trainingInput.masterConfig.tpuTfVersion=2.11 " +
				"trainingInput.useChiefInTfConfig=true trainingInput.workerConfig.imageUri=gcr.io/p/w",
		},
		{
			"default image beside a package", "trainingInput: {packageUris: [a.whl]}", image,
			"trainingInput.runtimeVersion=2.11",
		},
		{
			"Python that the runtime lacks", "trainingInput: {runtimeVersion: '1.14'}",
			spec(func(in *job.TrainingInput) { *in = job.TrainingInput{PythonVersion: "3.7"} }), "",
		},
		{
			"runtime that lacks the Python", "trainingInput: {pythonVersion: '3.5'}",
			spec(func(in *job.TrainingInput) { *in = job.TrainingInput{RuntimeVersion: "2.11"} }), "",
		},
		{
			"hyperparameters", "trainingInput: {hyperparameters: {maxParallelTrials: 2}}",
			job.Spec{
				TrainingInput: &job.TrainingInput{Hyperparameters: &job.HyperparameterSpec{MaxTrials: 10, MaxParallelTrials: 5}},
			}, "trainingInput.hyperparameters.maxTrials=10",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, _ := Parse("job.yaml", []byte(tt.data))
			f.ApplyDefaults(tt.d, "the defaults")
			got := []string{}
			for _, e := range f.Explain() {
				if e.Origin == "the defaults" {
					got = append(got, e.Field+"="+e.Value)
				}
			}
			want := strings.Fields(tt.want)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	f := parsed(t, "trainingInput: {}")
	f.ApplyDefaults(all, "the defaults")
	f.Spec.TrainingInput.Args[0] = "changed"
	if all.TrainingInput.Args[0] != "--x" {
		t.Error("the defaults are shared with the job")
	}
	// What metadata sets is not filled in, either, and excludes as the file does.
	f = parsed(t, "trainingInput: {}")
	f.SetMetadata(map[string]string{"jobdrop-set-scaletier": "BASIC", "jobdrop-set-region": "us-east1"})
	f.ApplyDefaults(all, "the defaults")
	if in := f.Spec.TrainingInput; in.Region != "us-east1" || in.MasterType != "" || in.WorkerCount != 0 {
		t.Errorf("after metadata: got %+v", in)
	}
}

func TestExplain(t *testing.T) {
	f := parsed(t, cluster)
	f.SetMetadata(map[string]string{"jobdrop-set-region": "europe-west1"})
	f.ApplyDefaults(job.Spec{TrainingInput: &job.TrainingInput{JobDir: "unused", ServiceAccount: "a@b.c"}},
		"the operator's policy")
	f.Spec.TrainingInput.PackageURIs = []string{"gs://inbox/a.whl"}
	f.Spec.TrainingInput.MasterConfig = &job.ReplicaConfig{ImageURI: "x"}
	var got []string
	for _, e := range f.Explain() {
		got = append(got, fmt.Sprintf("%s = %s (%s)", e.Field, e.Value, e.Origin))
	}
	want := []string{
		"jobId = census_20260101 (job.yaml:2:8)",
		"labels.team = growth (job.yaml:4:9)",
		`trainingInput.args = ["--epochs","20","--rate=0.1"] (job.yaml:15:3)`,
		"trainingInput.hyperparameters.goal = MINIMIZE (job.yaml:25:11)",
		"trainingInput.hyperparameters.maxTrials = 4 (job.yaml:26:16)",
		"trainingInput.hyperparameters.params[0].maxValue = 0.1 (job.yaml:31:17)",
		"trainingInput.hyperparameters.params[0].minValue = 0 (job.yaml:30:17)",
		"trainingInput.hyperparameters.params[0].parameterName = learning_rate (job.yaml:28:22)",
		"trainingInput.hyperparameters.params[0].type = DOUBLE (job.yaml:29:13)",
		"trainingInput.jobDir = gs://census-jobs/nightly (job.yaml:17:11)",
		"trainingInput.masterConfig.imageUri = x (jobdrop)",
		"trainingInput.masterType = complex_model_m (job.yaml:7:15)",
		`trainingInput.packageUris = ["gs://inbox/a.whl"] (job.yaml:12:3)`,
		"trainingInput.parameterServerCount = 3 (job.yaml:11:25)",
		"trainingInput.parameterServerType = large_model (job.yaml:9:24)",
		"trainingInput.pythonModule = trainer.task (job.yaml:14:17)",
		"trainingInput.pythonVersion = 3.7 (job.yaml:19:18)",
		"trainingInput.region = europe-west1 (metadata jobdrop-set-region)",
		"trainingInput.runtimeVersion = 2.6 (job.yaml:18:19)",
		"trainingInput.scaleTier = CUSTOM (job.yaml:6:14)",
		"trainingInput.scheduling.maxRunningTime = 7200s (job.yaml:22:21)",
		"trainingInput.scheduling.maxWaitTime = 3600s (job.yaml:21:18)",
		"trainingInput.scheduling.priority = 10 (job.yaml:23:15)",
		"trainingInput.serviceAccount = a@b.c (the operator's policy)",
		"trainingInput.workerCount = 9 (job.yaml:10:16)",
		"trainingInput.workerType = complex_model_m (job.yaml:8:15)",
		"jobdrop.packages[0].name = trainer-0.1.tar.gz (job.yaml:34:11)",
		"jobdrop.packages[0].generation = 1712345678901234 (job.yaml:35:17)",
		`jobdrop.notify = ["growth"] (job.yaml:36:3)`,
		"jobdrop.backend = vertex (job.yaml:37:12)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestExcerpt(t *testing.T) {
	long := "labels: {" + strings.Repeat("key: value, ", 100) + "}"
	for _, tt := range []struct {
		name         string
		data         string
		line, column int
		want         string
	}{
		{"plain", "jobId: a\ntrainingInput:\n  region: us\n", 3, 11, "    3 |   region: us\n      |           ^\n"},
		{"start", "jobId: a", 1, 1, "    1 | jobId: a\n      | ^\n"},
		{"past the end", "jobId:\n", 1, 7, "    1 | jobId:\n      |       ^\n"},
		{"Windows and byte order mark", "\ufeffa: b\r\njobId: a\r\n", 2, 8, "    2 | jobId: a\n      |        ^\n"},
		{"all line breaks", "a\rb\u0085c\u2028d\u2029e\nf: g", 6, 4, "    6 | f: g\n      |    ^\n"},
		{"letters of two bytes", "größe: [ü, x]", 1, 12, "    1 | größe: [ü, x]\n      |            ^\n"},
		{"wide", "일: [中, x]", 1, 8, "    1 | 일: [中, x]\n      |          ^\n"},
		{"emoji", "'🚀': x", 1, 6, "    1 | '🚀': x\n      |       ^\n"},
		{"combining", "e\u0301: x", 1, 5, "    1 | e\u0301: x\n      |    ^\n"},
		{"tab", "\ta:\tb", 1, 5, "    1 |  a: b\n      |     ^\n"},
		{"control characters", "a: \x1b[31m", 1, 4, "    1 | a: \ufffd[31m\n      |    ^\n"},
		{"no UTF-8", "a: \xff!", 1, 5, "    1 | a: \ufffd!\n      |     ^\n"},
		{"long, start", long, 1, 1, "    1 | " + long[:100] + "…\n      | ^\n"},
		{"long, middle", long, 1, 601, "    1 | …" + long[567:666] + "…\n      | " + strings.Repeat(" ", 34) + "^\n"},
		{"no position", "a: b", 0, 0, ""},
		{"no such line", "a: b\n", 3, 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Excerpt([]byte(tt.data), job.Violation{Position: job.Position{Line: tt.line, Column: tt.column}})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	// The parser's columns are those that the caret stands under.
	data := []byte("labels:\n  größe: [a] # 일\n  'größe 🚀': Ü\n")
	_, vs := Parse("job.yaml", data)
	f, _ := Parse("job.yaml", []byte("labels:\n  größe: Ü\n"))
	vs = append(vs, f.Check(nil)...)
	if got, want := Excerpt([]byte("labels:\n  größe: Ü\n"),
		vs[len(vs)-1]), "    2 |   größe: Ü\n      |          ^\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got, want := Excerpt(data, vs[0]), "    2 |   größe: [a] # 일\n      |   ^\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestCatalogue(t *testing.T) {
	known := DefaultCatalogue()
	if known.Date == "" || len(known.Sources) == 0 {
		t.Error("the catalogue has no date or no sources")
	}
	seen := map[string]bool{}
	for _, m := range known.Machines {
		for _, name := range m.Names {
			if seen[name] || !isMachine(name) {
				t.Errorf("machine type %q is twice in the catalogue or malformed", name)
			}
			seen[name] = true
		}
		for name, counts := range m.Accelerators {
			if !strings.HasPrefix(name, "NVIDIA_TESLA_") || !slices.IsSorted(counts) {
				t.Errorf("accelerator %s: %v", name, counts)
			}
		}
	}
	for _, r := range known.Regions {
		if !isRegion(r.Name) {
			t.Errorf("region %q is malformed", r.Name)
		}
	}
	for _, r := range known.Runtimes {
		if _, ok := parseVersion(r.Version); !ok {
			t.Errorf("runtime version %q is malformed", r.Version)
		}
	}
	more := known.With(Catalogue{
		Date:     "2027-01-01",
		Machines: []Machine{{Names: []string{"n9-fast-4", "n1-standard-4"}, Category: ComputeEngine}},
		Regions:  []Region{{Name: "mars-north1", TPU: true}},
		Runtimes: []Runtime{{Version: "3.1"}},
		Pythons:  []Python{{Version: "3.12", From: "3.0"}},
	})
	f := parsed(t,
		with(custom, "  masterType: n9-fast-4", "  region: mars-north1", "  runtimeVersion: '3.1'",
			"  pythonVersion: '3.12'"))
	if vs := f.Check(more); len(vs) > 0 {
		t.Errorf("extended: got %v", vs)
	}
	if vs := f.Check(nil); len(vs) != 4 {
		t.Errorf("not extended: got %v", vs)
	}
	f = parsed(t,
		with(custom, "  masterType: n1-standard-4", "  masterConfig: {acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 3}}"))
	if vs := f.Check(more); len(vs) > 0 {
		t.Errorf("replaced: got %v", vs)
	}
	if more.Date != "2027-01-01" || known.Date == more.Date || len(known.Regions) == len(more.Regions) {
		t.Error("With changes the catalogue")
	}
}

func FuzzSetMetadata(f *testing.F) {
	for _, seed := range [][2]string{
		{"region", "us-east1"}, {"scheduling", "{maxWaitTime: 60s, priority: x}"}, {"args", "[a, *b]"},
		{"labels", `{"a": "b", "a": "c"}`}, {"workerCount", "0x1F"},
		{"hyperparameters.params", "[{parameterName: a, type: integer}]"}, {"imageUri", "x"}, {"enable-web-access", "yes"},
		{"jobdrop.backend", "vertex"}, {"args", "[a"}, {"masterConfig", "&a {imageUri: b, <<: *a}"}, {"é\xff", "\xff\n"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		metadata := map[string]string{MetadataPrefix + key: value, MetadataPrefix + "Region": "us-east1"}
		file := parsed(t, cluster)
		vs := file.SetMetadata(metadata)
		file.ApplyDefaults(job.Spec{
			TrainingInput: &job.TrainingInput{RuntimeVersion: "2.11", Scheduling: &job.Scheduling{Priority: 3}},
		}, "defaults")
		for _, v := range append(vs, file.Check(nil)...) {
			if !rules.Known(v.Rule) || v.File != "job.yaml" || !utf8.ValidString(v.String()) ||
				strings.ContainsAny(v.String(), "\n\r\x1b") {
				t.Errorf("bad violation %+q", v)
			}
		}
		for _, v := range vs {
			if v.Position != (job.Position{}) {
				t.Errorf("position in the file: %v", v)
			}
		}
		for _, e := range file.Explain() {
			if e.Field == "" || e.Origin == "" {
				t.Errorf("bad explanation %+q", e)
			}
		}
		again := parsed(t, cluster)
		if diff := cmp.Diff(vs, again.SetMetadata(maps.Clone(metadata))); diff != "" {
			t.Errorf("not the same again:\n%s", diff)
		}
	})
}
