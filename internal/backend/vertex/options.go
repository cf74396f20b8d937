package vertex

import (
	"fmt"
	"slices"
	"strings"

	aiplatform "google.golang.org/api/aiplatform/v1"

	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// scheduling returns how the job waits and is run again; nil if nothing is said of it. A FLEX_START job
// always has a limit on its wait: without one the service would end the wait after 24 hours, and ml/v1
// knows no limit by default.
func (b *builder) scheduling() *aiplatform.GoogleCloudAiplatformV1Scheduling {
	s := &aiplatform.GoogleCloudAiplatformV1Scheduling{
		DisableRetries:            b.plan.DisableRetries || b.own.DisableRetries,
		RestartJobOnWorkerRestart: b.own.RestartJobOnWorkerRestart,
		Strategy:                  b.own.Strategy,
	}
	if b.plan.Run > 0 {
		s.Timeout = job.FormatDuration(b.plan.Run)
	}
	if b.own.FlexStart() {
		s.MaxWaitDuration = job.FormatDuration(b.own.Wait(b.plan.Wait))
	}
	b.neverAgain()
	if !s.DisableRetries && !s.RestartJobOnWorkerRestart && s.Strategy+s.Timeout == "" {
		return nil
	}
	return s
}

// neverAgain reports options whose job is to be started again, where the operator allows no restart.
func (b *builder) neverAgain() {
	if !b.plan.DisableRetries {
		return
	}
	const why, remedy = "the operator's policy has no job started again (limits.restarts: 0, or vertex.disableRetries)",
		"ask the operator for restarts in this folder"
	if b.own.RestartJobOnWorkerRestart {
		b.tell("jobdrop.vertex.restartJobOnWorkerRestart", plan.Doubtful, why, remedy)
	}
	if b.own.Strategy == job.StrategySpot {
		b.tell("jobdrop.vertex.strategy", plan.Doubtful, why+": the job fails once Compute Engine takes a machine back", remedy)
	}
}

// options adds what the job's options say of the job as a whole.
func (b *builder) options(spec *jobSpec) {
	o := b.own
	spec.PersistentResourceId, spec.Tensorboard = o.PersistentResourceID, o.Tensorboard
	spec.Experiment, spec.ExperimentRun = o.Experiment, o.ExperimentRun
	spec.EnableDashboardAccess = o.EnableDashboardAccess
	if p := o.PSCInterfaceConfig; p != nil {
		spec.PscInterfaceConfig = &aiplatform.GoogleCloudAiplatformV1PscInterfaceConfig{NetworkAttachment: p.NetworkAttachment}
		for _, d := range p.DNSPeeringConfigs {
			spec.PscInterfaceConfig.DnsPeeringConfigs = append(spec.PscInterfaceConfig.DnsPeeringConfigs,
				&aiplatform.GoogleCloudAiplatformV1DnsPeeringConfig{
					Domain: d.Domain, TargetNetwork: d.TargetNetwork, TargetProject: d.TargetProject,
				})
		}
	}
}

// reservation returns which reserved machines each replica takes.
func (b *builder) reservation() *aiplatform.GoogleCloudAiplatformV1ReservationAffinity {
	r := b.own.ReservationAffinity
	if r == nil {
		return nil
	}
	out := &aiplatform.GoogleCloudAiplatformV1ReservationAffinity{
		ReservationAffinityType: r.ReservationAffinityType, Values: r.Values,
	}
	if len(r.Values) > 0 {
		out.Key = job.ReservationKey
	}
	return out
}

// reserved reports roles for which one reservation can't have the machines.
func (b *builder) reserved() {
	r := b.own.ReservationAffinity
	if r == nil || len(r.Values) == 0 {
		return
	}
	for _, role := range b.plan.Roles {
		if first := b.plan.Roles[0]; role.Machine != first.Machine {
			b.tell("jobdrop.vertex.reservationAffinity", plan.Doubtful,
				fmt.Sprintf("it is for each role, a reservation has machines of one type, and the roles have %s and %s",
					first.Machine, role.Machine),
				"write the same machine type for each role, or ANY_RESERVATION")
		}
	}
}

func (b *builder) nfsMounts() []*aiplatform.GoogleCloudAiplatformV1NfsMount {
	var mounts []*aiplatform.GoogleCloudAiplatformV1NfsMount
	for _, m := range b.own.NFSMounts {
		mounts = append(mounts, &aiplatform.GoogleCloudAiplatformV1NfsMount{
			MountPoint: m.MountPoint, Path: m.Path, Server: m.Server,
		})
	}
	return mounts
}

func (b *builder) lustreMounts() []*aiplatform.GoogleCloudAiplatformV1LustreMount {
	var mounts []*aiplatform.GoogleCloudAiplatformV1LustreMount
	for _, m := range b.own.LustreMounts {
		mounts = append(mounts, &aiplatform.GoogleCloudAiplatformV1LustreMount{
			Filesystem: m.Filesystem, InstanceIp: m.InstanceIP, MountPoint: m.MountPoint, VolumeHandle: m.VolumeHandle,
		})
	}
	return mounts
}

// partition reports a role whose GPUs can't be split.
func (b *builder) partition(r plan.Role) {
	const field = "jobdrop.vertex.gpuPartitionSize"
	switch {
	case b.own.GPUPartitionSize == "":
	case r.Accelerator == "":
		b.tell(field, plan.Unmappable, fmt.Sprintf("the machine type %s has no GPU to split", r.Machine),
			"ask for a GPU in each role, or remove the field")
	case r.Accelerators > 1:
		b.tell(field, plan.Unmappable,
			fmt.Sprintf("Vertex AI splits the GPU of a machine that has one, and %s has %d", r.Machine, r.Accelerators),
			"ask for one GPU in each replica, or remove the field")
	}
}

// flexible are the accelerators of FLEX_START, and what Google calls them (its page on Dynamic Workload
// Scheduler).
var flexible = []string{
	"NVIDIA_L4", "NVIDIA_TESLA_A100", "NVIDIA_A100_80GB", "NVIDIA_H100_80GB", "NVIDIA_H100_MEGA_80GB", "NVIDIA_H200_141GB",
	"NVIDIA_B200",
}

const flexibleNames = "L4, A100, H100, H200 or B200"

// flexStart reports what keeps a job from waiting for all of its machines: the service does that for
// GPUs of a list, and for machines that are all alike (the same page).
func (b *builder) flexStart() {
	const remedy = "write a machine type that has them, such as a2-highgpu-1g or g2-standard-8, or strategy: SPOT"
	for _, r := range b.plan.Roles {
		field := r.AcceleratorField
		if field == "" {
			field = r.Name.Field("Type")
			if b.in.ScaleTier != "CUSTOM" {
				field = "trainingInput.scaleTier"
			}
		}
		first := b.plan.Roles[0]
		switch {
		case r.Accelerator == "":
			b.tell(field, plan.Unmappable,
				fmt.Sprintf("a FLEX_START job waits for GPUs (%s), and %s has none", flexibleNames, r.Machine), remedy)
		case !slices.Contains(flexible, r.Accelerator):
			b.tell(field, plan.Unmappable,
				fmt.Sprintf("a FLEX_START job waits for GPUs of the kinds %s, and %s is not one of them", flexibleNames,
					r.Accelerator), remedy)
		case !alike(first, r):
			b.tell(field, plan.Unmappable,
				fmt.Sprintf("a FLEX_START job has the same machine in each role, and the master has %s, this role %s",
					asked(first), asked(r)),
				"write the same machine type, accelerators and disk for each role, or strategy: SPOT")
		}
	}
}

// alike reports whether two roles have the same machines.
func alike(a, b plan.Role) bool {
	return a.Machine == b.Machine && a.Accelerator == b.Accelerator && a.Accelerators == b.Accelerators &&
		a.DiskType == b.DiskType && a.DiskGB == b.DiskGB
}

// asked describes the machine of a role.
func asked(r plan.Role) string {
	parts := []string{r.Machine}
	if r.Accelerator != "" {
		parts = append(parts, fmt.Sprintf("%d %s", r.Accelerators, r.Accelerator))
	}
	if r.DiskType != "" || r.DiskGB > 0 {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("a disk of %d GB %s", r.DiskGB, r.DiskType)))
	}
	return strings.Join(parts, " with ")
}
