package training

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	cloudlogging "cloud.google.com/go/logging/apiv2"
	"cloud.google.com/go/logging/apiv2/loggingpb"
	"github.com/google/go-cmp/cmp"
	"github.com/googleapis/gax-go/v2/apierror"
	vertexrest "google.golang.org/api/aiplatform/v1"
	"google.golang.org/api/iterator"
	"google.golang.org/api/logging/v2"
	"google.golang.org/api/ml/v1"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// counted serves a service as the stack does, gRPC among it, and counts the requests.
func counted(t *testing.T, svc *Service) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	requests, next := new(atomic.Int64), svc.Handler()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		next.ServeHTTP(w, r)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server, requests
}

// plaintext are the options with which Google's gRPC clients for Go call a server.
func plaintext(server *httptest.Server) []option.ClientOption {
	return []option.ClientOption{
		option.WithEndpoint(server.Listener.Addr().String()), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
	}
}

// ours is a request for a job, which stays queued.
func ours() *aiplatformpb.CreateCustomJobRequest {
	return &aiplatformpb.CreateCustomJobRequest{Parent: parent, CustomJob: &aiplatformpb.CustomJob{
		DisplayName: "ours", Labels: map[string]string{"team": "a"},
		JobSpec: &aiplatformpb.CustomJobSpec{WorkerPoolSpecs: []*aiplatformpb.WorkerPoolSpec{{
			ReplicaCount: 1,
			MachineSpec: &aiplatformpb.MachineSpec{MachineType: "n1-standard-4",
				AcceleratorType: aiplatformpb.AcceleratorType_NVIDIA_L4, AcceleratorCount: 1},
			Task: &aiplatformpb.WorkerPoolSpec_PythonPackageSpec{PythonPackageSpec: &aiplatformpb.PythonPackageSpec{
				ExecutorImageUri: executor, PackageUris: []string{"gs://b/p/trainer-0.1.tar.gz"}, PythonModule: "trainer.task",
			}},
		}}},
	}}
}

