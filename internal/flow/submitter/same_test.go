package submitter_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/testing/storagetest"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// both uploads a package and a job file into the folder d/, and wakes nobody.
func (w *world) both(file string) job.Object {
	w.t.Helper()
	w.put("d/"+tarball, pkg(w.t, "hello"))
	return w.put("d/job.yaml", []byte(file))
}

// A client uploads the drop twice. When the second is decided, a worker is between the inspection
// of the first and its entry in the folder's note, between that and the record, or behind both. One
// of the two runs, and if it is the second, the first is withdrawn.
func TestSubmitSameTwiceAtOnce(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"write state/folders/", "write state/attempts/"} {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, before %t", step, before), func(t *testing.T) {
				w := newWorld(t)
				first := w.both(spec)
				var second job.Object
				w.overtake(step, before, func() {
					second = w.both(spec)
					w.wake(second)
				})
				w.wake(first)
				w.pass(2 * settle)
				w.tick()
				if step == "write state/attempts/" && !before {
					w.want(first, job.Submitted, "", 1)
					w.repeats(second, first, "had not ended", 1)
					return
				}
				w.want(second, job.Submitted, "", 1)
				w.want(first, job.Withdrawn, "overwritten", 1)
			})
		}
	}
}

// A worker enters the first of two equal drops into the folder's note and dies before it writes the
// record. The second withdraws the first before it runs, also if the worker of the second dies in
// between. Events of both come again.
func TestSubmitSameAsADeadWorkers(t *testing.T) {
	t.Parallel()
	for _, dies := range []bool{false, true} {
		t.Run(fmt.Sprintf("and the second's dies %t", dies), func(t *testing.T) {
			w := newWorld(t)
			first := w.both(spec)
			record := func(o job.Object) string { return "attempts/" + job.AttemptKey(o) + ".json" }
			dieBefore := func(name string) {
				w.storage.Before = func(c storagetest.Call) error {
					if c.Kind == "write" && c.Name == name {
						return errDead
					}
					return nil
				}
			}
			dieBefore(record(first))
			if err := w.submit.Submit(t.Context(), first); !errors.Is(err, errDead) {
				t.Fatalf("the first worker: %v, want it dead", err)
			}
			w.storage.Before = nil
			second := w.both(spec)
			if dies {
				dieBefore(record(second))
				if err := w.submit.Submit(t.Context(), second); !errors.Is(err, errDead) {
					t.Fatalf("the second worker: %v, want it dead", err)
				}
				w.storage.Before = nil
				w.want(first, job.Withdrawn, "overwritten", 0)
			}
			w.pass(redelivery)
			for range 2 {
				w.wake(first)
				w.wake(second)
			}
			w.tick()
			w.want(first, job.Withdrawn, "overwritten", 1)
			w.want(second, job.Submitted, "", 1)
		})
	}
}

// A drop waits for its package. The same job file is uploaded again, and then the package: the
// first was never accepted, so the second is not its duplicate.
func TestSubmitSameAsOneThatWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.put("d/job.yaml", []byte(spec))
	w.wake(first)
	second := w.put("d/job.yaml", []byte(spec))
	w.wake(w.put("d/"+tarball, pkg(t, "hello")))
	w.wake(first)
	w.tick()
	w.want(first, job.Withdrawn, "overwritten", 1)
	w.want(second, job.Submitted, "", 1)
}

