package submitter_test

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	tarball = "trainer-0.1.tar.gz"
	named   = "jobId: mine\n" + spec
	changed = spec + "  args: [again]\n"
)

// drop puts a package and a job file into a folder, and wakes Submit for each.
func (w *world) drop(folder, file string) job.Object {
	w.t.Helper()
	w.wake(w.put(folder+tarball, pkg(w.t, "hello")))
	f := w.put(folder+"job.yaml", []byte(file))
	w.wake(f)
	return f
}

// again replaces a job file.
func (w *world) again(folder, file string) job.Object {
	w.t.Helper()
	f := w.put(folder+"job.yaml", []byte(file))
	w.wake(f)
	return f
}

func (w *world) delete(name string) {
	w.t.Helper()
	if err := w.storage.Client.Delete(w.t.Context(), inbox, name); err != nil {
		w.t.Fatal(err)
	}
}

// want checks an attempt's state, a part of its reason, and the number of jobs.
func (w *world) want(f job.Object, state job.State, reason string, jobs int) {
	w.t.Helper()
	if r := w.record(f); r.State != state || !strings.Contains(r.Reason, reason) {
		w.t.Errorf("the attempt of generation %d is %s: %s; want %s: %s", f.Generation, r.State, r.Reason, state, reason)
	}
	if got := w.created(); len(got) != jobs {
		w.t.Errorf("jobs %q, want %d", got, jobs)
	}
}

// repeats checks that an attempt was withdrawn as a duplicate of an earlier one, which its reason
// and its event name, together with the way to run it again.
func (w *world) repeats(f, earlier job.Object, why string, jobs int) {
	w.t.Helper()
	w.want(f, job.Withdrawn, why, jobs)
	r := w.record(f)
	for _, text := range []string{
		"attempt " + job.AttemptKey(earlier) + ", now ",
		"gcloud storage cp job.yaml '" + f.URI() + "' --custom-metadata=jobdrop-rerun=yes",
	} {
		if !strings.Contains(r.Reason, text) {
			w.t.Errorf("the reason is %q, want it to say %q", r.Reason, text)
		}
	}
	if r.Job.ID != w.record(earlier).Job.ID {
		w.t.Errorf("the event names job %q, want that of the earlier attempt, %q", r.Job.ID, w.record(earlier).Job.ID)
	}
}

// held waits until the time for a new package is over.
func (w *world) held(f job.Object) {
	w.t.Helper()
	w.want(f, job.Held, "pin", len(w.created()))
	w.pass(settle + time.Second)
	w.tick()
}

// replaced puts a new package into the folder a/. The attempt of f then runs it at once, as the
// second job.
func (w *world) replaced(f job.Object) {
	w.t.Helper()
	p := w.put("a/"+tarball, pkg(w.t, "train"))
	w.wake(p)
	w.want(f, job.Submitted, "", 2)
	if got := w.record(f).Drop.Receipt.Objects[1].Generation; got != p.Generation {
		w.t.Errorf("ran generation %d, want the new one, %d", got, p.Generation)
	}
}

