package attempt

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// optional returns an acceptance with options for Vertex AI, whose wait is limited by maxWaitTime.
func optional(own job.VertexOptions, maxWaitTime string) Accept {
	a := accept(&job.Scheduling{MaxWaitTime: maxWaitTime})
	a.Mapping.Vertex = &own
	return a
}

// A FLEX_START job that expires has waited for too long, whatever start the backend shows for the
// machines that it prepared.
func TestFlexStartExpires(t *testing.T) {
	expired := func(started, ended time.Duration) BackendJob {
		j := backendJob(job.BackendFailed, 0, started, ended)
		j.Expired, j.DeadlineExceeded, j.Message = true, true, "the job expired"
		return j
	}
	flex := job.VertexOptions{Strategy: job.StrategyFlexStart}
	twoHours := flex
	twoHours.MaxWaitDuration = "7200s"
	wait := func(limit time.Duration, by string) *job.Timeout {
		return &job.Timeout{Kind: job.KindWait, Limit: job.Duration(limit), EnforcedBy: by}
	}
	for _, test := range []struct {
		name   string
		accept Accept
		steps  []step
		want   job.State
		// timeout is the verdict's, reason a part of its reason.
		timeout *job.Timeout
		reason  string
	}{
		{
			"by scheduling.maxWaitTime", optional(flex, "3600s"), []step{{time.Hour, expired(never, time.Hour)}}, job.TimedOut,
			wait(time.Hour, job.ByBackend),
			"the job waited to run for longer than its limit of 3600s, and the backend ended it",
		},
		{
			"by maxWaitDuration", optional(twoHours, ""), []step{{2 * time.Hour, expired(never, 2*time.Hour)}}, job.TimedOut,
			wait(2*time.Hour, job.ByBackend), "limit of 7200s",
		},
		{
			"with the start of a preparation", optional(flex, "3600s"), []step{
				{minute, backendJob(job.BackendPreparing, 0, never, never)}, {time.Hour, expired(30*minute, time.Hour)},
			}, job.TimedOut, wait(time.Hour, job.ByBackend), "waited to run",
		},
		{
			"a little early", optional(flex, "3600s"), []step{{time.Hour, expired(never, 59*minute)}}, job.TimedOut,
			wait(time.Hour, job.ByBackend), "waited to run",
		},
		{
			"after jobdrop asked for a cancel", optional(flex, "3600s"), []step{
				{76 * minute, CancelJob{Kind: job.KindWait}}, {77 * minute, expired(never, 77*minute)},
			}, job.TimedOut, wait(time.Hour, job.ByJobdrop), "jobdrop ended it",
		},
		{
			"though it has no limit", optional(flex, ""), []step{{time.Hour, expired(never, time.Hour)}}, job.Failed, nil,
			"the job failed: the job expired",
		},
		{
			"after it ran", optional(flex, "3600s"), []step{
				{minute, backendJob(job.BackendRunning, 0, minute, never)}, {time.Hour, expired(minute, time.Hour)},
			}, job.Failed, nil, "the job failed after 59m0s: the job expired",
		},
		{
			"under another strategy", optional(job.VertexOptions{Strategy: job.StrategySpot}, "86400s"),
			[]step{{time.Hour, expired(never, time.Hour)}}, job.Failed, nil, "the job failed: the job expired",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			steps := append([]step{{0, test.accept}, {0, backendJob(job.BackendQueued, 0, never, never)}}, test.steps...)
			r, types := play(t, steps...)
			if r.State != test.want || !strings.Contains(r.Reason, test.reason) {
				t.Errorf("%s: %q, want %s: %q", r.State, r.Reason, test.want, test.reason)
			}
			if diff := cmp.Diff(test.timeout, r.Timeout); diff != "" {
				t.Errorf("timeout (-want +got):\n%s", diff)
			}
			if test.want == job.TimedOut && slices.Contains(types, job.JobRunning) {
				t.Errorf("told that it ran: %v", types)
			}
		})
	}
}

