package local_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/internal/local/training"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// dropResumes drops a faster resumes into a folder.
func dropResumes(t *testing.T, s *local.Stack, folder string) {
	t.Helper()
	for _, name := range []string{"trainer-0.1.tar.gz", "job.yaml"} {
		data, err := os.ReadFile(drops + "resumes/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "job.yaml" {
			quick := bytes.Replace(data, []byte("--epochs=150, --checkpoint-every=5, --pause=0.25"),
				[]byte("--epochs=80, --checkpoint-every=5, --pause=0.02"), 1)
			if bytes.Equal(quick, data) {
				t.Fatalf("other arguments than those that are known:\n%s", data)
			}
			data = bytes.Replace(quick, []byte("jobdrop-output/resumes"), []byte("jobdrop-output/"+folder), 1)
		}
		if _, err := s.Storage.Upload(t.Context(), local.Inbox, folder+"/"+name, bytes.NewReader(data), nil); err != nil {
			t.Fatal(err)
		}
	}
}

// losses takes a job's machines away, each time after a checkpoint of its trainer, and keeps what the trainer says.
type losses struct {
	mu    sync.Mutex
	after []string // the checkpoints, in order
	said  []string
	due   chan string // the jobs
}

func (l *losses) log(line training.Line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, line.Text)
	if len(l.after) > 0 && line.Text == l.after[0] {
		l.after = l.after[1:]
		l.due <- line.JobID
	}
}

// of returns the lines since the last call that begin so.
func (l *losses) of(prefixes ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.said {
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(line, p) }) {
			found = append(found, line)
		}
	}
	l.said = nil
	return found
}

// take takes machines away until ctx ends.
func (l *losses) take(ctx context.Context, t *testing.T, s *local.Stack) {
	for {
		select {
		case <-ctx.Done():
			return
		case name := <-l.due:
			if err := s.Preempt(name); err != nil {
				t.Errorf("preempt %s: %v", name, err)
			}
		}
	}
}

// A drop that loses its machine three times ends with the same weights as one that keeps it, by either API.
func TestResumesWithTheSameWeights(t *testing.T) {
	t.Parallel()
	// An image of the operator's is what jobdrop's own bootstrap runs in. This one is run by the machine's Python.
	image := []byte("vertex: {images: {'2.11': 'us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-11.py310:latest'}}\n")
	for _, tt := range []struct {
		name, backend string
		policy        []byte
		count         bool // whether somebody counts the restarts
	}{
		{"ml", aiplatform.Name, nil, true}, {"vertex", vertex.Name, nil, false}, {"bootstrap", vertex.Name, image, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			restart := func(n int) string {
				if !tt.count {
					return "restart unknown"
				}
				return fmt.Sprintf("restart %d", n)
			}
			l := &losses{due: make(chan string, 3)}
			s := stack(t, local.Options{
				Backend: tt.backend, Policy: tt.policy, Logs: l.log, Preemption: training.Preemption{Wait: 100 * time.Millisecond},
			})
			var taking sync.WaitGroup
			ctx, stop := context.WithCancel(t.Context())
			taking.Go(func() { l.take(ctx, t, s) })
			defer taking.Wait()
			defer stop()
			verdict := follow(t, s)
			weights := func(folder string) string {
				dropResumes(t, s, folder)
				if body, _ := verdict(); body.State != job.Succeeded || body.Job.Backend != tt.backend {
					t.Fatalf("%s is %s by %s: %s\n%q", folder, body.State, body.Job.Backend, body.Reason, l.of(""))
				}
				data, _, err := s.Storage.Read(t.Context(), local.Output, folder+"/weights.json", 0, 1<<10)
				if err != nil {
					t.Fatal(err)
				}
				return string(data)
			}
			want := weights("keeps")
			if got := l.of("restart ", "resuming "); !slices.Equal(got, []string{restart(0)}) {
				t.Errorf("without a loss: %q", got)
			}
			l.mu.Lock()
			l.after = []string{"checkpoint 20", "checkpoint 40", "checkpoint 60"}
			l.mu.Unlock()
			if got := weights("loses"); got != want || !strings.HasPrefix(want, "[1.9") && !strings.HasPrefix(want, "[2.0") {
				t.Errorf("weights %s, without a loss %s, want about [2, -1, 0.5]", got, want)
			}
			// It may have written a checkpoint or two more before it was stopped.
			said := l.of("restart ", "resuming ")
			for i, line := range said {
				said[i], _, _ = strings.Cut(line, "/epoch-")
			}
			var resumes []string
			for n := range 4 {
				resumes = append(resumes, restart(n), "resuming from gs://jobdrop-output/loses/checkpoints")
			}
			if diff := cmp.Diff(slices.Delete(resumes, 1, 2), said); diff != "" {
				t.Errorf("with three losses it said (-want +got):\n%s", diff)
			}
		})
	}
}

// A loss that Watch sees is told, and ends a job that may have none.
func TestRestartsAreTold(t *testing.T) {
	t.Parallel()
	none := []byte("limits: {restarts: 0}\n")
	again := []event.Type{event.JobPreparing, event.JobRunning}
	for _, tt := range []struct {
		name, backend string
		policy        []byte
		state         event.State
		after         []event.Type // the last events before the verdict
		restarts      int64
		reason        string
	}{
		{"no limit", aiplatform.Name, nil, job.Succeeded, again, 1, ", with 1 restart that lost at most "},
		{"none is allowed", aiplatform.Name, none, job.Cancelled, again[:1], 1,
			": limits.restarts of the policy allows none"},
		{"none, and Vertex AI knows", vertex.Name, none, job.Failed, again[1:], 0, "it is not run again, by its " +
			"scheduling.disableRetries"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			running := make(chan string, 100)
			s := stack(t, local.Options{
				Backend: tt.backend, Policy: tt.policy,
				// Watch does not believe that a job went back within ten seconds, nor that it runs again within as many.
				Preemption: training.Preemption{Wait: 30 * time.Second},
				Status: func(b job.Snapshot) {
					if b.State == job.Running {
						running <- b.Job.ResourceName
					}
				},
			})
			verdict := follow(t, s)
			dropResumes(t, s, "told")
			name := <-running
			if tt.backend == aiplatform.Name {
				name = name[strings.LastIndexByte(name, '/')+1:]
			}
			if err := s.Preempt(name); err != nil {
				t.Fatalf("preempt %s: %v", name, err)
			}
			body, types := verdict()
			if body.State != tt.state || !strings.Contains(body.Reason, tt.reason) {
				t.Errorf("%s, %q; want %s, %q", body.State, body.Reason, tt.state, tt.reason)
			}
			types = types[:len(types)-1]
			if got := types[max(0, len(types)-len(tt.after)):]; !slices.Equal(got, tt.after) {
				t.Errorf("events %q, want %q at their end", types, tt.after)
			}
			if got := body.Restarts; (got != nil) != (tt.restarts > 0) || got != nil && got.Count != tt.restarts {
				t.Errorf("restarts %+v, want %d", got, tt.restarts)
			}
		})
	}
}
