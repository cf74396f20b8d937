package contract

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// creates are the promises about the create of a job: that an attempt has one job at most, and that an error says
// whether one may be there.
func creates() []Promise {
	return []Promise{
		{
			Name:   "the name stays",
			Breach: "an open attempt is asked for at a backend that never had it, and ends as lost",
			For:    []string{"submitter.otherBackend", "watcher.ask"},
			check:  nameStays,
		},
		{
			Name:   "a create tells its job",
			Breach: "the record does not know which job is the attempt's own, or since when it waits",
			For:    []string{"submitter.ask", "attempt.apply"},
			check:  createTells,
		},
		{
			Name:   "limits reach the service",
			Breach: "a job runs, and costs, for longer than its job file says",
			For:    []string{"submitter.decide", "attempt.limits"}, faults: true,
			check: limitsReach,
		},
		{
			Name:   "a check makes no call",
			Breach: "a drop that can't run there is accepted, and its uploader learns it from a failed create",
			For:    []string{"submitter.decide"}, faults: true,
			check: checks,
		},
		{
			Name:   "a second create is a conflict",
			Breach: "an attempt that is delivered twice has two jobs",
			For:    []string{"submitter.ask"}, of: taking,
			check: conflicts,
		},
		{
			Name:   "another's job with the ID is a conflict",
			Breach: "an attempt takes another's job for its own, and tells people of that one's end",
			For:    []string{"submitter.ask", "submitter.taken"}, of: taking,
			check: taken,
		},
		{
			Name:   "a conflict that can't be looked at leaves the outcome open",
			Breach: "a drop is rejected, and its job runs",
			For:    []string{"submitter.ask"}, of: taking, faults: true,
			check: blindConflict,
		},
		{
			Name:   "a refusal after an open outcome leaves it open",
			Breach: "a drop is rejected, and its job runs",
			For:    []string{"submitter.ask"}, of: taking, faults: true,
			check: lateRefusal,
		},
		{
			Name:   "a create is sent once",
			Breach: "an attempt has two jobs",
			For:    []string{"submitter.ask"}, of: notTaking, faults: true,
			check: sentOnce,
		},
		{
			Name:   "a conflict without an ID leaves the outcome open",
			Breach: "a drop is rejected, and its job runs",
			For:    []string{"submitter.ask"}, of: notTaking, faults: true,
			check: strangeConflict,
		},
		{
			Name:   "a lost answer leaves the outcome open",
			Breach: "after a broken connection an attempt has two jobs, or is rejected while its job runs",
			For:    []string{"submitter.ask", "submitter.findEarlier"}, faults: true,
			check: lostAnswer,
		},
		{
			Name:   "a service that is down leaves the outcome open",
			Breach: "a drop is rejected since the service was down for a moment",
			For:    []string{"submitter.ask"}, faults: true,
			check: serviceDown,
		},
		{
			Name:   "an answer that is no job leaves the outcome open",
			Breach: "an attempt follows a job without a name, and ends as lost while its job runs",
			For:    []string{"submitter.ask"}, faults: true,
			check: noJob,
		},
		{
			Name:   "a refusal says what is wrong",
			Breach: "a job that the service never takes is asked for again and again, or its uploader does not learn why not",
			For:    []string{"submitter.ask", "attempt.apply"}, faults: true,
			check: refusals,
		},
		{
			Name:   "a quota that is used up says later",
			Breach: "a drop is rejected, or an event waits until its time is over, since others' jobs run",
			For:    []string{"submitter.ask", "submitter.startAll"}, faults: true,
			check: createQuota,
		},
		{
			Name:   "no place for the job says so",
			Breach: "an attempt waits for ten minutes for a job that nobody made, or is rejected for the operator's fault",
			For:    []string{"submitter.ask"}, faults: true,
			check: noPlace,
		},
	}
}

func nameStays(c *try) error {
	first := c.backend.Name()
	if then := c.backend.Name(); first == "" || then != first {
		return fmt.Errorf("the name is %q, then %q", first, then)
	}
	return nil
}

func createTells(c *try) error {
	o := c.order("a")
	made, err := c.create(o)
	if err != nil {
		return err
	}
	if made.JobID != o.JobID || made.ResourceName == "" || made.Created.IsZero() || !made.Ended.IsZero() ||
		made.State.Ended() || !job.SameOwner(made.Labels, o.Labels) {
		return fmt.Errorf("created %+v", made)
	}
	return nil
}

