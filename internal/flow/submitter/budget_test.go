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
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// gpuSpec is a job with four GPUs that runs for an hour at most: four accelerator hours.
const gpuSpec = `trainingInput:
  scaleTier: CUSTOM
  masterType: a2-highgpu-4g
  region: us-central1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
  pythonModule: trainer.task
  scheduling: {maxRunningTime: 3600s}
`

// cpuSpec is a job without accelerators.
var cpuSpec = strings.Replace(gpuSpec, "a2-highgpu-4g", "n1-standard-8", 1)

const budgetOf40 = "limits: {acceleratorHours: {per: month, most: 40}}"

// budgeted drops jobs with a spec into folders, and waits until the second day of the next month: tests that go on for
// hours stay within it.
func (w *world) budgeted(spec string, folders ...string) []job.Object {
	w.t.Helper()
	var files []job.Object
	for _, folder := range folders {
		w.put(folder+"/trainer-0.1.tar.gz", pkg(w.t, "hello"))
		f := w.put(folder+"/job.yaml", []byte("jobId: "+strings.ReplaceAll(folder, "/", "_")+"\n"+spec))
		w.wake(f)
		w.pass(time.Second)
		files = append(files, f)
	}
	w.nextMonth()
	return files
}

// replayed drops a job by a replay, since its file is weeks old by this clock.
func (w *world) replayed(spec, folder string) job.Object {
	w.t.Helper()
	w.put(folder+"/trainer-0.1.tar.gz", pkg(w.t, "hello"))
	f := w.put(folder+"/job.yaml", []byte("jobId: "+strings.ReplaceAll(folder, "/", "_")+"\n"+spec))
	if err := w.process().Replay(w.t.Context(), f); err != nil {
		w.t.Fatal(err)
	}
	return f
}

// nextMonth lets time pass until the second day of the next month.
func (w *world) nextMonth() {
	now := w.clock().UTC()
	w.pass(time.Date(now.Year(), now.Month()+1, 2, 0, 0, 0, 0, time.UTC).Sub(now))
}

func numbered(prefix string, n int) (folders []string) {
	for i := range n {
		folders = append(folders, fmt.Sprintf("%s/%02d", prefix, i))
	}
	return folders
}

// spending returns what the backend's own jobs with four GPUs take, in hours of one accelerator: what those that ended
// used, and the most that the others may.
func (w *world) spending() (hours float64, running int) {
	w.backend.mu.Lock()
	defer w.backend.mu.Unlock()
	for _, j := range w.backend.jobs {
		if j.Ended.IsZero() {
			running++
			hours += 4
		} else if !j.Started.IsZero() {
			hours += 4 * j.Ended.Sub(j.Started).Hours()
		}
	}
	return hours, running
}

// endAll lets the running jobs go on for a time and then succeed.
func (w *world) endAll(after time.Duration) {
	w.backend.mu.Lock()
	began := w.now
	for id, j := range w.backend.jobs {
		if j.Ended.IsZero() {
			j.State, j.Started = job.BackendRunning, began
			w.backend.jobs[id] = j
		}
	}
	w.backend.mu.Unlock()
	w.pass(after)
	w.backend.mu.Lock()
	defer w.backend.mu.Unlock()
	for id, j := range w.backend.jobs {
		if j.Ended.IsZero() {
			j.State, j.Ended = job.BackendSucceeded, began.Add(after)
			w.backend.jobs[id] = j
		}
	}
}

// turns reads the note of the turns as it is stored.
func (w *world) turns() (t attempt.Turns) {
	w.t.Helper()
	data, _, err := w.storage.Client.Read(w.t.Context(), "state", "turns.json", 0, attempt.MaxTurns)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := json.Unmarshal(data, &t); err != nil {
		w.t.Fatal(err)
	}
	return t
}

