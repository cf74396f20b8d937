package policy

import "github.com/jobdrop/jobdrop/pkg/job"

// The rules that this package finds broken. A constant's comment is its page: "jobdrop explain"
// prints it, and docs/rules.md is made of it. A line that begins with - breaks the rule, one that
// begins with + mends it.
const (
	// ruleJobDirNotOurs: a job must not write into a bucket of jobdrop's own.
	//
	// Source: jobdrop's own rule; no policy allows it.
	//
	//	 trainingInput:
	//	-  jobDir: gs://jobdrop-state/census
	//	+  jobDir: gs://my-output/census
	ruleJobDirNotOurs job.Rule = "job-dir-not-ours"

	// ruleJobDirOutsideInbox: a job must not write into the inbox: its output would be taken for
	// drops.
	//
	// Source: jobdrop's own rule; no policy allows it.
	//
	//	 trainingInput:
	//	-  jobDir: gs://inbox/census
	//	+  jobDir: gs://my-output/census
	ruleJobDirOutsideInbox job.Rule = "job-dir-outside-inbox"

	// rulePolicyAccelerator: the operator's policy does not allow this accelerator, be it asked for or
	// part of the machine.
	//
	// Source: the operator's policy, allow.accelerators; docs/policy.md.
	//
	//	 # policy.yaml
	//	 allow: {accelerators: [NVIDIA_TESLA_T4]}
	//	 # job.yaml
	//	 trainingInput:
	//	   scaleTier: CUSTOM
	//	   masterType: n1-standard-8
	//	   masterConfig:
	//	-    acceleratorConfig: {type: NVIDIA_TESLA_V100, count: 1}
	//	+    acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 1}
	rulePolicyAccelerator job.Rule = "policy-accelerator"

	// rulePolicyAcceleratorHours: the job may take more accelerator hours than the operator's policy has
	// in a month: its accelerators, for as long as it may run, for each of parallel trials. That is 168
	// hours if the job sets no limit: then it is told, since the job waits until so many hours are left.
	//
	// Source: the operator's policy, limits.acceleratorHours; docs/policy.md.
	//
	//	 # policy.yaml
	//	 limits: {acceleratorHours: {per: month, most: 100}}
	//	 # job.yaml
	//	 trainingInput:
	//	   scaleTier: CUSTOM
	//	   masterType: a2-highgpu-4g
	//	-  scheduling: {maxRunningTime: 172800s}
	//	+  scheduling: {maxRunningTime: 86400s}
	rulePolicyAcceleratorHours job.Rule = "policy-accelerator-hours"

	// rulePolicyBackend: this installation runs jobs at another backend than the file asks for.
	//
	// Source: the installation's JOBDROP_BACKEND.
	//
	//	 # backend: aiplatform
	//	 jobdrop:
	//	-  backend: vertex
	//	+  backend: aiplatform
	rulePolicyBackend job.Rule = "policy-backend"

	// rulePolicyCatalogue: an entry of the policy's catalogue has no name, or a word that is not
	// understood.
	//
	// Source: docs/policy.md, catalogue.
	//
	//	 # policy.yaml
	//	-catalogue: {regions: [{tpu: true}]}
	//	+catalogue: {regions: [{name: us-new1, tpu: true}]}
	rulePolicyCatalogue job.Rule = "policy-catalogue"

	// rulePolicyDefault: the policy's defaults fill in a field. This is a line of "jobdrop policy
	// test", and never a violation.
	//
	// Source: the operator's policy, defaults; docs/policy.md.
	//
	// For example: a policy with defaults.region, and a job without a region.
	rulePolicyDefault job.Rule = "policy-default"

	// rulePolicyDuration: a duration of the policy is written in seconds with the suffix s, and is
	// long enough.
	//
	// Source: docs/policy.md.
	//
	//	 # policy.yaml
	//	-patience: {settle: 1m}
	//	+patience: {settle: 60s}
	rulePolicyDuration job.Rule = "policy-duration"

	// rulePolicyEmpty: a setting of the policy has no value, and what it means would be a guess. A
	// list that allows nothing is [].
	//
	// Source: docs/policy.md.
	//
	//	 # policy.yaml
	//	 limits:
	//	-  replicas:
	//	+  replicas: 4
	rulePolicyEmpty job.Rule = "policy-empty"

	// rulePolicyExperiment: a job may not be part of this experiment. Without a policy it may be part of
	// none: its runs would stand among those of others.
	//
	// Source: the operator's policy, allow.experiments; docs/policy.md.
	//
	//	 jobdrop:
	//	   vertex:
	//	-    experiment: >-
	//	-      projects/p/locations/us-central1/metadataStores/default/contexts/census
	rulePolicyExperiment job.Rule = "policy-experiment"

	// rulePolicyImage: the image is not allowed. Without a policy, images of the installation's own
	// project are.
	//
	// Source: the operator's policy, allow.images; docs/policy.md. Images bring code with the job's
	// rights.
	//
	//	 trainingInput:
	//	-  masterConfig: {imageUri: gcr.io/elsewhere/trainer}
	//	+  masterConfig: {imageUri: gcr.io/my-project/trainer}
	rulePolicyImage job.Rule = "policy-image"

	// rulePolicyJobDir: the operator's policy does not allow this directory.
	//
	// Source: the operator's policy, allow.jobDirs; docs/policy.md.
	//
	//	 # policy.yaml
	//	 allow: {jobDirs: ['gs://my-output/**']}
	//	 # job.yaml
	//	 trainingInput:
	//	-  jobDir: gs://elsewhere/census
	//	+  jobDir: gs://my-output/census
	rulePolicyJobDir job.Rule = "policy-job-dir"

	// rulePolicyLimit: a limit leaves room for no job, is below the policy's own default, or lacks a part.
	//
	// Source: docs/policy.md, limits.
	//
	//	 # policy.yaml
	//	-limits: {replicas: 0}
	//	+limits: {replicas: 4}
	rulePolicyLimit job.Rule = "policy-limit"

	// rulePolicyListLength: a list of the policy is too long. Patterns stand for several entries.
	//
	// Source: jobdrop's own limit: 500. It bounds the time that a drop takes.
	//
	// For example: allow.regions with 501 entries.
	rulePolicyListLength job.Rule = "policy-list-length"

	// rulePolicyMachineType: the operator's policy does not allow this machine type.
	//
	// Source: the operator's policy, allow.machineTypes; docs/policy.md.
	//
	//	 # policy.yaml
	//	 allow: {machineTypes: [n1-standard-*]}
	//	 # job.yaml
	//	 trainingInput:
	//	   scaleTier: CUSTOM
	//	-  masterType: n1-highmem-8
	//	+  masterType: n1-standard-8
	rulePolicyMachineType job.Rule = "policy-machine-type"

	// rulePolicyMatch: an entry of prefixes says which folders it is for: a pattern of a folder's name
	// within the inbox.
	//
	// Source: docs/policy.md.
	//
	//	 # policy.yaml
	//	 prefixes:
	//	-- {match: /teams/nlp/**, pause: true}
	//	+- {match: teams/nlp/**, pause: true}
	rulePolicyMatch job.Rule = "policy-match"

	// rulePolicyMaxRunningTime: the operator's policy does not allow the job to run so long.
	//
	// Source: the operator's policy, limits.maxRunningTime; docs/policy.md.
	//
	//	 # policy.yaml
	//	 limits: {maxRunningTime: 3600s}
	//	 # job.yaml
	//	 trainingInput:
	//	-  scheduling: {maxRunningTime: 7200s}
	//	+  scheduling: {maxRunningTime: 3600s}
	rulePolicyMaxRunningTime job.Rule = "policy-max-running-time"

	// rulePolicyMount: a job may not mount this. Without a policy it may mount nothing: what a server
	// exports has no password.
	//
	// Source: the operator's policy, allow.nfsMounts and allow.lustreMounts; docs/policy.md.
	//
	//	 # policy.yaml
	//	 allow:
	//	   networkAttachments: ['projects/p/**']
	//	   nfsMounts: ['10.0.0.2:/data/**']
	//	 # job.yaml
	//	 jobdrop:
	//	   vertex:
	//	     pscInterfaceConfig:
	//	       networkAttachment: projects/p/regions/us-central1/networkAttachments/a
	//	     nfsMounts:
	//	-    - {server: 10.0.0.2, path: /home, mountPoint: census}
	//	+    - {server: 10.0.0.2, path: /data/census, mountPoint: census}
	rulePolicyMount job.Rule = "policy-mount"

	// rulePolicyNetwork: a job may not choose this network. Without a policy it may choose none.
	//
	// Source: the operator's policy, allow.networks; docs/policy.md.
	//
	//	 trainingInput:
	//	-  network: projects/12345/global/networks/training
	rulePolicyNetwork job.Rule = "policy-network"

	// rulePolicyNetworkAttachment: a job may not reach a network through this attachment. Without a
	// policy it may reach none.
	//
	// Source: the operator's policy, allow.networkAttachments; docs/policy.md.
	//
	//	 jobdrop:
	//	   vertex:
	//	-    pscInterfaceConfig:
	//	-      networkAttachment: projects/p/regions/us-central1/networkAttachments/a
	//	+    strategy: SPOT
	rulePolicyNetworkAttachment job.Rule = "policy-network-attachment"

	// rulePolicyOpenPattern: anyone can take a name that the pattern matches: names of buckets,
	// projects and hosts are the world's.
	//
	// Source: Cloud Storage, "Bucket names"; docs/policy.md.
	//
	//	 # policy.yaml
	//	-allow: {jobDirs: ['gs://my-output*/**']}
	//	+allow: {jobDirs: ['gs://my-output/**']}
	rulePolicyOpenPattern job.Rule = "policy-open-pattern"

	// rulePolicyPackageBytes: the packages are larger in all than the operator's policy allows.
	//
	// Source: the operator's policy, limits.packageBytes; docs/policy.md.
	//
	//	 # policy.yaml
	//	-limits: {packageBytes: 10}
	//	+limits: {packageBytes: 100000}
	//	 # trainer-0.1.tar.gz
	rulePolicyPackageBytes job.Rule = "policy-package-bytes"

	// rulePolicyPackageSource: a package may not come from there. Without a policy, packages lie in
	// the drop's own folder.
	//
	// Source: the operator's policy, allow.packageSources; docs/policy.md.
	//
	//	 trainingInput:
	//	-  packageUris: ['gs://elsewhere/trainer-0.1.tar.gz']
	//	+  packageUris: [trainer-0.1.tar.gz]
	rulePolicyPackageSource job.Rule = "policy-package-source"

	// rulePolicyPatience: a drop would be given up before what it lacks is reported.
	//
	// Source: docs/policy.md, patience.
	//
	//	 # policy.yaml
	//	-patience: {incomplete: 7200s, expire: 3600s}
	//	+patience: {incomplete: 3600s, expire: 7200s}
	rulePolicyPatience job.Rule = "policy-patience"

	// rulePolicyPattern: a pattern of the policy can't match what its list holds, or has characters
	// that mean something elsewhere.
	//
	// Source: docs/policy.md: * stands for any characters other than /, ** for any at all.
	//
	//	 # policy.yaml
	//	-allow: {jobDirs: [my-output/**]}
	//	+allow: {jobDirs: ['gs://my-output/**']}
	rulePolicyPattern job.Rule = "policy-pattern"

	// rulePolicyPersistentResource: a job may not run on this persistent resource. Without a policy it
	// may run on none: their machines are somebody's.
	//
	// Source: the operator's policy, allow.persistentResources; docs/policy.md.
	//
	//	 jobdrop:
	//	   vertex:
	//	-    persistentResourceId: gpus
	rulePolicyPersistentResource job.Rule = "policy-persistent-resource"

	// rulePolicyPrefixTwice: two entries of prefixes match the same folders.
	//
	// Source: docs/policy.md.
	//
	//	 # policy.yaml
	//	 prefixes:
	//	 - {match: teams/nlp/**, pause: true}
	//	-- {match: teams/nlp/**, limits: {replicas: 2}}
	//	+- {match: teams/ads/**, limits: {replicas: 2}}
	rulePolicyPrefixTwice job.Rule = "policy-prefix-twice"

	// rulePolicyRegion: the operator's policy does not allow this region.
	//
	// Source: the operator's policy, allow.regions; docs/policy.md.
	//
	//	 # policy.yaml
	//	 allow: {regions: [us-*]}
	//	 # job.yaml
	//	 trainingInput:
	//	-  region: europe-west1
	//	+  region: us-central1
	rulePolicyRegion job.Rule = "policy-region"

	// rulePolicyReplicas: the operator's policy does not allow so many replicas at the same time, the
	// master and those of parallel trials counted.
	//
	// Source: the operator's policy, limits.replicas; docs/policy.md.
	//
	//	 # policy.yaml
	//	 limits: {replicas: 4}
	//	 # job.yaml
	//	 trainingInput:
	//	   scaleTier: CUSTOM
	//	   masterType: n1-standard-8
	//	   workerType: n1-standard-8
	//	-  workerCount: 9
	//	+  workerCount: 3
	rulePolicyReplicas job.Rule = "policy-replicas"

	// rulePolicyReservation: a job may not take machines of this reservation. Without a policy it may
	// take none that are reserved.
	//
	// Source: the operator's policy, allow.reservations; docs/policy.md.
	//
	//	 # policy.yaml
	//	 allow: {reservations: ['projects/my-project/zones/*/reservations/nlp-*']}
	//	 # job.yaml
	//	 jobdrop:
	//	   vertex:
	//	     reservationAffinity:
	//	       reservationAffinityType: SPECIFIC_RESERVATION
	//	-      values: [projects/my-project/zones/us-central1-a/reservations/vision]
	//	+      values: [projects/my-project/zones/us-central1-a/reservations/nlp-a100]
	rulePolicyReservation job.Rule = "policy-reservation"

	// rulePolicyServiceAccount: a job may not choose this service account. Without a policy it may
	// choose none: the bucket is not a way to someone else's rights.
	//
	// Source: the operator's policy, allow.serviceAccounts; docs/policy.md.
	//
	//	 trainingInput:
	//	-  serviceAccount: admin@my-project.iam.gserviceaccount.com
	rulePolicyServiceAccount job.Rule = "policy-service-account"

	// rulePolicyStrategy: the operator's policy does not allow this strategy. A job that names none has
	// STANDARD.
	//
	// Source: the operator's policy, allow.strategies; docs/policy.md.
	//
	//	 # policy.yaml
	//	 allow: {strategies: [SPOT, FLEX_START]}
	//	 # job.yaml
	//	 jobdrop:
	//	   vertex:
	//	-    strategy: STANDARD
	//	+    strategy: SPOT
	rulePolicyStrategy job.Rule = "policy-strategy"

	// rulePolicyTensorboard: a job may not write to this TensorBoard. Without a policy it may write to
	// none.
	//
	// Source: the operator's policy, allow.tensorboards; docs/policy.md.
	//
	//	 # policy.yaml
	//	 allow: {serviceAccounts: [trainer@my-project.iam.gserviceaccount.com]}
	//	 # job.yaml
	//	 trainingInput:
	//	   region: us-central1
	//	   jobDir: gs://my-output/census
	//	   serviceAccount: trainer@my-project.iam.gserviceaccount.com
	//	 jobdrop:
	//	   vertex:
	//	-    tensorboard: projects/my-project/locations/us-central1/tensorboards/123
	rulePolicyTensorboard job.Rule = "policy-tensorboard"

	// rulePolicyVertexAccelerator: an entry of vertex.accelerators puts one accelerator in the place
	// of another, both by the API's names.
	//
	// Source: docs/policy.md, vertex.accelerators.
	//
	//	 # policy.yaml
	//	-vertex: {accelerators: {k80: t4}}
	//	+vertex: {accelerators: {NVIDIA_TESLA_K80: NVIDIA_TESLA_T4}}
	rulePolicyVertexAccelerator job.Rule = "policy-vertex-accelerator"

	// rulePolicyVertexImage: an entry of vertex.images is a runtime version, with or without a Python
	// version, and the full name of an image.
	//
	// Source: docs/policy.md, vertex.images.
	//
	//	 # policy.yaml
	//	-vertex: {images: {latest: europe-docker.pkg.dev/my-project/images/tf:2.11}}
	//	+vertex: {images: {'2.11': europe-docker.pkg.dev/my-project/images/tf:2.11}}
	rulePolicyVertexImage job.Rule = "policy-vertex-image"

	// rulePolicyViewer: an entry of viewers names people, or a domain, as IAM does, and the folders that
	// they see. It never names everybody.
	//
	// Source: docs/policy.md, viewers.
	//
	//	 # policy.yaml
	//	 viewers:
	//	-- members: [ann@example.com]
	//	+- members: ['user:ann@example.com']
	//	   prefixes: [teams/nlp/**]
	rulePolicyViewer job.Rule = "policy-viewer"
)
