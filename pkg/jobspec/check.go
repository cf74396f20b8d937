package jobspec

import (
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// rule is one thing that a job must satisfy. Its name is stable: people filter
// on it.
type rule struct {
	name  job.Rule
	check func(*check)
}

// jobRules are about the job as a whole and run always.
var jobRules = [...]rule{
	{"job-id-format", jobIDFormat},
	{"job-id-length", jobIDLength},
	{"label-count", labelCount},
	{"label-key", labelKey},
	{"label-value", labelValue},
	{"label-value-narrow", labelValueNarrow},
	{"label-reserved", labelReserved},
	{"training-input-required", trainingInputRequired},
	{"pin", pins},
	{"pin-twice", pinTwice},
	{"notify-route", notifyRoute},
	{"control-character", controlCharacter},
}

// trainingRules run if there is a trainingInput.
var trainingRules = [...]rule{
	{"region-required", regionRequired},
	{"region-format", regionFormat},
	{"region-unknown", regionUnknown},

	{"scale-tier-required", scaleTierRequired},
	{"master-type-required", masterTypeRequired},
	{"custom-tier-only", customTierOnly},
	{"machine-unused", machineUnused},
	{"replica-count", replicaCount},
	{"replica-type-required", replicaTypeRequired},
	{"replica-type-unused", replicaTypeUnused},
	{"machine-format", machineFormat},
	{"machine-unknown", machineUnknown},
	{"machine-category", machineCategory},
	{"evaluator-count", evaluatorCount},

	{"packages-required", packagesRequired},
	{"package-count", packageCount},
	{rulePackageURI, packageURI},
	{"package-name-twice", packageNameTwice},
	{job.RulePackageExtension, packageExtension},
	{"python-module-required", pythonModuleRequired},
	{"python-module-format", pythonModuleFormat},
	{"runtime-version-required", runtimeVersionRequired},
	{"runtime-version-format", runtimeVersionFormat},
	{"runtime-version-patch", runtimeVersionPatch},
	{"runtime-version-unknown", runtimeVersionUnknown},
	{"runtime-version-ended", runtimeVersionEnded},
	{"python-version-required", pythonVersionRequired},
	{"python-version", pythonVersion},
	{"python-for-runtime", pythonForRuntime},
	{"image-excludes-runtime", imageExcludesRuntime},
	{"image-excludes-python", imageExcludesPython},
	{"image-format", imageFormat},
	{"image-placeholder", imagePlaceholder},
	{"image-registry", imageRegistry},

	{"job-dir-format", jobDirFormat},
	{"bucket-format", bucketFormat},
	{"bucket-length", bucketLength},
	{"object-name", objectName},
	{"duration-format", durationFormat},
	{"max-wait-time", maxWait},
	{"max-running-time", maxRunning},
	{"priority-range", priorityRange},
	{"service-account-format", serviceAccountFormat},
	{"network-format", networkFormat},
	{"kms-key-format", kmsKeyFormat},
	{"kms-key-region", kmsKeyRegion},

	{"argument-placeholder", argumentPlaceholder},
	{"argument-odd-character", argumentOdd},
	{"argument-space", argumentSpace},
	{"args-exclusive", argsExclusive},
	{"container-needs-image", containerNeedsImage},
	{"container-command-empty", containerCommandEmpty},
	{"chief-unused", chiefUnused},
	{"accelerator-complete", acceleratorComplete},
	{"accelerator-count", acceleratorCount},
	{"accelerator-legacy", acceleratorLegacy},
	{"accelerator-unused", acceleratorUnused},
	{"accelerator-machine", acceleratorMachine},
	{"tpu-worker-count", tpuWorkerCount},
	{"tpu-accelerator", tpuAccelerator},
	{"tpu-tf-version-required", tpuTFVersionRequired},
	{"tpu-tf-version-format", tpuTFVersionFormat},
	{"tpu-tf-version-unused", tpuTFVersionUnused},
	{"tpu-runtime", tpuRuntime},
	{"tpu-region", tpuRegion},
	{"disk-type", diskType},
	{"disk-size", diskSize},

	{"goal-required", goalRequired},
	{"params-required", paramsRequired},
	{"trial-count", trialCount},
	{"parallel-trials", parallelTrials},
	{"param-name-required", paramNameRequired},
	{"param-name-format", paramNameFormat},
	{"param-name-twice", paramNameTwice},
	{"param-name-in-args", paramNameInArgs},
	{"param-type-required", paramTypeRequired},
	{"param-bounds", paramBounds},
	{"param-bounds-order", paramBoundsOrder},
	{"param-bounds-integer", paramBoundsInteger},
	{"param-bounds-exact", paramBoundsExact},
	{"param-log-scale", paramLogScale},
	{"param-categories", paramCategories},
	{"param-values", paramValues},
	{"param-values-count", paramValuesCount},
	{"param-values-order", paramValuesOrder},
	{"param-unused", paramUnused},
	{"grid-search", gridSearch},

	{"vertex-wait", vertexWait},
	{"flex-start-run", flexStartRun},
	{"vertex-retries", vertexRetries},
	{"vertex-reservation", vertexReservation},
	{"vertex-persistent-resource", vertexPersistentResource},
	{"vertex-tensorboard", vertexTensorboard},
	{"vertex-experiment", vertexExperiment},
	{"vertex-network-attachment", vertexNetworkAttachment},
	{"vertex-mount", vertexMount},
	{"vertex-gpu-partition", vertexGPUPartition},
}

// Check runs every rule over Spec and Options as they stand now and returns
// what they find, sorted by position; nil stands for [DefaultCatalogue].
// Package names have been resolved before: every entry of packageUris is then a
// gs:// URI. Fields that [Parse] or [File.SetMetadata] could not read are left
// out; they have reported them.
func (f *File) Check(catalogue *Catalogue) []job.Violation {
	return f.check(catalogue, jobRules[:], trainingRules[:])
}

func (f *File) check(catalogue *Catalogue, always, training []rule) []job.Violation {
	if catalogue == nil {
		catalogue = DefaultCatalogue()
	}
	c := &check{f: f, spec: &f.Spec, in: f.Spec.TrainingInput, known: catalogue}
	if f.Options.Vertex != nil {
		c.vertex = *f.Options.Vertex
	}
	if len(f.Spec.Labels) > 0 {
		c.labels = slices.Sorted(maps.Keys(f.Spec.Labels))
	}
	c.run(always)
	if c.in != nil {
		c.roles = c.in.Roles()
		c.run(training)
	}
	return c.out.sorted()
}

// check is what a rule sees.
type check struct {
	f      *File
	spec   *job.Spec
	labels []string           // the labels' keys, sorted
	in     *job.TrainingInput // never nil in a training rule
	roles  [4]job.Role        // the master, then the kinds of replicas that have a count
	vertex job.VertexOptions
	known  *Catalogue
	rule   job.Rule
	out    violations
}

func (c *check) run(rules []rule) {
	for _, r := range rules {
		c.rule = r.name
		r.check(c)
	}
}

// fail reports v of field under the running rule.
func (c *check) fail(field string, v job.Violation) {
	if c.f.silent(field) {
		return
	}
	v.Rule = c.rule
	if !c.out.full() { // otherwise it is only counted
		v = c.f.Violation(c.rule, field, v)
	}
	c.out.add(v)
}

// failFrom reports that a field is missing which another one, cause, asks for. It
// points to cause.
func (c *check) failFrom(cause, field string, v job.Violation) {
	if _, there := c.f.places[field]; there {
		c.fail(field, v)
		return
	}
	if c.f.silent(field) {
		return
	}
	v.Rule = c.rule
	if origin := c.f.origin(cause); origin != "" {
		v.Remedy += "; " + cause[strings.LastIndexByte(cause, '.')+1:] + " comes from " + origin
	}
	v = c.f.Violation(c.rule, field, v)
	if pos := c.f.Position(cause); pos != (job.Position{}) && v.Position != (job.Position{}) {
		v.Position = pos
	}
	c.out.add(v)
}

// failKey is like fail for a fault in a map's key, not its value.
func (c *check) failKey(field string, v job.Violation) {
	if c.f.silent(field) {
		return
	}
	v.Rule = c.rule
	if !c.out.full() {
		v = c.f.Violation(c.rule, field, v)
	}
	if v.Position != (job.Position{}) {
		v.Position = c.f.places[field].key
	}
	c.out.add(v)
}

func (c *check) warn(field string, v job.Violation) {
	v.Severity = job.Warning
	c.fail(field, v)
}

// withoutImage reports whether the job certainly has no image of its own. An image
// that could not be read counts as one.
func (c *check) withoutImage() bool {
	return !c.in.HasImage() && !c.f.silent("trainingInput.masterConfig.imageUri")
}

// notCustom reports whether the tier is certainly not the one that takes machines.
func (c *check) notCustom() bool {
	tier := c.in.ScaleTier
	return tier != "" && tier != "SCALE_TIER_UNSPECIFIED" && tier != "CUSTOM"
}

// image returns the image that the role's replicas run, by default the master's
// (reference, workerConfig and its like).
func (c *check) image(r job.Role) string {
	if r.Config != nil && r.Config.ImageURI != "" {
		return r.Config.ImageURI
	}
	if c.in.MasterConfig != nil {
		return c.in.MasterConfig.ImageURI
	}
	return ""
}

// counted returns the roles that have a count.
func (c *check) counted() []job.Role { return c.roles[1:] }

// failFor fails for a role that has replicas and warns for one that has none:
// what is said of those has no effect, and the service may well take it.
func (c *check) failFor(r job.Role, field string, v job.Violation) {
	c.fail(field, c.idleWarning(r, v))
}

// idleWarning returns v, as a warning if the role has no replicas.
func (c *check) idleWarning(r job.Role, v job.Violation) job.Violation {
	if c.idle(r) {
		v.Severity = job.Warning
	}
	return v
}

// idle reports whether a role certainly has no replicas. Two tiers bring some of
// their own (reference, ScaleTier).
func (c *check) idle(r job.Role) bool {
	workers, _ := job.TierReplicas(c.in.ScaleTier)
	return r.Count == 0 && !(workers > 0 && r.Name != "evaluator") && !c.f.silent(r.CountField())
}

const paramsField = "trainingInput.hyperparameters.params"

// params yields each hyperparameter with its index in params.
func (c *check) params() iter.Seq2[int, *job.ParameterSpec] {
	return func(yield func(int, *job.ParameterSpec) bool) {
		if c.in.Hyperparameters == nil {
			return
		}
		for i := range c.in.Hyperparameters.Params {
			if !yield(i, &c.in.Hyperparameters.Params[i]) {
				return
			}
		}
	}
}

// param returns the path of a hyperparameter's field.
func param(i int, name string) string { return element(paramsField, i) + "." + name }
