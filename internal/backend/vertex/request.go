package vertex

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	aiplatform "google.golang.org/api/aiplatform/v1"

	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The types of the API have long names.
type (
	customJob  = aiplatform.GoogleCloudAiplatformV1CustomJob
	tuningJob  = aiplatform.GoogleCloudAiplatformV1HyperparameterTuningJob
	jobSpec    = aiplatform.GoogleCloudAiplatformV1CustomJobSpec
	workerPool = aiplatform.GoogleCloudAiplatformV1WorkerPoolSpec
	envVar     = aiplatform.GoogleCloudAiplatformV1EnvVar
)

// Request is the call that creates a job: one of Custom and Tuning is set.
type Request struct {
	// Parent is projects/PROJECT/locations/REGION.
	Parent string
	Custom *customJob
	Tuning *tuningJob
}

// Region returns where the job is to run.
func (r Request) Region() string { return r.Parent[strings.LastIndexByte(r.Parent, '/')+1:] }

// Collection returns the name of the resources that the job is one of.
func (r Request) Collection() string {
	if r.Tuning != nil {
		return tuningJobs
	}
	return customJobs
}

// Body returns the job, for the request's JSON.
func (r Request) Body() any {
	if r.Tuning != nil {
		return r.Tuning
	}
	return r.Custom
}

// spec returns what each run of the job is.
func (r Request) spec() *jobSpec {
	if r.Tuning != nil {
		return r.Tuning.TrialJobSpec
	}
	return r.Custom.JobSpec
}

// The collections of jobs.
const (
	customJobs = "customJobs"
	tuningJobs = "hyperparameterTuningJobs"
)

// NewRequest returns the request that creates a job in a project, and every
// difference between the file and the request. If one of them is [plan.Unmappable],
// the request must not be sent. The request depends on the order alone; today
// decides which images may be gone.
func NewRequest(project string, o job.Order, today time.Time) (Request, []plan.Diagnostic) {
	p, told := plan.New(o)
	b := builder{
		plan: p, in: cmp.Or(o.TrainingInput, &job.TrainingInput{}), own: cmp.Or(o.Vertex, &job.VertexOptions{}),
		today: today, told: told,
	}
	b.names()
	if !slices.Contains(regions, p.Region) {
		b.tell("trainingInput.region", plan.Doubtful, "Vertex AI is not known to train there",
			"choose a region of its page on locations")
	}
	spec := b.spec()
	r := Request{Parent: "projects/" + project + "/locations/" + p.Region}
	var key *aiplatform.GoogleCloudAiplatformV1EncryptionSpec
	if p.KMSKey != "" {
		key = &aiplatform.GoogleCloudAiplatformV1EncryptionSpec{KmsKeyName: p.KMSKey}
	}
	if p.Study == nil {
		r.Custom = &customJob{DisplayName: p.JobID, Labels: p.Labels, JobSpec: spec, EncryptionSpec: key}
		return r, b.told
	}
	r.Tuning = &tuningJob{
		DisplayName: p.JobID, Labels: p.Labels, TrialJobSpec: spec, EncryptionSpec: key, StudySpec: b.study(),
		MaxTrialCount: int64(max(p.Study.MaxTrials, 1)), ParallelTrialCount: int64(max(p.Study.MaxParallelTrials, 1)),
		MaxFailedTrialCount: int64(p.Study.MaxFailedTrials),
	}
	return r, b.told
}

type builder struct {
	plan  plan.Plan
	in    *job.TrainingInput
	own   *job.VertexOptions
	today time.Time
	told  []plan.Diagnostic
}

func (b *builder) tell(field string, a plan.Action, why, remedy string) {
	for _, d := range b.told {
		if d.Field == field && d.Action == a && d.Why == why {
			return // of another role of the same kind
		}
	}
	b.told = append(b.told, plan.Diagnostic{Field: field, Action: a, Why: why, Remedy: remedy})
}

// maxDisplayName is the API's (CustomJob.displayName, in characters).
const maxDisplayName = 128

// maxLabels is the service's.
const maxLabels = 64

