package job

// State is where an attempt stands.
type State string

// The states of an attempt. jobdrop's own records have Submitted until the verdict,
// and the backend's state beside it, see [BackendState]; events and status.json have
// Queued, Preparing and Running from when those are seen.
const (
	Waiting   State = "waiting"   // packages are missing
	Held      State = "held"      // complete, but its packages may be yesterday's
	Accepted  State = "accepted"  // checked and pinned; the backend is to be asked
	Submitted State = "submitted" // the backend has it
	Queued    State = "queued"    // the job waits for resources
	Preparing State = "preparing" // the job gets its machines
	Running   State = "running"   // the job runs, or is being cancelled

	Rejected  State = "rejected"
	Withdrawn State = "withdrawn"
	Expired   State = "expired"
	Succeeded State = "succeeded"
	Failed    State = "failed"
	Cancelled State = "cancelled"
	TimedOut  State = "timed_out"
	Lost      State = "lost"
)

// States returns all states, in the order of an attempt's way, the verdicts last.
func States() []State {
	return []State{
		Waiting, Held, Accepted, Submitted, Queued, Preparing, Running,
		Rejected, Withdrawn, Expired, Succeeded, Failed, Cancelled, TimedOut, Lost,
	}
}

// Undecided reports whether the attempt's folder still has to be looked at.
func (s State) Undecided() bool { return s == "" || s == Waiting || s == Held }

// Terminal reports whether the state is a verdict.
func (s State) Terminal() bool {
	switch s {
	case Rejected, Withdrawn, Expired, Succeeded, Failed, Cancelled, TimedOut, Lost:
		return true
	}
	return false
}

// BackendState is the state of a job in the words of ml/v1.
type BackendState string

// The states of ml/v1's Job.
const (
	BackendQueued     BackendState = "QUEUED"
	BackendPreparing  BackendState = "PREPARING"
	BackendRunning    BackendState = "RUNNING"
	BackendSucceeded  BackendState = "SUCCEEDED"
	BackendFailed     BackendState = "FAILED"
	BackendCancelling BackendState = "CANCELLING"
	BackendCancelled  BackendState = "CANCELLED"
)

// Ended reports whether a job in this state has stopped.
func (s BackendState) Ended() bool {
	return s == BackendSucceeded || s == BackendFailed || s == BackendCancelled
}
