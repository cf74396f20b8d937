package gcloud

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

func TestParseLine(t *testing.T) {
	const training = "gcloud ai-platform jobs submit training "
	const custom = "gcloud ai custom-jobs create "
	type in = job.TrainingInput
	tests := []struct {
		name, line string
		want       job.Spec
	}{
		{
			"the manual's first example", training + `your_name_1 \
        --scale-tier basic \
        --package-path /path/to/your/application/sources \
        --module-name trainer.task \
        --job-dir gs://your/chosen/job/output/path \
        --region us-east1 \
        -- \
        --user_first_arg=first_arg_value \
        --user_second_arg=second_arg_value`,
			job.Spec{JobID: "your_name_1", TrainingInput: &in{
				ScaleTier: "BASIC", PythonModule: "trainer.task", JobDir: "gs://your/chosen/job/output/path", Region: "us-east1",
				Args: []string{"--user_first_arg=first_arg_value", "--user_second_arg=second_arg_value"},
			}},
		},
		{
			"flags with equals signs, and after them JOB", training + `--scale-tier=STANDARD_1 --region=us-east1 --job-dir=gs://bucket j`,
			job.Spec{JobID: "j", TrainingInput: &in{ScaleTier: "STANDARD_1", Region: "us-east1", JobDir: "gs://bucket/"}},
		},
		{
			"the last of a flag counts", training + `j --region a1 --region b1`,
			job.Spec{JobID: "j", TrainingInput: &in{Region: "b1"}},
		},
		{
			"a cluster", training + `j --scale-tier custom --master-machine-type n1-standard-4
				`, job.Spec{JobID: "j", TrainingInput: &in{ScaleTier: "CUSTOM", MasterType: "n1-standard-4"}},
		},
		{
			"all roles", training + `j --master-accelerator=count=2,type=nvidia-tesla-t4 --master-image-uri gcr.io/p/i
				`, job.Spec{JobID: "j", TrainingInput: &in{MasterConfig: &job.ReplicaConfig{
				ImageURI:          "gcr.io/p/i",
				AcceleratorConfig: &job.AcceleratorConfig{Count: 2, Type: "NVIDIA_TESLA_T4"},
			}}},
		},
		{
			"workers", training + `j --worker-count 9 --worker-machine-type large --parameter-server-count=3 ` +
				`--parameter-server-machine-type=small --worker-accelerator type=TPU_V2,count=8 --tpu-tf-version 2.1 ` +
				`--parameter-server-image-uri i`,
			job.Spec{JobID: "j", TrainingInput: &in{
				WorkerCount: 9, WorkerType: "large", ParameterServerCount: 3, ParameterServerType: "small",
				WorkerConfig: &job.ReplicaConfig{
					AcceleratorConfig: &job.AcceleratorConfig{Count: 8, Type: "TPU_V2"}, TPUTFVersion: "2.1",
				},
				ParameterServerConfig: &job.ReplicaConfig{ImageURI: "i"},
			}},
		},
		{
			"the rest of alpha", "gcloud alpha ai-platform jobs submit training " + `j --network projects/1/global/networks/n ` +
				`--use-chief-in-tf-config yes --service-account a@b.c --enable-web-access --runtime-version 2.11 --python-version 3.7`,
			job.Spec{JobID: "j", TrainingInput: &in{
				Network: "projects/1/global/networks/n", UseChiefInTFConfig: true, ServiceAccount: "a@b.c", EnableWebAccess: true,
				RuntimeVersion: "2.11", PythonVersion: "3.7",
			}},
		},
		{
			"labels, twice, and with a separator", training + `j --labels a=b,c= --labels '^;^d=e=f,g;h=i'`,
			job.Spec{JobID: "j", Labels: map[string]string{"a": "b", "c": "", "d": "e=f,g", "h": "i"}, TrainingInput: &in{}},
		},
		{
			"a key in parts", training + `j --kms-key k --kms-keyring r --kms-location l --project p`,
			job.Spec{JobID: "j", TrainingInput: &in{EncryptionConfig: &job.EncryptionConfig{
				KMSKeyName: "projects/p/locations/l/keyRings/r/cryptoKeys/k",
			}}},
		},
		{
			"a whole key", training + `j --kms-key projects/p/locations/l/keyRings/r/cryptoKeys/k`,
			job.Spec{JobID: "j", TrainingInput: &in{EncryptionConfig: &job.EncryptionConfig{
				KMSKeyName: "projects/p/locations/l/keyRings/r/cryptoKeys/k",
			}}},
		},
		{
			"a worker pool with a package", custom + `--region=us-central1 --display-name=my-job --args=--epochs=3,-v ` +
				`--worker-pool-spec=machine-type=n1-standard-4,replica-count=1,accelerator-type=NVIDIA_TESLA_T4,` +
				`executor-image-uri=us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-11.py310:latest,local-package-path=src,` +
				`script=trainer/task.py`,
			job.Spec{JobID: "my_job", TrainingInput: &in{
				ScaleTier: "CUSTOM", MasterType: "n1-standard-4", Region: "us-central1", RuntimeVersion: "2.11", PythonVersion: "3.10",
				MasterConfig: &job.ReplicaConfig{AcceleratorConfig: &job.AcceleratorConfig{Count: 1, Type: "NVIDIA_TESLA_T4"}},
				PythonModule: "trainer.task", Args: []string{"--epochs=3", "-v"},
			}},
		},
		{
			"worker pools with images", custom + `--display-name=7 --command=python,-m,task --args=--x ` +
				`--worker-pool-spec=machine-type=a,container-image-uri=i --worker-pool-spec=machine-type=b,replica-count=3,` +
				`container-image-uri=j --worker-pool-spec= --worker-pool-spec=machine-type=c,container-image-uri=k`,
			job.Spec{JobID: "job_7", TrainingInput: &in{
				ScaleTier: "CUSTOM", MasterType: "a", WorkerType: "b", WorkerCount: 3, EvaluatorType: "c", EvaluatorCount: 1,
				MasterConfig: &job.ReplicaConfig{
					ImageURI: "i", ContainerCommand: []string{"python", "-m", "task"}, ContainerArgs: []string{"--x"},
				},
				WorkerConfig: &job.ReplicaConfig{
					ImageURI: "j", ContainerCommand: []string{"python", "-m", "task"}, ContainerArgs: []string{"--x"},
				},
				EvaluatorConfig: &job.ReplicaConfig{
					ImageURI: "k", ContainerCommand: []string{"python", "-m", "task"}, ContainerArgs: []string{"--x"},
				},
			}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, err := ParseLine(test.line)
			if err != nil {
				t.Fatal(err)
			}
			var got job.Spec
			s.Apply(&got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("the job (-want +got):\n%s", diff)
			}
		})
	}
}

