package submitter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/submitter"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

const happy = "drop.accepted job.submitted job.queued job.running job.succeeded"

// Both orders of arrival give the same job.
func TestSubmitInEitherOrder(t *testing.T) {
	t.Parallel()
	var specs []job.Spec
	for _, first := range []string{"package", "job file"} {
		t.Run(first+" first", func(t *testing.T) {
			w := newWorld(t)
			var p, f job.Object
			if first == "package" {
				p = w.put("hello/trainer-0.1.tar.gz", pkg(t, "hello"))
				w.wake(p)
				f = w.put("hello/job.yaml", []byte(spec))
				w.wake(f)
			} else {
				f = w.put("hello/job.yaml", []byte(spec))
				w.wake(f)
				if r := w.record(f); r.State != job.Waiting || len(r.Drop.Missing) != 1 {
					t.Errorf("without its package the attempt is %s, missing %v", r.State, r.Drop.Missing)
				}
				p = w.put("hello/trainer-0.1.tar.gz", pkg(t, "hello"))
				w.wake(p)
			}
			if len(w.backend.specs) != 1 {
				t.Fatalf("%d jobs, want 1", len(w.backend.specs))
			}
			s := w.backend.specs[0]
			wantURI := fmt.Sprintf("gs://staging/%s/%d/trainer-0.1.tar.gz", job.AttemptKey(f), p.Generation)
			if diff := cmp.Diff([]string{wantURI}, s.TrainingInput.PackageURIs); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
			w.backend.finish()
			w.tick()
			if got := w.topic.of(job.AttemptKey(f)); got != happy {
				t.Errorf("events are %q, want %q", got, happy)
			}
			if w.open() != 0 {
				t.Errorf("%d entries are left on the index", w.open())
			}
			// Generations and times differ by nature.
			s.JobID, s.Labels[job.LabelAttempt], s.TrainingInput.PackageURIs = "", "", nil
			specs = append(specs, s)
		})
	}
	if diff := cmp.Diff(specs[0], specs[1]); diff != "" {
		t.Errorf("the jobs differ:\n%s", diff)
	}
}

// Each event is delivered five times at once, and again where another delivery is at work on the
// drop. That makes one job, and each lifecycle event is published once.
func TestSubmitManyDeliveries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.put("hello/trainer-0.1.tar.gz", pkg(t, "hello"))
	f := w.put("hello/job.yaml", []byte(spec))
	var group sync.WaitGroup
	for range 5 {
		for _, o := range []job.Object{p, f} {
			group.Go(func() {
				err := w.submit.Submit(t.Context(), o)
				for attempt.Contended(err) {
					err = w.submit.Submit(t.Context(), o)
				}
				if err != nil {
					t.Errorf("Submit(%s): %v", o.Name, err)
				}
			})
		}
	}
	group.Wait()
	w.tick()
	w.backend.finish()
	w.tick()
	w.wake(f) // late
	if len(w.backend.specs) != 1 {
		t.Errorf("%d jobs, want 1", len(w.backend.specs))
	}
	if got := w.topic.of(job.AttemptKey(f)); got != happy || w.topic.repeated != 0 {
		t.Errorf("events are %q, %d of them twice, want %q once", got, w.topic.repeated, happy)
	}
}

// The process dies at each of its remote calls in turn, before and after the call's effect.
// Redelivery and ticks bring every attempt to one job and one verdict, and publish every event in
// order.
func TestSubmitSurvivesACrashAtEveryCall(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after: %t", after), func(t *testing.T) {
			t.Parallel()
			for dieAt := 1; ; dieAt++ {
				w := newWorld(t)
				p := w.put("hello/trainer-0.1.tar.gz", pkg(t, "hello"))
				f := w.put("hello/job.yaml", []byte(spec))
				w.dieAt, w.after = dieAt, after
				deliver := func() error {
					return errors.Join(w.submit.Submit(t.Context(), p), w.submit.Submit(t.Context(), f))
				}
				crashed := deliver() != nil
				if !crashed && w.dead {
					t.Errorf("death at call %d (after: %t) was answered as success", dieAt, after)
				}
				// The dead process's claim must end first.
				w.restart()
				w.pass(2 * time.Minute)
				if dieAt%2 == 0 { // half of the time only ticks come
					if err := deliver(); err != nil {
						t.Fatalf("redelivery after death at call %d (after: %t): %v", dieAt, after, err)
					}
				} else if w.open() == 0 {
					w.wake(f) // died before anything was written: Eventarc delivers again
				}
				w.tick()
				w.tick()
				w.backend.finish()
				w.tick()
				w.tick()
				if len(w.backend.specs) != 1 {
					t.Errorf("death at call %d (after: %t): %d jobs, want 1", dieAt, after, len(w.backend.specs))
				}
				r := w.record(f)
				if got := w.topic.of(r.Attempt); r.State != job.Succeeded || !strings.HasSuffix(got, "job.running job.succeeded") {
					t.Errorf("death at call %d (after: %t): state %s, events %q", dieAt, after, r.State, got)
				}
				if w.open() != 0 {
					t.Errorf("death at call %d (after: %t): %d entries are left on the index", dieAt, after, w.open())
				}
				if !crashed {
					if dieAt < 10 {
						t.Errorf("only %d calls: the deaths were not injected", dieAt)
					}
					break
				}
			}
		})
	}
}

// The remote calls of a drop of two objects, package first, up to job.submitted.
func TestSubmitCalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.storage.Reset()
	w.wake(w.put("hello/trainer-0.1.tar.gz", pkg(t, "hello")))
	w.wake(w.put("hello/job.yaml", []byte(spec)))
	calls := w.storage.Calls()
	want := map[string]int{
		"list inbox": 2, "read inbox": 2, "read state": 2,
		"copy staging": 1, "write state": 7, "write status": 2,
	}
	if diff := cmp.Diff(want, count(calls)); diff != "" {
		t.Errorf("calls (-want +got):\n%s%s", diff, names(calls))
	}
	if w.topic.requests != 1 || len(w.backend.specs) != 1 {
		t.Errorf("%d publish requests, %d creates; want 1 of each", w.topic.requests, len(w.backend.specs))
	}
}

func TestSubmitIgnores(t *testing.T) {
	w := newWorld(t)
	for _, o := range []job.Object{
		{Bucket: inbox, Name: "hello/", Size: 1}, {Bucket: inbox, Name: "hello/job.yaml", Size: 0},
		{Bucket: inbox, Name: "hello/data.csv", Size: 9}, {Bucket: inbox, Name: "hello/status.json", Size: 9},
		{Bucket: "staging", Name: "x/1/trainer.tar.gz", Size: 9},
	} {
		w.wake(o)
	}
	if n := len(w.storage.Calls()); n != 0 {
		t.Errorf("%d remote calls for objects that are not part of a drop", n)
	}
	w.wake(w.put("hello/trainer-0.1.tar.gz", pkg(t, "hello")))
	if w.open() != 0 {
		t.Error("a package alone was made an attempt")
	}
}

