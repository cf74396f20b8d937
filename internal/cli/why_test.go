package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// installed is an installation in memory, with one attempt that is not decided yet.
type installed struct {
	*memory
	record attempt.Record
}

const (
	whyFolder = "one/why/"
)

// whyStart is when the attempt of an installation was dropped.
var whyStart = time.Date(2026, 11, 29, 11, 0, 0, 0, time.UTC)

func newInstalled(t *testing.T) *installed {
	t.Helper()
	o := job.Object{
		Bucket: "inbox", Name: whyFolder + "job.yaml", Generation: 1795424700381000, Created: whyStart,
		Uploader: job.Uploader{Name: "ann", Commit: "c0ffee"},
	}
	i := &installed{newMemory(), attempt.NewRecord(o, whyStart)}
	i.put(t, "rules", "policy.yaml", operatedPolicy)
	i.put(t, "state", "heartbeat.json", `{"at": "2026-11-29T11:59:30Z"}`)
	return i
}

// sees applies what was observed after some minutes.
func (i *installed) sees(t *testing.T, minutes int, o attempt.Observation) {
	t.Helper()
	i.record = observed(t, i.record, o, whyStart.Add(time.Duration(minutes)*time.Minute))
}

// accepted lets the attempt be accepted: with a claim on the create of its job, or with what it waits for.
func (i *installed) accepted(t *testing.T, waits string) {
	t.Helper()
	a := attempt.Accept{
		Spec:    job.Spec{JobID: "census_1", TrainingInput: &job.TrainingInput{Region: "us-central1"}},
		Receipt: job.Receipt{Content: "c", Objects: []job.Object{i.record.Drop.JobFile}},
		Waits:   waits, SubmitWithin: 24 * time.Hour, Patience: job.JobPatience{
			Queued: job.Duration(10 * time.Minute), Preparing: job.Duration(10 * time.Minute),
		},
	}
	if waits == "" {
		a.Claim = attempt.Claim{Owner: "w", Until: whyStart.Add(4 * time.Minute), Nonce: "n"}
	}
	i.sees(t, 1, a)
}

// is lets the backend have the job in a state.
func (i *installed) is(t *testing.T, minutes int, j attempt.BackendJob) {
	t.Helper()
	j.JobID, j.ResourceName, j.Created = i.record.Job.ID, "projects/p/locations/us-central1/customJobs/7", whyStart
	i.sees(t, minutes, attempt.Seen(j, whyStart.Add(time.Duration(minutes)*time.Minute)))
}

