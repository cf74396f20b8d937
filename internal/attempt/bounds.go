package attempt

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Each text and list that enters a record has a bound, in bytes of JSON. A test makes the largest
// record and checks it against these limits.
const (
	// MaxRecord is the largest size of a record as JSON, in bytes. A ledger reads no more, so it
	// writes no more.
	MaxRecord = 32 << 20
	// MaxTurns is the largest size of the note of the turns, in bytes. Ten thousand turns with
	// folder names of usual length take two megabytes.
	MaxTurns = 16 << 20
	// maxAccepted bounds what an attempt is accepted with: the job, its staged packages and the
	// receipt of 101 objects.
	maxAccepted = job.MaxSpec + 1<<20
	// correlationText is the longest correlation ID. Metadata may have 8 KiB, an attribute of a
	// message 1,024 bytes.
	correlationText = 256
	// trialParams is how many parameters of a trial an event holds. trialText is the longest text
	// of one.
	trialParams = 16
	trialText   = 128
)

// bound cuts what an observation put into the record down to its bounds.
func (r *Record) bound() {
	if len(r.Drop.Arrived)+len(r.Drop.Missing)+len(r.Violations)+len(r.Job.Trials) == 0 {
		r.Truncated = false // what was shortened is gone
	}
	s := r.Snapshot()
	receipt, summary := r.Drop.Receipt, r.Job.Summary
	r.Reason, r.Job, r.Drop, r.Violations = s.Reason, s.Job, s.Drop, s.Violations
	r.Error, r.Links, r.Truncated, r.Rerun = s.Error, s.Links, s.Truncated, s.Rerun
	if s.CancelRequested != nil {
		r.CancelRequested = s.CancelRequested
	}
	r.Drop.Receipt, r.Job.Summary = receipt, summary
}

// tooLarge reports whether the attempt is too large to be recorded.
func (o Accept) tooLarge() bool {
	return job.Larger(maxAccepted, o.Spec, o.Mapping, o.Receipt) || job.Larger(job.MaxLabels, o.Spec.Labels)
}

// Within returns the record with its outbox bounded, and its JSON. It is for a record that is too
// large for the ledger: only events of an earlier revision can be so large. If the JSON still
// exceeds limit, the error is [job.ErrTooLarge].
func (r Record) Within(limit int) (Record, []byte, error) {
	r.Outbox = slices.Clone(r.Outbox)
	for i := range r.Outbox {
		r.Outbox[i].Body = r.Outbox[i].Body.Bounded()
	}
	r.bound()
	data, err := json.Marshal(r)
	if err == nil && len(data) > limit {
		err = fmt.Errorf("%w: %d bytes, at most %d", job.ErrTooLarge, len(data), limit)
	}
	return r, data, err
}

// Size returns an upper bound of the bytes that the turn takes in the ledger's note.
func (t Turn) Size() int {
	const rest = 240 // names of fields, two times, a month, a number
	return job.TextSize(t.Attempt) + job.TextSize(t.Folder) + rest
}