// What is not the same runs, whatever else runs in the folder.
func TestSubmitNotTheSame(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]func(w *world) job.Object{
		"another package": func(w *world) job.Object {
			w.wake(w.put("d/"+tarball, pkg(w.t, "train")))
			return w.put("d/job.yaml", []byte(spec))
		},
		"the package under another name": func(w *world) job.Object {
			w.wake(w.put("d/trainer-0.2.tar.gz", pkg(w.t, "hello")))
			return w.put("d/job.yaml", []byte(spec+"  packageUris: [trainer-0.2.tar.gz]\n"))
		},
		"one more package": func(w *world) job.Object {
			w.put("d/trainer-0.2.tar.gz", pkg(w.t, "train"))
			w.put("d/"+tarball, pkg(w.t, "hello"))
			return w.put("d/job.yaml", []byte(spec+"  packageUris: [trainer-0.1.tar.gz, trainer-0.2.tar.gz]\n"))
		},
		"another argument": func(w *world) job.Object { return w.both(changed) },
		"a field in the metadata": func(w *world) job.Object {
			w.both(spec)
			return w.putWith("d/job.yaml", spec, map[string]string{"jobdrop-set-region": "europe-west1"})
		},
		"another default of the policy": func(w *world) job.Object {
			w.operator("defaults: {labels: {team: nlp}}")
			return w.both(spec)
		},
		"a job ID": func(w *world) job.Object { return w.both(named) },
		"jobdrop-rerun": func(w *world) job.Object {
			w.both(spec)
			return w.putWith("d/job.yaml", spec, map[string]string{job.MetadataRerun: ""})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.wake(w.both(spec))
			f := again(w)
			w.wake(f)
			w.want(f, job.Submitted, "", 2)
		})
	}
}

// The same content in other words: a comment, JSON, a pin, a default that is written out.
func TestSubmitSameInOtherWords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.both(spec)
	w.wake(first)
	f := w.both("# again\n" + spec)
	w.wake(f)
	w.repeats(f, first, "had not ended", 1)
	p := w.put("d/"+tarball, pkg(t, "hello"))
	pin := fmt.Sprintf("jobdrop: {packages: [{name: %s, generation: %d}]}\n", tarball, p.Generation)
	f = w.put("d/job.yaml", []byte(spec+pin))
	w.wake(f)
	w.repeats(f, first, "had not ended", 1)
}

// The job ended, and no tick has seen that. Who uploads it again knows, and so does the backend.
func TestSubmitSameAfterAnEndThatNoTickSaw(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.wake(w.both(spec))
	w.backend.finish()
	f := w.both(spec)
	w.wake(f)
	w.want(f, job.Submitted, "", 2)
}

// An attempt whose job the backend refused has no job, so its content runs, whatever the policy
// says.
func TestSubmitSameAsARefusedOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("sameContent: withdraw")
	w.backend.fail = &attempt.RefusedError{Code: "PERMISSION_DENIED"}
	first := w.both(spec)
	w.wake(first)
	w.want(first, job.Rejected, "the backend refused the job", 0)
	w.backend.fail = nil
	f := w.both(spec)
	w.wake(f)
	w.want(f, job.Submitted, "", 1)
}

// The policy's sameContent is read for each decision, and goes by the folder.
func TestSubmitSameByThePolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("sameContent: withdraw\nprefixes: [{match: d/, sameContent: run}]")
	w.wake(w.both(spec))
	first := w.drop("a/", spec)
	w.backend.finish()
	w.tick()
	f := w.both(spec)
	w.wake(f)
	w.want(f, job.Submitted, "", 3)
	second := w.drop("a/", spec)
	w.repeats(second, first, "the policy says sameContent: withdraw", 3)
	w.operator("{}")
	w.want(w.drop("a/", spec), job.Submitted, "", 4)
}

// The note of an earlier revision holds no contents: its newest attempt is looked at.
func TestSubmitSameAsOneOfAnEarlierRevision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.both(spec)
	w.wake(first)
	note, err := w.ledger.FolderNote(t.Context(), inbox, "d/")
	if err != nil || len(note.Contents) != 1 {
		t.Fatalf("the note is %+v, %v; want one content", note, err)
	}
	note.Contents = nil
	if err := w.ledger.SwapFolderNote(t.Context(), inbox, "d/", note); err != nil {
		t.Fatal(err)
	}
	f := w.both(spec)
	w.wake(f)
	w.repeats(f, first, "had not ended", 1)
}

