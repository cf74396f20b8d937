package attempt

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// asking is Ann's request.
var asking = Cancel{Request: Request{Kind: KindCancel, Reason: "wrong data", By: "ann"}, Generation: 77}

// A request ends an attempt without a job at once, and one with a job as its backend says.
func TestCancelRequest(t *testing.T) {
	const claimed, doubtful, minute = "n1", "n2", time.Minute
	queued := accept(nil)
	queued.Claim, queued.Waits = Claim{}, "waiting: paused by the operator"
	running := backendJob(job.BackendRunning, 1, 2, -1)
	tests := []struct {
		name  string
		steps []step
		state job.State
		// reason is what the record's reason holds.
		reason string
		// due is why jobdrop has to cancel the job.
		due string
	}{
		{
			name:  "waiting",
			steps: []step{{0, Incomplete{Missing: []string{"p"}, ReportAfter: minute, ExpireAfter: minute}}, {1, asking}},
			state: job.Withdrawn, reason: "cancelled before the drop was accepted: ann asked for it, as the request says: wrong data",
		},
		{
			name: "held", steps: []step{{0, Hold{Until: at(minute)}}, {1, asking}},
			state: job.Withdrawn, reason: "ann asked for it",
		},
		{
			name: "queued", steps: []step{{0, queued}, {1, asking}},
			state: job.Cancelled, reason: "never ran: ann asked for it, as the request says: wrong data",
		},
		{
			name: "a create is under way", steps: []step{{0, accept(nil)}, {1, asking}},
			state: job.Accepted, reason: "once it is known whether its job was created",
		},
		{
			name:  "the create made a job",
			steps: []step{{0, accept(nil)}, {1, asking}, {2, backendJob(job.BackendQueued, 1, -1, -1)}},
			state: job.Submitted, due: job.KindRequest,
		},
		{
			name:  "the create made none",
			steps: []step{{0, accept(nil)}, {1, asking}, {2, Postpone{Nonce: claimed, Quota: true, Failure: &job.Failure{}}}},
			state: job.Cancelled, reason: "never ran",
		},
		{
			name:  "the backend was not asked",
			steps: []step{{0, accept(nil)}, {1, asking}, {2, Postpone{Nonce: claimed, Reason: "the claim was nearly over"}}},
			state: job.Cancelled, reason: "never ran",
		},
		{
			name: "the create has no outcome",
			steps: []step{
				{0, accept(nil)}, {1, asking}, {2, Postpone{Nonce: claimed, Unknown: true, Failure: &job.Failure{}}},
			},
			state: job.Accepted,
		},
		{
			name: "the create has no outcome, and no job can appear any more",
			steps: []step{
				{0, accept(nil)}, {1, Postpone{Nonce: claimed, Unknown: true, Failure: &job.Failure{}}}, {2, asking},
				{minute, TakeClaim{Claim: Claim{Until: at(time.Hour), Nonce: doubtful}}},
				{11 * minute, GiveUp{Nonce: doubtful}},
			},
			state: job.Cancelled, reason: "never ran",
		},
		{
			name: "the create has no outcome, and a job may appear",
			steps: []step{
				{0, accept(nil)}, {1, Postpone{Nonce: claimed, Unknown: true, Failure: &job.Failure{}}}, {2, asking},
				{minute, TakeClaim{Claim: Claim{Until: at(time.Hour), Nonce: doubtful}}},
				{9 * minute, GiveUp{Nonce: doubtful}},
			},
			state: job.Accepted,
		},
		{
			name:  "the backend refused the job",
			steps: []step{{0, accept(nil)}, {1, asking}, {2, Refuse{Nonce: claimed, Failure: job.Failure{Code: "X"}}}},
			state: job.Rejected, reason: "refused",
		},
		{
			name: "running", steps: []step{{0, accept(nil)}, {2, running}, {3, asking}},
			state: job.Submitted, due: job.KindRequest,
		},
		{
			name: "being cancelled", steps: []step{
				{0, accept(nil)}, {2, running}, {3, asking}, {4, backendJob(job.BackendCancelling, 1, 2, -1)},
			},
			state: job.Submitted, reason: "being cancelled",
		},
		{
			name: "cancelled", steps: []step{
				{0, accept(nil)}, {2, running}, {3, asking}, {4, backendJob(job.BackendCancelled, 1, 2, minute)},
			},
			state: job.Cancelled, reason: "the job was cancelled after 1m0s: ann asked for it, as the request says: wrong data",
		},
		{
			name: "the job was faster", steps: []step{
				{0, accept(nil)}, {2, running}, {3, asking}, {4, backendJob(job.BackendSucceeded, 1, 2, 3)},
			},
			state: job.Succeeded,
		},
		{
			name: "asked twice", steps: []step{
				{0, accept(nil)}, {2, running}, {3, asking}, {4, Cancel{Request: Request{By: "bob"}, Generation: 78}},
				{5, backendJob(job.BackendCancelled, 1, 2, minute)},
			},
			state: job.Cancelled, reason: "ann asked for it",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r, _ := play(t, test.steps...)
			if r.State != test.state || !strings.Contains(r.Reason, test.reason) {
				t.Errorf("%s: %s; want %s: %s", r.State, r.Reason, test.state, test.reason)
			}
			if due := r.CancelDue(at(time.Minute)); due != test.due {
				t.Errorf("to be cancelled for %q, want %q", due, test.due)
			}
			if again := !r.Due().IsZero() && !at(time.Minute).Before(r.Due()); test.due != "" && !again {
				t.Errorf("the next look is due at %s: nobody asks the backend again", r.Due())
			}
			if !r.CancelAsked() || r.CancelRequested.By != "ann" || r.Request != 77 {
				t.Errorf("the record says %+v, request %d", r.CancelRequested, r.Request)
			}
			if r.State.Terminal() {
				body := r.Outbox[len(r.Outbox)-1].Body
				if diff := cmp.Diff(r.CancelRequested, body.CancelRequested); diff != "" {
					t.Errorf("the event's request (-want +got):\n%s", diff)
				}
				if r.NeverRan() != (r.State == job.Cancelled && r.Times.Created.IsZero()) {
					t.Error("whether it ran is not known")
				}
			}
		})
	}
}

