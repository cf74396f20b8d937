package gcloud

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// value is a flag's value for pflag. It hands what it is set to on.
type value struct {
	kind string
	set  func(string) error
	// dashes reports that a value may begin with --.
	dashes bool
}

func (v *value) String() string { return "" }
func (v *value) Type() string   { return v.kind }
func (v *value) Set(text string) error {
	// As gcloud, and unlike pflag, a flag does not take the next flag for its value.
	if strings.HasPrefix(text, "--") && !v.dashes {
		return fmt.Errorf("a value is missing before %s", text)
	}
	return v.set(text)
}

// flags adds flags to a set.
type flags struct {
	*pflag.FlagSet
	s *Submission
}

// add adds a flag with a value.
func (f flags) add(name, kind, usage string, set func(string) error) {
	f.Var(f.value(name, kind, set), name, usage)
}

func (f flags) value(name, kind string, set func(string) error) *value {
	return &value{kind: kind, set: func(text string) error {
		f.s.values[name] = true
		return set(text)
	}}
}

// is adds a flag that needs no value, and its negation, which gcloud has for each of them.
func (f flags) is(name, usage string, set func(bool)) {
	for _, is := range [...]bool{true, false} {
		n := name
		if !is {
			n = "no-" + name
		}
		f.Var(f.value(name, "bool", func(text string) error {
			given, err := truth(text)
			set(given == is)
			return err
		}), n, usage)
		f.Lookup(n).NoOptDefVal = "true"
		f.Lookup(n).Hidden = !is
	}
}

// text adds a flag whose value a field takes as it is.
func (f flags) text(name, kind, usage, field string, at func(*job.TrainingInput) *string) {
	f.add(name, kind, usage, func(text string) error {
		f.s.field(field, name, func(t *job.TrainingInput) { *at(t) = text })
		return nil
	})
}

// field adds what a flag sets. The last of the same flag counts.
func (s *Submission) field(field, flag string, set func(*job.TrainingInput)) {
	field = "trainingInput." + field
	s.sets = slices.DeleteFunc(s.sets, func(one setting) bool { return one.field == field })
	s.sets = append(s.sets, setting{field, "--" + flag, func(spec *job.Spec) { set(spec.TrainingInput) }})
}

// FlagOf returns the flag of gcloud that sets a field of the job file to a text, less its dashes; empty for other fields.
func FlagOf(field string) string {
	switch field {
	case "trainingInput.jobDir":
		return "job-dir"
	case "trainingInput.pythonModule":
		return "module-name"
	case "trainingInput.pythonVersion":
		return "python-version"
	case "trainingInput.region":
		return "region"
	case "trainingInput.runtimeVersion":
		return "runtime-version"
	case "trainingInput.scaleTier":
		return "scale-tier"
	}
	return ""
}