// Of fifty drops at once against a budget for ten, ten run. After they end early, the hours that they did not use come
// back, and more run.
func TestBudgetFiftyDrops(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator(budgetOf40)
	files := w.budgeted(gpuSpec, numbered("x", 50)...)
	if got := w.created(); len(got) != 0 {
		t.Fatalf("jobs before a tick: %q", got)
	}
	const first = "waiting for its turn: the job may take 4 accelerator hours, and at most 40 accelerator hours may be " +
		"used in a month"
	if told := w.topic.events[job.AttemptKey(files[0])][0].Body.Reason; told != first {
		t.Errorf("the event says %q, want %q", told, first)
	}
	want := 10 // and then each half an hour of four GPUs gives two hours back
	for round, more := range []int{0, 5, 2, 1, 1, 0, 0} {
		w.tick()
		w.tick()
		w.tick()
		want += more
		hours, running := w.spending()
		if got := len(w.created()); got != want || hours > 40 {
			t.Fatalf("round %d: %d jobs with %g hours, %d running, want %d jobs", round, got, hours, running, want)
		}
		if round == 0 {
			until := attempt.MonthEnd(w.clock()).Format(time.DateOnly)
			if got, want := w.status("x/49"), "waiting for 4 accelerator hours; 0 of 40 left until "+until; got != want {
				t.Errorf("status.json says %q, want %q", got, want)
			}
		}
		w.endAll(30 * time.Minute)
	}
	w.nextMonth()
	w.tick()
	w.tick()
	if got := len(w.created()) - want; got != 10 {
		t.Errorf("%d jobs in the next month, want 10", got)
	}
}

// However many ticks run at once, the budget holds, and in the end all hours that are left are used.
func TestBudgetOverlappingTicks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {acceleratorHours: {per: month, most: 14}}")
	folders := numbered("x", 12)
	files := w.budgeted(gpuSpec, folders...)
	for round := 0; len(w.created()) < len(folders); round++ {
		if round == 60 {
			t.Fatalf("%d jobs after %d rounds", len(w.created()), round)
		}
		w.crowd(round, files)
		if hours, running := w.spending(); hours > 14 || running > 3 {
			t.Fatalf("round %d: %g hours, %d running", round, hours, running)
		}
		if round%2 == 1 {
			w.endAll(time.Minute)
		}
		w.pass(time.Second)
	}
}

// A process that dies right after it reserved hours has given a turn: the next tick creates the job and reserves no
// more.
func TestBudgetCrashAfterReserving(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {acceleratorHours: {per: month, most: 8}}")
	w.budgeted(gpuSpec, numbered("x", 3)...)
	crashed := errors.New("the process died")
	before, after := w.storage.Before, w.storage.After
	w.overtake("write state/turns.json", false, func() {
		w.storage.Before = func(c storagetest.Call) error { return crashed }
	})
	if err := w.watch.Tick(t.Context()); !errors.Is(err, crashed) {
		t.Fatalf("tick: %v", err)
	}
	w.storage.Before, w.storage.After = before, after
	if got := w.created(); len(got) != 0 || len(w.turns().Given) != 2 {
		t.Fatalf("jobs %q, turns %+v: the process died elsewhere", got, w.turns().Given)
	}
	for range 3 {
		w.tick()
	}
	w.wantCreated("after the crash", "x_00", "x_01")
	for _, given := range w.turns().Given {
		if given.Seconds != 4*3600 {
			t.Errorf("%+v", given)
		}
	}
}

// An attempt that never ran gives all of its hours back: one that the backend refused, and one that somebody cancelled
// while its job waited.
func TestBudgetOfWhatNeverRan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {acceleratorHours: {per: month, most: 4}}")
	w.budgeted(gpuSpec, numbered("x", 3)...)
	w.backend.fail = &attempt.RefusedError{Code: "INVALID_ARGUMENT"}
	w.tick()
	w.backend.fail = nil
	w.tick()
	w.wantCreated("after a refusal", "x_01")
	w.backend.mu.Lock()
	j := w.backend.jobs["x_01"]
	j.State, j.Ended = job.BackendCancelled, w.now
	w.backend.jobs["x_01"] = j
	w.backend.mu.Unlock()
	w.tick()
	w.tick()
	w.wantCreated("after a cancel", "x_01", "x_02")
}