// write writes the attempt's record, as it is now.
func (i *installed) write(t *testing.T) {
	t.Helper()
	data, err := json.Marshal(i.record)
	if err == nil {
		_, err = i.Write(t.Context(), "state", "attempts/"+i.record.Attempt+".json", data, "",
			i.record.Summary().Metadata(""),
			attempt.AnyGeneration)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// queues writes the note of who waits, the attempt third of all and second under its prefix.
func (i *installed) queues(t *testing.T) {
	t.Helper()
	q := attempt.Queue{At: whyStart.Add(59 * time.Minute)}
	for _, folder := range []string{"two/a/", "one/a/", whyFolder, "one/b/"} {
		e := attempt.NewEntry(attempt.Stored{Record: i.record})
		if folder != whyFolder {
			e.Attempt, e.JobFile = strings.Repeat("0", 40)+"-1", folder+"job.yaml"
		}
		q.Add(e, i.record.Reason)
	}
	data, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	i.put(t, "state", "queue.json", string(data))
}

// Each link of the chain is said, with its evidence, and what happens next.
func TestWhy(t *testing.T) {
	const quota = "googleapi: Error 429: quota of custom jobs is used up, RESOURCE_EXHAUSTED"
	for _, test := range []struct {
		name string
		make func(*testing.T, *installed)
		want []string // parts of the text, in order
	}{
		{"not decided", func(*testing.T, *installed) {}, []string{
			"jobdrop has seen it, and not decided yet",
			"2026-11-29 11:00:00  drop  the job file was uploaded, by ann, commit c0ffee",
			"    gs://inbox/one/why/job.yaml#1795424700381000",
		}},
		{"no package yet", func(t *testing.T, i *installed) {
			i.sees(t, 1, attempt.Incomplete{
				Missing: []string{"trainer-0.2.tar.gz"}, ReportAfter: 15 * time.Minute, ExpireAfter: 24 * time.Hour,
			})
		}, []string{
			"waiting", "no package yet: trainer-0.2.tar.gz is missing in gs://inbox/one/why/",
			"next: upload what is missing; it is reported as incomplete at 2026-11-29 11:15:00 UTC and given up at 2026-11-30 " +
				"11:00:00 UTC",
			"packages  waiting for trainer-0.2.tar.gz", "    trainer-0.2.tar.gz",
		}},
		{"no package yet, and errors", func(t *testing.T, i *installed) {
			i.sees(t, 1, attempt.Incomplete{
				Missing: []string{"trainer-0.2.tar.gz"}, ReportAfter: 15 * time.Minute, ExpireAfter: 24 * time.Hour,
				Violations: []job.Violation{{Rule: "job-id-format", Severity: job.Error, File: "job.yaml",
					Position: job.Position{Line: 3, Column: 5}, Field: "jobId", Message: "is not valid"}},
			})
		}, []string{
			"waiting", "packages  waiting for trainer-0.2.tar.gz",
			"check     the job file has errors, too: correct them",
			"    job.yaml:3:5: jobId: is not valid [job-id-format]",
		}},
		{"held", func(t *testing.T, i *installed) {
			i.sees(t, 1, attempt.Hold{Until: whyStart.Add(2 * time.Minute), Packages: []job.Object{{Name: whyFolder + "a.whl"}}})
		}, []string{
			"held", "held until", "next: upload the new package to go on at once; else it goes on as it is at 2026-11-29 " +
				"11:02:00 UTC",
		}},
		{"rejected", func(t *testing.T, i *installed) {
			i.sees(t, 1, attempt.Reject{Reason: "the drop is not valid: 2 errors", Violations: []job.Violation{
				{Rule: "a", File: "job.yaml", Position: job.Position{Line: 3, Column: 5}, Field: "jobId", Message: "first",
					Remedy: "mend it"},
				{Rule: "b", File: "job.yaml", Position: job.Position{Line: 4, Column: 5}, Field: "labels", Message: "second",
					Remedy: "mend it, too"},
			}})
		}, []string{
			"rejected", "the drop is not valid: 2 errors", "next: correct it, and upload the job file again",
			"check  the drop was rejected", "    job.yaml:3:5: jobId: first", "    job.yaml:4:5: labels: second",
		}},
		{"withdrawn", func(t *testing.T, i *installed) {
			i.sees(t, 1, attempt.Withdraw{Reason: "the same content ran already", DuplicateOf: "0f-1", JobID: "j"})
		}, []string{"withdrawn", "the same content ran already",
			"next: jobdrop why 0f-1 tells of the attempt that it repeats"}},
		{"paused", func(t *testing.T, i *installed) {
			i.put(t, "rules", "policy.yaml", "prefixes:\n- match: one/**\n  pause: true\n")
			i.accepted(t, "waiting: paused by the operator")
			i.queues(t)
		}, []string{
			"accepted", "paused by the policy at gs://rules/policy.yaml:3:10; 2nd of 3 in the queue of prefix one/** (3rd of " +
				"4 in all)",
			"next: it goes on when the operator ends the pause; the time until then does not count",
			"check", "policy", "    gs://rules/policy.yaml:3:10: pause: true", "queue", "    gs://state/queue.json",
		}},
		{"under a limit", func(t *testing.T, i *installed) {
			i.accepted(t, "waiting: 1 of 1 jobs of one/** are active")
			i.queues(t)
		}, []string{
			"waiting: 1 of 1 jobs of one/** are active, gs://rules/policy.yaml:8:17; 2nd of 3 in the queue of prefix one/**",
			"next: it goes on when it is its turn", "    gs://rules/policy.yaml:8:17: limits.activeJobs",
		}},
		{"no longer paused", func(t *testing.T, i *installed) { i.accepted(t, "waiting: paused by the operator") }, []string{
			"next: the policy does not pause the folder any more: a tick lets it go on within a minute",
		}},
		{"quota", func(t *testing.T, i *installed) {
			i.accepted(t, "")
			i.sees(t, 2, attempt.Postpone{Nonce: "n", Reason: attempt.WaitsForQuota, Quota: true,
				Failure: &job.Failure{Code: attempt.CodeQuota, Message: quota}})
			i.queues(t)
		}, []string{
			"the quota of us-central1 is used up: the backend answered RESOURCE_EXHAUSTED at 2026-11-29 11:02:00 UTC",
			"; 2nd of 3 in the queue of prefix one/**", "next: the next try is at 2026-11-29 11:0", "it is given up at",
			"2026-11-29 11:02:00  backend  the quota of us-central1", "for the 1st time", "    " + quota,
		}},
		{"a create that failed", func(t *testing.T, i *installed) {
			i.accepted(t, "")
			i.sees(t, 2, attempt.Postpone{Nonce: "n", Reason: "the backend is not found",
				Failure: &job.Failure{Code: "NOT_FOUND", Message: "no such project"}})
		}, []string{
			"the backend did not take the job yet: NOT_FOUND: no such project", "next: it is asked again at",
			"    no such project",
		}},
		{"a create whose answer was lost", func(t *testing.T, i *installed) {
			i.accepted(t, "")
			i.sees(t, 2, attempt.Postpone{Nonce: "n", Reason: "no answer", Unknown: true, Failure: &job.Failure{Message: "EOF"}})
		}, []string{"a create was asked for and its answer was lost: jobdrop looks for the job before it asks again"}},
		{"being created", func(t *testing.T, i *installed) {
			i.accepted(t, "")
			i.record.Creating.Until = logStart.Add(time.Minute)
		}, []string{"its job is being created", "next: if its worker died, another one goes on at 2026-11-29 12:01:00 UTC"}},
		{"stuck", func(t *testing.T, i *installed) {
			i.accepted(t, "")
			i.is(t, 5, attempt.BackendJob{State: job.BackendPreparing})
			i.is(t, 20, attempt.BackendJob{State: job.BackendPreparing})
		}, []string{
			"preparing", "the job has been stuck in PREPARING since 2026-11-29 11:05:00 UTC, for 55m0s; the usual cause is " +
				"that the region " +
				"has no such machines free, or an image that takes long to load",
			"backend  the backend has the job", "    projects/p/locations/us-central1/customJobs/7", "job      PREPARING",
		}},
		{"stuck, with the backend's word", func(t *testing.T, i *installed) {
			i.accepted(t, "")
			i.is(t, 5, attempt.BackendJob{State: job.BackendQueued})
			i.is(t, 20, attempt.BackendJob{State: job.BackendQueued, Message: "the quota of GPUs is used up"})
		}, []string{"the job has been stuck in QUEUED", "the project's quota for these machines is used up"}},
		{"running", func(t *testing.T, i *installed) {
			i.accepted(t, "")
			i.is(t, 5, attempt.BackendJob{State: job.BackendRunning, Started: whyStart.Add(4 * time.Minute)})
		}, []string{"running", "the job has been RUNNING since 2026-11-29 11:05:00 UTC, for 55m0s"}},
		{"not found at the backend", func(t *testing.T, i *installed) {
			i.accepted(t, "")
			i.is(t, 5, attempt.BackendJob{State: job.BackendRunning, Started: whyStart.Add(4 * time.Minute)})
			i.record.Absent = &attempt.Absence{Misses: 2, Since: whyStart.Add(50 * time.Minute),
				Last: whyStart.Add(55 * time.Minute)}
		}, []string{"2026-11-29 11:55:00  backend  the backend did not find the job, 2 times in a row: after three and ten " +
			"minutes it is lost"}},
		{"lost", func(t *testing.T, i *installed) {
			i.accepted(t, "")
			i.is(t, 5, attempt.BackendJob{State: job.BackendRunning, Started: whyStart.Add(4 * time.Minute)})
			for minute := 20; i.record.State == job.Submitted && minute < 60; minute += 5 {
				i.sees(t, minute, attempt.NotFound(whyStart.Add(time.Duration(minute)*time.Minute)))
			}
		}, []string{"lost", "the backend no longer knows"}},
		{"a request that waits", func(t *testing.T, i *installed) {
			i.put(t, "state", "requests/"+i.record.Attempt+"/1.json", `{"kind": "cancel", "by": "bob", "reason": "wrong data"}`)
			i.put(t, "state", "requests/"+i.record.Attempt+"/2.json", `{`)
		}, []string{
			"next: a tick answers what is asked, within a minute",
			"request  somebody asks for a cancel: bob: wrong data", "    gs://state/requests/",
			"request  somebody asks for something that can't be read",
		}},
		{"to be cancelled", func(t *testing.T, i *installed) {
			i.accepted(t, "")
			i.is(t, 5, attempt.BackendJob{State: job.BackendRunning, Started: whyStart.Add(4 * time.Minute)})
			i.sees(t, 6, attempt.Cancel{Generation: 1, Request: attempt.Request{Kind: attempt.KindCancel, By: "bob",
				Reason: "wrong data"}})
		}, []string{"2026-11-29 11:06:00  request  to be cancelled: request: bob: wrong data"}},
		{"started again too often", func(t *testing.T, i *installed) {
			i.accepted(t, "")
			i.record.Patience.Restarts = new(int64(0))
			i.is(t, 5, attempt.BackendJob{State: job.BackendRunning, Started: whyStart.Add(4 * time.Minute)})
			i.is(t, 15, attempt.BackendJob{State: job.BackendPreparing, Started: whyStart.Add(4 * time.Minute)})
			i.sees(t, 16, attempt.CancelJob{Kind: job.KindRestarts})
		}, []string{
			"2026-11-29 11:16:00  request  to be cancelled: the backend started it again more often than limits.restarts of the " +
				"policy allows",
			"2026-11-29 11:15:00  backend  the backend started the job again (restarts: at least 1; the policy allows 0); " +
				"at most 10m0s of its run is lost",
		}},
		{"cancelled by the limit on restarts", func(t *testing.T, i *installed) {
			i.put(t, "rules", "policy.yaml", "prefixes:\n- match: one/**\n  limits: {restarts: 0}\n")
			i.accepted(t, "")
			i.record.Patience.Restarts = new(int64(0))
			i.is(t, 5, attempt.BackendJob{State: job.BackendRunning, Started: whyStart.Add(4 * time.Minute)})
			i.is(t, 15, attempt.BackendJob{State: job.BackendPreparing, Started: whyStart.Add(4 * time.Minute)})
			i.sees(t, 16, attempt.CancelJob{Kind: job.KindRestarts})
			i.is(t, 17, attempt.BackendJob{State: job.BackendCancelled, Started: whyStart.Add(4 * time.Minute),
				Ended: whyStart.Add(17 * time.Minute)})
		}, []string{
			"next: drop it again when machines are lost less often, or ask the operator for more restarts",
			"policy   the policy's limits.restarts", "    gs://rules/policy.yaml:3:22: limits.restarts",
		}},
		{"refused by the budget", func(t *testing.T, i *installed) {
			i.put(t, "rules", "policy.yaml",
				"prefixes:\n- match: one/**\n  limits:\n    acceleratorHours: {per: month, most: 1, over: refuse}\n")
			i.accepted(t, "waiting for 8 accelerator hours")
			i.sees(t, 2, attempt.OverBudget{Reason: "the job may take 8 accelerator hours", Violation: job.Violation{
				Rule: "policy-budget-spent", Severity: job.Error, File: "job.yaml", Message: "too few accelerator hours are left",
				Remedy: "drop it again once the month is over",
			}})
		}, []string{
			"rejected", "next: drop it again once the month is over\n",
			"check   the job may take 8 accelerator hours\n", "    job.yaml: too few accelerator hours are left",
			"policy  the policy's limits.acceleratorHours.most", "    gs://rules/policy.yaml:4:42: limits.acceleratorHours.most",
		}},
		{"an invalid policy", func(t *testing.T, i *installed) {
			i.put(t, "rules", "policy.yaml", "pauze: true\n")
			i.accepted(t, "waiting: paused by the operator")
		}, []string{
			"the policy is not valid, so nothing is decided until it is mended\n", "next: the operator mends the policy",
			"policy  the policy is not valid, so nothing is decided until it is mended: gs://rules/policy.yaml:1:1: pauze",
		}},
		{"Watch does not run", func(t *testing.T, i *installed) {
			i.put(t, "state", "heartbeat.json", `{"at": "2026-11-29T11:20:00Z"}`)
		}, []string{
			"next: Watch does not run, and nothing goes on until it does: look at its logs and its schedule",
			"2026-11-29 11:20:00  watch  Watch's last tick was 40m0s ago, and one is due each minute",
			"    gs://state/heartbeat.json",
		}},
		{"failed", func(t *testing.T, i *installed) {
			i.accepted(t, "")
			i.is(t, 9, attempt.BackendJob{State: job.BackendFailed, Started: whyStart.Add(4 * time.Minute),
				Ended:   whyStart.Add(6 * time.Minute),
				Message: "The replica exited with a non-zero status of 1.\nmore of it",
				Excerpt: "Traceback\nValueError: \x1b[31mno\u202e rows"})
		}, []string{
			"failed", "the job failed after 2m0s: The replica exited with a non-zero status of 1",
			"next: jobdrop logs census_1 shows the whole log",
			"job      the job ran for 2m0s", "log      the end of the log\n    Traceback\n    ValueError: no<U+202E> rows\n",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			i := newInstalled(t)
			test.make(t, i)
			i.write(t)
			a, err := i.view(t, logStart).why(t.Context(), whyOptions{name: i.record.Attempt, lines: 10})
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			if err := writeAccount(piped(&b), &b, explained{Account: a}); err != nil {
				t.Fatal(err)
			}
			rest := b.String()
			for _, want := range test.want {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("%q is missing, or not in this order:\n%s", want, b.String())
				}
				rest = after
			}
			data, err := json.Marshal(a)
			if err == nil {
				err = printedAs("why.v1.json", data)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// The status of an attempt that is not decided says what is wrong with the policy.
func TestStatusSaysThePolicy(t *testing.T) {
	i := newInstalled(t)
	i.put(t, "rules", "policy.yaml", "pauze: true\n")
	i.write(t)
	s, err := i.view(t, logStart).one(t.Context(), i.record.Attempt)
	var b strings.Builder
	if err == nil {
		err = s.writeText(piped(&b), &b, logStart)
	}
	if want := "policy    the policy is not valid, so nothing is decided until it is mended: gs://rules/policy.yaml:1:1"; err != nil ||
		!strings.Contains(b.String(), want) {
		t.Errorf("%v, lacks %q:\n%s", err, want, b.String())
	}
}

// Of a folder that no attempt is known of, it is said why nothing runs there.
func TestWhyNot(t *testing.T) {
	i := newInstalled(t)
	v := i.view(t, logStart)
	want := func(name, text string) {
		t.Helper()
		a, err := v.why(t.Context(), whyOptions{name: name})
		if err != nil || !strings.Contains(a.Because, text) {
			t.Errorf("%s: %q, %v, want %q", name, a.Because, err, text)
		}
	}
	i.put(t, "inbox", "new/trainer-0.1.tar.gz", "x")
	want("new/", "there is no job file, so nothing runs")
	i.put(t, "status", "new/status.json", `{"reason": "Job.yml may be meant as the job file", "near": ["Job.yml"]}`)
	want("new/", "Job.yml may be meant as the job file")
	i.put(t, "inbox", "new/job.yaml", "x")
	i.put(t, "status", "new/status.json", `{}`)
	want("gs://inbox/new/job.yaml", "its job file is there, and jobdrop has not looked at it yet")
	i.put(t, "rules", "policy.yaml", "pauze: true\n")
	want("new/", "the policy is not valid, so nothing is decided until it is mended")
	i.put(t, "rules", "policy.yaml", operatedPolicy)
	for n := range mostListed + 1 {
		i.put(t, "inbox", fmt.Sprintf("deep/below/%04d", n), "x")
	}
	want("deep/", "there is no job file, so nothing runs")
	i.put(t, "inbox", "deep/job.yaml", "x")
	i.put(t, "inbox", "deep/trainer-0.1.tar.gz", "x")
	want("deep/", "its job file is there")
	a, err := v.why(t.Context(), whyOptions{name: "deep/"})
	if last := a.Chain[len(a.Chain)-1]; err != nil || !strings.Contains(last.Text,
		"only the first 1000 objects were looked at") {
		t.Errorf("a list that is cut: %+v, %v", last, err)
	}
	i.denied = "inbox list"
	want("deep/", "its job file is there")
	i.denied = ""
	if _, err := v.why(t.Context(), whyOptions{name: "none/"}); codeOf(ended(t.Context(), err)) != exitUnknown {
		t.Errorf("of an empty folder: %v", err)
	}
}

// Whoever lacks a right learns which, on what. What is evidence alone is left out, and that is said.
func TestRightsAreNamed(t *testing.T) {
	i := newInstalled(t)
	i.accepted(t, "waiting: paused by the operator")
	i.queues(t)
	i.write(t)
	v := i.view(t, logStart)
	status := func(o statusOptions) error {
		o.query.Most = 20
		_, err := v.look(t.Context(), o)
		return err
	}
	why := func(name string) error {
		_, err := v.why(t.Context(), whyOptions{name: name})
		return err
	}
	cancel := func(name string) error {
		_, err := v.ask(t.Context(), requestOptions{name: name, kind: attempt.KindCancel, reason: "r"}, "1")
		return err
	}
	for _, test := range []struct {
		name, denied string
		do           func() error
		want         string // empty if it is done without the right
	}{
		{"the table", "state list", func() error { return status(statusOptions{}) }, "storage.objects.list on gs://state"},
		{"one attempt", "state read", func() error { return status(statusOptions{name: i.record.Attempt}) },
			"storage.objects.get on gs://state"},
		{"one attempt", "rules read", func() error { return status(statusOptions{name: i.record.Attempt}) }, ""},
		{"one attempt", "status read", func() error { return status(statusOptions{name: whyFolder}) }, ""},
		{"a job", "state read", func() error { return status(statusOptions{name: "census_1"}) },
			"storage.objects.get on gs://state"},
		{"why", "state read", func() error { return why(i.record.Attempt) }, "storage.objects.get on gs://state"},
		{"why", "state list", func() error { return why(i.record.Attempt) }, ""},
		{"why", "rules read", func() error { return why(i.record.Attempt) }, ""},
		{"why of a folder", "state list", func() error { return why(whyFolder) }, "storage.objects.list on gs://state"},
		{"why of a folder", "inbox list", func() error { return why("none/") }, "storage.objects.list on gs://inbox"},
		{"cancel", "state write", func() error { return cancel(i.record.Attempt) }, "storage.objects.create on gs://state"},
		{"cancel, without a look", "state stat", func() error { return cancel(i.record.Attempt) }, ""},
	} {
		i.denied = test.denied
		err := ended(t.Context(), test.do())
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s without %s: %v", test.name, test.denied, err)
		case test.want != "" && (codeOf(err) != exitMissing || !strings.Contains(err.Error(),
			"you lack the right "+test.want)):
			t.Errorf("%s without %s: exit %d, %v, want %s", test.name, test.denied, codeOf(err), err, test.want)
		}
	}
	for denied, want := range map[string]string{
		"rules read": "the policy can't be read: you lack the right storage.objects.get on gs://rules",
		"state list": "whether somebody asks to cancel it can't be said: you lack the right storage.objects.list on " +
			"gs://state",
	} {
		i.denied = denied
		a, err := v.why(t.Context(), whyOptions{name: i.record.Attempt})
		if data, _ := json.Marshal(a); err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s: %v, %s", denied, err, data)
		}
	}
}

// The log of a failed job is evidence: without the right to read it, why says so.
func TestWhyWithoutTheLog(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"error": {"code": 403, "message": "no"}}`, http.StatusForbidden)
	}))
	defer server.Close()
	i := newInstalled(t)
	i.accepted(t, "")
	i.is(t, 9, attempt.BackendJob{State: job.BackendFailed, Started: whyStart, Ended: whyStart, Message: "exit status 1"})
	i.write(t)
	v := i.view(t, logStart)
	v.LoggingEndpoint = server.URL
	a, err := v.why(t.Context(), whyOptions{name: i.record.Attempt, lines: 10})
	last := a.Chain[len(a.Chain)-1]
	if err != nil || last.Step != account.StepLog || !strings.Contains(last.Text,
		"you lack the right logging.logEntries.list on projects/p") {
		t.Errorf("%+v, %v", a, err)
	}
}
