package attempt

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// nasty are texts of one character that take the most of JSON, and some that do not.
var nasty = []string{"a", "\x01", "<", `"`, "\u2028", "é", "数", "\n", "\xff", "😀"}

func encoded(t testing.TB, v any) int {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return len(data)
}

func many[T any](n int, item T) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = item
	}
	return all
}

// largest plays an attempt whose every text repeats one character and is as long as its author may
// make it, or longer. None of its events is published.
func largest(t *testing.T, c string) Record {
	t.Helper()
	long := strings.Repeat(c, 40<<10)
	name := func(n int) string { return strings.Repeat(c, n/len(c)) } // what Cloud Storage takes, in bytes of UTF-8
	folder := name(890) + "/"
	file := job.Object{Bucket: strings.Repeat("b", 222), Name: folder + "job.yaml", Generation: 1 << 60, Size: 1 << 20,
		CRC32C: "AAAAAA==", Created: start, CorrelationID: long, Uploader: job.UploaderOf(map[string]string{
			"jobdrop-uploader-name": long, "jobdrop-uploader-commit": long, "jobdrop-uploader-branch": long,
			"jobdrop-uploader-url": "https://" + strings.Repeat("u", 1200),
		})}
	pack := file
	pack.Name = folder + name(120) + ".tar.gz"
	vs := many(job.MaxViolations+50, job.Violation{Rule: "rule", Severity: job.Warning, File: long,
		Position: job.Position{Line: 1 << 20, Column: 1 << 20}, Field: long, Found: long, Allowed: long, Message: long,
		Remedy: long})

	// The job is the largest that is not refused.
	labels := map[string]string{}
	for i := range 64 {
		labels[fmt.Sprintf("%02d%s", i, strings.Repeat("é", 61))] = strings.Repeat("数", 63)
	}
	staged := many(100, "gs://"+file.Bucket+"/"+job.AttemptKey(file)+"/1587627537231057123/"+name(255))
	input := &job.TrainingInput{Region: long[:1000/len(c)*len(c)], JobDir: long, MasterType: long, PythonModule: long,
		MasterConfig: &job.ReplicaConfig{ImageURI: long}, PackageURIs: staged}
	o := Accept{
		Spec:    job.Spec{JobID: strings.Repeat("j", 128), Labels: labels, TrainingInput: input},
		Receipt: job.Receipt{Objects: append([]job.Object{file}, many(100, pack)...), Staged: staged, Content: "c"},
		Backend: "aiplatform", Warnings: vs,
		Claim:        Claim{Owner: "w", Until: at(time.Hour), Nonce: "n"},
		SubmitWithin: 24 * time.Hour,
		Patience: job.JobPatience{Queued: job.Duration(60 * time.Second), Preparing: job.Duration(60 * time.Second),
			Running: job.Duration(60 * time.Second), Cancelling: job.Duration(60 * time.Second)},
	}
	r := NewRecord(file, start)
	o.Receipt.Objects[0] = r.Drop.JobFile
	own := o // as the record has it
	own.Receipt.Objects = append(o.Receipt.Objects[:1:1], job.Anonymous(o.Receipt.Objects[1:])...)
	input.Scheduling = &job.Scheduling{MaxWaitTime: "3600s", MaxRunningTime: "3600s"}
	for n := 1 << 20; n > 100; n /= 2 {
		for {
			more := append(input.Args, strings.Repeat(c, n/len(c)))
			before := input.Args
			if input.Args = more; own.tooLarge() {
				input.Args = before
				break
			}
		}
	}
	trials := make([]job.Trial, job.MaxTrials+1)
	parameters := map[string]string{}
	for p := range 64 {
		parameters[fmt.Sprintf("%02d%s", p, long[:1000/len(c)*len(c)])] = long[:1000/len(c)*len(c)]
	}
	objective := -1.7976931348623157e+308
	for i := range trials {
		trials[i] = job.Trial{ID: long, State: job.BackendSucceeded, Parameters: parameters, Objective: &objective,
			Step: 1 << 62, Message: long}
	}
	see := func(s job.BackendState, started, ended time.Duration, trials []job.Trial) BackendJob {
		l := backendJob(s, 2*time.Hour, started, ended)
		l.ResourceName, l.Message, l.Excerpt, l.Trials, l.Links = long, long, long, trials,
			job.Links{Console: "https://" + long[:3<<10/len(c)*len(c)], Logs: long}
		return l
	}
	missing := Incomplete{Arrived: many(1000, pack), Missing: many(101, long), Violations: vs,
		Before: many(1000, pack), Until: at(time.Minute),
		ReportAfter: time.Minute, ExpireAfter: time.Hour * 24}
	for _, s := range []step{
		{0, missing}, {time.Hour, missing}, {2 * time.Hour, Routed{o, many(40, name(900))}},
		{2*time.Hour + time.Second, Postpone{Nonce: "n", Reason: long, Failure: &job.Failure{Code: long, Message: long},
			Quota: true}},
		{2*time.Hour + 2*time.Second, Wait{Reason: "waits: " + long}},
		{2*time.Hour + time.Minute, see(job.BackendQueued, -1, -1, nil)},
		{2*time.Hour + 5*time.Minute, see(job.BackendQueued, -1, -1, nil)},
		{2*time.Hour + 6*time.Minute, see(job.BackendPreparing, -1, -1, nil)},
		{2*time.Hour + 8*time.Minute, see(job.BackendPreparing, -1, -1, nil)},
		{2*time.Hour + 55*time.Minute, see(job.BackendPreparing, -1, -1, nil)},
		{3 * time.Hour, see(job.BackendRunning, 3*time.Hour, -1, nil)},
		{3*time.Hour + 2*time.Minute, see(job.BackendRunning, 3*time.Hour, -1, nil)},
		{3*time.Hour + 55*time.Minute, see(job.BackendRunning, 3*time.Hour, -1, nil)},
		{4 * time.Hour, CancelJob{Kind: job.KindRun}},
		{4 * time.Hour, see(job.BackendCancelling, 3*time.Hour, -1, nil)},
		{4*time.Hour + 5*time.Minute, see(job.BackendCancelling, 3*time.Hour, -1, nil)},
		{5 * time.Hour, see(job.BackendFailed, 3*time.Hour, 5*time.Hour, trials)},
	} {
		next, changed, err := Step(r, observed(s.o, at(s.after)), at(s.after))
		if err != nil || !changed {
			t.Fatalf("%T at %s: changed %t, %v", s.o, s.after, changed, err)
		}
		if job.Larger(MaxRecord*2, next) {
			t.Fatalf("%T at %s makes a record of more than %d bytes", s.o, s.after, MaxRecord)
		}
		r = next
		r.Writer = strings.Repeat("w", 26)
	}
	return r
}