// A FLEX_START job is queued and prepared for hours by design: only the limit on its wait says when
// that is too long. Other states, and other jobs, are reported as ever.
func TestFlexStartIsNotStuck(t *testing.T) {
	delays := func(own job.VertexOptions, maxWaitTime string, steps ...step) []string {
		a := optional(own, maxWaitTime)
		a.Patience = job.JobPatience{Queued: job.Duration(time.Hour), Preparing: job.Duration(time.Hour),
			Running: job.Duration(time.Hour)}
		r, _ := play(t, append([]step{{0, a}, {0, backendJob(job.BackendQueued, 0, never, never)}}, steps...)...)
		var kinds []string
		for _, e := range r.Outbox {
			if e.Type == job.JobDelayed {
				kinds = append(kinds, string(e.Body.Job.State)+" "+e.Body.Delay.Kind)
			}
		}
		if due := r.Due(); r.Mapping.Vertex.FlexStart() && r.Job.State != job.BackendRunning && maxWaitTime == "" &&
			!due.IsZero() {
			t.Errorf("due at %s although nothing will be told", due)
		}
		return kinds
	}
	flex, spot := job.VertexOptions{Strategy: job.StrategyFlexStart}, job.VertexOptions{Strategy: job.StrategySpot}
	queued := step{5 * time.Hour, backendJob(job.BackendQueued, 0, never, never)}
	preparing := []step{
		{minute, backendJob(job.BackendPreparing, 0, never, never)},
		{5*time.Hour + minute, backendJob(job.BackendPreparing, 0, never, never)},
	}
	running := []step{
		{minute, backendJob(job.BackendRunning, 0, minute, never)},
		{2 * time.Hour, backendJob(job.BackendRunning, 0, minute, never)},
	}
	for _, test := range []struct {
		name string
		got  []string
		want []string
	}{
		{"queued", delays(flex, "", queued), nil},
		{"prepared", delays(flex, "", preparing...), nil},
		{"four fifths of its wait", delays(flex, "21600s", queued), []string{"QUEUED wait"}},
		{"running", delays(flex, "", running...), []string{"RUNNING state"}},
		{"a spot job, queued", delays(spot, "", queued), []string{"QUEUED state"}},
		{"a spot job, prepared", delays(spot, "", preparing...), []string{"PREPARING state"}},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// A spot job that lost its machines is prepared again. Its clocks count from its first run, and its
// wait is not limited any more.
func TestSpotGoesBack(t *testing.T) {
	spot := optional(job.VertexOptions{Strategy: job.StrategySpot}, "3600s")
	spot.Spec.TrainingInput.Scheduling.MaxRunningTime = "36000s"
	spot.Patience.WaitGrace = new(job.Duration(0))
	r, _ := play(t, step{0, spot}, step{0, backendJob(job.BackendQueued, 0, never, never)},
		step{10 * minute, backendJob(job.BackendRunning, 0, 10*minute, never)},
		step{2 * time.Hour, backendJob(job.BackendPreparing, 0, never, never)},
		step{4 * time.Hour, backendJob(job.BackendRunning, 0, 4*time.Hour, never)}, // the service shows the new start
		step{5 * time.Hour, backendJob(job.BackendPreparing, 0, never, never)})
	if r.Job.State != job.BackendPreparing || r.Shown() != job.Preparing || r.Job.PreviousState != job.BackendRunning {
		t.Errorf("%s, before %s, shown as %s", r.Job.State, r.Job.PreviousState, r.Shown())
	}
	first := at(10 * minute)
	if !r.Times.Started.Equal(first) || !r.Deadlines.Run.Equal(first.Add(10*time.Hour)) || !r.Deadlines.Wait.IsZero() {
		t.Errorf("started %s, deadlines %+v; want those of the first run", r.Times.Started, r.Deadlines)
	}
	if kind := r.CancelDue(at(9 * time.Hour)); kind != "" {
		t.Errorf("cancelled for its %s while its machines are looked for", kind)
	}
	if kind := r.CancelDue(at(11 * time.Hour)); kind != job.KindRun {
		t.Errorf("cancelled for its %q, want its run", kind)
	}
	r, _, err := Step(r, Seen(backendJob(job.BackendSucceeded, 0, 6*time.Hour, 7*time.Hour), at(7*time.Hour)), at(7*time.Hour))
	if err != nil || r.State != job.Succeeded || !strings.HasPrefix(r.Reason, "the job succeeded after 6h50m0s") {
		t.Errorf("%s: %q: %v", r.State, r.Reason, err)
	}
}