// What an attempt used counts once: however often ticks come, whoever wakes Submit for it again, and when its turn has
// left the note.
func TestBudgetSettlesOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {acceleratorHours: {per: month, most: 6}}")
	files := w.budgeted(gpuSpec, numbered("x", 2)...)
	w.tick()
	w.wantCreated("at first", "x_00")
	stale := w.turns()
	w.endAll(45 * time.Minute) // three of six hours
	w.tick()
	w.tick()
	given := w.turns().Given
	if len(given) != 1 || given[0].Seconds != 3*3600 || !given[0].Done {
		t.Fatalf("turns %+v", given)
	}
	until := attempt.MonthEnd(w.clock()).Format(time.DateOnly)
	wait := "waiting for 4 accelerator hours; 3 of 6 left until " + until
	if got := w.status("x/01"); got != wait {
		t.Errorf("status.json says %q, want %q", got, wait)
	}
	// A tick that began before it was settled can't settle it again.
	if err := w.ledger.GiveTurns(t.Context(), stale); !errors.Is(err, attempt.ErrStale) {
		t.Errorf("a stale note was written: %v", err)
	}
	for range 3 {
		w.pass(50 * time.Minute)
		w.wake(files[0])
		w.tick()
	}
	w.operator("limits: {acceleratorHours: {per: month, most: 7}}")
	w.tick()
	w.wantCreated("with an hour more", "x_00", "x_01")
	note := w.turns()
	want := []attempt.Spent{{Folders: "**", Month: attempt.Month(w.clock()), Seconds: 3 * 3600}}
	// The first turn is only left to keep the order of the prefixes.
	if diff := cmp.Diff(want, note.Spent); diff != "" || len(note.Given) != 2 || note.Given[0].Month != "" {
		t.Errorf("turns %+v, sums (-want +got):\n%s", note.Given, diff)
	}
	w.endAll(30 * time.Minute)
	for range 3 {
		w.tick()
		w.pass(50 * time.Minute)
	}
	w.budgetLeft("x/02", "2 of 7 left")
}

// budgetLeft drops one more job and checks what it is told to be left.
func (w *world) budgetLeft(folder, want string) {
	w.t.Helper()
	w.replayed(gpuSpec, folder)
	w.tick()
	if got := w.status(folder); !strings.Contains(got, want) {
		w.t.Errorf("status.json says %q, want %q", got, want)
	}
}

// Hours come back without anybody who waits for them.
func TestBudgetSettlesWhileNobodyWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator(budgetOf40)
	w.budgeted(gpuSpec, "a")
	w.tick()
	w.endAll(15 * time.Minute)
	w.tick()
	w.tick()
	if given := w.turns().Given; len(given) != 1 || !given[0].Done || given[0].Seconds != 3600 {
		t.Errorf("turns %+v", given)
	}
	w.storage.Reset()
	w.tick()
	if n := count(w.storage.Calls())["write state"]; n != 2 {
		t.Errorf("a tick with nothing to do writes %d objects of the state, want its cursors and its heartbeat:\n%s", n,
			names(w.storage.Calls()))
	}
}

// An attempt that the index has lost keeps its hours until it has its verdict.
func TestBudgetOfALostIndexEntry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {acceleratorHours: {per: month, most: 4}}")
	files := w.budgeted(gpuSpec, "a", "b")
	w.tick()
	w.wantCreated("at first", "a")
	if err := w.server.Client().Bucket("state").Object("open/" + job.AttemptKey(files[0])).Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.tick()
		w.pass(time.Minute)
	}
	w.wantCreated("while its job runs", "a")
	w.endAll(0)
	for range 4 {
		w.pass(10 * time.Minute)
		w.tick()
	}
	w.wantCreated("after its verdict", "a", "b")
}

// A process that was stopped writes to the index after the attempt has its verdict, so that it seems to wait. It gets no
// second turn, and what it used counts once.
func TestBudgetOfALateIndexWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {acceleratorHours: {per: month, most: 7}}")
	files := w.budgeted(gpuSpec, "a", "b")
	key := job.AttemptKey(files[0])
	entry, err := w.ledger.Entry(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	w.tick()
	w.wantCreated("at first", "a")
	w.endAll(15 * time.Minute)
	w.tick()
	w.wantCreated("then", "a", "b")
	w.pass(10 * time.Minute)
	if err := w.ledger.Restore(t.Context(), entry); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		w.tick()
		w.pass(time.Minute)
	}
	held := map[string]int64{}
	for _, given := range w.turns().Given {
		held[given.Attempt] += given.Seconds
	}
	want := map[string]int64{key: 3600, job.AttemptKey(files[1]): 4 * 3600}
	if diff := cmp.Diff(want, held); diff != "" || len(w.turns().Spent) > 0 {
		t.Errorf("turns (-want +got):\n%ssums %+v", diff, w.turns().Spent)
	}
}

