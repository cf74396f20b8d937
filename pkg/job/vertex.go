package job

import "time"

// VertexOptions is what a job file asks of Vertex AI that ml/v1 has no word for, under the key
// jobdrop.vertex. Names and forms are those of the API's discovery document (aiplatform/v1, revision
// 20261028): CustomJobSpec, Scheduling, MachineSpec and WorkerPoolSpec. What a machine or a pool has
// is for all of the job's roles.
type VertexOptions struct {
	// Strategy says which capacity the job runs on; empty is STANDARD.
	Strategy string `json:"strategy,omitempty" enum:"STANDARD SPOT FLEX_START"`
	// MaxWaitDuration is how long a FLEX_START job may wait for its machines. 0s is without end.
	// Empty is what scheduling.maxWaitTime says.
	MaxWaitDuration           string               `json:"maxWaitDuration,omitempty"`
	RestartJobOnWorkerRestart bool                 `json:"restartJobOnWorkerRestart,omitempty"`
	DisableRetries            bool                 `json:"disableRetries,omitempty"`
	PersistentResourceID      string               `json:"persistentResourceId,omitempty"`
	ReservationAffinity       *ReservationAffinity `json:"reservationAffinity,omitempty"`
	Tensorboard               string               `json:"tensorboard,omitempty"`
	Experiment                string               `json:"experiment,omitempty"`
	ExperimentRun             string               `json:"experimentRun,omitempty"`
	EnableDashboardAccess     bool                 `json:"enableDashboardAccess,omitempty"`
	PSCInterfaceConfig        *PSCInterfaceConfig  `json:"pscInterfaceConfig,omitempty"`
	NFSMounts                 []NFSMount           `json:"nfsMounts,omitempty"`
	LustreMounts              []LustreMount        `json:"lustreMounts,omitempty"`
	GPUPartitionSize          string               `json:"gpuPartitionSize,omitempty"`
}

// The strategies.
const (
	StrategyStandard  = "STANDARD"
	StrategySpot      = "SPOT"
	StrategyFlexStart = "FLEX_START"
)

// MaxFlexStartTime is how long a FLEX_START job may run (Google's page on Dynamic Workload Scheduler:
// "a maximum timeout of 7 days or less").
const MaxFlexStartTime = 7 * 24 * time.Hour

// ReservationAffinity mirrors GoogleCloudAiplatformV1ReservationAffinity.
type ReservationAffinity struct {
	ReservationAffinityType string `json:"reservationAffinityType,omitempty" enum:"NO_RESERVATION ANY_RESERVATION SPECIFIC_RESERVATION"`
	// Key is [ReservationKey] if it is empty and Values are not.
	Key    string   `json:"key,omitempty"`
	Values []string `json:"values,omitempty"`
}

// ReservationKey is the key under which reservations are named (ReservationAffinity.key).
const ReservationKey = "compute.googleapis.com/reservation-name"

// PSCInterfaceConfig mirrors GoogleCloudAiplatformV1PscInterfaceConfig.
type PSCInterfaceConfig struct {
	DNSPeeringConfigs []DNSPeeringConfig `json:"dnsPeeringConfigs,omitempty"`
	NetworkAttachment string             `json:"networkAttachment,omitempty"`
}

// DNSPeeringConfig mirrors GoogleCloudAiplatformV1DnsPeeringConfig.
type DNSPeeringConfig struct {
	Domain        string `json:"domain,omitempty"`
	TargetNetwork string `json:"targetNetwork,omitempty"`
	TargetProject string `json:"targetProject,omitempty"`
}

// NFSMount mirrors GoogleCloudAiplatformV1NfsMount. The share is mounted under /mnt/nfs/.
type NFSMount struct {
	MountPoint string `json:"mountPoint,omitempty"`
	Path       string `json:"path,omitempty"`
	Server     string `json:"server,omitempty"`
}

// LustreMount mirrors GoogleCloudAiplatformV1LustreMount. The file system is mounted under
// /mnt/lustre/.
type LustreMount struct {
	Filesystem   string `json:"filesystem,omitempty"`
	InstanceIP   string `json:"instanceIp,omitempty"`
	MountPoint   string `json:"mountPoint,omitempty"`
	VolumeHandle string `json:"volumeHandle,omitempty"`
}

// FlexStart reports whether the job waits at Vertex AI for all of its machines, by design for hours.
func (o *VertexOptions) FlexStart() bool { return o != nil && o.Strategy == StrategyFlexStart }

// Wait returns how long the job may wait to run, where wait is what scheduling.maxWaitTime says; 0 is
// without end. MaxWaitDuration counts for FLEX_START only.
func (o *VertexOptions) Wait(wait time.Duration) time.Duration {
	if !o.FlexStart() || o.MaxWaitDuration == "" {
		return wait
	}
	own, _ := ParseDuration(o.MaxWaitDuration) // the rules of job files refuse one that can't be read
	return own
}

// Limits returns the limits on the job's time; 0 is none.
func (o Order) Limits() (wait, run time.Duration) {
	if o.TrainingInput != nil {
		wait, run = o.TrainingInput.Scheduling.Limits()
	}
	return o.Vertex.Wait(wait), run
}

// WaitLimitedByBackend reports whether the job is asked for in a way that has the backend itself end
// it if it waits for longer than its limit, even a backend that has no such limit for other jobs.
func (m Mapping) WaitLimitedByBackend() bool { return m.Vertex.FlexStart() }
