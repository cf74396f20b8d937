package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// looks are the promises about what a look at a job tells. A record follows the job by it.
func looks() []Promise {
	return []Promise{
		{
			Name:   "a look at nothing says so",
			Breach: "a job that is gone is polled for ever, or a fault of the service ends an attempt as lost",
			For:    []string{"watcher.ask"},
			check:  getNothing,
		},
		{
			Name:   "states are told",
			Breach: "people hear that a job runs while it waits, or never hear of its end",
			For:    []string{"attempt.follow"}, faults: true,
			check: statesTold,
		},
		{
			Name:   "a state of tomorrow ends nothing",
			Breach: "the day the service learns a new state, jobs end as failed that run",
			For:    []string{"attempt.follow"}, faults: true,
			check: newState,
		},
		{
			Name:   "an answer that is no job ends nothing",
			Breach: "a gateway's page ends an attempt whose job runs",
			For:    []string{"attempt.follow", "watcher.ask"}, faults: true,
			check: getNoJob,
		},
		{
			Name:   "times are the service's, in UTC",
			Breach: "limits are counted from the wrong moment",
			For:    []string{"attempt.limit", "attempt.timedOut"}, faults: true,
			check: timesTold,
		},
		{
			Name:   "a job that lost its machine starts once",
			Breach: "a spot job that is restarted has its run limit anew each time, or ends as failed while it waits",
			For:    []string{"attempt.apply", "attempt.follow"}, faults: true,
			check: preempted,
		},
		{
			Name:   "a run limit's end is a timeout",
			Breach: "people hear that somebody cancelled a job that its limit ended",
			For:    []string{"attempt.timedOut"}, faults: true,
			check: runLimit,
		},
		{
			Name:   "a wait limit's end is a timeout",
			Breach: "people hear that somebody cancelled a job that waited for too long",
			For:    []string{"attempt.timedOut", "submitter.decide"}, faults: true,
			check: waitLimit,
		},
		{
			Name:   "a person's cancel is no timeout",
			Breach: "people hear that a limit ended a job that somebody cancelled",
			For:    []string{"attempt.timedOut"}, faults: true,
			check: personCancels,
		},
		{
			Name:   "why a job failed is told, within bounds",
			Breach: "people hear that a job failed and not why, or a long text makes a record that can't be written",
			For:    []string{"attempt.follow", "attempt.bound"}, faults: true,
			check: whyFailed,
		},
		{
			Name:   "trials are told",
			Breach: "nobody hears which trial of a tuning job was the best",
			For:    []string{"attempt.follow", "submitter.findEarlier"}, faults: true,
			check: trialsTold,
		},
	}
}

// begin is when jobs are shown as created: a whole hour, since services tell fractions in different ways.
var begin = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

const (
	waitMost = time.Hour
	runMost  = 2 * time.Hour
	soon     = 10 * time.Minute
)

// limited makes a job with limits, and its attempt's record as it is before it learns of the job.
func (c *try) limited() (attempt.BackendJob, attempt.Record, error) {
	o := c.order("a", func(s *job.Spec) {
		s.TrainingInput.Scheduling = &job.Scheduling{
			MaxWaitTime: job.FormatDuration(waitMost), MaxRunningTime: job.FormatDuration(runMost),
		}
	})
	made, err := c.create(o)
	r := attempt.Record{
		Attempt: o.JobID, State: job.Accepted, Spec: &o.Spec, Backend: c.backend.Name(), Job: job.JobInfo{ID: o.JobID},
		Times: job.Times{Accepted: begin},
	}
	return made, r, err
}

// follow has the record follow the job while the service shows it as looking so, a minute after each
// began.
func (c *try) follow(made attempt.BackendJob, r attempt.Record, looks ...Look) (attempt.Record, error) {
	for _, l := range looks {
		l.Created = begin
		now := begin
		for _, at := range []time.Time{l.Started, l.Ended, r.Changed} {
			if at.After(now) {
				now = at
			}
		}
		c.show(l)
		var err error
		if r, err = c.see(made, r, now.Add(time.Minute)); err != nil {
			return r, err
		}
	}
	return r, nil
}

