package account_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/logs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// now is the time of the tests.
var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// bucket is a Cloud Storage of one bucket, by the objects' names, and the records in it.
type bucket struct {
	objects map[string]string
	denied  string // the kind of the calls that are refused
	queue   attempt.Queue
	turns   attempt.Turns
}

func (b *bucket) ListPage(
	_ context.Context, in, prefix, _ string, most int,
) (page []job.Attributes, more bool, err error) {
	if b.denied == "list" {
		return nil, false, job.ErrDenied
	}
	for name := range b.objects {
		if strings.HasPrefix(name, prefix) {
			page = append(page, job.Attributes{Object: job.Object{Bucket: in, Name: name, Generation: 1, Created: now}})
		}
	}
	slices.SortFunc(page, func(x, y job.Attributes) int { return strings.Compare(x.Name, y.Name) })
	return page[:min(len(page), most)], len(page) > most, nil
}

func (b *bucket) Read(_ context.Context, _, name string, _, _ int64) ([]byte, int64, error) {
	data, ok := b.objects[name]
	if !ok {
		return nil, 0, job.ErrNotFound
	}
	return []byte(data), 1, nil
}

func (b *bucket) Stat(_ context.Context, in, name string) (job.Attributes, error) {
	if b.denied != "" {
		return job.Attributes{}, job.ErrDenied
	}
	if _, ok := b.objects[name]; !ok {
		return job.Attributes{}, job.ErrNotFound
	}
	return job.Attributes{Object: job.Object{Bucket: in, Name: name, Generation: 1, Created: now}}, nil
}

func (b *bucket) Queue(context.Context) (attempt.Queue, error) { return b.queue, nil }
func (b *bucket) Turns(context.Context) (attempt.Turns, error) { return b.turns, nil }

