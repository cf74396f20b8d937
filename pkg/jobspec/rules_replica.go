package jobspec

import (
	"fmt"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// argsExclusive: reference, containerCommand and containerArgs: "this field and
// TrainingInput.args are mutually exclusive".
func argsExclusive(c *check) {
	if len(c.in.Args) == 0 {
		return
	}
	for _, r := range c.roles() {
		if r.config == nil {
			continue
		}
		for _, field := range containerFields(r) {
			c.fail(field, job.Violation{
				Message: "the replica's own command line and trainingInput.args exclude each other",
				Remedy:  "move trainingInput.args into containerArgs, or remove this field",
			})
		}
	}
}

// containerNeedsImage: reference, containerCommand and containerArgs: "cannot
// be set if custom container image is not provided"; the master's image serves
// every replica.
func containerNeedsImage(c *check) {
	if !c.withoutImage() {
		return
	}
	for _, r := range c.roles() {
		if r.config == nil || r.config.ImageURI != "" || c.f.silent(r.configField()+".imageUri") {
			continue
		}
		for _, field := range containerFields(r) {
			c.fail(field, job.Violation{
				Message: "a command line of the container needs an image",
				Remedy:  "name the image in masterConfig.imageUri, or write trainingInput.args instead",
			})
		}
	}
}

func containerFields(r role) []string {
	var fields []string
	if len(r.config.ContainerCommand) > 0 {
		fields = append(fields, r.configField()+".containerCommand")
	}
	if len(r.config.ContainerArgs) > 0 {
		fields = append(fields, r.configField()+".containerArgs")
	}
	return fields
}

// chiefUnused: reference, useChiefInTfConfig: "has no effect for training jobs
// that don't use a custom container".
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
func (c *check) accelerators(yield func(r role, a *job.AcceleratorConfig, field string)) {
	for _, r := range c.roles() {
		if r.config == nil || r.config.AcceleratorConfig == nil {
			continue
		}
		if a := r.config.AcceleratorConfig; a.Count != 0 || acceleratorSet(a) {
			yield(r, a, r.configField()+".acceleratorConfig")
		}
	}
}

func acceleratorSet(a *job.AcceleratorConfig) bool {
	return a.Type != "" && a.Type != "ACCELERATOR_TYPE_UNSPECIFIED"
}

// acceleratorComplete: reference, AcceleratorConfig: "the type and number of
// accelerators".
func acceleratorComplete(c *check) {
	c.accelerators(func(_ role, a *job.AcceleratorConfig, field string) {
		if !acceleratorSet(a) {
			c.fail(field+".type", job.Violation{
				Message: "the accelerators have a count but no type",
				Remedy:  "write type: and the accelerator, e.g. NVIDIA_TESLA_T4",
			})
		}
		if a.Count == 0 {
			c.fail(field+".count", job.Violation{
				Message: "the accelerators have a type but no count",
				Allowed: "1 or more",
				Remedy:  "write count: and the number for each machine, or remove acceleratorConfig",
			})
		}
	})
}

// acceleratorCount: gcloud, "The count of the accelerator must be greater than
// 0".
func acceleratorCount(c *check) {
	c.accelerators(func(_ role, a *job.AcceleratorConfig, field string) {
		if a.Count < 0 {
			c.fail(field+".count", job.Violation{
				Message: "a count of accelerators can't be negative",
				Allowed: "1 or more",
				Remedy:  "write the number for each machine, or remove acceleratorConfig",
			})
		}
	})
}

// acceleratorMachine: reference, masterConfig and its like: acceleratorConfig
// only if the type is "a Compute Engine machine type".
func acceleratorMachine(c *check) {
	c.accelerators(func(r role, _ *job.AcceleratorConfig, field string) {
		if categoryOf(r.typ) == legacyMachine {
			c.fail(field, job.Violation{
				Message: fmt.Sprintf("accelerators can't be added to the legacy machine type %s", r.typ),
				Remedy:  fmt.Sprintf("write a Compute Engine type in %sType, e.g. n1-standard-8, or a legacy type that has GPUs, e.g. standard_gpu", r.name),
			})
		}
	})
}

// diskType: reference, bootDiskType: "Valid values".
func diskType(c *check) {
	for _, r := range c.roles() {
		if r.config == nil || r.config.DiskConfig == nil {
			continue
		}
		switch r.config.DiskConfig.BootDiskType {
		case "", "pd-ssd", "pd-standard":
		default:
			c.fail(r.configField()+".diskConfig.bootDiskType", job.Violation{
				Message: "the service has no such boot disk",
				Allowed: "pd-ssd, pd-standard",
				Remedy:  "write pd-ssd or pd-standard",
			})
		}
	}
}

// diskSize: reference, bootDiskSizeGb: the default is 100 GB; bounds are not
// documented.
func diskSize(c *check) {
	for _, r := range c.roles() {
		if r.config == nil || r.config.DiskConfig == nil {
			continue
		}
		field := r.configField() + ".diskConfig.bootDiskSizeGb"
		switch size := r.config.DiskConfig.BootDiskSizeGB; {
		case size < 0:
			c.fail(field, job.Violation{
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
