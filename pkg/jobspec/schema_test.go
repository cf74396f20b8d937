package jobspec

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/jobdrop/jobdrop/internal/testing/schematest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

var update = flag.Bool("update", false, "write job.schema.json anew")

type object = schematest.Object

// descriptions has an entry for each member of each structure.
var descriptions = map[string]schematest.Described{
	"document.jobId": {
		Text: "Name of the job, unique within the project. Left out, jobdrop makes one of the drop's name and the time.",
		More: object{"pattern": `^[A-Za-z][A-Za-z0-9_]*$`, "maxLength": maxJobID, "examples": []string{"census_20260101"}},
	},
	"document.labels": {Text: "Labels for finding and billing the job. Those that begin with jobdrop- are jobdrop's own.",
		More: object{
			"maxProperties": maxLabels,
			"propertyNames": object{
				"pattern": `^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$`, "not": object{"pattern": "^" + job.LabelPrefix},
			},
			"additionalProperties": object{"type": "string", "pattern": `^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$`},
		}},
	"document.trainingInput": {Text: "What is to be trained, with what, and where."},
	"document.jobdrop":       {Text: "What jobdrop adds to the service's fields."},

	"TrainingInput.args": {
		Text: "Command line of the trainer, one entry for each argument, all of them text.",
		More: object{"examples": [][]string{{"--epochs=20"}}},
	},
	"TrainingInput.enableWebAccess":  {Text: "Lets authorised people open a shell in the running job."},
	"TrainingInput.encryptionConfig": {Text: "Encrypts the job's data with a key of one's own."},
	"TrainingInput.evaluatorConfig":  {Text: "How evaluators run."},
	"TrainingInput.evaluatorCount": {
		Text: "Number of evaluators, with scaleTier CUSTOM; TensorFlow expects at most one.", More: object{"minimum": 0},
	},
	"TrainingInput.evaluatorType": {
		Text: "Machine type of evaluators, of the same category as masterType.", More: machineSchema(),
	},
	"TrainingInput.hyperparameters": {
		Text: "Makes the job a series of trials that look for the best hyperparameters.",
	},
	"TrainingInput.jobDir": {
		Text: "Cloud Storage folder for what the job writes. The trainer gets it as --job-dir.",
		More: object{
			"pattern": `^gs://[a-z0-9]([a-z0-9._-]*[a-z0-9])?(/[^\r\n]*)?$`, "examples": []string{"gs://my-bucket/census"},
		},
	},
	"TrainingInput.masterConfig": {Text: "How the master runs; its image serves every replica that has none."},
	"TrainingInput.masterType": {
		Text: "Machine type of the master; needed with scaleTier CUSTOM.", More: machineSchema(),
	},
	"TrainingInput.network": {
		Text: "VPC network to peer with, by the number of its project.",
		More: object{
			"pattern":  `^projects/[0-9]+/global/networks/[^/]+$`,
			"examples": []string{"projects/123456789012/global/networks/default"},
		},
	},
	"TrainingInput.packageUris": {
		Text: "The trainer's packages: names of files in the drop's folder, or objects of Cloud Storage. Left out, the " +
			"folder's only package is meant.",
		More: object{"maxItems": job.MaxPackages, "examples": [][]string{{"trainer-0.1.tar.gz"}}},
	},
	"TrainingInput.parameterServerConfig": {Text: "How parameter servers run."},
	"TrainingInput.parameterServerCount": {
		Text: "Number of parameter servers, with scaleTier CUSTOM.", More: object{"minimum": 0},
	},
	"TrainingInput.parameterServerType": {
		Text: "Machine type of parameter servers, of the same category as masterType.", More: machineSchema(),
	},
	"TrainingInput.pythonModule": {
		Text: "Module to run once the packages are installed, with dots and without .py.",
		More: object{
			"pattern": `^[\p{L}\p{N}_-]+(\.[\p{L}\p{N}_-]+)*$`, "not": object{"pattern": `\.py$`},
			"examples": []string{"trainer.task"},
		},
	},
	"TrainingInput.pythonVersion": {
		Text: "Python version, in quotes: '3.7' goes with runtime versions from 1.15, '3.5' with 1.4 to 1.14, '2.7' with " +
			"those up to 1.15.", More: object{"enum": pythonVersions()},
	},
	"TrainingInput.region": {
		Text: "Region that the job runs in: that of the data's bucket.",
		More: object{"pattern": `^[a-z]+-[a-z]+[0-9]+$`, "examples": DefaultCatalogue().regionNames()},
	},
	"TrainingInput.runtimeVersion": {
		Text: "Version of the service's machine image, in quotes. Not beside an image of one's own.",
		More: object{"pattern": `^[0-9]{1,4}\.[0-9]{1,4}(\.[0-9]{1,4})?$`, "examples": runtimeVersions()},
	},
	"TrainingInput.scaleTier": {
		Text: "Number and kind of machines: a set that the service has ready, or CUSTOM for one's own choice.",
	},
	"TrainingInput.scheduling": {Text: "How long the job may wait and run."},
	"TrainingInput.serviceAccount": {
		Text: "Account whose rights the trainer has. An installation's policy has to allow it.",
		More: object{
			"pattern": `^([^\s@]+@[^\s@]+\.[^\s@]+|[0-9]+)$`, "examples": []string{"trainer@my-project.iam.gserviceaccount.com"},
		},
	},
	"TrainingInput.useChiefInTfConfig": {Text: "Names the master chief in TF_CONFIG. It matters for containers only."},
	"TrainingInput.workerConfig":       {Text: "How workers run."},
	"TrainingInput.workerCount": {
		Text: "Number of workers besides the master, with scaleTier CUSTOM.", More: object{"minimum": 0},
	},
	"TrainingInput.workerType": {
		Text: "Machine type of workers, of the same category as masterType, or cloud_tpu.", More: machineSchema(),
	},

	"Scheduling.maxRunningTime": {
		Text: "Seconds that the job may run, with the suffix s; seven days by default.", More: durationSchema("7200s"),
	},
	"Scheduling.maxWaitTime": {
		Text: "Seconds that the job may wait until it runs, with the suffix s, at least 1800s; without limit by default.",
		More: durationSchema("3600s"),
	},
	"Scheduling.priority": {Text: "Jobs of a higher priority start first.", More: object{"minimum": 0, "maximum": 1000}},

	"ReplicaConfig.acceleratorConfig": {Text: "GPUs or TPUs of each machine. They need a Compute Engine machine type."},
	"ReplicaConfig.containerArgs":     {Text: "Arguments for the image's entry point. Not beside trainingInput.args."},
	"ReplicaConfig.containerCommand": {
		Text: "Command that replaces the image's entry point. Not beside trainingInput.args.",
	},
	"ReplicaConfig.diskConfig": {Text: "Boot disk of each machine."},
	"ReplicaConfig.imageUri": {
		Text: "Container image to run in place of a runtime version and packages.",
		More: object{"examples": []string{"gcr.io/my-project/trainer:1"}},
	},
	"ReplicaConfig.tpuTfVersion": {
		Text: "TensorFlow's version in the image, for workers with TPUs, in quotes and without its last number.",
		More: object{"pattern": `^[0-9]{1,4}\.[0-9]{1,4}$`, "examples": []string{"2.11"}},
	},

	"AcceleratorConfig.count": {
		Text: "How many each machine has. Which numbers there are depends on machine and accelerator.",
		More: object{"minimum": 0},
	},
	"AcceleratorConfig.type": {Text: "Kind of accelerator."},

	"DiskConfig.bootDiskSizeGb": {Text: "Size in GB; 100 by default.", More: object{"minimum": 0, "examples": []int{200}}},
	"DiskConfig.bootDiskType": {
		Text: "Kind of disk; pd-ssd by default.", More: object{"enum": []string{"pd-ssd", "pd-standard"}},
	},

	"EncryptionConfig.kmsKeyName": {
		Text: "Full name of a Cloud KMS key, without a version, in the job's region.",
		More: object{
			"pattern":  `^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$`,
			"examples": []string{"projects/my-project/locations/us-central1/keyRings/ring/cryptoKeys/key"},
		},
	},

	"HyperparameterSpec.algorithm": {
		Text: "How values are picked: by Bayesian optimisation unless set. GRID_SEARCH can't have parameters of type DOUBLE.",
	},
	"HyperparameterSpec.enableTrialEarlyStopping": {Text: "Ends trials that do not look promising."},
	"HyperparameterSpec.goal":                     {Text: "Whether more or less of the metric is better."},
	"HyperparameterSpec.hyperparameterMetricTag": {
		Text: "Name under which the trainer reports the metric; training/hptuning/metric by default.",
	},
	"HyperparameterSpec.maxFailedTrials": {
		Text: "Number of failed trials that ends the job; 0 leaves it to the service.", More: object{"minimum": 0},
	},
	"HyperparameterSpec.maxParallelTrials":   {Text: "Trials at the same time; 1 by default.", More: object{"minimum": 0}},
	"HyperparameterSpec.maxTrials":           {Text: "Trials in all; 1 by default.", More: object{"minimum": 0}},
	"HyperparameterSpec.params":              {Text: "The parameters to tune. The trainer gets each as --NAME=VALUE."},
	"HyperparameterSpec.resumePreviousJobId": {Text: "ID of an earlier tuning job to go on from."},

	"ParameterSpec.categoricalValues": {Text: "Values of a CATEGORICAL parameter, all of them text."},
	"ParameterSpec.discreteValues": {
		Text: "Values of a DISCRETE parameter, in rising order.", More: object{"maxItems": maxDiscreteValues},
	},
	"ParameterSpec.maxValue": {Text: "Greatest value of a DOUBLE or INTEGER parameter."},
	"ParameterSpec.minValue": {Text: "Least value of a DOUBLE or INTEGER parameter."},
	"ParameterSpec.parameterName": {
		Text: "Name of the parameter and of the trainer's flag, without dashes before it.",
		More: object{"minLength": 1, "examples": []string{"learning_rate"}},
	},
	"ParameterSpec.scaleType": {
		Text: "How the range is spread over the search. The logarithmic ones need values above 0.",
	},
	"ParameterSpec.type": {Text: "Kind of values: numbers, whole numbers, texts, or a list of numbers."},

	"Options.packages": {Text: "Pins packages to one content, so that the job waits for it and runs nothing else."},
	"Options.notify":   {Text: "Routes of the policy that are told about the job."},
	"Options.backend":  {Text: "Service that shall run the job; the installation's own choice by default."},

	"Options.vertex": {
		Text: "What the job asks of Vertex AI beside the service's fields. Another backend can't do it.",
	},

	"VertexOptions.strategy": {
		Text: "Capacity that the job runs on: SPOT machines may be taken away at any time, FLEX_START waits for GPUs until " +
			"all are there. STANDARD by default.",
	},
	"VertexOptions.maxWaitDuration": {
		Text: "Seconds that a FLEX_START job may wait for its machines, with the suffix s; what scheduling.maxWaitTime says " +
			"by default. 0s is without limit.",
		More: durationSchema("86400s"),
	},
	"VertexOptions.restartJobOnWorkerRestart": {Text: "Restarts the whole job where one of its machines was restarted."},
	"VertexOptions.disableRetries":            {Text: "Keeps the service from running a failed job again."},
	"VertexOptions.persistentResourceId": {
		Text: "ID of a persistent resource on whose machines the job runs. An installation's policy has to allow it.",
		More: object{"pattern": `^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`, "examples": []string{"gpus"}},
	},
	"VertexOptions.reservationAffinity": {
		Text: "Reserved machines that the job takes. An installation's policy has to allow them.",
	},
	"VertexOptions.tensorboard": {
		Text: "Full name of the TensorBoard that gets the job's logs. An installation's policy has to allow it.",
		More: object{
			"pattern":  `^projects/[^/]+/locations/[^/]+/tensorboards/[^/]+$`,
			"examples": []string{"projects/my-project/locations/us-central1/tensorboards/123"},
		},
	},
	"VertexOptions.experiment": {
		Text: "Full name of the context of the experiment that the job is part of. An installation's policy has to allow it.",
		More: contextSchema("census"),
	},
	"VertexOptions.experimentRun": {
		Text: "Full name of the context of the run: that of the experiment, a dash, and the run's own.",
		More: contextSchema("census-1"),
	},
	"VertexOptions.enableDashboardAccess": {Text: "Lets authorised people open the dashboard of the master's container."},
	"VertexOptions.pscInterfaceConfig": {
		Text: "Private Service Connect interface through which the job reaches a network. An installation's policy has to " +
			"allow it.",
	},
	"VertexOptions.nfsMounts": {
		Text: "NFS shares, mounted below /mnt/nfs. An installation's policy has to allow them.",
	},
	"VertexOptions.lustreMounts": {
		Text: "Lustre file systems, mounted below /mnt/lustre. An installation's policy has to allow them.",
	},
	"VertexOptions.gpuPartitionSize": {
		Text: "Size of the partitions that each GPU is split into.",
		More: object{"pattern": `^[1-9][0-9]?g\.[1-9][0-9]{0,2}gb$`, "examples": []string{"1g.10gb"}},
	},
	"ReservationAffinity.reservationAffinityType": {
		Text: "Whether the job takes machines of any reservation, of those named in values, or of none.",
	},
	"ReservationAffinity.key": {
		Text: "What values are. It may be left out.", More: object{"enum": []string{job.ReservationKey}},
	},
	"ReservationAffinity.values": {
		Text: "Full names of reservations.",
		More: object{"examples": [][]string{{"projects/my-project/zones/us-central1-a/reservations/a100"}}},
	},
	"PSCInterfaceConfig.networkAttachment": {
		Text: "Full name of the network attachment.",
		More: object{
			"pattern":  `^projects/[^/]+/regions/[^/]+/networkAttachments/[^/]+$`,
			"examples": []string{"projects/my-project/regions/us-central1/networkAttachments/training"},
		},
	},
	"PSCInterfaceConfig.dnsPeeringConfigs": {Text: "Domains that the job finds by the DNS of a network."},
	"DNSPeeringConfig.domain": {
		Text: "Domain, with a dot at its end.", More: object{"pattern": `\.$`, "examples": []string{"corp.example.com."}},
	},
	"DNSPeeringConfig.targetProject": {Text: "Project of the network in which the domain is known."},
	"DNSPeeringConfig.targetNetwork": {Text: "Name of the network in which the domain is known."},
	"NFSMount.server":                {Text: "IP address of the server.", More: object{"examples": []string{"10.0.0.2"}}},
	"NFSMount.path": {
		Text: "Path that the server exports.", More: object{"pattern": "^/", "examples": []string{"/data"}},
	},
	"NFSMount.mountPoint":      {Text: "Folder in /mnt/nfs.", More: mountSchema()},
	"LustreMount.instanceIp":   {Text: "IP address of the Lustre instance.", More: object{"examples": []string{"10.0.0.3"}}},
	"LustreMount.filesystem":   {Text: "Name of the file system."},
	"LustreMount.volumeHandle": {Text: "Handle of the volume."},
	"LustreMount.mountPoint":   {Text: "Folder in /mnt/lustre.", More: mountSchema()},

	"Pin.name": {
		Text: "The package's file name.", More: object{"pattern": `^[^/]+$`, "examples": []string{"trainer-0.1.tar.gz"}},
	},
	"Pin.generation": {Text: "Generation of the object, as the upload returned it.", More: object{"minimum": 0}},
	"Pin.crc32c": {
		Text: "CRC32C of the content in base64, as Cloud Storage writes it.",
		More: object{"pattern": `^([A-Za-z0-9+/]{6}==)?$`, "examples": []string{"AAAAAA=="}},
	},
}

