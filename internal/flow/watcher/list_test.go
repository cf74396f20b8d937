package watcher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/watcher"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// runs adds n attempts to the ledger whose jobs run by now, though the index has them queued.
// Those named have succeeded.
func (f *fake) runs(t *testing.T, n int, ended ...int) {
	t.Helper()
	for i := range n {
		id := fmt.Sprintf("j%03d", i)
		f.add(t, id, backendJob(id, job.BackendQueued))
		if slices.Contains(ended, i) {
			f.direct[id] = backendJob(id, job.BackendSucceeded)
			continue
		}
		f.direct[id] = backendJob(id, job.BackendRunning)
		f.listed = append(f.listed, f.direct[id])
	}
}

// If pages are slow, the tick uses what it got, and the next one continues there. A job that ended
// is reported even if no tick ever has the whole list.
func TestTickWithSlowPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.jobsPage, f.pageSize, f.takes["page"] = 2, 100, time.Minute
		f.runs(t, 21, 3)
		f.listed = append(f.listed, backendJob("stranger", job.BackendRunning))
		seen := 0
		f.onAsk = func(what string) {
			if what == "page" {
				seen++
			}
		}
		tick := inBubble(t, f, nil)
		for i := range 4 {
			seen = 0
			took, err := tick()
			if err != nil || took > 5*time.Minute || seen > 4 {
				t.Fatalf("tick %d: %d pages in %s, %v", i, seen, took, err)
			}
			f.retell()
			if b := f.beats[i]; b.Complete || b.Active != -1 || b.Failed != 0 || !b.OldestLook.IsZero() {
				t.Errorf("heartbeat of a tick without the whole list: %+v", b)
			}
		}
		if f.cursors.Jobs.After != "" {
			t.Errorf("after eleven pages the list goes on at %q", f.cursors.Jobs.After)
		}
		if len(f.told) != 21 || !slices.Equal(f.told["j003"], []job.EventType{job.JobRunning, job.JobSucceeded}) {
			t.Errorf("told of %d jobs: %v", len(f.told), f.told)
		}
		if len(f.strangers) > 0 {
			t.Errorf("strangers by a part of the list: %q", f.strangers)
		}
		f.takes["page"] = 0
		if _, err := tick(); err != nil {
			t.Fatal(err)
		}
		if b := f.beats[4]; !b.Complete || b.Active != 21 || b.OldestLook.IsZero() ||
			!slices.Equal(f.strangers, []string{"stranger"}) {
			t.Errorf("with the whole list: %+v, strangers %q", b, f.strangers)
		}
	})
}

// A page that fails delays the pages after it until the next tick. If the position in the list may
// be at fault, the list starts anew.
func TestTickListGoesOn(t *testing.T) {
	unavailable := errors.New("unavailable")
	tests := []struct {
		name string
		// after is where the tick begins. The page at position at fails.
		after string
		fails error
		at    int
		// The jobs seen are reported as running. The list continues at next.
		seen []string
		next string
		err  error
	}{
		{name: "the backend's quota is used up in the middle", fails: job.ErrQuota, at: 4,
			seen: []string{"j000", "j001", "j002", "j003"}, next: "4", err: job.ErrQuota},
		{name: "and the next tick goes on", after: "4", seen: []string{"j004", "j005"}},
		{name: "no answer in the middle", fails: unavailable, at: 2, seen: []string{"j000", "j001"}, next: "2",
			err: unavailable},
		{name: "the quota is used up at once", after: "4", fails: job.ErrQuota, next: "4", err: job.ErrQuota},
		{name: "the service can do nothing with the place", after: "4", fails: unavailable, next: "", err: unavailable},
		{name: "the service refuses the place", after: "too old", seen: []string{"j000", "j001", "j002", "j003", "j004",
			"j005"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := newFake()
			f.runs(t, 6)
			f.direct = nil // a poll says nothing new
			f.jobsPage, f.listErr, f.listErrAt = 2, test.fails, test.at
			f.cursors.Jobs = attempt.Cursor{After: test.after, Began: start}
			f.cursors.Submitted = 1_000_000 // and few are worth one
			err := f.watcher(t).Tick(t.Context())
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Errorf("Tick: %v, want %v", err, test.err)
			}
			var seen []string
			for id := range f.told {
				seen = append(seen, id)
			}
			slices.Sort(seen)
			if diff := gocmp.Diff(test.seen, seen); diff != "" || f.cursors.Jobs.After != test.next {
				t.Errorf("goes on at %q, want %q; told (-want +got):\n%s", f.cursors.Jobs.After, test.next, diff)
			}
			whole := len(test.seen) == 6
			if b := f.beats[0]; b.Complete != whole || b.Failed > 0 != (test.err != nil) || b.Active >= 0 != whole {
				t.Errorf("heartbeat %+v", b)
			}
		})
	}
}

// Without the backend's list nothing is looked at, and the heartbeat says so.
func TestBeatWithoutTheList(t *testing.T) {
	f := newFake()
	f.add(t, "j", backendJob("j", job.BackendRunning))
	f.listed = []attempt.BackendJob{backendJob("j", job.BackendRunning)}
	w := f.watcher(t)
	ticked(t, w)
	begun := f.now
	f.listErr = errors.New("unavailable")
	for i := range 3 {
		f.now = f.now.Add(time.Minute)
		if err := w.Tick(t.Context()); !errors.Is(err, f.listErr) {
			t.Errorf("Tick: %v", err)
		}
		if b := f.beats[i+1]; b.Complete || b.Failed != 1 || !b.OldestLook.Equal(begun) || b.Active != -1 {
			t.Errorf("heartbeat %+v", b)
		}
	}
	f.listErr = nil
	f.now = f.now.Add(time.Minute)
	ticked(t, w)
	if b := f.beats[4]; !b.Complete || b.Failed != 0 || !b.OldestLook.Equal(f.now) {
		t.Errorf("heartbeat after it: %+v", b)
	}
}

// Pages of the list and polls together keep the backend's read quota.
func TestTickKeepsTheReadQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.jobsPage, f.pageSize = 1, 1000
		f.runs(t, 900)
		for i := range 300 { // ended
			f.listed = slices.DeleteFunc(f.listed, func(l attempt.BackendJob) bool { return l.JobID == fmt.Sprintf("j%03d", i) })
		}
		var asked []time.Time
		f.onAsk = func(string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			asked = append(asked, time.Now())
		}
		tick := inBubble(t, f, func(o *watcher.Options) { o.ReadsPerMinute, o.PollsPerMinute = 480, 300 })
		if _, err := tick(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if len(asked) < 600 {
			t.Errorf("asked %d times only", len(asked))
		}
		for i, at := range asked {
			if i >= 480 && at.Sub(asked[i-480]) < time.Minute {
				t.Fatalf("the reads %d to %d are within %s", i-480, i, at.Sub(asked[i-480]))
			}
		}
	})
}
