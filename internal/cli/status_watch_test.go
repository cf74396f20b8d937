package cli

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/api/googleapi"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// watch shows the status of an installation for eleven seconds. Its attempt is accepted after three, and cancelled
// after seven.
func watch(t *testing.T, o statusOptions, terminal bool) (shown string) {
	t.Helper()
	i := newInstalled(t)
	i.write(t)
	l, err := ledger.New(i.memory, "state", ledger.Options{})
	if err == nil {
		_, err = l.Open(t.Context(), attempt.NewEntry(attempt.Stored{Record: i.record}))
	}
	if err != nil {
		t.Fatal(err)
	}
	v := i.view(t, logStart)
	o.every, o.query.Most = 2*time.Second, 20
	if o.name != "" {
		o.name = i.record.Attempt
	}
	synctest.Test(t, func(t *testing.T) {
		var b strings.Builder
		env := piped(&b)
		env.Terminal, env.Size = terminal, func() (int, int) { return 80, 8 }
		ctx, stop := context.WithTimeout(t.Context(), 11*time.Second)
		defer stop()
		go func() {
			time.Sleep(3 * time.Second)
			i.accepted(t, "waiting: 1 of 1 jobs of one/** are active")
			i.write(t)
			i.queues(t)
			time.Sleep(4 * time.Second)
			i.sees(t, 5, attempt.Cancel{Generation: 1, Request: attempt.Request{Kind: attempt.KindCancel, Reason: "r"}})
			i.write(t)
		}()
		if err := v.watchStatus(ctx, env, o); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		shown = b.String()
	})
	return shown
}

// Where there is no terminal, a watch prints what has changed, and not the times that pass.
func TestWatchPrintsChanges(t *testing.T) {
	got := watch(t, statusOptions{format: formatText}, false)
	if lines := strings.Split(strings.TrimSpace(got), "\n"); len(lines) != 4 || !strings.HasPrefix(lines[0], "STATE ") ||
		!strings.HasPrefix(lines[1], "new ") || !strings.HasPrefix(lines[2], "accepted ") ||
		!strings.HasPrefix(lines[3], "cancelled ") {
		t.Errorf("the table:\n%s", got)
	}
	if got = watch(t, statusOptions{format: formatJSON}, false); strings.Count(got, `"attempts": [`) != 3 {
		t.Errorf("the table as JSON:\n%s", got)
	}
	got = watch(t, statusOptions{name: "one", format: formatText}, false)
	head, changes, _ := strings.Cut(got, "ago, by ann, commit c0ffee\n")
	if lines := strings.Split(strings.TrimSpace(changes), "\n"); !strings.HasPrefix(head, "new  gs://inbox/one/why/\n") ||
		len(lines) != 3 ||
		lines[0] != "queue  2nd of 3 in the queue of prefix one/** (3rd of 4 in all)" ||
		!strings.Contains(lines[1], "drop.accepted") || !strings.Contains(lines[2], "job.cancelled") {
		t.Errorf("one attempt:\n%s", got)
	}
}

// On a terminal it is shown in place, as much as fits.
func TestWatchRedraws(t *testing.T) {
	got := watch(t, statusOptions{name: "one", format: formatText}, true)
	frames := strings.Split(got, clearScreen)[1:]
	if len(frames) != 5 || !strings.Contains(frames[0], "new  gs://") || !strings.Contains(frames[4],
		string(job.Cancelled)) {
		t.Errorf("%d frames:\n%s", len(frames), got)
	}
	for _, frame := range frames {
		if n := strings.Count(frame, "\n"); n > 8 {
			t.Errorf("a frame has %d lines on a terminal of 8:\n%s", n, frame)
		}
	}
}

// A watch goes on after an outage, and says so once. One that has shown nothing ends.
func TestWatchGoesOn(t *testing.T) {
	i := newInstalled(t)
	i.write(t)
	v := i.view(t, logStart)
	down := &googleapi.Error{Code: 503}
	o := statusOptions{name: i.record.Attempt, format: formatText, every: time.Second}
	i.turn("", down)
	if err := ended(t.Context(), v.watchStatus(t.Context(), piped(io.Discard), o)); codeOf(err) != exitMissing {
		t.Errorf("without an answer: %v", err)
	}
	i.turn("", nil)
	synctest.Test(t, func(t *testing.T) {
		var out, errs strings.Builder
		env := piped(&out)
		env.Err = &errs
		go func() {
			time.Sleep(1500 * time.Millisecond)
			i.turn("", down)
			time.Sleep(4 * time.Second)
			i.turn("", nil)
			i.sees(t, 5, attempt.Reject{Reason: "the drop is not valid"})
			i.write(t)
		}()
		if err := v.watchStatus(t.Context(), env, o); err != nil {
			t.Error(err)
		}
		if !strings.Contains(out.String(), "drop.rejected") || strings.Count(errs.String(), "no answer") != 1 {
			t.Errorf("printed:\n%s\nand said:\n%s", out.String(), errs.String())
		}
	})
}