// A flag beats the file of --config; what no flag says stays.
func TestApplyOverAFile(t *testing.T) {
	file := func() job.Spec {
		return job.Spec{
			JobID: "of_the_file", Labels: map[string]string{"a": "b"},
			TrainingInput: &job.TrainingInput{
				Region: "us-east1", Args: []string{"--x"}, EnableWebAccess: true, WorkerCount: 2,
				MasterConfig: &job.ReplicaConfig{ImageURI: "i", DiskConfig: &job.DiskConfig{BootDiskSizeGB: 200}},
			},
		}
	}
	tests := []struct {
		name string
		args []string
		want func(*job.Spec)
	}{
		{"nothing but JOB", []string{"j"}, func(*job.Spec) {}},
		{"a region", []string{"j", "--region", "us-west1"}, func(s *job.Spec) { s.TrainingInput.Region = "us-west1" }},
		{"labels replace labels", []string{"j", "--labels=c=d"}, func(s *job.Spec) { s.Labels = map[string]string{"c": "d"} }},
		{"arguments replace arguments", []string{"j", "--", "--y"}, func(s *job.Spec) { s.TrainingInput.Args = []string{"--y"} }},
		{"-- alone clears them", []string{"j", "--"}, func(s *job.Spec) { s.TrainingInput.Args = []string{} }},
		{"an image beside a disk", []string{"j", "--master-image-uri=k"},
			func(s *job.Spec) { s.TrainingInput.MasterConfig.ImageURI = "k" }},
		{"a negation", []string{"j", "--no-enable-web-access"}, func(s *job.Spec) { s.TrainingInput.EnableWebAccess = false }},
		{"a value", []string{"j", "--enable-web-access=false"}, func(s *job.Spec) { s.TrainingInput.EnableWebAccess = false }},
	}
	for _, test := range tests {
		s, err := ParseTraining(test.args)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		want, got := file(), file()
		want.JobID = "j"
		test.want(&want)
		s.Apply(&got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func TestParseLineRefuses(t *testing.T) {
	const training = "gcloud ai-platform jobs submit training "
	const custom = "gcloud ai custom-jobs create --display-name=n "
	tests := []struct{ line, want string }{
		{"", "does not begin with gcloud"},
		{"gcloud ai-platform jobs describe j", "not one that submits a job"},
		{training, "JOB is missing"},
		{training + "j k", `"k" is one argument too many`},
		{training + "j --packges x", "did you mean --packages?"},
		{training + "j --reg x", "did you mean --region?"},
		{training + "j --epochs 3", "unknown flag: --epochs; arguments of the trainer come after --"},
		{training + "j --job-dir --region x", "a value is missing before --region"},
		{training + "j --region", "flag needs an argument: --region"},
		{training + "j --job-dir /tmp", "gs://BUCKET/PATH"},
		{training + "j --scale-tier big", "must be one of basic, basic-gpu"},
		{training + "j --worker-count 2", "--worker-count needs --worker-machine-type"},
		{training + "j --parameter-server-machine-type m", "needs --parameter-server-count"},
		{training + "j --worker-count 0 --worker-machine-type m", "1 or more"},
		{training + "j --master-accelerator type=tpu-v2", "count= is missing"},
		{training + "j --master-accelerator type=tpu-v9,count=1", "type must be one of"},
		{training + "j --master-accelerator typ=tpu-v2,count=1", `"typ" is not one of the keys`},
		{training + "j --labels a", "KEY=VALUE"},
		{training + "j --labels a=b --labels a=c", "can't be given twice"},
		{training + "j --enable-web-access=maybe", "true or false"},
		{training + "j --async --stream-logs", "exclude each other"},
		{training + "j --master-image-uri i --runtime-version 2.1", "exclude each other"},
		{training + "j --kms-keyring r", "--kms-key is missing"},
		{training + "j --kms-key k", "not a whole name"},
		{training + "j --flags-file f", "not supported"},
		{training + "j --use-chief-in-tf-config maybe", "true or false"},
		{training + "$JOB_NAME --region x", "$JOB_NAME is not filled in"},
		{training + `j --region "$(region)"`, "is not filled in"},
		{training + "j --region 'x", "' is not closed"},
		{training + `j --region "x`, `" is not closed`},
		{training + "j --packages dist/*.tar.gz", "* has a meaning for a shell"},
		{training + "j && echo", "& has a meaning for a shell"},
		{training + "j \\ \n --region x", "a space follows the backslash"},
		{training + "j\n--region x", "more than one command"},
		{custom, "--worker-pool-spec is missing"},
		{custom + "--worker-pool-spec=replica-count=1", "machine-type= is missing"},
		{custom + "--worker-pool-spec=machine-type=m,replica-count=2,container-image-uri=i", "the first pool is the master"},
		{custom + "--worker-pool-spec=machine-type=m", "one of container-image-uri= and executor-image-uri="},
		{custom + "--worker-pool-spec=machine-type=m,executor-image-uri=us-docker.pkg.dev/vertex-ai/training/pytorch-gpu.1-13:latest," +
			"python-module=a.b", "stands for no runtime version"},
		{custom + "--worker-pool-spec=machine-type=m,container-image-uri=i,python-module=a", "brings its own program"},
		{custom + "--config c.yaml", "can't be translated"},
		{"gcloud ai custom-jobs create --worker-pool-spec=machine-type=m", "--display-name is missing"},
	}
	for _, test := range tests {
		if _, err := ParseLine(test.line); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an error with %q", test.line, err, test.want)
		}
	}
}

// Everything that is accepted and means nothing is said.
func TestNotes(t *testing.T) {
	s, err := ParseLine(`gcloud ai-platform jobs submit training j --project p --quiet --format=json --verbosity debug ` +
		`--staging-bucket gs://bucket --no-user-output-enabled`)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(s.Notes(), "\n")
	for _, flag := range []string{
		"--project p", "--quiet", "--format json", "--verbosity debug", "--staging-bucket gs://bucket", "--user-output-enabled",
	} {
		if strings.Count(all, flag+" is not used") != 1 {
			t.Errorf("%s is not noted in\n%s", flag, all)
		}
	}
}

// Each field that the command line sets has an origin.
func TestOrigins(t *testing.T) {
	s, err := ParseTraining([]string{"j", "--region=r", "--labels=a=b", "--packages=gs://b/x.whl", "--", "x"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"jobId": "the argument JOB", "trainingInput.region": "--region", "labels": "--labels",
		"trainingInput.args": "the arguments after --", "trainingInput.packageUris": "--package-path and --packages",
	}
	if diff := cmp.Diff(want, s.Origins()); diff != "" {
		t.Errorf("origins (-want +got):\n%s", diff)
	}
}

func TestSplit(t *testing.T) {
	tests := []struct {
		line string
		want []string
	}{
		{"", nil},
		{" a  b\tc ", []string{"a", "b", "c"}},
		{"a \\\n  b \\\r\n c", []string{"a", "b", "c"}},
		{"a\\\nb", []string{"ab"}},
		{`a 'b c' "d e" f\ g`, []string{"a", "b c", "d e", "f g"}},
		{`'$HOME' "a\"b" "\$x" "c\d" 'it'"'"'s'`, []string{"$HOME", `a"b`, "$x", `c\d`, "it's"}},
		{`--x= '' "" --y='a,b'`, []string{"--x=", "", "", "--y=a,b"}},
		{"a # the rest\n", []string{"a"}},
		{"a#b cost$ 5$", []string{"a#b", "cost$", "5$"}},
		{"\n\n a\n\n", []string{"a"}},
		{"a \\", []string{"a"}},
	}
	for _, test := range tests {
		got, err := Split(test.line)
		if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
			t.Errorf("Split(%q): %v (-want +got):\n%s", test.line, err, diff)
		}
	}
}

// A custom job has a default region of its own, and a name that is used once.
func TestCustomJobDefaults(t *testing.T) {
	s, err := ParseLine("gcloud ai custom-jobs create --display-name=nightly " +
		"--worker-pool-spec=machine-type=n1-standard-4,container-image-uri=gcr.io/p/i")
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"CLOUDSDK_COMPUTE_REGION": "compute", "CLOUDSDK_AI_REGION": "ai"}
	if region, from := s.DefaultRegion(func(name string) string { return env[name] }); region != "ai" {
		t.Errorf("the region is %q, from %q", region, from)
	}
	if want := "--display-name=nightly_$(date +%Y%m%d), or --rerun"; !strings.Contains(strings.Join(s.Notes(), "\n"), want) {
		t.Errorf("the notes lack %q: %q", want, s.Notes())
	}
}

func TestDefaultRegion(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"active_config":                 "work\n",
		"configurations/config_work":    "[core]\nregion = no\n[compute]\nzone = z\nregion = us-east1\n",
		"configurations/config_default": "[compute]\nregion = us-west1\n",
		"configurations/config_bare":    "[core]\nproject = p\n",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		env          map[string]string
		region, from string
	}{
		{map[string]string{"CLOUDSDK_CONFIG": dir}, "us-east1", "the property compute/region of gcloud's configuration work"},
		{map[string]string{"CLOUDSDK_CONFIG": dir, "CLOUDSDK_COMPUTE_REGION": "r"}, "r", "CLOUDSDK_COMPUTE_REGION"},
		{map[string]string{"CLOUDSDK_CONFIG": dir, "CLOUDSDK_ACTIVE_CONFIG_NAME": "default"}, "us-west1",
			"the property compute/region of gcloud's configuration default"},
		{map[string]string{"CLOUDSDK_CONFIG": dir, "CLOUDSDK_ACTIVE_CONFIG_NAME": "bare"}, "", ""},
		{map[string]string{"CLOUDSDK_CONFIG": dir, "CLOUDSDK_ACTIVE_CONFIG_NAME": "../x"}, "", ""},
		{map[string]string{"CLOUDSDK_CONFIG": filepath.Join(dir, "none")}, "", ""},
	}
	for _, test := range tests {
		region, from := New().DefaultRegion(func(name string) string { return test.env[name] })
		if region != test.region || from != test.from {
			t.Errorf("%v: %q of %q, want %q of %q", test.env, region, from, test.region, test.from)
		}
	}
}

