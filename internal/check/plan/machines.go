package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// machine is what a preset or an old name stands for.
type machine struct {
	name        string
	accelerator string
	count       int64
}

const (
	k80  = "NVIDIA_TESLA_K80"
	p100 = "NVIDIA_TESLA_P100"
	v100 = "NVIDIA_TESLA_V100"
)

// legacy are the machine types that AI Platform Training had names of its own for
// (its retired page on machine types; those with V100 by the pattern of the
// others).
var legacy = map[string]machine{
	"standard":             {name: "n1-standard-4"},
	"large_model":          {name: "n1-highmem-8"},
	"complex_model_s":      {name: "n1-highcpu-8"},
	"complex_model_m":      {name: "n1-highcpu-16"},
	"complex_model_l":      {name: "n1-highcpu-32"},
	"standard_gpu":         {"n1-standard-8", k80, 1},
	"complex_model_m_gpu":  {"n1-standard-16", k80, 4},
	"complex_model_l_gpu":  {"n1-standard-32", k80, 8},
	"standard_p100":        {"n1-standard-8", p100, 1},
	"complex_model_m_p100": {"n1-standard-16", p100, 4},
	"standard_v100":        {"n1-standard-8", v100, 1},
	"large_model_v100":     {"n1-highmem-8", v100, 1},
	"complex_model_m_v100": {"n1-standard-16", v100, 4},
	"complex_model_l_v100": {"n1-standard-32", v100, 8},
}

// instead are machines that tiers and old names stood for and that no service trains
// on: the next larger ones run the job.
var instead = map[string]string{"n1-highcpu-8": "n1-standard-8"}

// preset is what a scale tier stands for.
type preset struct {
	master, worker, ps machine
}

// presets are the scale tiers that stand for machines (the same page).
var presets = map[string]preset{
	"BASIC":      {master: machine{name: "n1-standard-4"}},
	"BASIC_GPU":  {master: machine{"n1-standard-8", k80, 1}},
	"STANDARD_1": {machine{name: "n1-highcpu-8"}, machine{name: "n1-highcpu-8"}, machine{name: "n1-standard-4"}},
	"PREMIUM_1":  {machine{name: "n1-highcpu-16"}, machine{name: "n1-highcpu-16"}, machine{name: "n1-highmem-8"}},
}

const tierField = "trainingInput.scaleTier"

// roles adds the job's roles.
func (b *builder) roles() {
	in := b.in
	if in.ScaleTier == "BASIC_TPU" {
		b.tpus(1, nil)
		b.refuseTPU(tierField)
		return
	}
	tier := in.ScaleTier
	if tier == "" || tier == "SCALE_TIER_UNSPECIFIED" {
		tier = "BASIC" // the API's default
	}
	if p, ok := presets[tier]; ok {
		p.master = b.today(p.master, tier, tierField)
		p.worker = b.today(p.worker, tier, tierField)
		p.ps = b.today(p.ps, tier, tierField)
		workers, servers := job.TierReplicas(tier)
		b.role(Master, 1, p.master, tierField, in.MasterConfig)
		b.role(Worker, workers, p.worker, tierField, in.WorkerConfig)
		b.role(ParameterServer, servers, p.ps, tierField, in.ParameterServerConfig)
		return
	}
	b.custom(Master, 1, in.MasterType, in.MasterConfig)
	b.custom(Worker, in.WorkerCount, in.WorkerType, in.WorkerConfig)
	b.custom(ParameterServer, in.ParameterServerCount, in.ParameterServerType, in.ParameterServerConfig)
	b.custom(Evaluator, in.EvaluatorCount, in.EvaluatorType, in.EvaluatorConfig)
}

// custom adds a role whose machine the file names.
func (b *builder) custom(name RoleName, n int64, machineType string, c *job.ReplicaConfig) {
	field := name.Field("Type")
	if n > 0 && machineType == "cloud_tpu" {
		b.tpus(n, c)
		b.refuseTPU(field)
		return
	}
	m, ok := legacy[machineType]
	switch {
	case ok && n > 0:
		m = b.today(m, machineType, field)
	case ok:
	case n > 0 && strings.Contains(machineType, "_"):
		b.tell(field, Unmappable, "AI Platform Training had no machine type "+machineType+", and Compute Engine has none",
			"write a machine type of Compute Engine, e.g. n1-standard-8")
		return
	default:
		m = machine{name: machineType}
	}
	b.role(name, n, m, field, c)
}

// today returns the machine that stands for m, which the file asks for by another
// name.
func (b *builder) today(m machine, name, field string) machine {
	other, ok := instead[m.name]
	if !ok {
		return m
	}
	d := Diagnostic{
		Field: field, Action: Replaced,
		Why:    fmt.Sprintf("%s stood for %s, which no service trains on: the job gets %s", name, m.name, other),
		Remedy: "write scaleTier: CUSTOM with the machine types that the job shall have",
	}
	if !slices.Contains(b.told, d) {
		b.told = append(b.told, d)
	}
	m.name = other
	return m
}

// role adds replicas of a machine that field chose.
func (b *builder) role(name RoleName, n int64, m machine, field string, c *job.ReplicaConfig) {
	if n <= 0 {
		return
	}
	if c == nil {
		c = &job.ReplicaConfig{}
	}
	r := Role{Name: name, Replicas: n, Machine: m.name, Accelerator: m.accelerator, Accelerators: m.count, Args: b.in.Args}
	if a := c.AcceleratorConfig; a != nil && a.Type != "" && a.Type != "ACCELERATOR_TYPE_UNSPECIFIED" {
		field = name.Field("Config.acceleratorConfig.type")
		r.Accelerator, r.Accelerators = a.Type, a.Count
	}
	if strings.HasPrefix(r.Accelerator, "TPU_") || c.TPUTFVersion != "" {
		if c.TPUTFVersion != "" {
			field = name.Field("Config.tpuTfVersion")
		}
		b.tpus(n, c)
		b.refuseTPU(field)
		return
	}
	if r.Accelerator != "" {
		r.AcceleratorField = field
		b.accelerator(&r)
	} else if gpu, n := Bundled(r.Machine); strings.HasPrefix(gpu, "NVIDIA_") {
		r.Accelerator, r.Accelerators, r.AcceleratorField = gpu, n, field
	}
	if d := c.DiskConfig; d != nil {
		r.DiskType, r.DiskGB = d.BootDiskType, d.BootDiskSizeGB
	}
	// A role without an image of its own runs the master's (reference,
	// ReplicaConfig.imageUri).
	r.Image = c.ImageURI
	if r.Image == "" && b.in.HasImage() {
		r.Image = b.in.MasterConfig.ImageURI
	}
	if r.Image != "" {
		r.Command = c.ContainerCommand
		if len(c.ContainerArgs) > 0 {
			r.Args = c.ContainerArgs
		}
	}
	b.plan.Roles = append(b.plan.Roles, r)
}

// accelerator replaces a role's accelerator with the one that the operator wants.
func (b *builder) accelerator(r *Role) {
	instead := b.mapping.Accelerators[r.Accelerator]
	if instead == "" || instead == r.Accelerator {
		return
	}
	b.tell(r.AcceleratorField, Replaced, fmt.Sprintf("%s by %s, as the operator's policy says", r.Accelerator, instead),
		"name the accelerator that the job shall have")
	r.Accelerator = instead
}

func (b *builder) refuseTPU(field string) {
	b.tell(field, Unmappable, "the TPUs of AI Platform Training, which a virtual machine of their own drove, are gone",
		"write the trainer for TPU VMs, or use GPUs")
}