// A job file that is too much to read is rejected with a violation: it would be too much the next
// time, too.
func TestSubmitRejectsWhatIsTooMuch(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ file, rule string }{
		"empty values behind aliases": {
			"trainingInput:\n  hyperparameters:\n    params:\n    - &a {discreteValues: [" + strings.Repeat("1,", 10_000) +
				"]}\n" + strings.Repeat("    - *a\n", 200), "file-nodes",
		},
		"a mapping that merges itself": {spec + "labels: &a {<<: [" + strings.Repeat("*a,", 10_000) + "]}\n", "merge"},
		"too many parts":               {spec + "labels: {" + strings.Repeat("a,", 100_000) + "}\n", "file-nodes"},
		"too large":                    {spec + strings.Repeat("#", jobspec.MaxSize), "file-size"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.wake(w.put("bad/trainer-0.1.tar.gz", pkg(t, "hello")))
			f := w.put("bad/job.yaml", []byte(test.file))
			w.wake(f)
			r := w.record(f)
			if r.State != job.Rejected || !slices.Contains(violated(r), test.rule) || w.topic.of(r.Attempt) != "drop.rejected" ||
				w.open() != 0 {
				t.Errorf("state %s, violations %v, events %q, %d open", r.State, r.Violations, w.topic.of(r.Attempt), w.open())
			}
		})
	}
}

// The end of the caller's time is not a verdict: the next caller decides.
func TestSubmitOutOfTime(t *testing.T) {
	w := newWorld(t)
	w.wake(w.put("hello/trainer-0.1.tar.gz", pkg(t, "hello")))
	f := w.put("hello/job.yaml", []byte(spec))
	ctx, cancel := context.WithCancel(t.Context())
	w.storage.Before = func(c storagetest.Call) error {
		if c.Kind == "read" && strings.HasPrefix(c.Name, "attempts/") {
			cancel() // before anything says that somebody decides
		}
		return nil
	}
	if err := w.submit.Submit(ctx, f); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
	w.storage.Before = nil
	if _, err := w.ledger.Get(t.Context(), job.AttemptKey(f)); !errors.Is(err, job.ErrNotFound) {
		t.Errorf("the record: %v, want none", err)
	}
	w.wake(f)
	if r := w.record(f); r.State != job.Submitted {
		t.Errorf("state %s: %s", r.State, r.Reason)
	}
}

func TestSubmitRejects(t *testing.T) {
	w := newWorld(t)
	w.wake(w.put("bad/trainer-0.1.tar.gz", pkg(t, "hello")))
	f := w.put("bad/job.yaml", []byte(strings.ReplaceAll(spec, "trainer.task", "trainer.other")+
		"  serviceAccount: a@b.iam.gserviceaccount.com\n"))
	w.wake(f)
	r := w.record(f)
	if r.State != job.Rejected || w.topic.of(r.Attempt) != "drop.rejected" {
		t.Errorf("state %s, events %q", r.State, w.topic.of(r.Attempt))
	}
	if diff := cmp.Diff([]string{"policy-service-account", "python-module-in-package"}, violated(r)); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
	if len(w.backend.specs) != 0 || w.open() != 0 {
		t.Errorf("%d jobs, %d entries left", len(w.backend.specs), w.open())
	}
}

