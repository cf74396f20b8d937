package account

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/text"
)

// queued adds the steps of an attempt that waits for its turn.
func (c circumstances) queued(r attempt.Record, a *Account, record string) {
	folder := r.Drop.Prefix
	if r.Reason == attempt.WaitsForQuota {
		c.quota(r, a, record)
	} else {
		c.rules(r, a, folder)
	}
	if c.place != nil {
		a.add(StepQueue, c.place.At, c.place.String(), c.state+"/queue.json")
		a.Because += "; " + c.place.String()
	}
	a.Next = strings.TrimPrefix(a.Next+"; "+until("it is given up", r.Deadlines.Submit), "; ")
	a.Next = strings.TrimSuffix(a.Next, "; ")
}

// quota says what the backend answered that has no room.
func (c circumstances) quota(r attempt.Record, a *Account, record string) {
	said := "the quota"
	if r.Spec != nil && r.Spec.TrainingInput != nil && r.Spec.TrainingInput.Region != "" {
		said += " of " + r.Spec.TrainingInput.Region
	}
	said += " is used up: the backend answered"
	var evidence []string
	if e := r.Error; e != nil {
		said += " " + e.Code
		evidence = append(evidence, e.Message)
	}
	tried := r.LastTry()
	a.Because = said + until("", tried)
	a.add(StepBackend, tried, fmt.Sprintf("%s, for the %s time", said, text.Ordinal(r.Tries)), append(evidence, record)...)
	a.Next = until("the next try is", r.NextTry)
}

// rules says which rule of the operator an attempt waits for.
func (c circumstances) rules(r attempt.Record, a *Account, folder string) {
	s := Step{Step: StepPolicy, At: r.Times.Accepted, Text: r.Reason}
	start := c.policy.Start(folder)
	limit := func(setting string) {
		if at := c.policy.Place(folder, setting); at != "" {
			s.Evidence = append(s.Evidence, at+": "+setting)
			a.Because += ", " + at
		}
	}
	switch {
	case c.policyErr != nil && !errors.Is(c.policyErr, ErrPolicy):
		s.Evidence = append(s.Evidence, "the policy can't be read: "+c.cause(c.policyErr))
	case c.policyErr != nil:
	case start.Paused:
		at := c.policy.Place(folder, "pause")
		a.Because = "paused by the policy at " + at
		s.Text, s.Evidence = "paused by the operator", append(s.Evidence, at+": pause: true")
		a.Next = "it goes on when the operator ends the pause; the time until then does not count"
	case strings.Contains(r.Reason, "paused"):
		a.Next = "the policy does not pause the folder any more: a tick lets it go on within a minute"
	default:
		limit("limits.activeJobs")
		limit("limits.jobsPerHour")
		limit("limits.acceleratorHours.most")
		a.Next = "it goes on when it is its turn; the time until then does not count"
		if c.budget != nil {
			s.Evidence = append(s.Evidence, "accelerator hours now: "+c.budget.String())
		}
		if c.budget.short() {
			a.Next = "it goes on when enough hours are left: jobs that end early give theirs back, the operator may raise the " +
				"budget, and a month begins on " + c.budget.Until.Format(time.DateOnly) + "; the time until then does not count"
		}
	}
	a.Chain = append(a.Chain, s)
}

// creating adds the steps of an accepted attempt that does not wait for its turn.
func (c circumstances) creating(r attempt.Record, a *Account, record string) {
	switch {
	case r.Creating != nil && c.now.Before(r.Creating.Until):
		a.Because = "its job is being created"
		a.Next = until("if its worker died, another one goes on", r.Creating.Until)
	case r.CreateUnknown():
		a.Because = "a create was asked for and its answer was lost: jobdrop looks for the job before it asks again"
		a.Next = until("if none is found, the job is created again, not before what may be under way has ended",
			r.UnknownUntil)
	case r.Error != nil:
		a.Because = text.Sentence("the backend did not take the job yet", r.Error.Code, text.FirstLine(r.Error.Message))
		a.Next = until("it is asked again", r.NextTry)
	default:
		a.Because = "accepted: its job is created in a moment"
	}
	evidence := []string{record}
	if r.Error != nil {
		evidence = []string{r.Error.Message, record}
	}
	a.add(StepBackend, r.LastTry(), a.Because, evidence...)
	a.Next = strings.Trim(a.Next+"; "+until("it is given up", r.Deadlines.Submit), "; ")
}
