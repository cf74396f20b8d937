package submitter

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// BenchmarkPlan measures what a tick computes for a long queue.
func BenchmarkPlan(b *testing.B) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, prefixes := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("10000 attempts of %d prefixes", prefixes), func(b *testing.B) {
			var open []attempt.Entry
			for i := range 10_000 {
				open = append(open, attempt.Entry{
					Attempt: fmt.Sprintf("a%d", i), JobFile: fmt.Sprintf("p%d/%d/job.yaml", i%prefixes, i), State: job.Accepted,
					Waits: "waiting", Accepted: now.Add(-time.Duration(i) * time.Second),
				})
			}
			rules, vs := policy.Parse("policy.yaml", []byte("limits: {activeJobs: 500, jobsPerHour: 200}"))
			if len(vs) > 0 {
				b.Fatal(vs)
			}
			p := policy.Policy{Rules: rules}
			b.ReportAllocs()
			for b.Loop() {
				backlog := attempt.NewBacklog(attempt.Turns{}, now)
				for _, e := range open {
					backlog.Add(e)
				}
				q := newQueue(backlog, attempt.Turns{}, p, now)
				q.plan()
				if len(q.given) != 200 || len(q.waits) != 9800 {
					b.Fatalf("%d turns, %d wait", len(q.given), len(q.waits))
				}
			}
		})
	}
}

// Whatever folders are called, the note of the turns can be read back. Attempts wait if it is
// full.
func TestTurnsFitTheirNote(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	rules, vs := policy.Parse("policy.yaml", []byte("limits: {activeJobs: 100000}"))
	if len(vs) > 0 {
		t.Fatal(vs)
	}
	folder := strings.Repeat("\x01", 890)
	backlog := attempt.NewBacklog(attempt.Turns{}, now)
	var before []attempt.Turn
	for i := range 4000 {
		e := attempt.Entry{Attempt: fmt.Sprintf("%040d-1587627537231057", i),
			JobFile: fmt.Sprintf("%s%d/job.yaml", folder, i), State: job.Accepted, Waits: "waiting", Accepted: now}
		if i < 2000 { // these had their turn
			before = append(before, attempt.Turn{Attempt: e.Attempt, Folder: job.Folder(e.JobFile), At: now, Done: true})
			continue
		}
		backlog.Add(e)
	}
	q := newQueue(backlog, attempt.Turns{Given: before}, policy.Policy{Rules: rules}, now)
	q.plan()
	data, err := json.Marshal(attempt.Turns{Given: append(q.turns, q.given...)})
	if err != nil || len(data) > attempt.MaxTurns || len(data) < attempt.MaxTurns*9/10 {
		t.Errorf("the note has %d bytes, at most %d: %v", len(data), attempt.MaxTurns, err)
	}
	if len(q.given) == 0 || len(q.given)+len(q.waits) != 2000 || len(q.starts) != len(q.given) {
		t.Errorf("%d turns are given to %d, %d wait", len(q.given), len(q.starts), len(q.waits))
	}
}

// Of turns that no longer count, the note keeps the last one of each prefix, while somebody waits who waited before it.
func TestTurnsAreForgotten(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	rules, vs := policy.Parse("policy.yaml", []byte("limits: {activeJobs: 1, acceleratorHours: {per: month, most: 9}}"))
	if len(vs) > 0 {
		t.Fatal(vs)
	}
	ago := func(hours int) time.Time { return now.Add(-time.Duration(hours) * time.Hour) }
	turn := func(name, folder string, hours int) attempt.Turn {
		return attempt.Turn{
			Attempt: name, Folder: folder, At: ago(hours), Done: true, Month: "2026-11", Seconds: 60, Settled: ago(2),
		}
	}
	given := []attempt.Turn{turn("1", "a/1/", 9), turn("2", "b/2/", 8), turn("3", "a/3/", 7), turn("4", "c/4/", 3)}
	for _, test := range []struct {
		name string
		wait int // for so many hours
		long bool
		want []string
	}{
		{"nobody waits", 0, false, nil},
		{"somebody came after all turns", 2, false, nil},
		{"somebody came between turns", 5, false, []string{"4"}},
		{"somebody waits the longest", 10, false, []string{"2", "3", "4"}},
		{"a folder's name is long", 10, true, []string{"3", "4"}},
	} {
		before := slices.Clone(given)
		backlog := attempt.NewBacklog(attempt.Turns{}, now)
		if test.wait > 0 {
			backlog.Add(attempt.Entry{
				Attempt: "5", JobFile: "d/5/job.yaml", State: job.Accepted, Waits: "waiting", Accepted: ago(test.wait), Needs: 1,
			})
		}
		if test.long {
			before[1].Folder = "b/" + strings.Repeat("b", 1<<20)
		}
		q := newQueue(backlog, attempt.Turns{Given: before}, policy.Policy{Rules: rules}, now)
		var got []string
		for _, turn := range q.turns {
			got = append(got, turn.Attempt)
			if turn.Month != "" || turn.Seconds != 0 || !turn.Done {
				t.Errorf("%s: a turn counts twice: %+v", test.name, turn)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: turns (-want +got):\n%s", test.name, diff)
		}
		if sums := q.budgets.sums(); !test.long && (len(sums) != 1 || sums[0].Seconds != 240) {
			t.Errorf("%s: sums %+v", test.name, sums)
		}
	}
}
