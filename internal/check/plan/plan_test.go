package plan_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// of returns a job's plan and its diagnostics.
func of(in job.TrainingInput, m job.Mapping) (plan.Plan, []plan.Diagnostic) {
	return plan.New(job.Order{Spec: job.Spec{JobID: "census", TrainingInput: &in}, Mapping: m})
}

func TestRoles(t *testing.T) {
	k80 := &job.AcceleratorConfig{Type: "NVIDIA_TESLA_K80", Count: 2}
	for _, test := range []struct {
		name  string
		in    job.TrainingInput
		roles []plan.Role
	}{
		{"no tier is BASIC", job.TrainingInput{}, []plan.Role{{Name: plan.Master, Replicas: 1, Machine: "n1-standard-4"}}},
		{
			"BASIC", job.TrainingInput{ScaleTier: "BASIC", Args: []string{"a"}},
			[]plan.Role{{Name: plan.Master, Replicas: 1, Machine: "n1-standard-4", Args: []string{"a"}}},
		},
		{
			"BASIC_GPU", job.TrainingInput{ScaleTier: "BASIC_GPU"},
			[]plan.Role{
				{
					Name: plan.Master, Replicas: 1, Machine: "n1-standard-8", Accelerator: "NVIDIA_TESLA_K80", Accelerators: 1,
					AcceleratorField: "trainingInput.scaleTier",
				},
			},
		},
		{"PREMIUM_1", job.TrainingInput{ScaleTier: "PREMIUM_1"}, []plan.Role{
			{Name: plan.Master, Replicas: 1, Machine: "n1-highcpu-16"},
			{Name: plan.Worker, Replicas: 19, Machine: "n1-highcpu-16"},
			{Name: plan.ParameterServer, Replicas: 11, Machine: "n1-highmem-8"},
		}},
		{"old names", job.TrainingInput{
			ScaleTier: "CUSTOM", MasterType: "complex_model_m_p100", WorkerType: "large_model", WorkerCount: 2,
			ParameterServerType: "standard", ParameterServerCount: 1, EvaluatorType: "standard_v100", EvaluatorCount: 1,
		}, []plan.Role{
			{
				Name: plan.Master, Replicas: 1, Machine: "n1-standard-16", Accelerator: "NVIDIA_TESLA_P100", Accelerators: 4,
				AcceleratorField: "trainingInput.masterType",
			},
			{Name: plan.Worker, Replicas: 2, Machine: "n1-highmem-8"},
			{Name: plan.ParameterServer, Replicas: 1, Machine: "n1-standard-4"},
			{
				Name: plan.Evaluator, Replicas: 1, Machine: "n1-standard-8", Accelerator: "NVIDIA_TESLA_V100", Accelerators: 1,
				AcceleratorField: "trainingInput.evaluatorType",
			},
		}},
		{"machines of Compute Engine, accelerators and disks", job.TrainingInput{
			ScaleTier: "CUSTOM", MasterType: "n1-standard-8",
			MasterConfig: &job.ReplicaConfig{
				AcceleratorConfig: k80, DiskConfig: &job.DiskConfig{BootDiskType: "pd-standard", BootDiskSizeGB: 200},
			},
		},
			[]plan.Role{
				{
					Name: plan.Master, Replicas: 1, Machine: "n1-standard-8", Accelerator: "NVIDIA_TESLA_K80", Accelerators: 2,
					AcceleratorField: "trainingInput.masterConfig.acceleratorConfig.type", DiskType: "pd-standard", DiskGB: 200,
				},
			}},
		{"a role without an image runs the master's, with the job's arguments", job.TrainingInput{
			ScaleTier: "CUSTOM", MasterType: "n1-standard-4", WorkerType: "n1-standard-4", WorkerCount: 1,
			Args:         []string{"--all"},
			MasterConfig: &job.ReplicaConfig{ImageURI: "gcr.io/p/i"},
		}, []plan.Role{
			{Name: plan.Master, Replicas: 1, Machine: "n1-standard-4", Image: "gcr.io/p/i", Args: []string{"--all"}},
			{Name: plan.Worker, Replicas: 1, Machine: "n1-standard-4", Image: "gcr.io/p/i", Args: []string{"--all"}},
		}},
		{"containers' own command lines", job.TrainingInput{
			ScaleTier: "CUSTOM", MasterType: "n1-standard-4",
			MasterConfig: &job.ReplicaConfig{
				ImageURI: "gcr.io/p/i", ContainerCommand: []string{"run"}, ContainerArgs: []string{"--own"},
			},
		},
			[]plan.Role{
				{
					Name: plan.Master, Replicas: 1, Machine: "n1-standard-4", Image: "gcr.io/p/i", Command: []string{"run"},
					Args: []string{"--own"},
				},
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, told := of(test.in, job.Mapping{})
			if diff := cmp.Diff(test.roles, p.Roles); diff != "" || len(told) > 0 {
				t.Errorf("roles (-want +got):\n%stold %v", diff, told)
			}
		})
	}
}

