package gcloud

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// parseCustomJob reads what follows gcloud ai custom-jobs create: a job of Vertex AI's, which becomes one of ml/v1 with
// the same machines, images and packages.
func parseCustomJob(args []string) (*Submission, error) {
	s := New()
	s.custom = true
	c := customJob{s: s}
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.Usage = func() {}
	c.flags(flags{fs, s})
	if err := fs.Parse(args); err != nil {
		return nil, Nearest(fs, err)
	}
	if rest := fs.Args(); len(rest) > 0 {
		return nil, fmt.Errorf("%q is one argument too many: gcloud ai custom-jobs create takes flags only", rest[0])
	}
	if err := c.complete(); err != nil {
		return nil, err
	}
	return s, s.completeKey()
}

// customJob is what the flags of gcloud ai custom-jobs create say.
type customJob struct {
	s       *Submission
	name    string
	pools   []map[string]string
	uris    []string
	args    []string
	command []string
}

func (c *customJob) flags(f flags) {
	s := c.s
	f.add("display-name", "", "", func(text string) error { c.name = text; return nil })
	f.text("region", "", "", "region", func(t *job.TrainingInput) *string { return &t.Region })
	f.text("network", "", "", "network", func(t *job.TrainingInput) *string { return &t.Network })
	f.text("service-account", "", "", "serviceAccount", func(t *job.TrainingInput) *string { return &t.ServiceAccount })
	f.add("labels", "", "", s.addLabels)
	f.is("enable-web-access", "", func(is bool) {
		s.field("enableWebAccess", "enable-web-access", func(t *job.TrainingInput) { t.EnableWebAccess = is })
	})
	f.add("worker-pool-spec", "", "", func(text string) error {
		pool, err := dict(text, poolKeys...)
		c.pools = append(c.pools, pool)
		return err
	})
	for name, to := range map[string]*[]string{"args": &c.args, "command": &c.command, "python-package-uris": &c.uris} {
		v := f.value(name, "", func(text string) (err error) { *to, err = list(text); return err })
		v.dashes = true // the trainer's own flags
		f.Var(v, name, "")
	}
	s.keyFlags(f)
	f.add("config", "", "", func(string) error {
		return errors.New("a CustomJobSpec can't be translated: write a job file, and pass it to jobdrop submit --config")
	})
	f.add("persistent-resource-id", "", "", func(string) error {
		return errors.New("a job file can't name a persistent resource: leave it out to run on machines of the job's own")
	})
	f.is("enable-dashboard-access", "", func(is bool) {
		if is {
			s.note("--enable-dashboard-access is not used: a job file can't ask for it")
		}
	})
	s.wide(f)
}

// poolKeys are what a worker pool may have.
var poolKeys = []string{
	"machine-type", "replica-count", "accelerator-type", "accelerator-count", "container-image-uri", "executor-image-uri",
	"output-image-uri", "python-module", "local-package-path", "script", "requirements", "extra-packages", "extra-dirs",
}

func (c *customJob) complete() error {
	if c.name == "" {
		return errors.New("--display-name is missing: it becomes the name of the job")
	}
	if len(c.pools) == 0 || len(c.pools[0]) == 0 {
		return errors.New("--worker-pool-spec is missing, or the first is empty: it says what the master is")
	}
	if len(c.pools) > 4 {
		return errors.New("there are more than four --worker-pool-spec: a job has a master, workers, parameter servers and " +
			"evaluators")
	}
	c.s.JobID = jobID(c.name)
	if c.s.JobID != c.name {
		c.s.note("the name %s becomes %s: a job ID has letters, digits and underscores, and begins with a letter",
			c.name, c.s.JobID)
	}
	c.s.note("the name is the job's ID, which runs once: a line that is to run again, every night, needs another name each "+
		"time, such as --display-name=%s_$(date +%%Y%%m%%d), or --rerun", c.s.JobID)
	c.field("scaleTier", func(t *job.TrainingInput) { t.ScaleTier = "CUSTOM" })
	kinds := append(roles(), role{
		field:   "evaluator",
		config:  func(t *job.TrainingInput) **job.ReplicaConfig { return &t.EvaluatorConfig },
		machine: func(t *job.TrainingInput) *string { return &t.EvaluatorType },
		count:   func(t *job.TrainingInput) *int64 { return &t.EvaluatorCount },
	})
	for i, pool := range c.pools {
		if len(pool) == 0 {
			continue // a pool that is left out
		}
		if err := c.pool(kinds[i], pool); err != nil {
			return fmt.Errorf("--worker-pool-spec %d: %w", i+1, err)
		}
	}
	if err := c.software(c.pools[0]); err != nil {
		return fmt.Errorf("--worker-pool-spec: %w", err)
	}
	return nil
}

// field sets a field for the worker pools.
func (c *customJob) field(field string, set func(*job.TrainingInput)) {
	c.s.field(field, "worker-pool-spec", set)
}