// What was checked is what runs. A package that is overwritten after acceptance changes nothing.
func TestSubmitPinsPackages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.backend.fail = job.ErrQuota // accepted, but not created yet
	w.wake(w.put("hello/trainer-0.1.tar.gz", pkg(t, "hello")))
	f := w.put("hello/job.yaml", []byte(spec))
	w.wake(f)
	if r := w.record(f); r.State != job.Accepted || !strings.Contains(r.Reason, "quota") {
		t.Fatalf("state %s: %s", r.State, r.Reason)
	}
	w.wake(w.put("hello/trainer-0.1.tar.gz", pkg(t, "fails")))
	w.backend.fail = nil
	w.pass(time.Minute)
	w.tick()
	if len(w.backend.specs) != 1 {
		t.Fatalf("%d jobs, want 1", len(w.backend.specs))
	}
	uri := w.backend.specs[0].TrainingInput.PackageURIs[0]
	staged, err := w.storage.Open(t.Context(), "staging", strings.TrimPrefix(uri, "gs://staging/"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer staged.Close()
	if data, _ := io.ReadAll(staged); string(data) != string(pkg(t, "hello")) {
		t.Error("the backend was given another package than the one that was checked")
	}
}

// upload is one object of a re-drop, and how long after the previous one it comes.
type upload struct {
	name, content string
	after         time.Duration
}

// The same folder is used twice. What was uploaded with a job file runs, in either order, at once
// or with the package on its way. Packages are named by their drop in testdata, job files by their
// text.
func TestSubmitUsedTwice(t *testing.T) {
	t.Parallel()
	const (
		file    = "d/job.yaml"
		tarball = "d/trainer-0.1.tar.gz"
		again   = spec + "  args: [again]\n"
		broken  = "trainingInput: ["
	)
	region := strings.Replace(spec, "us-central1", "mars", 1)
	tests := []struct {
		name          string
		first, second []upload
		// held reports whether the second attempt is held once all is uploaded. runs is the
		// package that it runs in the end; empty means none.
		held  bool
		runs  string
		state job.State
	}{
		{
			name:   "the job file first, both times",
			first:  []upload{{file, spec, 0}, {tarball, "hello", 0}},
			second: []upload{{file, again, time.Second}, {tarball, "train", 5 * time.Second}},
			runs:   "train", state: job.Submitted,
		},
		{
			name:   "the package first, both times",
			first:  []upload{{tarball, "hello", 0}, {file, spec, 0}},
			second: []upload{{tarball, "train", time.Second}, {file, again, 5 * time.Second}},
			runs:   "train", state: job.Submitted,
		},
		{
			name:   "the package first, then the job file first",
			first:  []upload{{tarball, "hello", 0}, {file, spec, 0}},
			second: []upload{{file, spec, time.Second}, {tarball, "train", 50 * time.Second}},
			runs:   "train", state: job.Submitted,
		},
		{
			name:   "the job file alone",
			first:  []upload{{file, spec, 0}, {tarball, "hello", 0}},
			second: []upload{{file, again, time.Second}},
			held:   true, runs: "hello", state: job.Submitted,
		},
		{
			name:   "the package after the patience",
			first:  []upload{{file, spec, 0}, {tarball, "hello", 0}},
			second: []upload{{file, again, time.Second}, {tarball, "train", 2 * settle}},
			runs:   "hello", state: job.Submitted,
		},
		{
			name:   "the first was rejected for its package",
			first:  []upload{{file, spec, 0}, {tarball, "rejected-traversal", 0}},
			second: []upload{{file, spec, time.Second}, {tarball, "train", time.Second}},
			runs:   "train", state: job.Submitted,
		},
		{
			name:   "a faulty package again",
			first:  []upload{{file, spec, 0}, {tarball, "rejected-traversal", 0}},
			second: []upload{{file, spec, time.Second}},
			held:   true, state: job.Rejected,
		},
		{
			name:   "the first could not be read",
			first:  []upload{{tarball, "hello", 0}, {file, broken, 0}},
			second: []upload{{file, spec, time.Second}, {tarball, "train", time.Second}},
			runs:   "train", state: job.Submitted,
		},
		{
			name:   "only the region is mended",
			first:  []upload{{tarball, "hello", 0}, {file, region, 0}},
			second: []upload{{file, spec, time.Second}},
			held:   true, runs: "hello", state: job.Submitted,
		},
		{
			name:   "a fault that no package can change",
			first:  []upload{{tarball, "hello", 0}, {file, spec, 0}},
			second: []upload{{file, region, time.Second}},
			state:  job.Rejected,
		},
		{
			name:   "the first never had its package",
			first:  []upload{{file, spec, 0}},
			second: []upload{{file, again, time.Second}, {tarball, "hello", time.Second}},
			runs:   "hello", state: job.Submitted,
		},
		{
			name: "a duplicate, and then a new one",
			first: []upload{{tarball, "hello", 0}, {file, "jobId: one\n" + spec, 0}, {tarball, "hello", 0},
				{file, "jobId: one\n" + spec, 0}},
			second: []upload{{file, "jobId: two\n" + spec, time.Second}, {tarball, "train", time.Second}},
			runs:   "train", state: job.Submitted,
		},
		{
			name:  "another name",
			first: []upload{{tarball, "hello", 0}, {file, spec, 0}},
			second: []upload{{file, spec + "  packageUris: [trainer-0.2.tar.gz]\n", time.Second},
				{"d/trainer-0.2.tar.gz", "train", time.Second}},
			runs: "train", state: job.Submitted,
		},
		{
			name:  "one of two is old",
			first: []upload{{tarball, "hello", 0}, {file, spec, 0}},
			second: []upload{{"d/trainer-0.2.tar.gz", "train", time.Second},
				{file, spec + "  packageUris: [trainer-0.1.tar.gz, trainer-0.2.tar.gz]\n", time.Second}},
			held: true, runs: "hello", state: job.Submitted,
		},
		{
			name: "a package that no attempt had",
			first: []upload{{tarball, "hello", 0}, {"d/trainer-0.2.tar.gz", "train", 0},
				{file, spec + "  packageUris: [trainer-0.1.tar.gz]\n", 0}},
			second: []upload{{file, spec + "  packageUris: [trainer-0.2.tar.gz]\n", time.Second}},
			runs:   "train", state: job.Submitted,
		},
		{
			name:  "a container job",
			first: []upload{{tarball, "hello", 0}, {file, spec, 0}},
			second: []upload{{file, "trainingInput: {region: us-central1, scaleTier: CUSTOM, masterType: n1-standard-4, " +
				"masterConfig: {imageUri: 'gcr.io/project/x'}}\n", time.Second}},
			state: job.Submitted,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			var f job.Object
			generations := map[string]int64{} // the newest of each drop of testdata
			upload := func(u upload) {
				w.pass(u.after)
				w.tick()
				data := []byte(u.content)
				if u.name != file {
					data = pkg(t, u.content)
				}
				o := w.put(u.name, data)
				if u.name == file {
					f = o
				} else {
					generations[u.content] = o.Generation
				}
				w.wake(o)
			}
			for _, u := range test.first {
				upload(u)
			}
			for _, u := range test.second {
				upload(u)
			}
			if r := w.record(f); (r.State == job.Held) != test.held {
				t.Errorf("state %s: %s; want it held: %t", r.State, r.Reason, test.held)
			}
			w.pass(settle + time.Second)
			w.tick()
			r := w.record(f)
			if r.State != test.state {
				t.Fatalf("state %s: %s; want %s", r.State, r.Reason, test.state)
			}
			if test.runs != "" && r.Drop.Receipt.Objects[1].Generation != generations[test.runs] {
				t.Errorf("runs %+v; want %s, generation %d", r.Drop.Receipt.Objects, test.runs, generations[test.runs])
			}
		})
	}
}

// A drop that waits for one package is told that another is there from before, and from
// when on it is taken as it is.
func TestSubmitWaitTellsOfPackagesOfBefore(t *testing.T) {
	t.Parallel()
	const two = spec + "  packageUris: [trainer-0.1.tar.gz, trainer-0.2.tar.gz]\n"
	w := newWorld(t)
	w.put("d/trainer-0.1.tar.gz", pkg(t, "hello"))
	w.wake(w.put("d/job.yaml", []byte(spec)))
	again := w.put("d/job.yaml", []byte(two))
	w.wake(again)
	r := w.record(again)
	until := r.Times.Dropped.Add(settle)
	want := "already had trainer-0.1.tar.gz: if that changes, too, upload it first, since from " + until.UTC().Format(time.RFC3339) + " on"
	if r.State != job.Waiting || !strings.Contains(r.Reason, want) || !r.Deadlines.Held.Equal(until) {
		t.Errorf("state %s: %s, held until %s; want %s, %q, %s", r.State, r.Reason, r.Deadlines.Held, job.Waiting, want, until)
	}
	if told := w.status("d"); !strings.Contains(told, want) {
		t.Errorf("status.json says %q; want %q", told, want)
	}
	w.wake(w.put("d/trainer-0.1.tar.gz", pkg(t, "hello")))
	if r := w.record(again); r.State != job.Waiting || strings.Contains(r.Reason, "already had") || !r.Deadlines.Held.IsZero() {
		t.Errorf("with a new package: state %s: %s, held until %s", r.State, r.Reason, r.Deadlines.Held)
	}
	w.pass(2 * settle)
	w.wake(w.put("d/trainer-0.2.tar.gz", pkg(t, "train")))
	w.want(again, job.Submitted, "", 2)
}