// Nobody knows what a job used whose record was deleted: what was reserved for it counts.
func TestBudgetOfADeletedRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {acceleratorHours: {per: month, most: 4}}")
	files := w.budgeted(gpuSpec, "a", "b")
	w.tick()
	for _, name := range []string{"open/", "attempts/"} {
		name += job.AttemptKey(files[0])
		if strings.HasPrefix(name, "attempts/") {
			name += ".json"
		}
		if err := w.server.Client().Bucket("state").Object(name).Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.endAll(0)
	for range 3 {
		_ = w.watch.Tick(t.Context()) // it says that nobody follows the job
		w.pass(time.Minute)
	}
	w.wantCreated("in all", "a")
	if given := w.turns().Given; len(given) != 1 || given[0].Seconds != 4*3600 || !given[0].Done {
		t.Errorf("turns %+v", given)
	}
}

// A budget may refuse what it has too few hours for. A job that may take more than all of it is refused at once, and
// one without accelerators always runs.
func TestBudgetRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {acceleratorHours: {per: month, most: 6, over: refuse}}")
	files := w.budgeted(gpuSpec, "a", "b")
	w.tick()
	w.tick()
	w.wantCreated("at first", "a")
	large := w.replayed(strings.Replace(gpuSpec, "3600s", "7200s", 1), "large")
	w.want(large, job.Rejected, "the job may take more accelerator hours than the operator's policy has in a month", 1)
	until := attempt.MonthEnd(w.clock()).Format(time.DateOnly)
	r := w.record(files[1])
	const reason = "the job may take 4 accelerator hours, and the operator's policy refuses what is over its budget: " +
		"2 of 6 left until "
	if r.State != job.Rejected || r.Reason != reason+until || w.topic.of(r.Attempt) != "drop.accepted drop.rejected" {
		t.Errorf("state %s: %s, want %s; events %s", r.State, r.Reason, reason+until, w.topic.of(r.Attempt))
	}
	if got := violated(r); !slices.Contains(got, "policy-budget-spent") {
		t.Errorf("violations %q", got)
	}
	if remedy := r.Violations[len(r.Violations)-1].Remedy; !strings.HasPrefix(remedy, "write a shorter") {
		t.Errorf("two hours are left, and the remedy is %q", remedy)
	}
	if w.open() != 1 {
		t.Errorf("%d entries", w.open())
	}
}

// A job that runs on into the next month takes nothing of its hours.
func TestBudgetOfTheNextMonth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {acceleratorHours: {per: month, most: 4}}")
	w.budgeted(gpuSpec, "a", "b")
	w.tick()
	w.tick()
	w.wantCreated("in the first month", "a")
	w.nextMonth()
	w.tick()
	w.wantCreated("in the second", "a", "b")
}

// Where nothing is left, no shorter run helps.
func TestBudgetRemedyWhenNothingIsLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {acceleratorHours: {per: month, most: 4, over: refuse}}")
	files := w.budgeted(gpuSpec, "a", "b")
	w.tick()
	w.tick()
	r := w.record(files[1])
	if r.State != job.Rejected || len(r.Violations) == 0 {
		t.Fatalf("state %s, violations %v", r.State, r.Violations)
	}
	const want = "drop it again when other jobs gave hours back, or once the month is over, or ask the operator"
	if got := r.Violations[len(r.Violations)-1].Remedy; got != want {
		t.Errorf("the remedy is %q, want %q", got, want)
	}
}

