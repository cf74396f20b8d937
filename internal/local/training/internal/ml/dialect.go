package ml

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/study"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// dialect is a job of ml/v1.
type dialect struct{ *jobs.Record }

// collectionOf returns the name of a project's jobs.
func collectionOf(project string) string { return "projects/" + project + "/jobs" }

func (j dialect) input() *job.TrainingInput { return j.Job.TrainingInput }

func (j dialect) Collection() string { return collectionOf(j.Project) }

func (j dialect) Shown() (name, state string) { return j.Job.JobID, string(j.Job.State) }

func (j dialect) Touch(time.Time) {}

func (j dialect) Fail(error) {}

func (j dialect) Check(l jobs.Limits) []rest.Violation { return checkLimits(l, j.input()) }

func (j dialect) Task(r jobs.Replica) string { return r.Task() }

func (j dialect) Title(r jobs.Replica) string { return r.String() }

// HasAddress reports false for evaluators, which are no members of TF_CONFIG's cluster.
func (j dialect) HasAddress(r jobs.Replica) bool { return r.Role != jobs.RoleEvaluator }

func (j dialect) Output() jobs.OutputFolder {
	return jobs.OutputFolder{Field: "job_dir", Title: "job directory", Dir: j.input().JobDir}
}

// Environments returns one environment for all replicas without an image.
func (j dialect) Environments(env, packages string) []jobs.PythonEnv {
	in := j.input()
	v := jobs.PythonEnv{Dir: env, Fetched: packages, Packages: in.PackageURIs, Module: in.PythonModule}
	for _, r := range jobs.ReplicasOf(in) {
		if jobs.ImageOf(in, r.Role) == "" {
			v.Replicas = append(v.Replicas, r)
		}
	}
	if len(v.Replicas) == 0 {
		return nil
	}
	return []jobs.PythonEnv{v}
}

func (j dialect) Program(r jobs.Replica) jobs.Program {
	in := j.input()
	g := jobs.Program{Image: jobs.ImageOf(in, r.Role), Args: arguments(in, r)}
	if g.Image == "" {
		g.Packages, g.Module = in.PackageURIs, in.PythonModule
	} else if c := jobs.ConfigOf(in, r.Role); c != nil {
		g.Command = c.ContainerCommand
	}
	return g
}

// arguments returns those that a job gives a replica's program: the job's, or its container's own.
func arguments(in *job.TrainingInput, r jobs.Replica) []string {
	if c := jobs.ConfigOf(in, r.Role); jobs.ImageOf(in, r.Role) != "" && c != nil && len(c.ContainerArgs) > 0 {
		return c.ContainerArgs
	}
	return in.Args
}

func (j dialect) OutputArgs(dir string) []string {
	if dir == "" {
		return nil
	}
	return []string{"--job-dir", dir}
}

func (j dialect) Vars(run jobs.ReplicaRun, r jobs.Replica, a jobs.Addresses, _ []string) ([]string, error) {
	vars, err := jobEnv(j.Job.JobID, j.input(), run.Trial, r, a)
	return append(vars, checkpointEnv(run)...), err
}

// checkpointEnv returns what AI Platform Training never told: where the job's checkpoints are, as aiplatform/v1 says it
// of the same folder, and how often the job lost its machines.
func checkpointEnv(run jobs.ReplicaRun) []string {
	vars := []string{"JOBDROP_RESTART_COUNT=" + strconv.Itoa(run.Restarts)}
	if run.Output != "" {
		vars = append(vars, "AIP_CHECKPOINT_DIR="+strings.TrimRight(run.Output, "/")+"/checkpoints/")
	}
	return vars
}

// jobEnv returns what the service tells a replica about its job, and its trial if it
// has one: programs make paths of TF_CONFIG's task.trial, so it is text.
func jobEnv(id string, in *job.TrainingInput, trial string, r jobs.Replica, a jobs.Addresses) ([]string, error) {
	input, err := plan.SnakeJSON(in)
	if err != nil {
		return nil, err
	}
	t := plan.Task{Type: r.Role, Index: r.Index, Trial: trial}
	if r == jobs.Master {
		t.Type = plan.Primary(in)
	}
	config, err := plan.ClusterConfig(cluster(a, in), input, t)
	if err != nil {
		return nil, err
	}
	return []string{"TF_CONFIG=" + config, "CLOUD_ML_JOB_ID=" + id, "CLOUD_ML_JOB=" + string(input)}, nil
}