// Of a job file that no package mends, or that pins what is there, nothing is waited for.
func TestSubmitWaitIsForWhatIsMissingAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.put("d/trainer-0.1.tar.gz", pkg(t, "hello"))
	w.wake(w.put("d/job.yaml", []byte(spec)))
	const two = "  packageUris: [trainer-0.1.tar.gz, trainer-0.2.tar.gz]\n"
	for _, file := range []string{
		strings.Replace(spec, "us-central1", "mars", 1) + two,
		spec + two + fmt.Sprintf("jobdrop: {packages: [{name: trainer-0.1.tar.gz, generation: %d}]}\n", p.Generation),
	} {
		f := w.put("d/job.yaml", []byte(file))
		w.wake(f)
		if r := w.record(f); r.State != job.Waiting || strings.Contains(r.Reason, "already had") || !r.Deadlines.Held.IsZero() {
			t.Errorf("%s: state %s: %s, held until %s", file, r.State, r.Reason, r.Deadlines.Held)
		}
	}
}

// A hold says until when, for what, and how to go on; a pin as it says goes on at once.
func TestSubmitHoldIsTold(t *testing.T) {
	w := newWorld(t)
	p := w.put("d/trainer-0.1.tar.gz", pkg(t, "hello"))
	w.wake(w.put("d/job.yaml", []byte(spec)))
	again := w.put("d/job.yaml", []byte(spec))
	w.wake(again)
	r := w.record(again)
	want := []string{"trainer-0.1.tar.gz", r.Deadlines.Held.Format(time.RFC3339), "upload the new package",
		fmt.Sprintf("jobdrop: {packages: [{name: \"trainer-0.1.tar.gz\", generation: %d}]}", p.Generation)}
	for _, text := range want {
		if !strings.Contains(r.Reason, text) {
			t.Errorf("reason %q does not say %q", r.Reason, text)
		}
	}
	w.backend.finish()
	w.tick()
	pinned := w.put("d/job.yaml", []byte(spec+want[3]+"\n"))
	w.wake(pinned)
	if r := w.record(pinned); r.State != job.Submitted {
		t.Errorf("pinned: %s: %s", r.State, r.Reason)
	}
}

// Two job files come a moment apart. When the second is decided, a worker is between the
// inspection of the first and its entry in the folder's note, or between that and the record. At
// most one attempt is decided with the package.
func TestSubmitOvertaken(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"write state/folders/", "write state/attempts/"} {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, before %t", step, before), func(t *testing.T) {
				w := newWorld(t)
				w.put("d/trainer-0.1.tar.gz", pkg(t, "hello"))
				first := w.put("d/job.yaml", []byte(spec))
				var second job.Object
				w.overtake(step, before, func() {
					second = w.put("d/job.yaml", []byte(spec+"  args: [second]\n"))
					w.wake(second)
				})
				w.wake(first)
				ran := 0
				for _, f := range []job.Object{first, second} {
					if r := w.record(f); r.Drop.Receipt != nil {
						ran++
					} else if r.State != job.Held && r.State != job.Withdrawn {
						t.Errorf("attempt of generation %d is %s: %s", f.Generation, r.State, r.Reason)
					}
				}
				if ran != 1 {
					t.Errorf("the package was accepted %d times", ran)
				}
			})
		}
	}
}

// A worker lists the folder before the new package comes. It goes on after another worker entered
// the attempt with that package and died. The inbox keeps versions, as an installation's does, so
// yesterday's package can still be read.
func TestSubmitByAListThatIsLate(t *testing.T) {
	t.Parallel()
	client, server := storagetest.Versioned(t, inbox, "state", "staging", "status")
	w := newWorldOver(t, client, server)
	w.wake(w.put("d/trainer-0.1.tar.gz", pkg(t, "hello")))
	w.wake(w.put("d/job.yaml", []byte(spec)))
	f := w.put("d/job.yaml", []byte(spec+"  args: [again]\n"))
	record := "attempts/" + job.AttemptKey(f) + ".json"
	var today job.Object
	w.overtake("list", false, func() {
		today = w.put("d/trainer-0.1.tar.gz", pkg(t, "train"))
		w.storage.Before = func(c storagetest.Call) error {
			if c.Kind == "write" && c.Name == record {
				return errDead // between the note and the record
			}
			return nil
		}
		if err := w.process().Submit(t.Context(), today); !errors.Is(err, errDead) {
			t.Errorf("the other worker: %v, want it dead", err)
		}
		w.storage.Before = nil
	})
	if err := w.submit.Submit(t.Context(), f); !attempt.Left(err) {
		t.Errorf("Submit: %v, want that the drop is left to the other worker", err)
	}
	w.tick()
	if r := w.record(f); r.State != job.Submitted || r.Drop.Receipt.Objects[1].Generation != today.Generation {
		t.Errorf("state %s: %s, runs %+v; want generation %d", r.State, r.Reason, r.Drop.Receipt, today.Generation)
	}
}

// The new package comes in time, while a worker looks at the folder. The worker goes on after the
// patience. Yesterday's package can still be read, as in an installation's inbox.
func TestSubmitPatienceEndsDuringTheVisit(t *testing.T) {
	t.Parallel()
	client, server := storagetest.Versioned(t, inbox, "state", "staging", "status")
	w := newWorldOver(t, client, server)
	w.wake(w.put("d/trainer-0.1.tar.gz", pkg(t, "hello")))
	w.wake(w.put("d/job.yaml", []byte(spec)))
	f := w.put("d/job.yaml", []byte(spec+"  args: [again]\n"))
	var today job.Object
	w.storage.Before = func(c storagetest.Call) error {
		if c.Kind == "read" && c.Name == "attempts/"+job.AttemptKey(f)+".json" && today.Generation == 0 {
			today = w.put("d/trainer-0.1.tar.gz", pkg(t, "train"))
			w.pass(settle + time.Second)
		}
		return nil
	}
	w.wake(f)
	if r := w.record(f); r.State != job.Submitted || r.Drop.Receipt.Objects[1].Generation != today.Generation {
		t.Errorf("state %s: %s, runs %+v; want generation %d", r.State, r.Reason, r.Drop.Receipt, today.Generation)
	}
}

// Yesterday's package is larger than the policy allows, and today's is not. The violation is
// reported only once nothing new may come any more.
func TestSubmitHoldsWhatAPackageMends(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	small, large := pkg(t, "hello"), pkg(t, "train")
	if len(small) > len(large) {
		small, large = large, small
	}
	w.operator(fmt.Sprintf("limits: {packageBytes: %d}", len(large)-1))
	w.put("d/trainer-0.1.tar.gz", large)
	first := w.put("d/job.yaml", []byte(spec))
	w.wake(first)
	if r := w.record(first); r.State != job.Rejected {
		t.Fatalf("state %s: %s, want it rejected", r.State, r.Reason)
	}
	again := w.put("d/job.yaml", []byte(spec))
	w.wake(again)
	w.wake(w.put("d/trainer-0.1.tar.gz", small))
	if r := w.record(again); r.State != job.Submitted {
		t.Errorf("state %s: %s %v", r.State, r.Reason, violated(r))
	}
}

