package job

import (
	"strconv"
	"strings"
	"time"
)

// Spec is a training job as ml/v1 writes it: the Job resource less the fields
// that only the service sets. JSON names, nesting and number formats are those
// of the API's discovery document (ml/v1, revision 20251213), so that a Spec's
// JSON is a valid request body.
type Spec struct {
	JobID         string            `json:"jobId,omitempty"`
	Labels        map[string]string `json:"labels,omitempty"`
	TrainingInput *TrainingInput    `json:"trainingInput,omitempty"`
}

// TrainingInput mirrors GoogleCloudMlV1__TrainingInput.
type TrainingInput struct {
	Args                  []string            `json:"args,omitempty"`
	EnableWebAccess       bool                `json:"enableWebAccess,omitempty"`
	EncryptionConfig      *EncryptionConfig   `json:"encryptionConfig,omitempty"`
	EvaluatorConfig       *ReplicaConfig      `json:"evaluatorConfig,omitempty"`
	EvaluatorCount        int64               `json:"evaluatorCount,omitempty,string"`
	EvaluatorType         string              `json:"evaluatorType,omitempty"`
	Hyperparameters       *HyperparameterSpec `json:"hyperparameters,omitempty"`
	JobDir                string              `json:"jobDir,omitempty"`
	MasterConfig          *ReplicaConfig      `json:"masterConfig,omitempty"`
	MasterType            string              `json:"masterType,omitempty"`
	Network               string              `json:"network,omitempty"`
	PackageURIs           []string            `json:"packageUris,omitempty"`
	ParameterServerConfig *ReplicaConfig      `json:"parameterServerConfig,omitempty"`
	ParameterServerCount  int64               `json:"parameterServerCount,omitempty,string"`
	ParameterServerType   string              `json:"parameterServerType,omitempty"`
	PythonModule          string              `json:"pythonModule,omitempty"`
	PythonVersion         string              `json:"pythonVersion,omitempty"`
	Region                string              `json:"region,omitempty"`
	RuntimeVersion        string              `json:"runtimeVersion,omitempty"`
	ScaleTier             string              `json:"scaleTier,omitempty" enum:"SCALE_TIER_UNSPECIFIED BASIC STANDARD_1 PREMIUM_1 BASIC_GPU BASIC_TPU CUSTOM"`
	Scheduling            *Scheduling         `json:"scheduling,omitempty"`
	ServiceAccount        string              `json:"serviceAccount,omitempty"`
	UseChiefInTFConfig    bool                `json:"useChiefInTfConfig,omitempty"`
	WorkerConfig          *ReplicaConfig      `json:"workerConfig,omitempty"`
	WorkerCount           int64               `json:"workerCount,omitempty,string"`
	WorkerType            string              `json:"workerType,omitempty"`
}

// Scheduling mirrors GoogleCloudMlV1__Scheduling. Durations are text in
// seconds with the suffix s, e.g. 3600s; [ParseDuration] reads them.
type Scheduling struct {
	MaxRunningTime string `json:"maxRunningTime,omitempty"`
	MaxWaitTime    string `json:"maxWaitTime,omitempty"`
	Priority       int32  `json:"priority,omitempty"`
}

// Limits returns the limits on the job's time; 0 is none. A text that can't be read counts as none:
// the rules of job files refuse it before.
func (s *Scheduling) Limits() (wait, run time.Duration) {
	if s == nil {
		return 0, 0
	}
	if d, err := ParseDuration(s.MaxWaitTime); err == nil {
		wait = d
	}
	if d, err := ParseDuration(s.MaxRunningTime); err == nil {
		run = d
	}
	return wait, run
}

// ReplicaConfig mirrors GoogleCloudMlV1__ReplicaConfig.
type ReplicaConfig struct {
	AcceleratorConfig *AcceleratorConfig `json:"acceleratorConfig,omitempty"`
	ContainerArgs     []string           `json:"containerArgs,omitempty"`
	ContainerCommand  []string           `json:"containerCommand,omitempty"`
	DiskConfig        *DiskConfig        `json:"diskConfig,omitempty"`
	ImageURI          string             `json:"imageUri,omitempty"`
	TPUTFVersion      string             `json:"tpuTfVersion,omitempty"`
}

// AcceleratorConfig mirrors GoogleCloudMlV1__AcceleratorConfig.
type AcceleratorConfig struct {
	Count int64  `json:"count,omitempty,string"`
	Type  string `json:"type,omitempty" enum:"ACCELERATOR_TYPE_UNSPECIFIED NVIDIA_TESLA_K80 NVIDIA_TESLA_P100 NVIDIA_TESLA_V100 NVIDIA_TESLA_P4 NVIDIA_TESLA_T4 NVIDIA_TESLA_A100 TPU_V2 TPU_V3 TPU_V2_POD TPU_V3_POD TPU_V4_POD"`
}