// A revision gives no turns by the note of a newer one, and leaves it as it is: it would drop what it does not know.
func TestTurnsOfANewerRevision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator(budgetOf40)
	w.budgeted(gpuSpec, "a")
	const newer = `{"version":99,"given":[],"ofTomorrow":true}`
	generation, err := w.storage.Client.Write(t.Context(), "state", "turns.json", []byte(newer), "application/json", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.watch.Tick(t.Context()); !errors.Is(err, attempt.ErrNewerRecord) {
		t.Errorf("tick: %v, want it refused", err)
	}
	data, after, err := w.storage.Client.Read(t.Context(), "state", "turns.json", 0, attempt.MaxTurns)
	if err != nil || after != generation || string(data) != newer || len(w.created()) != 0 {
		t.Errorf("%s, %v, jobs %q: the older revision gave a turn", data, err, w.created())
	}
	if err := w.storage.Client.Delete(t.Context(), "state", "turns.json"); err != nil {
		t.Fatal(err)
	}
	w.tick()
	w.wantCreated("by its own note", "a")
	if got := w.turns().Version; got != attempt.TurnsVersion {
		t.Errorf("its own note has version %d", got)
	}
}

// A tick refuses nothing by turns that another has replaced since: what it would refuse may have a turn by now.
func TestBudgetRefusesByTheTurnsOfNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {acceleratorHours: {per: month, most: 4, over: refuse}}")
	w.budgeted(gpuSpec, "a")
	w.tick()
	w.wantCreated("at first", "a")
	key := job.AttemptKey(w.replayed(gpuSpec, "b"))
	has := func() bool {
		return slices.ContainsFunc(w.turns().Given, func(given attempt.Turn) bool { return given.Attempt == key })
	}
	// The first tick has seen that a runs. Then a ends, and the others die right after they gave b its turn.
	w.asked = func() {
		w.asked = nil
		w.endAll(0)
		before := w.storage.Before
		defer func() { w.storage.Before = before }()
		w.storage.Before = func(c storagetest.Call) error {
			if c.Kind == "write" && c.Name == "attempts/"+key+".json" {
				return errDead
			}
			return nil
		}
		for i := 0; i < 4 && !has(); i++ {
			_ = w.watch.Tick(t.Context())
		}
	}
	w.tick()
	if w.asked != nil || !has() {
		t.Fatalf("turns %+v: no tick overtook the first", w.turns().Given)
	}
	w.tick()
	w.wantCreated("in all", "a", "b")
}

// A job without accelerators waits for its turn and for no hours.
func TestBudgetOfProcessors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {acceleratorHours: {per: month, most: 4}}")
	w.budgeted(gpuSpec, "a", "b")
	w.tick()
	w.operator("limits: {acceleratorHours: {per: month, most: 2}}") // a has more than there is
	w.replayed(cpuSpec, "c")
	w.wantCreated("before a tick", "a")
	w.tick()
	w.wantCreated("in all", "a", "c")
	if got := w.status("b"); got != "waiting for 4 accelerator hours; the whole budget is 2, and the job waits until "+
		"the operator raises it" {
		t.Errorf("status.json says %q", got)
	}
}

// Of several budgets that cover a folder the most specific decides, and each counts all jobs of its folders.
func TestBudgetOfPrefixes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {acceleratorHours: {per: month, most: 12}}\nprefixes:\n" +
		"- {match: teams/nlp/**, limits: {acceleratorHours: {per: month, most: 8}}}\n")
	w.budgeted(gpuSpec, "teams/nlp/a", "teams/nlp/b", "teams/nlp/c", "teams/cv/d", "teams/cv/e")
	w.tick()
	w.tick()
	created := w.created()
	slices.Sort(created)
	if diff := cmp.Diff([]string{"teams_cv_d", "teams_nlp_a", "teams_nlp_b"}, created); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
	until := attempt.MonthEnd(w.clock()).Format(time.DateOnly)
	for folder, want := range map[string]string{
		"teams/nlp/c": "waiting for 4 accelerator hours; 0 of 8 of teams/nlp/** left until " + until,
		"teams/cv/e":  "waiting for 4 accelerator hours; 0 of 12 left until " + until,
	} {
		if got := w.status(folder); got != want {
			t.Errorf("%s: %q, want %q", folder, got, want)
		}
	}
}

