package training

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/image"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	// maxJobID is what the name of a folder leaves; the API states no limit.
	maxJobID = 200
	// maxPackages and maxLabels are the API's own limits.
	maxPackages = 100
	maxLabels   = 64
)

var (
	jobIDFormat  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
	moduleFormat = regexp.MustCompile(`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$`)
)

// checkJob tells why a job can't be created here. It looks at what this service
// needs and can do; whether the cloud's would take the job is for a validator.
// Runtime version and scale tier are not required: they choose nothing here.
func checkJob(spec job.Spec, l limits) []fieldViolation {
	var vs []fieldViolation
	add := func(field, format string, args ...any) {
		vs = append(vs, fieldViolation{field, fmt.Sprintf(format, args...)})
	}
	switch {
	case spec.JobID == "":
		add("job_id", "A job must have an id.")
	case !jobIDFormat.MatchString(spec.JobID):
		add("job_id", "A name should start with a letter and contain only letters, numbers and underscores.")
	case len(spec.JobID) > maxJobID:
		add("job_id", "The local training service takes names of up to %d characters.", maxJobID)
	}
	vs = append(vs, checkLabels(spec.Labels)...)
	in := spec.TrainingInput
	if in == nil {
		add("training_input", "A training job must have a training input; the local training service runs nothing else.")
		return vs
	}
	if !usesPython(in) {
		if l.containers && (len(in.PackageURIs) > 0 || in.PythonModule != "") {
			add("package_uris", "The local training service runs an image as it is and installs no packages into it: leave packageUris and pythonModule out.")
		}
	} else {
		if len(in.PackageURIs) == 0 {
			add("package_uris", "A job without a container image must have packages.")
		}
		if in.PythonModule == "" {
			add("python_module", "A job without a container image must have a Python module.")
		} else if !moduleFormat.MatchString(in.PythonModule) {
			add("python_module", "%q is not the dotted name of a Python module, e.g. trainer.task.", in.PythonModule)
		}
	}
	if len(in.PackageURIs) > maxPackages {
		add("package_uris", "A job has at most %d packages.", maxPackages)
	}
	for _, uri := range in.PackageURIs {
		if _, object, ok := splitURI(uri); !ok || object == "" || strings.HasSuffix(object, "/") {
			add("package_uris", "%q is not the URI of an object: it must be of the form gs://bucket/object.", uri)
		}
	}
	if in.Region == "" {
		add("region", "A job must have a region.")
	}
	if in.JobDir != "" {
		if _, _, ok := splitURI(in.JobDir); !ok || strings.ContainsAny(in.JobDir, "\r\n") {
			add("job_dir", "%q must be of the form gs://bucket/object.", in.JobDir)
		}
	}
	if in.ScaleTier == "CUSTOM" && in.MasterType == "" {
		add("master_type", "The master type must be given with the scale tier CUSTOM.")
	}

	vs = append(vs, checkReplicas(in)...)
	vs = append(vs, l.check(in)...)
	// What the service can't do is refused, so that no job runs as another than
	// was asked for.
	if in.Hyperparameters != nil {
		vs = append(vs, checkTuning(in.Hyperparameters)...)
	}
	for _, text := range append([]string{in.PythonModule, in.JobDir}, in.Args...) {
		if strings.ContainsRune(text, 0) {
			add("args", "An argument must not contain a null character.")
			break
		}
	}
	return vs
}

// checkReplicas holds a job to the API's own rules: counts go with the tier
// CUSTOM only, a count needs its type, and a container's command line its image.
func checkReplicas(in *job.TrainingInput) []fieldViolation {
	var vs []fieldViolation
	add := func(role, suffix, format string, args ...any) {
		vs = append(vs, fieldViolation{roleField(role, suffix), fmt.Sprintf(format, args...)})
	}
	for _, r := range []struct {
		role, machine string
		count         int64
	}{
		{roleWorker, in.WorkerType, in.WorkerCount},
		{rolePS, in.ParameterServerType, in.ParameterServerCount},
		{roleEvaluator, in.EvaluatorType, in.EvaluatorCount},
	} {
		switch {
		case r.count < 0:
			add(r.role, "count", "The count must not be negative.")
		case r.count > 0 && in.ScaleTier != "CUSTOM":
			add(r.role, "count", "The count can only be used with the scale tier CUSTOM.")
		case r.count > 0 && r.machine == "":
			add(r.role, "type", "The type must be given with a count.")
		case r.count > 0 && r.machine == "cloud_tpu":
			// Such a worker runs no program of the job's; the master drives it.
			add(r.role, "type", "The local training service has no cloud_tpu: leave type and count out.")
		}
	}
	for _, role := range []string{roleMaster, roleWorker, rolePS, roleEvaluator} {
		c := configOf(in, role)
		if c == nil || len(c.ContainerCommand) == 0 && len(c.ContainerArgs) == 0 {
			continue
		}
		field := "container_args"
		if len(c.ContainerCommand) > 0 {
			field = "container_command"
		}
		switch {
		case imageOf(in, role) == "":
			add(role, "config."+field, "It can't be set without a container image.")
		case len(in.Args) > 0:
			add(role, "config."+field, "Only one of args and the containers' own commands and args can be given.")
		case len(c.ContainerCommand) > 0 && c.ContainerCommand[0] == "":
			add(role, "config."+field, "The command must not be empty.")
		}
		for _, text := range slices.Concat(c.ContainerCommand, c.ContainerArgs) {
			if strings.ContainsRune(text, 0) {
				add(role, "config."+field, "An argument must not contain a null character.")
				break
			}
		}
	}
	return vs
}

