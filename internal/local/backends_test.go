package local_test

import (
	"bytes"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/testing/contract"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// outcome is what events tell of a drop, less the names and times of one run.
type outcome struct {
	// Types are those of the events, less the states and warnings that only a look
	// at the right moment sees.
	Types     []event.Type
	State     event.State
	Reason    string
	JobState  event.BackendState
	Summary   job.Summary
	Trials    []job.Trial
	Timeout   *job.Timeout
	Error     string // the last line of the message
	Started   bool
	Deadlines bool // the run's
}

func outcomeOf(b event.Body, types []event.Type) outcome {
	o := outcome{
		State:     b.State,
		Reason:    b.Reason,
		JobState:  b.Job.State,
		Trials:    b.Job.Trials,
		Timeout:   b.Timeout,
		Started:   !b.Times.Started.IsZero(),
		Deadlines: !b.Deadlines.Run.IsZero(),
	}
	o.Types = slices.DeleteFunc(slices.Clone(types), func(t event.Type) bool {
		return t == event.JobQueued || t == event.JobPreparing || t == event.JobDelayed
	})
	if b.State == job.Succeeded || b.State == job.Failed {
		// How long it took is by chance, and each service names replicas in its own way.
		o.Reason, _, _ = strings.Cut(b.Reason, " after ")
	}
	if b.Job.Summary != nil {
		o.Summary = *b.Job.Summary
		o.Summary.Packages = nil
	}
	if b.Error != nil {
		lines := strings.Split(strings.TrimSpace(b.Error.Message), "\n")
		o.Error = lines[len(lines)-1]
		if b.State != job.Failed {
			o.Error = "" // each service has its own words
		}
	}
	return o
}

// Every drop that runs ends the same under either API.
func TestTrainersAgree(t *testing.T) {
	for drop, state := range map[string]event.State{
		"hello": job.Succeeded, "train": job.Succeeded, "pair": job.Succeeded, "distributed": job.Succeeded,
		"tune": job.Succeeded, "spot": job.Succeeded, "flex-start": job.Succeeded,
		"fails": job.Failed, "endless": job.TimedOut,
	} {
		t.Run(drop, func(t *testing.T) {
			t.Parallel()
			files, err := os.ReadDir(drops + drop)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, f := range files {
				names = append(names, f.Name())
			}
			var outcomes []outcome
			for _, backend := range []string{aiplatform.Name, vertex.Name} {
				s := stack(t, local.Options{Backend: backend})
				verdict := follow(t, s)
				upload(t, s, drop, names...)
				body, types := verdict()
				if body.Job.Backend != backend || body.State != state {
					t.Errorf("%s by %s: %s, %s", drop, body.Job.Backend, body.State, body.Reason)
				}
				outcomes = append(outcomes, outcomeOf(body, types))
			}
			if diff := cmp.Diff(outcomes[0], outcomes[1]); diff != "" {
				t.Errorf("outcome (-aiplatform +vertex):\n%s", diff)
			}
			if drop == "tune" {
				if best := outcomes[0].Trials; len(best) != 6 || best[0].Parameters["learning-rate"] != "0.5" ||
					best[0].Parameters["optimizer"] != "plain" {
					t.Errorf("trials %+v", best)
				}
			}
		})
	}
}

func vertexBackend(t *testing.T, endpoint string) *vertex.Backend {
	t.Helper()
	tr, err := vertex.New(t.Context(), vertex.Options{
		Project:  local.Project,
		Regions:  []string{"europe-west4", "us-central1"},
		Endpoint: endpoint,
		Now:      time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// A create whose answer is lost makes one job, which is found and followed, also
// where the service takes no ID.
func TestLostCreate(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{aiplatform.Name, vertex.Name} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			target := stack(t, local.Options{}) // for its training service alone
			p := contract.NewProxy(t, target.BackendURL)
			p.Inject(contract.Fault{On: contract.IsCreate, Lose: true})
			s := stack(t, local.Options{Backend: backend, Env: []string{"JOBDROP_BACKEND_ENDPOINT=" + p.URL}})
			// The job runs at the other stack: its packages have to be there.
			verdict := follow(t, s)
			upload(t, s, "fails", "trainer-0.1.tar.gz", "job.yaml")
			body, types := verdict()
			if body.State != job.Failed || p.Left() > 0 {
				t.Errorf("%s: %s, events %v, %d faults left", body.State, body.Reason, types, p.Left())
			}
			if n := creates(t, target, backend); n != 1 {
				t.Errorf("%d jobs", n)
			}
		})
	}
}

// creates counts the jobs that a stack's training service knows by an API.
func creates(t *testing.T, s *local.Stack, backend string) int {
	t.Helper()
	if backend == aiplatform.Name {
		return jobs(t, s)
	}
	n := 0
	if err := vertexBackend(t, s.BackendURL).ListActive(t.Context(), local.Instance, "",
		func(page []attempt.BackendJob, _ string) error { n += len(page); return nil }); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(s.BackendURL + "/v1/projects/local/locations/us-central1/customJobs")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(response.Body); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", response.Status, err, b.String())
	}
	return max(n, strings.Count(b.String(), `"displayName"`))
}

// The end of a failed job's log is in its event if the policy says so, by either API: what the trainer
// wrote last, from the stack's own Cloud Logging.
func TestExcerpts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		backend, policy string
		want            bool
	}{
		{aiplatform.Name, "logExcerpt: true", true}, {vertex.Name, "logExcerpt: true", true},
		{aiplatform.Name, "prefixes: [{match: other/**, logExcerpt: true}]", false},
	} {
		t.Run(test.backend+" "+test.policy, func(t *testing.T) {
			t.Parallel()
			s := stack(t, local.Options{Backend: test.backend, Policy: []byte(test.policy)})
			verdict := follow(t, s)
			upload(t, s, "fails", "trainer-0.1.tar.gz", "job.yaml")
			body, _ := verdict()
			if body.State != job.Failed || body.Error == nil {
				t.Fatalf("%s: %s", body.State, body.Reason)
			}
			lines := strings.Split(body.Error.Excerpt, "\n")
			if !test.want {
				if body.Error.Excerpt != "" {
					t.Errorf("excerpt %q, and the policy has no word on it", body.Error.Excerpt)
				}
				return
			}
			if lines[len(lines)-1] != "ValueError: learning rate must be positive, got -0.1" ||
				!slices.Contains(lines, "Traceback (most recent call last):") {
				t.Errorf("excerpt\n%s", body.Error.Excerpt)
			}
		})
	}
}