// Flags adds the flags of gcloud ai-platform jobs submit training to a set. Those that have no meaning for jobdrop are
// hidden.
func (s *Submission) Flags(fs *pflag.FlagSet) {
	f := flags{fs, s}
	f.add("config", "FILE", "job file, in YAML or JSON; flags beat what it says", func(text string) error {
		s.Config = text
		return nil
	})
	f.add("package-path", "DIR", "folder of the Python package to build and drop", func(text string) error {
		s.PackagePath = text
		return nil
	})
	f.add("packages", "FILE,...", "Python packages to drop, and gs:// URIs of others", func(text string) (err error) {
		s.Packages, err = list(text)
		return err
	})
	f.text("module-name", "MODULE", "module that is run, e.g. trainer.task", "pythonModule",
		func(t *job.TrainingInput) *string { return &t.PythonModule })
	f.text("region", "REGION", "region in which the job runs", "region",
		func(t *job.TrainingInput) *string { return &t.Region })
	f.add("job-dir", "gs://BUCKET/PATH", "place for the job's output; the trainer gets it as --job-dir",
		func(text string) error {
			bucket, object, _ := strings.Cut(strings.TrimPrefix(text, "gs://"), "/")
			if !strings.HasPrefix(text, "gs://") || bucket == "" {
				return errors.New("it must be of the form gs://BUCKET/PATH")
			}
			s.field("jobDir", "job-dir", func(t *job.TrainingInput) { t.JobDir = "gs://" + bucket + "/" + object })
			return nil
		})
	f.add("scale-tier", "TIER", "machines: "+strings.Join(tiers, ", "), func(text string) error {
		name := strings.ReplaceAll(strings.ToLower(text), "_", "-") // as gcloud takes it
		if !slices.Contains(tiers, name) {
			return fmt.Errorf("it must be one of %s", strings.Join(tiers, ", "))
		}
		s.field("scaleTier", "scale-tier", func(t *job.TrainingInput) { t.ScaleTier = enum(name) })
		return nil
	})
	f.text("runtime-version", "VERSION", "runtime version, e.g. 2.11", "runtimeVersion",
		func(t *job.TrainingInput) *string { return &t.RuntimeVersion })
	f.text("python-version", "VERSION", "version of Python, e.g. 3.7", "pythonVersion",
		func(t *job.TrainingInput) *string { return &t.PythonVersion })
	f.text("service-account", "EMAIL", "account that the trainer runs as, where the policy allows it", "serviceAccount",
		func(t *job.TrainingInput) *string { return &t.ServiceAccount })
	f.text("network", "NETWORK", "network that the job is peered with: projects/NUMBER/global/networks/NAME", "network",
		func(t *job.TrainingInput) *string { return &t.Network })
	f.add("labels", "KEY=VALUE,...", "labels of the job; they replace those of the file", func(text string) error {
		return s.addLabels(text)
	})
	f.is("enable-web-access", "allow interactive shells in the job's containers", func(is bool) {
		s.field("enableWebAccess", "enable-web-access", func(t *job.TrainingInput) { t.EnableWebAccess = is })
	})
	f.add("use-chief-in-tf-config", "true|false", `call the first replica "chief" in TF_CONFIG, not "master"`,
		func(text string) error {
			is, err := truth(text)
			s.field("useChiefInTfConfig", "use-chief-in-tf-config",
				func(t *job.TrainingInput) { t.UseChiefInTFConfig = is })
			return err
		})
	for _, r := range roles() {
		f.role(r)
	}
	f.text("tpu-tf-version", "VERSION", "version of TensorFlow in a worker's image for TPUs", "workerConfig.tpuTfVersion",
		func(t *job.TrainingInput) *string { return &config(&t.WorkerConfig).TPUTFVersion })
	s.keyFlags(f)
	f.is("stream-logs", "wait for the end of the job and show its log, as --wait does",
		func(is bool) { s.StreamLogs = is })
	f.is("async", "do not wait, which is the default", func(is bool) { s.async = is })
	f.add("staging-bucket", "gs://BUCKET", "not used: packages go into the drop's folder", func(text string) error {
		if !strings.HasPrefix(text, "gs://") {
			return errors.New("it must be of the form gs://BUCKET")
		}
		s.note("--staging-bucket %s is not used: packages go into the drop's folder of the inbox", text)
		return nil
	})
	s.wide(f)
}

// tiers are gcloud's names of the scale tiers.
var tiers = []string{"basic", "basic-gpu", "basic-tpu", "custom", "premium-1", "standard-1"}

// Tiers returns gcloud's names of the scale tiers.
func Tiers() []string { return slices.Clone(tiers) }

// accelerators are gcloud's names of the accelerators.
var accelerators = []string{
	"nvidia-tesla-a100", "nvidia-tesla-k80", "nvidia-tesla-p100", "nvidia-tesla-p4", "nvidia-tesla-t4",
	"nvidia-tesla-v100", "tpu-v2", "tpu-v2-pod", "tpu-v3", "tpu-v3-pod", "tpu-v4-pod",
}

// enum returns the API's name for a choice of gcloud's.
func enum(choice string) string { return strings.ToUpper(strings.ReplaceAll(choice, "-", "_")) }

// role is a kind of replicas, by gcloud's name and by that of the job file.
type role struct {
	flag, field, words string
	config             func(*job.TrainingInput) **job.ReplicaConfig
	machine            func(*job.TrainingInput) *string
	count              func(*job.TrainingInput) *int64 // nil for the master
}

func roles() []role {
	type in = job.TrainingInput
	return []role{
		{"master", "master", "the master",
			func(t *in) **job.ReplicaConfig { return &t.MasterConfig }, func(t *in) *string { return &t.MasterType }, nil},
		{"worker", "worker", "the workers",
			func(t *in) **job.ReplicaConfig { return &t.WorkerConfig }, func(t *in) *string { return &t.WorkerType },
			func(t *in) *int64 { return &t.WorkerCount }},
		{"parameter-server", "parameterServer", "the parameter servers",
			func(t *in) **job.ReplicaConfig { return &t.ParameterServerConfig },
			func(t *in) *string { return &t.ParameterServerType }, func(t *in) *int64 { return &t.ParameterServerCount }},
	}
}

