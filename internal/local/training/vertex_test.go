package training

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	aiplatform "google.golang.org/api/aiplatform/v1"
	"google.golang.org/api/option"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
)

// vertexClient speaks to a service as Google's own library for Go does.
func vertexClient(t *testing.T, url string) *aiplatform.ProjectsLocationsService {
	t.Helper()
	c, err := aiplatform.NewService(t.Context(), option.WithEndpoint(url), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	return c.Projects.Locations
}

const (
	parent   = "projects/p/locations/us-central1"
	executor = "us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-11:latest"
	machine  = `"machineSpec": {"machineType": "n1-standard-4"}`
	onePool  = `"replicaCount": 1, ` + machine
	python   = `"pythonPackageSpec": {"executorImageUri": "` + executor + `", "packageUris": ` +
		`["gs://b/p/trainer-0.1.tar.gz"], "pythonModule": "trainer.task"}`
)

func customJob(spec string) string { return `{"displayName": "census", "jobSpec": ` + spec + `}` }
func customPools(pools ...string) string {
	return customJob(`{"workerPoolSpecs": [` + strings.Join(pools, ", ") + `]}`)
}

// onePython returns a pool whose Python package has more members, or others.
func onePython(more string) string {
	return customPools(`{` + onePool + `, "pythonPackageSpec": {"executorImageUri": "` + executor +
		`", "packageUris": ["gs://b/o"], "pythonModule": "a", ` + more + `}}`)
}

func oneContainer(spec string) string {
	return customPools(`{` + onePool + `, "containerSpec": {` + spec + `}}`)
}

func TestVertexCreateRefuses(t *testing.T) {
	_, server := idle(t)
	pool := `{` + onePool + `, ` + python + `}`
	const pools = "job_spec.worker_pool_specs"
	spec := func(more string) string { return customJob(`{"workerPoolSpecs": [` + pool + `], ` + more + `}`) }
	with := func(more string) string { return customPools(`{` + onePool + `, ` + python + `, ` + more + `}`) }
	gpu := `{"replicaCount": 1, "machineSpec": {"machineType": "a2-highgpu-1g", "acceleratorType": "NVIDIA_TESLA_A100", ` +
		`"acceleratorCount": 1}, ` + python + `}`
	flex := func(scheduling string, pools ...string) string {
		if scheduling != "" {
			scheduling = ", " + scheduling
		}
		return customJob(`{"workerPoolSpecs": [` + strings.Join(pools, ", ") + `], "scheduling": {"strategy": "FLEX_START"` +
			scheduling + `}}`)
	}
	var tests = []struct {
		name, body  string
		want, field string
	}{
		{"no name", `{"jobSpec": {"workerPoolSpecs": [` + pool + `]}}`, "List of found errors:\t1.Field: display_name; " +
			"Message: The display name is required.\t", "display_name"},
		{"long name", `{"displayName": "` + strings.Repeat("ü", 129) + `", "jobSpec": {"workerPoolSpecs": [` + pool + `]}}`,
			"at most 128", "display_name"},
		{"label key", `{"displayName": "c", "labels": {"Team": "x"}, "jobSpec": {"workerPoolSpecs": [` + pool + `]}}`,
			"is not a label", "labels"},
		{"label value", `{"displayName": "c", "labels": {"team": "a.b"}, "jobSpec": {"workerPoolSpecs": [` + pool + `]}}`,
			"is not a label", "labels"},
		{"long label", `{"displayName": "c", "labels": {"team": "` + strings.Repeat("x", 65) +
			`"}, "jobSpec": {"workerPoolSpecs": [` + pool + `]}}`, "64 characters", "labels"},
		{"no spec", `{"displayName": "c"}`, "The job spec is required", "job_spec"},
		{"no pools", customJob(`{}`), "At least one worker pool", pools},
		{"five pools", customPools(pool, "{}", "{}", "{}", "{}"), "at most 4", pools},
		{"empty first pool", customPools("{}", pool), "must not be empty", pools + "[0]"},
		{"two chiefs", customPools(`{"replicaCount": 2, ` + machine + `, ` + python + `}`), "exactly one replica, not 2",
			pools + "[0].replica_count"},
		{"no count", customPools(`{` + machine + `, ` + python + `}`), "exactly one replica, not 0", pools +
			"[0].replica_count"},
		{"no workers", customPools(pool, `{`+machine+`, `+python+`}`), "greater than zero", pools + "[1].replica_count"},
		{"negative", customPools(pool, `{"replicaCount": "-1", `+machine+`, `+python+`}`), "greater than zero", pools +
			"[1].replica_count"},
		{"no machine", customPools(`{"replicaCount": 1, ` + python + `}`), "machine spec is required", pools +
			"[0].machine_spec"},
		{"no machine type", customPools(`{"replicaCount": 1, "machineSpec": {}, ` + python + `}`), "machine type is required",
			pools + "[0].machine_spec.machine_type"},
		{"accelerator without a count", customPools(`{"replicaCount": 1, "machineSpec": {"machineType": "n1-standard-4", ` +
			`"acceleratorType": "NVIDIA_TESLA_T4"}, ` + python + `}`), "greater than zero", pools +
			"[0].machine_spec.accelerator_count"},
		{"count without an accelerator", customPools(`{"replicaCount": 1, "machineSpec": {"machineType": "n1-standard-4", ` +
			`"acceleratorCount": 1}, ` + python + `}`), "must be given with a count", pools +
			"[0].machine_spec.accelerator_type"},
		{"TPU", customPools(`{"replicaCount": 1, "machineSpec": {"machineType": "cloud-tpu", "acceleratorType": "TPU_V3", ` +
			`"acceleratorCount": 8}, ` + python + `}`), "has no TPUs", pools + "[0].machine_spec.accelerator_type"},
		{"TPU topology", customPools(`{"replicaCount": 1, "machineSpec": {"machineType": "ct5lp-hightpu-1t", ` +
			`"tpuTopology": "1x1"}, ` + python + `}`), "has no TPUs", pools + "[0].machine_spec.tpu_topology"},
		{"disk", with(`"diskSpec": {"bootDiskType": "floppy"}`), "is none of", pools + "[0].disk_spec.boot_disk_type"},
		{"NFS", with(`"nfsMounts": [{"server": "10.0.0.1", "path": "x", "mountPoint": "m"}]`), "a path that starts with /",
			pools + "[0].nfs_mounts[0]"},
		{"Lustre", with(`"lustreMounts": [{"instanceIp": "10.0.0.1"}]`), "handle and the mount point are required", pools +
			"[0].lustre_mounts[0]"},
		{"reservation without a name", customPools(`{"replicaCount": 1, "machineSpec": {"machineType": "a2-highgpu-1g", ` +
			`"reservationAffinity": {"reservationAffinityType": "SPECIFIC_RESERVATION"}}, ` + python + `}`),
			"needs a key and values", pools + "[0].machine_spec.reservation_affinity"},
		{"partition of two GPUs", customPools(`{"replicaCount": 1, "machineSpec": {"machineType": "a2-highgpu-2g", ` +
			`"acceleratorType": "NVIDIA_TESLA_A100", "acceleratorCount": 2, "gpuPartitionSize": "1g.5gb"}, ` + python + `}`),
			"need one accelerator, not 2", pools + "[0].machine_spec.gpu_partition_size"},
		{"flex-start without a GPU", spec(`"scheduling": {"strategy": "FLEX_START"}`), "needs accelerators of the types",
			pools + "[0].machine_spec.accelerator_type"},
		{"flex-start for eight days", flex(`"timeout": "691200s"`, gpu), "at most 604800s", "job_spec.scheduling.timeout"},
		{"flex-start with two kinds of machines", flex("", gpu, strings.Replace(gpu, "a2-highgpu-1g", "a2-ultragpu-1g", 1)),
			"must be the same", pools + "[1].machine_spec"},
		{"nothing to run", customPools(`{` + onePool + `}`), "Exactly one of", pools + "[0]"},
		{"two things to run", with(`"containerSpec": {"imageUri": "gcr.io/p/i"}`), "Only one of", pools + "[0]"},
		{"no image", oneContainer(`"command": ["x"]`), "The image is required", pools + "[0].container_spec.image_uri"},
		{"option for an image", oneContainer(`"imageUri": "--privileged"`), "is not the name", pools +
			"[0].container_spec.image_uri"},
		{"image of one's own", oneContainer(`"imageUri": "gcr.io/p/i"`), "--container-runner docker", pools +
			"[0].container_spec.image_uri"},
		{"image of one's own for Python", oneContainer(`"imageUri": "gcr.io/p/i", "command": ["python3"]`),
			"--container-runner docker", pools + "[0].container_spec.image_uri"},
		{"another command in a pre-built image", oneContainer(`"imageUri": "` + executor +
			`", "command": ["sh", "-c", "true"]`), "--container-runner docker", pools + "[0].container_spec.image_uri"},
		{"a pre-built image as it is", oneContainer(`"imageUri": "` + executor + `"`), "--container-runner docker", pools +
			"[0].container_spec.image_uri"},
		{"empty command", oneContainer(`"imageUri": "` + executor + `", "command": [""]`), "must not be empty", pools +
			"[0].container_spec.command"},
		{"null in a command", oneContainer(`"imageUri": "` + executor + `", "command": ["python3", "a\u0000b"]`),
			"null character", pools + "[0].container_spec.command[1]"},
		{"variable", oneContainer(`"imageUri": "` + executor + `", "command": ["python3"], "env": [{"name": "A-B", ` +
			`"value": "x"}]`), "C identifier", pools + "[0].container_spec.env[0].name"},
		{"many variables", oneContainer(`"imageUri": "` + executor + `", "command": ["python3"], "env": [` +
			strings.Repeat(`{"name": "A"}, `, 100) + `{"name": "A"}]`), "at most 100", pools + "[0].container_spec.env"},
		{"no executor", customPools(`{` + onePool + `, "pythonPackageSpec": {"packageUris": ["gs://b/o"], "pythonModule": ` +
			`"a"}}`), "executor image is required", pools + "[0].python_package_spec.executor_image_uri"},
		{"executor of one's own", customPools(`{` + onePool + `, "pythonPackageSpec": {"executorImageUri": ` +
			`"us-docker.pkg.dev/p/vertex-ai/training", "packageUris": ["gs://b/o"], "pythonModule": "a"}}`),
			"you must use an image from the list", pools + "[0].python_package_spec.executor_image_uri"},
		{"executor below the list", customPools(`{` + onePool + `, "pythonPackageSpec": {"executorImageUri": ` +
			`"us-docker.pkg.dev/vertex-ai/training/a/b:latest", "packageUris": ["gs://b/o"], "pythonModule": "a"}}`),
			"you must use an image from the list", pools + "[0].python_package_spec.executor_image_uri"},
		{"no packages", customPools(`{` + onePool + `, "pythonPackageSpec": {"executorImageUri": "` + executor +
			`", "pythonModule": "a"}}`), "At least one package", pools + "[0].python_package_spec.package_uris"},
		{"many packages", customPools(`{` + onePool + `, "pythonPackageSpec": {"executorImageUri": "` + executor +
			`", "pythonModule": "a", "packageUris": [` + strings.Repeat(`"gs://b/o", `, 100) + `"gs://b/o"]}}`), "at most 100",
			pools + "[0].python_package_spec.package_uris"},
		{"package", customPools(`{` + onePool + `, "pythonPackageSpec": {"executorImageUri": "` + executor +
			`", "pythonModule": "a", "packageUris": ["gs://b/o", "o.tar.gz"]}}`), "gs://bucket/object", pools +
			"[0].python_package_spec.package_uris[1]"},
		{"no module", customPools(`{` + onePool + `, "pythonPackageSpec": {"executorImageUri": "` + executor +
			`", "packageUris": ["gs://b/o"]}}`), "module is required", pools + "[0].python_package_spec.python_module"},
		{"option for a module", onePython(`"pythonModule": "-c"`), "dotted name", pools +
			"[0].python_package_spec.python_module"},
		{"null in args", onePython(`"args": ["a\u0000b"]`), "null character", pools + "[0].python_package_spec.args[0]"},
		{"null in a variable", onePython(`"env": [{"name": "A", "value": "a\u0000b"}]`), "null character", pools +
			"[0].python_package_spec.env[0].value"},
		{"output", spec(`"baseOutputDirectory": {"outputUriPrefix": "/tmp"}`), "gs://bucket/directory",
			"job_spec.base_output_directory.output_uri_prefix"},
		{"no output", spec(`"baseOutputDirectory": {}`), "gs://bucket/directory",
			"job_spec.base_output_directory.output_uri_prefix"},
		{"timeout", spec(`"scheduling": {"timeout": "0s"}`), "greater than zero", "job_spec.scheduling.timeout"},
		{"network", spec(`"network": "projects/1/global/networks/n"`), "leave it out", "job_spec.network"},
		{"network attachment", spec(`"pscInterfaceConfig": {}`), "network attachment is required",
			"job_spec.psc_interface_config.network_attachment"},
		{"IP ranges", spec(`"reservedIpRanges": ["r"]`), "leave it out", "job_spec.reserved_ip_ranges"},
		{"persistent resource", spec(`"persistentResourceId": "R"`), "is not the ID", "job_spec.persistent_resource_id"},
		{"tensorboard", spec(`"tensorboard": "projects/p/locations/us-central1/tensorboards/1"`),
			"must be given with a tensorboard", "job_spec.service_account"},
		{"key", `{"displayName": "c", "encryptionSpec": {"kmsKeyName": "k"}, "jobSpec": {"workerPoolSpecs": [` + pool + `]}}`,
			"is not of the form", "encryption_spec.kms_key_name"},
		{"key of another region", `{"displayName": "c", "encryptionSpec": {"kmsKeyName": ` +
			`"projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k"}, "jobSpec": {"workerPoolSpecs": [` + pool + `]}}`,
			"must be in the job's region", "encryption_spec.kms_key_name"},
		{"many replicas", customPools(pool, `{"replicaCount": 9, `+machine+`, `+python+`}`), "needs 10 replicas (1 master, " +
			"9 workers), and the local training service runs at most 4", pools},
		{"two faults", customPools(`{"replicaCount": 1, "machineSpec": {}}`), "\t2.Field: " + pools +
			"[0]; Message: Exactly one of", pools + "[0].machine_spec.machine_type"},

		{"unknown", spec(`"foo": 1`), `Invalid JSON payload received. Unknown name "foo" at 'custom_job.job_spec': Cannot ` +
			`find field.`, "custom_job.job_spec"},
		{"unknown in a pool", with(`"foo": 1`), `Unknown name "foo" at 'custom_job.job_spec.worker_pool_specs[0]'`,
			"custom_job.job_spec.worker_pool_specs[0]"},
		{"ml/v1's job", `{"jobId": "j", "trainingInput": {}}`, `Unknown name "jobId" at 'custom_job'`, "custom_job"},
		{"null pool", customPools("null", pool), `Invalid value at 'custom_job.job_spec.worker_pool_specs[0]' (message), ` +
			`null`, "custom_job.job_spec.worker_pool_specs[0]"},
		{"type", spec(`"enableWebAccess": "yes"`), "(TYPE_BOOL)", "custom_job.job_spec.enable_web_access"},
		{"enum", spec(`"scheduling": {"strategy": "CHEAP"}`), "(enum: ", "custom_job.job_spec.scheduling.strategy"},
		{"accelerator", customPools(`{"replicaCount": 1, "machineSpec": {"machineType": "n1-standard-4", ` +
			`"acceleratorType": "NVIDIA_TESLA_T5"}, ` + python + `}`), "(enum: ",
			"custom_job.job_spec.worker_pool_specs[0].machine_spec.accelerator_type"},
		{"duration", spec(`"scheduling": {"timeout": "1h"}`), "google.protobuf.Duration",
			"custom_job.job_spec.scheduling.timeout"},
		{"no JSON", `{"displayName": `, "Invalid JSON payload received. ", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := send(t, "POST", server.URL+"/v1/"+parent+"/customJobs", tt.body)
			if a.code != 400 || a.err.Status != "INVALID_ARGUMENT" || !strings.Contains(a.err.Message, tt.want) {
				t.Errorf("answer %d %s, want 400 and %q", a.code, a.body, tt.want)
			}
			if tt.field == "" {
				return
			}
			if len(a.err.Details) != 1 || a.err.Details[0].Type != "type.googleapis.com/google.rpc.BadRequest" ||
				!slices.ContainsFunc(a.err.Details[0].FieldViolations, func(v rest.Violation) bool {
					return v.Field == tt.field &&
						v.Description != ""
				}) {
				t.Errorf("details %+v lack a violation of %s", a.err.Details, tt.field)
			}
		})
	}
	if a := send(t, "GET", server.URL+"/v1/"+parent+"/customJobs", ""); a.code != 200 ||
		strings.TrimSpace(a.body) != "{}" {
		t.Errorf("jobs after refusals: %s", a.body)
	}
}

