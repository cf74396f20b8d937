package jobspec

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/image"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Sources: "reference" is the API's own text on the field (ml/v1, TrainingInput
// and below); "the manual" is its page "Running a training job".

const (
	runtimeField   = "trainingInput.runtimeVersion"
	pythonField    = "trainingInput.pythonVersion"
	jobDirField    = "trainingInput.jobDir"
	moduleField    = "trainingInput.pythonModule"
	tierField      = "trainingInput.scaleTier"
	kmsKeyField    = "trainingInput.encryptionConfig.kmsKeyName"
	maxWaitTime    = "trainingInput.scheduling.maxWaitTime"
	maxRunningTime = "trainingInput.scheduling.maxRunningTime"
)

// regionRequired: a job says in which region it runs.
//
// Source: reference, region: "Required".
//
//	 trainingInput:
//	+  region: us-central1
func regionRequired(c *check) {
	if c.in.Region == "" {
		c.fail("trainingInput.region", job.Violation{
			Message: "the job has no region",
			Remedy:  "write region: and the region of the data's bucket, e.g. us-central1",
		})
	}
}

// regionFormat: a region is written as in us-central1: in lowercase, without the letter of a zone.
//
// Source: Google Cloud, "Regions and zones".
//
//	 trainingInput:
//	-  region: us-central1-a
//	+  region: us-central1
func regionFormat(c *check) {
	region := c.in.Region
	if region == "" || isRegion(region) {
		return
	}
	v := job.Violation{
		Message: "this is not a valid region",
		Allowed: "a region such as us-central1",
		Remedy:  "write the region of the data's bucket",
	}
	lower := strings.ToLower(strings.TrimSpace(region))
	if n := len(lower) - 2; n > 0 && isRegion(lower[:n]) && lower[n] == '-' && isLower(lower[n+1]) {
		v.Message = "this is a zone; jobs run in a region"
		v.Remedy = "write " + lower[:n]
	} else if isRegion(lower) {
		v.Remedy = "write " + lower
	} else if close := closest(region, c.known.regionNames()); close != "" {
		v.Remedy = "write " + close
	}
	c.fail("trainingInput.region", v)
}

// regionUnknown: the region is not among those known to train. The catalogue may not have all, so the
// rule only warns.
//
// Source: the service's list of regions, as the catalogue has it; an operator adds to it in the
// policy.
//
//	 trainingInput:
//	-  region: us-centrl1
//	+  region: us-central1
func regionUnknown(c *check) {
	region := c.in.Region
	if _, ok := c.known.region(region); ok || !isRegion(region) {
		return
	}
	v := job.Violation{
		Message: "the region is not among those known to train",
		Remedy:  "check that the service offers training there",
	}
	if close := closest(region, c.known.regionNames()); close != "" {
		v.Message += "; did you mean " + close + "?"
	}
	c.warn("trainingInput.region", v)
}

// scaleTierRequired: a job says on which tier of machines it runs. A job of one container is seen to
// run without, so there the rule only warns.
//
// Source: reference, scaleTier: "Required".
//
//	 trainingInput:
//	+  scaleTier: BASIC
func scaleTierRequired(c *check) {
	if tier := c.in.ScaleTier; tier != "" && tier != "SCALE_TIER_UNSPECIFIED" {
		return
	}
	v := job.Violation{
		Message: "the job has no scale tier",
		Allowed: "BASIC, STANDARD_1, PREMIUM_1, BASIC_GPU, BASIC_TPU, CUSTOM",
		Remedy:  "write scaleTier: BASIC for one machine, or CUSTOM with masterType",
	}
	if c.in.MasterType != "" {
		v.Remedy = "write scaleTier: CUSTOM, which goes with masterType"
	}
	if c.withoutImage() {
		c.fail(tierField, v)
	} else {
		c.warn(tierField, v)
	}
}

// masterTypeRequired: the tier CUSTOM needs the machine type of the master.
//
// Source: reference, masterType: "You must specify this field when scaleTier is set to CUSTOM".
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	+  masterType: n1-standard-8
func masterTypeRequired(c *check) {
	if c.in.ScaleTier == "CUSTOM" && c.in.MasterType == "" {
		c.failFrom(tierField, "trainingInput.masterType", job.Violation{
			Message: "scaleTier CUSTOM needs masterType",
			Remedy:  "write masterType: and a machine type, e.g. n1-standard-8",
		})
	}
}

// customTierOnly: counts of replicas go with the tier CUSTOM only. Other tiers have their own
// replicas.
//
// Source: reference, workerCount and its like: "can only be used when scale_tier is set to CUSTOM".
//
//	 trainingInput:
//	   scaleTier: STANDARD_1
//	-  workerCount: 2
func customTierOnly(c *check) {
	for _, r := range c.counted() {
		if r.Count > 0 && c.notCustom() {
			c.fail(r.CountField(), job.Violation{
				Message: fmt.Sprintf("%sCount goes with scaleTier CUSTOM only; the tier %s has its own replicas", r.Name,
					c.in.ScaleTier),
				Remedy: "write scaleTier: CUSTOM with masterType, or remove the count",
			})
		}
	}
}

