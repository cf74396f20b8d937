package vertex

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/pkg/job"
)

var update = flag.Bool("update", false, "write the golden files anew")

var today = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// order returns a job of an attempt, with a change.
func order(change func(*job.Order)) job.Order {
	o := job.Order{Spec: job.Spec{
		JobID: "census_1", Labels: job.Labels(map[string]string{"team": "nlp"}, "prod", "attempt", "content"),
		TrainingInput: &job.TrainingInput{
			ScaleTier: "BASIC", Region: "europe-west4", RuntimeVersion: "2.11", PythonVersion: "3.7",
			PythonModule: "trainer.task",
			PackageURIs:  []string{"gs://staging/a/1/trainer-0.1.tar.gz"}, Args: []string{"--epochs=3"},
			JobDir: "gs://out/census",
		},
	}}
	if change != nil {
		change(&o)
	}
	return o
}

// The requests of jobs of each kind, as they are sent.
func TestRequests(t *testing.T) {
	zero, one := 0.0, 1.0
	study := &job.HyperparameterSpec{
		Goal: "MINIMIZE", MaxTrials: 6, MaxParallelTrials: 2, MaxFailedTrials: 1, HyperparameterMetricTag: "loss",
		EnableTrialEarlyStopping: true, Params: []job.ParameterSpec{
			{ParameterName: "rate", Type: "DOUBLE", MinValue: &zero, MaxValue: &one, ScaleType: "UNIT_LINEAR_SCALE"},
			{ParameterName: "shift", Type: "INTEGER", MinValue: new(-1.0), MaxValue: &zero, ScaleType: "NONE"},
			{ParameterName: "size", Type: "DISCRETE", DiscreteValues: []float64{2, 0, 2}, ScaleType: "UNIT_LOG_SCALE"},
			{ParameterName: "kind", Type: "CATEGORICAL", CategoricalValues: []string{"a", "b"}},
		},
	}
	gpus := func(o *job.Order) {
		o.TrainingInput.ScaleTier, o.TrainingInput.MasterType = "CUSTOM", "a2-highgpu-2g"
	}
	const resources = "projects/p/locations/europe-west4/"
	image := &job.ReplicaConfig{
		ImageURI: "europe-docker.pkg.dev/p/r/trainer:1", ContainerCommand: []string{"python", "-m", "trainer"},
	}
	for name, o := range map[string]job.Order{
		"package": order(nil),
		"gpu": order(func(o *job.Order) {
			o.TrainingInput.ScaleTier, o.TrainingInput.MasterType = "CUSTOM", "n1-standard-8"
			o.TrainingInput.MasterConfig = &job.ReplicaConfig{
				AcceleratorConfig: &job.AcceleratorConfig{Type: "NVIDIA_TESLA_T4", Count: 2},
				DiskConfig:        &job.DiskConfig{BootDiskType: "pd-standard", BootDiskSizeGB: 200},
			}
			o.TrainingInput.Scheduling = &job.Scheduling{MaxRunningTime: "7200s", MaxWaitTime: "3600s", Priority: 1}
			o.TrainingInput.Args = []string{"--text=$(HOME)"}
			o.DisableRetries = true
		}),
		"distributed": order(func(o *job.Order) {
			o.TrainingInput.ScaleTier, o.TrainingInput.MasterType = "CUSTOM", "standard"
			o.TrainingInput.ParameterServerType, o.TrainingInput.ParameterServerCount = "large_model", 2
			o.TrainingInput.RuntimeVersion = "1.15"
		}),
		"image": order(func(o *job.Order) {
			o.TrainingInput.RuntimeVersion = ""
			o.TrainingInput.PythonVersion = ""
			o.TrainingInput.PythonModule = ""
			o.TrainingInput.PackageURIs = nil
			o.TrainingInput.ScaleTier, o.TrainingInput.MasterType, o.TrainingInput.MasterConfig = "CUSTOM", "n1-standard-4", image
			o.TrainingInput.ServiceAccount = "a@p.iam.gserviceaccount.com"
			o.TrainingInput.Network = "projects/1/global/networks/n"
			o.TrainingInput.EnableWebAccess = true
			o.TrainingInput.EncryptionConfig = &job.EncryptionConfig{
				KMSKeyName: "projects/p/locations/europe-west4/keyRings/r/cryptoKeys/k",
			}
		}),
		"spot": order(func(o *job.Order) {
			o.Vertex = &job.VertexOptions{Strategy: job.StrategySpot, RestartJobOnWorkerRestart: true}
			o.TrainingInput.Scheduling = &job.Scheduling{MaxWaitTime: "3600s"} // jobdrop's to enforce
		}),
		"flex-start": order(func(o *job.Order) {
			gpus(o)
			o.TrainingInput.WorkerType, o.TrainingInput.WorkerCount = "a2-highgpu-2g", 3
			o.TrainingInput.Scheduling = &job.Scheduling{MaxWaitTime: "3600s", MaxRunningTime: "604800s"}
			o.Vertex = &job.VertexOptions{Strategy: job.StrategyFlexStart}
		}),
		"flex-start-without-limit": order(func(o *job.Order) {
			gpus(o)
			o.TrainingInput.MasterType = "g2-standard-48"
			o.Vertex = &job.VertexOptions{Strategy: job.StrategyFlexStart}
		}),
		"flex-start-tuning": order(func(o *job.Order) {
			gpus(o)
			o.TrainingInput.Hyperparameters = &job.HyperparameterSpec{Params: study.Params[2:3]}
			o.Vertex = &job.VertexOptions{
				Strategy: job.StrategyFlexStart, MaxWaitDuration: "7200s", DisableRetries: true, EnableDashboardAccess: true,
			}
		}),
		"reservation": order(func(o *job.Order) {
			gpus(o)
			o.TrainingInput.ParameterServerType, o.TrainingInput.ParameterServerCount = "n1-standard-4", 1
			o.Vertex = &job.VertexOptions{
				Strategy: job.StrategyStandard,
				ReservationAffinity: &job.ReservationAffinity{
					ReservationAffinityType: "SPECIFIC_RESERVATION",
					Values:                  []string{"projects/p/zones/europe-west4-a/reservations/a100"},
				},
			}
		}),
		"any-reservation": order(func(o *job.Order) {
			o.Vertex = &job.VertexOptions{
				ReservationAffinity: &job.ReservationAffinity{ReservationAffinityType: "ANY_RESERVATION"},
			}
		}),
		"resources": order(func(o *job.Order) {
			gpus(o)
			o.TrainingInput.MasterType = "a2-highgpu-1g"
			o.TrainingInput.ServiceAccount = "a@p.iam.gserviceaccount.com"
			o.Vertex = &job.VertexOptions{
				PersistentResourceID: "gpus", Tensorboard: resources + "tensorboards/1",
				Experiment:            resources + "metadataStores/default/contexts/census",
				ExperimentRun:         resources + "metadataStores/default/contexts/census-1",
				EnableDashboardAccess: true, GPUPartitionSize: "1g.5gb",
			}
		}),
		"networks": order(func(o *job.Order) {
			o.Vertex = &job.VertexOptions{
				PSCInterfaceConfig: &job.PSCInterfaceConfig{
					NetworkAttachment: "projects/p/regions/europe-west4/networkAttachments/n",
					DNSPeeringConfigs: []job.DNSPeeringConfig{
						{Domain: "corp.example.com.", TargetProject: "net", TargetNetwork: "corp"},
					},
				},
				NFSMounts: []job.NFSMount{{Server: "10.0.0.2", Path: "/data", MountPoint: "data"}},
				LustreMounts: []job.LustreMount{
					{InstanceIP: "10.0.0.3", Filesystem: "scratch", VolumeHandle: "p/z/i", MountPoint: "scratch"},
				},
			}
		}),
		"operators-image": order(func(o *job.Order) { o.Image = "europe-docker.pkg.dev/ops/images/tf:2.11" }),
		"tuning":          order(func(o *job.Order) { o.TrainingInput.Hyperparameters = study }),
		"tuning-image": order(func(o *job.Order) {
			o.TrainingInput.RuntimeVersion = ""
			o.TrainingInput.PythonVersion = ""
			o.TrainingInput.PythonModule = ""
			o.TrainingInput.PackageURIs = nil
			o.TrainingInput.ScaleTier, o.TrainingInput.MasterType, o.TrainingInput.MasterConfig = "CUSTOM", "n1-standard-4", image
			o.TrainingInput.Hyperparameters = &job.HyperparameterSpec{Params: study.Params[2:3]}
		}),
	} {
		t.Run(name, func(t *testing.T) {
			r, told := NewRequest("p", o, today)
			var got bytes.Buffer
			e := json.NewEncoder(&got)
			e.SetEscapeHTML(false)
			e.SetIndent("", "  ")
			if err := e.Encode(map[string]any{
				"parent": r.Parent, "collection": r.Collection(), "body": r.Body(), "diagnostics": told,
			}); err != nil {
				t.Fatal(err)
			}
			body, err := json.Marshal(r.Body())
			if err != nil {
				t.Fatal(err)
			}
			if err := training.CheckRequest(r.Collection(), body); err != nil {
				t.Errorf("the request does not fit the API: %v", err)
			}
			text := strings.ReplaceAll(got.String(), string(quoted(t, bootstrap)), `"(bootstrap.py)"`)
			path := "testdata/" + name + ".json"
			if *update {
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), text); diff != "" {
				t.Errorf("%s (-want +got; -update writes it anew):\n%s", path, diff)
			}
		})
	}
}