// What a hold says follows the folder, and its pins can be pasted.
func TestSubmitHoldFollowsTheFolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := []string{"a.tar.gz", "b.tar.gz", "c.tar.gz", "d.tar.gz"}
	text := spec + "  packageUris: [" + strings.Join(names, ", ") + "]\n"
	for _, name := range names {
		w.put("d/"+name, pkg(t, "hello"))
	}
	w.wake(w.put("d/job.yaml", []byte(text)))
	again := w.put("d/job.yaml", []byte(text))
	w.wake(again)
	if r := w.record(again); !strings.Contains(r.Reason, "a.tar.gz, b.tar.gz, c.tar.gz and 1 more") ||
		!strings.Contains(r.Reason, "under jobdrop.packages") {
		t.Errorf("reason %q", r.Reason)
	}
	for _, name := range names[:2] {
		w.wake(w.put("d/"+name, pkg(t, "train")))
	}
	r := w.record(again)
	_, pins, ok := strings.Cut(r.Reason, "go on with it: ")
	if r.State != job.Held || strings.Contains(r.Reason, "a.tar.gz") || !ok {
		t.Fatalf("state %s: %s; want it held for the other two", r.State, r.Reason)
	}
	pinned := w.put("d/job.yaml", []byte(text+pins+"\n"))
	w.wake(pinned)
	if r := w.record(pinned); r.State != job.Submitted {
		t.Errorf("pinned as told: %s: %s %v", r.State, r.Reason, violated(r))
	}
}

// A pin means the package that it names: another one in the folder does not take its place.
func TestSubmitPinOfAnotherName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("d/trainer-0.1.tar.gz", pkg(t, "hello"))
	pin := "jobdrop: {packages: [{name: trainer_0.1.tar.gz, generation: 5}]}\n"
	f := w.put("d/job.yaml", []byte(spec+pin))
	w.wake(f)
	w.want(f, job.Waiting, "waiting for trainer_0.1.tar.gz (generation 5)", 0)
	f = w.put("d/job.yaml", []byte(spec+"  packageUris: [trainer-0.1.tar.gz]\n"+pin))
	w.wake(f)
	w.want(f, job.Rejected, "", 0)
	f = w.put("d/job.yaml", []byte(spec+"jobdrop: {packages: [{name: trainer-0.1.tar.gz, generation: 5}]}\n"))
	w.wake(f)
	w.want(f, job.Waiting, "correct it and upload the job file again", 0)
}

func TestSubmitWithdraws(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(w *world)
		reason string
	}{
		{"deleted", func(w *world) {
			if err := w.storage.Delete(t.Context(), inbox, "hello/job.yaml"); err != nil {
				t.Fatal(err)
			}
		}, "deleted"},
		{"overwritten", func(w *world) { w.wake(w.put("hello/job.yaml", []byte(spec+"  args: [b]\n"))) }, "overwritten"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			f := w.put("hello/job.yaml", []byte(spec))
			w.wake(f)
			test.change(w)
			w.tick()
			r := w.record(f)
			if r.State != job.Withdrawn || !strings.Contains(r.Reason, test.reason) ||
				w.topic.of(r.Attempt) != "drop.withdrawn" {
				t.Errorf("state %s: %s; events %q", r.State, r.Reason, w.topic.of(r.Attempt))
			}
			if len(w.backend.specs) != 0 {
				t.Errorf("%d jobs", len(w.backend.specs))
			}
		})
	}
}

func TestSubmitIncomplete(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.put("hello/job.yaml", []byte(spec))
	w.wake(f)
	w.tick()
	key := job.AttemptKey(f)
	if got := w.topic.of(key); got != "" {
		t.Errorf("events %q before patience ran out", got)
	}
	w.pass(16 * time.Minute)
	w.tick()
	w.tick()
	if got := w.topic.of(key); got != "drop.incomplete" {
		t.Errorf("events %q, want one drop.incomplete", got)
	}
	w.pass(24 * time.Hour)
	w.tick()
	if got := w.topic.of(key); got != "drop.incomplete drop.expired" || w.open() != 0 {
		t.Errorf("events %q, %d entries left", got, w.open())
	}
}

// The verdicts on a job ID that is taken.
func TestSubmitJobIDTaken(t *testing.T) {
	t.Parallel()
	named := "jobId: mine\n" + spec
	tests := []struct {
		name   string
		folder string
		second string
		before func(w *world)
		state  job.State
		text   string
		jobs   int
	}{
		{name: "same folder, same content", folder: "a/", second: named, state: job.Withdrawn,
			text: "the same content ran before", jobs: 1},
		{name: "same folder, other content", folder: "a/", second: named + "  args: [x]\n", state: job.Rejected,
			text: "the job ID is taken", jobs: 1},
		{name: "other folder, same content", folder: "b/", second: named, state: job.Rejected, text: "the job ID is taken",
			jobs: 1},
		{name: "given up by a refusal", folder: "b/", second: named,
			before: func(w *world) { w.backend.fail = &attempt.RefusedError{Code: "INVALID_ARGUMENT"} }, state: job.Submitted,
			jobs: 1},
		{name: "taken at the backend", folder: "b/", second: strings.Replace(named, "mine", "theirs", 1),
			before: func(w *world) { w.backend.jobs["theirs"] = attempt.BackendJob{State: job.BackendRunning} },
			state:  job.Rejected,
			text:   "the backend refused the job", jobs: 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			if test.before != nil {
				test.before(w)
			}
			w.wake(w.put("a/trainer-0.1.tar.gz", pkg(t, "hello")))
			first := w.put("a/job.yaml", []byte(named))
			w.wake(first)
			w.backend.fail = nil
			w.pass(2 * settle)
			w.wake(w.put(test.folder+"trainer-0.1.tar.gz", pkg(t, "hello")))
			f := w.put(test.folder+"job.yaml", []byte(test.second))
			w.wake(f)
			r := w.record(f)
			if r.State != test.state || !strings.Contains(r.Reason, test.text) {
				t.Errorf("state %s: %s; want %s: %s", r.State, r.Reason, test.state, test.text)
			}
			if len(w.backend.specs) != test.jobs {
				t.Errorf("%d jobs, want %d", len(w.backend.specs), test.jobs)
			}
			if test.state == job.Rejected {
				if diff := cmp.Diff([]string{"job-id-unique"}, violated(r)); diff != "" {
					t.Errorf("violations (-want +got):\n%s", diff)
				}
			}
			// Whoever guesses job IDs learns nothing of other folders.
			tells := strings.Contains(fmt.Sprintf("%s %+v", r.Reason, r.Violations), job.AttemptKey(first))
			if own := test.folder == "a/"; tells != own {
				t.Errorf("it names the other attempt: %t, and it is of the same folder: %t", tells, own)
			}
		})
	}
}