// reader returns a reader of the bucket.
func (b *bucket) reader(t *testing.T) *account.Reader {
	t.Helper()
	r, err := account.New(account.Config{
		Records: b, Store: b, State: "state", Inbox: "inbox", Status: "status", Now: func() time.Time { return now },
		Policy: func(ctx context.Context) (policy.Policy, error) {
			if _, ok := b.objects["policy.yaml"]; !ok {
				return policy.Policy{}, nil
			}
			return account.ReadPolicy(ctx, b, "rules", "policy.yaml")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// waiting returns the record of an attempt of a folder that waits for its turn, and may take 8 accelerator hours.
func waiting(t *testing.T, folder string) attempt.Record {
	t.Helper()
	r := attempt.NewRecord(job.Object{Bucket: "inbox", Name: folder + "job.yaml", Generation: 7, Created: now}, now)
	r, _, err := attempt.Step(r, attempt.Accept{
		Spec: job.Spec{JobID: "census_1"}, Receipt: job.Receipt{Content: "c", Objects: []job.Object{r.Drop.JobFile}},
		Waits: "waiting: too few hours are left", AcceleratorSeconds: 8 * 3600, SubmitWithin: time.Hour,
	}, now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A reader that lacks what it needs is refused, by the name of that.
func TestNew(t *testing.T) {
	b := &bucket{}
	if _, err := account.New(account.Config{Records: b, Store: b, State: "s", Now: time.Now}); err == nil ||
		!strings.Contains(err.Error(), "policy") {
		t.Errorf("without a policy: %v", err)
	}
}

// An attempt that waits for its turn has its place and what is left of its budget. Without a valid policy it has the
// place among all, and why.
func TestTurn(t *testing.T) {
	r := waiting(t, "one/a/")
	b := &bucket{objects: map[string]string{
		"policy.yaml": "prefixes:\n- match: one/**\n  limits:\n    acceleratorHours:\n      most: 4\n      per: month\n",
	}}
	for _, folder := range []string{"two/a/", "one/a/"} {
		e := attempt.NewEntry(attempt.Stored{Record: r})
		e.JobFile = folder + "job.yaml"
		if folder != "one/a/" {
			e.Attempt = "another"
		}
		b.queue.Add(e, r.Reason)
	}
	place, budget, unread, err := b.reader(t).Turn(t.Context(), r)
	if err != nil || unread != nil || place.String() != "1st of 1 in the queue of prefix one/** (2nd of 2 in all)" ||
		budget.String() != "4 of 4 of one/** left until 2026-12-01; the job may take 8" {
		t.Errorf("%v, %v, %v, %v", place, budget, unread, err)
	}
	a, err := b.reader(t).Why(t.Context(), r, 0)
	if err != nil || !strings.Contains(a.Next, "it goes on when enough hours are left") {
		t.Errorf("%+v, %v", a, err)
	}
	b.objects["policy.yaml"] = "pauze: true\n"
	place, budget, unread, err = b.reader(t).Turn(t.Context(), r)
	if err != nil || !errors.Is(unread, account.ErrPolicy) || place.String() != "2nd of 2 in the queue" || budget != nil {
		t.Errorf("with an invalid policy: %v, %v, %v, %v", place, budget, unread, err)
	}
	if place, budget, _, err := b.reader(t).Turn(t.Context(), attempt.Record{State: job.Submitted}); place != nil ||
		budget != nil || err != nil {
		t.Errorf("of a job: %v, %v, %v", place, budget, err)
	}
}

// Of a folder without an attempt it is said what lies there, and whether that can't be said.
func TestFolder(t *testing.T) {
	b := &bucket{objects: map[string]string{"new/trainer-0.1.tar.gz": "x", "new/below/job.yaml": "x"}}
	a, err := b.reader(t).Folder(t.Context(), "new/")
	want := account.Account{
		Drop: "gs://inbox/new/", Because: "there is no job file, so nothing runs",
		Next: "upload job.yaml, job.yml or job.json to gs://inbox/new/",
		Chain: []account.Step{{
			Step: account.StepPackages, Text: "packages lie there", Evidence: []string{"gs://inbox/new/trainer-0.1.tar.gz#1"},
		}},
	}
	if diff := cmp.Diff(want, a); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := b.reader(t).Folder(t.Context(), "none/"); !errors.Is(err, account.ErrNothing) {
		t.Errorf("of an empty folder: %v", err)
	}
	b.denied = "list"
	if _, err := b.reader(t).Folder(t.Context(), "new/"); !errors.Is(err, job.ErrDenied) {
		t.Errorf("without a right: %v", err)
	}
}

// Why something can't be read is said in words that whoever shows an account may choose.
func TestCause(t *testing.T) {
	b := &bucket{objects: map[string]string{"policy.yaml": "pauze: true\n"}, denied: "list"}
	r := b.reader(t)
	r.Cause = func(error) string { return "(ask the operator)" }
	r.Log = func(context.Context, job.Snapshot, int) ([]logs.Line, error) { return nil, job.ErrDenied }
	failed := waiting(t, "one/a/")
	failed.State = job.Failed
	for _, record := range []attempt.Record{waiting(t, "one/a/"), failed} {
		a, err := r.Why(t.Context(), record, 5)
		said := fmt.Sprintf("%+v", a)
		if err != nil || !strings.Contains(said, "(ask the operator)") || strings.Contains(said, job.ErrDenied.Error()) ||
			strings.Contains(said, "pauze") {
			t.Errorf("%v: %s", err, said)
		}
	}
}

// Deadlines are those that have begun, and none of an attempt that has ended.
func TestDeadlines(t *testing.T) {
	a := job.Snapshot{State: job.Running, Times: job.Times{Created: now, Started: now.Add(time.Hour)}}
	a.Deadlines.Wait, a.Deadlines.Run, a.Deadlines.Held = now.Add(time.Hour), now.Add(3*time.Hour), now
	want := []account.Deadline{
		{Name: "wait", Then: "is cancelled if it does not run", Since: now, At: now.Add(time.Hour)},
		{Name: "run", Then: "is cancelled", Since: now.Add(time.Hour), At: now.Add(3 * time.Hour)},
	}
	if diff := cmp.Diff(want, account.Deadlines(a)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if a.State = job.Failed; account.Deadlines(a) != nil {
		t.Error("an attempt that has ended has a deadline")
	}
}
