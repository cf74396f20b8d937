package jobspec

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// argsExclusive: a replica's own command line and trainingInput.args exclude each other.
//
// Source: reference, containerCommand and containerArgs: "this field and TrainingInput.args are
// mutually exclusive".
//
//	 trainingInput:
//	   masterConfig:
//	     imageUri: gcr.io/my-project/trainer
//	     containerArgs: [--epochs=5]
//	-  args: [--verbose]
func argsExclusive(c *check) {
	if len(c.in.Args) == 0 {
		return
	}
	for _, r := range c.roles {
		if r.Config == nil {
			continue
		}
		for _, field := range containerFields(r) {
			c.failFor(r, field, job.Violation{
				Message: "the replica's own command line and trainingInput.args exclude each other",
				Remedy:  "move trainingInput.args into containerArgs, or remove this field",
			})
		}
	}
}

// containerNeedsImage: a command line of a container needs an image. The master's image serves every
// replica.
//
// Source: reference, containerCommand and containerArgs: "cannot be set if custom container image is
// not provided".
//
//	 trainingInput:
//	-  masterConfig: {containerArgs: [--epochs=5]}
//	+  args: [--epochs=5]
func containerNeedsImage(c *check) {
	if !c.withoutImage() {
		return
	}
	for _, r := range c.roles {
		if r.Config == nil || r.Config.ImageURI != "" || c.f.silent(r.ConfigField()+".imageUri") {
			continue
		}
		for _, field := range containerFields(r) {
			c.failFor(r, field, job.Violation{
				Message: "a command line of the container needs an image",
				Remedy:  "name the image in masterConfig.imageUri, or write trainingInput.args instead",
			})
		}
	}
}

// containerCommandEmpty: the first word of containerCommand is the program, and no runtime starts one
// without a name.
//
// Source: reference, containerCommand: "The command with which the replica's custom container is run".
//
//	 trainingInput:
//	   masterConfig:
//	     imageUri: gcr.io/my-project/trainer
//	-    containerCommand: ['', --epochs=5]
//	+    containerCommand: [python, --epochs=5]
func containerCommandEmpty(c *check) {
	for _, r := range c.roles {
		if r.Config == nil || len(r.Config.ContainerCommand) == 0 || r.Config.ContainerCommand[0] != "" {
			continue
		}
		c.failFor(r, element(r.ConfigField()+".containerCommand", 0), job.Violation{
			Message: "the container's command has no program: its first word is empty",
			Allowed: "the name or the path of a program of the image",
			Remedy:  "write the program, or remove containerCommand to run the image's own",
		})
	}
}

func containerFields(r job.Role) []string {
	var fields []string
	if len(r.Config.ContainerCommand) > 0 {
		fields = append(fields, r.ConfigField()+".containerCommand")
	}
	if len(r.Config.ContainerArgs) > 0 {
		fields = append(fields, r.ConfigField()+".containerArgs")
	}
	return fields
}

// chiefUnused: useChiefInTfConfig has no effect without an image of one's own.
//
// Source: reference, useChiefInTfConfig: "has no effect for training jobs that don't use a custom
// container".
//
//	 trainingInput:
//	-  useChiefInTfConfig: true
func chiefUnused(c *check) {
	if c.in.UseChiefInTFConfig && c.withoutImage() {
		c.warn("trainingInput.useChiefInTfConfig", job.Violation{
			Message: "useChiefInTfConfig has no effect without an image of one's own",
			Remedy:  "remove it",
		})
	}
}

// accelerators yields the replicas that ask for accelerators. An empty config
// asks for none.
func (c *check) accelerators(yield func(r job.Role, a *job.AcceleratorConfig, field string)) {
	for _, r := range c.roles {
		if r.Config == nil || r.Config.AcceleratorConfig == nil {
			continue
		}
		if a := r.Config.AcceleratorConfig; a.Count != 0 || acceleratorSet(a) {
			yield(r, a, r.ConfigField()+".acceleratorConfig")
		}
	}
}