// machineUnused: a machine type has no effect beside a tier other than CUSTOM, which has its own
// machines. The rule only warns: the reference says nothing of it.
//
// Source: reference, masterType, by deduction.
//
//	 trainingInput:
//	-  scaleTier: BASIC
//	+  scaleTier: CUSTOM
//	   masterType: n1-standard-8
func machineUnused(c *check) {
	for _, r := range c.roles {
		if r.Type != "" && c.notCustom() {
			c.warn(r.TypeField(), job.Violation{
				Message: fmt.Sprintf("%sType goes with scaleTier CUSTOM only; the tier %s has its own machines", r.Name,
					c.in.ScaleTier),
				Remedy: "write scaleTier: CUSTOM, or remove the type",
			})
		}
	}
}

// replicaCount: a count of replicas is 0 or more.
//
// Source: reference, workerCount and its like, by deduction.
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-standard-8
//	-  evaluatorCount: -1
//	+  evaluatorCount: 1
//	   evaluatorType: n1-standard-8
func replicaCount(c *check) {
	for _, r := range c.counted() {
		if r.Count < 0 {
			c.fail(r.CountField(), job.Violation{
				Message: "a count can't be negative",
				Allowed: "0 or more",
				Remedy:  "write the number of replicas, or remove the count",
			})
		}
	}
}

// replicaTypeRequired: replicas that have a count have a machine type as well.
//
// Source: reference, workerType and its like: "must be present when scaleTier is set to CUSTOM and
// workerCount is greater than zero".
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-standard-8
//	   workerCount: 2
//	+  workerType: n1-standard-8
func replicaTypeRequired(c *check) {
	if c.notCustom() {
		return
	}
	for _, r := range c.counted() {
		if r.Count > 0 && r.Type == "" {
			v := job.Violation{
				Message: fmt.Sprintf("%sCount is %d, but %sType is missing", r.Name, r.Count, r.Name),
				Remedy:  fmt.Sprintf("write %sType: and a machine type", r.Name),
			}
			if c.in.MasterType != "" {
				v.Remedy += ", e.g. " + show(c.in.MasterType)
			}
			c.failFrom(r.CountField(), r.TypeField(), v)
		}
	}
}

// replicaTypeUnused: a machine type of replicas has no effect while their count is 0, its default.
//
// Source: reference, workerType and workerCount.
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-standard-8
//	   workerType: n1-standard-8
//	+  workerCount: 2
func replicaTypeUnused(c *check) {
	if c.notCustom() {
		return
	}
	for _, r := range c.counted() {
		if r.Type != "" && r.Count == 0 && !c.f.silent(r.CountField()) {
			c.warn(r.TypeField(), job.Violation{
				Message: fmt.Sprintf("%sType has no effect: %sCount is 0", r.Name, r.Name),
				Remedy:  fmt.Sprintf("write %sCount: and the number of replicas, or remove the type", r.Name),
			})
		}
	}
}

// machineFormat: a machine type is the name of a type of Compute Engine, a legacy type such as
// standard_gpu, or cloud_tpu.
//
// Source: Compute Engine, "Naming resources"; the legacy types of the service's list.
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	-  masterType: N1-Standard-8
//	+  masterType: n1-standard-8
func machineFormat(c *check) {
	for _, r := range c.roles {
		if r.Type == "" || isMachine(r.Type) {
			continue
		}
		v := job.Violation{
			Message: "this is not a valid machine type",
			Allowed: "a Compute Engine type such as n1-standard-8, a legacy type such as standard_gpu, or cloud_tpu",
			Remedy:  "write the name of a machine type",
		}
		lower := strings.ToLower(strings.TrimSpace(r.Type))
		if _, ok := c.known.machine(lower); ok {
			v.Remedy = "write " + lower
		} else if tier := enumLike(r.Type, tiers()); tier != "" {
			v.Message = "this is a scale tier, not a machine type"
			v.Remedy = fmt.Sprintf("write scaleTier: %s and remove %sType", tier, r.Name)
		} else if gpu := enumLike(r.Type, acceleratorTypes()); gpu != "" {
			v.Message = "this is an accelerator, not a machine type"
			v.Remedy = fmt.Sprintf("write a machine type such as n1-standard-8, and in %sConfig.acceleratorConfig "+
				"type: %s and count: 1", r.Name, gpu)
		} else if close := closest(r.Type, c.known.machineNames()); close != "" {
			v.Remedy = "write " + close
		}
		c.fail(r.TypeField(), v)
	}
}

// machineUnknown: the machine type is not among those known to train. The catalogue may not have all,
// so the rule only warns.
//
// Source: the service's list of machine types, as the catalogue has it; an operator adds to it in the
// policy.
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	-  masterType: n1-standard8
//	+  masterType: n1-standard-8
func machineUnknown(c *check) {
	for _, r := range c.roles {
		if _, ok := c.known.machine(r.Type); ok || !isMachine(r.Type) {
			continue
		}
		v := job.Violation{
			Message: "the machine type is not among those known to train",
			Remedy:  "check it against the service's list",
		}
		if later.MatchString(r.Type) {
			v.Message = "AI Platform Training had no such machine type; Vertex AI has it, where the region does"
			v.Remedy = "nothing to do if the job is to run on Vertex AI"
		} else if close := closest(r.Type, c.known.machineNames()); close != "" {
			v.Message += "; did you mean " + close + "?"
		}
		c.warn(r.TypeField(), v)
	}
}

// later matches the machine types with accelerators that came after AI Platform Training (Compute Engine's page on GPU
// machine types; Vertex AI's on machine types for training).
var later = regexp.MustCompile(`^(?:g2|g4|a3|a4|a4x)-[a-z]+-[0-9]+g?(?:-|$)`)