// Whatever is dropped and whatever the backend says, a record can be written, read
// back, and published.
func TestLargestRecordAndEvent(t *testing.T) {
	for _, c := range []string{"a", "<", "\u2028"} {
		t.Run(fmt.Sprintf("%q", c), func(t *testing.T) {
			r := largest(t, c)
			if r.State != job.Failed || len(r.Outbox) != 13 || len(r.Job.Trials) != job.MaxTrials || !r.Truncated {
				t.Errorf("state %s, %d events, %d trials, truncated %t", r.State, len(r.Outbox), len(r.Job.Trials), r.Truncated)
			}
			n := encoded(t, r)
			// Most of it is the job, whose size is the least of the bounds.
			if n > MaxRecord || n < maxAccepted*3/4 {
				t.Fatalf("the record has %d bytes, at most %d", n, MaxRecord)
			}
			largest := 0
			for _, e := range r.Outbox {
				m := encoded(t, e.Body)
				largest = max(largest, m)
				if m > job.MaxEvent || !e.Body.Truncated {
					t.Fatalf("%s has %d bytes, at most %d; truncated %t", e.Type, m, job.MaxEvent, e.Body.Truncated)
				}
				if diff := cmp.Diff(e.Body, e.Body.Bounded()); diff != "" {
					t.Errorf("%s bounded again (-before +after):\n%s", e.Type, diff)
				}
				for _, o := range append(e.Body.Drop.Arrived, e.Body.Drop.JobFile) {
					if len(o.CorrelationID) > correlationText {
						t.Errorf("%s has a correlation ID of %d bytes", e.Type, len(o.CorrelationID))
					}
				}
			}
			t.Logf("record %d bytes, largest event %d", n, largest)
			var back Record
			data, err := json.Marshal(r)
			if err == nil {
				err = json.Unmarshal(data, &back)
			}
			if err != nil || encoded(t, back) != n {
				t.Errorf("read back: %v", err)
			}
		})
	}
}

