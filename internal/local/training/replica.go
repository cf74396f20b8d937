package training

import (
	"fmt"
	"math"
	"strings"

	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// The roles of replicas, as task names and error messages spell them. TF_CONFIG
// has another word for the master, see [primaryRole].
const (
	roleMaster    = "master"
	roleWorker    = "worker"
	rolePS        = "ps"
	roleEvaluator = "evaluator"
)

// replica is one process of a job.
type replica struct {
	role  string
	index int
}

var master = replica{role: roleMaster}

// task is the replica's name in logs and webAccessUris.
func (r replica) task() string { return fmt.Sprintf("%s-replica-%d", r.role, r.index) }

func (r replica) String() string { return fmt.Sprintf("replica %s %d", r.role, r.index) }

// counts are a job's replicas beside its one master.
type counts struct{ workers, ps, evaluators int64 }

// countsOf gives a job's replicas. The sizes of the tiers are not in the API's
// reference; they are what Google's guide to scale tiers said.
func countsOf(in *job.TrainingInput) counts {
	switch in.ScaleTier {
	case "CUSTOM":
		return counts{in.WorkerCount, in.ParameterServerCount, in.EvaluatorCount}
	case "STANDARD_1":
		return counts{workers: 4, ps: 3}
	case "PREMIUM_1":
		return counts{workers: 19, ps: 11}
	}
	return counts{}
}

// total counts the master, too, and saturates.
func (c counts) total() int {
	sum := int64(1)
	for _, n := range []int64{c.workers, c.ps, c.evaluators} {
		sum += min(max(n, 0), math.MaxInt32)
	}
	return int(min(sum, math.MaxInt32))
}

// String lists the replicas for people: 1 master, 19 workers, 11 parameter servers.
func (c counts) String() string {
	text := "1 master"
	for _, part := range []struct {
		n    int64
		name string
	}{{c.workers, "worker"}, {c.ps, "parameter server"}, {c.evaluators, "evaluator"}} {
		if part.n <= 0 {
			continue
		}
		text += fmt.Sprintf(", %d %s", part.n, part.name)
		if part.n > 1 {
			text += "s"
		}
	}
	return text
}

// replicasOf lists a job's replicas, the master last: whoever runs them in this
// order has started the others before the master can end the job.
func replicasOf(in *job.TrainingInput) []replica {
	c := countsOf(in)
	var all []replica
	for _, part := range []struct {
		role string
		n    int64
	}{{rolePS, c.ps}, {roleWorker, c.workers}, {roleEvaluator, c.evaluators}} {
		for i := range int(part.n) {
			all = append(all, replica{part.role, i})
		}
	}
	return append(all, master)
}

// configOf is what a job says of a role's machines; nil if it says nothing.
func configOf(in *job.TrainingInput, role string) *job.ReplicaConfig {
	switch role {
	case roleWorker:
		return in.WorkerConfig
	case rolePS:
		return in.ParameterServerConfig
	case roleEvaluator:
		return in.EvaluatorConfig
	}
	return in.MasterConfig
}

// imageOf is the image that a role runs, "" for a Python package. The API: a
// role without an imageUri of its own runs the master's.
func imageOf(in *job.TrainingInput, role string) string {
	if c := configOf(in, role); c != nil && c.ImageURI != "" {
		return c.ImageURI
	}
	if in.HasImage() {
		return in.MasterConfig.ImageURI
	}
	return ""
}

// program is what a replica runs: an image, or a module of installed packages.
type program struct {
	image    string
	command  []string // the container's, if not the image's own
	packages []string
	module   string
	args     []string
	// standIn is a command line of Python's own, other than a module: what
	// this machine's Python runs in the place of an image.
	standIn bool
}

// programOf is what ml/v1's jobs run.
func programOf(in *job.TrainingInput, r replica) program {
	g := program{image: imageOf(in, r.role), args: arguments(in, r)}
	if g.image == "" {
		g.packages, g.module = in.PackageURIs, in.PythonModule
	} else if c := configOf(in, r.role); c != nil {
		g.command = c.ContainerCommand
	}
	return g
}

// addresses gives each replica that others talk to its host and port. An
// evaluator reads checkpoints and is no member of the cluster.
type addresses map[replica]string

func (a addresses) cluster(in *job.TrainingInput) map[string][]string {
	cluster := map[string][]string{}
	for _, r := range replicasOf(in) {
		switch address := a[r]; {
		case address == "":
		case r == master:
			cluster[plan.Primary(in)] = []string{address}
		default:
			cluster[r.role] = append(cluster[r.role], address) // by index, as replicasOf lists them
		}
	}
	return cluster
}

// jobEnv is what the service tells a replica about its job, and its trial if it
// has one: programs make paths of TF_CONFIG's task.trial, so it is text.
func jobEnv(id string, in *job.TrainingInput, trial string, r replica, a addresses) ([]string, error) {
	input, err := plan.SnakeJSON(in)
	if err != nil {
		return nil, err
	}
	t := plan.Task{Type: r.role, Index: r.index, Trial: trial}
	if r == master {
		t.Type = plan.Primary(in)
	}
	config, err := plan.ClusterConfig(a.cluster(in), input, t)
	if err != nil {
		return nil, err
	}
	return []string{"TF_CONFIG=" + config, "CLOUD_ML_JOB_ID=" + id, "CLOUD_ML_JOB=" + string(input)}, nil
}

// arguments are those that a job gives a replica's program: the job's, or its
// container's own.
func arguments(in *job.TrainingInput, r replica) []string {
	if c := configOf(in, r.role); imageOf(in, r.role) != "" && c != nil && len(c.ContainerArgs) > 0 {
		return c.ContainerArgs
	}
	return in.Args
}

// roleField is the proto name of a field that each role has.
func roleField(role, suffix string) string {
	if role == rolePS {
		role = "parameter_server"
	}
	return strings.Join([]string{role, suffix}, "_")
}