// machineCategory: the machine types of a job are of one category: all of Compute Engine, or all
// legacy ones. cloud_tpu goes with either.
//
// Source: reference, workerType and its like: "both must be Compute Engine machine types or both must
// be legacy machine types".
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-standard-8
//	-  workerType: standard_gpu
//	+  workerType: n1-standard-8
//	   workerCount: 1
func machineCategory(c *check) {
	master := c.known.category(c.in.MasterType)
	if master == "" || master == TPU || c.notCustom() {
		return
	}
	for _, r := range c.counted() {
		if k := c.known.category(r.Type); k != "" && k != TPU && k != master {
			c.failFor(r, r.TypeField(), c.guessed(job.Violation{
				Message: fmt.Sprintf("%s is a %s machine type, but masterType %s is a %s one", show(r.Type), k,
					show(c.in.MasterType), master),
				Allowed: fmt.Sprintf("a %s machine type, or cloud_tpu", master),
				Remedy:  "choose both types from one category",
			}, r.Type, c.in.MasterType))
		}
	}
}

// evaluatorCount: TensorFlow expects at most one evaluator. Users run more, so the rule only warns.
//
// Source: the service's page on distributed training: "TensorFlow generally expects that you use no
// more than one evaluator".
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-standard-8
//	   evaluatorType: n1-standard-8
//	-  evaluatorCount: 2
//	+  evaluatorCount: 1
func evaluatorCount(c *check) {
	if c.in.EvaluatorCount > 1 {
		c.warn("trainingInput.evaluatorCount", job.Violation{
			Message: "TensorFlow expects at most one evaluator",
			Remedy:  "write 1, unless the trainer shares the evaluation out by itself",
		})
	}
}

const packagesField = "trainingInput.packageUris"

// packagesRequired: a job has a package with the trainer, or the name of an image that holds it.
//
// Source: reference, packageUris: "Required"; a container brings its own code.
//
//	 trainingInput:
//	+  packageUris: [trainer-0.1.tar.gz]
func packagesRequired(c *check) {
	if len(c.in.PackageURIs) == 0 && c.withoutImage() {
		c.fail(packagesField, job.Violation{
			Message: "the job has no package and no image to run",
			Remedy:  "put the trainer's .tar.gz or .whl into the drop's folder, or name an image in masterConfig.imageUri",
		})
	}
}

// packageCount: a job has at most 100 packages.
//
// Source: reference, packageUris.
//
// For example: packageUris with 101 entries; with 100 the job passes.
func packageCount(c *check) {
	if n := len(c.in.PackageURIs); n > job.MaxPackages {
		c.fail(packagesField, job.Violation{
			Message: "there are too many packages",
			Found:   strconv.Itoa(n),
			Allowed: fmt.Sprintf("at most %d", job.MaxPackages),
			Remedy:  "merge packages, or let the trainer's setup.py require those that PyPI has",
		})
	}
}

// packageURI: reference, packageUris: "The Google Cloud Storage location of the
// packages".
func packageURI(c *check) {
	for i, uri := range c.in.PackageURIs {
		if _, object, ok := cutGS(uri); !ok || object == "" || strings.HasSuffix(object, "/") {
			v := job.Violation{
				Message: "this is not an object of Cloud Storage",
				Allowed: "gs://bucket/object, or the name of a file in the drop's folder",
				Remedy:  "write the name of a file that is in the drop's folder",
			}
			if name := path.Base(uri); strings.HasPrefix(uri, "gs:") && !strings.HasPrefix(uri, "gs://") {
				v.Message, v.Remedy = notGS(uri)
			} else if strings.Contains(uri, "/") && !strings.Contains(uri, "://") && job.IsPackage(name) {
				v.Message = "this is a path, but a package is named by its file in the drop's folder"
				v.Remedy = fmt.Sprintf("put the file into the drop's folder, and write %s", show(name))
			}
			c.fail(element(packagesField, i), v)
		}
	}
}