// Each verdict can be written, from any state.
func TestLargestVerdicts(t *testing.T) {
	long := strings.Repeat("\x01", 4<<10)
	vs := many(1000, job.Violation{File: long, Field: long, Found: long, Message: long, Remedy: long})
	full := Incomplete{Arrived: many(1000, job.Object{Name: long[:1024]}), Missing: many(101, long), Violations: vs,
		ReportAfter: time.Minute, ExpireAfter: time.Hour}
	for name, steps := range map[string][]step{
		"expired":   {{0, full}, {time.Minute, full}, {time.Hour, full}},
		"withdrawn": {{time.Minute, full}, {time.Hour, Withdraw{Reason: long, JobID: long}}},
		"rejected":  {{time.Minute, full}, {time.Hour, Reject{Reason: long, Violations: vs}}},
		"refused": {{time.Minute, full}, {time.Minute, accept(nil)}, {time.Minute, Refuse{
			Nonce: "n1", Failure: job.Failure{Code: long, Message: long + long}, Violations: vs,
		}}},
		"refused, with warnings": {{time.Minute, Accept{
			Spec: job.Spec{TrainingInput: &job.TrainingInput{}}, Warnings: vs, Claim: Claim{Until: at(time.Hour), Nonce: "n1"},
		}}, {time.Minute, Refuse{Nonce: "n1", Violations: vs}}},
	} {
		r, _ := play(t, steps...)
		if !r.State.Terminal() || !r.Truncated {
			t.Errorf("%s: state %s, truncated %t", name, r.State, r.Truncated)
		}
		if n := encoded(t, r); n > 2<<20 {
			t.Errorf("%s: the record has %d bytes", name, n)
		}
	}
}

func TestTruncated(t *testing.T) {
	arrived := func(n int) Incomplete {
		return Incomplete{Arrived: many(n, job.Object{Name: "a.whl", CorrelationID: "mine"}), Missing: []string{"b.whl"},
			ReportAfter: time.Hour, ExpireAfter: time.Hour}
	}
	some := arrived(101)
	for _, test := range []struct {
		name  string
		steps []step
		want  bool
	}{
		{"all fits", []step{{0, arrived(100)}}, false},
		{"too many packages", []step{{0, some}}, true},
		{"fewer packages later", []step{{0, some}, {1, arrived(2)}}, false},
		{"complete later", []step{{0, some}, {1, accept(nil)}}, false},
		{"held later", []step{{0, some}, {1, Hold{Until: at(time.Hour)}}}, false},
		{"rejected later", []step{{0, some}, {1, Reject{Violations: many(2, job.Violation{})}}}, false},
		{"withdrawn later", []step{{0, some}, {1, Withdraw{}}}, true},
		{"too much is missing", []step{{0, Incomplete{Missing: many(101, "a.whl"), ExpireAfter: time.Hour}}}, true},
		{"a long text", []step{{0, Reject{Reason: strings.Repeat("a", 2000)}}}, false},
		{"many violations", []step{{0, Reject{Violations: many(job.MaxViolations, job.Violation{Message: "m"})}}}, false},
		{"too many violations", []step{{0, Reject{Violations: many(job.MaxViolations+1, job.Violation{Message: "m"})}}},
			true},
		{"violations that are too long", []step{{0, Reject{Violations: many(100,
			job.Violation{Message: strings.Repeat("m", 1300), Remedy: strings.Repeat("m", 1300)})}}}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, _ := play(t, test.steps...)
			if r.Truncated != test.want || r.Snapshot().Truncated != test.want {
				t.Errorf("truncated: record %t, snapshot %t, want %t", r.Truncated, r.Snapshot().Truncated, test.want)
			}
			if len(r.Drop.Arrived) > 0 && r.Drop.Arrived[0].CorrelationID != "" {
				t.Error("a package has a correlation ID")
			}
			// The same again is not a news, though it is longer than what is kept.
			last := test.steps[len(test.steps)-1]
			if _, changed, err := Step(r, observed(last.o, at(last.after)), at(last.after)); changed || err != nil {
				t.Errorf("the same again: changed %t, %v", changed, err)
			}
		})
	}
}

