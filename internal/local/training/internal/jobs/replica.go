package jobs

import (
	"fmt"
	"math"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// The roles of replicas, as task names and error messages spell them. TF_CONFIG
// has another word for the master, see [primaryRole].
const (
	RoleMaster    = "master"
	RoleWorker    = "worker"
	RolePS        = "ps"
	RoleEvaluator = "evaluator"
)

// Replica is one process of a job.
type Replica struct {
	Role  string
	Index int
}

var Master = Replica{Role: RoleMaster}

// Task returns the replica's name in logs and webAccessUris.
func (r Replica) Task() string { return fmt.Sprintf("%s-replica-%d", r.Role, r.Index) }

func (r Replica) String() string { return fmt.Sprintf("replica %s %d", r.Role, r.Index) }

// counts are a job's replicas beside its one master.
type counts struct{ Workers, PS, Evaluators int64 }

// CountsOf returns a job's replicas.
func CountsOf(in *job.TrainingInput) counts {
	if in.ScaleTier == "CUSTOM" {
		return counts{in.WorkerCount, in.ParameterServerCount, in.EvaluatorCount}
	}
	workers, servers := job.TierReplicas(in.ScaleTier)
	return counts{Workers: workers, PS: servers}
}

// Total counts the master, too, and saturates.
func (c counts) Total() int {
	sum := int64(1)
	for _, n := range []int64{c.Workers, c.PS, c.Evaluators} {
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
	}{{c.Workers, "worker"}, {c.PS, "parameter server"}, {c.Evaluators, "evaluator"}} {
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

// ReplicasOf lists a job's replicas, the master last: whoever runs them in this
// order has started the others before the master can end the job.
func ReplicasOf(in *job.TrainingInput) []Replica {
	c := CountsOf(in)
	var all []Replica
	for _, part := range []struct {
		role string
		n    int64
	}{{RolePS, c.PS}, {RoleWorker, c.Workers}, {RoleEvaluator, c.Evaluators}} {
		for i := range int(part.n) {
			all = append(all, Replica{part.role, i})
		}
	}
	return append(all, Master)
}

// ConfigOf returns what a job says of a role's machines; nil if it says nothing.
func ConfigOf(in *job.TrainingInput, role string) *job.ReplicaConfig {
	switch role {
	case RoleWorker:
		return in.WorkerConfig
	case RolePS:
		return in.ParameterServerConfig
	case RoleEvaluator:
		return in.EvaluatorConfig
	}
	return in.MasterConfig
}

// ImageOf returns the image that a role runs, "" for a Python package. The API: a
// role without an imageUri of its own runs the master's.
func ImageOf(in *job.TrainingInput, role string) string {
	if c := ConfigOf(in, role); c != nil && c.ImageURI != "" {
		return c.ImageURI
	}
	if in.HasImage() {
		return in.MasterConfig.ImageURI
	}
	return ""
}

// Program is what a replica runs: an image, or a module of installed packages.
type Program struct {
	Image    string
	Command  []string // the container's, if not the image's own
	Packages []string
	Module   string
	Args     []string
	// StandIn is a command line of Python's own, other than a module: what
	// this machine's Python runs in the place of an image.
	StandIn bool
}

// Addresses holds the host and port of each replica that others talk to. An
// evaluator reads checkpoints and is not a member of the cluster.
type Addresses map[Replica]string
