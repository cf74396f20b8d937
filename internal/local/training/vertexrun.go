package training

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// pool is a replica's name in the logs of aiplatform/v1's jobs.
func (r replica) pool() string {
	return fmt.Sprintf("%s-%d", poolName(r.role), r.index)
}

func poolName(role string) string { return fmt.Sprintf("workerpool%d", slices.Index(poolRoles, role)) }

// vertexOutput is the folder that the job's AIP_ variables lead to.
func (e *entry) vertexOutput() (field, what, dir string) {
	field = e.body.specField() + ".base_output_directory"
	if base := e.body.spec().BaseOutputDirectory; base != nil {
		dir = base.OutputURIPrefix
	}
	return field, "base output directory", dir
}

func (e *entry) vertexProgram(r replica) program {
	p := e.body.spec().pool(r.role)
	if c := p.ContainerSpec; c != nil {
		return program{image: c.ImageURI, command: c.Command, args: c.Args, standIn: c.standsIn()}
	}
	c := p.PythonPackageSpec
	return program{packages: c.PackageURIs, module: c.PythonModule, args: c.Args}
}

// vertexEnvironments gives replicas with the same packages one environment.
func (e *entry) vertexEnvironments(p places) []pythonEnv {
	var all []pythonEnv
	for _, r := range replicasOf(e.Job.TrainingInput) {
		g := e.vertexProgram(r)
		if g.image != "" {
			continue
		}
		same := slices.IndexFunc(all, func(v pythonEnv) bool { return slices.Equal(v.packages, g.packages) && v.module == g.module })
		if same >= 0 {
			all[same].replicas = append(all[same].replicas, r)
			continue
		}
		all = append(all, pythonEnv{
			dir: filepath.Join(p.env, r.pool()), fetched: filepath.Join(p.packages, r.pool()),
			packages: g.packages, module: g.module, replicas: []replica{r},
		})
	}
	return all
}

// vertexVars are a replica's variables of the job's own, whose values may refer to
// those that stand before them, and then the service's.
func (e *entry) vertexVars(run part, r replica, a addresses, env []string) ([]string, error) {
	service, err := e.vertexService(run, r, a)
	if err != nil {
		return nil, err
	}
	known := map[string]string{}
	for _, kv := range slices.Concat(env, service) {
		name, value, _ := strings.Cut(kv, "=")
		known[name] = value
	}
	p := e.body.spec().pool(r.role)
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

// vertexService are the variables that Google's guides name: CLUSTER_SPEC for
// every replica, TF_CONFIG for jobs of several. Both are of the form that is seen
// in logs of jobs, where job is a text.
func (e *entry) vertexService(run part, r replica, a addresses) ([]string, error) {
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
	g := e.vertexProgram(r)
	about, err := json.Marshal(struct {
		Module   string   `json:"python_module"`
		Packages []string `json:"package_uris"`
		Args     []string `json:"job_args"`
	}{g.module, append([]string{}, g.packages...), append(append([]string{}, g.args...), run.args...)})
	if err != nil {
		return nil, err
	}
	replicas := replicasOf(e.Job.TrainingInput)
	pools, roles := map[string][]string{}, map[string][]string{}
	for _, other := range replicas {
		address, ok := a[other]
		if !ok {
			continue
		}
		pools[poolName(other.role)] = append(pools[poolName(other.role)], address)
		if other.role != roleEvaluator { // it is no member of TensorFlow's cluster
			roles[vertexRole(other.role)] = append(roles[vertexRole(other.role)], address)
		}
	}
	spec, err := json.Marshal(config{pools, "cloud", task{poolName(r.role), r.index, run.trial}, string(about)})
	if err != nil {
		return nil, err
	}
	vars := []string{"CLUSTER_SPEC=" + string(spec), "CLOUD_ML_JOB_ID=" + e.Job.JobID, "CLOUD_ML_PROJECT_ID=" + e.Project}
	if len(replicas) > 1 {
		tf, err := json.Marshal(config{roles, "cloud", task{vertexRole(r.role), r.index, run.trial}, string(about)})
		if err != nil {
			return nil, err
		}
		vars = append(vars, "TF_CONFIG="+string(tf))
	}
	if run.output != "" {
		base := strings.TrimRight(run.output, "/") + "/"
		vars = append(vars, "AIP_MODEL_DIR="+base+"model/", "AIP_CHECKPOINT_DIR="+base+"checkpoints/", "AIP_TENSORBOARD_LOG_DIR="+base+"logs/")
	}
	return vars, nil
}

// vertexRole is a role's name in TF_CONFIG.
func vertexRole(role string) string {
	if role == roleMaster {
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