// A backend that does not answer is asked again by ticks, at growing intervals. Meanwhile the
// attempt is reported as accepted.
func TestSubmitBackendDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	down := errors.New("connection refused")
	w.backend.fail = down
	w.wake(w.put("hello/trainer-0.1.tar.gz", pkg(t, "hello")))
	f := w.put("hello/job.yaml", []byte(spec))
	w.wake(f)
	r := w.record(f)
	if r.State != job.Accepted || !strings.Contains(r.Reason, "did not answer") ||
		w.topic.of(r.Attempt) != "drop.accepted" {
		t.Errorf("state %s: %s; events %q", r.State, r.Reason, w.topic.of(r.Attempt))
	}
	for range 60 {
		w.wake(f)
		w.tick()
		w.pass(time.Minute)
	}
	if r := w.record(f); r.Tries < 10 || r.Tries > 30 || w.backend.creates != r.Tries {
		t.Errorf("asked %d times in an hour, %d by the record", w.backend.creates, r.Tries)
	}
	w.backend.fail = nil
	w.pass(5 * time.Minute)
	w.tick()
	if r := w.record(f); r.State != job.Submitted || r.Error != nil ||
		w.topic.of(r.Attempt) != "drop.accepted job.submitted job.queued" {
		t.Errorf("state %s after the backend came back, error %v, events %q", r.State, r.Error, w.topic.of(r.Attempt))
	}
}

func TestNewRefusesMissingParts(t *testing.T) {
	w := newWorld(t)
	_, err := submitter.New(w.storage, w.ledger, nil, nil, submitter.Options{Instance: instance, Parallel: 4})
	var want []string
	for _, name := range []string{
		"backend", "teller", "Inbox", "Staging", "Policy", "CallTime", "Inspections", "Now", "Logger",
	} {
		want = append(want, "submitter: "+name+" is required")
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("New without parts: %v", err)
	}
}

