// Package plan turns a job file's words into what a service has to provide: roles
// with their replicas, machines, accelerators, images and command lines, the
// limits on time, and the tuning study. It knows AI Platform Training's presets
// and old machine names, and no service that runs jobs: an adapter puts a plan
// into the words of its own.
//
// A plan is pure: the same order gives the same plan.
package plan

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Plan is a job as it is to be run.
type Plan struct {
	JobID  string
	Labels map[string]string
	Region string
	// Roles are those with replicas, the master first, then worker, parameter
	// server, evaluator.
	Roles []Role
	// TPUs counts the cores of AI Platform Training's TPUs that the file asks for. They are in no role.
	TPUs int64
	// Python is what roles without an image run; nil where all have one.
	Python *Python
	// JobDir is the gs:// URI that programs get as --job-dir; empty for none.
	JobDir string
	// Primary is the master's name in TF_CONFIG, chief or master.
	Primary string
	// Run and Wait are limits on the job's time, see package job; 0 is none.
	Run, Wait       time.Duration
	DisableRetries  bool
	ServiceAccount  string
	Network         string
	KMSKey          string
	EnableWebAccess bool
	// Study is nil for a job that runs once.
	Study *job.HyperparameterSpec
}

// Role is replicas that are alike.
type Role struct {
	Name     RoleName
	Replicas int64
	// Machine is a Compute Engine machine type.
	Machine string
	// Accelerator is an accelerator of ml/v1's names, Accelerators how many of
	// it each replica has; empty and 0 for none.
	Accelerator  string
	Accelerators int64
	// AcceleratorField is where the job file chose it; empty for none.
	AcceleratorField string
	// DiskType and DiskGB are the boot disk's; empty and 0 for the service's own.
	DiskType string
	DiskGB   int32
	// Image is the role's own image; empty where it runs the job's Python
	// packages.
	Image string
	// Command replaces the image's entry point where given; Args are the
	// program's, less --job-dir.
	Command []string
	Args    []string
}

// RoleName is a role in TF_CONFIG's words, but for the master.
type RoleName string

// The roles.
const (
	Master          RoleName = "master"
	Worker          RoleName = "worker"
	ParameterServer RoleName = "ps"
	Evaluator       RoleName = "evaluator"
)

// Field returns the path in a job file of a setting of the role: its type, its
// count, or a member of its config.
func (r RoleName) Field(suffix string) string {
	if r == ParameterServer {
		return "trainingInput.parameterServer" + suffix
	}
	return "trainingInput." + string(r) + suffix
}

// Python is a program of Python packages.
type Python struct {
	Packages []string // gs:// URIs
	Module   string
	// Runtime and Version are the file's runtimeVersion and pythonVersion, the
	// latter with the service's default.
	Runtime, Version string
	// Image is the operator's own for these; empty for none.
	Image string
}

// Replicas counts those of all roles.
func (p Plan) Replicas() int64 {
	sum := int64(0)
	for _, r := range p.Roles {
		sum += r.Replicas
	}
	return sum
}

// New returns the plan of a job. Each part of the job that has no place in any plan
// is a diagnostic with its reason.
func New(o job.Order) (Plan, []Diagnostic) {
	b := builder{in: cmp.Or(o.TrainingInput, &job.TrainingInput{}), mapping: o.Mapping}
	in := b.in
	b.plan = Plan{
		JobID: o.JobID, Labels: maps.Clone(o.Labels), Region: in.Region, JobDir: in.JobDir, Primary: Primary(in),
		ServiceAccount: in.ServiceAccount, Network: in.Network, EnableWebAccess: in.EnableWebAccess,
		DisableRetries: o.DisableRetries, Study: in.Hyperparameters,
	}
	if in.EncryptionConfig != nil {
		b.plan.KMSKey = in.EncryptionConfig.KMSKeyName
	}
	b.scheduling()
	b.roles()
	b.python()
	return b.plan, b.told
}

type builder struct {
	in      *job.TrainingInput
	mapping job.Mapping
	plan    Plan
	told    []Diagnostic
}

func (b *builder) tell(field string, a Action, why, remedy string) {
	b.told = append(b.told, Diagnostic{Field: field, Action: a, Why: why, Remedy: remedy})
}

func (b *builder) scheduling() {
	s := b.in.Scheduling
	if s == nil {
		return
	}
	b.plan.Wait, b.plan.Run = s.Limits()
	if s.Priority != 0 {
		b.tell("trainingInput.scheduling.priority", Dropped, "no service of today orders jobs by it", "remove the field")
	}
}

// python adds what roles without an image run.
func (b *builder) python() {
	in := b.in
	if !slices.ContainsFunc(b.plan.Roles, func(r Role) bool { return r.Image == "" }) {
		const why, remedy = "every replica runs an image as it is, and nothing is installed in it",
			"have the image bring the program, and remove packageUris and pythonModule"
		if len(in.PackageURIs) > 0 && len(b.plan.Roles) > 0 {
			b.tell("trainingInput.packageUris", Dropped, why, remedy)
		}
		if in.PythonModule != "" && len(b.plan.Roles) > 0 {
			b.tell("trainingInput.pythonModule", Dropped, why, remedy)
		}
		return
	}
	b.plan.Python = &Python{
		Packages: in.PackageURIs, Module: in.PythonModule, Runtime: in.RuntimeVersion,
		Version: in.Python(), Image: b.mapping.Image,
	}
}

// Primary returns the master's name in TF_CONFIG. It is chief from runtime 2.1 on
// and if no version is set, and master before. In containers it is master unless the
// job asks for chief (Google's guide to distributed training).
func Primary(in *job.TrainingInput) string {
	switch {
	case in.HasImage() && in.UseChiefInTFConfig:
		return "chief"
	case in.HasImage(), in.RuntimeBefore(2, 1):
		return "master"
	}
	return "chief"
}

// TFConfig returns the environment variable TF_CONFIG of a job's only replica, as AI
// Platform Training set it on every machine of every job. The cluster is the replica
// itself.
func TFConfig(p Plan, in *job.TrainingInput) (string, error) {
	input, err := SnakeJSON(in)
	if err != nil {
		return "", err
	}
	return ClusterConfig(map[string][]string{p.Primary: {"127.0.0.1:2222"}}, input, Task{Type: p.Primary})
}

// Task is a replica's part in TF_CONFIG.
type Task struct {
	Type  string `json:"type"`
	Index int    `json:"index"`
	Trial string `json:"trial,omitempty"`
}

// ClusterConfig returns TF_CONFIG as AI Platform Training wrote it: the addresses of
// each role, the training input under its proto names, and the replica's own part.
func ClusterConfig(cluster map[string][]string, input json.RawMessage, t Task) (string, error) {
	text, err := json.Marshal(struct {
		Cluster     map[string][]string `json:"cluster"`
		Environment string              `json:"environment"`
		Job         json.RawMessage     `json:"job"`
		Task        Task                `json:"task"`
	}{cluster, "cloud", input, t})
	return string(text), err
}