func TestTold(t *testing.T) {
	t4 := job.Mapping{Accelerators: map[string]string{"NVIDIA_TESLA_K80": "NVIDIA_TESLA_T4"}}
	for _, test := range []struct {
		name    string
		in      job.TrainingInput
		mapping job.Mapping
		field   string
		action  plan.Action
	}{
		{
			"priority", job.TrainingInput{Scheduling: &job.Scheduling{Priority: 7}}, job.Mapping{},
			"trainingInput.scheduling.priority", plan.Dropped,
		},
		{"BASIC_TPU", job.TrainingInput{ScaleTier: "BASIC_TPU"}, job.Mapping{}, "trainingInput.scaleTier", plan.Unmappable},
		{
			"cloud_tpu", job.TrainingInput{ScaleTier: "CUSTOM", MasterType: "standard", WorkerType: "cloud_tpu", WorkerCount: 1},
			job.Mapping{}, "trainingInput.workerType", plan.Unmappable,
		},
		{
			"TPU accelerator", job.TrainingInput{
				ScaleTier: "CUSTOM", MasterType: "n1-standard-4",
				MasterConfig: &job.ReplicaConfig{AcceleratorConfig: &job.AcceleratorConfig{Type: "TPU_V2", Count: 8}},
			}, job.Mapping{}, "trainingInput.masterConfig.acceleratorConfig.type", plan.Unmappable,
		},
		{
			"tpuTfVersion", job.TrainingInput{
				ScaleTier: "CUSTOM", MasterType: "n1-standard-4", MasterConfig: &job.ReplicaConfig{TPUTFVersion: "2.1"},
			}, job.Mapping{}, "trainingInput.masterConfig.tpuTfVersion", plan.Unmappable,
		},
		{
			"packages beside an image", job.TrainingInput{
				PackageURIs: []string{"gs://b/p.tar.gz"}, MasterConfig: &job.ReplicaConfig{ImageURI: "gcr.io/p/i"},
			}, job.Mapping{}, "trainingInput.packageUris", plan.Dropped,
		},
		{
			"a module beside an image", job.TrainingInput{
				PythonModule: "trainer.task", MasterConfig: &job.ReplicaConfig{ImageURI: "gcr.io/p/i"},
			}, job.Mapping{}, "trainingInput.pythonModule", plan.Dropped,
		},
		{
			"unknown old name", job.TrainingInput{ScaleTier: "CUSTOM", MasterType: "complex_model_xl"}, job.Mapping{},
			"trainingInput.masterType", plan.Unmappable,
		},
		{
			"unknown old name of a TPU", job.TrainingInput{
				ScaleTier: "CUSTOM", MasterType: "standard", WorkerType: "standard_tpu", WorkerCount: 1,
			}, job.Mapping{}, "trainingInput.workerType", plan.Unmappable,
		},
		{
			"old machine of a tier, for two roles", job.TrainingInput{ScaleTier: "STANDARD_1"}, job.Mapping{},
			"trainingInput.scaleTier", plan.Replaced,
		},
		{
			"old machine of a name", job.TrainingInput{ScaleTier: "CUSTOM", MasterType: "complex_model_s"}, job.Mapping{},
			"trainingInput.masterType", plan.Replaced,
		},
		{
			"accelerator of a tier replaced", job.TrainingInput{ScaleTier: "BASIC_GPU"}, t4, "trainingInput.scaleTier",
			plan.Replaced,
		},
		{
			"accelerator of a machine replaced", job.TrainingInput{ScaleTier: "CUSTOM", MasterType: "standard_gpu"}, t4,
			"trainingInput.masterType", plan.Replaced,
		},
		{
			"accelerator replaced", job.TrainingInput{
				ScaleTier: "CUSTOM", MasterType: "n1-standard-4", ParameterServerType: "n1-standard-4", ParameterServerCount: 1,
				ParameterServerConfig: &job.ReplicaConfig{
					AcceleratorConfig: &job.AcceleratorConfig{Type: "NVIDIA_TESLA_K80", Count: 1},
				},
			}, t4, "trainingInput.parameterServerConfig.acceleratorConfig.type", plan.Replaced,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, told := of(test.in, test.mapping)
			if len(told) != 1 || told[0].Field != test.field || told[0].Action != test.action || told[0].Why == "" {
				t.Fatalf("told %+v, want one of %s, %s", told, test.field, test.action)
			}
			for _, r := range p.Roles {
				if test.action == plan.Replaced && r.Accelerator != "" && r.Accelerator != "NVIDIA_TESLA_T4" {
					t.Errorf("%s has %s", r.Name, r.Accelerator)
				}
			}
		})
	}
}

// What is not used is not refused.
func TestUnusedMachine(t *testing.T) {
	in := job.TrainingInput{ScaleTier: "CUSTOM", MasterType: "standard", WorkerType: "complex_model_xl"}
	if _, told := of(in, job.Mapping{}); len(told) > 0 {
		t.Errorf("told %v of a type without replicas", told)
	}
}

