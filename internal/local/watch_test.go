package local_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/ml/v1"
	"google.golang.org/api/option"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/testing/eventtest"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// status waits until a folder's status.json fulfils a condition.
func status(t *testing.T, s *local.Stack, folder, what string, holds func(event.Body) bool) event.Body {
	t.Helper()
	var body event.Body
	eventually(t, folder+" "+what, func() bool {
		data, _, err := s.Storage.Read(t.Context(), local.Status, folder+"/status.json", 0, 1<<20)
		body = event.Body{}
		return err == nil && json.Unmarshal(data, &body) == nil && holds(body)
	})
	return body
}

func ended(b event.Body) bool { return b.State.Terminal() }

// put uploads a job file.
func put(t *testing.T, s *local.Stack, folder, text string) {
	t.Helper()
	if _, err := s.Storage.Upload(t.Context(), local.Inbox, folder+"/job.yaml", strings.NewReader(text), nil); err != nil {
		t.Fatal(err)
	}
}

const endless = `trainingInput:
  scaleTier: BASIC
  region: us-central1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
  pythonModule: trainer.task
  packageUris: [gs://jobdrop-inbox/endless/trainer-0.1.tar.gz]
`

// The service ends a job at its limits, of the run and of the wait, and jobdrop
// tells which.
func TestLimits(t *testing.T) {
	t.Parallel()
	const policy = "allow: {packageSources: ['gs://jobdrop-inbox/**']}\ncatalogue: {minWait: 1s}\n"
	ends := func(t *testing.T, s *local.Stack, folder string, want job.Timeout) {
		t.Helper()
		body := status(t, s, folder, "has its verdict", ended)
		if body.State != job.TimedOut || body.Timeout == nil {
			t.Fatalf("%s is %s: %s", folder, body.State, body.Reason)
		}
		if diff := cmp.Diff(want, *body.Timeout); diff != "" {
			t.Errorf("%s (-want +got):\n%s", folder, diff)
		}
	}
	t.Run("run", func(t *testing.T) {
		t.Parallel()
		s := stack(t, local.Options{})
		upload(t, s, "endless", "trainer-0.1.tar.gz", "job.yaml")
		ends(t, s, "endless", job.Timeout{Kind: "run", Limit: job.Duration(5 * time.Second), EnforcedBy: "backend"})
	})
	t.Run("wait", func(t *testing.T) {
		t.Parallel()
		s := stack(t, local.Options{MaxJobs: 1, Policy: []byte(policy)})
		upload(t, s, "endless", "trainer-0.1.tar.gz")
		put(t, s, "first", endless+"  scheduling: {maxRunningTime: 3600s}\n")
		status(t, s, "first", "has the one place", func(b event.Body) bool { return b.Job.ResourceName != "" })
		put(t, s, "waits", endless+"  scheduling: {maxWaitTime: 2s}\n")
		ends(t, s, "waits", job.Timeout{Kind: "wait", Limit: job.Duration(2 * time.Second), EnforcedBy: "backend"})
	})
}

// A short wait is not a rule of the service that the policy does not know to take it.
func TestShortWaitIsRefused(t *testing.T) {
	t.Parallel()
	s := stack(t, local.Options{})
	upload(t, s, "endless", "trainer-0.1.tar.gz")
	put(t, s, "endless", strings.Replace(endless, "  packageUris: [gs://jobdrop-inbox/endless/trainer-0.1.tar.gz]\n", "",
		1)+"  scheduling: {maxWaitTime: 2s}\n")
	body := status(t, s, "endless", "has its verdict", ended)
	if len(body.Violations) != 1 || body.Violations[0].Field != "trainingInput.scheduling.maxWaitTime" ||
		body.Violations[0].Allowed != "1800s or more" {
		t.Errorf("violations %v", body.Violations)
	}
}

// Without ticks, hints alone bring a job's end to its event, by either API and of either kind of job.
func TestHints(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ backend, drop string }{{"aiplatform", "train"}, {"vertex", "train"}, {"vertex", "tune"}} {
		t.Run(test.backend+"/"+test.drop, func(t *testing.T) {
			t.Parallel()
			s := stack(t, local.Options{Backend: test.backend, Tick: time.Hour})
			verdict := follow(t, s)
			upload(t, s, test.drop, "trainer-0.1.tar.gz", "job.yaml")
			if body, types := verdict(); body.State != job.Succeeded {
				t.Errorf("%s: %s, events %v", body.State, body.Reason, types)
			}
		})
	}
}