// limits are what a service's options let a job have.
type limits struct {
	replicas   int
	containers bool
}

// check tells what keeps a job that is right from ever running here. That is no
// lack of quota, which a client would wait for: it does not pass.
func (l limits) check(in *job.TrainingInput) []fieldViolation {
	var vs []fieldViolation
	for _, role := range []string{roleMaster, roleWorker, rolePS, roleEvaluator} {
		c := configOf(in, role)
		if c == nil || c.ImageURI == "" {
			continue
		}
		if text := l.image(c.ImageURI); text != "" {
			vs = append(vs, fieldViolation{roleField(role, "config.image_uri"), text})
		}
	}
	n := countsOf(in)
	switch text := l.count(n); {
	case text != "":
		field := "scale_tier"
		if in.ScaleTier == "CUSTOM" {
			field = "worker_count"
		}
		vs = append(vs, fieldViolation{field, text + " with the scale tier CUSTOM."})
	case needs(in) > l.replicas:
		vs = append(vs, fieldViolation{"hyperparameters.max_parallel_trials", fmt.Sprintf("%s: lower maxParallelTrials to %d, or start jobdrop local with --max-replicas %d or more.",
			l.parallel(in), l.replicas/n.total(), needs(in))})
	}
	return vs
}

// image tells why an image can't be run.
func (l limits) image(uri string) string {
	if !l.containers {
		return "The local training service runs no containers, as it was given nothing to run them with: " +
			"start jobdrop local with --container-runner docker or --container-runner podman, or give packageUris and pythonModule instead of an image."
	}
	// It is part of the runner's command line: its grammar keeps it from being read
	// as an option.
	if _, err := image.Parse(uri); err != nil {
		return fmt.Sprintf("%q is not the name of a container image.", uri)
	}
	return ""
}

// count tells why so many replicas can't be run, in a sentence that lacks its end.
func (l limits) count(n counts) string {
	if n.total() <= l.replicas {
		return ""
	}
	return fmt.Sprintf("The job needs %d replicas (%v), and the local training service runs at most %d at once on this machine: "+
		"start jobdrop local with --max-replicas %[1]d or more, or ask for fewer workers", n.total(), n, l.replicas)
}

// parallel says how many replicas a job's trials need, in a sentence that lacks
// its end.
func (l limits) parallel(in *job.TrainingInput) string {
	return fmt.Sprintf("%d trials at once need %d replicas (%v for each), and the local training service runs at most %d at once on this machine",
		parallelTrials(in.Hyperparameters), needs(in), countsOf(in), l.replicas)
}

// checkRecord is check for a job that was created already.
func (l limits) checkRecord(r *record) []fieldViolation {
	if r.Vertex != nil {
		return l.checkVertex(r.Vertex)
	}
	return l.check(r.Job.TrainingInput)
}

func checkLabels(labels map[string]string) []fieldViolation {
	var vs []fieldViolation
	if len(labels) > maxLabels {
		vs = append(vs, fieldViolation{"labels", fmt.Sprintf("A job has at most %d labels.", maxLabels)})
	}
	for key, value := range labels {
		if !job.IsLabelKey(key) || !job.IsLabel(value) {
			vs = append(vs, fieldViolation{"labels", fmt.Sprintf("%q: %q is not a label. "+
				"Only hyphens (-), underscores (_), lowercase characters, and numbers are allowed. "+
				"Keys must start with a lowercase character. International characters are allowed. "+
				"Keys and values must not exceed 63 characters.", key, value)})
		}
	}
	return vs
}
