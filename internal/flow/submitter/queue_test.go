package submitter_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// queued drops jobs into folders, a second apart.
func (w *world) queued(folders ...string) []job.Object {
	w.t.Helper()
	var files []job.Object
	for _, folder := range folders {
		w.put(folder+"/trainer-0.1.tar.gz", pkg(w.t, "hello"))
		f := w.put(folder+"/job.yaml", []byte("jobId: "+strings.ReplaceAll(folder, "/", "_")+"\n"+spec))
		w.wake(f)
		w.pass(time.Second)
		files = append(files, f)
	}
	return files
}

// created returns the IDs of the jobs at the backend, in order of their creation.
func (w *world) created() []string {
	w.backend.mu.Lock()
	defer w.backend.mu.Unlock()
	var ids []string
	for _, s := range w.backend.specs {
		ids = append(ids, s.JobID)
	}
	return ids
}

func (w *world) wantCreated(when string, want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.created()); diff != "" {
		w.t.Fatalf("jobs %s (-want +got):\n%s", when, diff)
	}
}

// status returns the reason in a folder's status.json.
func (w *world) status(folder string) string {
	w.t.Helper()
	data, _, err := w.storage.Client.Read(w.t.Context(), "status", folder+"/status.json", 0, 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	var body job.Snapshot
	if err := json.Unmarshal(data, &body); err != nil {
		w.t.Fatal(err)
	}
	return body.Reason
}

// A drop during the operator's pause is accepted, says that it waits, and runs when the pause is
// over. A folder may be excepted.
func TestQueuePause(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("pause: true\nprefixes:\n- match: urgent/**\n  pause: false\n")
	files := w.queued("a", "urgent/b", "c")
	w.tick()
	w.wantCreated("while paused", "urgent_b")
	r := w.record(files[0])
	if r.State != job.Accepted || w.topic.of(r.Attempt) != "drop.accepted" {
		t.Errorf("state %s, events %q", r.State, w.topic.of(r.Attempt))
	}
	const want = "waiting: paused by the operator"
	if told := w.topic.events[r.Attempt][0].Body.Reason; told != want || w.status("a") != want {
		t.Errorf("the event says %q, status.json %q", told, w.status("a"))
	}
	w.wake(files[0])
	w.pass(48 * time.Hour) // no deadline runs
	w.tick()
	w.operator("{}")
	w.tick()
	w.wantCreated("after it", "urgent_b", "a", "c")
	if r := w.record(files[2]); r.State != job.Submitted || strings.Contains(r.Reason, "pause") {
		t.Errorf("state %s: %s", r.State, r.Reason)
	}
}

// A pause that begins between acceptance and create holds too. A job of an earlier create is found
// all the same.
func TestQueuePauseAfterAcceptance(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.backend.fail = errors.New("connection refused")
	lost, down := w.queued("lost")[0], w.queued("down")[0]
	w.backend.fail = nil
	// Its create arrives now, long after the answer was given up.
	if _, err := w.backend.Create(t.Context(), w.record(lost).Order()); err != nil {
		t.Fatal(err)
	}
	w.operator("pause: true")
	for range 3 {
		w.pass(time.Minute)
		w.tick()
	}
	w.wantCreated("while paused", "lost")
	if r := w.record(lost); r.State != job.Submitted {
		t.Errorf("lost: state %s", r.State)
	}
	if r := w.record(down); r.State != job.Accepted || w.status("down") != "waiting: paused by the operator" {
		t.Errorf("down: state %s, status.json says %q", r.State, w.status("down"))
	}
}

// A process died right after its create. Its job is found once its claim is over, even during a
// pause: a pause creates no job, and forgets none.
func TestQueuePauseFindsTheJobOfADeadClaim(t *testing.T) {
	w := newWorld(t)
	w.backend.asked = func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.dieAt, w.after = w.call, true
	}
	w.put("died/trainer-0.1.tar.gz", pkg(t, "hello"))
	file := w.put("died/job.yaml", []byte("jobId: died\n"+spec))
	if err := w.submit.Submit(t.Context(), file); !errors.Is(err, errDead) {
		t.Fatalf("Submit: %v, want %v", err, errDead)
	}
	w.restart()
	w.backend.asked = nil
	if r := w.record(file); r.State != job.Accepted || r.Creating == nil {
		t.Fatalf("state %s, claim %v: the process died elsewhere", r.State, r.Creating)
	}
	w.operator("pause: true")
	w.pass(5 * time.Minute)
	w.tick()
	w.wantCreated("in all", "died")
	if r := w.record(file); r.State != job.Submitted {
		t.Errorf("state %s: %s", r.State, r.Reason)
	}
}