// see applies a look at the job to its record.
func (c *try) see(made attempt.BackendJob, r attempt.Record, now time.Time) (attempt.Record, error) {
	got, err := c.get(made)
	if err != nil {
		return r, err
	}
	r, _, err = attempt.Step(r, attempt.Seen(got, now), now)
	return r, err
}

func getNothing(c *try) error {
	made, err := c.create(c.order("a"))
	if err != nil {
		return err
	}
	_, err = c.backend.Get(c, c.absent(made))
	return want("a look at what is not there", err, "not found")
}

// absent returns the name of a job that is not there, beside one that is.
func (c *try) absent(made attempt.BackendJob) job.JobInfo {
	info := c.info(made)
	info.ID += "9"
	info.ResourceName += "9"
	return info
}

func statesTold(c *try) error {
	made, err := c.create(c.order("a"))
	if err != nil {
		return err
	}
	for _, state := range []job.BackendState{
		job.BackendQueued, job.BackendPreparing, job.BackendRunning,
		job.BackendSucceeded, job.BackendFailed, job.BackendCancelled,
	} {
		l := Look{State: state, Created: begin}
		if state != job.BackendQueued && state != job.BackendPreparing {
			l.Started = begin.Add(time.Minute)
		}
		if state.Ended() {
			l.Ended = begin.Add(time.Hour)
		}
		c.show(l)
		got, err := c.get(made)
		if err != nil {
			return err
		}
		if got.State != state {
			return fmt.Errorf("%s is told as %q", state, got.State)
		}
	}
	return nil
}

func newState(c *try) error {
	made, r, err := c.limited()
	if err != nil {
		return err
	}
	if r, err = c.follow(made, r, Look{State: job.BackendRunning, Started: begin.Add(time.Minute)}); err != nil {
		return err
	}
	r, err = c.follow(made, r, Look{Started: begin.Add(time.Minute)})
	if err == nil && (r.State != job.Submitted || r.Job.State != job.BackendRunning) {
		err = fmt.Errorf("a state that nobody knows makes a running job %s, %s", r.State, r.Job.State)
	}
	return err
}

func getNoJob(c *try) error {
	made, r, err := c.limited()
	if err != nil {
		return err
	}
	if r, err = c.follow(made, r, Look{State: job.BackendRunning, Started: begin.Add(time.Minute)}); err != nil {
		return err
	}
	c.honest()
	for _, body := range []string{
		"{}", "null", "[]", "<html>", `{"state": `, `{"state": 7, "createTime": []}`, `{"kind": "Status"}`,
	} {
		c.fail(Get, Fault{Status: http.StatusOK, Body: body})
		got, err := c.backend.Get(c, c.info(made))
		if class := classOf(err); class != "done" && class != "unknown" {
			return fmt.Errorf("an answer %s is %s", body, class)
		}
		if err != nil {
			continue
		}
		after, _, err := attempt.Step(r, attempt.Seen(got, begin.Add(time.Hour)), begin.Add(time.Hour))
		if err != nil || after.State != job.Submitted || after.Job.State != job.BackendRunning ||
			after.Job.ResourceName != r.Job.ResourceName {
			return fmt.Errorf("an answer %s makes a running job %s, %s, %v", body, after.State, after.Job.State, err)
		}
	}
	return nil
}

func timesTold(c *try) error {
	made, err := c.create(c.order("a"))
	if err != nil {
		return err
	}
	started, ended := begin.Add(time.Minute), begin.Add(time.Hour)
	for _, l := range []Look{
		{State: job.BackendQueued, Created: begin},
		{State: job.BackendRunning, Created: begin, Started: started},
		{State: job.BackendSucceeded, Created: begin, Started: started, Ended: ended},
	} {
		c.show(l)
		got, err := c.get(made)
		if err != nil {
			return err
		}
		for _, at := range [][2]time.Time{{got.Created, l.Created}, {got.Started, l.Started}, {got.Ended, l.Ended}} {
			if at[0] != at[1] { // the zone, too
				return fmt.Errorf("of a job that is %s, %s is told as %s", l.State, at[1], at[0])
			}
		}
	}
	return nil
}