func acceleratorSet(a *job.AcceleratorConfig) bool {
	return a.Type != "" && a.Type != "ACCELERATOR_TYPE_UNSPECIFIED"
}

// acceleratorComplete: accelerators have a type and a count.
//
// Source: reference, AcceleratorConfig: "the type and number of accelerators".
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-standard-8
//	   masterConfig:
//	     acceleratorConfig:
//	       type: NVIDIA_TESLA_T4
//	+      count: 1
func acceleratorComplete(c *check) {
	c.accelerators(func(r job.Role, a *job.AcceleratorConfig, field string) {
		if !acceleratorSet(a) {
			c.failFrom(field+".count", field+".type", c.idleWarning(r, job.Violation{
				Message: "the accelerators have a count but no type",
				Remedy:  "write type: and the accelerator, e.g. NVIDIA_TESLA_T4",
			}))
		}
		if a.Count == 0 {
			c.failFrom(field+".type", field+".count", c.idleWarning(r, job.Violation{
				Message: "the accelerators have a type but no count",
				Allowed: "1 or more",
				Remedy:  "write count: and the number for each machine, or remove acceleratorConfig",
			}))
		}
	})
}

// acceleratorCount: a count of accelerators is 1 or more.
//
// Source: gcloud: "The count of the accelerator must be greater than 0".
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-standard-8
//	   masterConfig:
//	-    acceleratorConfig: {type: NVIDIA_TESLA_T4, count: -1}
//	+    acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 1}
func acceleratorCount(c *check) {
	c.accelerators(func(r job.Role, a *job.AcceleratorConfig, field string) {
		if a.Count < 0 {
			c.failFor(r, field+".count", job.Violation{
				Message: "a count of accelerators can't be negative",
				Allowed: "1 or more",
				Remedy:  "write the number for each machine, or remove acceleratorConfig",
			})
		}
	})
}

// acceleratorLegacy: accelerators can't be added to a legacy machine type. Some of those have GPUs of
// their own.
//
// Source: reference, masterConfig and its like: acceleratorConfig only if the type is "a Compute
// Engine machine type".
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	-  masterType: standard
//	+  masterType: n1-standard-8
//	   masterConfig:
//	     acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 1}
func acceleratorLegacy(c *check) {
	c.accelerators(func(r job.Role, _ *job.AcceleratorConfig, field string) {
		if c.known.category(r.Type) == Legacy {
			c.failFor(r, field, c.guessed(job.Violation{
				Message: fmt.Sprintf("accelerators can't be added to the legacy machine type %s", show(r.Type)),
				Remedy: fmt.Sprintf("write a Compute Engine type in %sType, e.g. n1-standard-8, or a legacy type that has GPUs, "+
					"e.g. standard_gpu", r.Name),
			}, r.Type))
		}
	})
}

// acceleratorUnused: accelerators go with a machine type, and a tier other than CUSTOM has its own
// machines. The rule only warns: the reference says nothing of such tiers.
//
// Source: reference, masterConfig and its like.
//
//	 trainingInput:
//	-  scaleTier: BASIC
//	+  scaleTier: CUSTOM
//	+  masterType: n1-standard-8
//	   masterConfig:
//	     acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 1}
func acceleratorUnused(c *check) {
	c.accelerators(func(r job.Role, _ *job.AcceleratorConfig, field string) {
		if r.Type == "" && c.notCustom() {
			c.warn(field, job.Violation{
				Message: fmt.Sprintf("accelerators go with a Compute Engine type in %sType; the tier %s has its own machines",
					r.Name, c.in.ScaleTier),
				Remedy: "write scaleTier: CUSTOM with a machine type, or remove acceleratorConfig",
			})
		}
	})
}