// A field's flag sets that field.
func TestFlagOf(t *testing.T) {
	for _, field := range []string{"jobDir", "pythonModule", "pythonVersion", "region", "runtimeVersion", "scaleTier"} {
		field = "trainingInput." + field
		value := "basic"
		if strings.HasSuffix(field, "Dir") {
			value = "gs://b/"
		}
		s, err := ParseTraining([]string{"j", "--" + FlagOf(field), value})
		if err != nil || s.Origins()[field] != "--"+FlagOf(field) {
			t.Errorf("%s is said to be set by %q, which sets %v, %v", field, FlagOf(field), s.Origins(), err)
		}
	}
}

// No line makes the parser panic, and what it reads has a job.
func FuzzParseLine(f *testing.F) {
	f.Add(`gcloud ai-platform jobs submit training j --labels ^;^a=b --packages a,b -- --x "$Y"`)
	f.Add(`gcloud ai custom-jobs create --display-name=é --worker-pool-spec=machine-type=m,container-image-uri=i --args=^^`)
	f.Add("gcloud ai-platform jobs submit training \\\n 'j' --kms-key k --kms-keyring=r --kms-location l --kms-project p -q")
	f.Fuzz(func(t *testing.T, line string) {
		s, err := ParseLine(line)
		if err != nil {
			return
		}
		var spec job.Spec
		s.Apply(&spec)
		if spec.TrainingInput == nil {
			t.Errorf("%q has no job", line)
		}
	})
}