func preempted(c *try) error {
	made, r, err := c.limited()
	if err != nil {
		return err
	}
	started := begin.Add(time.Minute)
	running := Look{State: job.BackendRunning, Started: started}
	if r, err = c.follow(made, r, Look{State: job.BackendPreparing}, running); err != nil {
		return err
	}
	limit := r.Deadlines.Run
	for range 3 {
		if r, err = c.follow(made, r, Look{State: job.BackendPreparing, Started: started}); err != nil {
			return err
		}
		if r.State != job.Submitted || r.Job.State != job.BackendPreparing {
			return fmt.Errorf("a job whose machine was taken away is %s, %s", r.State, r.Job.State)
		}
		if r, err = c.follow(made, r, running); err != nil {
			return err
		}
		if r.State != job.Submitted || r.Job.State != job.BackendRunning || r.Times.Started != started ||
			r.Deadlines.Run != limit || limit.IsZero() {
			return fmt.Errorf("a restarted job is %s, %s since %s, until %s; want since %s, until %s", r.State, r.Job.State,
				r.Times.Started, r.Deadlines.Run, started, limit)
		}
	}
	r, err = c.follow(made, r, Look{State: job.BackendSucceeded, Started: started, Ended: started.Add(time.Hour)})
	if err == nil && r.State != job.Succeeded {
		err = fmt.Errorf("a restarted job that succeeds is %s: %s", r.State, r.Reason)
	}
	return err
}

// timedOut returns an error unless a limit of the kind ended the job.
func timedOut(r attempt.Record, kind, by string) error {
	if r.State != job.TimedOut || r.Timeout == nil || r.Timeout.Kind != kind || r.Timeout.EnforcedBy != by {
		return fmt.Errorf("the attempt is %s (%s), timeout %+v; want a timeout of the %s, enforced by the %s", r.State,
			r.Reason, r.Timeout, kind, by)
	}
	return nil
}

