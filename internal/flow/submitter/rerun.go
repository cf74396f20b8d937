package submitter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Rerun runs again what an ended attempt was accepted with, as somebody asked: the job file and the
// packages at the generations of its receipt. They are checked by the present policy, and the job
// waits for its turn like any other. The attempt that it makes is named by the request, so a second
// call finds it. If nothing can be run, Rerun makes no attempt and returns an
// [*attempt.DeclinedError]; if there was no time to check the drop, an error that is [attempt.ErrSlow].
//
// There is no index entry before the record: until the entry stands, the request is in its place.
func (s *Submitter) Rerun(ctx context.Context, of attempt.Record, r attempt.Request, a attempt.Asked) (attempt.Stored, error) {
	switch {
	case !of.State.Terminal():
		return attempt.Stored{}, attempt.Decline("attempt %s has not ended, it is %s: ask again once it has, or cancel it first",
			of.Attempt, of.Shown())
	case of.Drop.Receipt == nil:
		return attempt.Stored{}, attempt.Decline("attempt %s was %s before it was accepted, so there is nothing to run again: "+
			"upload the drop", of.Attempt, of.State)
	}
	run := attempt.Stored{Record: attempt.NewRerun(of, r, a, s.options.Now())}
	made, err := s.records.Get(ctx, run.Attempt)
	if errors.Is(err, job.ErrNotFound) {
		made, err = s.rerun(ctx, run, of, a)
	}
	if err != nil {
		return made, err
	}
	if made.Rerun == nil || made.Rerun.Of != of.Attempt {
		return made, attempt.Decline("attempt %s is there already, and is no rerun of %s: ask again", made.Attempt, of.Attempt)
	}
	return made, s.index(ctx, made)
}

// index puts a rerun on the index and into the index by time, also what a crash left out of either,
// and publishes what its record holds.
func (s *Submitter) index(ctx context.Context, made attempt.Stored) error {
	e, err := s.records.Entry(ctx, made.Attempt)
	if errors.Is(err, job.ErrNotFound) && made.State.Terminal() {
		return nil // it was there, and nothing is left to do
	}
	if err == nil || errors.Is(err, job.ErrNotFound) {
		err = s.records.Restore(ctx, attempt.NewEntry(made))
	}
	if err != nil {
		return err
	}
	made.Published = e.Published
	return s.teller.Tell(ctx, made, e)
}

// rerun checks the objects of an attempt's receipt, and writes the record of the attempt that runs
// them again.
func (s *Submitter) rerun(
	ctx context.Context, run attempt.Stored, of attempt.Record, a attempt.Asked,
) (attempt.Stored, error) {
	accept, err := s.readmit(ctx, run, of, a)
	var (
		denied *unreadableError
		lost   *lostError
	)
	switch {
	case errors.As(err, &lost):
		return run, attempt.Decline("what attempt %s ran is no longer there: upload the drop again (%v)", of.Attempt, lost)
	case errors.As(err, &denied):
		return run, attempt.Decline("jobdrop can't read what attempt %s ran: %v; let it read the object, and ask again",
			of.Attempt, denied)
	case err != nil:
		return run, err
	}
	made, applied, err := s.records.Apply(ctx, run, accept, s.options.Now())
	if err == nil && applied {
		s.log(ctx, made)
	}
	return made, err
}

// lostError reports that an object of a receipt is not there at its generation. Whatever else is not
// there, e.g. the operator's policy, is not the drop's fault, and may be there again.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }

func (e *lostError) Unwrap() error { return e.err }

// ofReceipt returns the error of a call that reads an object of a receipt. It says so if the object is
// not there.
func ofReceipt(err error) error {
	if errors.Is(err, job.ErrNotFound) {
		return &lostError{err}
	}
	return err
}

// turnTime is how long a check may wait for others before it counts that they took its time.
const turnTime = 10 * time.Second

// inspectReceived checks the drop of a receipt. It returns [attempt.ErrBusy], and no [slowError], if the
// time was over since others were being checked.
func (s *Submitter) inspectReceived(
	ctx context.Context, d job.Drop, elsewhere inspect.Stat, p policy.Policy,
) (inspect.Result, error) {
	asked := s.options.Now()
	began := sync.OnceValue(s.options.Now)
	open := func(ctx context.Context, o job.Object) (io.ReadCloser, error) {
		began()
		content, err := s.open(ctx, o)
		return content, ofReceipt(err)
	}
	r, err := s.inspect(ctx, d, inspect.Objects{Open: open, Stat: elsewhere}, p)
	if _, slow := errors.AsType[*slowError](err); slow && began().Sub(asked) > turnTime {
		return r, attempt.ErrBusy
	}
	return r, err
}

