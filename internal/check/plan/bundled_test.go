package plan_test

import (
	"testing"

	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Machines that bring GPUs have them named in the plan: Vertex AI wants that.
func TestBundledAccelerators(t *testing.T) {
	for machine, want := range map[string]plan.Role{
		"n1-standard-8":    {},
		"a2-highgpu-4g":    {Accelerator: "NVIDIA_TESLA_A100", Accelerators: 4},
		"a2-megagpu-16g":   {Accelerator: "NVIDIA_TESLA_A100", Accelerators: 16},
		"a2-ultragpu-1g":   {Accelerator: "NVIDIA_A100_80GB", Accelerators: 1},
		"a3-highgpu-8g":    {Accelerator: "NVIDIA_H100_80GB", Accelerators: 8},
		"a3-megagpu-8g":    {Accelerator: "NVIDIA_H100_MEGA_80GB", Accelerators: 8},
		"a3-ultragpu-8g":   {Accelerator: "NVIDIA_H200_141GB", Accelerators: 8},
		"a4-highgpu-8g":    {Accelerator: "NVIDIA_B200", Accelerators: 8},
		"g2-standard-12":   {Accelerator: "NVIDIA_L4", Accelerators: 1},
		"g2-standard-48":   {Accelerator: "NVIDIA_L4", Accelerators: 4},
		"a4x-highgpu-4g":   {Accelerator: "NVIDIA_GB200", Accelerators: 4},
		"g4-standard-48":   {Accelerator: "NVIDIA_RTX_PRO_6000", Accelerators: 1},
		"ct5lp-hightpu-4t": {},
	} {
		p, told := of(job.TrainingInput{ScaleTier: "CUSTOM", MasterType: machine},
			job.Mapping{Accelerators: map[string]string{"NVIDIA_TESLA_A100": "NVIDIA_L4"}}) // of other machines
		r := p.Roles[0]
		field := ""
		if want.Accelerator != "" {
			field = "trainingInput.masterType"
		}
		if r.Accelerator != want.Accelerator || r.Accelerators != want.Accelerators || r.AcceleratorField != field ||
			len(told) > 0 {
			t.Errorf("%s: %d %s by %q, %v; want %d %s", machine, r.Accelerators, r.Accelerator, r.AcceleratorField, told,
				want.Accelerators, want.Accelerator)
		}
	}
}