// TestJobClient: Google's client for Go, which speaks gRPC, works on the service.
func TestJobClient(t *testing.T) {
	svc, _ := idle(t)
	server, _ := counted(t, svc)
	c, err := aiplatform.NewJobClient(t.Context(), plaintext(server)...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	made, err := c.CreateCustomJob(t.Context(), ours())
	if err != nil {
		t.Fatal(err)
	}
	if pool := made.GetJobSpec().GetWorkerPoolSpecs()[0]; made.State != aiplatformpb.JobState_JOB_STATE_QUEUED ||
		pool.MachineSpec.AcceleratorType != aiplatformpb.AcceleratorType_NVIDIA_L4 || pool.ReplicaCount != 1 ||
		pool.DiskSpec.GetBootDiskType() != "pd-ssd" || made.CreateTime.AsTime().IsZero() || made.Labels["team"] != "a" {
		t.Errorf("made %v", made)
	}
	tuning, err := c.CreateHyperparameterTuningJob(t.Context(), &aiplatformpb.CreateHyperparameterTuningJobRequest{
		Parent: parent, HyperparameterTuningJob: &aiplatformpb.HyperparameterTuningJob{
			DisplayName: "tunes", MaxTrialCount: 2, ParallelTrialCount: 1, TrialJobSpec: ours().CustomJob.JobSpec,
			StudySpec: &aiplatformpb.StudySpec{
				Metrics: []*aiplatformpb.StudySpec_MetricSpec{{MetricId: "loss",
					Goal: aiplatformpb.StudySpec_MetricSpec_MINIMIZE}},
				Parameters: []*aiplatformpb.StudySpec_ParameterSpec{{ParameterId: "layers",
					ParameterValueSpec: &aiplatformpb.StudySpec_ParameterSpec_IntegerValueSpec_{
						IntegerValueSpec: &aiplatformpb.StudySpec_ParameterSpec_IntegerValueSpec{MinValue: 1, MaxValue: 2}}}},
			},
		}})
	if err != nil || tuning.StudySpec.Metrics[0].Goal != aiplatformpb.StudySpec_MetricSpec_MINIMIZE {
		t.Errorf("made %v, %v", tuning, err)
	}
	all := c.ListCustomJobs(t.Context(), &aiplatformpb.ListCustomJobsRequest{Parent: parent, PageSize: 1,
		Filter:   `display_name="ours" AND labels.team=a`,
		ReadMask: &fieldmaskpb.FieldMask{Paths: []string{"name", "display_name"}}})
	listed, found := 0, false
	for {
		j, err := all.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		listed++
		found = found || j.Name == made.Name && j.DisplayName == "ours" && j.State == 0
	}
	if !found {
		t.Errorf("%s is not among %d jobs", made.Name, listed)
	}
	if err := c.CancelCustomJob(t.Context(), &aiplatformpb.CancelCustomJobRequest{Name: made.Name}); err != nil {
		t.Error(err)
	}
	poll(t, func() bool {
		j, err := c.GetCustomJob(t.Context(), &aiplatformpb.GetCustomJobRequest{Name: made.Name})
		return err == nil && j.State == aiplatformpb.JobState_JOB_STATE_CANCELLED && j.Error.GetCode() == 1
	}, func() string { return "the job was not cancelled" })

	_, err = c.GetCustomJob(t.Context(), &aiplatformpb.GetCustomJobRequest{Name: parent + "/customJobs/1"})
	wantCode(t, err, codes.NotFound)
	_, err = c.CreateCustomJob(t.Context(), &aiplatformpb.CreateCustomJobRequest{Parent: parent,
		CustomJob: &aiplatformpb.CustomJob{}})
	wantCode(t, err, codes.InvalidArgument)
	if e := (*apierror.APIError)(nil); !errors.As(err, &e) || len(e.Details().BadRequest.GetFieldViolations()) == 0 {
		t.Errorf("the refusal %v has no details", err)
	}
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if grpcstatus.Code(err) != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

// TestEnumNumbers: Google's clients that are generated for REST send the numbers of enumerations, and ask for them. The
// requests are those of @google-cloud/aiplatform 7.4.0.
func TestEnumNumbers(t *testing.T) {
	_, server := idle(t)
	const numbers = "?$alt=json%3Benum-encoding=int"
	for _, tt := range []struct {
		name, method, path, body string
		want                     []string
	}{
		{"custom job", "POST", "/v1/" + parent + "/customJobs", `{"displayName": "d", "jobSpec": {"scheduling": ` +
			`{"strategy": 3}, "workerPoolSpecs": [{"machineSpec": {"acceleratorType": 13, "acceleratorCount": 1, "machineType": ` +
			`"a3-highgpu-8g"}, ` +
			`"replicaCount": "1", ` + python + `}]}}`, []string{`"acceleratorType": 13`, `"strategy": 3`, `"state": 1`}},
		{"tuning job", "POST", "/v1/" + parent + "/hyperparameterTuningJobs", `{"displayName": "d", "maxTrialCount": 2, ` +
			`"parallelTrialCount": 1, "studySpec": {"algorithm": 3, "metrics": [{"metricId": "m", "goal": 2}], "parameters": ` +
			`[{"parameterId": "a", "scaleType": "1", "doubleValueSpec": {"minValue": 0, "maxValue": 1}}]}, "trialJobSpec": ` +
			`{"workerPoolSpecs": [{` + onePool + `, ` + python + `}]}}`,
			[]string{`"algorithm": 3`, `"goal": 2`, `"scaleType": 1`}},
		{"ml/v1", "POST", "/v1/projects/p/jobs", `{"jobId": "j", "trainingInput": {` + validInput + `, "scaleTier": 5, ` +
			`"masterType": "standard", "hyperparameters": {"goal": 1, "params": [{"parameterName": "a", "type": 4, ` +
			`"discreteValues": [1, 2], "scaleType": 2}]}}}`,
			[]string{`"scaleTier": 5`, `"goal": 1`, `"type": 4`, `"scaleType": 2`, `"state": 1`}},
		{"ml/v1, a list", "GET", "/v1/projects/p/jobs", "", []string{`"scaleTier": 5`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := send(t, tt.method, server.URL+tt.path+numbers, tt.body)
			if a.code != 200 {
				t.Fatalf("answer %d %s", a.code, a.body)
			}
			for _, want := range tt.want {
				if !strings.Contains(a.body, want) {
					t.Errorf("%s lacks %s", a.body, want)
				}
			}
		})
	}
	if a := send(t, "GET", server.URL+"/v1/projects/p/jobs", ""); !strings.Contains(a.body, `"scaleTier": "CUSTOM"`) ||
		!strings.Contains(a.body, `"type": "DISCRETE"`) {
		t.Errorf("without the parameter: %s", a.body)
	}
	// Of these the numbers are not known, or there is none.
	for _, body := range []string{`{"trainingInput": {"scaleTier": 2}}`, `{"trainingInput": {"scaleTier": 4}}`,
		`{"trainingInput": {"scaleTier": 1.5}}`, `{"trainingInput": {"hyperparameters": {"goal": 3}}}`} {
		if a := send(t, "POST", server.URL+"/v1/projects/p/jobs", body); a.code != 400 ||
			!strings.Contains(a.err.Message, "(enum: ") {
			t.Errorf("%s: %d %s", body, a.code, a.body)
		}
	}
}

// TestRPCNames: what is not a resource's name never becomes another request.
func TestRPCNames(t *testing.T) {
	svc, _ := idle(t)
	server, requests := counted(t, svc)
	c, err := aiplatform.NewJobClient(t.Context(), plaintext(server)...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, name := range []string{"", "x", parent + "/customJobs/", parent + "/customJobs/1/2",
		"projects//locations/l/customJobs/1", parent + "/hyperparameterTuningJobs/1"} {
		_, err := c.GetCustomJob(t.Context(), &aiplatformpb.GetCustomJobRequest{Name: name})
		wantCode(t, err, codes.InvalidArgument)
	}
	_, err = c.GetCustomJob(t.Context(), &aiplatformpb.GetCustomJobRequest{Name: parent + "/customJobs/1:cancel?x=y"})
	wantCode(t, err, codes.Unimplemented)
	if n := requests.Load(); n != 7 {
		t.Errorf("%d requests, want 7", n)
	}
}

// TestLoggingClient: Google's client for Go reads the jobs' logs by gRPC.
func TestLoggingClient(t *testing.T) {
	svc, _ := idle(t)
	server, _ := counted(t, svc)
	if _, err := client(t, server.URL).Create("projects/p", queuedJob("one", nil)).Do(); err != nil {
		t.Fatal(err)
	}
	c, err := cloudlogging.NewClient(t.Context(), plaintext(server)...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var entry *loggingpb.LogEntry
	poll(t, func() bool {
		entry, err = c.ListLogEntries(t.Context(), &loggingpb.ListLogEntriesRequest{ResourceNames: []string{"projects/p"},
			Filter: `resource.type="ml_job" AND severity>=DEFAULT`, OrderBy: "timestamp desc"}).Next()
		return !errors.Is(err, iterator.Done)
	}, func() string { return "the queued job has no line" })
	if err != nil || entry.Resource.GetLabels()["job_id"] != "one" || entry.Timestamp.AsTime().IsZero() ||
		entry.Severity.String() != "INFO" || entry.GetJsonPayload().GetFields()["message"].GetStringValue() == "" {
		t.Errorf("entry %v, %v", entry, err)
	}
	_, err = c.ListLogEntries(t.Context(), &loggingpb.ListLogEntriesRequest{}).Next()
	wantCode(t, err, codes.InvalidArgument)
}

// TestNotServedOnce: what is not here is refused so that each client gives up at once, and shows what is to be read.
func TestNotServedOnce(t *testing.T) {
	svc, _ := idle(t)
	server, requests := counted(t, svc)
	once := func(name string, call func(*testing.T) error) {
		t.Run(name, func(t *testing.T) {
			requests.Store(0)
			err := call(t)
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
			if err == nil || !strings.Contains(err.Error(), "docs/local.md") {
				t.Errorf("the error is %v", err)
			}
		})
	}
	rest := []option.ClientOption{option.WithEndpoint(server.URL), option.WithoutAuthentication()}
	platform, err := vertexrest.NewService(t.Context(), rest...)
	if err != nil {
		t.Fatal(err)
	}
	legacy, err := ml.NewService(t.Context(), rest...)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := logging.NewService(t.Context(), rest...)
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := aiplatform.NewJobClient(t.Context(), plaintext(server)...)
	if err != nil {
		t.Fatal(err)
	}
	defer jobs.Close()
	writer, err := cloudlogging.NewClient(t.Context(), plaintext(server)...)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	job := parent + "/customJobs/1"
	once("Go, aiplatform/v1", func(*testing.T) error {
		return doErr(platform.Projects.Locations.CustomJobs.Delete(job).Do())
	})
	once("Go, ml/v1", func(*testing.T) error { return doErr(legacy.Projects.GetConfig("projects/p").Do()) })
	once("Go, ml/v1's models", func(*testing.T) error { return doErr(legacy.Projects.Models.List("projects/p").Do()) })
	once("Go, logging/v2", func(*testing.T) error {
		return doErr(entries.Entries.Write(&logging.WriteLogEntriesRequest{}).Do())
	})
	once("Go, gRPC of aiplatform/v1", func(t *testing.T) error {
		_, err := jobs.DeleteCustomJob(t.Context(), &aiplatformpb.DeleteCustomJobRequest{Name: job})
		return err
	})
	once("Go, gRPC of logging/v2", func(t *testing.T) error {
		_, err := writer.WriteLogEntries(t.Context(), &loggingpb.WriteLogEntriesRequest{})
		return err
	})
	for name, args := range map[string][]string{
		"aiplatform/v1": {"ai", "models", "list", "--region=us-central1"},
		"ml/v1":         {"ai-platform", "models", "list", "--region=global"},
		"logging/v2":    {"logging", "write", "log", "hello"},
	} {
		once("gcloud, "+name, func(t *testing.T) error { return gcloudOnce(t, server.URL, args...) })
	}
	for path, method := range map[string]string{"/v1/" + job: "DELETE", "/v1/projects/p:getConfig": "GET",
		"/v2/projects/p/logs": "GET"} {
		once("Node, "+method+" "+path, func(t *testing.T) error { return gaxiosOnce(t, method, server.URL+path) })
	}
	for name, call := range map[string]string{
		"ml/v1":      "service('ml', 'v1').projects().getConfig(name='projects/p')",
		"logging/v2": "service('logging', 'v2').entries().write(body={})",
	} {
		once("Python, "+name, func(t *testing.T) error {
			_, err := pythonClient(t, server.URL, whole+call+".execute()\n")
			return err
		})
	}
}

// gaxiosOnce makes a call with the transport of Node's googleapis, as that uses it, and returns what the answer says if
// it is an error.
func gaxiosOnce(t *testing.T, method, url string) error {
	t.Helper()
	modules, err := filepath.Abs("../../../docs/clients/node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "gaxios")); err != nil {
		t.Skipf("Node's libraries are not installed: %v", err)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("no node on PATH")
	}
	return output(exec.Command(node, "-e", `
const [gaxios, method, url] = process.argv.slice(1);
require(gaxios).request({method, url, retry: true}).catch(error => {
  console.error(error.response.data.error.message);
  process.exit(1);
});
`, filepath.Join(modules, "gaxios"), method, url))
}

// gcloudOnce runs gcloud, and returns what it says if it fails.
func gcloudOnce(t *testing.T, url string, args ...string) error {
	t.Helper()
	gcloud, err := exec.LookPath("gcloud")
	if err != nil {
		t.Skip("no gcloud on PATH")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, gcloud, args...)
	cmd.WaitDelay = time.Second
	cmd.Env = append(os.Environ(), "CLOUDSDK_CONFIG="+t.TempDir(), "CLOUDSDK_CORE_PROJECT=p",
		"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true", "CLOUDSDK_CORE_DISABLE_PROMPTS=true",
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true", "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM="+url+"/", "CLOUDSDK_API_ENDPOINT_OVERRIDES_ML="+url+"/",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING="+url+"/", "NO_PROXY=127.0.0.1")
	return output(cmd)
}

// output returns what a program writes if it fails.
func output(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	return errors.New(string(out))
}

// TestPythonClient: Google's Python client, as Debian has it, builds itself from the service's documents, makes calls
// in batches, and sends what is too long for a URL as a body.
func TestPythonClient(t *testing.T) {
	_, server := idle(t)
	if _, err := client(t, server.URL).Create("projects/p", queuedJob("one", nil)).Do(); err != nil {
		t.Fatal(err)
	}
	out, err := pythonClient(t, server.URL, `
def service(name, version):
    return build(name, version, http=httplib2.Http(), cache_discovery=False,
        discoveryServiceUrl=root + "discovery/v1/apis/{api}/{apiVersion}/rest")
jobs = service("ml", "v1").projects().jobs()
custom = service("aiplatform", "v1").projects().locations().customJobs()
print(jobs.get(name="projects/p/jobs/one", fields="jobId,trainingInput/region").execute())
print(custom.list(parent="projects/p/locations/us-central1").execute())
long = "jobId:" + "x" * 2100
print(jobs.list(parent="projects/p", filter=long).execute())
entries = service("logging", "v2").entries()
print([e["severity"] for e in entries.list(body={"resourceNames": ["projects/p"]}).execute()["entries"]])
def answered(number, answer, error):
    print(number, answer and answer.get("state"), error and error.resp.status)
batch = service("ml", "v1").new_batch_http_request(callback=answered)
batch.add(jobs.get(name="projects/p/jobs/one"), request_id="first")
batch.add(jobs.get(name="projects/p/jobs/none"), request_id="second")
batch.add(jobs.cancel(name="projects/p/jobs/one", body={}), request_id="third")
batch.execute(http=httplib2.Http())
`)
	const want = `{'jobId': 'one', 'trainingInput': {'region': 'us-central1'}}
{}
{}
['INFO']
first QUEUED None
second None 404
third {} None
`
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

// pythonClient runs a program that has Google's Python client and the variable root. It returns what the program
// writes, as an error if it fails.
func pythonClient(t *testing.T, url, code string) (string, error) {
	t.Helper()
	const python = "/usr/bin/python3"
	if err := exec.Command(python, "-c", "import googleapiclient").Run(); err != nil {
		t.Skipf("%s has no googleapiclient: %v", python, err)
	}
	program := filepath.Join(t.TempDir(), "call.py")
	code = `
import json, subprocess, sys
from googleapiclient.discovery import build, build_from_document
import httplib2
root = sys.argv[1] + "/"
` + code
	if err := os.WriteFile(program, []byte(code), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(python, program, url).CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return string(out), nil
}

// whole is a Python function that builds a client from an API's whole document, as it comes from Google.
const whole = `
def service(name, version):
    folder = subprocess.check_output(["go", "list", "-f", "{{.Dir}}", "google.golang.org/api/%s/%s" % (name, version)])
    with open("%s/%s-api.json" % (folder.decode().strip(), name)) as f:
        document = json.load(f)
    document.pop("auth", None)
    document["rootUrl"] = document["baseUrl"] = root
    return build_from_document(document, http=httplib2.Http())
`