// What tiers and old names stand for, and what a file may name: one opinion on each
// machine.
func TestMachinesAreKnown(t *testing.T) {
	var known []string
	for _, m := range jobspec.DefaultCatalogue().Machines {
		known = append(known, m.Names...)
	}
	jobs := []job.TrainingInput{
		{ScaleTier: "BASIC"}, {ScaleTier: "BASIC_GPU"}, {ScaleTier: "STANDARD_1"}, {ScaleTier: "PREMIUM_1"},
	}
	for _, m := range jobspec.DefaultCatalogue().Machines {
		for _, name := range m.Names {
			if m.Category == jobspec.Legacy {
				jobs = append(jobs, job.TrainingInput{ScaleTier: "CUSTOM", MasterType: name})
			}
		}
	}
	for _, in := range jobs {
		p, _ := of(in, job.Mapping{})
		if len(p.Roles) == 0 {
			t.Errorf("%s %s has no roles", in.ScaleTier, in.MasterType)
		}
		for _, r := range p.Roles {
			if !slices.Contains(known, r.Machine) {
				t.Errorf("%s %s becomes %s, which the catalogue does not know", in.ScaleTier, in.MasterType, r.Machine)
			}
		}
	}
}

func TestPlan(t *testing.T) {
	zero := 0.0
	study := &job.HyperparameterSpec{
		MaxTrials: 3, Params: []job.ParameterSpec{{ParameterName: "x", Type: "DOUBLE", MinValue: &zero}},
	}
	got, told := plan.New(job.Order{
		Spec: job.Spec{JobID: "census", Labels: map[string]string{"team": "nlp"}, TrainingInput: &job.TrainingInput{
			Region: "europe-west4", RuntimeVersion: "2.11", PackageURIs: []string{"gs://b/p.tar.gz"},
			PythonModule: "trainer.task", JobDir: "gs://out/census",
			Scheduling:     &job.Scheduling{MaxWaitTime: "3600s", MaxRunningTime: "7200s"},
			ServiceAccount: "a@p.iam.gserviceaccount.com",
			Network:        "projects/1/global/networks/n", EncryptionConfig: &job.EncryptionConfig{KMSKeyName: "key"},
			EnableWebAccess: true, Hyperparameters: study,
		}},
		Mapping: job.Mapping{Image: "europe-docker.pkg.dev/p/r/tf", DisableRetries: true},
	})
	want := plan.Plan{
		JobID: "census", Labels: map[string]string{"team": "nlp"}, Region: "europe-west4", JobDir: "gs://out/census",
		Primary: "chief",
		Roles:   []plan.Role{{Name: plan.Master, Replicas: 1, Machine: "n1-standard-4"}},
		Python: &plan.Python{
			Packages: []string{"gs://b/p.tar.gz"}, Module: "trainer.task", Runtime: "2.11", Version: "3.7",
			Image: "europe-docker.pkg.dev/p/r/tf",
		},
		Run: 2 * time.Hour, Wait: time.Hour, DisableRetries: true, ServiceAccount: "a@p.iam.gserviceaccount.com",
		Network: "projects/1/global/networks/n", KMSKey: "key", EnableWebAccess: true, Study: study,
	}
	if diff := cmp.Diff(want, got); diff != "" || len(told) > 0 {
		t.Errorf("plan (-want +got):\n%stold %v", diff, told)
	}
}

// The master's name in TF_CONFIG is that of its time.
func TestTFConfig(t *testing.T) {
	image := &job.ReplicaConfig{ImageURI: "gcr.io/p/i"}
	for _, test := range []struct {
		name, primary string
		in            job.TrainingInput
	}{
		{"old runtime", "master", job.TrainingInput{RuntimeVersion: "1.15"}},
		{"new runtime", "chief", job.TrainingInput{RuntimeVersion: "2.11", PackageURIs: []string{"gs://b/p.tar.gz"}}},
		{"image", "master", job.TrainingInput{MasterConfig: image}},
		{"image with chief", "chief", job.TrainingInput{MasterConfig: image, UseChiefInTFConfig: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, _ := of(test.in, job.Mapping{})
			text, err := plan.TFConfig(p, &test.in)
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Cluster     map[string][]string
				Environment string
				Task        struct {
					Type  string
					Index int
				}
				Job map[string]any
			}
			if err := json.Unmarshal([]byte(text), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[string][]string{test.primary: {"127.0.0.1:2222"}}, got.Cluster); diff != "" ||
				got.Task.Type != test.primary || got.Environment != "cloud" {
				t.Errorf("%s; cluster (-want +got):\n%s", text, diff)
			}
			if len(test.in.PackageURIs) > 0 && got.Job["package_uris"] == nil {
				t.Errorf("job %v is not under proto names", got.Job)
			}
		})
	}
}