// overrun shows the job as ended at a limit, in each of the service's ways.
func (c *try) overrun(made attempt.BackendJob, r attempt.Record, l Look, kind, by string) error {
	l.State, l.Created, l.Message = job.BackendCancelled, begin, "the time is over"
	for _, way := range c.Overruns {
		c.show(l, way)
		ended, err := c.see(made, r, l.Ended.Add(time.Minute))
		if err == nil {
			err = timedOut(ended, kind, by)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func runLimit(c *try) error {
	made, r, err := c.limited()
	if err != nil {
		return err
	}
	started := begin.Add(time.Minute)
	if r, err = c.follow(made, r, Look{State: job.BackendRunning, Started: started}); err != nil {
		return err
	}
	return c.overrun(made, r, Look{Started: started, Ended: started.Add(runMost)}, job.KindRun, job.ByBackend)
}

func waitLimit(c *try) error {
	made, r, err := c.limited()
	if err != nil {
		return err
	}
	if r, err = c.follow(made, r, Look{State: job.BackendQueued}, Look{State: job.BackendPreparing}); err != nil {
		return err
	}
	ended := begin.Add(waitMost)
	if c.backend.EnforcesWait() {
		return c.overrun(made, r, Look{Ended: ended}, job.KindWait, job.ByBackend)
	}
	// jobdrop ends it, and the service may show a start of what was only being prepared.
	asked := ended.Add(time.Second)
	if r, _, err = attempt.Step(r, attempt.CancelJob{Kind: job.KindWait}, asked); err != nil {
		return err
	}
	for _, l := range []Look{{Ended: asked}, {Started: begin.Add(time.Minute), Ended: asked}} {
		l.State = job.BackendCancelled
		cancelled, err := c.follow(made, r, l)
		if err == nil {
			err = timedOut(cancelled, job.KindWait, job.ByJobdrop)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func personCancels(c *try) error {
	made, r, err := c.limited()
	if err != nil {
		return err
	}
	started := begin.Add(time.Minute)
	r, err = c.follow(made, r, Look{State: job.BackendRunning, Started: started},
		Look{State: job.BackendCancelled, Started: started, Ended: started.Add(soon), Message: "cancelled"})
	if err == nil && (r.State != job.Cancelled || r.Timeout != nil) {
		err = fmt.Errorf("a job that a person cancelled is %s: %s", r.State, r.Reason)
	}
	return err
}

func whyFailed(c *try) error {
	made, r, err := c.limited()
	if err != nil {
		return err
	}
	started := begin.Add(time.Minute)
	if r, err = c.follow(made, r, Look{State: job.BackendRunning, Started: started}); err != nil {
		return err
	}
	const why = "the learning rate is negative"
	r, err = c.follow(made, r, Look{State: job.BackendFailed, Started: started, Ended: started.Add(soon),
		Message: why + strings.Repeat(" <text>", 1<<18)})
	if err != nil {
		return err
	}
	if r.State != job.Failed || r.Error == nil || !strings.Contains(r.Error.Message, why) ||
		!strings.Contains(r.Reason, why) {
		return fmt.Errorf("a job that failed is %s: %.100s, %+.100v", r.State, r.Reason, r.Error)
	}
	if data, err := json.Marshal(r); err != nil || len(data) > job.MaxEvent {
		return fmt.Errorf("its record has %d bytes, %v", len(data), err)
	}
	return nil
}

// tuning returns an order of a tuning job.
func (c *try) tuning(n string) job.Order {
	return c.order(n, func(s *job.Spec) { s.TrainingInput.Hyperparameters = hyperparameters() })
}

func hyperparameters() *job.HyperparameterSpec {
	return &job.HyperparameterSpec{
		Algorithm: "GRID_SEARCH", Goal: "MINIMIZE", HyperparameterMetricTag: "loss", MaxTrials: 3, MaxParallelTrials: 2,
		Params: []job.ParameterSpec{{ParameterName: "rate", Type: "DISCRETE", DiscreteValues: []float64{0.25, 0.5, 1}}},
	}
}

func trialsTold(c *try) error {
	o := c.tuning("a")
	made, err := c.create(o)
	if err != nil {
		return err
	}
	low, high := 0.0, 0.75
	want := []job.Trial{
		{ID: "2", State: job.BackendSucceeded, Parameters: map[string]string{"rate": "0.5"}, Objective: &low, Step: 30},
		{ID: "1", State: job.BackendSucceeded, Parameters: map[string]string{"rate": "0.25"}, Objective: &high, Step: 30},
		{ID: "3", State: job.BackendFailed, Parameters: map[string]string{"rate": "1"}},
	}
	c.show(Look{State: job.BackendSucceeded, Created: begin, Started: begin.Add(time.Minute), Ended: begin.Add(time.Hour),
		Trials: want})
	got, err := c.get(made)
	if err != nil {
		return err
	}
	found, err := c.found(o)
	if err != nil || len(found) != 1 {
		return fmt.Errorf("found %d tuning jobs, %w", len(found), err)
	}
	for how, trials := range map[string][]job.Trial{"a look": got.Trials, "a search": found[0].Trials} {
		if err := sameTrials(trials, want); err != nil {
			return fmt.Errorf("%s: %w", how, err)
		}
	}
	return nil
}

// sameTrials returns an error if trials are not those that are wanted. Why a trial failed is not compared.
func sameTrials(got, want []job.Trial) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d trials, want %d", len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.ID != w.ID || g.State != w.State || g.Step != w.Step || !maps.Equal(g.Parameters, w.Parameters) ||
			(g.Objective == nil) != (w.Objective == nil) || w.Objective != nil && *g.Objective != *w.Objective {
			return fmt.Errorf("trial %+v, want %+v", g, w)
		}
	}
	return nil
}
