package plan

import (
	"cmp"
	"math"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// TPUCores is what one cloud_tpu, and the tier BASIC_TPU, has (Google's guide to scale tiers).
const TPUCores = 8

// accelerators returns how many accelerators each replica of the role has: what the file asks for, or what comes with
// the machine.
func (r Role) accelerators() int64 {
	_, bundled := Bundled(r.Machine)
	if r.Accelerator == "" {
		return bundled
	}
	return max(r.Accelerators, bundled, 1)
}

// Accelerators counts the accelerators that the job has at the same time, those of parallel trials among them. A GPU is
// one, also where the job gets a part of it. A TPU is one for each core, as AI Platform Training counted them, and a later
// one for each chip.
func (p Plan) Accelerators() int64 {
	sum := p.TPUs
	for _, r := range p.Roles {
		sum = plus(sum, times(r.Replicas, r.accelerators()))
	}
	if p.Study != nil {
		sum = times(sum, p.Study.Parallel())
	}
	return sum
}

// RunLimit returns how long the job may run.
func (p Plan) RunLimit() time.Duration { return cmp.Or(p.Run, job.DefaultRunningTime) }

// AcceleratorSeconds returns what the job's accelerators are taken for if it runs for a time, in seconds of one
// accelerator. A part of a second counts as a whole one.
func (p Plan) AcceleratorSeconds(ran time.Duration) int64 {
	seconds := int64(max(ran, 0) / time.Second)
	if ran > 0 && ran%time.Second != 0 {
		seconds++
	}
	return times(p.Accelerators(), seconds)
}

// MostAcceleratorSeconds returns what the job may take at most: its accelerators for as long as it may run.
func (p Plan) MostAcceleratorSeconds() int64 { return p.AcceleratorSeconds(p.RunLimit()) }

// mostSeconds bounds sums and products of a hostile job file's counts.
const mostSeconds = math.MaxInt64 / 4

func plus(a, b int64) int64 { return min(a, mostSeconds) + min(b, mostSeconds-min(a, mostSeconds)) }

// times returns the product of two counts, at most [mostSeconds]. A count below zero is none.
func times(a, b int64) int64 {
	a, b = max(a, 0), max(b, 0)
	if a > 0 && b > mostSeconds/a {
		return mostSeconds
	}
	return a * b
}

// tpus adds the TPUs of n replicas of a role: they have no place in any plan, and count all the same where AI Platform
// Training's own interface runs the job.
func (b *builder) tpus(n int64, c *job.ReplicaConfig) {
	each := int64(TPUCores)
	if c != nil && c.AcceleratorConfig != nil && strings.HasPrefix(c.AcceleratorConfig.Type, "TPU_") {
		each = max(c.AcceleratorConfig.Count, 1)
	}
	b.plan.TPUs = plus(b.plan.TPUs, times(n, each))
}