// Each case of docs/delivery-cases.md, by its name there.
var cases = map[string]func(w *world){
	"same ID, other content": func(w *world) {
		w.drop("a/", named)
		w.pass(2 * settle)
		second := w.drop("b/", named+"  args: [x]\n")
		w.want(second, job.Rejected, "the job ID is taken", 1)
	},
	"same ID and content, other folder": func(w *world) {
		w.drop("a/", named)
		w.want(w.drop("b/", named), job.Rejected, "the job ID is taken", 1)
	},
	"same ID, folder and content": func(w *world) {
		first := w.drop("a/", named)
		w.pass(2 * settle)
		second := w.drop("a/", named)
		w.want(second, job.Withdrawn, "ran before in this folder as attempt "+job.AttemptKey(first)+", now queued", 1)
	},
	"same content, two folders": func(w *world) {
		w.want(w.drop("a/", spec), job.Submitted, "", 1)
		w.want(w.drop("b/", spec), job.Submitted, "", 2)
	},
	"job there before jobdrop": func(w *world) {
		w.backend.jobs["mine"] = attempt.BackendJob{JobID: "mine", State: job.BackendRunning}
		f := w.drop("a/", named)
		w.want(f, job.Rejected, "the backend refused the job", 0)
		if diff := cmp.Diff([]string{"job-id-unique"}, violated(w.record(f))); diff != "" {
			w.t.Errorf("violations (-want +got):\n%s", diff)
		}
	},
	"ID claimed by an attempt without a verdict": func(w *world) {
		first := job.Object{Bucket: inbox, Name: "a/job.yaml", Generation: 5, Created: w.clock()}
		if _, _, err := w.ledger.ClaimID(w.t.Context(), "mine", attempt.Owner{Attempt: job.AttemptKey(first)}); err != nil {
			w.t.Fatal(err)
		}
		waits := attempt.Incomplete{Missing: []string{tarball}, ReportAfter: time.Hour, ExpireAfter: time.Hour}
		if _, _, err := w.ledger.Apply(w.t.Context(), attempt.Stored{Record: attempt.NewRecord(first, w.clock())}, waits,
			w.clock()); err != nil {
			w.t.Fatal(err)
		}
		w.want(w.drop("b/", named), job.Waiting, "waiting for job ID mine: an attempt of another folder", 0)
	},
	"ID given up": func(w *world) {
		w.backend.fail = &attempt.RefusedError{Code: "INVALID_ARGUMENT"}
		w.drop("a/", named)
		w.backend.fail = nil
		w.want(w.drop("b/", named), job.Submitted, "", 1)
	},
	"uploaded again unchanged, while waiting": func(w *world) {
		first := w.again("a/", spec)
		second := w.again("a/", spec)
		w.tick()
		w.want(first, job.Withdrawn, "overwritten", 0)
		w.wake(w.put("a/"+tarball, pkg(w.t, "hello")))
		w.want(second, job.Submitted, "", 1)
	},
	"uploaded again unchanged, in flight": func(w *world) {
		w.backend.fail = job.ErrQuota
		first := w.drop("a/", named)
		second := w.again("a/", named)
		w.backend.fail = nil
		w.pass(2 * settle)
		w.tick()
		w.tick()
		w.want(first, job.Submitted, "", 1)
		w.want(second, job.Withdrawn, "the same content ran before", 1)
	},
	"uploaded again unchanged, running": func(w *world) {
		first := w.drop("a/", named)
		second := w.again("a/", named)
		w.held(second)
		w.want(second, job.Withdrawn, "the same content ran before", 1)
		w.want(first, job.Submitted, "", 1)
	},
	"uploaded again unchanged, done": func(w *world) {
		w.drop("a/", named)
		w.backend.finish()
		w.tick()
		second := w.again("a/", named)
		w.held(second)
		w.want(second, job.Withdrawn, "now succeeded; change the job ID to run it again", 1)
	},
	"uploaded again unchanged, without an ID, in flight": func(w *world) {
		w.backend.fail = job.ErrQuota
		first := w.drop("a/", spec)
		second := w.again("a/", spec)
		w.backend.fail = nil
		w.held(second)
		w.tick()
		w.want(first, job.Submitted, "", 1)
		w.repeats(second, first, "had not ended in this folder when this job file was uploaded", 1)
	},
	"uploaded again unchanged, without an ID, running": func(w *world) {
		first := w.drop("a/", spec)
		second := w.again("a/", spec)
		w.held(second)
		w.repeats(second, first, "now queued; to run it again, upload the job file after its end, or at once with", 1)
	},
	"uploaded again unchanged, without an ID, done": func(w *world) {
		w.drop("a/", spec)
		w.backend.finish()
		w.tick()
		second := w.again("a/", spec)
		w.held(second)
		w.want(second, job.Submitted, "", 2)
	},
	"done while the second is held": func(w *world) {
		first := w.drop("a/", spec)
		second := w.again("a/", spec)
		w.pass(settle / 2)
		w.backend.finish()
		w.tick()
		w.held(second)
		w.repeats(second, first, "now succeeded; to run it again, upload the job file after its end, or at once with", 1)
	},
	"done, and the policy withdraws the same content": func(w *world) {
		w.operator("sameContent: withdraw")
		first := w.drop("a/", spec)
		w.backend.finish()
		w.tick()
		second := w.again("a/", spec)
		w.held(second)
		w.repeats(second, first, "now succeeded; to run it again, upload the job file again with", 1)
	},
	"uploaded again with jobdrop-rerun": func(w *world) {
		w.operator("sameContent: withdraw")
		w.drop("a/", spec)
		second := w.putWith("a/job.yaml", spec, map[string]string{job.MetadataRerun: "yes"})
		w.wake(second)
		w.held(second)
		w.want(second, job.Submitted, "", 2)
	},
	"mended after a rejection, the package unchanged": func(w *world) {
		w.want(w.drop("a/", strings.Replace(spec, "us-central1", "mars", 1)), job.Rejected,
			"the drop is not valid: job.yaml:3:11: trainingInput.region: ", 0)
		second := w.again("a/", spec)
		w.held(second)
		w.want(second, job.Submitted, "", 1)
	},
	"with a fault that no package can change": func(w *world) {
		w.drop("a/", spec)
		w.want(w.again("a/", strings.Replace(spec, "us-central1", "mars", 1)), job.Rejected, "the drop is not valid", 1)
	},
	"changed, while waiting": func(w *world) {
		first := w.again("a/", spec)
		second := w.again("a/", changed)
		w.tick()
		w.want(first, job.Withdrawn, "overwritten", 0)
		w.wake(w.put("a/"+tarball, pkg(w.t, "hello")))
		w.want(second, job.Submitted, "", 1)
	},
	"changed, in flight": func(w *world) {
		w.backend.fail = job.ErrQuota
		first := w.drop("a/", spec)
		second := w.again("a/", changed)
		w.backend.fail = nil
		w.held(second)
		w.want(first, job.Submitted, "", 2)
		w.want(second, job.Submitted, "", 2)
	},
	"changed, running": func(w *world) {
		first := w.drop("a/", spec)
		second := w.again("a/", changed)
		w.held(second)
		w.want(first, job.Submitted, "", 2)
		w.want(second, job.Submitted, "", 2)
	},
	"changed, same ID": func(w *world) {
		w.drop("a/", named)
		second := w.again("a/", named+"  args: [x]\n")
		w.held(second)
		w.want(second, job.Rejected, "the job ID is taken", 1)
	},
	"deleted, while waiting": func(w *world) {
		f := w.again("a/", spec)
		w.delete("a/job.yaml")
		w.wake(w.put("a/"+tarball, pkg(w.t, "hello")))
		w.tick()
		w.want(f, job.Withdrawn, "deleted", 0)
	},
	"deleted, in flight": func(w *world) {
		w.backend.fail = job.ErrQuota
		f := w.drop("a/", spec)
		w.backend.fail = nil
		w.delete("a/job.yaml")
		w.delete("a/" + tarball)
		w.pass(time.Minute)
		w.tick()
		w.want(f, job.Submitted, "", 1)
	},
	"deleted, running": func(w *world) {
		f := w.drop("a/", spec)
		w.delete("a/job.yaml")
		w.tick()
		w.backend.finish()
		w.tick()
		w.want(f, job.Succeeded, "", 1)
	},
	"new package, old job file": func(w *world) {
		f := w.drop("a/", spec)
		w.wake(w.put("a/"+tarball, pkg(w.t, "train")))
		w.tick()
		w.want(f, job.Submitted, "", 1)
	},
	"new job file before its package": func(w *world) {
		w.drop("a/", spec)
		second := w.again("a/", changed)
		w.want(second, job.Held, "pin", 1)
		w.replaced(second)
	},
	"job file before its package, both times": func(w *world) {
		w.again("a/", spec)
		w.wake(w.put("a/"+tarball, pkg(w.t, "hello")))
		second := w.again("a/", spec)
		w.want(second, job.Held, "pin", 1)
		w.replaced(second)
	},
	"package pinned": func(w *world) {
		p := w.put("a/"+tarball, pkg(w.t, "hello"))
		w.again("a/", spec)
		w.backend.finish()
		w.tick()
		pin := fmt.Sprintf("%sjobdrop: {packages: [{name: %s, generation: %d}]}\n", spec, tarball, p.Generation)
		w.want(w.again("a/", pin), job.Submitted, "", 2)
		w.wake(w.put("a/"+tarball, pkg(w.t, "train")))
		w.want(w.again("a/", pin), job.Waiting, fmt.Sprintf("(generation %d)", p.Generation), 2)
	},
	"package that no attempt was decided upon": func(w *world) {
		w.drop("a/", spec)
		w.wake(w.put("a/"+tarball, pkg(w.t, "train")))
		w.tick()
		w.want(w.again("a/", spec), job.Submitted, "", 2)
	},
	"two job files": func(w *world) {
		w.put("a/"+tarball, pkg(w.t, "hello"))
		w.put("a/job.yml", []byte(spec))
		f := w.again("a/", spec)
		w.want(f, job.Rejected, "the drop is not valid", 0)
		if diff := cmp.Diff([]string{"one-job-file"}, violated(w.record(f))); diff != "" {
			w.t.Errorf("violations (-want +got):\n%s", diff)
		}
	},
	"package replaced after acceptance": func(w *world) {
		w.backend.fail = job.ErrQuota
		f := w.drop("a/", spec)
		pinned := w.record(f).Drop.Receipt.Objects[1].Generation
		w.wake(w.put("a/"+tarball, pkg(w.t, "fails")))
		w.backend.fail = nil
		w.pass(time.Minute)
		w.tick()
		w.want(f, job.Submitted, "", 1)
		if uri := w.backend.specs[0].TrainingInput.PackageURIs[0]; !strings.Contains(uri, fmt.Sprintf("/%d/", pinned)) {
			w.t.Errorf("ran %s, want generation %d", uri, pinned)
		}
	},
	"copied or restored": func(w *world) {
		first := w.drop("a/", spec)
		// Either makes a new generation of the same bytes.
		second := w.again("a/", spec)
		w.wake(w.put("a/"+tarball, pkg(w.t, "hello")))
		w.repeats(second, first, "now queued", 1)
		w.backend.finish()
		w.tick()
		w.want(w.drop("a/", spec), job.Submitted, "", 2)
	},
	"empty first": func(w *world) {
		w.wake(w.put("a/job.yaml", nil))
		w.wake(w.put("a/"+tarball, nil))
		if w.open() != 0 {
			w.t.Errorf("%d attempts of empty objects", w.open())
		}
		w.want(w.drop("a/", spec), job.Submitted, "", 1)
	},
	"name nearly right": func(w *world) {
		for i, c := range []struct{ uri, there, want string }{
			{"", "trainer-0.1.zip", "trainer-0.1.zip is there: jobdrop takes"},
			{"", "dist/trainer-0.1.tar.gz", "dist/trainer-0.1.tar.gz is there: upload it beside the job file"},
			{"my-trainer-0.1.tar.gz", "my_trainer-0.1.tar.gz", "its name is written otherwise"},
			{"trainer-0.2.tar.gz", tarball, "it is another version"},
		} {
			folder := fmt.Sprintf("near%d/", i)
			file := spec
			if c.uri != "" {
				file += "  packageUris: [" + c.uri + "]\n"
			}
			w.put(folder+c.there, pkg(w.t, "hello"))
			f := w.again(folder, file)
			w.want(f, job.Waiting, c.want, 0)
			w.want(f, job.Waiting, "or upload what is missing", 0)
		}
	},
	"parts of an upload": func(w *world) {
		f := w.again("a/", spec)
		for _, name := range []string{"a/" + tarball + "_0",
			"a/gsutil/tmp/parallel_composite_uploads/for_details_see/gsutil_help_cp/0", "a/.gcs_tmp/" + tarball + ".part"} {
			w.wake(w.put(name, []byte("a part")))
		}
		w.want(f, job.Waiting, "", 0)
		w.wake(w.put("a/"+tarball, pkg(w.t, "hello")))
		w.want(f, job.Submitted, "", 1)
	},
	"folder marker": func(w *world) {
		w.wake(w.put("a/", nil))
		w.want(w.drop("a/", spec), job.Submitted, "", 1)
	},
	"jobdrop's own objects": func(w *world) {
		for _, name := range []string{"a/status.json", "a/status-12.json"} {
			w.wake(w.put(name, []byte("{}")))
		}
		for _, bucket := range []string{"state", "staging", "status"} {
			w.wake(job.Object{Bucket: bucket, Name: "a/job.yaml", Generation: 1, Size: 9})
		}
		if calls := w.storage.Calls(); len(calls) != 0 {
			w.t.Errorf("%d remote calls", len(calls))
		}
	},
	"policy changed between deliveries": func(w *world) {
		w.backend.fail = job.ErrQuota
		f := w.drop("a/", spec)
		w.backend.fail = nil
		w.operator("allow: {regions: []}")
		w.pass(time.Minute)
		w.wake(f)
		w.tick()
		w.want(f, job.Submitted, "", 1)
		w.want(w.drop("b/", spec), job.Rejected, "the drop is not valid", 1)
	},
	"two revisions": func(w *world) {
		w.backend.fail = job.ErrQuota
		f := w.drop("a/", spec)
		w.backend.fail = nil
		name := "attempts/" + job.AttemptKey(f) + ".json"
		data, generation, err := w.storage.Client.Read(w.t.Context(), "state", name, 0, 1<<20)
		if err != nil {
			w.t.Fatal(err)
		}
		newer := regexp.MustCompile(`"recordVersion":\d+`).ReplaceAllString(string(data),
			`"recordVersion":99,"ofTomorrow":true`)
		generation, err = w.storage.Client.Write(w.t.Context(), "state", name, []byte(newer), "application/json", nil,
			generation)
		if err != nil {
			w.t.Fatal(err)
		}
		w.pass(time.Minute)
		if err := w.watch.Tick(w.t.Context()); !errors.Is(err, attempt.ErrNewerRecord) {
			w.t.Errorf("tick: %v, want it refused", err)
		}
		_, after, err := w.storage.Client.Read(w.t.Context(), "state", name, 0, 1<<20)
		if err != nil || after != generation || len(w.created()) != 0 {
			w.t.Errorf("generation %d is %d, %v, jobs %q: the older revision wrote", generation, after, err, w.created())
		}
	},
	"lost state bucket": func(w *world) {
		f := w.drop("a/", spec)
		var names []string
		if err := w.storage.Client.List(w.t.Context(), "state", "", false, func(page []job.Attributes) error {
			for _, o := range page {
				names = append(names, o.Name)
			}
			return nil
		}); err != nil {
			w.t.Fatal(err)
		}
		for _, name := range names {
			if err := w.storage.Client.Delete(w.t.Context(), "state", name); err != nil {
				w.t.Fatal(err)
			}
		}
		if len(names) == 0 {
			w.t.Fatal("nothing to lose")
		}
		w.wake(f)
		w.want(f, job.Submitted, "", 1)
		w.backend.finish()
		w.tick()
		w.want(f, job.Succeeded, "", 1)
	},
}