func limitsReach(c *try) error {
	o := c.order("a", func(s *job.Spec) {
		s.TrainingInput.Scheduling = &job.Scheduling{MaxWaitTime: "3600s", MaxRunningTime: "7200s"}
	})
	made, err := c.create(o)
	if err != nil {
		return err
	}
	var wait, run string
	c.each(func(j map[string]any) {
		if w, r := c.Limits(j); r != "" {
			wait, run = w, r
		}
	})
	if _, err := c.get(made); err != nil {
		return err
	}
	if run != "7200s" || c.backend.EnforcesWait() && wait != "3600s" {
		return fmt.Errorf("the service was asked for a wait of %q and a run of %q", wait, run)
	}
	return nil
}

func checks(c *try) error {
	unmappable := func(d plan.Diagnostic) bool { return d.Action == plan.Unmappable }
	if told := c.backend.Check(c.order("a")); slices.ContainsFunc(told, unmappable) {
		return fmt.Errorf("a job that can run is told %v", told)
	}
	if c.Impossible != nil {
		o := c.as(job.Order{Spec: c.Impossible(c.name)}, c.name, "b")
		if told := c.backend.Check(o); !slices.ContainsFunc(told, unmappable) {
			return fmt.Errorf("a job that can't run is told %v", told)
		}
		if _, err := c.backend.Create(c, o); want("a create of what can't run", err, "refused") != nil {
			return want("a create of what can't run", err, "refused")
		}
	}
	if n := c.proxy.requests(func(*http.Request) bool { return true }); n > 0 {
		return fmt.Errorf("%d requests", n)
	}
	return nil
}

// conflictWith returns an error if err is not a conflict with a job of some labels.
func conflictWith(what string, err error, labels map[string]string) error {
	var conflict *attempt.ConflictError
	if !errors.As(err, &conflict) {
		return want(what, err, "conflict")
	}
	if !job.SameOwner(conflict.Found.Labels, labels) {
		return fmt.Errorf("%s is a conflict with %+v", what, conflict.Found)
	}
	return nil
}

func conflicts(c *try) error {
	o := c.order("a")
	if _, err := c.create(o); err != nil {
		return err
	}
	_, err := c.backend.Create(c, o)
	if err := conflictWith("the same create again", err, o.Labels); err != nil {
		return err
	}
	// Two workers that have the same event.
	o = c.order("b")
	var errs [2]error
	var both sync.WaitGroup
	for i := range errs {
		both.Go(func() { _, errs[i] = c.backend.Create(c, o) })
	}
	both.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		return fmt.Errorf("two creates at once: %v, %v", errs[0], errs[1])
	}
	if errs[0] == nil {
		errs[0] = errs[1]
	}
	return conflictWith("the later of two creates at once", errs[0], o.Labels)
}

func taken(c *try) error {
	o := c.order("a")
	made, err := c.create(o)
	if err != nil {
		return err
	}
	foreign := c.as(o, c.name, "b")
	_, err = c.backend.Create(c, foreign)
	if err := conflictWith("a create of another attempt", err, o.Labels); err != nil {
		return err
	}
	_ = c.backend.Cancel(c, c.info(made)) // another promise is about cancels
	if _, err := c.ended(made); err != nil {
		return err
	}
	_, err = c.backend.Create(c, foreign)
	return conflictWith("a create of the ID of a job that has ended", err, o.Labels)
}

func blindConflict(c *try) error {
	o := c.order("a")
	if _, err := c.create(o); err != nil {
		return err
	}
	for _, status := range []int{
		http.StatusNotFound, http.StatusForbidden, http.StatusBadRequest, http.StatusTooManyRequests,
	} {
		c.fail(Get, c.status(status))
		_, err := c.backend.Create(c, o)
		if err := want(fmt.Sprintf("a create that meets a conflict, and a %d when it looks,", status), err,
			"unknown"); err != nil {
			return err
		}
	}
	return nil
}

func lateRefusal(c *try) error {
	for i, status := range []int{
		http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests,
	} {
		c.fail(Create, c.status(http.StatusServiceUnavailable))
		c.fail(Create, c.status(status))
		_, err := c.backend.Create(c, c.order(fmt.Sprint(i)))
		if err := want(fmt.Sprintf("a create that meets a 503 and then a %d", status), err, "unknown"); err != nil {
			return err
		}
	}
	return nil
}

func sentOnce(c *try) error {
	for i, f := range []Fault{
		c.status(http.StatusInternalServerError), c.status(http.StatusServiceUnavailable),
		c.status(http.StatusTooManyRequests), {Lose: true}, {Status: http.StatusGatewayTimeout, Body: "<html>"},
	} {
		c.fail(Create, f)
		before := c.proxy.requests(c.is(Create))
		_, err := c.backend.Create(c, c.order(fmt.Sprint(i)))
		if n := c.proxy.requests(c.is(Create)) - before; n != 1 {
			return fmt.Errorf("%d creates are sent (%v)", n, err)
		}
	}
	return nil
}

