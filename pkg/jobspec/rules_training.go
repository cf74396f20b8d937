package jobspec

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Sources: "reference" is the API's own text on the field (ml/v1, TrainingInput
// and below); "the manual" is its page "Running a training job".

const (
	maxWaitTime    = "trainingInput.scheduling.maxWaitTime"
	maxRunningTime = "trainingInput.scheduling.maxRunningTime"
)

// regionRequired: reference, "Required".
func regionRequired(c *check) {
	if c.in.Region == "" {
		c.fail("trainingInput.region", job.Violation{
			Message: "the job has no region",
			Remedy:  "write region: and the region of the data's bucket, e.g. us-central1",
		})
	}
}

var (
	regionName = regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]+$`)
	zoneName   = regexp.MustCompile(`^([a-z]+-[a-z]+[0-9]+)-[a-z]$`)
)

// regionFormat: Google Cloud, "Regions and zones".
func regionFormat(c *check) {
	region := c.in.Region
	if region == "" || regionName.MatchString(region) {
		return
	}
	v := job.Violation{
		Message: "this is no region's name",
		Allowed: "a region such as us-central1",
		Remedy:  "write the region of the data's bucket",
	}
	if m := zoneName.FindStringSubmatch(region); m != nil {
		v.Message = "this is a zone; jobs run in a region"
		v.Remedy = "write " + m[1]
	} else if lower := strings.ToLower(strings.TrimSpace(region)); regionName.MatchString(lower) {
		v.Remedy = "write " + lower
	} else if close := closest(region, regions()); close != "" {
		v.Remedy = "write " + close
	}
	c.fail("trainingInput.region", v)
}

// regionUnknown: the service's release notes; they may not be all.
func regionUnknown(c *check) {
	region := c.in.Region
	if !regionName.MatchString(region) || slices.Contains(regions(), region) {
		return
	}
	v := job.Violation{
		Message: "the region is not among those known to train",
		Remedy:  "check that the service offers training there",
	}
	if close := closest(region, regions()); close != "" {
		v.Message += "; did you mean " + close + "?"
	}
	c.warn("trainingInput.region", v)
}

// scaleTierRequired: reference, "Required". A job of one container is seen to
// run without.
func scaleTierRequired(c *check) {
	if tier := c.in.ScaleTier; tier != "" && tier != "SCALE_TIER_UNSPECIFIED" {
		return
	}
	v := job.Violation{
		Message: "the job has no scale tier",
		Allowed: "BASIC, STANDARD_1, PREMIUM_1, BASIC_GPU, BASIC_TPU, CUSTOM",
		Remedy:  "write scaleTier: BASIC for one machine, or CUSTOM with masterType",
	}
	if c.withoutImage() {
		c.fail("trainingInput.scaleTier", v)
	} else {
		c.warn("trainingInput.scaleTier", v)
	}
}

// masterTypeRequired: reference, masterType: "You must specify this field when
// scaleTier is set to CUSTOM".
func masterTypeRequired(c *check) {
	if c.in.ScaleTier == "CUSTOM" && c.in.MasterType == "" {
		c.fail("trainingInput.masterType", job.Violation{
			Message: "scaleTier CUSTOM needs masterType",
			Remedy:  "write masterType: and a machine type, e.g. n1-standard-8",
		})
	}
}

// customTierOnly: reference, workerCount and its like: "can only be used when
// scale_tier is set to CUSTOM". Of types it says nothing, so they only warn.
func customTierOnly(c *check) {
	if !c.notCustom() {
		return
	}
	for _, r := range c.counted() {
		if r.count > 0 {
			c.fail(r.countField(), job.Violation{
				Message: fmt.Sprintf("%sCount goes with scaleTier CUSTOM only; the tier %s has its own replicas", r.name, c.in.ScaleTier),
				Remedy:  "write scaleTier: CUSTOM with masterType, or remove the count",
			})
		}
	}
	for _, r := range c.roles() {
		if r.typ != "" {
			c.warn(r.typeField(), job.Violation{
				Message: fmt.Sprintf("%sType goes with scaleTier CUSTOM only; the tier %s has its own machines", r.name, c.in.ScaleTier),
				Remedy:  "write scaleTier: CUSTOM, or remove the type",
			})
		}
	}
}

// replicaCount: a count is a number of machines.
func replicaCount(c *check) {
	for _, r := range c.counted() {
		if r.count < 0 {
			c.fail(r.countField(), job.Violation{
				Message: "a count can't be negative",
				Allowed: "0 or more",
				Remedy:  "write the number of replicas, or remove the count",
			})
		}
	}
}

// replicaTypeRequired: reference, workerType and its like: "must be present
// when scaleTier is set to CUSTOM and workerCount is greater than zero".
func replicaTypeRequired(c *check) {
	if c.notCustom() {
		return
	}
	for _, r := range c.counted() {
		if r.count > 0 && r.typ == "" {
			v := job.Violation{
				Message: fmt.Sprintf("%sCount is %d, but %sType is missing", r.name, r.count, r.name),
				Remedy:  fmt.Sprintf("write %sType: and a machine type", r.name),
			}
			if c.in.MasterType != "" {
				v.Remedy += ", e.g. " + show(c.in.MasterType)
			}
			c.fail(r.typeField(), v)
		}
	}
}

// replicaTypeUnused: by the reference the count's default is zero.
func replicaTypeUnused(c *check) {
	if c.notCustom() {
		return
	}
	for _, r := range c.counted() {
		if r.typ != "" && r.count == 0 && !c.f.silent(r.countField()) {
			c.warn(r.typeField(), job.Violation{
				Message: fmt.Sprintf("%sType has no effect: %sCount is 0", r.name, r.name),
				Remedy:  fmt.Sprintf("write %sCount: and the number of replicas, or remove the type", r.name),
			})
		}
	}
}

// machineCategory: reference, workerType and its like: "both must be Compute
// Engine machine types or both must be legacy machine types". TPUs are seen to
// go with either.
func machineCategory(c *check) {
	master := categoryOf(c.in.MasterType)
	if master != legacyMachine && master != computeMachine {
		return
	}
	for _, r := range c.counted() {
		if k := categoryOf(r.typ); (k == legacyMachine || k == computeMachine) && k != master {
			c.fail(r.typeField(), job.Violation{
				Message: fmt.Sprintf("%s is a %s machine type, but masterType %s is a %s one", show(r.typ), k, show(c.in.MasterType), master),
				Allowed: fmt.Sprintf("a %s machine type, or cloud_tpu", master),
				Remedy:  "choose both types from one category",
			})
		}
	}
}

// machineUnknown: the reference points to a list that changes, so a type that
// looks like none is only doubted.
func machineUnknown(c *check) {
	for _, r := range c.roles() {
		if r.typ != "" && categoryOf(r.typ) == unknownMachine {
			c.warn(r.typeField(), job.Violation{
				Message: "this looks like no machine type",
				Allowed: "a Compute Engine type such as n1-standard-8, a legacy type such as standard_gpu, or cloud_tpu",
				Remedy:  "check the spelling",
			})
		}
	}
}

// evaluatorCount: the service's page on distributed training: "TensorFlow
// generally expects that you use no more than one evaluator". Users run more.
func evaluatorCount(c *check) {
	if c.in.EvaluatorCount > 1 {
		c.warn("trainingInput.evaluatorCount", job.Violation{
			Message: "TensorFlow expects at most one evaluator",
			Remedy:  "write 1, unless the trainer shares the evaluation out by itself",
		})
	}
}

const packagesField = "trainingInput.packageUris"

// maxPackages: reference, packageUris: "The maximum number of package URIs is
// 100".
const maxPackages = 100

// packagesRequired: reference, packageUris, "Required"; a container brings its
// own code.
func packagesRequired(c *check) {
	if len(c.in.PackageURIs) == 0 && c.withoutImage() {
		c.fail(packagesField, job.Violation{
			Message: "the job has no package and no image to run",
			Remedy:  "put the trainer's .tar.gz or .whl into the drop's folder, or name an image in masterConfig.imageUri",
		})
	}
}

// packageCount: reference, packageUris.
func packageCount(c *check) {
	if n := len(c.in.PackageURIs); n > maxPackages {
		c.fail(packagesField, job.Violation{
			Message: "there are too many packages",
			Found:   strconv.Itoa(n),
			Allowed: fmt.Sprintf("at most %d", maxPackages),
			Remedy:  "merge packages, or let the trainer's setup.py require those that PyPI has",
		})
	}
}

var gsURI = regexp.MustCompile(`^gs://([^/]+)(/?)([^\r\n]*)$`)