// The record holds the whole receipt; events hold the first part of it.
func TestReceiptIsWhole(t *testing.T) {
	o := accept(nil)
	o.Receipt.Objects = append(o.Receipt.Objects, many(100, job.Object{Name: strings.Repeat("\x01", 1024),
		CorrelationID: "mine"})...)
	o.Receipt.Staged = many(100, strings.Repeat("\x01", 1024))
	before := fmt.Sprint(o.Receipt)
	r, _ := play(t, step{0, o})
	if len(r.Drop.Receipt.Objects) != 101 || len(r.Drop.Receipt.Staged) != 100 ||
		r.Drop.Receipt.Objects[0].CorrelationID == "" || r.Drop.Receipt.Objects[1].CorrelationID != "" {
		t.Errorf("the record has %d objects, %d copies", len(r.Drop.Receipt.Objects), len(r.Drop.Receipt.Staged))
	}
	if fmt.Sprint(o.Receipt) != before {
		t.Error("the observation was changed")
	}
	b := r.Outbox[0].Body
	if n := len(b.Drop.Receipt.Objects); n == 0 || n >= 101 || !b.Truncated || encoded(t, b) > 512<<10 {
		t.Errorf("the event has %d objects, truncated %t, in %d bytes", n, b.Truncated, encoded(t, b))
	}
}

// An attempt that is too large to be recorded is rejected.
func TestTooLargeToAccept(t *testing.T) {
	for name, change := range map[string]func(*Accept){
		"arguments": func(o *Accept) { o.Spec.TrainingInput.Args = many(100_000, strings.Repeat("a", 1<<20)) },
		"labels":    func(o *Accept) { o.Spec.Labels = map[string]string{"a": strings.Repeat("a", job.MaxLabels)} },
	} {
		o := accept(nil)
		change(&o)
		r, types := play(t, step{0, o})
		if r.State != job.Rejected || len(types) != 1 || types[0] != job.DropRejected || len(r.Violations) != 1 ||
			r.Violations[0].Rule != "job-size" || r.Violations[0].File != "job.yaml" || r.Spec != nil || r.Creating != nil {
			t.Errorf("%s: %s, %v, %v", name, r.State, types, r.Violations)
		}
	}
}

// Events of an earlier revision are shortened if a record would be too large.
func TestWithin(t *testing.T) {
	r, _ := play(t, step{0, accept(nil)}, step{1, backendJob(job.BackendRunning, 0, 0, -1)})
	for i := range r.Outbox {
		r.Outbox[i].Body.Drop.Receipt = &job.Receipt{Objects: many(900,
			job.Object{Name: "a", CorrelationID: strings.Repeat("<", 8<<10)})}
	}
	if n := encoded(t, r); n < MaxRecord {
		t.Fatalf("only %d bytes", n)
	}
	before := encoded(t, r)
	small, data, err := r.Within(MaxRecord)
	if err != nil || len(data) > MaxRecord || len(small.Outbox) != len(r.Outbox) || !small.Outbox[0].Body.Truncated {
		t.Errorf("%d bytes, %d of %d events, %v", len(data), len(small.Outbox), len(r.Outbox), err)
	}
	if encoded(t, r) != before {
		t.Error("the record was changed")
	}
	if _, _, err := r.Within(100); !errors.Is(err, job.ErrTooLarge) {
		t.Errorf("within 100 bytes: %v", err)
	}
}

// Whatever is dropped, its events fit into messages: attributes of 1,024 bytes, 10 MB in all.
func TestSnapshotsAreBounded(t *testing.T) {
	huge := strings.Repeat("é", 500_000)
	f := jobFile()
	f.CorrelationID = huge
	r := NewRecord(f, start)
	a := accept(nil)
	a.Spec.TrainingInput = &job.TrainingInput{PythonModule: huge, JobDir: huge, MasterType: huge,
		MasterConfig: &job.ReplicaConfig{ImageURI: huge}}
	failed := backendJob(job.BackendFailed, 0, 1, 2)
	failed.Message = huge
	for _, o := range []Observation{a, Seen(failed, start)} {
		var err error
		if r, _, err = Step(r, o, start); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.CorrelationID) > 256 {
		t.Errorf("correlation ID of %d bytes", len(r.CorrelationID))
	}
	for _, e := range r.Outbox {
		data, err := json.Marshal(e.Body)
		if err != nil || len(data) > 64<<10 {
			t.Errorf("%s has %d bytes, %v", e.Type, len(data), err)
		}
	}
}

// The size of a turn is at least that of its JSON.
func TestTurnSize(t *testing.T) {
	for _, text := range nasty {
		text = strings.Repeat(text, 100)
		turn := Turn{Attempt: text, Folder: text, At: start.Add(time.Nanosecond), Done: true}
		if n := encoded(t, turn); n > turn.Size() {
			t.Errorf("a turn of %q has %d bytes, and its size is %d", text[:4], n, turn.Size())
		}
	}
}
