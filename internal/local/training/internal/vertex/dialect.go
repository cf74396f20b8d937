package vertex

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// dialect is a job of aiplatform/v1: a custom job or a tuning job.
type dialect struct {
	*jobs.Record
	body jobBody
}

// collectionOf returns the name of a location's jobs of a kind.
func collectionOf(project, location string, c string) string {
	return fmt.Sprintf("projects/%s/locations/%s/%s", project, location, c)
}

func (j *dialect) Collection() string { return parentOf(j.Record) }

func (j *dialect) Shown() (name, state string) {
	return resourceName(j.Record), stateOf(j.Record)
}

func (j *dialect) Touch(now time.Time) {
	changed := *j.Vertex
	changed.UpdateTime = now
	j.Vertex = &changed
}

func (j *dialect) Fail(err error) {
	changed := *j.Vertex
	wait := j.body.spec().Scheduling.wait()
	switch {
	case j.Job.State == jobs.Cancelled && wait > 0 && j.Job.StartTime.IsZero() && j.Job.EndTime.Sub(j.Job.CreateTime) >= wait:
		changed.Code, changed.Expired = codeDeadlineExceeded, true
	case j.Job.State == jobs.Cancelled:
		changed.Code = codeCancelled
	case j.Job.State != jobs.Failed:
	case errors.Is(err, jobs.ErrClosed), errors.Is(err, jobs.ErrPreempted):
		changed.Code = codeInternal
	default:
		changed.Code = codeInvalidArgument
	}
	j.Vertex = &changed
}

func (j *dialect) Check(l jobs.Limits) []rest.Violation { return checkLimits(l, j.Vertex) }

func (j *dialect) Task(r jobs.Replica) string { return taskName(r) }

func (j *dialect) Title(r jobs.Replica) string { return "replica " + taskName(r) }

func (j *dialect) HasAddress(jobs.Replica) bool { return true }

// OutputArgs returns none: the API tells a program its folder by variables.
func (j *dialect) OutputArgs(string) []string { return nil }

// WaitLimit returns how long the job may wait: only a FLEX_START job has a limit.
func (j *dialect) WaitLimit() jobs.TimeLimit {
	return jobs.TimeLimit{Name: "scheduling.maxWaitDuration", Max: j.body.spec().Scheduling.wait()}
}

// RunLimit returns the job's timeout. A tuning job's is that of the CustomJob that backs each trial.
func (j *dialect) RunLimit() jobs.TimeLimit {
	if j.body.StudySpec != nil {
		return jobs.TimeLimit{}
	}
	return jobs.TimeLimit{Name: "scheduling.timeout", Max: jobs.MaxRunningTime(j.Job.TrainingInput)}
}

func (j *dialect) TrialLimit() jobs.TimeLimit {
	if j.body.StudySpec == nil {
		return jobs.TimeLimit{}
	}
	d, _ := job.ParseDuration(j.body.spec().Scheduling.Timeout) // it was checked
	return jobs.TimeLimit{Name: "scheduling.timeout", Max: cmp.Or(d, job.DefaultRunningTime)}
}

// NoRetries returns disableRetries if the job has it. The API: it "indicates if the job should retry for internal
// errors after the job starts running".
func (j *dialect) NoRetries() string {
	if j.body.spec().Scheduling.DisableRetries {
		return "scheduling.disableRetries"
	}
	return ""
}

func (j *dialect) FailedTrials() string { return "maxFailedTrialCount" }

// taskName returns a replica's name in the logs of aiplatform/v1's jobs.
func taskName(r jobs.Replica) string {
	return fmt.Sprintf("%s-%d", poolName(r.Role), r.Index)
}

func poolName(role string) string { return fmt.Sprintf("workerpool%d", slices.Index(poolRoles, role)) }

// Output returns the folder that the job's AIP_ variables lead to.
func (j *dialect) Output() jobs.OutputFolder {
	out := jobs.OutputFolder{Field: j.body.specField() + ".base_output_directory", Title: "base output directory"}
	if base := j.body.spec().BaseOutputDirectory; base != nil {
		out.Dir = base.OutputURIPrefix
	}
	return out
}

func (j *dialect) Program(r jobs.Replica) jobs.Program {
	p := j.body.spec().pool(r.Role)
	if c := p.ContainerSpec; c != nil {
		return jobs.Program{Image: c.ImageURI, Command: c.Command, Args: c.Args, StandIn: c.standsIn()}
	}
	c := p.PythonPackageSpec
	return jobs.Program{Packages: c.PackageURIs, Module: c.PythonModule, Args: c.Args}
}