// TestVertexCreateAccepts: all that makes no difference here is kept and shown.
func TestVertexCreateAccepts(t *testing.T) {
	_, server := idle(t)
	a := send(t, "POST", server.URL+"/v1/"+parent+"/customJobs?alt=json&prettyPrint=false",
		`{"display_name": "census", "name": "mine", "state": "JOB_STATE_FAILED", "error": {"code": 5, "details": [{"@type": "x", "n": 1}]},
		"labels": {"team": "ä"}, "encryption_spec": {"kmsKeyName": "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"}, "jobSpec": {
		"scheduling": {"timeout": "3600s", "strategy": "spot", "disableRetries": true, "maxWaitDuration": "60s", "restartJobOnWorkerRestart": false},
		"serviceAccount": "a@b", "tensorboard": "t", "enableWebAccess": true, "network": "", "baseOutputDirectory": {"outputUriPrefix": "gs://out/x"}, "experiment": "e",
		"workerPoolSpecs": [{"replicaCount": 1, "machineSpec": {"machineType": "n1-standard-4", "acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 1}, `+python+`},
		{}, {"replica_count": "2", `+machine+`, "diskSpec": {"bootDiskSizeGb": 200}, "containerSpec": {"imageUri": `+
			`"europe-docker.pkg.dev/vertex-ai/training/tf-cpu.2-11@sha256:`+strings.Repeat("a", 64)+
			`", "command": ["python3", "-c", "pass"], "env": [{"name": "A", "value": "$(B)"}]}}]}}`)
	if a.code != 200 {
		t.Fatalf("answer %d %s", a.code, a.body)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatal(err)
	}
	id, ok := strings.CutPrefix(fmt.Sprint(got["name"]), parent+"/customJobs/")
	if _, err := strconv.ParseUint(id, 10, 63); !ok || err != nil || len(id) != 19 {
		t.Errorf("name %v", got["name"])
	}
	if got["createTime"] == "" || got["createTime"] != got["updateTime"] {
		t.Errorf("created %v, updated %v", got["createTime"], got["updateTime"])
	}
	for _, name := range []string{"name", "createTime", "updateTime"} {
		delete(got, name)
	}
	want := map[string]any{
		"displayName": "census", "state": "JOB_STATE_QUEUED", "labels": map[string]any{"team": "ä"},
		"encryptionSpec": map[string]any{"kmsKeyName": "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"},
		"jobSpec": map[string]any{
			"scheduling": map[string]any{"timeout": "3600s", "strategy": "SPOT", "disableRetries": true,
				"maxWaitDuration": "60s", "restartJobOnWorkerRestart": false},
			"serviceAccount": "a@b", "tensorboard": "t", "enableWebAccess": true, "network": "", "experiment": "e",
			"baseOutputDirectory": map[string]any{"outputUriPrefix": "gs://out/x/"},
			"workerPoolSpecs": []any{
				map[string]any{
					"replicaCount": "1", "machineSpec": map[string]any{"machineType": "n1-standard-4",
						"acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 1.0},
					"diskSpec": map[string]any{"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100.0},
					"pythonPackageSpec": map[string]any{"executorImageUri": executor,
						"packageUris": []any{"gs://b/p/trainer-0.1.tar.gz"}, "pythonModule": "trainer.task"},
				},
				map[string]any{},
				map[string]any{
					"replicaCount": "2", "machineSpec": map[string]any{"machineType": "n1-standard-4"},
					"diskSpec": map[string]any{"bootDiskType": "pd-ssd", "bootDiskSizeGb": 200.0},
					"containerSpec": map[string]any{
						"imageUri": "europe-docker.pkg.dev/vertex-ai/training/tf-cpu.2-11@sha256:" + strings.Repeat("a", 64),
						"command":  []any{"python3", "-c", "pass"}, "env": []any{map[string]any{"name": "A", "value": "$(B)"}},
					},
				},
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("job (-want +got):\n%s", diff)
	}
}

// Both APIs take every name of a module that python -m takes: a job file that is
// valid is not refused here.
func TestModuleNames(t *testing.T) {
	_, server := idle(t)
	for i, name := range []string{"video-8x.train", "größe", "8x.train", "_a.b"} {
		body := fmt.Sprintf(`{"jobId": "j%d", "trainingInput": {"packageUris": ["gs://b/p.tar.gz"], "pythonModule": %q, `+
			`"region": "us-central1"}}`, i, name)
		if a := send(t, "POST", server.URL+"/v1/projects/p/jobs", body); a.code != 200 {
			t.Errorf("ml/v1 answers %d %s to %s", a.code, a.body, name)
		}
		body = `{"displayName": "a", "jobSpec": {"workerPoolSpecs": [{"replicaCount": 1, ` + machine + `, ` +
			strings.Replace(python, "trainer.task", name, 1) + `}]}}`
		if a := send(t, "POST", server.URL+"/v1/"+parent+"/customJobs", body); a.code != 200 || !strings.Contains(a.body, name) {
			t.Errorf("aiplatform/v1 answers %d %s to %s", a.code, a.body, name)
		}
	}
}

// vertexQueued returns a job of the API's that never runs.
func vertexQueued(name string, labels map[string]string) *aiplatform.GoogleCloudAiplatformV1CustomJob {
	return &aiplatform.GoogleCloudAiplatformV1CustomJob{DisplayName: name, Labels: labels,
		JobSpec: &aiplatform.GoogleCloudAiplatformV1CustomJobSpec{
			WorkerPoolSpecs: []*aiplatform.GoogleCloudAiplatformV1WorkerPoolSpec{pythonPool(1, "gs://b/trainer-0.1.tar.gz")},
		}}
}

func pythonPool(n int64, uri string, args ...string) *aiplatform.GoogleCloudAiplatformV1WorkerPoolSpec {
	return &aiplatform.GoogleCloudAiplatformV1WorkerPoolSpec{
		ReplicaCount: n, MachineSpec: &aiplatform.GoogleCloudAiplatformV1MachineSpec{MachineType: "n1-standard-4"},
		PythonPackageSpec: &aiplatform.GoogleCloudAiplatformV1PythonPackageSpec{
			ExecutorImageUri: executor, PackageUris: []string{uri}, PythonModule: "trainer.task", Args: args,
		},
	}
}

func TestVertexJobs(t *testing.T) {
	svc, server := idle(t)
	var told []string
	svc.opts.Changed = func(job, state string) { told = append(told, job+" "+state) }
	api := vertexClient(t, server.URL)
	one, err := api.CustomJobs.Create(parent, vertexQueued("same", map[string]string{"a": "b"})).Do()
	if err != nil {
		t.Fatal(err)
	}
	two, err := api.CustomJobs.Create(parent, vertexQueued("same", map[string]string{"a": "b"})).Do()
	if err != nil || two.Name == one.Name {
		t.Fatalf("created again: %v, %v: there is no idempotence", two, err)
	}
	got, err := api.CustomJobs.Get(one.Name).Do()
	if err != nil || got.State != "JOB_STATE_QUEUED" || got.Error != nil || got.StartTime != "" || got.EndTime != "" {
		t.Errorf("get: %+v, %v", got, err)
	}
	id := one.Name[strings.LastIndex(one.Name, "/")+1:]
	for _, name := range []string{
		"projects/other/locations/us-central1/customJobs/" + id, "projects/p/locations/us-east1/customJobs/" + id, parent +
			"/customJobs/123", parent + "/customJobs/" + id + "0",
	} {
		if a := send(t, "GET", server.URL+"/v1/"+name, ""); a.code != 404 || a.err.Status != "NOT_FOUND" {
			t.Errorf("get of %s: %s", name, a.body)
		}
		if a := send(t, "POST", server.URL+"/v1/"+name+":cancel", "{}"); a.code != 404 {
			t.Errorf("cancel of %s: %s", name, a.body)
		}
	}

	// The two APIs don't see each other's jobs.
	ml := client(t, server.URL)
	if _, err := ml.Create("projects/p", queuedJob("legacy", nil)).Do(); err != nil {
		t.Fatal(err)
	}
	if list, err := ml.List("projects/p").Do(); err != nil || len(list.Jobs) != 1 || list.Jobs[0].JobId != "legacy" {
		t.Errorf("ml/v1 lists %v, %v", list, err)
	}
	for method, query := range map[string]string{"GET": "", "PATCH": "?updateMask=labels"} {
		if a := send(t, method, server.URL+"/v1/projects/p/jobs/"+id+query, ""); a.code != 404 {
			t.Errorf("ml/v1's %s: %s", method, a.body)
		}
	}
	if a := send(t, "POST", server.URL+"/v1/projects/p/jobs/"+id+":cancel", ""); a.code != 404 {
		t.Errorf("ml/v1's cancel: %s", a.body)
	}
	if a := send(t, "GET", server.URL+"/v1/"+parent+"/customJobs/legacy", ""); a.code != 404 {
		t.Errorf("get of ml/v1's job: %s", a.body)
	}
	if list, err := api.CustomJobs.List(parent).Do(); err != nil || len(list.CustomJobs) != 2 ||
		list.CustomJobs[0].Name != two.Name {
		t.Errorf("list: %v, %v", list, err)
	}

	if _, err := api.CustomJobs.Cancel(one.Name, &aiplatform.GoogleCloudAiplatformV1CancelCustomJobRequest{}).Do(); err != nil {
		t.Fatal(err)
	}
	poll(t, func() bool {
		got, err = api.CustomJobs.Get(one.Name).Do()
		return err == nil && got.State == "JOB_STATE_CANCELLED"
	}, func() string { return "the job was not cancelled" })
	if got.Error == nil || got.Error.Code != 1 || got.Error.Message != "The job was cancelled by a request." ||
		got.EndTime == "" || got.StartTime != "" || got.UpdateTime < got.EndTime {
		t.Errorf("cancelled: %+v, error %+v", got, got.Error)
	}
	if a := send(t, "POST", server.URL+"/v1/"+one.Name+":cancel", ""); a.code != 400 ||
		a.err.Status != "FAILED_PRECONDITION" {
		t.Errorf("cancel of an ended job: %s", a.body)
	}
	svc.mu.Lock()
	want := []string{one.Name + " JOB_STATE_CANCELLING", one.Name + " JOB_STATE_CANCELLED"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("changes that were told (-want +got):\n%s", diff)
	}
	svc.mu.Unlock()

	for _, tt := range []struct {
		method, path, body string
		code               int
		want               string
	}{
		{"DELETE", two.Name, "", 400, "does not have the method"},
		{"PATCH", two.Name, "{}", 400, "does not have the method"},
		{"POST", two.Name + ":delete", "", 400, "does not have the method"},
		{"POST", two.Name, "", 400, "does not have the method"},
		{"GET", two.Name + ":cancel", "", 400, "does not have the method"},
		{"GET", parent + "/customJobs/", "", 400, "does not have the method"},
		{"GET", parent + "/models", "", 400, "does not have the method"},
		{"GET", two.Name + "?readMask=name", "", 400, `Unknown name "readMask"`},
		{"GET", parent + "/customJobs?orderBy=x", "", 400, `Unknown name "orderBy"`},
		{"GET", parent + "/customJobs?page_size=1&$.xgafv=2&access_token=x", "", 200, ""},
		{"POST", parent + "/customJobs?customJobId=x", customPools(`{` + onePool + `, ` + python + `}`), 400,
			`Unknown name "customJobId"`},
		{"POST", two.Name + ":cancel", `{"reason": "x"}`, 400, `Unknown name "reason"`},
		{"GET", "projects/p/locations/global/customJobs", "", 400, `Unsupported location "global"`},
		{"GET", "projects/p/locations/-/customJobs", "", 400, "Unsupported location"},
		{"POST", "projects/p/locations/US/customJobs", "{}", 400, "Unsupported location"},
	} {
		if a := send(t, tt.method, server.URL+"/v1/"+tt.path, tt.body); a.code != tt.code ||
			!strings.Contains(a.err.Message, tt.want) {
			t.Errorf("%s %s: %d %s, want %d and %q", tt.method, tt.path, a.code, a.body, tt.code, tt.want)
		}
	}
}

func TestVertexList(t *testing.T) {
	svc, server := idle(t)
	api := vertexClient(t, server.URL)
	var want []string
	var names, times []string
	for i := range 25 {
		labels := map[string]string{"parity": fmt.Sprint(i % 2)}
		if i%5 == 0 {
			labels["five"] = ""
		}
		j, err := api.CustomJobs.Create(parent, vertexQueued(fmt.Sprintf("job %02d", i), labels)).Do()
		if err != nil {
			t.Fatal(err)
		}
		want = append([]string{j.DisplayName}, want...)
		names, times = append(names, j.Name), append(times, j.CreateTime)
	}
	for _, elsewhere := range []string{"projects/other/locations/us-central1", "projects/p/locations/us-east1"} {
		if _, err := api.CustomJobs.Create(elsewhere, vertexQueued("else", nil)).Do(); err != nil {
			t.Fatal(err)
		}
	}
	svc.mu.Lock()
	svc.jobs[names[3][strings.LastIndex(names[3], "/")+1:]].Job.State = jobs.Running // for the filters alone
	svc.mu.Unlock()
	pages := func(filter string, size int64) (found []string, sizes []int) {
		call := api.CustomJobs.List(parent).Filter(filter)
		if size > 0 {
			call.PageSize(size)
		}
		err := call.Pages(t.Context(), func(r *aiplatform.GoogleCloudAiplatformV1ListCustomJobsResponse) error {
			sizes = append(sizes, len(r.CustomJobs))
			for _, j := range r.CustomJobs {
				found = append(found, j.DisplayName)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", filter, err)
		}
		return found, sizes
	}
	found, sizes := pages("", 10)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{10, 10, 5}, sizes); diff != "" {
		t.Errorf("page sizes (-want +got):\n%s", diff)
	}
	for _, tt := range []struct {
		filter string
		want   []string
	}{
		{`display_name="job 07"`, []string{"job 07"}},
		{`display_name="job*"`, nil},
		{`displayName = "job 07" OR display_name="job 09"`, []string{"job 09", "job 07"}},
		{`display_name:"job 0*" AND labels.parity=1`, []string{"job 09", "job 07", "job 05", "job 03", "job 01"}},
		{`display_name:*4`, []string{"job 24", "job 14", "job 04"}},
		{`labels.five:*`, []string{"job 20", "job 15", "job 10", "job 05", "job 00"}},
		{`labels.five:* AND NOT (labels.parity="1" OR display_name:*2*)`, []string{"job 10", "job 00"}},
		{`labels.five=""`, []string{"job 20", "job 15", "job 10", "job 05", "job 00"}},
		{`state="JOB_STATE_RUNNING"`, []string{"job 03"}},
		{`state!="JOB_STATE_QUEUED"`, []string{"job 03"}},
		{`NOT state="JOB_STATE_QUEUED" OR state=JOB_STATE_PAUSED`, []string{"job 03"}},
		{`create_time>"` + times[22] + `"`, []string{"job 24", "job 23"}},
		{`create_time>="` + times[22] + `" AND createTime<"` + times[24] + `"`, []string{"job 23", "job 22"}},
		{`create_time="` + times[1] + `" AND create_time!="` + times[2] + `"`, []string{"job 01"}},
		{`labels.parity!=0 AND create_time<="` + times[3] + `"`, []string{"job 03", "job 01"}},
	} {
		if got, _ := pages(tt.filter, 0); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.filter, got, tt.want)
		}
	}
	for _, query := range []string{
		"filter=display_name", "filter=name:3", "filter=jobId%3Dx", "filter=state:*", "filter=state%3DRUNNING",
		"filter=create_time>yesterday", "filter=create_time:*",
		"filter=display_name<x", "filter=labels.a<b", "filter=labels.a:b", "filter=labels%3Dx",
		`filter=create_time>2021-05-18T00:00:00Z`, "filter=(state%3DJOB_STATE_RUNNING",
		"filter=a%3Db+AND+c", "filter=" + strings.Repeat("x", rest.MaxFilter+1), "pageSize=-1", "pageSize=x", "pageToken=!",
		"pageToken=bm9qb2I",
		"readMask=foo", "readMask=jobSpec.foo", "readMask=labels.team", "readMask=name.x",
		"readMask=jobSpec.workerPoolSpecs.replicaCount", "readMask=name,,state", "readMask=jobSpec.",
		"readMask=customJobs.name",
	} {
		name, value, _ := strings.Cut(query, "=")
		if plain, err := url.QueryUnescape(value); err == nil {
			value = plain
		}
		if a := send(t, "GET", server.URL+"/v1/"+parent+"/customJobs?"+url.Values{name: {value}}.Encode(),
			""); a.code != 400 || a.err.Status != "INVALID_ARGUMENT" {
			t.Errorf("%.40s: %d %s", query, a.code, a.body)
		}
	}

	masked := func(mask string) map[string]any {
		t.Helper()
		a := send(t, "GET", server.URL+"/v1/"+parent+"/customJobs?pageSize=1&readMask="+url.QueryEscape(mask), "")
		var list struct{ CustomJobs []map[string]any }
		if err := json.Unmarshal([]byte(a.body), &list); err != nil || len(list.CustomJobs) != 1 {
			t.Fatalf("mask %s: %v: %s", mask, err, a.body)
		}
		return list.CustomJobs[0]
	}
	pool := map[string]any{
		"replicaCount": "1", "machineSpec": map[string]any{"machineType": "n1-standard-4"},
		"diskSpec": map[string]any{"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100.0},
		"pythonPackageSpec": map[string]any{"executorImageUri": executor, "packageUris": []any{"gs://b/trainer-0.1.tar.gz"},
			"pythonModule": "trainer.task"},
	}
	for mask, want := range map[string]map[string]any{
		"name,state,labels,error,endTime": {"name": names[24], "state": "JOB_STATE_QUEUED",
			"labels": map[string]any{"parity": "0"}},
		"display_name, job_spec.scheduling":                 {"displayName": "job 24", "jobSpec": map[string]any{}},
		"jobSpec.workerPoolSpecs":                           {"jobSpec": map[string]any{"workerPoolSpecs": []any{pool}}},
		"jobSpec.workerPoolSpecs,jobSpec,jobSpec.network":   {"jobSpec": map[string]any{"workerPoolSpecs": []any{pool}}},
		"jobSpec.scheduling.timeout,jobSpec.serviceAccount": {"jobSpec": map[string]any{}},
	} {
		if diff := cmp.Diff(want, masked(mask)); diff != "" {
			t.Errorf("mask %s (-want +got):\n%s", mask, diff)
		}
	}
	if all := masked("*"); all["createTime"] == nil || all["jobSpec"] == nil {
		t.Errorf("all fields: %v", all)
	}
}
