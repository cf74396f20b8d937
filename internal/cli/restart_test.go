package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/api/ml/v1"
	"google.golang.org/api/option"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// running is a jobdrop local in a process of its own.
type running struct {
	*exec.Cmd
	file   string            // its env file
	env    map[string]string // what that says
	output *lockedBuffer
	exited chan error
}

// lockedBuffer is a buffer that is read while others write.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// startLocal starts jobdrop local on free ports, and waits for its env file.
func startLocal(t *testing.T, data string, args ...string) *running {
	t.Helper()
	file := filepath.Join(t.TempDir(), "env")
	return startLocalWith(t, file, data, args...)
}

// startLocalWith does what startLocal does, with an env file of this name.
func startLocalWith(t *testing.T, file, data string, args ...string) *running {
	t.Helper()
	args = append([]string{"local", "--data", data, "--env-file", file,
		"--storage-port", "0", "--pubsub-port", "0", "--training-port", "0", "--functions-port", "0"}, args...)
	r := &running{
		Cmd: exec.Command(os.Args[0], args...), file: file, env: map[string]string{}, output: &lockedBuffer{},
		exited: make(chan error, 1),
	}
	// The test's binary is jobdrop where it is called so: see testscript.Main.
	r.Args[0] = "jobdrop"
	r.Env = append(os.Environ(), "PUBSUB_EMULATOR_HOST=")
	r.Stdout, r.Stderr = r.output, r.output
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		r.exited <- r.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = r.Process.Kill()
		<-ended
	})
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	patience := time.After(5 * time.Minute)
	for {
		data, err := os.ReadFile(file)
		if err == nil {
			for line := range strings.Lines(string(data)) {
				name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
				r.env[name] = strings.Trim(value, "'")
			}
			return r
		}
		select {
		case err := <-r.exited:
			t.Fatalf("jobdrop local ended: %v\n%s", err, r.output)
		case <-patience:
			t.Fatal("jobdrop local is not ready after five minutes")
		case <-poll.C:
		}
	}
}

// end sends a signal and waits for the end.
func (r *running) end(t *testing.T, s syscall.Signal) error {
	t.Helper()
	if err := r.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.exited:
		return err
	case <-time.After(5 * time.Minute):
		t.Fatal("jobdrop local has not ended after five minutes")
		return nil
	}
}

// awaitOutput waits for a text in what the stack prints.
func (r *running) awaitOutput(t *testing.T, text string) {
	t.Helper()
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	patience := time.After(5 * time.Minute)
	for !strings.Contains(r.output.String(), text) {
		select {
		case <-poll.C:
		case <-patience:
			t.Fatalf("%q is not in the output:\n%s", text, r.output)
		}
	}
}

