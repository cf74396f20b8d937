package training

import (
	"fmt"
	"regexp"
	"strings"

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
	labelKey     = regexp.MustCompile(`^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$`)
	labelValue   = regexp.MustCompile(`^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$`)
)

// checkJob tells why a job can't be created here. It looks at what this service
// needs and can do; whether the cloud's would take the job is for a validator.
// Runtime version and scale tier are not required: they choose nothing here.
func checkJob(spec job.Spec) []fieldViolation {
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
	if in.HasImage() {
		add("master_config.image_uri", "The local training service runs no containers: give packageUris and pythonModule.")
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

	// What the service can't do yet is refused, so that no job runs as another
	// than was asked for.
	if in.ScaleTier == "STANDARD_1" || in.ScaleTier == "PREMIUM_1" {
		add("scale_tier", "The local training service runs one replica, and %s has several: use BASIC.", in.ScaleTier)
	}
	for _, role := range []struct {
		field  string
		count  int64
		config *job.ReplicaConfig
	}{
		{"worker", in.WorkerCount, in.WorkerConfig},
		{"parameter_server", in.ParameterServerCount, in.ParameterServerConfig},
		{"evaluator", in.EvaluatorCount, in.EvaluatorConfig},
	} {
		if role.count < 0 {
			add(role.field+"_count", "The count must not be negative.")
		}
		if role.count > 0 {
			add(role.field+"_count", "The local training service runs one replica: the count must be 0 or absent.")
		}
		if role.config != nil && role.config.ImageURI != "" {
			add(role.field+"_config.image_uri", "The local training service runs no containers.")
		}
	}
	if in.Hyperparameters != nil {
		add("hyperparameters", "The local training service does not tune hyperparameters: give the trainer its values in args.")
	}
	for _, text := range append([]string{in.PythonModule, in.JobDir}, in.Args...) {
		if strings.ContainsRune(text, 0) {
			add("args", "An argument must not contain a null character.")
			break
		}
	}
	return vs
}

func checkLabels(labels map[string]string) []fieldViolation {
	var vs []fieldViolation
	if len(labels) > maxLabels {
		vs = append(vs, fieldViolation{"labels", fmt.Sprintf("A job has at most %d labels.", maxLabels)})
	}
	for key, value := range labels {
		if !labelKey.MatchString(key) || !labelValue.MatchString(value) {
			vs = append(vs, fieldViolation{"labels", fmt.Sprintf("%q: %q is not a label. "+
				"Only hyphens (-), underscores (_), lowercase characters, and numbers are allowed. "+
				"Keys must start with a lowercase character. International characters are allowed. "+
				"Keys and values must not exceed 63 characters.", key, value)})
		}
	}
	return vs
}