// acceleratorMachine: a machine type takes certain accelerators, and certain numbers of each.
//
// Source: the service's page "Using GPUs"; gcp.py in Google's tensorflow/cloud.
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-standard-8
//	   masterConfig:
//	-    acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 3}
//	+    acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 4}
func acceleratorMachine(c *check) {
	c.accelerators(func(r job.Role, a *job.AcceleratorConfig, field string) {
		m, ok := c.known.machine(r.Type)
		if !ok || len(m.Accelerators) == 0 || isTPU(a) || !acceleratorSet(a) {
			return
		}
		v := job.Violation{Remedy: "choose another accelerator or another machine type"}
		counts, listed := m.Accelerators[a.Type]
		switch {
		case listed && len(counts) == 0:
			field += ".type"
			v.Message = fmt.Sprintf("the machine type %s takes no %s", r.Type, a.Type)
			v.Allowed = acceleratorsOf(m)
		case !listed:
			field += ".type"
			v.Message = fmt.Sprintf("the machine type %s is not known to take %s", r.Type, a.Type)
			v.Allowed = acceleratorsOf(m)
			v.Severity = job.Warning
		case a.Count > 0 && !slices.Contains(counts, a.Count):
			field += ".count"
			v.Message = fmt.Sprintf("the machine type %s does not take this number of %s", r.Type, a.Type)
			v.Allowed = numbers(counts)
			v.Remedy = fmt.Sprintf("write %d", nearest(counts, a.Count))
		default:
			return
		}
		if m.Deduced {
			v.Severity = job.Warning
		}
		c.failFor(r, field, v)
	})
}

