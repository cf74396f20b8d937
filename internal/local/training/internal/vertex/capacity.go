package vertex

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// flexible are the accelerators of FLEX_START jobs (Google's page on Dynamic Workload Scheduler).
var flexible = []string{
	"NVIDIA_L4", "NVIDIA_TESLA_A100", "NVIDIA_A100_80GB", "NVIDIA_H100_80GB", "NVIDIA_H100_MEGA_80GB", "NVIDIA_H200_141GB",
	"NVIDIA_B200",
}

var persistentResource = regexp.MustCompile(`^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$`)

// capacity checks how the job gets machines and a network. It gets neither here, so this is all that
// the service does with it, but for the wait of a FLEX_START job.
func (vs *violations) capacity(field string, s *jobSpec) {
	if s.Scheduling.Strategy == job.StrategyFlexStart {
		vs.flexStart(field, s)
	}
	if id := s.PersistentResourceID; id != "" && !persistentResource.MatchString(id) {
		vs.Add(field+".persistent_resource_id", "%q is not the ID of a persistent resource.", id)
	}
	if p := s.PSCInterfaceConfig; p != nil {
		at := field + ".psc_interface_config"
		if p.NetworkAttachment == "" {
			vs.Add(at+".network_attachment", "The network attachment is required.")
		}
		for i, d := range p.DNSPeeringConfigs {
			if !strings.HasSuffix(d.Domain, ".") || d.TargetProject == "" || d.TargetNetwork == "" {
				vs.Add(fmt.Sprintf("%s.dns_peering_configs[%d]", at, i),
					"The domain, which ends with a dot, its project and its network are required.")
			}
		}
	}
}

// flexStart checks what the service asks of jobs that wait for all of their machines.
func (vs *violations) flexStart(field string, s *jobSpec) {
	if d, err := job.ParseDuration(s.Scheduling.Timeout); err == nil && d > job.MaxFlexStartTime {
		vs.Add(field+".scheduling.timeout", "The timeout of a FLEX_START job must be at most %s.",
			job.FormatDuration(job.MaxFlexStartTime))
	}
	var first *machineSpec
	for i := range s.WorkerPoolSpecs {
		m := s.WorkerPoolSpecs[i].MachineSpec
		if m == nil {
			continue
		}
		at := fmt.Sprintf("%s.worker_pool_specs[%d].machine_spec", field, i)
		if !slices.Contains(flexible, m.AcceleratorType) {
			vs.Add(at+".accelerator_type", "A FLEX_START job needs accelerators of the types %s.", strings.Join(flexible, ", "))
		}
		if first == nil {
			first = m
		}
		if m.MachineType != first.MachineType || m.AcceleratorType != first.AcceleratorType ||
			m.AcceleratorCount != first.AcceleratorCount {
			vs.Add(at, "The machines of all worker pools of a FLEX_START job must be the same.")
		}
	}
}

// reserved checks which reserved machines a pool takes.
func (vs *violations) reserved(field string, r *job.ReservationAffinity) {
	if r == nil {
		return
	}
	specific := r.ReservationAffinityType == "SPECIFIC_RESERVATION"
	switch {
	case r.ReservationAffinityType == "":
		vs.Add(field+".reservation_affinity_type", "The type is required.")
	case specific && (r.Key == "" || len(r.Values) == 0):
		vs.Add(field, "A SPECIFIC_RESERVATION needs a key and values.")
	case !specific && (r.Key != "" || len(r.Values) > 0):
		vs.Add(field, "Key and values go with SPECIFIC_RESERVATION only.")
	}
}

// mounts checks what a pool mounts. Here it mounts nothing.
func (vs *violations) mounts(field string, p *pool) {
	for i, m := range p.NFSMounts {
		if m.Server == "" || m.MountPoint == "" || !path.IsAbs(m.Path) {
			vs.Add(fmt.Sprintf("%s.nfs_mounts[%d]", field, i),
				"The server, the mount point, and a path that starts with / are required.")
		}
	}
	for i, m := range p.LustreMounts {
		if m.InstanceIP == "" || m.Filesystem == "" || m.MountPoint == "" || m.VolumeHandle == "" {
			vs.Add(fmt.Sprintf("%s.lustre_mounts[%d]", field, i),
				"The instance's IP, the file system, the volume's handle and the mount point are required.")
		}
	}
}
