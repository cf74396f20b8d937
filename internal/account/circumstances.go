package account

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// circumstances are what an account is made of beside the record.
type circumstances struct {
	line      func(command string, names ...string) string
	cause     func(error) string
	state     string // gs://BUCKET of the records
	now       time.Time
	place     *Place
	budget    *Budget
	policy    policy.Policy
	policyErr error
	tick      time.Time
	// asked are the requests without an answer, or askedErr says why they can't be read.
	asked    []Step
	askedErr error
	// lines is how many lines of a log are shown. log has them if the log was read, and logErr if it can't be.
	lines  int
	log    []string
	logErr error
}

// account returns why an attempt is where it is.
func (c circumstances) account(r attempt.Record) Account {
	a := Account{
		Attempt: r.Attempt, JobID: r.Job.ID, Drop: "gs://" + r.Drop.Bucket + "/" + r.Drop.Prefix, State: string(r.Shown()),
		Because: r.Reason, Chain: []Step{},
	}
	record := c.state + "/attempts/" + r.Attempt + ".json"
	dropped := "the job file was uploaded" + By(r.Uploader)
	if r.Rerun != nil {
		dropped = "somebody's request runs the attempt " + r.Rerun.Of + " again: " +
			text.Sentence(r.Rerun.By, r.Rerun.Reason)
	}
	a.add(StepDrop, r.Times.Dropped, strings.TrimRight(dropped, ": "), pinned(r.Drop.JobFile))
	if r.Times.Accepted.IsZero() {
		c.undecided(r, &a, record)
	} else {
		var objects []string
		for _, o := range r.Drop.Receipt.Objects {
			objects = append(objects, pinned(o))
		}
		a.add(StepCheck, r.Times.Accepted, "the drop was checked, pinned and accepted", objects...)
	}
	if asked := r.CancelRequested; asked != nil && !r.State.Terminal() {
		said := text.Sentence(asked.Kind, asked.By, asked.Reason)
		if restarted(r) {
			said = "the backend started it again more often than limits.restarts of the policy allows"
		}
		a.add(StepRequest, asked.At, "to be cancelled: "+said, record)
	}
	switch {
	case r.State == job.Accepted && r.Queued:
		c.queued(r, &a, record)
	case r.State == job.Accepted:
		c.creating(r, &a, record)
	}
	if !r.Times.Created.IsZero() {
		a.add(StepBackend, r.Times.Created, "the backend has the job", r.Job.ResourceName)
	}
	if s := r.Restarts; s != nil {
		a.add(StepBackend, s.Last, fmt.Sprintf("the backend started the job again (restarts: %v); at most %v of its run is "+
			"lost", s, time.Duration(s.AtRisk)), record)
	}
	switch {
	case r.State == job.Submitted:
		c.submitted(r, &a, record)
	case r.State.Terminal() && !r.Times.Accepted.IsZero():
		c.concluded(r, &a, record)
	}
	if setting := limit(r); setting != "" {
		c.addLimit(r, &a, setting)
	} else if errors.Is(c.policyErr, ErrPolicy) {
		a.addPolicy(c.cause(c.policyErr))
	}
	c.requested(r, &a)
	if Late(c.tick, c.now) {
		a.addTick(c.tick, c.state, c.now)
	}
	return a
}

// requested adds the requests that have no answer.
func (c circumstances) requested(r attempt.Record, a *Account) {
	a.Chain = append(a.Chain, c.asked...)
	switch {
	case len(c.asked) > 0:
		a.Next = "a tick answers what is asked, within a minute"
	case c.askedErr != nil && !r.State.Terminal():
		a.add(StepRequest, time.Time{}, "whether somebody asks to cancel it can't be said: "+c.cause(c.askedErr))
	}
}

// undecided adds the steps of an attempt that was not accepted.
func (c circumstances) undecided(r attempt.Record, a *Account, record string) {
	at := r.Times.Seen
	if r.State.Terminal() {
		at = r.Times.Concluded
	}
	d := r.Deadlines
	switch r.State {
	case job.Waiting:
		a.add(StepPackages, at, r.Reason, r.Drop.Missing...)
		a.Next = "upload what is missing; " + until("it is reported as incomplete", d.Incomplete) +
			until(" and given up", d.Expires)
		if len(r.Drop.Missing) > 0 {
			a.Because = "no package yet: " + strings.Join(r.Drop.Missing, ", ") + " is missing in " + a.Drop
		}
		if !r.NextCheck.IsZero() {
			a.Next = until("its packages are checked again", r.NextCheck)
		}
		if len(r.Violations) > 0 {
			a.add(StepCheck, at, "the job file has errors, too: correct them", violationsOf(r)...)
		}
	case job.Held:
		a.add(StepPackages, at, r.Reason, record)
		a.Next = "upload the new package to go on at once; " + until("else it goes on as it is", d.Held)
	case job.Rejected:
		said := r.Reason
		if len(r.Violations) > 0 {
			said = "the drop was rejected"
		}
		a.add(StepCheck, at, said, violationsOf(r)...)
		a.Next = "correct it, and upload the job file again"
	case job.Withdrawn, job.Expired:
		a.add(StepDrop, at, r.Reason, record)
		if r.DuplicateOf != "" {
			a.Next = c.line("why", r.DuplicateOf) + " tells of the attempt that it repeats"
		}
	default:
		a.Because = "jobdrop has seen it, and not decided yet"
	}
}

// violationsOf returns the violations of an attempt, each as a line.
func violationsOf(r attempt.Record) (lines []string) {
	for _, v := range r.Violations {
		lines = append(lines, WithRule(v))
	}
	return lines
}

// pinned returns the URI of an object at its generation.
func pinned(o job.Object) string { return fmt.Sprintf("%s#%d", o.URI(), o.Generation) }

// tickLate is how old the last tick is if Watch does not run: ticks take up to seven minutes.
const tickLate = 10 * time.Minute

// Late reports whether the last tick, if it is known, is so long ago that Watch does not run.
func Late(tick, now time.Time) bool { return !tick.IsZero() && now.Sub(tick) > tickLate }

// addTick says that Watch does not run.
func (a *Account) addTick(tick time.Time, state string, now time.Time) {
	a.add(StepWatch, tick, fmt.Sprintf("Watch's last tick was %s ago, and one is due each minute", text.Age(now.Sub(tick))),
		state+"/heartbeat.json")
	a.Next = "Watch does not run, and nothing goes on until it does: look at its logs and its schedule"
}