func TestCases(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/delivery-cases.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+?) \|.*\|$`).FindAllStringSubmatch(string(text), -1) {
		if row[1] != "case" && !strings.HasPrefix(row[1], "--") {
			told = append(told, row[1])
		}
	}
	var tested []string
	for name, run := range cases {
		tested = append(tested, name)
		t.Run(name, func(t *testing.T) { run(newWorld(t)) })
	}
	slices.Sort(told)
	slices.Sort(tested)
	if diff := cmp.Diff(tested, told); diff != "" {
		t.Errorf("cases in docs/delivery-cases.md (-tested +told):\n%s", diff)
	}
}

// Whoever a job file names hears of its drop, whatever becomes of that: also if it is never accepted.
func TestSubmitTellsTheRoutes(t *testing.T) {
	const routes = "jobdrop: {notify: [growth]}\n"
	for name, test := range map[string]struct {
		prepare func(w *world) job.Object
		state   job.State
	}{
		"accepted": {func(w *world) job.Object { return w.drop("a/", spec+routes) }, job.Submitted},
		"rejected": {func(w *world) job.Object { return w.drop("a/", strings.Replace(spec, "BASIC", "HUGE", 1)+routes) }, job.Rejected},
		"a duplicate": {func(w *world) job.Object {
			w.drop("a/", spec+routes)
			f := w.again("a/", spec+routes)
			w.pass(2 * time.Minute) // it is held until then
			w.wake(f)
			return f
		}, job.Withdrawn},
		"a job ID that is taken": {func(w *world) job.Object {
			w.drop("a/", named+routes)
			return w.drop("b/", "jobId: mine\n"+changed+routes)
		}, job.Rejected},
		"incomplete": {func(w *world) job.Object {
			f := w.put("a/job.yaml", []byte(spec+routes))
			w.wake(f)
			w.pass(20 * time.Minute)
			w.wake(f)
			return f
		}, job.Waiting},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			f := test.prepare(w)
			r := w.record(f)
			if r.State != test.state || len(r.Notify) != 1 || r.Notify[0] != "growth" {
				t.Fatalf("%s, routes %q: %s", r.State, r.Notify, r.Reason)
			}
			for _, e := range r.Outbox {
				if len(e.Body.Notify) != 1 {
					t.Errorf("%s has the routes %q", e.Type, e.Body.Notify)
				}
			}
			if len(r.Outbox) == 0 {
				t.Error("no event is left to look at")
			}
		})
	}
}