// A folder or a name that is too large for a drop ends in a verdict, even if the drop was waiting
// before.
func TestSubmitOutOfBounds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("f", 950) + "/"
	tests := []struct {
		name, rule, folder string
		fill               func(w *world)
	}{
		{"too many packages", "folder-size", "d/", func(w *world) {
			w.submitOver(&fuller{Faults: w.storage, packages: 1001})
		}},
		{"a long folder", "folder-name", long, func(w *world) { w.put(long+"trainer-0.1.tar.gz", pkg(t, "hello")) }},
		{"a long package", "package-name", "d/", func(w *world) {
			w.put("d/"+strings.Repeat("p", 300)+".tar.gz", pkg(t, "hello"))
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			f := w.put(test.folder+"job.yaml", []byte(spec))
			if len(test.folder) < 900 {
				w.wake(f) // waits for its package
			}
			test.fill(w)
			w.wake(f)
			r := w.record(f)
			if r.State != job.Rejected || w.topic.of(r.Attempt) != "drop.rejected" || w.open() != 0 {
				t.Errorf("state %s, events %q, %d entries left", r.State, w.topic.of(r.Attempt), w.open())
			}
			if diff := cmp.Diff([]string{test.rule}, violated(r)); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

// objects is what a submitter needs of Cloud Storage.
type objects interface {
	List(ctx context.Context, bucket, prefix string, flat bool, page func([]job.Attributes) error) error
	Stat(ctx context.Context, bucket, name string) (job.Attributes, error)
	StatAt(ctx context.Context, bucket, name string, generation int64) (job.Attributes, error)
	Open(ctx context.Context, bucket, name string, generation int64) (io.ReadCloser, error)
	Copy(ctx context.Context, source job.Object, bucket, name string) error
	Store(ctx context.Context, bucket, name string, content io.Reader) (job.Object, error)
}

// submitOver replaces the world's submitter by one with another view of the storage.
func (w *world) submitOver(o objects) {
	w.t.Helper()
	w.objects = o
	w.submit = w.process()
}

// fuller is an inbox whose lists show more packages than it has. To upload that many would take
// long.
type fuller struct {
	*storagetest.Faults
	packages int
}

func (f *fuller) List(ctx context.Context, bucket, folder string, flat bool, page func([]job.Attributes) error) error {
	items := make([]job.Attributes, f.packages)
	for i := range items {
		items[i].Object = job.Object{Bucket: bucket, Name: fmt.Sprintf("%s%04d.whl", folder, i), Generation: 1, Size: 1}
	}
	if err := page(items); err != nil {
		return err
	}
	return f.Faults.List(ctx, bucket, folder, flat, page)
}

// crowded is an inbox whose lists take 100 pages, with the given number of objects each.
type crowded struct {
	*storagetest.Faults
	pages, objects int
}

func (c *crowded) List(_ context.Context, bucket, folder string, _ bool, page func([]job.Attributes) error) error {
	for c.pages < 100 {
		c.pages++
		items := make([]job.Attributes, c.objects)
		for i := range items {
			items[i].Object = job.Object{Bucket: bucket, Name: fmt.Sprintf("%snote-%d-%d", folder, c.pages, i), Size: 1}
		}
		if err := page(items); err != nil {
			return err
		}
	}
	return nil
}

// A listing ends whatever it shows, and the verdict says what there is too much of.
func TestSubmitCrowdedFolder(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		objects, pages int
		message, found string
	}{
		{"folders only", 0, 21, "the folder holds too many sub-folders to be a drop", "a list of more than 20 pages"},
		{"objects", 1000, 11, "the folder holds too many objects to be a drop", "more than 10000"},
		{"both", 100, 21, "the folder holds too many sub-folders to be a drop", "a list of more than 20 pages"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			f := w.put("job.yaml", []byte(spec))
			w.put("trainer-0.1.tar.gz", pkg(t, "hello"))
			full := &crowded{Faults: w.storage, objects: test.objects}
			w.submitOver(full)
			w.wake(f)
			if full.pages != test.pages {
				t.Errorf("%d pages were listed for one event, want %d", full.pages, test.pages)
			}
			r := w.record(f)
			if r.State != job.Rejected || len(r.Violations) != 1 {
				t.Fatalf("state %s, violations %v", r.State, r.Violations)
			}
			if v := r.Violations[0]; v.Message != test.message || v.Found != test.found {
				t.Errorf("told %q, found %q; want %q, %q", v.Message, v.Found, test.message, test.found)
			}
		})
	}
}

// An object that is replaced during a visit causes another visit.
func TestSubmitVisitsAgain(t *testing.T) {
	t.Parallel()
	for _, moment := range []string{"read inbox/d/trainer-0.1.tar.gz", "copy staging"} {
		t.Run(moment, func(t *testing.T) {
			w := newWorld(t)
			w.put("d/trainer-0.1.tar.gz", pkg(t, "hello"))
			f := w.put("d/job.yaml", []byte(spec))
			var replaced job.Object
			w.storage.Before = func(c storagetest.Call) error {
				if strings.HasPrefix(c.Kind+" "+c.Bucket+"/"+c.Name, moment) && replaced.Name == "" {
					replaced = w.put("d/trainer-0.1.tar.gz", pkg(t, "train"))
				}
				return nil
			}
			w.wake(f)
			if replaced.Name == "" {
				t.Fatal("the package was not replaced")
			}
			r := w.record(f)
			if r.State != job.Submitted || r.Drop.Receipt.Objects[1].Generation != replaced.Generation {
				t.Errorf("state %s with %+v", r.State, r.Drop.Receipt)
			}
		})
	}
}

// While an ID's owner is undecided others wait, and say for what. They learn nothing else of it if it is of another
// folder. An owner that nobody will decide loses the ID.
func TestSubmitJobIDOfAnUndecidedAttempt(t *testing.T) {
	t.Parallel()
	named := "jobId: mine\n" + spec
	waits := func(w *world, f job.Object) {
		t.Helper()
		w.wake(f)
		w.want(f, job.Waiting, "waiting for job ID mine: an attempt of another folder has claimed it and is not decided "+
			"yet; choose another job ID, or wait", 0)
	}
	prepare := func(w *world) (other, f job.Object) {
		other = job.Object{Bucket: inbox, Name: "other/job.yaml", Generation: 5}
		if _, _, err := w.ledger.ClaimID(t.Context(), "mine", attempt.Owner{Attempt: job.AttemptKey(other)}); err != nil {
			t.Fatal(err)
		}
		w.put("d/trainer-0.1.tar.gz", pkg(t, "hello"))
		return other, w.put("d/job.yaml", []byte(named))
	}
	t.Run("on the index", func(t *testing.T) {
		w := newWorld(t)
		other, f := prepare(w)
		if _, err := w.ledger.Open(t.Context(), attempt.Entry{Attempt: job.AttemptKey(other)}); err != nil {
			t.Fatal(err)
		}
		waits(w, f)
	})
	t.Run("waiting", func(t *testing.T) {
		w := newWorld(t)
		other, f := prepare(w)
		o := attempt.Incomplete{Missing: []string{"x"}, ReportAfter: time.Hour, ExpireAfter: time.Hour}
		other.Created = w.clock()
		if _, _, err := w.ledger.Apply(t.Context(), attempt.Stored{Record: attempt.NewRecord(other, w.clock())}, o,
			w.clock()); err != nil {
			t.Fatal(err)
		}
		waits(w, f)
		if r := w.record(f); strings.Contains(r.Reason, "other/") || strings.Contains(r.Reason, job.AttemptKey(other)) {
			t.Errorf("reason %q", r.Reason)
		}
		// Once the other has its verdict, the ID is free.
		w.pass(2 * time.Hour)
		for range 3 { // the index gets the other back, the other expires, and only then is it free
			w.tick()
		}
		w.want(f, job.Submitted, "", 1)
	})
	t.Run("nowhere", func(t *testing.T) {
		w := newWorld(t)
		_, f := prepare(w)
		w.wake(f)
		owner, claimed, err := w.ledger.ClaimID(t.Context(), "mine", attempt.Owner{Attempt: job.AttemptKey(f)})
		if err != nil || !claimed || len(w.backend.specs) != 1 {
			t.Errorf("the ID belongs to %+v, %v; %d jobs", owner, err, len(w.backend.specs))
		}
	})
}

// Two attempts take over an ID that was given up. One gets it; the other waits for that one, or is
// told that the ID is taken. Neither meets an error.
func TestSubmitJobIDGivenUpAndTakenByTwo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.backend.fail = &attempt.RefusedError{Code: "INVALID_ARGUMENT"}
	w.drop("a/", named)
	w.backend.fail = nil
	w.put("b/"+tarball, pkg(t, "hello"))
	w.put("c/"+tarball, pkg(t, "hello"))
	b, c := w.put("b/job.yaml", []byte(named)), w.put("c/job.yaml", []byte(named))
	reads := 0
	w.storage.Before = func(call storagetest.Call) error {
		if call.Kind == "write" && call.Name == "jobs/mine.json" {
			if reads++; reads == 2 { // the first is the claim of what is free, the second takes it over
				w.wake(c)
			}
		}
		return nil
	}
	w.wake(b)
	w.want(c, job.Submitted, "", 1)
	w.want(b, job.Rejected, "the job ID is taken", 1)
}

// An attempt that met its ID in use at the backend does not give it up.
func TestSubmitJobIDTakenAtTheBackendStaysTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.backend.jobs["mine"] = attempt.BackendJob{State: job.BackendRunning}
	for i, want := range []string{"the backend refused the job", "the job ID is taken"} {
		folder := fmt.Sprintf("d%d/", i)
		w.put(folder+"trainer-0.1.tar.gz", pkg(t, "hello"))
		f := w.put(folder+"job.yaml", []byte("jobId: mine\n"+spec))
		w.wake(f)
		if r := w.record(f); r.State != job.Rejected || r.Reason != want {
			t.Errorf("state %s: %s; want rejected: %s", r.State, r.Reason, want)
		}
	}
}

// A refusal after a create of unknown outcome frees nothing before the backend was asked for the
// job that may exist.
func TestSubmitRefusedAfterAnUnknownOutcome(t *testing.T) {
	w := newWorld(t)
	w.put("d/trainer-0.1.tar.gz", pkg(t, "hello"))
	f := w.put("d/job.yaml", []byte(spec))
	w.backend.lose = true // the job is made, the answer lost
	w.wake(f)
	if r := w.record(f); r.State != job.Accepted {
		t.Fatalf("a lost answer: state %s", r.State)
	}
	w.backend.lose = false
	w.backend.fail = &attempt.RefusedError{Code: "PERMISSION_DENIED"}
	w.pass(time.Minute)
	w.wake(f)
	if r := w.record(f); r.State != job.Submitted || len(w.backend.specs) != 1 {
		t.Errorf("state %s: %s; want the job that is there", r.State, r.Reason)
	}
}

