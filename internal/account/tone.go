package account

import "github.com/jobdrop/jobdrop/pkg/job"

// Tone is how the state of an attempt is to be taken: the command line and the console give it its colour.
type Tone string

// The tones.
const (
	Good  Tone = "good"
	Bad   Tone = "bad"   // something went wrong
	Warn  Tone = "warn"  // it waits for somebody, or somebody ended it
	Going Tone = "going" // it goes on
)

// ToneOf returns the tone of a state.
func ToneOf(s job.State) Tone {
	switch s {
	case job.Succeeded:
		return Good
	case job.Rejected, job.Expired, job.Failed, job.TimedOut, job.Lost:
		return Bad
	case job.Withdrawn, job.Cancelled, job.Waiting, job.Held:
		return Warn
	}
	return Going
}