// acceleratorsOf lists what a machine type takes.
func acceleratorsOf(m Machine) string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(m.Accelerators)) {
		if len(m.Accelerators[name]) > 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

func numbers(counts []int64) string {
	var list []string
	for _, n := range counts {
		list = append(list, strconv.FormatInt(n, 10))
	}
	return strings.Join(list, ", ")
}

// nearest returns the least of counts that is at least n, or else the greatest.
func nearest(counts []int64, n int64) int64 {
	for _, count := range counts {
		if count >= n {
			return count
		}
	}
	return counts[len(counts)-1]
}

func isTPU(a *job.AcceleratorConfig) bool { return strings.HasPrefix(a.Type, "TPU_") }

// tpus yields the roles whose replicas are TPUs.
func (c *check) tpus(yield func(r job.Role)) {
	for _, r := range c.roles {
		if r.Count > 0 && c.known.category(r.Type) == TPU {
			yield(r)
		}
	}
}

// hasTPU reports whether the job trains on TPUs.
func (c *check) hasTPU() bool {
	has := c.in.ScaleTier == "BASIC_TPU"
	c.tpus(func(job.Role) { has = true })
	return has
}

// tpuWorkerCount: a job has one worker with TPUs. Whether the service refuses another count is not
// known, so the rule only warns.
//
// Source: Google's tensorflow/cloud, validate.py.
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-highcpu-16
//	   workerType: cloud_tpu
//	-  workerCount: 2
//	+  workerCount: 1
func tpuWorkerCount(c *check) {
	c.tpus(func(r job.Role) {
		if r.Name == "worker" && r.Count != 1 {
			c.warn(r.CountField(), job.Violation{
				Message: "a job has one worker with TPUs",
				Allowed: "1",
				Remedy:  "write 1",
			})
		}
	})
}

// tpuAccelerator: TPU_V2 and TPU_V3 are eight to a cloud_tpu, and nothing else is. The service is not
// known to refuse others, so the rule only warns.
//
// Source: Google's tensorflow/cloud, validate.py.
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-highcpu-16
//	   workerType: cloud_tpu
//	   workerCount: 1
//	   workerConfig:
//	-    acceleratorConfig: {type: TPU_V2, count: 4}
//	+    acceleratorConfig: {type: TPU_V2, count: 8}
func tpuAccelerator(c *check) {
	c.accelerators(func(r job.Role, a *job.AcceleratorConfig, field string) {
		category := c.known.category(r.Type)
		switch {
		case category == TPU && acceleratorSet(a) && !isTPU(a):
			c.warn(field+".type", job.Violation{
				Message: fmt.Sprintf("the machine type %s has TPUs only", show(r.Type)),
				Allowed: "TPU_V2, TPU_V3",
				Remedy:  "write TPU_V2 or TPU_V3, or another machine type",
			})
		case category == ComputeEngine && isTPU(a):
			c.warn(field+".type", job.Violation{
				Message: fmt.Sprintf("TPUs go with the machine type cloud_tpu, not with %s", show(r.Type)),
				Remedy:  fmt.Sprintf("write %sType: cloud_tpu, or a GPU", r.Name),
			})
		case (a.Type == "TPU_V2" || a.Type == "TPU_V3") && a.Count > 0 && a.Count != 8:
			c.warn(field+".count", job.Violation{
				Message: fmt.Sprintf("accelerators %s come in eights", a.Type),
				Allowed: "8",
				Remedy:  "write 8",
			})
		}
	})
}

// tpuTFVersionRequired: a worker with TPUs and an image needs tpuTfVersion.
//
// Source: reference, tpuTfVersion: "required if the replica is a TPU worker that uses a custom
// container".
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-highcpu-16
//	   masterConfig: {imageUri: gcr.io/my-project/trainer}
//	   workerType: cloud_tpu
//	   workerCount: 1
//	+  workerConfig: {tpuTfVersion: '2.11'}
func tpuTFVersionRequired(c *check) {
	c.tpus(func(r job.Role) {
		if r.Name == "worker" && c.image(r) != "" && (r.Config == nil || r.Config.TPUTFVersion == "") {
			c.failFrom(r.TypeField(), r.ConfigField()+".tpuTfVersion", c.guessed(job.Violation{
				Message: "a worker with TPUs and an image needs tpuTfVersion",
				Remedy:  "write tpuTfVersion: below workerConfig and the image's version of TensorFlow in quotes, e.g. '2.11'",
			}, r.Type))
		}
	})
}

// tfVersions yields each tpuTfVersion.
func (c *check) tfVersions(yield func(r job.Role, text, field string)) {
	for _, r := range c.roles {
		if r.Config != nil && r.Config.TPUTFVersion != "" {
			yield(r, r.Config.TPUTFVersion, r.ConfigField()+".tpuTfVersion")
		}
	}
}

// tpuTFVersionFormat: tpuTfVersion is two numbers with a dot: TensorFlow's version without its last
// number.
//
// Source: reference, tpuTfVersion: "specify the runtime version (TensorFlow minor version)".
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-highcpu-16
//	   masterConfig: {imageUri: gcr.io/my-project/trainer}
//	   workerType: cloud_tpu
//	   workerCount: 1
//	-  workerConfig: {tpuTfVersion: latest}
//	+  workerConfig: {tpuTfVersion: '2.11'}
func tpuTFVersionFormat(c *check) {
	c.tfVersions(func(r job.Role, text, field string) {
		if v, ok := parseVersion(text); !ok || v.patch {
			c.failFor(r, field, job.Violation{
				Message: "this is not a valid runtime version",
				Allowed: "two numbers with a dot, e.g. 2.11",
				Remedy:  "write the image's version of TensorFlow without its last number, in quotes",
			})
		}
	})
}

// tpuTFVersionUnused: tpuTfVersion is for workers with TPUs and an image.
//
// Source: reference, tpuTfVersion: "Otherwise, do not specify this field".
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-highcpu-16
//	   masterConfig:
//	     imageUri: gcr.io/my-project/trainer
//	-    tpuTfVersion: '2.11'
func tpuTFVersionUnused(c *check) {
	c.tfVersions(func(r job.Role, _, field string) {
		category := c.known.category(r.Type)
		if category == Legacy || category == ComputeEngine || c.image(r) == "" && c.withoutImage() {
			c.warn(field, job.Violation{
				Message: "tpuTfVersion is for workers with TPUs and an image",
				Remedy:  "remove it",
			})
		}
	})
}

// tpuRuntime: the service does not train on TPUs with this runtime version. The rule only warns.
//
// Source: reference, tpuTfVersion: "a runtime version that currently supports training with TPUs"; the
// release notes.
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-highcpu-16
//	   workerType: cloud_tpu
//	   workerCount: 1
//	-  runtimeVersion: '1.12'
//	+  runtimeVersion: '2.11'
//	-  pythonVersion: '2.7'
//	+  pythonVersion: '3.7'
func tpuRuntime(c *check) {
	warn := func(field, text string) {
		v, ok := parseVersion(text)
		if r, _ := c.known.runtime(v); ok && r.TPU == "no" {
			c.warn(field, job.Violation{
				Message: "the service does not train on TPUs with this runtime version",
				Remedy:  "write a later one, e.g. '2.11'",
			})
		}
	}
	if c.hasTPU() {
		warn(runtimeField, c.in.RuntimeVersion)
	}
	c.tfVersions(func(_ job.Role, text, field string) { warn(field, text) })
}

// tpuRegion: the region is not known to have TPUs. The rule only warns.
//
// Source: the release notes, as the catalogue has them.
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-highcpu-16
//	   workerType: cloud_tpu
//	   workerCount: 1
//	-  region: us-west1
//	+  region: us-central1
func tpuRegion(c *check) {
	if r, ok := c.known.region(c.in.Region); ok && !r.TPU && c.hasTPU() {
		var names []string
		for _, r := range c.known.Regions {
			if r.TPU {
				names = append(names, r.Name)
			}
		}
		c.warn("trainingInput.region", job.Violation{
			Message: "the region is not known to have TPUs",
			Allowed: strings.Join(names, ", "),
			Remedy:  "write a region that has them",
		})
	}
}

// diskType: a boot disk is pd-ssd or pd-standard.
//
// Source: reference, bootDiskType: "Valid values".
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-standard-8
//	   masterConfig:
//	-    diskConfig: {bootDiskType: pd-balanced}
//	+    diskConfig: {bootDiskType: pd-ssd}
func diskType(c *check) {
	for _, r := range c.roles {
		if r.Config == nil || r.Config.DiskConfig == nil {
			continue
		}
		switch r.Config.DiskConfig.BootDiskType {
		case "", "pd-ssd", "pd-standard":
		default:
			c.failFor(r, r.ConfigField()+".diskConfig.bootDiskType", job.Violation{
				Message: "the service has no such boot disk",
				Allowed: "pd-ssd, pd-standard",
				Remedy:  "write pd-ssd or pd-standard",
			})
		}
	}
}

// diskSize: a boot disk's size is not negative. Of one below the default of 100 GB the rule only
// warns.
//
// Source: reference, bootDiskSizeGb: the default is 100 GB; bounds are not documented.
//
//	 trainingInput:
//	   scaleTier: CUSTOM
//	   masterType: n1-standard-8
//	   masterConfig:
//	-    diskConfig: {bootDiskSizeGb: 50}
//	+    diskConfig: {bootDiskSizeGb: 200}
func diskSize(c *check) {
	for _, r := range c.roles {
		if r.Config == nil || r.Config.DiskConfig == nil {
			continue
		}
		field := r.ConfigField() + ".diskConfig.bootDiskSizeGb"
		switch size := r.Config.DiskConfig.BootDiskSizeGB; {
		case size < 0:
			c.failFor(r, field, job.Violation{
				Message: "a disk's size can't be negative",
				Remedy:  "write the size in GB, or remove the field for 100",
			})
		case size > 0 && size < 100:
			c.warn(field, job.Violation{
				Message: "the boot disk is smaller than the service's default of 100 GB",
				Remedy:  "write 100 or more, or remove the field",
			})
		}
	}
}