// Environments returns one environment for replicas with the same packages.
func (j *dialect) Environments(env, packages string) []jobs.PythonEnv {
	var all []jobs.PythonEnv
	for _, r := range jobs.ReplicasOf(j.Job.TrainingInput) {
		g := j.Program(r)
		if g.Image != "" {
			continue
		}
		same := slices.IndexFunc(all, func(v jobs.PythonEnv) bool {
			return slices.Equal(v.Packages, g.Packages) &&
				v.Module == g.Module
		})
		if same >= 0 {
			all[same].Replicas = append(all[same].Replicas, r)
			continue
		}
		all = append(all, jobs.PythonEnv{
			Dir: filepath.Join(env, taskName(r)), Fetched: filepath.Join(packages, taskName(r)),
			Packages: g.Packages, Module: g.Module, Replicas: []jobs.Replica{r},
		})
	}
	return all
}

// Vars returns a replica's variables of the job's own, whose values may refer to
// those that stand before them, and then the service's.
func (j *dialect) Vars(run jobs.ReplicaRun, r jobs.Replica, a jobs.Addresses, env []string) ([]string, error) {
	service, err := j.serviceVars(run, r, a)
	if err != nil {
		return nil, err
	}
	known := map[string]string{}
	for _, kv := range slices.Concat(env, service) {
		name, value, _ := strings.Cut(kv, "=")
		known[name] = value
	}
	p := j.body.spec().pool(r.Role)
	var own []envVar
	if p.ContainerSpec != nil {
		own = p.ContainerSpec.Env
	} else {
		own = p.PythonPackageSpec.Env
	}
	var vars []string
	for _, v := range own {
		value := expand(v.Value, known)
		known[v.Name] = value
		vars = append(vars, v.Name+"="+value)
	}
	return append(vars, service...), nil
}

// serviceVars returns the variables that Google's guides name: CLUSTER_SPEC for
// every replica, TF_CONFIG for jobs of several. Both are of the form that is seen
// in logs of jobs, where job is a text.
func (j *dialect) serviceVars(run jobs.ReplicaRun, r jobs.Replica, a jobs.Addresses) ([]string, error) {
	type task struct {
		Type  string `json:"type"`
		Index int    `json:"index"`
		Trial string `json:"trial,omitempty"`
	}
	type config struct {
		Cluster     map[string][]string `json:"cluster"`
		Environment string              `json:"environment"`
		Task        task                `json:"task"`
		Job         string              `json:"job"`
	}
	g := j.Program(r)
	about, err := json.Marshal(struct {
		Module   string   `json:"python_module"`
		Packages []string `json:"package_uris"`
		Args     []string `json:"job_args"`
	}{g.Module, append([]string{}, g.Packages...), append(append([]string{}, g.Args...), run.Args...)})
	if err != nil {
		return nil, err
	}
	replicas := jobs.ReplicasOf(j.Job.TrainingInput)
	pools, roles := map[string][]string{}, map[string][]string{}
	for _, other := range replicas {
		address, ok := a[other]
		if !ok {
			continue
		}
		pools[poolName(other.Role)] = append(pools[poolName(other.Role)], address)
		if other.Role != jobs.RoleEvaluator { // it is not a member of TensorFlow's cluster
			roles[clusterRole(other.Role)] = append(roles[clusterRole(other.Role)], address)
		}
	}
	spec, err := json.Marshal(config{pools, "cloud", task{poolName(r.Role), r.Index, run.Trial}, string(about)})
	if err != nil {
		return nil, err
	}
	vars := []string{"CLUSTER_SPEC=" + string(spec), "CLOUD_ML_JOB_ID=" + j.Job.JobID, "CLOUD_ML_PROJECT_ID=" + j.Project}
	if len(replicas) > 1 {
		tf, err := json.Marshal(config{roles, "cloud", task{clusterRole(r.Role), r.Index, run.Trial}, string(about)})
		if err != nil {
			return nil, err
		}
		vars = append(vars, "TF_CONFIG="+string(tf))
	}
	if run.Output != "" {
		base := strings.TrimRight(run.Output, "/") + "/"
		vars = append(vars, "AIP_MODEL_DIR="+base+"model/", "AIP_CHECKPOINT_DIR="+base+"checkpoints/",
			"AIP_TENSORBOARD_LOG_DIR="+base+"logs/")
	}
	return vars, nil
}

// clusterRole returns a role's name in TF_CONFIG.
func clusterRole(role string) string {
	if role == jobs.RoleMaster {
		return "chief"
	}
	return role
}

// expand puts variables into a value as the API says of EnvVar: $(NAME) is the
// variable's value if there is one, $$(NAME) is the text $(NAME).
func expand(text string, known map[string]string) string {
	var b strings.Builder
	for {
		at := strings.IndexByte(text, '$')
		if at < 0 || at+1 == len(text) {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:at])
		text = text[at:]
		switch text[1] {
		case '$':
			b.WriteByte('$')
			text = text[2:]
		case '(':
			end := strings.IndexByte(text, ')')
			if end < 0 {
				b.WriteString(text)
				return b.String()
			}
			if value, ok := known[text[2:end]]; ok {
				b.WriteString(value)
			} else {
				b.WriteString(text[:end+1])
			}
			text = text[end+1:]
		default:
			b.WriteByte('$')
			text = text[1:]
		}
	}
}