// names checks what is written as it stands, and never shortened or mended: by it
// the job is found again.
func (b *builder) names() {
	if n := len([]rune(b.plan.JobID)); n > maxDisplayName {
		b.tell("jobId", plan.Unmappable,
			fmt.Sprintf("it is the job's display name, which has at most %d characters, and this has %d", maxDisplayName, n),
			"write a shorter one")
	}
	n := len(b.plan.Labels)
	if b.plan.Labels[job.LabelInstance] == "" {
		n += 3 // jobdrop's own are yet to come
	}
	if n > maxLabels {
		b.tell("labels", plan.Unmappable,
			fmt.Sprintf("a job has at most %d labels, jobdrop's own among them, and this has %d", maxLabels, n), "remove some")
	}
	for _, key := range slices.Sorted(maps.Keys(b.plan.Labels)) {
		if !job.IsLabelKey(key) || !job.IsLabel(b.plan.Labels[key]) {
			b.tell("labels."+key, plan.Unmappable,
				"Vertex AI takes keys and values of lower-case letters, digits, _ and -, up to 63 characters, keys beginning "+
					"with a letter", "write it so")
		}
	}
}

// spec returns the spec of each run of the job.
func (b *builder) spec() *jobSpec {
	p := b.plan
	spec := &jobSpec{
		ServiceAccount: p.ServiceAccount, Network: p.Network, EnableWebAccess: p.EnableWebAccess,
	}
	spec.Scheduling = b.scheduling()
	b.options(spec)
	if p.JobDir != "" {
		spec.BaseOutputDirectory = &aiplatform.GoogleCloudAiplatformV1GcsDestination{OutputUriPrefix: p.JobDir}
	}
	for _, r := range p.Roles {
		at := map[plan.RoleName]int{plan.Master: 0, plan.Worker: 1, plan.ParameterServer: 2, plan.Evaluator: 3}[r.Name]
		for len(spec.WorkerPoolSpecs) <= at {
			spec.WorkerPoolSpecs = append(spec.WorkerPoolSpecs, &workerPool{}) // a nil would be null
		}
		spec.WorkerPoolSpecs[at] = b.pool(r)
	}
	if b.own.FlexStart() {
		b.flexStart()
	}
	b.reserved()
	if p.Replicas() > 1 && p.Primary != "chief" {
		field := "trainingInput.runtimeVersion"
		if b.in.HasImage() {
			field = "trainingInput.useChiefInTfConfig"
		}
		b.tell(field, plan.Replaced,
			"in TF_CONFIG the first replica is called chief, where AI Platform Training called it master",
			"have the trainer read both names")
	}
	return spec
}

// pool returns the worker pool of a role.
func (b *builder) pool(r plan.Role) *workerPool {
	pool := &workerPool{
		ReplicaCount: r.Replicas,
		MachineSpec: &aiplatform.GoogleCloudAiplatformV1MachineSpec{
			MachineType: r.Machine, AcceleratorType: r.Accelerator, AcceleratorCount: r.Accelerators,
			GpuPartitionSize: b.own.GPUPartitionSize, ReservationAffinity: b.reservation(),
		},
		NfsMounts: b.nfsMounts(), LustreMounts: b.lustreMounts(),
	}
	b.accelerator(r)
	b.partition(r)
	if r.DiskType != "" || r.DiskGB > 0 {
		pool.DiskSpec = &aiplatform.GoogleCloudAiplatformV1DiskSpec{BootDiskType: r.DiskType, BootDiskSizeGb: int64(r.DiskGB)}
	}
	switch {
	case r.Image != "":
		pool.ContainerSpec = &aiplatform.GoogleCloudAiplatformV1ContainerSpec{
			ImageUri: r.Image,
			Command:  r.Command,
			Args:     b.withJobDir(r.Args),
			Env:      b.tfConfig(),
		}
		if b.plan.Study != nil {
			b.sameForTrials(r)
		}
	case b.bootstraps():
		pool.ContainerSpec = &aiplatform.GoogleCloudAiplatformV1ContainerSpec{
			ImageUri: b.image(r), Command: []string{"python3", "-c", bootstrap}, Args: r.Args, Env: b.settings(),
		}
	default:
		pool.PythonPackageSpec = &aiplatform.GoogleCloudAiplatformV1PythonPackageSpec{
			ExecutorImageUri: b.image(r), PackageUris: b.plan.Python.Packages, PythonModule: b.plan.Python.Module,
			Args: b.withJobDir(r.Args), Env: b.tfConfig(),
		}
	}
	return pool
}

// gone are accelerators that Vertex AI has no machines with any more.
var gone = map[string]string{
	"NVIDIA_TESLA_K80": "NVIDIA_TESLA_K80 has reached its end of support",
}