// Active jobs are limited. The oldest drops come first, a verdict makes room for the next, and
// those that wait say for what.
func TestQueueActiveJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {activeJobs: 2}")
	w.queued("x/a", "x/b", "x/c", "x/d")
	w.wantCreated("before a tick")
	if got, want := w.status("x/a"), "waiting for its turn: at most 2 jobs may be active"; got != want {
		t.Errorf("status.json says %q, want %q", got, want)
	}
	w.tick()
	w.tick()
	w.wantCreated("of the first ticks", "x_a", "x_b")
	if got, want := w.status("x/c"), "waiting: 2 of 2 jobs are active"; got != want {
		t.Errorf("status.json says %q, want %q", got, want)
	}
	w.backend.finish("x_b")
	w.tick() // sees the verdict
	w.tick()
	w.wantCreated("after one ended", "x_a", "x_b", "x_c")
	w.backend.finish()
	w.tick()
	w.tick()
	w.wantCreated("at last", "x_a", "x_b", "x_c", "x_d")
}

// The jobs of the last hour count, even those that ended.
func TestQueueJobsPerHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {jobsPerHour: 2}")
	w.queued("a", "b", "c")
	for range 58 {
		w.tick()
		w.backend.finish()
		w.pass(time.Minute)
	}
	w.wantCreated("in an hour", "a", "b")
	if got, want := w.status("c"), "waiting: 2 of 2 jobs were started in the last hour"; got != want {
		t.Errorf("status.json says %q, want %q", got, want)
	}
	w.pass(2 * time.Minute)
	w.tick()
	w.wantCreated("in the next", "a", "b", "c")
}

// The hour begins with the job's creation, which may be long after its turn.
func TestQueueHourBeginsWithTheJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {jobsPerHour: 1}")
	w.backend.fail = job.ErrQuota
	w.queued("a")
	for range 50 {
		w.tick()
		w.pass(time.Minute)
	}
	w.backend.fail = nil
	w.pass(5 * time.Minute)
	w.tick()
	w.wantCreated("after 55 minutes", "a")
	w.backend.finish()
	w.tick()
	w.queued("b")
	for range 58 {
		w.pass(time.Minute)
		w.tick()
	}
	w.wantCreated("within an hour of it", "a")
	w.pass(2 * time.Minute)
	w.tick()
	w.wantCreated("then", "a", "b")
}