// readmit decides whether what an attempt was accepted with may run again. It returns the acceptance,
// or an [*attempt.DeclinedError].
func (s *Submitter) readmit(
	ctx context.Context, run attempt.Stored, of attempt.Record, a attempt.Asked,
) (attempt.Observation, error) {
	d, elsewhere, err := s.received(ctx, of.Drop)
	if err != nil {
		return nil, err
	}
	p, err := s.options.Policy(ctx)
	if err != nil {
		return nil, err
	}
	rules := p.For(d.Folder)
	r, err := s.inspectReceived(ctx, d, elsewhere, p)
	if err != nil {
		return nil, err
	}
	if r.Incomplete() {
		return nil, attempt.Decline("what attempt %s ran is not complete: upload the drop again", of.Attempt)
	}
	var mapping job.Mapping
	if !job.HasErrors(r.Violations) {
		mapping = rules.Mapping(r.Spec.TrainingInput, r.Options.Vertex)
		r.Map(s.backend.Check(job.Order{Spec: r.Spec, Mapping: mapping}), rules.Strict())
	}
	if job.HasErrors(r.Violations) {
		return nil, invalid(of, r.Violations)
	}
	if !r.MadeID {
		return nil, attempt.Decline("the job file of attempt %s names the job ID %s, which is used up: "+
			"upload the drop with another, as jobdrop submit --rerun does, or leave it out", of.Attempt, r.Spec.JobID)
	}
	r.Spec.JobID = a.JobID(of.Drop.JobFile)
	content, err := job.Content(r.Spec, r.Options.Vertex, r.Resolution.All())
	if err != nil {
		return nil, err
	}
	wait := waits(p.Start(d.Folder), job.Order{Spec: r.Spec, Mapping: mapping})
	wait = cmp.Or(wait, "waiting for its turn") // ticks create its job
	o, err := s.accept(ctx, run, r, content, mapping, wait, rules.Patience(s.options.Patience))
	if _, accepted := o.(attempt.Accept); err == nil && !accepted {
		return nil, attempt.Decline("the job ID %s is taken: ask again", r.Spec.JobID)
	}
	return attempt.Routed{Observation: o, Routes: r.Options.Notify}, err
}

// invalid says why what an attempt ran may not run any more.
func invalid(of attempt.Record, vs []job.Violation) error {
	for _, v := range vs {
		if v.Severity == job.Error {
			return attempt.Decline("what attempt %s ran is not valid any more: %s: %s; %s; upload a corrected drop",
				of.Attempt, v.Rule, v.Message, v.Remedy)
		}
	}
	return nil
}

// received returns the drop of a receipt, with its objects as they were then, and a function that
// returns those from outside the folder.
func (s *Submitter) received(ctx context.Context, of job.DropInfo) (job.Drop, inspect.Stat, error) {
	var parts []job.Object
	outside := map[string]job.Object{}
	var metadata map[string]string
	for i, o := range of.Receipt.Objects {
		found, err := s.objects.StatAt(ctx, o.Bucket, o.Name, o.Generation)
		if err = ofReceipt(ofObject(o, err)); err != nil {
			return job.Drop{}, nil, fmt.Errorf("%s, generation %d: %w", o.URI(), o.Generation, err)
		}
		if i == 0 {
			metadata = found.Metadata
		}
		if o.Bucket == of.Bucket && job.Folder(o.Name) == of.Prefix {
			parts = append(parts, found.Object)
		} else {
			outside[o.URI()] = found.Object
		}
	}
	d := job.Assemble(of.Bucket, of.Prefix, parts)
	d.Metadata = metadata
	return d, func(_ context.Context, bucket, name string) (job.Object, error) {
		o, ok := outside[job.Object{Bucket: bucket, Name: name}.URI()]
		if !ok {
			return o, fmt.Errorf("gs://%s/%s: %w", bucket, name, job.ErrNotFound)
		}
		return o, nil
	}, nil
}