// DiskConfig mirrors GoogleCloudMlV1__DiskConfig.
type DiskConfig struct {
	BootDiskSizeGB int32  `json:"bootDiskSizeGb,omitempty"`
	BootDiskType   string `json:"bootDiskType,omitempty"`
}

// EncryptionConfig mirrors GoogleCloudMlV1__EncryptionConfig.
type EncryptionConfig struct {
	KMSKeyName string `json:"kmsKeyName,omitempty"`
}

// HyperparameterSpec mirrors GoogleCloudMlV1__HyperparameterSpec.
type HyperparameterSpec struct {
	Algorithm                string          `json:"algorithm,omitempty" enum:"ALGORITHM_UNSPECIFIED GRID_SEARCH RANDOM_SEARCH"`
	EnableTrialEarlyStopping bool            `json:"enableTrialEarlyStopping,omitempty"`
	Goal                     string          `json:"goal,omitempty" enum:"GOAL_TYPE_UNSPECIFIED MAXIMIZE MINIMIZE"`
	HyperparameterMetricTag  string          `json:"hyperparameterMetricTag,omitempty"`
	MaxFailedTrials          int32           `json:"maxFailedTrials,omitempty"`
	MaxParallelTrials        int32           `json:"maxParallelTrials,omitempty"`
	MaxTrials                int32           `json:"maxTrials,omitempty"`
	Params                   []ParameterSpec `json:"params,omitempty"`
	ResumePreviousJobID      string          `json:"resumePreviousJobId,omitempty"`
}

// Parallel returns how many trials run at once: one, by the API, if the spec says nothing, and never more than there are.
func (h *HyperparameterSpec) Parallel() int64 {
	return int64(min(max(h.MaxParallelTrials, 1), max(h.MaxTrials, 1)))
}

// ParameterSpec mirrors GoogleCloudMlV1__ParameterSpec. The bounds are
// pointers: zero is a bound, absence is none.
type ParameterSpec struct {
	CategoricalValues []string  `json:"categoricalValues,omitempty"`
	DiscreteValues    []float64 `json:"discreteValues,omitempty"`
	MaxValue          *float64  `json:"maxValue,omitempty"`
	MinValue          *float64  `json:"minValue,omitempty"`
	ParameterName     string    `json:"parameterName,omitempty"`
	ScaleType         string    `json:"scaleType,omitempty" enum:"NONE UNIT_LINEAR_SCALE UNIT_LOG_SCALE UNIT_REVERSE_LOG_SCALE"`
	Type              string    `json:"type,omitempty" enum:"PARAMETER_TYPE_UNSPECIFIED DOUBLE INTEGER CATEGORICAL DISCRETE"`
}

// HasImage reports whether the job runs in the user's own containers, which need no
// packages.
func (t *TrainingInput) HasImage() bool {
	return t.MasterConfig != nil && t.MasterConfig.ImageURI != ""
}

// Python returns the job's Python version. If the job names none, it is the default:
// 3.7 from runtime version 2.1 on, which has no other, and 2.7 before (reference,
// TrainingInput.pythonVersion).
func (t *TrainingInput) Python() string {
	switch {
	case t.PythonVersion != "":
		return t.PythonVersion
	case t.RuntimeBefore(2, 1):
		return "2.7"
	}
	return "3.7"
}

// RuntimeBefore reports whether the runtime version is older than major.minor. It is
// false for a text that is not a version.
func (t *TrainingInput) RuntimeBefore(major, minor int) bool {
	a, b, _ := strings.Cut(t.RuntimeVersion, ".")
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(b)
	return errX == nil && errY == nil && (x < major || x == major && y < minor)
}

// Options is what jobdrop adds to the job file, under the key jobdrop.
type Options struct {
	// Packages pins packages of the drop: one that does not match its pin
	// counts as not there yet.
	Packages []Pin `json:"packages,omitempty"`
	// Notify names routes of the operator's policy.
	Notify []string `json:"notify,omitempty"`
	// Backend names the service that runs the job; empty is the installation's own
	// choice. Its earlier name is still read.
	Backend string `json:"backend,omitempty" was:"trainer" enum:"aiplatform vertex"`
	// Vertex is what the job asks of Vertex AI beside what ml/v1 can say.
	Vertex *VertexOptions `json:"vertex,omitempty"`
}

// Pin says which content of a package the job file means: by the object's
// generation, its CRC32C (base64 of the big-endian sum, as Cloud Storage
// writes it), or both.
type Pin struct {
	Name       string `json:"name"`
	Generation int64  `json:"generation,omitempty,string"`
	CRC32C     string `json:"crc32c,omitempty"`
}