// It is looked at as long as it runs, whatever else is dropped.
func TestSubmitSameAsOneOfAnEarlierRevisionAfterOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.both(spec)
	w.wake(first)
	note, err := w.ledger.FolderNote(t.Context(), inbox, "d/")
	if err != nil {
		t.Fatal(err)
	}
	note.Contents = nil
	if err := w.ledger.SwapFolderNote(t.Context(), inbox, "d/", note); err != nil {
		t.Fatal(err)
	}
	w.wake(w.both(spec + "  args: ['other']\n"))
	f := w.both(spec)
	w.wake(f)
	w.repeats(f, first, "had not ended", 2)
	f = w.both(spec)
	w.wake(f)
	w.repeats(f, first, "had not ended", 2)
	w.backend.finish()
	w.tick()
	w.wake(w.both(spec + "  args: ['third']\n"))
	f = w.both(spec)
	w.wake(f)
	w.want(f, job.Submitted, "", 4)
	if note, err = w.ledger.FolderNote(t.Context(), inbox, "d/"); err != nil ||
		slices.Contains(note.Contents, attempt.Content{Generation: first.Generation}) {
		t.Errorf("the note is %+v, %v; want it without the attempt that ended", note, err)
	}
}

// A slower worker saw another package, and entered that for an attempt that was accepted already. A drop
// of that other content leaves what the attempt has in the note.
func TestSubmitSameAsWhatASlowWorkerDidNotSee(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const other = spec + "  args: ['other']\n"
	w.put("e/"+tarball, pkg(t, "hello"))
	elsewhere := w.put("e/job.yaml", []byte(other))
	w.wake(elsewhere)
	first := w.both(spec)
	w.wake(first)
	note, err := w.ledger.FolderNote(t.Context(), inbox, "d/")
	if err != nil {
		t.Fatal(err)
	}
	note = note.EnterContent(first, w.record(elsewhere).Drop.Receipt.Content, nil, nil)
	if err := w.ledger.SwapFolderNote(t.Context(), inbox, "d/", note); err != nil {
		t.Fatal(err)
	}
	second := w.both(other)
	w.wake(second)
	w.want(second, job.Submitted, "", 3)
	third := w.both(spec)
	w.wake(third)
	w.repeats(third, first, "had not ended", 3)
}

// A note keeps the contents of few attempts that have ended, and those of all others.
func TestSubmitSameAmongMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.backend.fail = job.ErrQuota
	first := w.both(spec)
	w.wake(first)
	w.backend.fail, w.backend.scarce = nil, w.record(first).Job.ID // and it stays so
	for i := range 40 {
		w.wake(w.both(fmt.Sprintf("%s  args: ['%d']\n", spec, i)))
		w.backend.finish()
		w.tick()
	}
	note, err := w.ledger.FolderNote(t.Context(), inbox, "d/")
	if n := len(note.Contents); err != nil || n < 32 || n > 33 {
		t.Errorf("the note has %d contents, %v; want 32 and that of the first", n, err)
	}
	f := w.both(spec)
	w.wake(f)
	w.repeats(f, first, "now accepted; to run it again, upload the job file after its end, or at once with", 40)
}

// Two workers look at two equal drops of a folder at once: the first was listed before the second
// came, and is entered into the folder's note after the second's worker read that.
func TestSubmitSameEnteredInBetween(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.both(spec)
	looked, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error)
	workers := 0
	w.storage.Before = func(c storagetest.Call) error {
		if c.Kind != "write" || !strings.HasPrefix(c.Name, "folders/") {
			return nil
		}
		switch workers++; workers {
		case 1:
			close(looked)
			<-goOn
		case 2:
			close(goOn)
			if err := <-done; err != nil {
				t.Errorf("the first worker: %v", err)
			}
		}
		return nil
	}
	go func() { done <- w.submit.Submit(t.Context(), first) }()
	<-looked
	second := w.both(spec)
	w.wake(second)
	w.want(first, job.Submitted, "", 1)
	w.repeats(second, first, "now queued; to run it again, upload the job file after its end, or at once with", 1)
}
