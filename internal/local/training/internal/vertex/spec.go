package vertex

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// jobBody is a CustomJob of aiplatform/v1 or a HyperparameterTuningJob, as far
// as the service acts on it. What a job says else is kept and shown.
type jobBody struct {
	DisplayName    string            `json:"displayName"`
	Labels         map[string]string `json:"labels"`
	EncryptionSpec *struct {
		KMSKeyName string `json:"kmsKeyName"`
	} `json:"encryptionSpec"`
	JobSpec *jobSpec `json:"jobSpec"`

	StudySpec           *studySpec `json:"studySpec"`
	TrialJobSpec        *jobSpec   `json:"trialJobSpec"`
	MaxTrialCount       int32      `json:"maxTrialCount"`
	ParallelTrialCount  int32      `json:"parallelTrialCount"`
	MaxFailedTrialCount int32      `json:"maxFailedTrialCount"`
}

// spec returns what the job runs, or each of its trials.
func (b *jobBody) spec() *jobSpec {
	if b.TrialJobSpec != nil {
		return b.TrialJobSpec
	}
	return b.JobSpec
}

// specField returns the name of the field that holds spec.
func (b *jobBody) specField() string {
	if b.TrialJobSpec != nil {
		return "trial_job_spec"
	}
	return "job_spec"
}

// jobSpec is CustomJobSpec.
type jobSpec struct {
	BaseOutputDirectory *struct {
		OutputURIPrefix string `json:"outputUriPrefix"`
	} `json:"baseOutputDirectory"`
	Network              string                  `json:"network"`
	PersistentResourceID string                  `json:"persistentResourceId"`
	PSCInterfaceConfig   *job.PSCInterfaceConfig `json:"pscInterfaceConfig"`
	ReservedIPRanges     []string                `json:"reservedIpRanges"`
	ServiceAccount       string                  `json:"serviceAccount"`
	Scheduling           scheduling              `json:"scheduling"`
	Tensorboard          string                  `json:"tensorboard"`
	WorkerPoolSpecs      []pool                  `json:"workerPoolSpecs"`
}

type scheduling struct {
	Timeout         string `json:"timeout"`
	DisableRetries  bool   `json:"disableRetries"`
	Strategy        string `json:"strategy"`
	MaxWaitDuration string `json:"maxWaitDuration"`
}

// defaultWait is how long a FLEX_START job waits that does not say (Scheduling.maxWaitDuration).
const defaultWait = 24 * time.Hour

// wait returns how long the job may wait to run; 0 is without end. Only FLEX_START has a limit.
func (s scheduling) wait() time.Duration {
	if s.Strategy != job.StrategyFlexStart {
		return 0
	}
	if s.MaxWaitDuration == "" {
		return defaultWait
	}
	d, _ := job.ParseDuration(s.MaxWaitDuration) // the document's form was checked
	return d
}

// pool is WorkerPoolSpec.
type pool struct {
	ContainerSpec     *containerSpec     `json:"containerSpec"`
	PythonPackageSpec *pythonPackageSpec `json:"pythonPackageSpec"`
	MachineSpec       *machineSpec       `json:"machineSpec"`
	DiskSpec          *struct {
		BootDiskType   string `json:"bootDiskType"`
		BootDiskSizeGB int64  `json:"bootDiskSizeGb"`
	} `json:"diskSpec"`
	ReplicaCount int64             `json:"replicaCount,string"`
	NFSMounts    []job.NFSMount    `json:"nfsMounts"`
	LustreMounts []job.LustreMount `json:"lustreMounts"`
}

// used tells a pool from the empty ones that stand before it.
func (p *pool) used() bool {
	return p.ContainerSpec != nil || p.PythonPackageSpec != nil || p.MachineSpec != nil || p.DiskSpec != nil ||
		p.ReplicaCount != 0 ||
		len(p.NFSMounts) > 0 || len(p.LustreMounts) > 0
}

type containerSpec struct {
	ImageURI string   `json:"imageUri"`
	Command  []string `json:"command"`
	Args     []string `json:"args"`
	Env      []envVar `json:"env"`
}

type pythonPackageSpec struct {
	ExecutorImageURI string   `json:"executorImageUri"`
	PackageURIs      []string `json:"packageUris"`
	PythonModule     string   `json:"pythonModule"`
	Args             []string `json:"args"`
	Env              []envVar `json:"env"`
}

type envVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type machineSpec struct {
	MachineType         string                   `json:"machineType"`
	AcceleratorType     string                   `json:"acceleratorType"`
	AcceleratorCount    int64                    `json:"acceleratorCount"`
	TPUTopology         string                   `json:"tpuTopology"`
	GPUPartitionSize    string                   `json:"gpuPartitionSize"`
	ReservationAffinity *job.ReservationAffinity `json:"reservationAffinity"`
}

// poolRoles are the roles of the pools, by their place (Google's guide to
// distributed training).
var poolRoles = []string{jobs.RoleMaster, jobs.RoleWorker, jobs.RolePS, jobs.RoleEvaluator}

// pool of a role, which may be an empty one.
func (s *jobSpec) pool(role string) *pool {
	for i, r := range poolRoles {
		if r == role && i < len(s.WorkerPoolSpecs) {
			return &s.WorkerPoolSpecs[i]
		}
	}
	return &pool{}
}

// standsIn reports whether a container is run by this machine's Python: an image of
// Google's own, whose command is Python's.
func (c *containerSpec) standsIn() bool {
	return prebuilt.MatchString(c.ImageURI) && len(c.Command) > 0 &&
		(c.Command[0] == "python3" || c.Command[0] == "python")
}

// input returns the job as the runner counts and bounds it.
func (b *jobBody) input(a address) *job.TrainingInput {
	s := b.spec()
	in := &job.TrainingInput{
		ScaleTier: "CUSTOM", Region: a.location,
		WorkerCount: s.pool(jobs.RoleWorker).ReplicaCount, ParameterServerCount: s.pool(jobs.RolePS).ReplicaCount,
		EvaluatorCount: s.pool(jobs.RoleEvaluator).ReplicaCount,
	}
	switch {
	case b.StudySpec != nil: // the timeout is each trial's
		in.Hyperparameters = b.hyperparameters()
	case s.Scheduling.Timeout != "":
		in.Scheduling = &job.Scheduling{MaxRunningTime: s.Scheduling.Timeout}
	}
	return in
}

// parseRecord returns the body of a recorded job.
func parseRecord(v *jobs.VertexRecord) (body jobBody, err error) {
	if _, ok := kinds[v.Collection]; !ok {
		return body, fmt.Errorf("jobs of an unknown kind, %q", v.Collection)
	}
	if err := json.Unmarshal(v.Body, &body); err != nil {
		return body, err
	}
	if body.spec() == nil || (v.Collection == TuningJobs) != (body.StudySpec != nil) {
		return body, errors.New("a job without a spec")
	}
	return body, nil
}