func (r *running) storage(t *testing.T) *gcs.Client {
	t.Helper()
	c, err := gcs.New(t.Context(), r.env["STORAGE_EMULATOR_HOST"])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// However often the stack is killed under load, each drop that was taken ends in a
// verdict, once, and no job runs twice.
func TestKillsUnderLoad(t *testing.T) {
	t.Parallel()
	const rounds, perRound = 10, 3
	data := t.TempDir()
	packed, err := os.ReadFile(filepath.Join(dropsDir, "hello", "trainer-0.1.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	jobFile, err := os.ReadFile(filepath.Join(dropsDir, "hello", "job.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	// What is like the stack itself in all but one thing: the claims of the dead, which
	// are waited for, hold for less long than an installation's.
	env := filepath.Join(t.TempDir(), "like.env")
	text := fmt.Sprintf("JOBDROP_INSTANCE=%s\nJOBDROP_PROJECT=%s\nJOBDROP_INBOX=%s\nJOBDROP_STATE_BUCKET=%s\n"+
		"JOBDROP_STAGING_BUCKET=%s\nJOBDROP_STATUS_BUCKET=%s\nJOBDROP_TOPIC=%s\nJOBDROP_BACKEND=aiplatform\n"+
		"JOBDROP_CALL_TIME=%s\n",
		local.Instance, local.Project, local.Inbox, local.State, local.Staging, local.Status, local.Topic,
		cmp.Or(os.Getenv("CHAOS_CALL_TIME"), "5s"))
	if err := os.WriteFile(env, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	taken := map[string]bool{} // attempts whose two uploads were answered
	for round := range rounds {
		r := startLocal(t, data, "--max-jobs", "4", "--env", env)
		ctx, cancel := context.WithCancel(t.Context())
		storage := r.storage(t)
		var uploads sync.WaitGroup
		for i := range perRound {
			uploads.Go(func() {
				folder := fmt.Sprintf("round-%d/%d/", round, i)
				name := folder + "trainer-0.1.tar.gz"
				if _, err := storage.Upload(ctx, local.Inbox, name, bytes.NewReader(packed), nil); err != nil {
					return // killed meanwhile
				}
				name = folder + "job.yaml"
				generation, err := storage.Upload(ctx, local.Inbox, name, bytes.NewReader(jobFile), nil)
				if err != nil {
					return
				}
				mu.Lock()
				defer mu.Unlock()
				uploaded := job.Object{Bucket: local.Inbox, Name: name, Generation: generation}
				taken[job.AttemptKey(uploaded)] = true
			})
		}
		<-time.After(time.Duration(rand.IntN(1500)) * time.Millisecond)
		if err := r.end(t, syscall.SIGKILL); err == nil {
			t.Fatal("a killed process exits with 0")
		}
		cancel()
		uploads.Wait()
	}
	if len(taken) < rounds {
		t.Fatalf("only %d drops were taken in %d rounds", len(taken), rounds)
	}

	// What is dropped now runs to its end, whatever the kills have left behind.
	r := startLocal(t, data, "--max-jobs", "4", "--env", env)
	storage := r.storage(t)
	last := dropInto(t, storage, "hello")
	taken[last] = true
	records := verdicts(t, storage, taken)
	states := map[job.State]int{}
	for key := range taken {
		states[records[key].State]++
	}
	t.Logf("%d drops were taken: %v", len(taken), states)
	if got := records[last]; got.State != job.Succeeded {
		t.Errorf("the last drop is %s: %s", got.State, got.Reason)
	}
	endpoint := option.WithEndpoint(r.env["JOBDROP_BACKEND_ENDPOINT"] + "/")
	service, err := ml.NewService(t.Context(), endpoint, option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	jobs := map[string]int{}
	list := service.Projects.Jobs.List("projects/" + local.Project)
	err = list.Pages(t.Context(), func(page *ml.GoogleCloudMlV1__ListJobsResponse) error {
		for _, j := range page.Jobs {
			jobs[j.Labels["jobdrop-attempt"]]++
			if j.EndTime == "" {
				t.Errorf("job %s is %s", j.JobId, j.State)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, n := range jobs {
		if n != 1 {
			t.Errorf("attempt %s has %d jobs", key, n)
		}
	}
	if err := r.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, r.output)
	}
}

// verdicts waits until no attempt is open and each of those taken has a record
// with a verdict, and returns the records by attempt.
func verdicts(t *testing.T, storage *gcs.Client, taken map[string]bool) map[string]attempt.Record {
	t.Helper()
	poll := time.NewTicker(200 * time.Millisecond)
	defer poll.Stop()
	patience := time.After(8 * time.Minute)
	for {
		records, open := map[string]attempt.Record{}, 0
		read := func(prefix string, each func(job.Attributes)) {
			if err := storage.List(t.Context(), local.State, prefix, true, func(page []job.Attributes) error {
				for _, o := range page {
					each(o)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		read("open/", func(job.Attributes) { open++ })
		read("attempts/", func(o job.Attributes) {
			data, _, err := storage.Read(t.Context(), local.State, o.Name, 0, 8<<20)
			if err != nil {
				t.Fatal(err)
			}
			var r attempt.Record
			if err := json.Unmarshal(data, &r); err != nil {
				t.Fatalf("%s: %v", o.Name, err)
			}
			records[strings.TrimSuffix(strings.TrimPrefix(o.Name, "attempts/"), ".json")] = r
		})
		missing := 0
		for key := range taken {
			if !records[key].State.Terminal() {
				missing++
			}
		}
		if missing == 0 && open == 0 {
			return records
		}
		select {
		case <-patience:
			for key := range taken {
				if r := records[key]; !r.State.Terminal() {
					t.Errorf("attempt %s is %q: %s", key, r.State, r.Reason)
				}
			}
			t.Fatalf("%d of %d drops have no verdict, %d index entries are left", missing, len(taken), open)
		case <-poll.C:
		}
	}
}

// dropInto uploads a drop of testdata to a stack, and returns the key of its
// attempt.
func dropInto(t *testing.T, storage *gcs.Client, drop string) string {
	t.Helper()
	var jobFile job.Object
	for _, name := range []string{"trainer-0.1.tar.gz", "job.yaml"} {
		f, err := os.Open(filepath.Join(dropsDir, drop, name))
		if err != nil {
			t.Fatal(err)
		}
		jobFile = job.Object{Bucket: local.Inbox, Name: drop + "/" + name}
		jobFile.Generation, err = storage.Upload(t.Context(), local.Inbox, jobFile.Name, f, nil)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	return job.AttemptKey(jobFile)
}

// jobdrop logs follows a job until it has ended, and shows each line once; one
// task's lines can be had alone.
func TestLogsOfAJob(t *testing.T) {
	t.Parallel()
	r := startLocal(t, t.TempDir())
	storage := r.storage(t)
	dropInto(t, storage, "train")
	id := awaitStatus(t, storage, "train/", string(job.Submitted)).Job.ID
	logs := func(args ...string) string {
		t.Helper()
		got := run(t, append([]string{"logs", "--endpoint", r.env["JOBDROP_BACKEND_ENDPOINT"]}, args...)...)
		if got.code != exitSucceeded {
			t.Fatalf("logs exits %d: %s", got.code, got.stderr)
		}
		return got.stdout
	}
	followed := logs(id, "--follow")
	if !strings.HasSuffix(followed, "service | Job completed successfully.\n") {
		t.Errorf("followed was\n%s", followed)
	}
	if again := logs(id); again != followed {
		t.Errorf("followed was\n%s\nthe whole log is\n%s", followed, again)
	}
	master := logs(id, "--task", "master-replica-0")
	n := strings.Count(followed, "master-replica-0 | ")
	if n == 0 || n != strings.Count(master, "\n") || strings.Contains(master, "service | ") {
		t.Errorf("the master's lines are\n%s\nof\n%s", master, followed)
	}

	if byResource := logs("projects/local/jobs/" + id); byResource != followed {
		t.Errorf("by the resource name the log is\n%s", byResource)
	}
	for _, follow := range []string{"--follow=false", "--follow"} {
		got := run(t, "logs", id, "--task", "bogus", follow, "--endpoint", r.env["JOBDROP_BACKEND_ENDPOINT"])
		if got.code != exitUsage || !strings.Contains(got.stderr, "no replica bogus; there are master-replica-0, service\n") {
			t.Errorf("logs %s of a replica that is not there exits %d: %s%s", follow, got.code, got.stdout, got.stderr)
		}
	}
	got := run(t, "logs", "other", "--endpoint", r.env["JOBDROP_BACKEND_ENDPOINT"])
	if got.code != exitUsage || !strings.Contains(got.stderr, `no job "other"`) || !strings.Contains(got.stderr, id) {
		t.Errorf("logs of a job that is not there exits %d: %s", got.code, got.stderr)
	}
}

// jobdrop logs finds a job of aiplatform/v1 by each of its names, and the stack prints
// commands of that API.
func TestLogsByAnyName(t *testing.T) {
	t.Parallel()
	r := startLocal(t, t.TempDir(), "--backend", "vertex")
	r.awaitOutput(t, "Events, as they come") // below the settings
	if out := r.output.String(); !strings.Contains(out, "gcloud ai custom-jobs stream-logs JOB --region=REGION") ||
		strings.Contains(out, "gcloud ai-platform") {
		t.Errorf("the settings have commands of another API:\n%s", out)
	}
	dropInto(t, r.storage(t), "hello")
	body := awaitStatus(t, r.storage(t), "hello/", string(job.Succeeded))
	for _, name := range []string{body.Job.ID, body.Job.ResourceName, filepath.Base(body.Job.ResourceName)} {
		for _, follow := range []string{"--follow=true", "--follow=false"} {
			got := run(t, "logs", name, follow, "--endpoint", r.env["JOBDROP_BACKEND_ENDPOINT"])
			if got.code != exitSucceeded || !strings.Contains(got.stdout, "Hello, jobdrop!") {
				t.Errorf("logs %s exits %d: %s%s", name, got.code, got.stdout, got.stderr)
			}
		}
	}
	got := run(t, "logs", "other", "--endpoint", r.env["JOBDROP_BACKEND_ENDPOINT"])
	if got.code != exitUsage || !strings.Contains(got.stderr, "\n  "+body.Job.ID+"  SUCCEEDED") {
		t.Errorf("logs of a job that is not there exits %d: %s", got.code, got.stderr)
	}
}

// A stack that is asked to end ends its jobs and says so at the next start; what
// was there before is there again.
func TestRestart(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	r := startLocal(t, data)
	storage := r.storage(t)
	dropInto(t, storage, "endless")
	awaitStatus(t, storage, "endless/", string(job.BackendRunning))
	if err := r.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, r.output)
	}
	if !strings.Contains(r.output.String(), "stopping; jobs that run are ended") {
		t.Errorf("output is %s", r.output)
	}

	r = startLocal(t, data)
	body := awaitStatus(t, r.storage(t), "endless/", string(job.Failed))
	const stopped = "The local training service was stopped while the job was RUNNING"
	if body.Error == nil || !strings.Contains(body.Error.Message, stopped) {
		t.Errorf("the job's error is %+v", body.Error)
	}
	// The log of the time before is there.
	got := run(t, "logs", body.Job.ID, "--endpoint", r.env["JOBDROP_BACKEND_ENDPOINT"])
	if got.code != exitSucceeded {
		t.Errorf("logs exits %d: %s", got.code, got.stderr)
	}
	if !strings.Contains(got.stdout, "service | Job is running.") {
		t.Errorf("the log is %s", got.stdout)
	}
	if err := r.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, r.output)
	}
}