func strangeConflict(c *try) error {
	c.fail(Create, c.status(http.StatusConflict))
	_, err := c.backend.Create(c, c.order("a"))
	return want("a create that meets a 409", err, "unknown")
}

func lostAnswer(c *try) error {
	o := c.order("a")
	c.fail(Create, Fault{Lose: true})
	_, err := c.backend.Create(c, o)
	if err := want("a create whose answer is lost", err, "unknown"); err != nil {
		return err
	}
	found, err := c.found(o)
	if err != nil {
		return err
	}
	if len(found) == 0 || found[0].JobID != o.JobID || !job.SameOwner(found[0].Labels, o.Labels) {
		return fmt.Errorf("after a lost answer the job is not found: %+v", found)
	}
	return nil
}

func serviceDown(c *try) error {
	for i, f := range []Fault{
		c.status(http.StatusInternalServerError), c.status(http.StatusServiceUnavailable), c.status(http.StatusUnauthorized),
		{Status: http.StatusBadGateway, Body: "<html>"}, {Status: http.StatusGatewayTimeout, Body: "<html>"},
		{Status: http.StatusTeapot, Body: "<html>"},
	} {
		f.Times = 1000 // a backend that takes IDs asks again meanwhile
		c.fail(Create, f)
		short, cancel := context.WithTimeout(c, 100*time.Millisecond)
		_, err := c.backend.Create(short, c.order(fmt.Sprint(i)))
		cancel()
		if err := want(fmt.Sprintf("a create that meets a %d", f.Status), err, "unknown"); err != nil {
			return err
		}
		c.proxy.clear()
	}
	return nil
}

func noJob(c *try) error {
	for i, body := range []string{
		"{}", "null", "[]", "<html>", `{"name": `, `{"name": 7, "jobId": 7}`, `{"kind": "Status"}`,
	} {
		c.fail(Create, Fault{Status: http.StatusOK, Body: body})
		made, err := c.backend.Create(c, c.order(fmt.Sprint(i)))
		if err := want(fmt.Sprintf("a create that is answered %s", body), err, "unknown"); err != nil {
			return fmt.Errorf("%w: %+v", err, made)
		}
	}
	return nil
}

func refusals(c *try) error {
	const text = "the machine type is not known"
	o := c.order("a")
	for status, code := range map[int]string{
		http.StatusBadRequest: "INVALID_ARGUMENT", http.StatusForbidden: "PERMISSION_DENIED",
	} {
		fields := map[string]string{"machine_type": "not known here"}
		c.fail(Create, Fault{Status: status, Body: c.Failure(status, text, fields)})
		_, err := c.backend.Create(c, o)
		var refused *attempt.RefusedError
		if !errors.As(err, &refused) {
			return want(fmt.Sprintf("a create that meets a %d", status), err, "refused")
		}
		if refused.Code != code || !strings.Contains(refused.Message, text) {
			return fmt.Errorf("a %d is refused as %q", status, refused)
		}
		if len(refused.Fields) != 1 || refused.Fields[0].Severity != job.Error ||
			!strings.Contains(refused.Fields[0].Field, "machine_type") || refused.Fields[0].Message != "not known here" {
			return fmt.Errorf("a %d is refused for the fields %+v", status, refused.Fields)
		}
	}
	c.fail(Create, Fault{Status: http.StatusForbidden, Body: "<html>"})
	_, err := c.backend.Create(c, o)
	var refused *attempt.RefusedError
	if !errors.As(err, &refused) || refused.Message == "" || strings.Contains(refused.Message, "<") {
		return fmt.Errorf("a gateway's page is refused as %v", err)
	}
	return nil
}

func createQuota(c *try) error {
	f := c.status(http.StatusTooManyRequests)
	f.Header = http.Header{"Retry-After": {"3600"}}
	c.fail(Create, f)
	short, cancel := context.WithTimeout(c, 20*time.Second) // a backend that waited would have no time left
	defer cancel()
	_, err := c.backend.Create(short, c.order("a"))
	return want("a create that meets a 429", err, "quota")
}

func noPlace(c *try) error {
	c.fail(Create, c.status(http.StatusNotFound))
	_, err := c.backend.Create(c, c.order("a"))
	return want("a create that meets a 404", err, "not found")
}