// config returns a role's settings, made if there are none.
func config(c **job.ReplicaConfig) *job.ReplicaConfig {
	if *c == nil {
		*c = &job.ReplicaConfig{}
	}
	return *c
}

// role adds the flags of a kind of replicas.
func (f flags) role(r role) {
	f.text(r.flag+"-machine-type", "TYPE", "machine of "+r.words, r.field+"Type", r.machine)
	if r.count != nil {
		f.add(r.flag+"-count", "N", "number of "+strings.TrimPrefix(r.words, "the "), func(text string) error {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil || n < 1 {
				return errors.New("it must be a number of 1 or more")
			}
			f.s.field(r.field+"Count", r.flag+"-count", func(t *job.TrainingInput) { *r.count(t) = n })
			return nil
		})
	}
	f.text(r.flag+"-image-uri", "IMAGE", "container image of "+r.words, r.field+"Config.imageUri",
		func(t *job.TrainingInput) *string { return &config(r.config(t)).ImageURI })
	f.add(r.flag+"-accelerator", "count=N,type=TYPE", "accelerators of "+r.words, func(text string) error {
		a, err := accelerator(text)
		f.s.field(r.field+"Config.acceleratorConfig", r.flag+"-accelerator", func(t *job.TrainingInput) {
			config(r.config(t)).AcceleratorConfig = &job.AcceleratorConfig{Count: a.Count, Type: a.Type}
		})
		return err
	})
}

func accelerator(text string) (a job.AcceleratorConfig, err error) {
	pairs, err := dict(text, "type", "count")
	if err != nil {
		return a, err
	}
	for _, key := range [...]string{"type", "count"} {
		if _, ok := pairs[key]; !ok {
			return a, fmt.Errorf("%s= is missing", key)
		}
	}
	name := strings.ReplaceAll(strings.ToLower(pairs["type"]), "_", "-")
	if !slices.Contains(accelerators, name) {
		return a, fmt.Errorf("the type must be one of %s", strings.Join(accelerators, ", "))
	}
	n, err := strconv.ParseInt(pairs["count"], 10, 64)
	if err != nil || n < 1 {
		return a, errors.New("the count must be a number of 1 or more")
	}
	return job.AcceleratorConfig{Count: n, Type: enum(name)}, nil
}

// truth reads a truth value as gcloud does.
func truth(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "yes":
		return true, nil
	case "false", "no":
		return false, nil
	}
	return false, errors.New("it must be true or false")
}

// addLabels adds labels. A flag that stands twice adds to what it said before, and names no label again.
func (s *Submission) addLabels(text string) error {
	pairs, err := dict(text)
	if err != nil {
		return err
	}
	if s.labels == nil {
		s.labels = map[string]string{}
	}
	for key, value := range pairs {
		if _, twice := s.labels[key]; twice {
			return fmt.Errorf("%q can't be given twice", key)
		}
		s.labels[key] = value
	}
	return nil
}

// list splits a list as gcloud does: at commas, or at what stands between two circumflexes in front.
func list(text string) ([]string, error) {
	separator := ","
	if rest, ok := strings.CutPrefix(text, "^"); ok {
		if before, after, ok := strings.Cut(rest, "^"); ok {
			if before == "" {
				return nil, errors.New("the separator between the two ^ is missing")
			}
			separator, text = before, after
		}
	}
	if text == "" {
		return []string{}, nil
	}
	// A separator that ends the text adds nothing.
	return strings.Split(strings.TrimSuffix(text, separator), separator), nil
}

// dict reads KEY=VALUE,…; with keys, no others are allowed. A key without = continues nothing: it is an error.
func dict(text string, keys ...string) (map[string]string, error) {
	items, err := list(text)
	if err != nil {
		return nil, err
	}
	pairs := map[string]string{}
	for _, item := range items {
		key, value, ok := strings.Cut(item, "=")
		switch {
		case !ok:
			return nil, fmt.Errorf("%q must be KEY=VALUE", item)
		case len(keys) > 0 && !slices.Contains(keys, key):
			return nil, fmt.Errorf("%q is not one of the keys %s", key, strings.Join(keys, ", "))
		}
		if _, twice := pairs[key]; twice {
			return nil, fmt.Errorf("%q can't be given twice", key)
		}
		pairs[key] = value
	}
	return pairs, nil
}