// packageURI: reference, packageUris: "The Google Cloud Storage location of the
// packages".
func packageURI(c *check) {
	for i, uri := range c.in.PackageURIs {
		m := gsURI.FindStringSubmatch(uri)
		if m == nil || m[3] == "" || strings.HasSuffix(uri, "/") {
			c.fail(element(packagesField, i), job.Violation{
				Message: "this is no object of Cloud Storage",
				Allowed: "gs://bucket/object, or the name of a file in the drop's folder",
				Remedy:  "write the name of a file that is in the drop's folder",
			})
			continue
		}
		c.bucket(element(packagesField, i), m[1])
	}
}

// bucket reports a name that can't be a bucket's. Real names have at least
// three characters, but the manual's own examples have fewer.
func (c *check) bucket(field, name string) {
	if fault := bucketFault(name); fault != "" {
		c.fail(field, job.Violation{Message: fault, Found: show(name), Remedy: "correct the bucket's name"})
	} else if len(name) < 3 {
		c.warn(field, job.Violation{
			Message: "a bucket's name has at least 3 characters",
			Found:   show(name),
			Remedy:  "write the bucket's name in place of the example's",
		})
	}
}

// packageNameTwice: packages are installed from one folder, so gcloud refuses
// two of one file name.
func packageNameTwice(c *check) {
	first := map[string]int{}
	for i, uri := range c.in.PackageURIs {
		name := path.Base(uri)
		if j, twice := first[name]; twice && uri != "" {
			c.fail(element(packagesField, i), job.Violation{
				Message: fmt.Sprintf("packageUris[%d] has the same file name; one would replace the other", j),
				Remedy:  "rename one of the two",
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
		if !strings.HasSuffix(uri, ".tar.gz") && !strings.HasSuffix(uri, ".tgz") && !strings.HasSuffix(uri, ".whl") && gsURI.MatchString(uri) {
			c.warn(element(packagesField, i), job.Violation{
				Message: "the name is not that of a Python package",
				Allowed: ".tar.gz, .tgz, .whl",
				Remedy:  "name the file that python -m build, or setup.py sdist, made",
			})
		}
	}
}

// pythonModuleRequired: reference, pythonModule, "Required"; a container has an
// entry point.
func pythonModuleRequired(c *check) {
	if c.in.PythonModule == "" && c.withoutImage() {
		c.fail("trainingInput.pythonModule", job.Violation{
			Message: "the job does not say which module to run",
			Remedy:  "write pythonModule: and the module, e.g. trainer.task",
		})
	}
}

// moduleName is what python -m can find: it imports by file name, so that a
// dash, which an import statement would not take, does no harm.
var moduleName = regexp.MustCompile(`^[\p{L}\p{N}_-]+(?:\.[\p{L}\p{N}_-]+)*$`)

// pythonModuleFormat: reference, pythonModule: "The Python module name to run
// after installing the packages".
func pythonModuleFormat(c *check) {
	module := c.in.PythonModule
	file := strings.HasSuffix(module, ".py")
	if module == "" || moduleName.MatchString(module) && !file {
		return
	}
	v := job.Violation{
		Message: "this is no module's name",
		Allowed: "names joined by dots, e.g. trainer.task",
		Remedy:  "write the package and the module, joined by a dot",
	}
	guess := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(module), "python "), "-m ")
	if file || strings.ContainsAny(guess, `/\`) {
		v.Message = "this is a file, not a module"
	}
	guess = strings.NewReplacer("/", ".", `\`, ".").Replace(strings.TrimSuffix(guess, ".py"))
	guess = strings.TrimPrefix(strings.Trim(guess, "."), "src.")
	if moduleName.MatchString(guess) {
		v.Remedy = "write " + show(guess)
	}
	c.fail("trainingInput.pythonModule", v)
}

// runtimeVersionRequired: reference, runtimeVersion: "You must either specify
// this field or specify masterConfig.imageUri".
func runtimeVersionRequired(c *check) {
	if c.in.RuntimeVersion == "" && c.withoutImage() {
		c.fail("trainingInput.runtimeVersion", job.Violation{
			Message: "the job has no runtime version",
			Remedy:  "write it in quotes, e.g. runtimeVersion: '2.11'",
		})
	}
}

// runtimeVersionFormat: the service's list of runtime versions.
func runtimeVersionFormat(c *check) {
	if text := c.in.RuntimeVersion; text != "" {
		if _, ok := parseVersion(text); !ok {
			c.fail("trainingInput.runtimeVersion", job.Violation{
				Message: "this is no runtime version",
				Allowed: "two numbers with a dot, e.g. 2.11",
				Remedy:  "write a version of the service's list, in quotes",
			})
		}
	}
}

// runtimeVersionUnknown: the list was never complete here, so it only warns.
// Its release notes of 2020-03-17 end 1.2 to 1.9 for training.
func runtimeVersionUnknown(c *check) {
	text := c.in.RuntimeVersion
	v, ok := parseVersion(text)
	switch {
	case !ok:
	case strings.Count(text, ".") > 1:
		c.warn("trainingInput.runtimeVersion", job.Violation{
			Message: "a runtime version has no patch number",
			Remedy:  fmt.Sprintf("write '%d.%d'", v.major, v.minor),
		})
	case !knownRuntime(v):
		c.warn("trainingInput.runtimeVersion", job.Violation{
			Message: "the runtime version is not among those known",
			Remedy:  "check it against the service's list",
		})
	case v.less(version{1, 10}):
		c.warn("trainingInput.runtimeVersion", job.Violation{
			Message: "the service no longer trains with this runtime version",
			Remedy:  "write a later one, e.g. '1.15'",
		})
	}
}

// pythonVersionRequired: reference, pythonVersion: "You must either specify
// this field or specify masterConfig.imageUri".
func pythonVersionRequired(c *check) {
	if c.in.PythonVersion == "" && c.withoutImage() {
		c.fail("trainingInput.pythonVersion", job.Violation{
			Message: "the job has no Python version",
			Allowed: pythonNames(),
			Remedy:  "write it in quotes, e.g. pythonVersion: '3.7'",
		})
	}
}

// pythonVersion: reference, pythonVersion, names exactly three.
func pythonVersion(c *check) {
	python := c.in.PythonVersion
	if python == "" || slices.ContainsFunc(pythons(), func(p pythonRange) bool { return p.python == python }) {
		return
	}
	c.fail("trainingInput.pythonVersion", job.Violation{
		Message: "the service has no such Python version",
		Allowed: pythonNames(),
		Remedy:  "write '3.7', with runtimeVersion 1.15 or later",
	})
}

// pythonForRuntime: see [pythons].
func pythonForRuntime(c *check) {
	v, ok := parseVersion(c.in.RuntimeVersion)
	if !ok {
		return
	}
	var allowed []string
	fits, known := false, ""
	for _, p := range pythons() {
		in := !v.less(p.from) && !p.to.less(v)
		if in {
			allowed = append(allowed, p.python)
		}
		if p.python == c.in.PythonVersion {
			fits, known = in, p.text
		}
	}
	if fits || known == "" {
		return
	}
	remedy := "write runtimeVersion " + known
	if len(allowed) > 0 {
		remedy = "write pythonVersion: '" + allowed[0] + "', or runtimeVersion " + known
	}
	c.fail("trainingInput.pythonVersion", job.Violation{
		Message: fmt.Sprintf("Python %s goes with runtime versions %s, not with %s", c.in.PythonVersion, known, c.in.RuntimeVersion),
		Allowed: strings.Join(allowed, ", "),
		Remedy:  remedy,
	})
}

// imageExcludesRuntime: reference, masterConfig: "Only one of
// masterConfig.imageUri and runtimeVersion should be set"; the service refuses
// both, and pythonVersion likewise.
func imageExcludesRuntime(c *check) {
	if !c.in.HasImage() {
		return
	}
	for field, value := range map[string]string{"runtimeVersion": c.in.RuntimeVersion, "pythonVersion": c.in.PythonVersion} {
		if value != "" {
			c.fail("trainingInput."+field, job.Violation{
				Message: field + " excludes masterConfig.imageUri: the image brings its own",
				Remedy:  "remove " + field + ", or the image",
			})
		}
	}
}

// jobDirFormat: reference, jobDir: "A Google Cloud Storage path".
func jobDirFormat(c *check) {
	dir := c.in.JobDir
	if dir == "" {
		return
	}
	m := gsURI.FindStringSubmatch(dir)
	if m == nil {
		c.fail("trainingInput.jobDir", job.Violation{
			Message: "the job's directory must be in Cloud Storage",
			Allowed: "gs://bucket/path",
			Remedy:  "write gs:// and a bucket that the trainer may write to",
		})
		return
	}
	if len(m[3]) > 1024 { // Cloud Storage's bound for an object's name
		c.fail("trainingInput.jobDir", job.Violation{
			Message: "the path is longer than an object's name may be",
			Allowed: "at most 1024 bytes after the bucket",
			Remedy:  "shorten the path",
		})
	}
	c.bucket("trainingInput.jobDir", m[1])
}

// maxWait: reference, maxWaitTime: "The minimum for this field is 1800s".
func maxWait(c *check) {
	if c.in.Scheduling == nil || c.in.Scheduling.MaxWaitTime == "" {
		return
	}
	if d, ok := c.duration(maxWaitTime, c.in.Scheduling.MaxWaitTime); ok && d < 1800*time.Second {
		c.fail(maxWaitTime, job.Violation{
			Message: "the wait is shorter than the service's minimum",
			Allowed: "1800s or more",
			Remedy:  "write 1800s, or remove the field to wait without limit",
		})
	}
}

// maxRunning: reference, maxRunningTime.
func maxRunning(c *check) {
	if c.in.Scheduling == nil || c.in.Scheduling.MaxRunningTime == "" {
		return
	}
	if d, ok := c.duration(maxRunningTime, c.in.Scheduling.MaxRunningTime); ok && d <= 0 {
		c.fail(maxRunningTime, job.Violation{
			Message: "the job would have no time to run",
			Allowed: "more than 0s",
			Remedy:  "write the most seconds that the job may run, or remove the field for 604800s",
		})
	}
}

// duration reads a duration of the API; both fields of scheduling have its
// format.
func (c *check) duration(field, text string) (time.Duration, bool) {
	d, err := job.ParseDuration(text)
	if err == nil {
		return d, true
	}
	v := job.Violation{
		Message: "this is no duration as the service reads it",
		Allowed: "seconds with the suffix s, e.g. 3600s",
		Remedy:  "write the seconds with the suffix s",
	}
	for _, guess := range []string{text + "s", text} {
		if d, err := time.ParseDuration(strings.TrimSpace(guess)); err == nil && d > 0 {
			v.Remedy = "write " + job.FormatDuration(d)
			break
		}
	}
	c.fail(field, v)
	return 0, false
}

// priorityRange: reference, priority: "in the range [0, 1000]".
func priorityRange(c *check) {
	if s := c.in.Scheduling; s != nil && (s.Priority < 0 || s.Priority > 1000) {
		c.fail("trainingInput.scheduling.priority", job.Violation{
			Message: "the priority is out of range",
			Allowed: "0 to 1000",
			Remedy:  "write a number from 0 to 1000",
		})
	}
}

var serviceAccount = regexp.MustCompile(`^(?:[^\s@]+@[^\s@]+\.[^\s@]+|[0-9]+)$`)

// serviceAccountFormat: reference, serviceAccount: "The email address of a
// service account"; gcloud takes the numeric ID, too.
func serviceAccountFormat(c *check) {
	if a := c.in.ServiceAccount; a != "" && !serviceAccount.MatchString(a) {
		c.fail("trainingInput.serviceAccount", job.Violation{
			Message: "this is no service account",
			Allowed: "an address such as trainer@my-project.iam.gserviceaccount.com",
			Remedy:  "write the service account's e-mail address",
		})
	}
}

var networkName = regexp.MustCompile(`^projects/([^/]+)/global/networks/[^/]+$`)

// networkFormat: reference, network: "projects/{project}/global/networks/
// {network}, where {project} is a project number".
func networkFormat(c *check) {
	network := c.in.Network
	if network == "" {
		return
	}
	v := job.Violation{
		Message: "this is no network's full name",
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

var kmsKey = regexp.MustCompile(`^projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+$`)

// kmsKeyFormat: reference, kmsKeyName. That key and job share a region is Cloud
// KMS's general rule, not stated for training.
func kmsKeyFormat(c *check) {
	e := c.in.EncryptionConfig
	if e == nil || e.KMSKeyName == "" {
		return
	}
	m := kmsKey.FindStringSubmatch(e.KMSKeyName)
	switch {
	case m == nil:
		c.fail("trainingInput.encryptionConfig.kmsKeyName", job.Violation{
			Message: "this is no key's full name",
			Allowed: "projects/ID/locations/REGION/keyRings/RING/cryptoKeys/KEY",
			Remedy:  "write the key's resource name, without a version",
		})
	case c.in.Region != "" && m[1] != c.in.Region:
		c.warn("trainingInput.encryptionConfig.kmsKeyName", job.Violation{
			Message: fmt.Sprintf("the key is in %s, the job in %s", show(m[1]), show(c.in.Region)),
			Remedy:  "use a key of the job's region",
		})
	}
}
