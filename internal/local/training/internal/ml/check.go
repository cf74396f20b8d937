package ml

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/study"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// maxJobID is what the name of a folder leaves; the API states no limit.
const maxJobID = 200

var jobIDFormat = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)

// checkJob returns why a job can't be created here: what this service needs and can
// do, and what the API has. Runtime version and scale tier are not required: they
// choose nothing here.
func checkJob(spec job.Spec, l jobs.Limits) []rest.Violation {
	var vs []rest.Violation
	add := func(field, format string, args ...any) {
		vs = append(vs, rest.Violation{Field: field, Description: fmt.Sprintf(format, args...)})
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
		if l.Containers && (len(in.PackageURIs) > 0 || in.PythonModule != "") {
			add("package_uris", "The local training service runs an image as it is and installs no packages into it: leave "+
				"packageUris and pythonModule out.")
		}
	} else {
		if len(in.PackageURIs) == 0 {
			add("package_uris", "A job without a container image must have packages.")
		}
		if in.PythonModule == "" {
			add("python_module", "A job without a container image must have a Python module.")
		} else if !job.IsModule(in.PythonModule) {
			add("python_module", "%q is not the dotted name of a Python module, e.g. trainer.task.", in.PythonModule)
		}
	}
	if len(in.PackageURIs) > job.MaxPackages {
		add("package_uris", "A job has at most %d packages.", job.MaxPackages)
	}
	for _, uri := range in.PackageURIs {
		if _, object, ok := jobs.SplitURI(uri); !ok || object == "" || strings.HasSuffix(object, "/") {
			add("package_uris", "%q is not the URI of an object: it must be of the form gs://bucket/object.", uri)
		}
	}
	if in.Region == "" {
		add("region", "A job must have a region.")
	}
	if in.JobDir != "" {
		if _, _, ok := jobs.SplitURI(in.JobDir); !ok || strings.ContainsAny(in.JobDir, "\r\n") {
			add("job_dir", "%q must be of the form gs://bucket/object.", in.JobDir)
		}
	}
	if in.ScaleTier == "CUSTOM" && in.MasterType == "" {
		add("master_type", "The master type must be given with the scale tier CUSTOM.")
	}

	vs = append(vs, checkReplicas(in)...)
	vs = append(vs, checkLimits(l, in)...)
	vs = append(vs, checkCatalogue(spec)...)
	// What the service can't do is refused, so that no job runs as another than
	// was asked for.
	if in.Hyperparameters != nil {
		for _, f := range study.Check(in.Hyperparameters) {
			vs = append(vs, rest.Violation{Field: "hyperparameters." + tuningField(f), Description: f.Text})
		}
	}
	for _, text := range append([]string{in.PythonModule, in.JobDir}, in.Args...) {
		if strings.ContainsRune(text, 0) {
			add("args", "An argument must not contain a null character.")
			break
		}
	}
	return vs
}

// tuningField returns the name of a study's field below hyperparameters.
func tuningField(f study.Fault) string {
	param := func(name string) string { return fmt.Sprintf("params[%d].%s", f.Param, name) }
	switch f.Field {
	case study.FieldResume:
		return "resume_previous_job_id"
	case study.FieldMaxTrials:
		return "max_trials"
	case study.FieldMaxParallelTrials:
		return "max_parallel_trials"
	case study.FieldMaxFailedTrials:
		return "max_failed_trials"
	case study.FieldParameterName:
		return param("parameter_name")
	case study.FieldType:
		return param("type")
	case study.FieldMinValue:
		return param("min_value")
	case study.FieldDiscreteValues:
		return param("discrete_values")
	case study.FieldCategoricalValues:
		return param("categorical_values")
	}
	return "params"
}

