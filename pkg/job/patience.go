package job

import "time"

// Patience says how long jobdrop waits. Zero is without end, unless a field says otherwise.
type Patience struct {
	// Settle is how long a folder that ran before may take to get its new package, from the
	// arrival of the job file. Zero is not a time.
	Settle time.Duration
	// Incomplete is when missing packages are reported, Expire when the drop is given up. Both
	// count as Settle does. Zero is at once.
	Incomplete, Expire time.Duration
	// Submit is how long the backend is asked for a job, from when it may first be asked.
	Submit time.Duration
	// Alone is how long packages may lie in a folder without a job file before that is reported.
	Alone time.Duration
	JobPatience
}

// JobPatience is the patience with a job. A record holds it as it was when the attempt was accepted.
type JobPatience struct {
	// Queued, Preparing, Running and Cancelling are how long the job may be in each state before
	// that is reported.
	Queued     Duration `json:"queued,omitzero"`
	Preparing  Duration `json:"preparing,omitzero"`
	Running    Duration `json:"running,omitzero"`
	Cancelling Duration `json:"cancelling,omitzero"`
	// Grace is how long after its limit jobdrop cancels a job that the backend has not cancelled.
	// Records of earlier forms have none. It is [DefaultGrace] then.
	Grace *Duration `json:"grace,omitempty"`
	// WaitGrace is the grace after the limit on the wait, if it differs from Grace: a backend that
	// does not know that limit is not waited for.
	WaitGrace *Duration `json:"waitGrace,omitempty"`
	// Restarts is how often the backend may start the job again before jobdrop cancels it. Without
	// it there is no limit.
	Restarts *int64 `json:"restarts,omitempty"`
}

// DefaultGrace exceeds both the difference between clocks and the time the backend takes to end a
// job by itself.
const DefaultGrace = 15 * time.Minute

// In returns how long the job may be in a state; 0 is without end.
func (p JobPatience) In(s BackendState) time.Duration {
	switch s {
	case BackendQueued:
		return time.Duration(p.Queued)
	case BackendPreparing:
		return time.Duration(p.Preparing)
	case BackendRunning:
		return time.Duration(p.Running)
	case BackendCancelling:
		return time.Duration(p.Cancelling)
	}
	return 0
}

// After returns how long after a limit of the kind, [KindWait] or [KindRun], jobdrop cancels.
func (p JobPatience) After(kind string) time.Duration {
	switch {
	case kind == KindWait && p.WaitGrace != nil:
		return time.Duration(*p.WaitGrace)
	case p.Grace != nil:
		return time.Duration(*p.Grace)
	}
	return DefaultGrace
}
