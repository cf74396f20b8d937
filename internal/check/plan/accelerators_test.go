package plan_test

import (
	"math"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
)

func TestAccelerators(t *testing.T) {
	gpus := func(name string, n int64) *job.ReplicaConfig {
		return &job.ReplicaConfig{AcceleratorConfig: &job.AcceleratorConfig{Type: name, Count: n}}
	}
	custom := func(machine string, c *job.ReplicaConfig) job.TrainingInput {
		return job.TrainingInput{ScaleTier: "CUSTOM", MasterType: machine, MasterConfig: c}
	}
	workers := custom("a2-highgpu-2g", nil)
	workers.WorkerType, workers.WorkerCount = "n1-standard-8", 3
	workers.WorkerConfig = gpus("NVIDIA_TESLA_T4", 4)
	workers.ParameterServerType, workers.ParameterServerCount = "n1-standard-4", 2
	tuning := custom("n1-standard-8", gpus("NVIDIA_TESLA_T4", 2))
	tuning.Hyperparameters = &job.HyperparameterSpec{MaxTrials: 20, MaxParallelTrials: 5}
	few := tuning
	few.Hyperparameters = &job.HyperparameterSpec{MaxTrials: 3, MaxParallelTrials: 5}
	hostile := custom("n1-standard-8", gpus("NVIDIA_TESLA_T4", math.MaxInt64))
	hostile.WorkerType, hostile.WorkerCount, hostile.WorkerConfig = "n1-standard-8", math.MaxInt64, hostile.MasterConfig
	hostile.Hyperparameters = &job.HyperparameterSpec{MaxTrials: math.MaxInt32, MaxParallelTrials: math.MaxInt32}
	for _, test := range []struct {
		name string
		in   job.TrainingInput
		want int64
	}{
		{"no tier", job.TrainingInput{}, 0},
		{"processors alone", custom("n1-standard-8", nil), 0},
		{"BASIC_GPU", job.TrainingInput{ScaleTier: "BASIC_GPU"}, 1},
		{"an old name", custom("complex_model_l_gpu", nil), 8},
		{"named", custom("n1-standard-8", gpus("NVIDIA_TESLA_T4", 4)), 4},
		{"a count that is missing is one", custom("n1-standard-8", gpus("NVIDIA_TESLA_T4", 0)), 1},
		{"of the machine", custom("a2-highgpu-4g", nil), 4},
		{"of the machine, and named", custom("a3-highgpu-8g", gpus("NVIDIA_H100_80GB", 8)), 8},
		{"of the machine, and fewer named", custom("a2-megagpu-16g", gpus("NVIDIA_TESLA_A100", 1)), 16},
		{"of a machine that jobdrop does not know", custom("a9-ultragpu-4g", nil), 4},
		{"G2", custom("g2-standard-96", nil), 8},
		{"one of the larger G2", custom("g2-standard-32", nil), 1},
		{"chips of a TPU", custom("ct5lp-hightpu-4t", nil), 4},
		{"roles", workers, 2 + 3*4},
		{"parallel trials", tuning, 2 * 5},
		{"no more than there are trials", few, 2 * 3},
		{"BASIC_TPU", job.TrainingInput{ScaleTier: "BASIC_TPU"}, 8},
		{"cloud_tpu", custom("cloud_tpu", nil), 8},
		{"cores of a TPU", custom("cloud_tpu", gpus("TPU_V3_POD", 32)), 32},
		{"hostile", hostile, math.MaxInt64 / 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, _ := of(test.in, job.Mapping{})
			if got := p.Accelerators(); got != test.want {
				t.Errorf("%d accelerators, want %d", got, test.want)
			}
		})
	}
}

func TestAcceleratorSeconds(t *testing.T) {
	in := job.TrainingInput{ScaleTier: "CUSTOM", MasterType: "a2-highgpu-4g"}
	p, _ := of(in, job.Mapping{})
	if got, want := p.AcceleratorSeconds(p.RunLimit()), int64(4*168*3600); got != want {
		t.Errorf("without a limit: %d, want %d", got, want)
	}
	in.Scheduling = &job.Scheduling{MaxRunningTime: "90.5s"}
	p, _ = of(in, job.Mapping{})
	if got, want := p.AcceleratorSeconds(p.RunLimit()), int64(4*91); got != want {
		t.Errorf("with a limit: %d, want %d", got, want)
	}
	for ran, want := range map[time.Duration]int64{
		0: 0, -time.Hour: 0, 1: 4, time.Second: 4, time.Second + 1: 8, time.Hour: 4 * 3600,
	} {
		if got := p.AcceleratorSeconds(ran); got != want {
			t.Errorf("after %s: %d, want %d", ran, got, want)
		}
	}
	in.MasterConfig = &job.ReplicaConfig{
		AcceleratorConfig: &job.AcceleratorConfig{Type: "NVIDIA_TESLA_A100", Count: math.MaxInt64},
	}
	if p, _ = of(in, job.Mapping{}); p.AcceleratorSeconds(math.MaxInt64) != math.MaxInt64/4 {
		t.Errorf("hostile: %d", p.AcceleratorSeconds(math.MaxInt64))
	}
}

// Names of machines that bring none have numbers, too.
func TestBundled(t *testing.T) {
	for machine, want := range map[string]int64{
		"": 0, "n1-highcpu-8": 0, "e2-standard-4": 0, "c3-standard-192-metal": 0, "x-y-99999g": 0, "a2-ultragpu-8g": 8,
		"g4-standard-48": 1, "g4-standard-6": 1, "a3-highgpu-8g-nolssd": 8, "a4x-maxgpu-4g-metal": 4, "a2-highgpu-many": 1,
		"ct6e-standard-8t": 8, "ct6e-standard-8t-tpu": 8,
	} {
		if _, got := plan.Bundled(machine); got != want {
			t.Errorf("%s: %d, want %d", machine, got, want)
		}
	}
}

// A mapping replaces an accelerator, and not their number.
func TestAcceleratorsReplaced(t *testing.T) {
	p, _ := of(job.TrainingInput{ScaleTier: "BASIC_GPU"}, job.Mapping{Accelerators: map[string]string{
		"NVIDIA_TESLA_K80": "NVIDIA_TESLA_T4",
	}})
	if p.Accelerators() != 1 {
		t.Errorf("%d accelerators", p.Accelerators())
	}
}
