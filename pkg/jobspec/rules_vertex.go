package jobspec

import (
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Paths of the options for Vertex AI.
const (
	vertexField       = "jobdrop.vertex"
	strategyField     = vertexField + ".strategy"
	vertexWaitField   = vertexField + ".maxWaitDuration"
	reservationField  = vertexField + ".reservationAffinity"
	interfaceField    = vertexField + ".pscInterfaceConfig"
	tensorboardField  = vertexField + ".tensorboard"
	experimentField   = vertexField + ".experiment"
	persistentField   = vertexField + ".persistentResourceId"
	gpuPartitionField = vertexField + ".gpuPartitionSize"
)

// vertexWait: only a job of the strategy FLEX_START has a maxWaitDuration: Vertex AI ends no other job
// that waits. scheduling.maxWaitTime says the same for every job, so one of the two is enough.
//
// Source: aiplatform/v1, Scheduling.maxWaitDuration: "the maximum duration that a job will wait for the
// requested resources to be provisioned if the scheduling strategy is set to" FLEX_START.
//
//	 jobdrop:
//	   vertex:
//	-    strategy: SPOT
//	+    strategy: FLEX_START
//	     maxWaitDuration: 7200s
func vertexWait(c *check) {
	own, err := job.ParseDuration(c.vertex.MaxWaitDuration)
	if err != nil || c.f.silent(strategyField) {
		return
	}
	if !c.vertex.FlexStart() {
		c.fail(vertexWaitField, job.Violation{
			Message: "only a job of the strategy FLEX_START has a maxWaitDuration",
			Remedy:  "write strategy: FLEX_START, or trainingInput.scheduling.maxWaitTime in its place",
		})
		return
	}
	if s := c.in.Scheduling; s != nil && s.MaxWaitTime != "" {
		if wait, err := job.ParseDuration(s.MaxWaitTime); err == nil && wait != own {
			c.fail(vertexWaitField, job.Violation{
				Message: "the job may wait for another time by scheduling.maxWaitTime, " + show(s.MaxWaitTime),
				Remedy:  "remove one of the two",
			})
		}
	}
}

// flexStartRun: a job of the strategy FLEX_START runs for seven days at most.
//
// Source: Vertex AI, "Schedule training jobs based on resource availability": "a maximum timeout of 7
// days or less".
//
//	 trainingInput:
//	-  scheduling: {maxRunningTime: 1209600s}
//	+  scheduling: {maxRunningTime: 604800s}
//	 jobdrop:
//	   vertex: {strategy: FLEX_START}
func flexStartRun(c *check) {
	_, run := c.in.Scheduling.Limits()
	if c.vertex.FlexStart() && run > job.MaxFlexStartTime {
		most := job.FormatDuration(job.MaxFlexStartTime)
		c.fail(maxRunningTime, job.Violation{
			Message: "a job of the strategy FLEX_START can't run so long",
			Allowed: "at most " + most,
			Remedy:  "write " + most + " or less, and have the trainer go on from a checkpoint in another job",
		})
	}
}

// vertexRetries: with disableRetries, Vertex AI does not run the job again. A SPOT job then ends with
// the first machine that is taken away, and restartJobOnWorkerRestart has no effect.
//
// Source: aiplatform/v1, Scheduling.disableRetries: "If true, overrides
// Scheduling.restart_job_on_worker_restart to false"; by deduction for SPOT.
//
//	 jobdrop:
//	   vertex:
//	     strategy: SPOT
//	-    disableRetries: true
func vertexRetries(c *check) {
	const field = vertexField + ".disableRetries"
	if !c.vertex.DisableRetries {
		return
	}
	if c.vertex.Strategy == job.StrategySpot {
		c.warn(field, job.Violation{
			Message: "a SPOT job that is not run again ends with the first machine that is taken away",
			Remedy:  "remove the field, and have the trainer go on from its last checkpoint",
		})
	}
	if c.vertex.RestartJobOnWorkerRestart {
		c.warn(field, job.Violation{
			Message: "restartJobOnWorkerRestart has no effect beside it",
			Remedy:  "remove one of the two",
		})
	}
}

var reservation = regexp.MustCompile(`^projects/[\w.:-]+/zones/[\w-]+/reservations/[\w-]+(?:/reservationBlocks/[\w-]+` +
	`(?:/reservationSubBlocks/[\w-]+)?)?$`)

// vertexReservation: reservationAffinity says by its type whether the job takes reserved machines, and
// of SPECIFIC_RESERVATION which, by their full names. Spot and flex-start machines are never reserved
// ones.
//
// Source: aiplatform/v1, ReservationAffinity: "This must be the resource name of the reservation,
// reservation block, or reservation sub-block"; Compute Engine, "About reservations", for the strategies.
//
//	 jobdrop:
//	   vertex:
//	     reservationAffinity:
//	       reservationAffinityType: SPECIFIC_RESERVATION
//	-      values: [a100]
//	+      values: [projects/my-project/zones/us-central1-a/reservations/a100]
func vertexReservation(c *check) {
	r := c.vertex.ReservationAffinity
	if r == nil {
		return
	}
	kind, key, values := reservationField+".reservationAffinityType", reservationField+".key", reservationField+".values"
	const specific = "SPECIFIC_RESERVATION"
	switch {
	case r.ReservationAffinityType == "":
		c.fail(kind, job.Violation{
			Message: "it is not said which reservations the job takes machines from",
			Allowed: strings.Join(enums(kind), ", "),
			Remedy:  "write one of those allowed",
		})
	case r.ReservationAffinityType != specific && (r.Key != "" || len(r.Values) > 0):
		c.fail(kind, job.Violation{
			Message: "key and values go with " + specific + " only",
			Remedy:  "write " + specific + ", or remove key and values",
		})
	case r.ReservationAffinityType == specific && len(r.Values) == 0:
		c.fail(values, job.Violation{
			Message: "it is not said which reservation the job takes machines from",
			Allowed: "projects/PROJECT/zones/ZONE/reservations/NAME",
			Remedy:  "write values: and the reservation's full name",
		})
	}
	if r.Key != "" && r.Key != job.ReservationKey {
		c.fail(key, job.Violation{
			Message: "a reservation is named under another key",
			Allowed: job.ReservationKey,
			Remedy:  "remove the key",
		})
	}
	for i, name := range r.Values {
		if !reservation.MatchString(name) {
			c.fail(element(values, i), job.Violation{
				Message: "this is not the full name of a reservation",
				Allowed: "projects/PROJECT/zones/ZONE/reservations/NAME",
				Remedy:  "write the name with its project and zone",
			})
		}
	}
	if s := c.vertex.Strategy; (s == job.StrategySpot || s == job.StrategyFlexStart) &&
		r.ReservationAffinityType != "NO_RESERVATION" {
		c.warn(reservationField, job.Violation{
			Message: "a " + s + " job takes no machines of a reservation",
			Remedy:  "remove the strategy, or the reservation",
		})
	}
}

var persistentResource = regexp.MustCompile(`^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$`)

// vertexPersistentResource: persistentResourceId is the ID of a persistent resource of the job's project
// and region. The job runs on the machines that it has, so a strategy or a reservation has no effect
// beside it.
//
// Source: aiplatform/v1, PersistentResources.create, which has the form of such an ID;
// CustomJobSpec.persistentResourceId.
//
//	 jobdrop:
//	   vertex:
//	-    persistentResourceId: projects/p/locations/us-east1/persistentResources/g
//	+    persistentResourceId: gpus
func vertexPersistentResource(c *check) {
	id := c.vertex.PersistentResourceID
	if id == "" {
		return
	}
	if !persistentResource.MatchString(id) {
		v := job.Violation{
			Message: "this is not a valid ID of a persistent resource",
			Allowed: "up to 63 lower-case letters, digits and dashes, a letter first",
			Remedy:  "write the ID that it was created with",
		}
		if last := path.Base(id); last != id && persistentResource.MatchString(last) {
			v.Remedy = "write " + last + ": the project and the region are the job's"
		}
		c.fail(persistentField, v)
	}
	if s := c.vertex.Strategy; s == job.StrategySpot || s == job.StrategyFlexStart {
		c.warn(persistentField, job.Violation{
			Message: "the job runs on the machines that the persistent resource has, and the strategy " + s + " has no effect",
			Remedy:  "remove one of the two",
		})
	}
}

var (
	tensorboardName = regexp.MustCompile(`^projects/[\w.:-]+/locations/([\w-]+)/tensorboards/[\w-]+$`)
	contextName     = regexp.MustCompile(`^projects/[\w.:-]+/locations/([\w-]+)/metadataStores/[\w-]+/contexts/[\w-]+$`)
	attachmentName  = regexp.MustCompile(`^projects/[\w.:-]+/regions/([\w-]+)/networkAttachments/[\w-]+$`)
)

// vertexTensorboard: a TensorBoard is given by its full name. Vertex AI writes to it with the job's
// service account, from below the job's directory, in the job's region.
//
// Source: aiplatform/v1, CustomJobSpec.tensorboard; Vertex AI, "Set up Vertex AI TensorBoard", for the
// account, and by deduction for the rest, of which the rule only warns.
//
//	 trainingInput:
//	   jobDir: gs://my-output/census
//	   serviceAccount: trainer@my-project.iam.gserviceaccount.com
//	   region: us-central1
//	 jobdrop:
//	   vertex:
//	-    tensorboard: '123'
//	+    tensorboard: projects/my-project/locations/us-central1/tensorboards/123
func vertexTensorboard(c *check) {
	name := c.vertex.Tensorboard
	if name == "" {
		return
	}
	m := tensorboardName.FindStringSubmatch(name)
	if m == nil {
		c.fail(tensorboardField, job.Violation{
			Message: "this is not the full name of a TensorBoard",
			Allowed: "projects/PROJECT/locations/REGION/tensorboards/ID",
			Remedy:  "write the name with its project and region",
		})
		return
	}
	c.sameRegion(tensorboardField, "TensorBoard", m[1])
	for _, needed := range [...]struct{ field, value, what string }{
		{below + "serviceAccount", c.in.ServiceAccount, "a service account, whose rights write to it"},
		{jobDirField, c.in.JobDir, "a jobDir, below which the logs are"},
	} {
		if needed.value == "" && !c.f.silent(needed.field) {
			c.warn(tensorboardField, job.Violation{
				Message: "a TensorBoard needs " + needed.what,
				Remedy:  "write " + needed.field + ", or remove the TensorBoard",
			})
		}
	}
}

// sameRegion warns of a resource in another region than the job's.
func (c *check) sameRegion(field, what, region string) {
	if c.in.Region != "" && region != c.in.Region {
		c.warn(field, job.Violation{
			Message: fmt.Sprintf("the %s is in %s, the job in %s", what, show(region), show(c.in.Region)),
			Remedy:  "use one of the job's region",
		})
	}
}

// vertexExperiment: an experiment and its run are given by the full names of their contexts. The run's
// name begins with the experiment's, and a dash.
//
// Source: aiplatform/v1, CustomJobSpec.experiment and experimentRun.
//
//	 jobdrop:
//	   vertex:
//	-    experiment: census
//	+    experiment: >-
//	+      projects/p/locations/us-central1/metadataStores/default/contexts/census
func vertexExperiment(c *check) {
	const form = "projects/PROJECT/locations/REGION/metadataStores/STORE/contexts/NAME"
	const run = vertexField + ".experimentRun"
	named := true
	for _, f := range [...]struct{ field, name string }{
		{experimentField, c.vertex.Experiment}, {run, c.vertex.ExperimentRun},
	} {
		if f.name != "" && !contextName.MatchString(f.name) {
			named = false
			c.fail(f.field, job.Violation{
				Message: "this is not the full name of an experiment's context",
				Allowed: form,
				Remedy:  "write the name with its project, region and metadata store",
			})
		}
	}
	switch {
	case c.vertex.ExperimentRun == "" || !named || c.f.silent(experimentField):
	case c.vertex.Experiment == "":
		c.fail(run, job.Violation{
			Message: "the run belongs to no experiment",
			Remedy:  "write the experiment, too",
		})
	case !strings.HasPrefix(c.vertex.ExperimentRun, c.vertex.Experiment+"-"):
		c.fail(run, job.Violation{
			Message: "the run belongs to another experiment",
			Allowed: "a name that begins " + show(c.vertex.Experiment+"-"),
			Remedy:  "write the experiment's name, a dash, and the name of the run",
		})
	}
}

// vertexNetworkAttachment: a Private Service Connect interface is given by the full name of its network
// attachment, in the job's region. It takes the place of a peered network. Each DNS peering has a
// domain that ends with a dot, and the project and name of the network where the domain is known.
//
// Source: aiplatform/v1, PscInterfaceConfig and DnsPeeringConfig; by deduction for the region and the
// peered network, of which the rule only warns.
//
//	 jobdrop:
//	   vertex:
//	     pscInterfaceConfig:
//	-      networkAttachment: training
//	+      networkAttachment: projects/p/regions/us-central1/networkAttachments/a
func vertexNetworkAttachment(c *check) {
	p := c.vertex.PSCInterfaceConfig
	if p == nil {
		return
	}
	const field = interfaceField + ".networkAttachment"
	if m := attachmentName.FindStringSubmatch(p.NetworkAttachment); m == nil {
		c.fail(field, job.Violation{
			Message: "the interface needs the full name of a network attachment",
			Allowed: "projects/PROJECT/regions/REGION/networkAttachments/NAME",
			Remedy:  "write the name with its project and region",
		})
	} else {
		c.sameRegion(field, "network attachment", m[1])
	}
	if c.in.Network != "" {
		c.warn(interfaceField, job.Violation{
			Message: "the job has a peered network, too",
			Remedy:  "remove trainingInput.network, or the interface",
		})
	}
	for i, d := range p.DNSPeeringConfigs {
		at := element(interfaceField+".dnsPeeringConfigs", i)
		if !strings.HasSuffix(d.Domain, ".") || len(d.Domain) < 2 {
			c.fail(at+".domain", job.Violation{
				Message: "this is not the domain of a DNS zone",
				Allowed: "a name that ends with a dot, e.g. corp.example.com.",
				Remedy:  "write the domain, with a dot at its end",
			})
		}
		for _, f := range [...]struct{ field, value, what string }{
			{".targetProject", d.TargetProject, "project"}, {".targetNetwork", d.TargetNetwork, "network"},
		} {
			if !resourceID.MatchString(f.value) {
				c.fail(at+f.field, job.Violation{
					Message: "the " + f.what + " in which the domain is known has to be named",
					Allowed: "the name alone, e.g. my-" + f.what,
					Remedy:  "write the " + f.what + "'s name",
				})
			}
		}
	}
}

// resourceID matches the last part of a resource's name.
var resourceID = regexp.MustCompile(`^[\w.:-]+$`)

// vertexMount: a mount names a server by its IP address, what the server exports, and a folder: NFS is
// mounted in /mnt/nfs, Lustre in /mnt/lustre, each mount in a folder of its own. Servers are reached
// through a network of the job's: a peered one, or a Private Service Connect interface.
//
// Source: aiplatform/v1, NfsMount and LustreMount; Vertex AI, "Mount a Network File System share": "you
// must specify … the name of the network".
//
//	 jobdrop:
//	   vertex:
//	     pscInterfaceConfig:
//	       networkAttachment: projects/p/regions/us-central1/networkAttachments/a
//	     nfsMounts:
//	-    - {server: 10.0.0.2, path: data, mountPoint: data}
//	+    - {server: 10.0.0.2, path: /data, mountPoint: data}
func vertexMount(c *check) {
	const nfs, lustre = vertexField + ".nfsMounts", vertexField + ".lustreMounts"
	points := map[string]string{}
	for i, m := range c.vertex.NFSMounts {
		at := element(nfs, i)
		c.address(at+".server", m.Server)
		if !path.IsAbs(m.Path) || path.Clean(m.Path) != m.Path {
			c.fail(at+".path", job.Violation{
				Message: "this is not the path of what a server exports",
				Allowed: "a path that begins with /, without . and .. and doubled slashes",
				Remedy:  "write the plain path, with a / before it",
			})
		}
		c.mountPoint(points, at, "/mnt/nfs/", m.MountPoint)
	}
	for i, m := range c.vertex.LustreMounts {
		at := element(lustre, i)
		c.address(at+".instanceIp", m.InstanceIP)
		for _, f := range [...]struct{ field, value, what string }{
			{".filesystem", m.Filesystem, "name of the file system"}, {".volumeHandle", m.VolumeHandle, "handle of the volume"},
		} {
			if f.value == "" {
				c.fail(at+f.field, job.Violation{
					Message: "the " + f.what + " is missing",
					Remedy:  "write what the Lustre instance says",
				})
			}
		}
		c.mountPoint(points, at, "/mnt/lustre/", m.MountPoint)
	}
	if len(points) == 0 || c.in.Network != "" || c.vertex.PSCInterfaceConfig != nil || c.vertex.PersistentResourceID != "" ||
		c.f.silent(below+"network") || c.f.silent(interfaceField) {
		return
	}
	field := nfs
	if len(c.vertex.NFSMounts) == 0 {
		field = lustre
	}
	c.fail(field, job.Violation{
		Message: "the job has no network through which the server is reached",
		Remedy:  "write " + interfaceField + " or trainingInput.network",
	})
}

// address checks the IP address of a server.
func (c *check) address(field, text string) {
	if _, err := netip.ParseAddr(text); err != nil {
		c.fail(field, job.Violation{
			Message: "the server has to be given by its IP address",
			Allowed: "an address such as 10.0.0.2",
			Remedy:  "write the server's address in the network",
		})
	}
}

var mountFolder = regexp.MustCompile(`^\w[\w.-]*(?:/\w[\w.-]*)*$`)

// mountPoint checks the folder of a mount. points has those before.
func (c *check) mountPoint(points map[string]string, at, root, folder string) {
	field := at + ".mountPoint"
	if !mountFolder.MatchString(folder) {
		v := job.Violation{
			Message: "this is not the name of a folder in " + strings.TrimSuffix(root, "/"),
			Allowed: "a name such as data",
			Remedy:  "write the folder's name alone",
		}
		if name, ok := strings.CutPrefix(folder, root); ok && mountFolder.MatchString(name) {
			v.Remedy = "write " + show(name)
		}
		c.fail(field, v)
	}
	if first, twice := points[root+folder]; twice {
		c.fail(field, job.Violation{
			Message: first + " is mounted there already",
			Remedy:  "write another folder",
		})
		return
	}
	points[root+folder] = at
}

var gpuPartition = regexp.MustCompile(`^[1-9][0-9]?g\.[1-9][0-9]{0,2}gb$`)

// vertexGPUPartition: the size of a GPU's partition is written as NVIDIA does: its slices of the
// processor, and its memory.
//
// Source: aiplatform/v1, MachineSpec.gpuPartitionSize; GKE, "Running multi-instance GPUs".
//
//	 jobdrop:
//	   vertex:
//	-    gpuPartitionSize: 10gb
//	+    gpuPartitionSize: 1g.10gb
func vertexGPUPartition(c *check) {
	if size := c.vertex.GPUPartitionSize; size != "" && !gpuPartition.MatchString(size) {
		c.fail(gpuPartitionField, job.Violation{
			Message: "this is not the size of a GPU's partition",
			Allowed: "slices and memory, e.g. 1g.10gb",
			Remedy:  "write one of the sizes that the GPU has",
		})
	}
}
