package submitter_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// What a backend can't do is reported at its line, with the drop's verdict. In strict mode, what
// would be replaced or dropped is refused.
func TestSubmitTellsOfTheBackend(t *testing.T) {
	t.Parallel()
	const strict = "vertex: {strict: true}\n"
	for _, test := range []struct {
		name     string
		action   plan.Action
		policy   string
		state    job.State
		severity job.Severity
	}{
		{"replaced", plan.Replaced, "", job.Submitted, job.Warning},
		{"dropped", plan.Dropped, "", job.Submitted, job.Warning},
		{"doubtful", plan.Doubtful, "", job.Submitted, job.Warning},
		{"refused", plan.Unmappable, "", job.Rejected, job.Error},
		{"replaced, strictly", plan.Replaced, strict, job.Rejected, job.Error},
		{"dropped, strictly", plan.Dropped, strict, job.Rejected, job.Error},
		{"doubtful, strictly", plan.Doubtful, strict, job.Submitted, job.Warning},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			if test.policy != "" {
				w.operator(test.policy)
			}
			w.backend.told = []plan.Diagnostic{{Field: "trainingInput.region", Action: test.action, Why: "it is far",
				Remedy: "move"}}
			w.wake(w.put("a/trainer-0.1.tar.gz", pkg(t, "hello")))
			f := w.put("a/job.yaml", []byte(spec))
			w.wake(f)
			r := w.record(f)
			if r.State != test.state || len(w.backend.orders) > 0 != (test.state == job.Submitted) {
				t.Fatalf("%s (%s), %d creates", r.State, r.Reason, len(w.backend.orders))
			}
			want := []job.Violation{{
				Rule: "backend-mapping", Severity: test.severity, File: "job.yaml", Field: "trainingInput.region",
				Found:   "us-central1",
				Message: string(test.action) + ": it is far", Remedy: "move",
			}}
			for i := range r.Violations {
				if r.Violations[i].Line == 0 {
					t.Error("no line")
				}
				r.Violations[i].Position = job.Position{}
			}
			if diff := cmp.Diff(want, r.Violations); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

// The order carries the operator's mapping as it was when the drop was accepted. A later create
// asks for the same.
func TestSubmitMapping(t *testing.T) {
	const before = `vertex:
  images: {'2.11': gcr.io/ops/tf:2.11, '2.11/3.7': 'gcr.io/ops/tf:2.11-py37'}
  accelerators: {NVIDIA_TESLA_K80: NVIDIA_TESLA_T4}
  disableRetries: true
`
	w := newWorld(t)
	w.operator("pause: true\n" + before)
	w.wake(w.put("a/trainer-0.1.tar.gz", pkg(t, "hello")))
	f := w.put("a/job.yaml", []byte(spec))
	w.wake(f)
	w.operator("vertex: {images: {'2.11': gcr.io/ops/other:1}}\n")
	w.tick()
	if len(w.backend.orders) != 1 {
		t.Fatalf("%d creates: %+v", len(w.backend.orders), w.record(f))
	}
	want := job.Mapping{Image: "gcr.io/ops/tf:2.11-py37",
		Accelerators: map[string]string{"NVIDIA_TESLA_K80": "NVIDIA_TESLA_T4"}, DisableRetries: true}
	if diff := cmp.Diff(want, w.backend.orders[0].Mapping); diff != "" {
		t.Errorf("mapping (-want +got):\n%s", diff)
	}
}

// A backend that knows no limit on the wait has no grace for it.
func TestSubmitWaitGrace(t *testing.T) {
	for _, noID := range []bool{false, true} {
		w := newWorld(t)
		w.backend.noID = noID
		w.wake(w.put("a/trainer-0.1.tar.gz", pkg(t, "hello")))
		f := w.put("a/job.yaml", []byte(spec))
		w.wake(f)
		if got := w.record(f).Patience.WaitGrace; noID != (got != nil && *got == 0) {
			t.Errorf("a backend that enforces the wait %t: grace %v", !noID, got)
		}
	}
}

// A job's options for Vertex AI, with the operator's defaults, reach the backend, also where a later
// tick creates the job. That backend itself ends the wait of a FLEX_START job, within a grace.
func TestSubmitVertexOptions(t *testing.T) {
	for strategy, graceless := range map[string]bool{"FLEX_START": false, "SPOT": true} {
		w := newWorld(t)
		w.backend.noID = true
		w.operator("pause: true\ndefaults: {vertex: {enableDashboardAccess: true, strategy: STANDARD}}\n")
		w.wake(w.put("a/trainer-0.1.tar.gz", pkg(t, "hello")))
		f := w.put("a/job.yaml", []byte(spec+"jobdrop: {vertex: {strategy: "+strategy+"}}\n"))
		w.wake(f)
		w.operator("{}")
		w.tick()
		if len(w.backend.orders) != 1 {
			t.Fatalf("%d creates: %+v", len(w.backend.orders), w.record(f))
		}
		want := &job.VertexOptions{Strategy: strategy, EnableDashboardAccess: true}
		if diff := cmp.Diff(want, w.backend.orders[0].Vertex); diff != "" {
			t.Errorf("options (-want +got):\n%s", diff)
		}
		if got := w.record(f).Patience.WaitGrace; graceless != (got != nil) {
			t.Errorf("%s: grace of the wait %v", strategy, got)
		}
	}
}

// The same packages with another strategy are another job, and no duplicate.
func TestOtherStrategyIsOtherContent(t *testing.T) {
	w := newWorld(t)
	w.wake(w.put("a/trainer-0.1.tar.gz", pkg(t, "hello")))
	var contents []string
	for _, options := range []string{"", "jobdrop: {vertex: {strategy: SPOT}}\n", "jobdrop: {vertex: {strategy: STANDARD}}\n"} {
		f := w.put("a/job.yaml", []byte(spec+options))
		w.wake(f)
		w.pass(2 * time.Minute) // it was held, as the folder ran before
		w.wake(f)
		r := w.record(f)
		if r.DuplicateOf != "" || r.Drop.Receipt == nil {
			t.Fatalf("%q: %s: %s", options, r.State, r.Reason)
		}
		contents = append(contents, r.Drop.Receipt.Content)
	}
	if contents[0] == contents[1] || contents[1] == contents[2] {
		t.Errorf("contents %v", contents)
	}
}

// An attempt that was accepted for another backend is not submitted to this one, which never
// checked it.
func TestSubmitOfAnotherBackend(t *testing.T) {
	w := newWorld(t)
	w.backend.name = "vertex"
	w.operator("pause: true\n")
	w.wake(w.put("a/trainer-0.1.tar.gz", pkg(t, "hello")))
	f := w.put("a/job.yaml", []byte(spec))
	w.wake(f)
	w.operator("pause: false\n")
	w.backend.name = ""
	if err := w.watch.Tick(t.Context()); !errors.Is(err, attempt.ErrOtherBackend) || w.backend.creates > 0 {
		t.Errorf("tick: %v, %d creates", err, w.backend.creates)
	}
	if r := w.record(f); r.State != job.Accepted {
		t.Errorf("%s: %s", r.State, r.Reason)
	}
	w.backend.name = "vertex"
	w.tick()
	if r := w.record(f); r.State != job.Submitted {
		t.Errorf("set back: %s, %s", r.State, r.Reason)
	}
}

// If jobdrop may not create jobs, the installation is at fault: operators are alerted, not only
// the dropper.
func TestSubmitDenied(t *testing.T) {
	for code, errors := range map[string]int{"PERMISSION_DENIED": 1, "INVALID_ARGUMENT": 0} {
		w := newWorld(t)
		w.backend.fail = &attempt.RefusedError{Code: code, Message: "iam.serviceAccounts.actAs"}
		w.wake(w.put("a/trainer-0.1.tar.gz", pkg(t, "hello")))
		f := w.put("a/job.yaml", []byte(spec))
		w.wake(f)
		if got := strings.Count(w.log.String(), `"level":"ERROR"`); w.record(f).State != job.Rejected || got != errors {
			t.Errorf("%s: %s, %d errors, want %d:\n%s", code, w.record(f).State, got, errors, w.log.String())
		}
	}
}
