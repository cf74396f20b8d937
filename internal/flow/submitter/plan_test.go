package submitter

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

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
				q := newQueue(backlog, nil, p, now)
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
	q := newQueue(backlog, before, policy.Policy{Rules: rules}, now)
	q.plan()
	data, err := json.Marshal(attempt.Turns{Given: append(q.turns, q.given...)})
	if err != nil || len(data) > attempt.MaxTurns || len(data) < attempt.MaxTurns*9/10 {
		t.Errorf("the note has %d bytes, at most %d: %v", len(data), attempt.MaxTurns, err)
	}
	if len(q.given) == 0 || len(q.given)+len(q.waits) != 2000 || len(q.starts) != len(q.given) {
		t.Errorf("%d turns are given to %d, %d wait", len(q.given), len(q.starts), len(q.waits))
	}
}