// The violations that the backend names are placed in the job file, and warnings stay.
func TestSubmitRefusedFields(t *testing.T) {
	w := newWorld(t)
	w.backend.fail = &attempt.RefusedError{Code: "INVALID_ARGUMENT", Message: "no",
		Fields: []job.Violation{{Rule: "backend-refused", Field: "region"}}}
	w.put("d/trainer-0.1.tar.gz", pkg(t, "hello"))
	f := w.put("d/job.yaml", []byte(strings.Replace(spec, "us-central1", "us-nowhere9", 1)))
	w.wake(f)
	r := w.record(f)
	if diff := cmp.Diff([]string{"backend-refused", "region-unknown"}, violated(r)); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
	if last := r.Violations[len(r.Violations)-1]; last.File != "job.yaml" {
		t.Errorf("the backend's violation is in file %q", last.File)
	}
}

// An index entry that was lost while its attempt was undecided is put back.
func TestSubmitReopens(t *testing.T) {
	w := newWorld(t)
	f := w.put("d/job.yaml", []byte(spec))
	w.wake(f)
	if err := w.storage.Client.Delete(t.Context(), "state", "open/"+job.AttemptKey(f)); err != nil {
		t.Fatal(err)
	}
	w.wake(f)
	if w.open() != 1 {
		t.Errorf("%d entries on the index, want the one that was lost", w.open())
	}
}

// If only the index entry of an attempt was written, and its job file is gone, the attempt is
// withdrawn under its own key.
func TestSubmitWithdrawsWhatWasOnlyOpened(t *testing.T) {
	w := newWorld(t)
	f := job.Object{Bucket: inbox, Name: "d/job.yaml", Generation: 5}
	if _, err := w.ledger.Open(t.Context(), attempt.Entry{Attempt: job.AttemptKey(f), Bucket: inbox,
		JobFile: f.Name}); err != nil {
		t.Fatal(err)
	}
	w.tick()
	if r := w.record(f); r.State != job.Withdrawn || r.Drop.JobFile.Generation != 5 || w.open() != 0 {
		t.Errorf("state %s of %+v, %d entries left", r.State, r.Drop.JobFile, w.open())
	}
}

// A claim that is nearly over is not used: another worker may begin before the call ends.
func TestSubmitLeavesAClaimThatIsNearlyOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("d/trainer-0.1.tar.gz", pkg(t, "hello"))
	f := w.put("d/job.yaml", []byte(spec))
	w.overtake("write state/attempts/", false, func() { w.pass(75 * time.Second) }) // a slow write
	w.wake(f)
	if len(w.backend.specs) != 0 || w.record(f).State != job.Accepted {
		t.Errorf("%d jobs in state %s", len(w.backend.specs), w.record(f).State)
	}
	w.pass(time.Minute)
	w.tick()
	if len(w.backend.specs) != 1 {
		t.Errorf("%d jobs after the claim was over, want 1", len(w.backend.specs))
	}
}

// A process that freezes between two readings of the clock makes no call late in its claim.
func TestSubmitFreezesBeforeACreate(t *testing.T) {
	t.Parallel()
	for n := range 6 {
		w := newWorld(t)
		w.put("d/trainer-0.1.tar.gz", pkg(t, "hello"))
		f := w.put("d/job.yaml", []byte(spec))
		w.storage.After = func(c storagetest.Call) error {
			if c.Kind == "write" && strings.HasPrefix(c.Name, "attempts/") && w.freezes == 0 {
				w.freezes = w.reads + 1 + n
			}
			return nil
		}
		w.backend.asked = func() {
			if left := w.record(f).Creating.Until.Sub(w.now); left < 60*time.Second {
				t.Errorf("frozen before reading %d: a create begins with %s of the claim left", n, left)
			}
		}
		w.wake(f)
	}
}

// A damaged index entry is repaired from its record.
func TestResumeOfADamagedEntry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	waiting := w.put("d/job.yaml", []byte(spec))
	w.wake(waiting)
	w.put("e/trainer-0.1.tar.gz", pkg(t, "hello"))
	created := w.put("e/job.yaml", []byte(spec))
	w.wake(created)
	for _, f := range []job.Object{waiting, created} {
		if err := w.ledger.Mark(t.Context(), attempt.Entry{Attempt: job.AttemptKey(f)}); err != nil {
			t.Fatal(err)
		}
	}
	w.put("d/trainer-0.1.tar.gz", pkg(t, "hello")) // its event is lost
	w.pass(time.Minute)
	w.tick()
	w.backend.finish()
	w.tick()
	for _, f := range []job.Object{waiting, created} {
		if r := w.record(f); r.State != job.Succeeded {
			t.Errorf("%s: state %s", f.Name, r.State)
		}
	}
	if w.open() != 0 {
		t.Errorf("%d entries are left on the index", w.open())
	}
}

// An entry that is damaged before its record was written can't be repaired. No bucket is listed,
// and the error says what to do.
func TestResumeOfAnEntryOfNothing(t *testing.T) {
	w := newWorld(t)
	w.storage.Reset()
	key := job.AttemptKey(job.Object{Bucket: "inbox", Name: "d/job.yaml", Generation: 7})
	err := w.submit.Resume(t.Context(), attempt.Entry{Attempt: key})
	if err == nil || !strings.Contains(err.Error(), "delete open/"+key) {
		t.Errorf("%v", err)
	}
	if n := count(w.storage.Calls()); n["list"] != 0 {
		t.Errorf("calls %v", n)
	}
}

// A folder that changes at each visit is not a fault. A missing staging bucket is one, though the
// error is the same.
func TestSubmitChangedOrMissing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		changes   bool
		contended bool
	}{{"changes", true, true}, {"no staging bucket", false, false}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.put("d/trainer-0.1.tar.gz", pkg(t, "hello"))
			f := w.put("d/job.yaml", []byte(spec))
			w.storage.Before = func(c storagetest.Call) error {
				if c.Kind != "copy" {
					return nil
				}
				if test.changes {
					w.put("d/trainer-0.1.tar.gz", pkg(t, "hello"))
				}
				return job.ErrNotFound
			}
			err := w.submit.Submit(t.Context(), f)
			if !errors.Is(err, job.ErrNotFound) && !test.changes || err == nil || attempt.Contended(err) != test.contended {
				t.Errorf("%v; want contended %t", err, test.contended)
			}
		})
	}
}