// A prefix with many drops does not keep the others waiting: they take turns.
func TestQueueFair(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {activeJobs: 3}\nprefixes:\n- match: teams/nlp/**\n- match: teams/vision/**\n  limits: " +
		"{activeJobs: 1}\n")
	w.queued("teams/nlp/a", "teams/nlp/b", "teams/nlp/c", "teams/vision/d", "teams/vision/e", "f/f")
	w.tick()
	w.wantCreated("of the first tick", "teams_nlp_a", "teams_vision_d", "f_f")
	if got, want := w.status("teams/vision/e"), "waiting: 1 of 1 jobs of teams/vision/** are active"; got != want {
		t.Errorf("status.json says %q, want %q", got, want)
	}
	w.backend.finish()
	w.tick()
	w.tick()
	w.wantCreated("then", "teams_nlp_a", "teams_vision_d", "f_f", "teams_nlp_b", "teams_vision_e", "teams_nlp_c")
}

// A prefix that had a turn while others wait does not come first again because that was long ago.
func TestQueueFairForHours(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {jobsPerHour: 1}")
	w.queued("a/1", "a/2", "a/3", "b/4", "c/5")
	for range 5 * 62 {
		w.tick()
		w.backend.finish()
		w.pass(time.Minute)
	}
	w.wantCreated("in five hours", "a_1", "b_4", "c_5", "a_2", "a_3")
	w.queued("a/6")
	w.pass(62 * time.Minute)
	w.tick()
	if turns, err := w.ledger.Turns(t.Context()); err != nil || len(turns.Given) != 1 {
		t.Errorf("turns %+v, and nobody waits any more: %v", turns.Given, err)
	}
}

// If the backend has no room, it is not asked for each waiting attempt.
func TestQueueQuota(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.backend.room = 2
	var folders, ids []string
	for i := range 10 {
		folders, ids = append(folders, fmt.Sprintf("x/%d", i)), append(ids, fmt.Sprintf("x_%d", i))
	}
	w.queued(folders...)
	w.wantCreated("at once", ids[:2]...)
	asked := w.backend.creates
	for range 10 {
		w.pass(time.Minute)
		w.tick()
	}
	if asked = w.backend.creates - asked; asked > 40 {
		t.Errorf("asked %d times in ten ticks", asked)
	}
	for range 60 {
		w.backend.finish()
		w.tick()
		w.pass(time.Minute)
	}
	created := w.created()
	slices.Sort(created)
	if diff := cmp.Diff(ids, created); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
}

// A job whose machines have no room does not hold up jobs that ask for others.
func TestQueueQuotaOfOneKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.backend.scarce = "gpu"
	w.operator("pause: true")
	var folders []string
	for i := range 9 {
		folders = append(folders, fmt.Sprintf("x/gpu%d", i))
	}
	w.queued(append(folders, "x/cpu", "y/cpu")...)
	w.operator("{}")
	for range 10 {
		w.tick()
		w.pass(time.Minute)
	}
	w.wantCreated("beside those for which there is no room", "y_cpu", "x_cpu")
}

// The time for submits counts only while the backend may be asked.
func TestQueuePauseStopsTheDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("patience: {submit: 3600s}")
	w.backend.fail = errors.New("connection refused")
	f := w.queued("a")[0]
	w.operator("patience: {submit: 3600s}\npause: true")
	w.backend.fail = nil
	w.pass(time.Minute)
	w.tick()
	for range 30 {
		w.pass(time.Hour)
		w.tick()
	}
	w.want(f, job.Accepted, "paused", 0)
	w.operator("patience: {submit: 3600s}")
	w.tick()
	w.want(f, job.Submitted, "", 1)
}

// A new limit applies to attempts that are being retried.
func TestQueueLimitSetLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.backend.fail = errors.New("connection refused")
	w.queued("a", "b", "c", "d")
	w.backend.fail = nil
	w.operator("limits: {activeJobs: 1}")
	for range 5 {
		w.pass(5 * time.Minute)
		w.tick()
	}
	if got := w.created(); len(got) != 1 {
		t.Errorf("jobs %q, and 1 may be active", got)
	}
}

// A refused job does not count as started.
func TestQueueRefusedIsNotStarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {jobsPerHour: 1}")
	w.backend.fail = &attempt.RefusedError{Code: "INVALID_ARGUMENT"}
	w.queued("a")
	w.tick()
	w.backend.fail = nil
	w.queued("b")
	w.tick()
	w.wantCreated("after a refusal", "b")
}

// A job that an earlier create made late is followed, even if its attempt is paused and the job
// has ended.
func TestQueuePausedJobIsFollowed(t *testing.T) {
	w := newWorld(t)
	w.backend.fail = errors.New("connection refused")
	f := w.queued("a")[0]
	w.backend.fail = nil
	w.operator("pause: true")
	w.pass(time.Minute)
	w.tick()
	if _, err := w.backend.Create(t.Context(), w.record(f).Order()); err != nil {
		t.Fatal(err)
	}
	w.backend.finish()
	w.pass(time.Minute)
	w.tick()
	w.want(f, job.Succeeded, "", 1)
}

// However long the queue, jobs are created before reasons are updated.
func TestQueueStartsFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {activeJobs: 2}")
	var folders []string
	for i := range 30 {
		folders = append(folders, fmt.Sprintf("x/%02d", i))
	}
	w.queued(folders...)
	w.storage.Reset()
	atFirst := 0
	w.backend.asked = func() {
		if atFirst == 0 {
			atFirst = len(w.storage.Calls())
		}
	}
	w.tick()
	if atFirst == 0 || atFirst > 15 {
		t.Errorf("the first create comes after %d calls of storage", atFirst)
	}
}

// However many ticks run at once, the limit holds.
func TestQueueOverlappingTicks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {activeJobs: 3}")
	var folders []string
	for i := range 12 {
		folders = append(folders, fmt.Sprintf("x/%d", i))
	}
	files := w.queued(folders...)
	for round := 0; len(w.created()) < len(folders); round++ {
		if round == 40 {
			t.Fatalf("%d jobs after %d rounds", len(w.created()), round)
		}
		w.crowd(round, files)
		active := 0
		for _, l := range w.backend.jobs {
			if l.Ended.IsZero() {
				active++
			}
		}
		if active > 3 {
			t.Fatalf("%d jobs are active", active)
		}
		if round%2 == 1 {
			w.backend.finish()
		}
		w.pass(time.Second)
	}
}

// If the backend does not take the job in the policy's time, the attempt ends and its ID is free.
// If a job may exist, it is looked for first.
func TestSubmitDeadline(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("patience: {submit: 3600s}")
	w.backend.fail = errors.New("connection refused")
	f := w.queued("a")[0]
	for range 59 {
		w.pass(time.Minute)
		w.tick()
	}
	if r := w.record(f); r.State != job.Accepted || !r.Deadlines.Submit.Before(w.clock().Add(time.Minute)) {
		t.Fatalf("state %s, deadline %s", r.State, r.Deadlines.Submit)
	}
	// The backend is there again, but takes nothing more; what it may have made
	// is not there.
	w.backend.fail = job.ErrQuota
	for range 15 {
		w.pass(time.Minute)
		w.tick()
	}
	r := w.record(f)
	if r.State != job.Rejected || r.Reason != "the backend did not take the job within 3600s" || r.Error == nil ||
		!r.Error.Retryable || w.open() != 0 {
		t.Fatalf("state %s: %s; %+v; %d entries", r.State, r.Reason, r.Error, w.open())
	}
	if got, want := w.topic.of(r.Attempt), "drop.accepted drop.rejected"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	w.backend.fail = nil
	w.pass(time.Hour)
	w.put("b/trainer-0.1.tar.gz", pkg(t, "hello"))
	again := w.put("b/job.yaml", []byte("jobId: a\n"+spec))
	w.wake(again)
	if r := w.record(again); r.State != job.Submitted {
		t.Errorf("the ID is not free: %s: %s", r.State, r.Reason)
	}
}

// A create whose answer was lost is found after the deadline, and is not refused.
func TestSubmitDeadlineFindsTheJob(t *testing.T) {
	w := newWorld(t)
	w.operator("patience: {submit: 60s}")
	w.backend.lose = true
	f := w.queued("a")[0]
	w.pass(time.Hour)
	w.wake(f)
	if r := w.record(f); r.State != job.Submitted || w.backend.creates != 1 {
		t.Errorf("state %s: %s after %d creates", r.State, r.Reason, w.backend.creates)
	}
}

// A backend that takes no IDs would make a second job of a second create. After an unknown outcome
// it is asked again only when searches found no job for long enough.
func TestSubmitWithoutAnID(t *testing.T) {
	t.Parallel()
	t.Run("the job is there", func(t *testing.T) {
		w := newWorld(t)
		w.backend.noID, w.backend.lose = true, true
		f := w.queued("a")[0]
		w.backend.lose = false
		w.pass(time.Minute)
		w.tick()
		if r := w.record(f); r.State != job.Submitted || w.backend.creates != 1 {
			t.Errorf("state %s after %d creates", r.State, w.backend.creates)
		}
	})
	t.Run("no job is there", func(t *testing.T) {
		w := newWorld(t)
		w.backend.noID, w.backend.fail = true, errors.New("connection refused")
		f := w.queued("a")[0]
		w.backend.fail = nil
		for minute := range 9 {
			w.pass(time.Minute)
			w.tick()
			if w.backend.creates != 1 || w.record(f).State != job.Accepted {
				t.Fatalf("%d creates after %d minutes", w.backend.creates, minute+1)
			}
		}
		if w.backend.finds < 5 {
			t.Errorf("looked for %d times", w.backend.finds)
		}
		for range 3 {
			w.pass(time.Minute)
			w.tick()
		}
		if r := w.record(f); r.State != job.Submitted || w.backend.creates != 2 {
			t.Errorf("state %s: %s after %d creates", r.State, r.Reason, w.backend.creates)
		}
	})
	t.Run("ticks were down meanwhile", func(t *testing.T) {
		w := newWorld(t)
		w.backend.noID, w.backend.fail = true, errors.New("connection refused")
		f := w.queued("a")[0]
		w.backend.fail = nil
		w.pass(time.Hour)
		w.tick()
		w.pass(time.Minute)
		w.tick()
		if w.backend.creates != 1 {
			t.Fatal("created on the word of looks within a minute")
		}
		w.pass(time.Minute)
		w.tick()
		w.pass(time.Minute)
		w.tick()
		if r := w.record(f); r.State != job.Submitted || w.backend.creates != 2 {
			t.Errorf("state %s: %s after %d creates", r.State, r.Reason, w.backend.creates)
		}
	})
}

// What people read of the queue is what the tick left: who waits, in the order of their turns, and for what.
func TestQueueNote(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {activeJobs: 1}\nprefixes: [{match: teams/**}, {match: paused/**, pause: true}]\n")
	files := w.queued("paused/p", "a", "b", "teams/x", "teams/y")
	reader, err := ledger.NewReader(w.storage.Client, "state")
	if err != nil {
		t.Fatal(err)
	}
	wantQueue := func(when string, want ...string) {
		t.Helper()
		w.tick()
		q, err := reader.Queue(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, p := range q.Waiting {
			got = append(got, fmt.Sprintf("%d %s: %s", p.Place, p.JobID, p.Reason))
			if p.Place != i+1 || p.Attempt == "" || p.Folder == "" || p.Since.IsZero() {
				t.Errorf("%s: %+v", when, p)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" || q.Total != len(want) {
			t.Errorf("%s: %d wait (-want +got):\n%s", when, q.Total, diff)
		}
	}
	const full, pausing = "waiting: 1 of 1 jobs are active", "waiting: paused by the operator"
	wantQueue("one runs", "1 b: "+full, "2 teams_x: "+full, "3 teams_y: "+full, "4 paused_p: "+pausing)
	w.backend.fail = job.ErrQuota
	w.operator("{}")
	wantQueue("the backend has no room", "1 paused_p: "+attempt.WaitsForQuota, "2 b: "+attempt.WaitsForQuota,
		"3 teams_x: "+attempt.WaitsForQuota, "4 teams_y: "+attempt.WaitsForQuota)
	w.backend.fail = nil
	w.pass(time.Hour)
	w.tick()
	wantQueue("all run")
	if r := w.record(files[4]); r.State != job.Submitted {
		t.Errorf("state %s", r.State)
	}
}
