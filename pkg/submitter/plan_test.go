package submitter

import (
	"fmt"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/policy"
)

// BenchmarkPlan is what a tick computes for a long queue.
func BenchmarkPlan(b *testing.B) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, prefixes := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("10000 attempts of %d prefixes", prefixes), func(b *testing.B) {
			var open []job.Entry
			for i := range 10_000 {
				open = append(open, job.Entry{
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
				backlog := job.NewBacklog(job.Turns{}, now)
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