// pool sets the machines of a role, and its image.
func (c *customJob) pool(r role, pool map[string]string) error {
	machine := pool["machine-type"]
	if machine == "" {
		return errors.New("machine-type= is missing")
	}
	c.field(r.field+"Type", func(t *job.TrainingInput) { *r.machine(t) = machine })
	replicas, err := count(pool, "replica-count")
	switch {
	case err != nil:
		return err
	case r.count != nil:
		c.field(r.field+"Count", func(t *job.TrainingInput) { *r.count(t) = replicas })
	case replicas != 1:
		return fmt.Errorf("replica-count is %d: the first pool is the master, of which there is one; "+
			"the second has the workers", replicas)
	}
	kind := pool["accelerator-type"]
	n, err := count(pool, "accelerator-count")
	switch {
	case err != nil:
		return err
	case kind != "":
		c.field(r.field+"Config.acceleratorConfig", func(t *job.TrainingInput) {
			config(r.config(t)).AcceleratorConfig = &job.AcceleratorConfig{Count: n, Type: enum(kind)}
		})
	case pool["accelerator-count"] != "":
		return errors.New("accelerator-type= is missing beside accelerator-count")
	}
	image := pool["container-image-uri"]
	if image == "" {
		return nil
	}
	c.field(r.field+"Config.imageUri", func(t *job.TrainingInput) { config(r.config(t)).ImageURI = image })
	if len(c.command) > 0 {
		// The API has either args, or a command with arguments of its own.
		c.field(r.field+"Config.containerCommand", func(t *job.TrainingInput) {
			config(r.config(t)).ContainerCommand, config(r.config(t)).ContainerArgs = c.command, c.args
		})
	}
	return nil
}

// count reads a number of 1 or more, which is 1 if it is not there.
func count(pool map[string]string, key string) (int64, error) {
	text, ok := pool[key]
	if !ok {
		return 1, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s is %q, must be a number of 1 or more", key, text)
	}
	return n, nil
}

// software sets what runs: an image, packages that are in Cloud Storage, or a folder of this machine.
func (c *customJob) software(pool map[string]string) error {
	image, executor := pool["container-image-uri"], pool["executor-image-uri"]
	if (image == "") == (executor == "") {
		return errors.New("one of container-image-uri= and executor-image-uri= is needed")
	}
	if image != "" {
		if pool["python-module"] != "" || pool["local-package-path"] != "" {
			return errors.New("container-image-uri= brings its own program: leave python-module= and local-package-path= out")
		}
		if len(c.args) > 0 && len(c.command) == 0 {
			c.s.SetArgs(c.args)
		}
		return nil
	}
	if err := c.executor(executor); err != nil {
		return err
	}
	if len(c.args) > 0 {
		c.s.SetArgs(c.args)
	}
	module := pool["python-module"]
	if script := pool["script"]; script != "" {
		name, ok := strings.CutSuffix(path.Clean(filepath.ToSlash(script)), ".py")
		if !ok || module != "" {
			return errors.New("script= must be a file of Python, and stand without python-module=")
		}
		module = strings.ReplaceAll(name, "/", ".")
		c.s.note("script=%s becomes the module %s: jobdrop runs packages with python -m", script, module)
	}
	if module == "" {
		return errors.New("python-module= is missing")
	}
	c.field("pythonModule", func(t *job.TrainingInput) { t.PythonModule = module })
	dir := pool["local-package-path"]
	if dir == "" {
		c.s.Packages = c.uris
		return nil
	}
	if pool["requirements"] != "" {
		return errors.New("requirements= is not supported: list them in setup.py or pyproject.toml in local-package-path, " +
			"as install_requires or dependencies")
	}
	c.s.PackagePath = dir
	if top, _, nested := strings.Cut(module, "."); nested {
		c.s.PackagePath = filepath.Join(dir, top)
	}
	if extra := pool["extra-packages"]; extra != "" {
		for name := range strings.SplitSeq(extra, ";") {
			c.s.Packages = append(c.s.Packages, filepath.Join(dir, name))
		}
	}
	c.s.note("no image is built of local-package-path: its package is dropped, and installed where the job runs")
	for _, key := range [...]string{"output-image-uri", "extra-dirs"} {
		if pool[key] != "" {
			c.s.note("%s=%s is not used: no image is built", key, pool[key])
		}
	}
	return nil
}

// trainingImage matches Google's training images of TensorFlow, in both registries that have had them.
var trainingImage = regexp.MustCompile(
	`^(?:[a-z]+-docker\.pkg\.dev/vertex-ai|gcr\.io/cloud-aiplatform)/training/tf2?-[cg]pu\.(\d+)-(\d+)(?:\.py(\d)(\d+))?(?:[:@].*)?$`)

// executor sets the runtime version that one of Google's images stands for.
func (c *customJob) executor(image string) error {
	m := trainingImage.FindStringSubmatch(image)
	if m == nil {
		return fmt.Errorf("executor-image-uri=%s stands for no runtime version: only Google's images of TensorFlow do; "+
			"take container-image-uri= with an image that holds the trainer", image)
	}
	runtime, python := m[1]+"."+m[2], "3.7" // images without a version of Python in their names have this one
	if m[3] != "" {
		python = m[3] + "." + m[4]
	}
	c.field("runtimeVersion", func(t *job.TrainingInput) { t.RuntimeVersion = runtime })
	c.field("pythonVersion", func(t *job.TrainingInput) { t.PythonVersion = python })
	c.s.note("executor-image-uri=%s becomes runtime version %s with Python %s", image, runtime, python)
	return nil
}

// jobID returns a name as a job ID can have it.
func jobID(name string) string {
	id := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, name)
	if c := id[0]; '0' <= c && c <= '9' || c == '_' {
		id = "job_" + id
	}
	return id
}