// cluster returns the addresses of TF_CONFIG's cluster.
func cluster(a jobs.Addresses, in *job.TrainingInput) map[string][]string {
	cluster := map[string][]string{}
	for _, r := range jobs.ReplicasOf(in) {
		switch address := a[r]; {
		case address == "":
		case r == jobs.Master:
			cluster[plan.Primary(in)] = []string{address}
		default:
			cluster[r.Role] = append(cluster[r.Role], address) // by index, as replicasOf lists them
		}
	}
	return cluster
}

func (j dialect) WaitLimit() jobs.TimeLimit {
	wait, _ := j.input().Scheduling.Limits()
	return jobs.TimeLimit{Name: "maxWaitTime", Max: wait}
}

func (j dialect) RunLimit() jobs.TimeLimit {
	return jobs.TimeLimit{Name: "maxRunningTime", Max: jobs.MaxRunningTime(j.input())}
}

func (j dialect) TrialLimit() jobs.TimeLimit { return jobs.TimeLimit{} }

func (j dialect) NoRetries() string { return "" }

func (j dialect) FailedTrials() string { return "maxFailedTrials" }

// resource is ml/v1's Job, less what the local service has no use for.
type resource struct {
	jobs.JobState
	Etag           string          `json:"etag,omitempty"`
	JobPosition    int64           `json:"jobPosition,omitempty,string"`
	TrainingOutput *trainingOutput `json:"trainingOutput,omitempty"`
}

// resourceOf returns a job as ml/v1 shows it.
func resourceOf(j jobs.Snapshot) resource {
	return resource{
		JobState: j.Job, Etag: j.Etag(), JobPosition: j.Position,
		TrainingOutput: outputOf(j.Job.TrainingInput.Hyperparameters, j.Trials),
	}
}

// trainingOutput is ml/v1's TrainingOutput.
type trainingOutput struct {
	CompletedTrialCount       int64         `json:"completedTrialCount,omitempty,string"`
	Trials                    []trialOutput `json:"trials,omitempty"`
	IsHyperparameterTuningJob bool          `json:"isHyperparameterTuningJob,omitempty"`
	HyperparameterMetricTag   string        `json:"hyperparameterMetricTag,omitempty"`
}

// trialOutput is ml/v1's HyperparameterOutput.
type trialOutput struct {
	TrialID             string              `json:"trialId"`
	Hyperparameters     map[string]string   `json:"hyperparameters,omitempty"`
	FinalMetric         *study.Measurement  `json:"finalMetric,omitempty"`
	AllMetrics          []study.Measurement `json:"allMetrics,omitempty"`
	StartTime           time.Time           `json:"startTime,omitzero"`
	EndTime             time.Time           `json:"endTime,omitzero"`
	State               jobs.State          `json:"state,omitempty"`
	IsTrialStoppedEarly bool                `json:"isTrialStoppedEarly,omitempty"`
}

// outputOf returns what the API shows of a job's trials; nil for a job without tuning.
// The best trial is the first, as Google's own scripts expect
// (trainingOutput.trials[0]); those without a result follow by their IDs.
func outputOf(spec *job.HyperparameterSpec, trials []jobs.Trial) *trainingOutput {
	if spec == nil {
		return nil
	}
	out := &trainingOutput{IsHyperparameterTuningJob: true, HyperparameterMetricTag: study.MetricTag(spec)}
	better := study.BetterFor(spec.Goal)
	for _, t := range slices.SortedStableFunc(slices.Values(trials), func(a, b jobs.Trial) int {
		switch {
		case a.HasResult() && b.HasResult():
			return -better(a.Final.Value, b.Final.Value)
		case a.HasResult():
			return -1
		case b.HasResult():
			return 1
		}
		return 0 // trials are kept in the order of their IDs
	}) {
		if t.HasResult() {
			out.CompletedTrialCount++
		}
		o := trialOutput{
			TrialID: t.ID, FinalMetric: t.Final, AllMetrics: t.All, StartTime: t.StartTime, EndTime: t.EndTime,
			State: t.State, IsTrialStoppedEarly: t.Stopped, Hyperparameters: map[string]string{},
		}
		for _, v := range t.Parameters {
			o.Hyperparameters[v.Name] = v.Text()
		}
		out.Trials = append(out.Trials, o)
	}
	return out
}
