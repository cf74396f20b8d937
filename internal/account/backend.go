package account

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// usualCause returns what usually keeps a job in a state; nothing if that is its work.
func usualCause(state job.BackendState, cause string) string {
	switch {
	case cause == job.CauseQuota:
		return "the project's quota for these machines is used up: look at the project's quotas, or end other jobs"
	case cause == job.CauseCapacity:
		return "the region has no such machines free: another region or machine type may have"
	case cause == job.CausePermission:
		return "an account lacks a right: the backend's message names it"
	case state == job.BackendQueued:
		return "the project's quota, or that the region has no such machines free"
	case state == job.BackendPreparing:
		return "that the region has no such machines free, or an image that takes long to load"
	case state == job.BackendCancelling:
		return "a program that does not end when it is told to"
	}
	return ""
}

// submitted adds the steps of a job that has not ended.
func (c circumstances) submitted(r attempt.Record, a *Account, record string) {
	a.Because = "the backend has the job"
	if !r.Changed.IsZero() {
		word := "has been"
		if r.Delay != nil && r.Delay.Kind == job.KindState {
			word = "has been stuck in"
		}
		a.Because = fmt.Sprintf("the job %s %s since %s, for %s", word, r.Job.State, text.Instant(r.Changed),
			text.Age(c.now.Sub(r.Changed)))
	}
	cause := ""
	if r.Delay != nil {
		cause = r.Delay.Cause
	}
	if usual := usualCause(r.Job.State, cause); usual != "" {
		a.Because += "; the usual cause is " + usual
	}
	a.add(StepJob, r.Changed, text.Sentence(string(r.Job.State), r.Reason), record)
	if n := r.Absent; n != nil {
		a.add(StepBackend, n.Last, fmt.Sprintf("the backend did not find the job, %d times in a row: after three and ten "+
			"minutes it is lost", n.Misses), r.Job.ResourceName)
	}
	a.Next = until("it is cancelled if it does not run", r.Deadlines.Wait) + until("it is cancelled", r.Deadlines.Run)
}

// concluded adds the steps of an attempt that was accepted and has its verdict.
func (c circumstances) concluded(r attempt.Record, a *Account, record string) {
	if !r.Times.Started.IsZero() {
		said := "the job ran"
		if !r.Times.Ended.IsZero() {
			said += " for " + text.Age(r.Times.Ended.Sub(r.Times.Started))
		}
		a.add(StepJob, r.Times.Started, said)
	}
	s := Step{StepJob, r.Times.Concluded, r.Reason, []string{record}}
	if e := r.Error; e != nil && !strings.Contains(r.Reason, strings.TrimSuffix(text.FirstLine(e.Message), ".")) {
		s.Evidence = []string{text.FirstLine(e.Message), record}
	}
	if asked := r.CancelRequested; asked != nil {
		s.Text += " (asked " + text.Sentence(text.Instant(asked.At), asked.By, asked.Reason) + ")"
	}
	if r.State == job.Rejected { // while it waited for its turn
		s.Step, s.Evidence = StepCheck, violationsOf(r)
	}
	a.Chain = append(a.Chain, s)
	switch n := len(r.Violations); {
	case r.State == job.Rejected && n > 0:
		a.Next = r.Violations[n-1].Remedy
	case r.State == job.Cancelled && restarted(r):
		a.Next = "drop it again when machines are lost less often, or ask the operator for more restarts"
	}
	if r.State != job.Failed {
		return
	}
	a.Next = c.line("logs", r.Job.ID) + " shows the whole log"
	lines := c.log
	if len(lines) == 0 {
		lines = LogEnd(r.Error, c.lines)
	}
	switch {
	case errors.Is(c.logErr, context.DeadlineExceeded):
		a.add(StepLog, time.Time{}, "the log's end could not be read in time")
	case c.logErr != nil:
		a.add(StepLog, time.Time{}, "the log can't be read: "+c.cause(c.logErr))
	}
	if len(lines) > 0 {
		a.add(StepLog, time.Time{}, "the end of the log", lines...)
	}
}

// LogEnd returns the end of a job's log, most lines at most, as far as the failure has it: in its message where the
// backend copies it.
func LogEnd(e *job.Failure, most int) []string {
	if e == nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(cmp.Or(e.Excerpt, e.Message)), "\n")
	if e.Excerpt == "" {
		lines = lines[1:] // it is said
	}
	return lines[max(0, len(lines)-most):]
}
