package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/api/ml/v1"
	"google.golang.org/api/option"

	"github.com/jobdrop/jobdrop/internal/local"
)

// manualSources copies a trainer's sources, beside which gcloud and setup.py leave
// files, and returns the path that gcloud calls the package's.
func manualSources(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../testdata/trainers/hello")); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "trainer")
}

// manualConfig is config.yaml of the manual's second example.
const manualConfig = `trainingInput:
  scaleTier: CUSTOM
  masterType: complex_model_m
  workerType: complex_model_m
  parameterServerType: large_model
  workerCount: 9
  parameterServerCount: 3
  runtimeVersion: '2.6'
  pythonVersion: '3.7'
  scheduling:
    maxWaitTime: 3600s
    maxRunningTime: 7200s
`

// The two submit commands stand here as the manual has them ("Running a training
// job"), and the commands that watch a job agree on what becomes of it.
func TestManualPageWithGcloud(t *testing.T) {
	t.Parallel()
	need(t, "gcloud", "bash")
	r := startLocal(t, t.TempDir(), "--max-jobs", "4", "--max-replicas", "16")
	gcloud := func(t *testing.T, args ...string) string {
		t.Helper()
		out, err := r.command(t, "gcloud", append([]string{"ai-platform", "jobs"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	tests := []struct {
		job, submit string
		replicas    int
	}{
		{"manual_flags", `gcloud ai-platform jobs submit training $JOB_NAME \
        --scale-tier basic \
        --package-path $PACKAGE_PATH \
        --module-name $MODULE_NAME \
        --job-dir $JOB_DIR \
        --region $REGION \
        -- \
        --user_first_arg=first_arg_value \
        --user_second_arg=second_arg_value`, 1},
		{"manual_file", `gcloud ai-platform jobs submit training $JOB_NAME \
        --package-path $PACKAGE_PATH \
        --module-name $MODULE_NAME \
        --job-dir $JOB_DIR \
        --region $REGION \
        --config config.yaml \
        -- \
        --user_first_arg=first_arg_value \
        --user_second_arg=second_arg_value`, 13},
	}
	// All at once, however many tests may run in parallel: gcloud sleeps for ten seconds between two looks at a job.
	var group sync.WaitGroup
	for _, test := range tests {
		group.Go(func() {
			t.Run(test.job, func(t *testing.T) {
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(manualConfig), 0o600); err != nil {
					t.Fatal(err)
				}
				variables := fmt.Sprintf("cd %q\nPACKAGE_PATH=%q\nJOB_NAME=%s\n", dir, manualSources(t), test.job) +
					"MODULE_NAME=trainer.task\nJOB_DIR=gs://jobdrop-output/$JOB_NAME\nREGION=us-east1\n"
				if _, err := r.command(t, "bash", "-euc", variables+test.submit); err != nil {
					t.Fatal(err)
				}
				streamed := streamLogs(t, r, test.job)
				awaitJob(t, r, test.job, "SUCCEEDED")
				if state := gcloud(t, "describe", test.job, "--format=value(state)"); state != "SUCCEEDED\n" {
					t.Errorf("described as %q", state)
				}
				out, err := r.command(t, "gcloud", "storage", "cat", "gs://jobdrop-output/"+test.job+"/hello.txt")
				if err != nil || out != "Hello, world!\n" {
					t.Errorf("output is %q, %v", out, err)
				}
				logs := streamed()
				// The others are ended with the master, maybe before they print.
				const command = "Running command: python3 -m trainer.task " +
					"--user_first_arg=first_arg_value --user_second_arg=second_arg_value"
				if n := strings.Count(logs, command); n != test.replicas {
					t.Errorf("%d replicas were started with the manual's arguments, want %d:\n%s", n, test.replicas, logs)
				}
				for _, want := range []string{
					"other=['--user_first_arg=first_arg_value', '--user_second_arg=second_arg_value']",
					"master-replica-0\t\tHello, world!", "Job completed successfully.",
				} {
					if !strings.Contains(logs, want) {
						t.Errorf("the streamed log lacks %q:\n%s", want, logs)
					}
				}
			})
		})
	}
	group.Go(func() {
		t.Run("manual_cancel", func(t *testing.T) {
			dir := copyDrop(t, "endless", "endless")
			gcloud(t, "submit", "training", "manual_cancel",
				"--packages", filepath.Join(dir, "trainer-0.1.tar.gz"), "--module-name", "trainer.task",
				"--staging-bucket", "gs://jobdrop-staging", "--region", "us-east1",
				"--python-version", "3.7", "--runtime-version", "2.6")
			gcloud(t, "cancel", "manual_cancel")
			streamed := streamLogs(t, r, "manual_cancel") // which ends with the job
			awaitJob(t, r, "manual_cancel", "CANCELLED")
			if state := gcloud(t, "describe", "manual_cancel", "--format=value(state)"); state != "CANCELLED\n" {
				t.Errorf("described as %q", state)
			}
			list := gcloud(t, "list", "--filter=state=CANCELLED", "--format=value(jobId)")
			if list != "manual_cancel\n" {
				t.Errorf("cancelled jobs are listed as %q", list)
			}
			if logs := streamed(); !strings.Contains(logs, "cancel") {
				t.Errorf("the streamed log is\n%s", logs)
			}
		})
	})
	group.Wait()

	t.Run("list", func(t *testing.T) {
		list := gcloud(t, "list")
		for _, want := range []string{"JOB_ID", "manual_flags", "manual_file", "SUCCEEDED"} {
			if !strings.Contains(list, want) {
				t.Errorf("the list lacks %q:\n%s", want, list)
			}
		}
	})
}

// streamLogs begins with gcloud's stream-logs of a job, which ends up to ten seconds after the job, and returns a
// function that waits for what it prints.
func streamLogs(t *testing.T, r *running, job string) (logs func() string) {
	var out string
	var err error
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		out, err = r.command(t, "gcloud", "ai-platform", "jobs", "stream-logs", job, "--polling-interval=1")
	}()
	t.Cleanup(func() { <-ended })
	return func() string {
		t.Helper()
		<-ended
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

// manualSample is the manual's Python sample, with what the local service and
// Python 3 need: discoveryServiceUrl, http, real buckets, "except … as".
const manualSample = `
import logging
import os

import httplib2
from googleapiclient import discovery, errors

training_inputs = {
    'scaleTier': 'CUSTOM',
    'masterType': 'complex_model_m',
    'workerType': 'complex_model_m',
    'parameterServerType': 'large_model',
    'workerCount': 9,
    'parameterServerCount': 3,
    'packageUris': ['gs://jobdrop-staging/manual/trainer-0.1.tar.gz'],
    'pythonModule': 'trainer.task',
    'args': ['--arg1', 'value1', '--arg2', 'value2'],
    'region': 'us-central1',
    'jobDir': 'gs://jobdrop-output/my_job_name',
    'runtimeVersion': '2.6',
    'pythonVersion': '3.7',
    'scheduling': {'maxWaitTime': '3600s', 'maxRunningTime': '7200s'},
}

job_spec = {'jobId': 'my_job_name', 'trainingInput': training_inputs}

project_name = 'local'
project_id = 'projects/{}'.format(project_name)

cloudml = discovery.build('ml', 'v1', http=httplib2.Http(),
                          discoveryServiceUrl=os.environ['JOBDROP_BACKEND_ENDPOINT'] + '/$discovery/rest?version=v1')

request = cloudml.projects().jobs().create(body=job_spec,
              parent=project_id)
try:
    response = request.execute()
    # You can put your code for handling success (if any) here.
    print(response['state'])

except errors.HttpError as err:
    # Do whatever error response is appropriate for your application.
    # For this example, just send some text to the logs.
    # You need to import logging for this to work.
    logging.error('There was an error creating the training job.'
                  ' Check the details:')
    logging.error(err._get_reason())
    raise SystemExit(err.resp.status // 100)
`

// The manual's Python sample makes a job; run again it logs why there is none.
func TestManualPageWithPython(t *testing.T) {
	t.Parallel()
	needPythonClient(t)
	r := startLocal(t, t.TempDir(), "--max-replicas", "16")
	packed, err := os.Open(filepath.Join(dropsDir, "hello", "trainer-0.1.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	_, err = r.storage(t).Upload(t.Context(), "jobdrop-staging", "manual/trainer-0.1.tar.gz", packed, nil)
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.command(t, systemPython, "-c", manualSample)
	if err != nil || out != "QUEUED\n" {
		t.Fatalf("the job is %q, %v", out, err)
	}
	out, err = r.command(t, systemPython, "-c", manualSample)
	if err == nil || out != "" {
		t.Fatalf("the repeat is answered with %q", out)
	}
	for _, want := range []string{
		"exit status 4", "There was an error creating the training job. Check the details:",
		"Field: job.job_id Error: A job with this id already exists.",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the repeat says %v, want %q in it", err, want)
		}
	}
	awaitJob(t, r, "my_job_name", "SUCCEEDED")
}

// awaitJob waits until the training service says that a job has ended, and wants
// it to be in a state.
func awaitJob(t *testing.T, r *running, id, want string) {
	t.Helper()
	endpoint := option.WithEndpoint(r.env["JOBDROP_BACKEND_ENDPOINT"] + "/")
	service, err := ml.NewService(t.Context(), endpoint, option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	patience := time.After(10 * time.Minute)
	for {
		j, err := service.Projects.Jobs.Get("projects/" + local.Project + "/jobs/" + id).Do()
		switch {
		case err != nil:
			t.Fatal(err)
		case j.EndTime != "":
			if j.State != want {
				t.Errorf("job %s is %s: %s", id, j.State, j.ErrorMessage)
			}
			return
		}
		select {
		case <-poll.C:
		case <-patience:
			t.Fatalf("job %s is %s after two minutes", id, j.State)
		}
	}
}
