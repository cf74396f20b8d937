package jobspec

import (
	"iter"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// rule is one thing that a job must satisfy. Its name is stable: people filter
// on it.
type rule struct {
	name  string
	check func(*check)
}

// jobRules are about the job as a whole and run always.
func jobRules() []rule {
	return []rule{
		{"job-id-format", jobIDFormat},
		{"job-id-length", jobIDLength},
		{"label-count", labelCount},
		{"label-key", labelKey},
		{"label-value", labelValue},
		{"label-reserved", labelReserved},
		{"training-input-required", trainingInputRequired},
		{"pin", pins},
		{"pin-twice", pinTwice},
		{"notify-route", notifyRoute},
	}
}

// trainingRules run if there is a trainingInput.
func trainingRules() []rule {
	return []rule{
		{"region-required", regionRequired},
		{"region-format", regionFormat},
		{"region-unknown", regionUnknown},

		{"scale-tier-required", scaleTierRequired},
		{"master-type-required", masterTypeRequired},
		{"custom-tier-only", customTierOnly},
		{"replica-count", replicaCount},
		{"replica-type-required", replicaTypeRequired},
		{"replica-type-unused", replicaTypeUnused},
		{"machine-category", machineCategory},
		{"machine-unknown", machineUnknown},
		{"evaluator-count", evaluatorCount},

		{"packages-required", packagesRequired},
		{"package-count", packageCount},
		{"package-uri", packageURI},
		{"package-name-twice", packageNameTwice},
		{"package-extension", packageExtension},
		{"python-module-required", pythonModuleRequired},
		{"python-module-format", pythonModuleFormat},
		{"runtime-version-required", runtimeVersionRequired},
		{"runtime-version-format", runtimeVersionFormat},
		{"runtime-version-unknown", runtimeVersionUnknown},
		{"python-version-required", pythonVersionRequired},
		{"python-version", pythonVersion},
		{"python-for-runtime", pythonForRuntime},
		{"image-excludes-runtime", imageExcludesRuntime},

		{"job-dir-format", jobDirFormat},
		{"max-wait-time", maxWait},
		{"max-running-time", maxRunning},
		{"priority-range", priorityRange},
		{"service-account-format", serviceAccountFormat},
		{"network-format", networkFormat},
		{"kms-key-format", kmsKeyFormat},

		{"args-exclusive", argsExclusive},
		{"container-needs-image", containerNeedsImage},
		{"chief-unused", chiefUnused},
		{"accelerator-complete", acceleratorComplete},
		{"accelerator-count", acceleratorCount},
		{"accelerator-machine", acceleratorMachine},
		{"disk-type", diskType},
		{"disk-size", diskSize},

		{"goal-required", goalRequired},
		{"params-required", paramsRequired},
		{"trial-count", trialCount},
		{"parallel-trials", parallelTrials},
		{"param-name-required", paramNameRequired},
		{"param-name-twice", paramNameTwice},
		{"param-name-in-args", paramNameInArgs},
		{"param-type-required", paramTypeRequired},
		{"param-bounds", paramBounds},
		{"param-bounds-order", paramBoundsOrder},
		{"param-bounds-integer", paramBoundsInteger},
		{"param-log-scale", paramLogScale},
		{"param-categories", paramCategories},
		{"param-values", paramValues},
		{"param-unused", paramUnused},
		{"grid-search", gridSearch},
	}
}

// Check runs every rule over Spec and Options as they stand now and returns
// what they find, sorted by position. Package names have been resolved before:
// every entry of packageUris is then a gs:// URI. Fields that [Parse] could not
// read are left out; it has reported them.
func (f *File) Check() []job.Violation {
	c := &check{f: f, spec: &f.Spec, in: f.Spec.TrainingInput, out: &violations{}}
	rules := jobRules()
	if c.in != nil {
		rules = append(rules, trainingRules()...)
	}
	for _, r := range rules {
		c.rule = r.name
		r.check(c)
	}
	return c.out.sorted()
}

// check is what a rule sees.
type check struct {
	f    *File
	spec *job.Spec
	in   *job.TrainingInput // never nil in a training rule
	rule string
	out  *violations
}

// fail reports v of field under the running rule.
func (c *check) fail(field string, v job.Violation) {
	if c.f.silent(field) {
		return
	}
	v.Rule = c.rule
	c.out.add(c.f.Violation(field, v))
}

func (c *check) warn(field string, v job.Violation) {
	v.Severity = job.Warning
	c.fail(field, v)
}

// withoutImage tells whether the job surely has no image of its own; with an
// image that could not be read it may have one.
func (c *check) withoutImage() bool {
	return !c.in.HasImage() && !c.f.silent("trainingInput.masterConfig.imageUri")
}

// custom tells whether the tier is surely not the one that takes machines.
func (c *check) notCustom() bool {
	tier := c.in.ScaleTier
	return tier != "" && tier != "SCALE_TIER_UNSPECIFIED" && tier != "CUSTOM"
}

// role is one kind of replica: a type, a count and a config.
type role struct {
	name   string
	typ    string
	count  int64
	config *job.ReplicaConfig
}

func (r role) typeField() string   { return "trainingInput." + r.name + "Type" }
func (r role) countField() string  { return "trainingInput." + r.name + "Count" }
func (r role) configField() string { return "trainingInput." + r.name + "Config" }

// roles gives the master, then the three kinds of replicas that have a count.
func (c *check) roles() []role {
	return append([]role{{"master", c.in.MasterType, 1, c.in.MasterConfig}}, c.counted()...)
}

func (c *check) counted() []role {
	return []role{
		{"worker", c.in.WorkerType, c.in.WorkerCount, c.in.WorkerConfig},
		{"parameterServer", c.in.ParameterServerType, c.in.ParameterServerCount, c.in.ParameterServerConfig},
		{"evaluator", c.in.EvaluatorType, c.in.EvaluatorCount, c.in.EvaluatorConfig},
	}
}

const paramsField = "trainingInput.hyperparameters.params"

// params yields each hyperparameter with its path.
func (c *check) params() iter.Seq2[string, *job.ParameterSpec] {
	return func(yield func(string, *job.ParameterSpec) bool) {
		if c.in.Hyperparameters == nil {
			return
		}
		for i := range c.in.Hyperparameters.Params {
			if !yield(element(paramsField, i), &c.in.Hyperparameters.Params[i]) {
				return
			}
		}
	}
}
