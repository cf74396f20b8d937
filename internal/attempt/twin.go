package attempt

import (
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// Twin is what an earlier attempt of a folder is to a drop of the same content.
type Twin int

const (
	// NoTwin has no job of this content, and gets none.
	NoTwin Twin = iota
	// UndecidedTwin may still be accepted.
	UndecidedTwin
	// RunningTwin had not ended when the drop's job file was uploaded, as far as the record says.
	RunningTwin
	// EndedTwin had a job of this content, and ended before the drop's job file was uploaded.
	EndedTwin
)

// Twin returns what the attempt is to a drop with a content digest whose job file was uploaded at a
// time. An attempt whose job the backend did not take has none.
func (r Record) Twin(digest string, uploaded time.Time) Twin {
	switch {
	case r.State.Undecided():
		return UndecidedTwin
	case r.Drop.Receipt == nil || r.Drop.Receipt.Content != digest || r.State == job.Rejected, r.NeverRan():
		return NoTwin
	case r.State.Terminal() && !r.End().After(uploaded):
		return EndedTwin
	case r.CancelAsked() && !r.CancelRequested.At.After(uploaded):
		return EndedTwin // who uploads it again after that wants it to run
	}
	return RunningTwin
}

// End returns when an attempt with a verdict ended: when its job did, by the backend's clock, or
// when jobdrop learnt of it, whichever is earlier. The verdict may come a tick after the job's end,
// and the backend's clock may be ahead.
func (r Record) End() time.Time {
	if ended := r.Times.Ended; !ended.IsZero() && ended.Before(r.Times.Concluded) {
		return ended
	}
	return r.Times.Concluded
}