// notGS returns the message and the remedy for a text that begins with gs: and is
// not a URI.
func notGS(text string) (message, remedy string) {
	rest := strings.TrimLeft(strings.ReplaceAll(strings.TrimPrefix(text, "gs:"), `\`, "/"), "/")
	remedy = "write gs://BUCKET/OBJECT"
	if rest != "" {
		remedy = "write " + show("gs://"+rest)
	}
	return "this is not a URI of Cloud Storage, which begins with gs:// and the bucket's name", remedy
}

// locations yields the gs:// URIs of packageUris and jobDir, taken apart.
func (c *check) locations(yield func(field, bucket, object string)) {
	for i, uri := range c.in.PackageURIs {
		if bucket, object, ok := cutGS(uri); ok {
			yield(element(packagesField, i), bucket, object)
		}
	}
	if bucket, object, ok := cutGS(c.in.JobDir); ok {
		yield(jobDirField, bucket, object)
	}
}

// bucketFormat: a bucket's name holds lowercase letters, digits, dashes, underscores and dots, in the
// form that Cloud Storage has.
//
// Source: Cloud Storage, "Bucket names", as gcloud checks them.
//
//	 trainingInput:
//	-  jobDir: gs://My_Output/census
//	+  jobDir: gs://my_output/census
func bucketFormat(c *check) {
	c.locations(func(field, bucket, _ string) {
		if fault := bucketFault(bucket); fault != "" {
			c.fail(field, job.Violation{Message: fault, Found: show(bucket), Remedy: "correct the bucket's name"})
		}
	})
}

// bucketLength: a bucket's name has at least 3 characters. The manual's own example has a shorter one,
// so the rule only warns.
//
// Source: Cloud Storage, "Bucket names".
//
//	 trainingInput:
//	-  jobDir: gs://b/census
//	+  jobDir: gs://my-output/census
func bucketLength(c *check) {
	c.locations(func(field, bucket, _ string) {
		if len(bucket) < 3 {
			c.warn(field, job.Violation{
				Message: "a bucket's name has at least 3 characters",
				Found:   show(bucket),
				Remedy:  "write the bucket's name in place of the example's",
			})
		}
	})
}

// objectName: an object's name has at most 1,024 bytes and no line breaks, and is neither . nor ..
// alone.
//
// Source: Cloud Storage, "Object names", as gcloud checks them.
//
// For example: a jobDir whose path has 1,025 bytes; a shorter path mends it.
func objectName(c *check) {
	c.locations(func(field, _, object string) {
		if fault := objectFault(object); fault != "" {
			c.fail(field, job.Violation{Message: fault, Remedy: "shorten or correct the path"})
		}
	})
}

// packageNameTwice: two packages have the same file name. What the service does then is not known: one
// may replace the other.
//
// Source: gcloud, which refuses to upload two files of one name into one folder.
//
//	 trainingInput:
//	-  packageUris: ['gs://bucket-a/util-1.whl', 'gs://bucket-b/util-1.whl']
//	+  packageUris: ['gs://bucket-a/util-1.whl', 'gs://bucket-b/util-2.whl']
func packageNameTwice(c *check) {
	first := map[string]int{}
	for i, uri := range c.in.PackageURIs {
		name := path.Base(uri)
		if j, twice := first[name]; twice && uri != "" {
			c.warn(element(packagesField, i), job.Violation{
				Message: fmt.Sprintf("packageUris[%d] has the same file name; one may replace the other where both are installed",
					j),
				Remedy: "rename one of the two",
			})
			continue
		}
		first[name] = i
	}
}

// packageExtension: pip tells formats by the extension. It knows more of them
// than jobdrop inspects, so this is a doubt.
func packageExtension(c *check) {
	for i, uri := range c.in.PackageURIs {
		if !strings.HasSuffix(uri, ".tar.gz") && !strings.HasSuffix(uri, ".tgz") && !strings.HasSuffix(uri, ".whl") &&
			strings.HasPrefix(uri, "gs://") {
			c.warn(element(packagesField, i), job.Violation{
				Message: "the name is not that of a Python package",
				Allowed: ".tar.gz, .tgz, .whl",
				Remedy:  "name the file that python -m build, or setup.py sdist, made",
			})
		}
	}
}

// pythonModuleRequired: a job with packages says which module to run. A container has an entry point.
//
// Source: reference, pythonModule: "Required".
//
//	 trainingInput:
//	+  pythonModule: trainer.task
func pythonModuleRequired(c *check) {
	if c.in.PythonModule == "" && c.withoutImage() {
		c.fail(moduleField, job.Violation{
			Message: "the job does not say which module to run",
			Remedy:  "write pythonModule: and the module, e.g. trainer.task",
		})
	}
}

// pythonModuleFormat: pythonModule is a module as python -m takes it: names joined by dots, not a
// file, a function or a command line.
//
// Source: reference, pythonModule: "The Python module name to run after installing the packages".
//
//	 trainingInput:
//	-  pythonModule: trainer/task.py
//	+  pythonModule: trainer.task
func pythonModuleFormat(c *check) {
	module := c.in.PythonModule
	if module == "" || job.IsModule(module) && !strings.HasSuffix(module, ".py") && !job.IsPackage(module) {
		return
	}
	v := job.Violation{
		Message: "this is not a valid name of a module",
		Allowed: "names joined by dots, e.g. trainer.task",
		Remedy:  "write the package and the module, joined by a dot",
	}
	words := strings.Fields(module)
	if len(words) > 1 && strings.HasPrefix(path.Base(words[0]), "python") {
		words = words[1:]
	}
	if len(words) > 1 && words[0] == "-m" {
		words = words[1:]
	}
	guess, function, call := strings.Cut(strings.ReplaceAll(words[0], `\`, "/"), ":")
	file := path.Base(guess)
	guess, isFile := strings.CutSuffix(guess, ".py")
	guess = strings.TrimPrefix(strings.Trim(strings.ReplaceAll(guess, "/", "."), "."), "src.")
	for _, init := range [...]string{".__init__", ".__main__"} {
		guess = strings.TrimSuffix(guess, init)
	}
	switch {
	case job.IsPackage(file):
		v.Message = "this is a package's file, not a module"
		v.Remedy = "write the module in it that trains, e.g. trainer.task, and the file in packageUris"
		c.fail(moduleField, v)
		return
	case file == "setup.py":
		v.Message = "setup.py installs the package; it does not train"
		v.Remedy = "write the module that trains, e.g. trainer.task"
		c.fail(moduleField, v)
		return
	case !job.IsModule(guess):
	case call:
		v.Message = "this names a function, where a module is expected"
		v.Remedy = fmt.Sprintf("write %s, and call %s() at the module's end", show(guess), show(function))
	case len(words) > 1 && !strings.HasPrefix(words[1], "-"):
	case len(words) > 1:
		v.Message = "the module's name comes without a command and without arguments"
		v.Remedy = fmt.Sprintf("write %s, and %s in args, each argument as an entry", show(guess),
			show(strings.Join(words[1:], " ")))
	default:
		v.Remedy = "write " + show(guess)
	}
	if isFile || strings.Contains(guess, "/") {
		v.Message = "this is a file, not a module"
	}
	c.fail(moduleField, v)
}

// runtimeVersionRequired: a job has a runtime version, or an image that brings its own.
//
// Source: reference, runtimeVersion: "You must either specify this field or specify
// masterConfig.imageUri".
//
//	 trainingInput:
//	+  runtimeVersion: '2.11'
func runtimeVersionRequired(c *check) {
	if c.in.RuntimeVersion != "" || !c.withoutImage() {
		return
	}
	v := job.Violation{
		Message: "the job has no runtime version",
		Remedy:  "write it in quotes, e.g. runtimeVersion: '2.11'",
	}
	if p, ok := c.known.python(c.in.PythonVersion); ok && !p.has(version{major: 2, minor: 11}) {
		v.Remedy = "write it in quotes: runtimeVersion " + p.runtimes()
	}
	c.fail(runtimeField, v)
}

// runtimeVersionFormat: a runtime version is two numbers with a dot, in quotes.
//
// Source: the service's list of runtime versions.
//
//	 trainingInput:
//	-  runtimeVersion: latest
//	+  runtimeVersion: '2.11'
func runtimeVersionFormat(c *check) {
	if text := c.in.RuntimeVersion; text != "" {
		if _, ok := parseVersion(text); !ok {
			c.fail(runtimeField, job.Violation{
				Message: "this is not a valid runtime version",
				Allowed: "two numbers with a dot, e.g. 2.11",
				Remedy:  "write a version of the service's list, in quotes",
			})
		}
	}
}

// runtimeVersionPatch: a runtime version has no patch number. This is from memory of the
// documentation, so the rule only warns.
//
// Source: the service's list of runtime versions.
//
//	 trainingInput:
//	-  runtimeVersion: '2.11.0'
//	+  runtimeVersion: '2.11'
func runtimeVersionPatch(c *check) {
	if v, ok := parseVersion(c.in.RuntimeVersion); ok && v.patch {
		c.warn(runtimeField, job.Violation{
			Message: "a runtime version has no patch number",
			Remedy:  fmt.Sprintf("write '%d.%d'", v.major, v.minor),
		})
	}
}

// runtimeVersionUnknown: the runtime version is not among those known. The catalogue may not have all,
// so the rule only warns.
//
// Source: the service's list of runtime versions, as the catalogue has it; an operator adds to it in
// the policy.
//
//	 trainingInput:
//	-  runtimeVersion: '2.99'
//	+  runtimeVersion: '2.11'
//	-  pythonVersion: '3.10'
//	+  pythonVersion: '3.7'
func runtimeVersionUnknown(c *check) {
	v, ok := parseVersion(c.in.RuntimeVersion)
	if _, known := c.known.runtime(v); ok && !known {
		c.warn(runtimeField, job.Violation{
			Message: "the runtime version is not among those known",
			Remedy:  "check it against the service's list",
		})
	}
}

// runtimeVersionEnded: the service no longer trains with this runtime version. Later release notes may
// have loosened that, so the rule only warns.
//
// Source: the service's release notes of 2020-03-17.
//
//	 trainingInput:
//	-  runtimeVersion: '1.0'
//	+  runtimeVersion: '1.15'
//	-  pythonVersion: '2.7'
//	+  pythonVersion: '3.7'
func runtimeVersionEnded(c *check) {
	v, ok := parseVersion(c.in.RuntimeVersion)
	if r, _ := c.known.runtime(v); ok && r.Ended != "" {
		c.warn(runtimeField, job.Violation{
			Message: "the service no longer trains with this runtime version, since " + r.Ended,
			Remedy:  "write a later one, e.g. '1.15'",
		})
	}
}

// pythonVersionRequired: a job has a Python version, or an image that brings its own.
//
// Source: reference, pythonVersion: "You must either specify this field or specify
// masterConfig.imageUri".
//
//	 trainingInput:
//	+  pythonVersion: '3.7'
func pythonVersionRequired(c *check) {
	if c.in.PythonVersion != "" || !c.withoutImage() {
		return
	}
	allowed := c.pythonsFor(c.in.RuntimeVersion)
	v := job.Violation{
		Message: "the job has no Python version",
		Allowed: newestFirst(allowed),
		Remedy:  "write it in quotes",
	}
	if len(allowed) > 0 {
		v.Remedy += ", e.g. pythonVersion: '" + allowed[0] + "'"
	}
	c.fail(pythonField, v)
}

// pythonsFor lists the Python versions that go with a runtime version, all if it
// is not a version. They are in the catalogue's order: the first is the one to
// propose.
func (c *check) pythonsFor(runtime string) []string {
	var names []string
	v, ok := parseVersion(runtime)
	for _, p := range c.known.Pythons {
		if !ok || p.has(v) {
			names = append(names, p.Version)
		}
	}
	return names
}

// newestFirst lists versions for a message.
func newestFirst(versions []string) string {
	return strings.Join(slices.SortedFunc(slices.Values(versions), func(a, b string) int {
		v, _ := parseVersion(a)
		w, _ := parseVersion(b)
		return cmp.Or(cmp.Compare(w.major, v.major), cmp.Compare(w.minor, v.minor))
	}), ", ")
}

// pythonVersion: no runtime version of the service has this Python version.
//
// Source: reference, pythonVersion, which names 3.7, 3.5 and 2.7; the catalogue for later ones.
//
//	 trainingInput:
//	-  pythonVersion: '3.8'
//	+  pythonVersion: '3.7'
func pythonVersion(c *check) {
	if _, ok := c.known.python(c.in.PythonVersion); ok || c.in.PythonVersion == "" {
		return
	}
	var remedies []string
	for _, version := range [...]string{"3.10", "3.7"} {
		if p, ok := c.known.python(version); ok {
			remedies = append(remedies, fmt.Sprintf("'%s', with runtimeVersion %s", version, p.runtimes()))
		}
	}
	c.fail(pythonField, job.Violation{
		Message: "no service has this Python version",
		Allowed: newestFirst(c.pythonsFor("")),
		Remedy:  "write " + strings.Join(remedies, ", or "),
	})
}

// pythonForRuntime: a Python version goes with some runtime versions only. Where the manual and the
// reference differ the rule only warns.
//
// Source: reference, pythonVersion; the manual, "Running a training job".
//
//	 trainingInput:
//	   runtimeVersion: '2.11'
//	-  pythonVersion: '2.7'
//	+  pythonVersion: '3.7'
func pythonForRuntime(c *check) {
	v, ok := parseVersion(c.in.RuntimeVersion)
	python, known := c.known.python(c.in.PythonVersion)
	if !ok || !known {
		return
	}
	if python.has(v) {
		if from, later := parseVersion(python.ManualFrom); later && v.less(from) {
			c.warn(pythonField, job.Violation{
				Message: fmt.Sprintf("the manual has Python %s from runtime version %s on, the API's reference from %s",
					python.Version, python.ManualFrom, python.From),
				Remedy: "write runtimeVersion '" + python.ManualFrom + "' if the service refuses this one",
			})
		}
		return
	}
	allowed := c.pythonsFor(c.in.RuntimeVersion)
	remedy := "write runtimeVersion " + python.runtimes()
	if len(allowed) > 0 {
		remedy = "write pythonVersion: '" + allowed[0] + "', or runtimeVersion " + python.runtimes()
	}
	c.fail(pythonField, job.Violation{
		Message: fmt.Sprintf("Python %s goes with runtime versions %s, not with %s", c.in.PythonVersion, python.runtimes(),
			c.in.RuntimeVersion),
		Allowed: newestFirst(allowed),
		Remedy:  remedy,
	})
}

// imageExcludesRuntime: an image brings its own runtime, so runtimeVersion must not stand beside it.
// The service refuses both.
//
// Source: reference, masterConfig: "Only one of masterConfig.imageUri and runtimeVersion should be
// set".
//
//	 trainingInput:
//	   masterConfig: {imageUri: gcr.io/my-project/trainer}
//	-  runtimeVersion: '2.11'
func imageExcludesRuntime(c *check) {
	if c.in.HasImage() && c.in.RuntimeVersion != "" {
		c.fail(runtimeField, job.Violation{
			Message: "runtimeVersion excludes masterConfig.imageUri: the image brings its own",
			Remedy:  "remove runtimeVersion, or the image",
		})
	}
}

// imageExcludesPython: an image brings its own Python, so pythonVersion has no place beside it. The
// rule only warns.
//
// Source: seen to be refused, once (a2i2/surround, pull request 217).
//
//	 trainingInput:
//	   masterConfig: {imageUri: gcr.io/my-project/trainer}
//	-  pythonVersion: '3.7'
func imageExcludesPython(c *check) {
	if c.in.HasImage() && c.in.PythonVersion != "" {
		c.warn(pythonField, job.Violation{
			Message: "the service may refuse pythonVersion beside masterConfig.imageUri: the image brings its own",
			Remedy:  "remove pythonVersion, or the image",
		})
	}
}

// imageFormat: an image is named as docker pull takes it: HOST/PATH:TAG or HOST/PATH@sha256:DIGEST,
// without a scheme, the path in lowercase.
//
// Source: the grammar of distribution's reference package.
//
//	 trainingInput:
//	-  masterConfig: {imageUri: 'https://gcr.io/my-project/trainer'}
//	+  masterConfig: {imageUri: gcr.io/my-project/trainer}
func imageFormat(c *check) {
	for _, r := range c.roles {
		if r.Config == nil || r.Config.ImageURI == "" {
			continue
		}
		if _, err := image.Parse(r.Config.ImageURI); err != nil {
			v := job.Violation{
				Message: "this is not the name of a container image",
				Found:   show(r.Config.ImageURI),
				Allowed: "HOST/PATH:TAG or HOST/PATH@sha256:DIGEST; a path is in lowercase",
				Remedy:  "write the image's name as docker pull takes it",
			}
			if part := strings.TrimRight(capitals.FindString(r.Config.ImageURI), "/:@"); part != "" {
				v.Message = show(part) + " looks like a placeholder: the names of images have no capitals"
				v.Remedy = "write the name that it stands for"
			} else if _, rest, ok := strings.Cut(r.Config.ImageURI, "://"); ok {
				v.Message = "the name of a container image has no scheme"
				v.Remedy = "write " + show(rest)
			}
			c.fail(r.ConfigField()+".imageUri", v)
		}
	}
}

// capitals matches a part of an image's path as manuals write what is to be replaced;
// a tag may have capitals.
var capitals = regexp.MustCompile(`[A-Z]+(?:[_-][A-Z]+)*(?:[/:@]|$)`)

// imagePlaceholder: the image's name is one of a manual, which nobody has. It is valid, so the rule
// only warns.
//
// Source: the names that manuals use.
//
//	 trainingInput:
//	-  masterConfig: {imageUri: gcr.io/your-project-id/trainer}
//	+  masterConfig: {imageUri: gcr.io/census-prod/trainer}
func imagePlaceholder(c *check) {
	for _, r := range c.roles {
		if r.Config == nil {
			continue
		}
		if _, err := image.Parse(r.Config.ImageURI); err != nil {
			continue
		}
		name, _, _ := strings.Cut(r.Config.ImageURI, "@")
		for part := range strings.SplitSeq(name, "/") {
			part, _, _ = strings.Cut(part, ":")
			if slices.Contains(manualNames, part) || strings.HasPrefix(part, "your-") || strings.HasPrefix(part, "your_") {
				c.warn(r.ConfigField()+".imageUri", job.Violation{
					Message: show(part) + " looks like a placeholder",
					Remedy:  "write the name that it stands for",
				})
				break
			}
		}
	}
}

// manualNames are parts of images' names in manuals.
var manualNames = []string{
	"project-id", "project_id", "project-name", "my-project-id", "gcp-project", "gcp-project-id", "image-name",
	"image_name", "repo-name", "repo_name", "repository-name", "yourproject", "yourimage",
}

// imageRegistry: the image is not in a registry of Google Cloud. The service is not known to reach
// others, so the rule only warns.
//
// Source: reference, imageUri: the image is "in Container Registry".
//
//	 trainingInput:
//	-  masterConfig: {imageUri: docker.io/acme/trainer}
//	+  masterConfig: {imageUri: gcr.io/acme/trainer}
func imageRegistry(c *check) {
	for _, r := range c.roles {
		if r.Config == nil || r.Config.ImageURI == "" {
			continue
		}
		if name, err := image.Parse(r.Config.ImageURI); err == nil && !name.OfProject() {
			c.warn(r.ConfigField()+".imageUri", job.Violation{
				Message: "the image is not in a registry of Google Cloud",
				Allowed: "gcr.io/PROJECT/IMAGE, or LOCATION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE",
				Remedy:  "push the image to the project's registry and name it there",
			})
		}
	}
}

// jobDirFormat: the job's directory is in Cloud Storage: gs://, a bucket and a path.
//
// Source: reference, jobDir: "A Google Cloud Storage path".
//
//	 trainingInput:
//	-  jobDir: /tmp/output
//	+  jobDir: gs://my-output/census
func jobDirFormat(c *check) {
	if _, _, ok := cutGS(c.in.JobDir); c.in.JobDir != "" && !ok {
		v := job.Violation{
			Message: "the job's directory must be in Cloud Storage",
			Allowed: "gs://bucket/path",
			Remedy:  "write gs:// and a bucket that the trainer may write to",
		}
		if strings.HasPrefix(c.in.JobDir, "gs:") && !strings.HasPrefix(c.in.JobDir, "gs://") {
			v.Message, v.Remedy = notGS(c.in.JobDir)
		}
		c.fail(jobDirField, v)
	}
}

// durations yields the durations that are set.
func (c *check) durations(yield func(field, text string)) {
	if s := c.in.Scheduling; s != nil {
		if s.MaxWaitTime != "" {
			yield(maxWaitTime, s.MaxWaitTime)
		}
		if s.MaxRunningTime != "" {
			yield(maxRunningTime, s.MaxRunningTime)
		}
	}
	if wait := c.vertex.MaxWaitDuration; wait != "" {
		yield(vertexWaitField, wait)
	}
}

// durationFormat: a duration is written in seconds with the suffix s, with at most nine digits after
// the point.
//
// Source: reference, maxWaitTime and maxRunningTime: "expressed in seconds … up to nine fractional
// digits, terminated by s"; google.protobuf.Duration.
//
//	 trainingInput:
//	-  scheduling: {maxRunningTime: 1h}
//	+  scheduling: {maxRunningTime: 3600s}
func durationFormat(c *check) {
	c.durations(func(field, text string) {
		if _, err := job.ParseDuration(text); err == nil {
			return
		}
		v := job.Violation{
			Message: "this is not a valid duration",
			Allowed: "seconds with the suffix s, e.g. 3600s",
			Remedy:  "write the seconds with the suffix s",
		}
		if only(strings.TrimSuffix(text, "s"), isDigit) && len(text) > 10 {
			v.Message = "the duration is longer than the API can say"
			v.Allowed = "at most 315576000000s"
			v.Remedy = "write fewer seconds"
		}
		for _, guess := range [...]string{text, text + "s"} {
			if d, err := time.ParseDuration(strings.TrimSpace(guess)); err == nil && d > 0 {
				v.Remedy = "write " + job.FormatDuration(d)
				break
			}
		}
		c.fail(field, v)
	})
}

// maxWait: the service waits at least 1800 s for a job to run. An operator's own service may have
// another minimum.
//
// Source: reference, maxWaitTime: "The minimum for this field is 1800s".
//
//	 trainingInput:
//	-  scheduling: {maxWaitTime: 600s}
//	+  scheduling: {maxWaitTime: 1800s}
func maxWait(c *check) {
	c.durations(func(field, text string) {
		if d, err := job.ParseDuration(text); err == nil && field == maxWaitTime && d < c.known.minWait() {
			c.fail(maxWaitTime, job.Violation{
				Message: "the wait is shorter than the service's minimum",
				Allowed: c.known.MinWait + " or more",
				Remedy:  "write " + c.known.MinWait + ", or remove the field to wait without limit",
			})
		}
	})
}

// maxRunning: with 0s the job would have no time to run. No minimum is documented, so the rule only
// warns.
//
// Source: reference, maxRunningTime, by deduction.
//
//	 trainingInput:
//	-  scheduling: {maxRunningTime: 0s}
//	+  scheduling: {maxRunningTime: 3600s}
func maxRunning(c *check) {
	c.durations(func(field, text string) {
		if d, err := job.ParseDuration(text); err == nil && field == maxRunningTime && d == 0 {
			c.warn(maxRunningTime, job.Violation{
				Message: "the job would have no time to run",
				Allowed: "more than 0s",
				Remedy:  "write the most seconds that the job may run, or remove the field for " + job.FormatDuration(job.DefaultRunningTime),
			})
		}
	})
}

// priorityRange: a priority is a number from 0 to 1000.
//
// Source: reference, priority: "in the range [0, 1000]".
//
//	 trainingInput:
//	-  scheduling: {priority: 1001}
//	+  scheduling: {priority: 1000}
func priorityRange(c *check) {
	if s := c.in.Scheduling; s != nil && (s.Priority < 0 || s.Priority > 1000) {
		c.fail("trainingInput.scheduling.priority", job.Violation{
			Message: "the priority is out of range",
			Allowed: "0 to 1000",
			Remedy:  "write a number from 0 to 1000",
		})
	}
}

var serviceAccount = regexp.MustCompile(`^(?:[\w.%+-]+@[\w-]+(?:\.[\w-]+)+|[0-9]+)$`)

// serviceAccountFormat: a service account is named by its e-mail address, or by its numeric ID.
//
// Source: reference, serviceAccount: "The email address of a service account"; gcloud takes the
// numeric ID, too.
//
//	 trainingInput:
//	-  serviceAccount: trainer
//	+  serviceAccount: trainer@my-project.iam.gserviceaccount.com
func serviceAccountFormat(c *check) {
	if a := c.in.ServiceAccount; a != "" && !serviceAccount.MatchString(a) {
		c.fail("trainingInput.serviceAccount", job.Violation{
			Message: "this is not a valid service account",
			Allowed: "an address such as trainer@my-project.iam.gserviceaccount.com",
			Remedy:  "write the service account's e-mail address",
		})
	}
}

var networkName = regexp.MustCompile(`^projects/([\w.:-]+)/global/networks/[\w-]+$`)

// networkFormat: a network is given by its full name, with its project's number.
//
// Source: reference, network: "projects/{project}/global/networks/{network}, where {project} is a
// project number".
//
//	 trainingInput:
//	-  network: projects/my-project/global/networks/training
//	+  network: projects/12345/global/networks/training
func networkFormat(c *check) {
	network := c.in.Network
	if network == "" {
		return
	}
	v := job.Violation{
		Message: "this is not the full name of a network",
		Allowed: "projects/NUMBER/global/networks/NAME",
		Remedy:  "write the project's number and the network's name in this form",
	}
	if m := networkName.FindStringSubmatch(network); m != nil {
		if strings.Trim(m[1], "0123456789") == "" {
			return
		}
		v.Message = "the network's project must be given by its number"
		v.Remedy = "write the number of the project " + show(m[1])
	}
	c.fail("trainingInput.network", v)
}

var kmsKey = regexp.MustCompile(`^projects/[\w.:-]+/locations/([\w-]+)/keyRings/[\w-]+/cryptoKeys/[\w-]+$`)

// kmsKeyFormat: a key is given by its full name, without a version.
//
// Source: reference, kmsKeyName.
//
//	 trainingInput:
//	   encryptionConfig:
//	-    kmsKeyName: my-key
//	+    kmsKeyName: projects/p/locations/us-central1/keyRings/r/cryptoKeys/k
func kmsKeyFormat(c *check) {
	if e := c.in.EncryptionConfig; e != nil && e.KMSKeyName != "" && !kmsKey.MatchString(e.KMSKeyName) {
		c.fail(kmsKeyField, job.Violation{
			Message: "this is not the full name of a key",
			Allowed: "projects/ID/locations/REGION/keyRings/RING/cryptoKeys/KEY",
			Remedy:  "write the key's resource name, without a version",
		})
	}
}

// kmsKeyRegion: the key is in another region than the job. Cloud KMS's general rule is not stated for
// training, so the rule only warns.
//
// Source: Cloud KMS, "Locations".
//
//	 trainingInput:
//	   region: us-central1
//	   encryptionConfig:
//	-    kmsKeyName: projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k
//	+    kmsKeyName: projects/p/locations/us-central1/keyRings/r/cryptoKeys/k
func kmsKeyRegion(c *check) {
	if c.in.EncryptionConfig == nil || c.in.Region == "" {
		return
	}
	if m := kmsKey.FindStringSubmatch(c.in.EncryptionConfig.KMSKeyName); m != nil && m[1] != c.in.Region {
		c.warn(kmsKeyField, job.Violation{
			Message: fmt.Sprintf("the key is in %s, the job in %s", show(m[1]), show(c.in.Region)),
			Remedy:  "use a key of the job's region",
		})
	}
}