// A limit that was over before a request came still ended the job; one that was over only while the
// cancel took its time did not.
func TestCancelRequestNearALimit(t *testing.T) {
	const limit, hour = 2 * time.Hour, time.Hour
	for name, test := range map[string]struct {
		asked time.Duration
		limit bool // jobdrop has asked for the cancel at the limit
		state job.State
	}{
		"long before the limit":   {asked: hour, state: job.Cancelled},
		"after the limit":         {asked: limit + time.Minute, state: job.TimedOut},
		"after jobdrop's own":     {asked: limit + 30*time.Minute, limit: true, state: job.TimedOut},
		"before, and ended later": {asked: limit - 30*time.Minute, state: job.Cancelled},
	} {
		t.Run(name, func(t *testing.T) {
			steps := []step{{0, accept(&job.Scheduling{MaxRunningTime: "7200s"})}, {2, backendJob(job.BackendRunning, 1, 2, -1)}}
			if test.limit {
				steps = append(steps, step{limit + 29*time.Minute, CancelJob{Kind: job.KindRun}})
			}
			steps = append(steps, step{test.asked, asking},
				step{limit + hour, backendJob(job.BackendCancelled, 1, 2, limit+40*time.Minute)})
			r, _ := play(t, steps...)
			if r.State != test.state {
				t.Errorf("%s: %s, want %s", r.State, r.Reason, test.state)
			}
			if test.limit && (r.CancelAsked() || r.Timeout == nil || r.Timeout.EnforcedBy != job.ByJobdrop) {
				t.Errorf("%+v, %+v", r.CancelRequested, r.Timeout)
			}
		})
	}
}

// Where the backend's clock is behind, a limit seems to be over earlier than it is. The job was created after jobdrop had
// accepted it, so whoever asked before the limit was over since then ended the job.
func TestCancelRequestByOtherClocks(t *testing.T) {
	const behind = -(10*minute - time.Second)
	for _, test := range []struct {
		name         string
		clock, asked time.Duration
		state        job.State
	}{
		{"within the limit", behind, 13 * minute, job.Cancelled},
		{"right before its end", behind, 29 * minute, job.Cancelled},
		{"after its end", behind, 31 * minute, job.TimedOut},
	} {
		r, _ := play(t, step{0, accept(&job.Scheduling{MaxWaitTime: "1800s"})},
			step{minute, backendJob(job.BackendQueued, test.clock, never, never)}, step{test.asked, asking},
			step{41 * minute, backendJob(job.BackendCancelled, test.clock, never, test.clock+40*minute)})
		if r.State != test.state {
			t.Errorf("%s: %s: %s, want %s", test.name, r.State, r.Reason, test.state)
		}
	}
}

// Whoever uploads a drop again after a request to cancel it wants it to run.
func TestTwinThatIsCancelled(t *testing.T) {
	run := []step{{0, accept(nil)}, {2, backendJob(job.BackendRunning, 1, 2, -1)}, {3, asking}}
	r, _ := play(t, run...)
	if got := r.Twin("c", at(1)); got != RunningTwin {
		t.Errorf("uploaded before: %d", got)
	}
	if got := r.Twin("c", at(4)); got != EndedTwin {
		t.Errorf("uploaded after: %d", got)
	}
	queued := accept(nil)
	queued.Claim, queued.Waits = Claim{}, "waiting"
	if r, _ = play(t, step{0, queued}, step{3, asking}); r.Twin("c", at(1)) != NoTwin {
		t.Error("what never ran is a twin")
	}
}