// accelerator reports where a role's accelerator is not available.
func (b *builder) accelerator(r plan.Role) {
	why, ok := gone[r.Accelerator]
	if !ok {
		return
	}
	b.tell(r.AcceleratorField, plan.Unmappable, why,
		b.otherAccelerator(r)+", or have the operator put another in its place (policy: vertex.accelerators)")
}

// maxT4 is how many of NVIDIA_TESLA_T4 a machine has at most.
const maxT4 = 4

// otherAccelerator says how a job file asks for a role's machine with an accelerator
// of today.
func (b *builder) otherAccelerator(r plan.Role) string {
	const tier = "trainingInput.scaleTier"
	short := func(suffix string) string { return strings.TrimPrefix(r.Name.Field(suffix), "trainingInput.") }
	count := min(r.Accelerators, maxT4)
	switch r.AcceleratorField {
	case tier:
		return fmt.Sprintf("write scaleTier: CUSTOM, %s: %s, and in %s type: NVIDIA_TESLA_T4 and count: %d",
			short("Type"), r.Machine, short("Config.acceleratorConfig"), count)
	case r.Name.Field("Type"):
		return fmt.Sprintf("write %s: %s, and in %s type: NVIDIA_TESLA_T4 and count: %d",
			short("Type"), r.Machine, short("Config.acceleratorConfig"), count)
	}
	if count < r.Accelerators {
		return fmt.Sprintf("write type: NVIDIA_TESLA_T4 and count: %d", count)
	}
	return "write type: NVIDIA_TESLA_T4"
}

// withJobDir adds --job-dir to a program's arguments, as AI Platform Training did:
// Vertex AI gives it in the environment alone.
func (b *builder) withJobDir(args []string) []string {
	if b.plan.JobDir == "" {
		return args
	}
	return append(append([]string(nil), args...), "--job-dir", b.plan.JobDir)
}

// tfConfig returns TF_CONFIG for a job's only replica. Vertex AI sets it for more.
func (b *builder) tfConfig() []*envVar {
	text := b.tfText()
	if text == "" {
		return nil
	}
	return []*envVar{{Name: "TF_CONFIG", Value: literal(text)}}
}

// tfText returns the content of TF_CONFIG, or "" for a job of several replicas.
func (b *builder) tfText() string {
	if b.plan.Replicas() != 1 {
		return ""
	}
	text, _ := plan.TFConfig(b.plan, b.in) // a job that came from JSON can be written as JSON
	return text
}

// literal writes a text so that the service, which expands $(NAME) in the values of
// environment variables, gives it as it is (EnvVar.value).
func literal(text string) string { return strings.ReplaceAll(text, "$(", "$$(") }

// sameForTrials reports what a trial in the user's own image can't be given.
func (b *builder) sameForTrials(r plan.Role) {
	field := r.Name.Field("Config.imageUri")
	if b.plan.JobDir != "" {
		b.tell("trainingInput.jobDir", plan.Replaced,
			"all trials of an image get the same --job-dir; each trial's own is AIP_MODEL_DIR, less /model",
			"write below AIP_MODEL_DIR")
	}
	if b.plan.Replicas() == 1 {
		b.tell(field, plan.Dropped, "TF_CONFIG of a trial in an image has no task.trial", "read CLOUD_ML_TRIAL_ID")
	}
}

// bootstraps reports whether a program of ours installs and runs the job's packages.
// It does in an operator's image, which the service's own installer does not accept,
// and in trials, which the service gives no job directory of their own.
func (b *builder) bootstraps() bool { return b.plan.Python.Image != "" || b.plan.Study != nil }

// bootstrapEnv is the variable that the bootstrap reads.
const bootstrapEnv = "JOBDROP_BOOTSTRAP"

// settings returns the variables that the bootstrap reads from its environment.
func (b *builder) settings() []*envVar {
	p := b.plan
	text, _ := json.Marshal(struct {
		Packages []string `json:"packages"`
		Module   string   `json:"module"`
		JobDir   string   `json:"jobDir,omitempty"`
		Trials   bool     `json:"trials,omitempty"`
		TFConfig string   `json:"tfConfig,omitempty"`
	}{p.Python.Packages, p.Python.Module, p.JobDir, p.Study != nil, b.tfText()}) // strings and a bool: no error
	return []*envVar{{Name: bootstrapEnv, Value: literal(string(text))}}
}

