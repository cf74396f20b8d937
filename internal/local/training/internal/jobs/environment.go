package jobs

import "path/filepath"

// PythonEnv is a virtual environment: what is installed into it, and the replicas
// that run in it.
type PythonEnv struct {
	Dir, Fetched string // the environment's folder, and that of its packages
	Packages     []string
	Module       string
	Replicas     []Replica
	Trial        string // whose alone it is, if it is a trial's
}

func (v PythonEnv) Python() string { return filepath.Join(v.Dir, "bin", "python") }

// Lead returns the replica in whose name it is installed: the master, if it is one of
// them.
func (v PythonEnv) Lead() Replica { return v.Replicas[len(v.Replicas)-1] }