var required = map[string][]string{
	"ParameterSpec": {"parameterName", "type"},
	"Pin":           {"name"},

	"ReservationAffinity": {"reservationAffinityType"},
	"PSCInterfaceConfig":  {"networkAttachment"},
	"DNSPeeringConfig":    {"domain", "targetProject", "targetNetwork"},
	"NFSMount":            {"server", "path", "mountPoint"},
	"LustreMount":         {"instanceIp", "filesystem", "volumeHandle", "mountPoint"},
}

func contextSchema(name string) object {
	const store = "projects/my-project/locations/us-central1/metadataStores/default/contexts/"
	return object{
		"pattern":  `^projects/[^/]+/locations/[^/]+/metadataStores/[^/]+/contexts/[^/]+$`,
		"examples": []string{store + name},
	}
}

func mountSchema() object {
	return object{"pattern": `^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$`, "examples": []string{"data"}}
}

func machineSchema() object {
	return object{"pattern": `^[a-z0-9]+([-_][a-z0-9]+)*$`, "examples": DefaultCatalogue().machineNames()}
}

func durationSchema(example string) object {
	return object{"pattern": `^[0-9]+(\.[0-9]{1,9})?s$`, "examples": []string{example}}
}

func pythonVersions() []string {
	var versions []string
	for _, p := range DefaultCatalogue().Pythons {
		versions = append(versions, p.Version)
	}
	return versions
}