// checkReplicas holds a job to the API's own rules: counts go with the tier
// CUSTOM only, a count needs its type, and a container's command line its image.
func checkReplicas(in *job.TrainingInput) []rest.Violation {
	var vs []rest.Violation
	add := func(role, suffix, format string, args ...any) {
		vs = append(vs, rest.Violation{Field: roleField(role, suffix), Description: fmt.Sprintf(format, args...)})
	}
	for _, r := range []struct {
		role, machine string
		count         int64
	}{
		{jobs.RoleWorker, in.WorkerType, in.WorkerCount},
		{jobs.RolePS, in.ParameterServerType, in.ParameterServerCount},
		{jobs.RoleEvaluator, in.EvaluatorType, in.EvaluatorCount},
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
	for _, role := range []string{jobs.RoleMaster, jobs.RoleWorker, jobs.RolePS, jobs.RoleEvaluator} {
		c := jobs.ConfigOf(in, role)
		if c == nil || len(c.ContainerCommand) == 0 && len(c.ContainerArgs) == 0 {
			continue
		}
		field := "container_args"
		if len(c.ContainerCommand) > 0 {
			field = "container_command"
		}
		switch {
		case jobs.ImageOf(in, role) == "":
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

func checkLabels(labels map[string]string) []rest.Violation {
	var vs []rest.Violation
	if len(labels) > jobs.MaxLabels {
		vs = append(vs, rest.Violation{Field: "labels", Description: fmt.Sprintf("A job has at most %d labels.",
			jobs.MaxLabels)})
	}
	for key, value := range labels {
		if !job.IsLabelKey(key) || !job.IsLabel(value) {
			vs = append(vs, rest.Violation{Field: "labels", Description: fmt.Sprintf("%q: %q is not a label. "+
				"Only hyphens (-), underscores (_), lowercase characters, and numbers are allowed. "+
				"Keys must start with a lowercase character. International characters are allowed. "+
				"Keys and values must not exceed 63 characters.", key, value)})
		}
	}
	return vs
}

// usesPython reports whether any replica runs the job's packages.
func usesPython(in *job.TrainingInput) bool {
	c := jobs.CountsOf(in)
	return jobs.ImageOf(in, jobs.RoleMaster) == "" || c.Workers > 0 && jobs.ImageOf(in, jobs.RoleWorker) == "" ||
		c.PS > 0 && jobs.ImageOf(in, jobs.RolePS) == "" || c.Evaluators > 0 && jobs.ImageOf(in, jobs.RoleEvaluator) == ""
}

// checkLimits returns what keeps a job that is right from ever running here. That is no
// lack of quota, which a client would wait for: it does not pass.
func checkLimits(l jobs.Limits, in *job.TrainingInput) []rest.Violation {
	var vs []rest.Violation
	for _, role := range []string{jobs.RoleMaster, jobs.RoleWorker, jobs.RolePS, jobs.RoleEvaluator} {
		c := jobs.ConfigOf(in, role)
		if c == nil || c.ImageURI == "" {
			continue
		}
		if text := l.Image(c.ImageURI); text != "" {
			vs = append(vs, rest.Violation{Field: roleField(role, "config.image_uri"), Description: text})
		}
	}
	n := jobs.CountsOf(in)
	switch text := l.Count(n); {
	case text != "":
		field := "scale_tier"
		if in.ScaleTier == "CUSTOM" {
			field = "worker_count"
		}
		vs = append(vs, rest.Violation{Field: field, Description: text + " with the scale tier CUSTOM."})
	case jobs.Needs(in) > l.Replicas:
		vs = append(vs, rest.Violation{Field: "hyperparameters.max_parallel_trials",
			Description: fmt.Sprintf("%s: lower maxParallelTrials to %d, or start jobdrop local with --max-replicas %d or more.",
				l.Parallel(in), l.Replicas/n.Total(), jobs.Needs(in))})
	}
	return vs
}

// roleField returns the proto name of a field that each role has.
func roleField(role, suffix string) string {
	if role == jobs.RolePS {
		role = "parameter_server"
	}
	return strings.Join([]string{role, suffix}, "_")
}