func quoted(t *testing.T, s string) []byte {
	text, err := json.Marshal(s) // as the client's own types are written
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What is told of a job: the field and what becomes of it.
// What a create asks for is what a poll shows, so that a job can be held against its
// record.
func TestBackendJobShowsPackages(t *testing.T) {
	for name, change := range map[string]func(*job.Order){
		"the service's installer": nil,
		"ours": func(s *job.Order) {
			s.TrainingInput.Hyperparameters = &job.HyperparameterSpec{
				MaxTrials: 1,
				Params:    []job.ParameterSpec{{ParameterName: "a", Type: "CATEGORICAL", CategoricalValues: []string{"b"}}},
			}
		},
	} {
		o := order(change)
		o.TrainingInput.PackageURIs = []string{"gs://staging/a/1/$(a).tar.gz", "gs://staging/a/2/b.whl"}
		r, _ := NewRequest("p", o, today)
		f := ofCustom(r.Custom)
		if r.Tuning != nil {
			f = ofTuning(r.Tuning)
		}
		backend, _ := open(t)
		if diff := cmp.Diff(o.TrainingInput.PackageURIs, backend.backendJob(f).Packages); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTold(t *testing.T) {
	old := plan.Diagnostic{Field: "trainingInput.runtimeVersion", Action: plan.Doubtful}
	is := func(field string, a plan.Action) plan.Diagnostic { return plan.Diagnostic{Field: field, Action: a} }
	input := func(change func(in *job.TrainingInput)) job.Order {
		return order(func(o *job.Order) { change(o.TrainingInput) })
	}
	study := func(change func(s *job.HyperparameterSpec)) job.Order {
		return input(func(in *job.TrainingInput) {
			in.Hyperparameters = &job.HyperparameterSpec{
				Params: []job.ParameterSpec{{ParameterName: "x", Type: "DISCRETE", DiscreteValues: []float64{1}}},
			}
			change(in.Hyperparameters)
		})
	}
	flex := &job.VertexOptions{Strategy: job.StrategyFlexStart}
	vertexOptions := func(own *job.VertexOptions, change func(in *job.TrainingInput)) job.Order {
		o := order(func(o *job.Order) { o.Vertex = own })
		if change != nil {
			change(o.TrainingInput)
		}
		return o
	}
	source := is("trainingInput.hyperparameters.hyperparameterMetricTag", plan.Doubtful)
	for _, test := range []struct {
		name  string
		order job.Order
		want  []plan.Diagnostic
	}{
		{"an old image", order(nil), []plan.Diagnostic{old}},
		{"the operator's image", order(func(o *job.Order) { o.Image = "gcr.io/p/i" }), nil},
		{
			"runtime 2.10", input(func(in *job.TrainingInput) { in.RuntimeVersion = "2.10" }),
			[]plan.Diagnostic{is("trainingInput.runtimeVersion", plan.Replaced), old},
		},
		{
			"a runtime that is not known", input(func(in *job.TrainingInput) { in.RuntimeVersion = "2.99" }),
			[]plan.Diagnostic{is("trainingInput.runtimeVersion", plan.Unmappable)},
		},
		{
			"a Python that the runtime lacks",
			input(func(in *job.TrainingInput) { in.PythonVersion = "3.10"; in.RuntimeVersion = "2.3" }),
			[]plan.Diagnostic{is("trainingInput.pythonVersion", plan.Unmappable)},
		},
		{
			"Python 2.7", input(func(in *job.TrainingInput) { in.RuntimeVersion, in.PythonVersion = "1.14", "" }),
			[]plan.Diagnostic{is("trainingInput.pythonVersion", plan.Unmappable)},
		},
		{
			"K80 of a tier", input(func(in *job.TrainingInput) { in.ScaleTier = "BASIC_GPU" }),
			[]plan.Diagnostic{is("trainingInput.scaleTier", plan.Unmappable), old},
		},
		{
			"K80 of a machine", input(func(in *job.TrainingInput) { in.ScaleTier, in.MasterType = "CUSTOM", "standard_gpu" }),
			[]plan.Diagnostic{is("trainingInput.masterType", plan.Unmappable), old},
		},
		{"K80 with a substitute", order(func(o *job.Order) {
			o.TrainingInput.ScaleTier = "BASIC_GPU"
			o.Accelerators = map[string]string{"NVIDIA_TESLA_K80": "NVIDIA_TESLA_T4"}
		}), []plan.Diagnostic{is("trainingInput.scaleTier", plan.Replaced), old}},
		{
			"a name that is too long", order(func(o *job.Order) { o.JobID = strings.Repeat("a", 129) }),
			[]plan.Diagnostic{is("jobId", plan.Unmappable), old},
		},
		{"the longest name", order(func(o *job.Order) { o.JobID = strings.Repeat("a", 128) }), []plan.Diagnostic{old}},
		{
			"a label that is none", order(func(o *job.Order) { o.Labels["Team"] = "nlp" }),
			[]plan.Diagnostic{is("labels.Team", plan.Unmappable), old},
		},
		{"too many labels", order(func(o *job.Order) {
			for i := range 61 {
				o.Labels["l"+string(rune('a'+i/26))+string(rune('a'+i%26))] = ""
			}
		}), []plan.Diagnostic{is("labels", plan.Unmappable), old}},
		{"too many labels with jobdrop's own", order(func(o *job.Order) {
			o.Labels = map[string]string{}
			for i := range 62 {
				o.Labels["l"+string(rune('a'+i/26))+string(rune('a'+i%26))] = ""
			}
		}), []plan.Diagnostic{is("labels", plan.Unmappable), old}},
		{"labels that are none, in their order",
			order(func(o *job.Order) { o.Labels["C"], o.Labels["A"], o.Labels["B"] = "", "", "" }), []plan.Diagnostic{
				is("labels.A", plan.Unmappable), is("labels.B", plan.Unmappable), is("labels.C", plan.Unmappable), old,
			}},
		{"master in TF_CONFIG", input(func(in *job.TrainingInput) {
			in.RuntimeVersion, in.ScaleTier = "1.15", "PREMIUM_1"
		}), []plan.Diagnostic{old, is("trainingInput.runtimeVersion", plan.Replaced)}},
		{"the metric's source", study(func(*job.HyperparameterSpec) {}), []plan.Diagnostic{old, source}},
		{
			"a metric with a space", study(func(s *job.HyperparameterSpec) { s.HyperparameterMetricTag = "the loss" }),
			[]plan.Diagnostic{old, is(source.Field, plan.Unmappable), source},
		},
		{
			"an earlier study", study(func(s *job.HyperparameterSpec) { s.ResumePreviousJobID = "census_0" }),
			[]plan.Diagnostic{old, source, is("trainingInput.hyperparameters.resumePreviousJobId", plan.Unmappable)},
		},
		{
			"a grid over a range",
			study(func(s *job.HyperparameterSpec) { s.Algorithm, s.Params[0].Type = "GRID_SEARCH", "DOUBLE" }),
			[]plan.Diagnostic{old, source, is("trainingInput.hyperparameters.params[0].type", plan.Unmappable)},
		},
		{"flex-start without a GPU", vertexOptions(flex, nil), []plan.Diagnostic{
			old, is("trainingInput.scaleTier", plan.Unmappable),
		}},
		{"flex-start without a GPU in a role", vertexOptions(flex, func(in *job.TrainingInput) {
			in.ScaleTier, in.MasterType, in.WorkerType, in.WorkerCount = "CUSTOM", "g2-standard-8", "n1-standard-8", 1
		}), []plan.Diagnostic{
			old, is("trainingInput.workerType", plan.Unmappable),
		}},
		{"flex-start with an old GPU", vertexOptions(flex, func(in *job.TrainingInput) {
			in.ScaleTier, in.MasterType = "CUSTOM", "standard_p100"
		}), []plan.Diagnostic{old, is("trainingInput.masterType", plan.Unmappable)}},
		{"flex-start with a GPU that is not of the list", vertexOptions(flex, func(in *job.TrainingInput) {
			in.ScaleTier, in.MasterType = "CUSTOM", "n1-standard-8"
			in.MasterConfig = &job.ReplicaConfig{AcceleratorConfig: &job.AcceleratorConfig{Type: "NVIDIA_TESLA_T4", Count: 1}}
		}), []plan.Diagnostic{old, is("trainingInput.masterConfig.acceleratorConfig.type", plan.Unmappable)}},
		{"flex-start with other machines for workers", vertexOptions(flex, func(in *job.TrainingInput) {
			in.ScaleTier, in.MasterType, in.WorkerType, in.WorkerCount = "CUSTOM", "a2-highgpu-1g", "a2-highgpu-2g", 1
		}), []plan.Diagnostic{old, is("trainingInput.workerType", plan.Unmappable)}},
		{"flex-start with another disk for workers", vertexOptions(flex, func(in *job.TrainingInput) {
			in.ScaleTier, in.MasterType, in.WorkerType, in.WorkerCount = "CUSTOM", "a2-highgpu-1g", "a2-highgpu-1g", 1
			in.WorkerConfig = &job.ReplicaConfig{DiskConfig: &job.DiskConfig{BootDiskSizeGB: 200}}
		}), []plan.Diagnostic{old, is("trainingInput.workerType", plan.Unmappable)}},
		{"spot takes what flex-start does not", vertexOptions(&job.VertexOptions{Strategy: job.StrategySpot}, nil),
			[]plan.Diagnostic{old}},
		{"restarts that the operator does not allow", order(func(o *job.Order) {
			o.DisableRetries = true
			o.Vertex = &job.VertexOptions{Strategy: job.StrategySpot, RestartJobOnWorkerRestart: true}
		}), []plan.Diagnostic{
			is("jobdrop.vertex.restartJobOnWorkerRestart", plan.Doubtful), is("jobdrop.vertex.strategy", plan.Doubtful), old,
		}},
		{"one reservation for machines of two kinds", vertexOptions(&job.VertexOptions{
			ReservationAffinity: &job.ReservationAffinity{ReservationAffinityType: "SPECIFIC_RESERVATION", Values: []string{"r"}},
		}, func(in *job.TrainingInput) {
			in.ScaleTier, in.MasterType, in.WorkerType, in.WorkerCount = "CUSTOM", "a2-highgpu-1g", "n1-standard-8", 1
		}), []plan.Diagnostic{old, is("jobdrop.vertex.reservationAffinity", plan.Doubtful)}},
		{"a partition without a GPU", vertexOptions(&job.VertexOptions{GPUPartitionSize: "1g.5gb"}, nil), []plan.Diagnostic{
			is("jobdrop.vertex.gpuPartitionSize", plan.Unmappable), old,
		}},
		{"partitions of several GPUs", vertexOptions(&job.VertexOptions{GPUPartitionSize: "1g.5gb"},
			func(in *job.TrainingInput) { in.ScaleTier, in.MasterType = "CUSTOM", "a2-highgpu-2g" }), []plan.Diagnostic{
			is("jobdrop.vertex.gpuPartitionSize", plan.Unmappable), old,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, told := NewRequest("p", test.order, today)
			var got []plan.Diagnostic
			for _, d := range told {
				if d.Why == "" {
					t.Errorf("%+v has no reason", d)
				}
				got = append(got, is(d.Field, d.Action))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

// An image is in doubt from the day on that Google names, and not before.
func TestImageAge(t *testing.T) {
	o := order(func(o *job.Order) { o.TrainingInput.RuntimeVersion, o.TrainingInput.PythonVersion = "2.17", "3.10" })
	for day, want := range map[string]int{"2026-07-10": 0, "2026-07-11": 1} {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		if _, told := NewRequest("p", o, at); len(told) != want {
			t.Errorf("on %s: told %v", day, told)
		}
	}
}

func TestHost(t *testing.T) {
	for region, want := range map[string]string{
		"us-central1": "us", "northamerica-northeast1": "us", "southamerica-east1": "us", "europe-west4": "europe",
		"me-west1": "europe", "africa-south1": "europe", "asia-east1": "asia", "australia-southeast1": "asia",
	} {
		if got := host(region); got != want {
			t.Errorf("host of %s: %s, want %s", region, got, want)
		}
	}
}