// forget lets objects of an attempt look as if an earlier revision, which knew no budgets, had written them.
func (w *world) forget(names ...string) {
	w.t.Helper()
	for _, name := range names {
		o := w.server.Client().Bucket("state").Object(name)
		attributes, err := o.Attrs(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		data, _, err := w.storage.Client.Read(w.t.Context(), "state", name, 0, attempt.MaxRecord)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(data) > 0 {
			var record map[string]any
			if err := json.Unmarshal(data, &record); err != nil {
				w.t.Fatal(err)
			}
			delete(record, "acceleratorSeconds")
			if data, err = json.Marshal(record); err != nil {
				w.t.Fatal(err)
			}
		}
		delete(attributes.Metadata, "needs")
		writer := o.NewWriter(w.t.Context())
		writer.Metadata = attributes.Metadata
		if _, err := writer.Write(data); err != nil {
			w.t.Fatal(err)
		}
		if err := writer.Close(); err != nil {
			w.t.Fatal(err)
		}
	}
}

// recordsRead counts the records that were read.
func (w *world) recordsRead() (n int) {
	for _, c := range w.storage.Calls() {
		if c.Kind == "read" && strings.HasPrefix(c.Name, "attempts/") {
			n++
		}
	}
	return n
}

// Drops that an earlier revision accepted are measured by their records: once, within the time that there is, and if
// there is a budget for them.
func TestBudgetOfAnEarlierRevision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("pause: true")
	files := w.budgeted(gpuSpec, "x/a", "x/b", "x/c", "y/d", "y/e")
	for _, f := range files {
		w.forget("open/"+job.AttemptKey(f), "attempts/"+job.AttemptKey(f)+".json")
	}
	w.operator("prefixes:\n- {match: x/**, limits: {acceleratorHours: {per: month, most: 4}}}\n" +
		"- {match: y/**, limits: {activeJobs: 1}}\n")
	backlog := attempt.NewBacklog(attempt.Turns{}, w.clock())
	if err := w.ledger.Entries(t.Context(), "", func(page []attempt.Entry) error {
		for _, e := range page {
			backlog.Add(e)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	w.storage.Reset()
	if _, err := w.process().Admit(t.Context(), backlog, w.clock()); err != nil || w.recordsRead() > 0 {
		t.Errorf("without time %d records were read, %v", w.recordsRead(), err)
	}
	w.tick()
	w.wantCreated("in all", "x_a", "y_d")
	w.forget("open/" + job.AttemptKey(files[2])) // as if that revision ran once more
	w.tick()
	for _, f := range files[1:3] {
		entry, err := w.ledger.Entry(t.Context(), job.AttemptKey(f))
		if err != nil || entry.Needs != 4*3600 {
			t.Errorf("the index says %d of %s, %v", entry.Needs, f.Name, err)
		}
	}
	if r := w.record(files[1]); r.AcceleratorSeconds == nil || *r.AcceleratorSeconds != 4*3600 {
		t.Errorf("the record says %v", r.AcceleratorSeconds)
	}
	if r := w.record(files[4]); r.AcceleratorSeconds != nil {
		t.Errorf("without a budget the record says %d", *r.AcceleratorSeconds)
	}
	w.storage.Reset()
	w.tick()
	if n := w.recordsRead(); n > 0 {
		t.Errorf("a tick with nothing to do reads %d records:\n%s", n, names(w.storage.Calls()))
	}
}

// Each job that starts or ends changes what is left. The note of the queue says so for all that wait, and the records
// of those in front.
func TestBudgetWritesFewReasons(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("limits: {acceleratorHours: {per: month, most: 7}}")
	w.budgeted(gpuSpec, numbered("x", 31)...)
	w.tick()
	w.wantCreated("at first", "x_00")
	w.endAll(30 * time.Minute)
	w.storage.Reset()
	w.tick()
	w.wantCreated("then", "x_00", "x_01")
	written := 0
	for _, c := range w.storage.Calls() {
		if strings.HasPrefix(c.Name, "attempts/") && c.Kind == "write" {
			written++
		}
	}
	if written != 23 {
		t.Errorf("%d records were written, want 20, the verdict, and two for the job that was created", written)
	}
	reader, err := ledger.NewReader(w.storage.Client, "state")
	if err != nil {
		t.Fatal(err)
	}
	q, err := reader.Queue(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range q.Waiting {
		if !strings.HasPrefix(p.Reason, "waiting for 4 accelerator hours; 1 of 7 left until ") {
			t.Errorf("place %d: %s", p.Place, p.Reason)
		}
	}
	if q.Total != 29 {
		t.Errorf("%d wait", q.Total)
	}
}