func runtimeVersions() []string {
	var versions []string
	for _, r := range DefaultCatalogue().Runtimes {
		if r.Ended == "" {
			versions = append(versions, r.Version)
		}
	}
	slices.Reverse(versions)
	return versions
}

func TestSchema(t *testing.T) {
	schematest.UpToDate(t, "job.schema.json", schematest.Source{
		Root:  reflect.TypeFor[document](),
		ID:    "https://jobdrop.dev/schemas/job.schema.json",
		Title: "jobdrop job file",
		Description: "A training job: ml/v1's Job, with jobdrop's own options under jobdrop. Object metadata and the " +
			"operator's defaults may give fields that are missing here.",
		Descriptions: descriptions,
		Required:     required,
	}.Generate(t), *update)
}

func TestSchemaAccepts(t *testing.T) {
	validate := schematest.Validator(t, Schema())
	if err := validate([]byte(cluster)); err != nil {
		t.Errorf("cluster: %v", err)
	}
	for _, tt := range slices.Concat(ruleCases(), vertexCases()) {
		if tt.want == nil {
			if err := validate([]byte(tt.data)); err != nil {
				t.Errorf("%s/%s: %v\n%s", tt.rule, tt.name, err, tt.data)
			}
		}
	}
	drops, err := filepath.Glob("../../testdata/drops/*/job.*")
	if err != nil || len(drops) == 0 {
		t.Fatal("no drops", err)
	}
	for _, name := range drops {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, vs := Parse(name, data); job.HasErrors(vs) {
			continue // shows what can't be decoded
		}
		if base := filepath.Base(filepath.Dir(name)); slices.Contains([]string{
			"rejected-job-id", "rejected-reserved-label", "rejected-scheduling",
		}, base) {
			if validate(data) == nil {
				t.Errorf("%s passes", name)
			}
		} else if err := validate(data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	validate := schematest.Validator(t, Schema())
	for _, data := range []string{
		"jobId: cool-job", "jobId: 1", "job_id: a", "jobId: a\nstate: RUNNING", "labels: {Team: a}", "labels: {a: B}",
		"labels: {a: 1}", "labels: {jobdrop-attempt: a}", "labels: [a]",
		"trainingInput: {scaleTier: basic}", "trainingInput: {scaleTier: STANDARD-1}", "trainingInput: {scale_tier: BASIC}",
		"trainingInput: {params: []}",
		"trainingInput: {runtimeVersion: 2.10}", "trainingInput: {runtimeVersion: latest}",
		"trainingInput: {pythonVersion: 3.7}", "trainingInput: {pythonVersion: '3.8'}",
		"trainingInput: {pythonModule: trainer/task.py}", "trainingInput: {pythonModule: trainer.task.py}",
		"trainingInput: {region: us-central1-a}", "trainingInput: {jobDir: /tmp/out}",
		"trainingInput: {jobDir: 'gs://Bucket/a'}",
		"trainingInput: {workerCount: -1}", "trainingInput: {workerCount: two}", "trainingInput: {workerCount: 1.5}",
		"trainingInput: {args: [--a, 5]}", "trainingInput: {masterType: N1}",
		"trainingInput: {scheduling: {maxWaitTime: 3600}}", "trainingInput: {scheduling: {maxWaitTime: 1h}}",
		"trainingInput: {scheduling: {priority: 1001}}",
		"trainingInput: {network: default}", "trainingInput: {serviceAccount: trainer}",
		"trainingInput: {encryptionConfig: {kmsKeyName: k}}",
		"trainingInput: {masterConfig: {diskConfig: {bootDiskType: local-ssd}}}",
		"trainingInput: {masterConfig: {acceleratorConfig: {type: T4, count: 1}}}",
		"trainingInput: {workerConfig: {tpuTfVersion: 2.11.0}}",
		"trainingInput: {hyperparameters: {params: [{type: DOUBLE}]}}",
		"trainingInput: {hyperparameters: {params: [{parameterName: a, type: FLOAT}]}}",
		"trainingInput: {hyperparameters: {enableTrialEarlyStopping: 'TRUE'}}",
		"trainingInput: {hyperparameters: {params: [{parameterName: a, type: CATEGORICAL, categoricalValues: [128]}]}}",
		"jobdrop: {backend: other}", "jobdrop: {packages: [{generation: 1}]}", "jobdrop: {packages: [{name: a/b.whl}]}",
		"jobdrop: {packages: [{name: a.whl, crc32c: AAAA}]}", "jobdrop: {pakages: []}",
	} {
		if validate([]byte(data)) == nil {
			t.Errorf("passes: %s", data)
		}
		if f, vs := Parse("job.yaml", []byte(data)); !job.HasErrors(vs) && len(vs) == 0 && !job.HasErrors(f.Check(nil)) {
			t.Errorf("only the schema refuses %s", data)
		}
	}
}