// study returns the study of a tuning job.
func (b *builder) study() *aiplatform.GoogleCloudAiplatformV1StudySpec {
	s, at := b.plan.Study, "trainingInput.hyperparameters"
	// The metric's name where a job gives none (reference,
	// HyperparameterSpec.hyperparameterMetricTag).
	metric := cmp.Or(s.HyperparameterMetricTag, "training/hptuning/metric")
	if strings.ContainsFunc(metric, unicode.IsSpace) {
		b.tell(at+".hyperparameterMetricTag", plan.Unmappable, "Vertex AI takes no metric with a space in its name",
			"rename the metric")
	}
	b.tell(at+".hyperparameterMetricTag", plan.Doubtful,
		"Vertex AI reads the metric as the package cloudml-hypertune reports it, and no summaries of TensorFlow",
		"report it by hypertune.HyperTune().report_hyperparameter_tuning_metric")
	goal := s.Goal
	if goal == "" || goal == "GOAL_TYPE_UNSPECIFIED" {
		goal = "MAXIMIZE" // as ml/v1 took it
	}
	spec := &aiplatform.GoogleCloudAiplatformV1StudySpec{
		Metrics: []*aiplatform.GoogleCloudAiplatformV1StudySpecMetricSpec{{MetricId: metric, Goal: goal}},
	}
	if s.Algorithm != "ALGORITHM_UNSPECIFIED" {
		spec.Algorithm = s.Algorithm
	}
	if s.EnableTrialEarlyStopping {
		spec.MedianAutomatedStoppingSpec = &aiplatform.GoogleCloudAiplatformV1StudySpecMedianAutomatedStoppingSpec{}
		b.tell(at+".enableTrialEarlyStopping", plan.Replaced,
			"by Vertex AI's median rule, the nearest to what AI Platform Training did",
			"leave it out to run each trial to its end")
	}
	if s.ResumePreviousJobID != "" {
		b.tell(at+".resumePreviousJobId", plan.Unmappable, "Vertex AI can't go on with an earlier job's trials",
			"remove the field")
	}
	for i, p := range s.Params {
		spec.Parameters = append(spec.Parameters, b.parameter(p, fmt.Sprintf("%s.params[%d]", at, i)))
	}
	return spec
}

func (b *builder) parameter(p job.ParameterSpec, at string) *aiplatform.GoogleCloudAiplatformV1StudySpecParameterSpec {
	out := &aiplatform.GoogleCloudAiplatformV1StudySpecParameterSpec{ParameterId: p.ParameterName}
	if p.ScaleType != "" && p.ScaleType != "NONE" && p.Type != "CATEGORICAL" {
		out.ScaleType = p.ScaleType
	}
	bound := func(v *float64) float64 {
		if v == nil {
			return 0
		}
		return *v
	}
	low, high := bound(p.MinValue), bound(p.MaxValue)
	// The client leaves out zeros, and zero is a bound like any other.
	force := []string{"MinValue", "MaxValue"}
	switch p.Type {
	case "DOUBLE":
		out.DoubleValueSpec = &aiplatform.GoogleCloudAiplatformV1StudySpecParameterSpecDoubleValueSpec{
			MinValue:        low,
			MaxValue:        high,
			ForceSendFields: force,
		}
		if b.plan.Study.Algorithm == "GRID_SEARCH" {
			b.tell(at+".type", plan.Unmappable, "Vertex AI searches no grid over a DOUBLE",
				"write a DISCRETE parameter with the grid's values, or another algorithm")
		}
	case "INTEGER":
		out.IntegerValueSpec = &aiplatform.GoogleCloudAiplatformV1StudySpecParameterSpecIntegerValueSpec{
			MinValue:        int64(low),
			MaxValue:        int64(high),
			ForceSendFields: force,
		}
	case "DISCRETE":
		out.DiscreteValueSpec = &aiplatform.GoogleCloudAiplatformV1StudySpecParameterSpecDiscreteValueSpec{
			Values: slices.Compact(slices.Sorted(slices.Values(p.DiscreteValues))), // the service wants them so
		}
	default: // the file was checked: CATEGORICAL
		out.CategoricalValueSpec = &aiplatform.GoogleCloudAiplatformV1StudySpecParameterSpecCategoricalValueSpec{Values: p.CategoricalValues}
	}
	return out
}