// On a project with jobs of others, nothing is told of them, and nobody looks at
// them.
func TestJobsOfOthers(t *testing.T) {
	t.Parallel()
	s := stack(t, local.Options{MaxJobs: 1})
	service, err := ml.NewService(t.Context(), option.WithEndpoint(s.BackendURL+"/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	upload(t, s, "endless", "trainer-0.1.tar.gz")
	for i := range 20 {
		_, err := service.Projects.Jobs.Create("projects/"+local.Project, &ml.GoogleCloudMlV1__Job{
			JobId: "other_" + strconv.Itoa(i), Labels: map[string]string{"team": "other"},
			TrainingInput: &ml.GoogleCloudMlV1__TrainingInput{
				ScaleTier: "BASIC", Region: "us-central1", RuntimeVersion: "2.11", PythonVersion: "3.7",
				PythonModule: "trainer.task",
				PackageUris:  []string{"gs://" + local.Inbox + "/endless/trainer-0.1.tar.gz"},
			},
		}).Context(t.Context()).Do()
		if err != nil {
			t.Fatal(err)
		}
	}
	beat := func() (b struct{ At time.Time }) {
		data, _, err := s.Storage.Read(t.Context(), local.State, "heartbeat.json", 0, 1<<20)
		if err == nil {
			err = json.Unmarshal(data, &b)
		}
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	begin := time.Now()
	eventually(t, "a tick saw the jobs", func() bool { return beat().At.After(begin) })
	if err := s.Storage.List(t.Context(), local.State, "", false, func(page []job.Attributes) error {
		for _, o := range page {
			switch o.Name {
			case "cursors.json", "epoch", "heartbeat.json":
			default:
				t.Errorf("the ledger holds %s", o.Name)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkHint measures how long after a job's end its event is with a subscriber,
// without any tick, by either API. It fails above a second.
func BenchmarkHint(b *testing.B) {
	for _, backend := range []string{"aiplatform", "vertex"} {
		b.Run(backend, func(b *testing.B) { benchmarkHint(b, stack(b, local.Options{Backend: backend, Tick: time.Hour})) })
	}
}

func benchmarkHint(b *testing.B, s *local.Stack) {
	events := make(chan event.Body, 100)
	ready := make(chan struct{})
	go func() {
		_ = s.Subscribe(b.Context(), path.Base(s.Topic)+"-bench", func() { close(ready) },
			func(_ context.Context, e cloudevents.Event) error {
				_, body, err := event.Decode(e)
				if err == nil && body.State.Terminal() {
					events <- body
				}
				return err
			})
	}()
	<-ready
	var total, most time.Duration
	n := 0
	for b.Loop() {
		folder := "hello" + strconv.Itoa(n)
		for _, name := range []string{"trainer-0.1.tar.gz", "job.yaml"} {
			data, err := os.ReadFile(filepath.Join(drops, "train", name))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.Storage.Upload(b.Context(), local.Inbox, folder+"/"+name, bytes.NewReader(data), nil); err != nil {
				b.Fatal(err)
			}
		}
		body := <-events
		took := time.Since(body.Times.Ended)
		total, most, n = total+took, max(most, took), n+1
	}
	b.ReportMetric(total.Seconds()/float64(n), "s/event")
	b.ReportMetric(most.Seconds(), "s-at-most")
	if most > time.Second {
		b.Errorf("an event came %s after its job's end", most)
	}
}

// All storage events are lost, and the drop runs all the same.
func TestDropsAreFound(t *testing.T) {
	t.Parallel()
	s := stack(t, local.Options{LoseEvents: 1})
	verdict := follow(t, s)
	upload(t, s, "hello", "trainer-0.1.tar.gz", "job.yaml")
	if body, _ := verdict(); body.State != job.Succeeded {
		t.Errorf("%s: %s", body.State, body.Reason)
	}
	if n := jobs(t, s); n != 1 {
		t.Errorf("%d jobs, want 1", n)
	}
}

// A job file by another name is reported in status.json, where its dropper looks, until the right one
// comes and runs.
func TestMisnamedJobFile(t *testing.T) {
	t.Parallel()
	s := stack(t, local.Options{Env: []string{"JOBDROP_INCOMPLETE_AFTER=2s"}})
	upload(t, s, "hello", "trainer-0.1.tar.gz")
	if _, err := s.Storage.Upload(t.Context(), local.Inbox, "hello/config.yaml", strings.NewReader("a"), nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a status without an attempt", func() bool {
		data, _, err := s.Storage.Read(t.Context(), local.Status, "hello/status.json", 0, 1<<20)
		if err != nil {
			return false
		}
		if err := eventtest.Validate(event.MisnamedSchema, data); err != nil {
			t.Fatalf("%v: %s", err, data)
		}
		return strings.Contains(string(data), "config.yaml is there: rename it to job.yaml")
	})
	upload(t, s, "hello", "job.yaml")
	status(t, s, "hello", "ended", ended)
}

// A job file without its package is reported, a package alone is nothing.
func TestIncompleteDrops(t *testing.T) {
	t.Parallel()
	s := stack(t, local.Options{Env: []string{"JOBDROP_INCOMPLETE_AFTER=1s", "JOBDROP_EXPIRE_AFTER=3s"}})
	verdict := follow(t, s)
	upload(t, s, "hello", "trainer-0.1.tar.gz")
	upload(t, s, "train", "job.yaml")
	body, types := verdict()
	if diff := cmp.Diff([]event.Type{event.DropIncomplete, event.DropExpired}, types); diff != "" ||
		body.Drop.Prefix != "train/" || len(body.Drop.Missing) != 1 {
		t.Errorf("missing %q of %s, events (-want +got):\n%s", body.Drop.Missing, body.Drop.Prefix, diff)
	}
	n := 0
	if err := s.Storage.List(t.Context(), local.State, "attempts/", false,
		func(page []job.Attributes) error { n += len(page); return nil }); err != nil || n != 1 {
		t.Errorf("%d records, %v; a package alone has none", n, err)
	}
	// The tick says what it did.
	eventually(t, "the heartbeat", func() bool {
		data, _, err := s.Storage.Read(t.Context(), local.State, "heartbeat.json", 0, 1<<20)
		var beat struct {
			At       time.Time
			Complete bool
			Open     int
		}
		return err == nil && json.Unmarshal(data, &beat) == nil && beat.Complete && time.Since(beat.At) < time.Minute &&
			beat.Open == 0
	})
}
