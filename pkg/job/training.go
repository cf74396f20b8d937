package job

import "time"

// MaxPackages is how many packages a job may name (reference, packageUris: "The maximum number of
// package URIs is 100").
const MaxPackages = 100

// DefaultRunningTime is how long a job may run that sets no limit (reference, maxRunningTime:
// 604800s, seven days).
const DefaultRunningTime = 604800 * time.Second

// Role is what a job file says of one kind of replicas.
type Role struct {
	// Name begins the names of the role's fields in a job file: master, worker, parameterServer or
	// evaluator.
	Name string
	// Type is the machine type, as written.
	Type string
	// Count is the number of replicas, as written; a job has one master.
	Count  int64
	Config *ReplicaConfig
}

// TypeField returns the path of the role's machine type in a job file.
func (r Role) TypeField() string { return "trainingInput." + r.Name + "Type" }

// CountField returns the path of the role's number of replicas in a job file. The master has none.
func (r Role) CountField() string { return "trainingInput." + r.Name + "Count" }

// ConfigField returns the path of the role's settings in a job file.
func (r Role) ConfigField() string { return "trainingInput." + r.Name + "Config" }

// Roles returns the four kinds of replicas of a job, the master first, whatever its tier.
func (t *TrainingInput) Roles() [4]Role {
	return [4]Role{
		{"master", t.MasterType, 1, t.MasterConfig},
		{"worker", t.WorkerType, t.WorkerCount, t.WorkerConfig},
		{"parameterServer", t.ParameterServerType, t.ParameterServerCount, t.ParameterServerConfig},
		{"evaluator", t.EvaluatorType, t.EvaluatorCount, t.EvaluatorConfig},
	}
}

// TierReplicas returns how many workers and parameter servers a scale tier has beside the master.
// The sizes are those of Google's guide to scale tiers; the reference has none. CUSTOM has what the
// job's counts say, and none here.
func TierReplicas(tier string) (workers, parameterServers int64) {
	switch tier {
	case "STANDARD_1":
		return 4, 3
	case "PREMIUM_1":
		return 19, 11
	}
	return 0, 0
}