func TestParseRequest(t *testing.T) {
	long := strings.Repeat("a", 3000)
	tests := []struct {
		name, text string
		want       Request
		err        string
	}{
		{
			name: "all", text: `{"kind": "cancel", "reason": "wrong data", "by": "ann", "at": "2026-11-22T12:00:00Z"}`,
			want: Request{Kind: KindCancel, Reason: "wrong data", By: "ann", At: start},
		},
		{name: "least", text: ` {"kind": "rerun"} `, want: Request{Kind: KindRerun}},
		{
			name: "lines", text: `{"kind": "rerun", "reason": "a\nb\u001b[1m", "by": "\tann"}`,
			want: Request{Kind: KindRerun, Reason: "a b [1m", By: "ann"},
		},
		{
			name: "long texts", text: `{"kind": "rerun", "reason": "` + long + `", "by": "` + long[:300] + `"}`,
			want: Request{Kind: KindRerun, Reason: long[:job.MaxText/2-3] + "…", By: long[:job.MaxPerson-3] + "…"},
		},
		{name: "no JSON", text: "cancel", err: "not valid JSON of the form"},
		{name: "nothing", text: "", err: "it is empty; correct it"},
		{name: "a list", text: "[]", err: "it is of JSON's type array, and has to be an object"},
		{name: "a number", text: `{"kind": 1}`, err: "kind is of JSON's type number, and has to be a text"},
		{name: "another kind", text: `{"kind": "delete"}`, err: `kind is "delete", and may be cancel or rerun`},
		{name: "no kind", text: `{}`, err: `kind is "", and may be cancel or rerun`},
		{name: "a field that is none", text: `{"kind": "cancel", "force": true}`, err: `unknown field "force"`},
		{name: "a time that is none", text: `{"kind": "cancel", "at": "now"}`, err: "has to be a time of RFC 3339"},
		{name: "more", text: `{"kind": "cancel"} {"kind": "rerun"}`, err: "more follows"},
		{name: "too much", text: `{"kind": "cancel", "reason": "` + long + long + `"}`, err: "longer than 4096 bytes"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseRequest([]byte(test.text))
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("%v, want %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte(`{"kind": "cancel", "reason": "wrong data", "by": "ann", "at": "2026-11-22T12:00:00Z"}`))
	f.Add([]byte(`{"kind": "rerun"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRequest(data)
		if err == nil && (r.Kind != KindCancel && r.Kind != KindRerun || job.TextSize(r.Reason) > job.MaxText ||
			job.TextSize(r.By) > job.MaxPerson) {
			t.Errorf("%+v", r)
		}
	})
}

func TestRequestNames(t *testing.T) {
	key := strings.Repeat("0a", 20) + "-7"
	for name, want := range map[string]string{
		key + "/1.json": key, key + "/ann_2026-11-22.json": key,
		"": "", key: "", key + "/.json": "", key + "/a/b.json": "", "../epoch": "", "census/1.json": "", key + "/1.json.bak": "",
		key + "/" + strings.Repeat("a", 65) + ".json": "", key + "/1 2.json": "", key + "\n/1.json": "",
	} {
		if got := (Asked{Name: name}).Attempt(); got != want {
			t.Errorf("%q is of attempt %q, want %q", name, got, want)
		}
	}
}

// A request makes one attempt, whose name and job no other has.
func TestNewRerun(t *testing.T) {
	a := Asked{Generation: 99, Created: at(time.Hour)}
	of := NewRecord(jobFile(), start)
	of.Attempt, of.Uploader = "earlier", job.Uploader{Name: "Ada", Commit: "4f2c9e1"}
	r := NewRerun(of, Request{By: "ann", Reason: "flaky"}, a, at(2*time.Hour))
	if named := (Asked{Name: job.AttemptKey(jobFile()) + "/1.json", Generation: 99}).Made(); named != r.Attempt {
		t.Errorf("the request makes %s, and is said to make %s", r.Attempt, named)
	}
	if r.Uploader != of.Uploader {
		t.Errorf("uploaded by %+v", r.Uploader)
	}
	want := jobFile()
	want.Generation = 99
	if r.Attempt != job.AttemptKey(want) || r.Number() != 99 || r.Drop.JobFile.Generation != 7 || !r.Times.Dropped.Equal(a.Created) {
		t.Errorf("%s, number %d, job file %d, dropped %s", r.Attempt, r.Number(), r.Drop.JobFile.Generation, r.Times.Dropped)
	}
	if id := a.JobID(jobFile()); id == job.DefaultJobID(jobFile()) {
		t.Errorf("the job ID %s is the first attempt's", id)
	}
	if diff := cmp.Diff(&job.Rerun{Of: "earlier", By: "ann", Reason: "flaky", At: at(2 * time.Hour)}, r.Snapshot().Rerun); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if first := NewRecord(jobFile(), start); first.Number() != 7 {
		t.Errorf("number %d of the first", first.Number())
	}
}
