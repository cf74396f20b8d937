package local_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// asks writes a request into the state bucket, and returns its answer.
func asks(t *testing.T, s *local.Stack, key, id, kind string) attempt.Answer {
	t.Helper()
	name := key + "/" + id + ".json"
	text := `{"kind": "` + kind + `", "by": "ann", "reason": "wrong data"}`
	if _, err := s.Storage.Write(t.Context(), local.State, "requests/"+name, []byte(text), "application/json", nil, 0); err != nil {
		t.Fatal(err)
	}
	var answer attempt.Answer
	eventually(t, "an answer to "+kind, func() bool {
		data, _, err := s.Storage.Read(t.Context(), local.State, "results/"+name, 0, 1<<20)
		return err == nil && json.Unmarshal(data, &answer) == nil
	})
	return answer
}

// People cancel what runs and run it again, by either API, without a right at the backend.
func TestRequests(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"aiplatform", "vertex"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			s := stack(t, local.Options{Backend: backend, Policy: []byte("allow: {packageSources: ['gs://jobdrop-inbox/**']}\n")})
			upload(t, s, "endless", "trainer-0.1.tar.gz")
			put(t, s, "runs", endless)
			first := status(t, s, "runs", "runs", func(b event.Body) bool { return b.State == job.Running })
			if a := asks(t, s, first.Attempt, "1", "rerun"); a.Outcome != attempt.RequestRefused || !strings.Contains(a.Message, "cancel it first") {
				t.Errorf("a rerun of what runs: %+v", a)
			}
			asked := time.Now()
			if a := asks(t, s, first.Attempt, "2", "cancel"); a.Outcome != attempt.RequestAccepted {
				t.Fatalf("%+v", a)
			}
			body := status(t, s, "runs", "has its verdict", ended)
			if body.State != job.Cancelled || !strings.Contains(body.Reason, "ann asked for it, as the request says: wrong data") ||
				body.CancelRequested == nil || body.CancelRequested.By != "ann" {
				t.Errorf("%s: %s, %+v", body.State, body.Reason, body.CancelRequested)
			}
			t.Logf("cancelled %s after it was asked for", time.Since(asked).Round(time.Millisecond))
			a := asks(t, s, first.Attempt, "3", "rerun")
			if a.Outcome != attempt.RequestAccepted {
				t.Fatalf("%+v", a)
			}
			again := status(t, s, "runs", "runs again", func(b event.Body) bool { return b.Attempt == a.Attempt && b.State == job.Running })
			if again.Rerun == nil || again.Rerun.Of != first.Attempt || again.Job.ID == first.Job.ID ||
				again.Drop.JobFile.Generation != first.Drop.JobFile.Generation {
				t.Errorf("%+v, job %s, job file %d", again.Rerun, again.Job.ID, again.Drop.JobFile.Generation)
			}
			asks(t, s, a.Attempt, "4", "cancel")
			status(t, s, "runs", "has its second verdict", func(b event.Body) bool { return b.Attempt == a.Attempt && ended(b) })
		})
	}
}
