package attempt

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

func TestBacklog(t *testing.T) {
	turns := Turns{Given: []Turn{{Attempt: "t1", Folder: "t/"}, {Attempt: "t2", Folder: "t/"},
		{Attempt: "t3", Folder: "t/"}, {Attempt: "over", Folder: "t/"}}}
	b := NewBacklog(turns, start)
	waits := Entry{Attempt: "w", JobFile: "w/job.yaml", State: job.Accepted, Waits: "paused"}
	waitsWithTurn := Entry{Attempt: "t3", JobFile: "t/job.yaml", State: job.Accepted, Waits: "the backend's quota"}
	for _, e := range []Entry{
		{Attempt: "a1", JobFile: "a/job.yaml", State: job.Submitted, Created: at(-2 * time.Hour)},
		{Attempt: "a2", JobFile: "a/job.yml", State: job.Submitted, Created: at(-time.Minute)},
		{Attempt: "b", JobFile: "b/job.yaml", State: job.Accepted},
		{Attempt: "held", JobFile: "held/job.yaml", State: job.Held},
		{Attempt: "t1", JobFile: "t/job.yaml", State: job.Accepted},
		{Attempt: "t2", JobFile: "t/job.yaml", State: job.Submitted, Created: at(-time.Hour)},
		waits, waitsWithTurn,
	} {
		b.Add(e)
	}
	got := Backlog{Turns: b.Turns, Waiting: b.Waiting, Open: b.Open, Active: b.Active, Started: b.Started}
	want := Backlog{
		Turns: turns, Waiting: []Entry{waits, waitsWithTurn},
		Open:   map[string]time.Time{"t1": {}, "t2": at(-time.Hour), "t3": {}},
		Active: map[string]int64{"a/": 2, "b/": 1}, Started: map[string]int64{"a/": 1, "b/": 1},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Backlog{})); diff != "" {
		t.Errorf("backlog (-want +got):\n%s", diff)
	}
}
