// Package submitter is the use case behind the Submit function: it turns a drop
// into a job.
//
// It looks at a folder, never only at the object that woke it, so the order in
// which objects arrive does not matter. What it decides is stored in the
// attempt's record before anything is done about it; called again, by a
// redelivery or by a tick, it goes on from what is stored and decides nothing
// anew. Everything it does may be done twice.
package submitter

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// objects is the inbox, and the copy into the staging bucket. Reads of a
// generation that is gone give [job.ErrNotFound].
type objects interface {
	List(ctx context.Context, bucket, prefix string, flat bool, page func([]job.Attributes) error) error
	Stat(ctx context.Context, bucket, name string) (job.Attributes, error)
	Open(ctx context.Context, bucket, name string, generation int64) (io.ReadCloser, error)
	Copy(ctx context.Context, source job.Object, bucket, name string) error
}

// records is the ledger.
type records interface {
	Get(ctx context.Context, key string) (attempt.Stored, error)
	Apply(ctx context.Context, s attempt.Stored, o attempt.Observation, now time.Time) (after attempt.Stored, applied bool, err error)
	Open(ctx context.Context, e attempt.Entry) error
	Entry(ctx context.Context, key string) (attempt.Entry, error)
	Epoch(ctx context.Context) (time.Time, error)
	GiveTurns(ctx context.Context, t attempt.Turns) error
	Note(ctx context.Context, bucket, folder string) (attempt.Note, error)
	SwapNote(ctx context.Context, bucket, folder string, n attempt.Note) error
	ClaimID(ctx context.Context, jobID string, own attempt.Owner) (owner attempt.Owner, claimed bool, err error)
	TakeID(ctx context.Context, jobID string, from, own attempt.Owner) error
}

// backend creates jobs. A create may take the time of two calls. Its errors are
// [*job.ConflictError], [*job.RefusedError], [job.ErrQuota] and [job.ErrNotFound]
// (there is nothing that would take it); any other leaves the outcome unknown.
type backend interface {
	Name() string
	// TakesID tells whether a second create of a job ID is a conflict. Where it
	// is none, two creates make two jobs.
	TakesID() bool
	Create(ctx context.Context, o job.Order) (attempt.Look, error)
	// Find gives the jobs that a create of the order may have made, or that stand
	// in its way, the oldest first. It may lag behind where IDs are not taken.
	Find(ctx context.Context, o job.Order) ([]attempt.Look, error)
	// Check tells, without a call, what of an order the backend can't be asked for
	// as the job file has it.
	Check(o job.Order) []plan.Diagnostic
	// EnforcesWait tells whether the backend itself ends a job that waits for
	// longer than its file says.
	EnforcesWait() bool
}

// teller tells others what a record holds.
type teller interface {
	Tell(ctx context.Context, s attempt.Stored, known attempt.Entry) error
}

// Options are an installation's settings.
type Options struct {
	// Instance names the installation, Inbox and Staging are its buckets.
	Instance, Inbox, Staging string
	// Policy gives the operator's policy as it is now. Where it can't be had,
	// nothing is decided.
	Policy func(context.Context) (policy.Policy, error)
	// Places gives the locations of a bucket's data, in Cloud Storage's words.
	// Without it they are not asked for.
	Places   func(ctx context.Context, bucket string) ([]string, error)
	Patience Patience
	// CallTime is the longest that one call of the backend takes. A claim on a create
	// lasts four times as long, and a create is given up after twice as long.
	CallTime time.Duration
	// Inspections is how many drops are inspected at once.
	Inspections int
	// Parallel is how many waiting attempts are told anew at once what they wait
	// for.
	Parallel int
	// Now is the clock.
	Now    func() time.Time
	Logger *slog.Logger
}

// Patience says how long a drop is waited for where the policy does not.
type Patience struct {
	// Settle is how long a folder that ran before is given for its new
	// package, counted from the arrival of the job file.
	Settle time.Duration
	// Incomplete is when missing packages are reported, Expire when the
	// drop is given up, counted likewise.
	Incomplete, Expire time.Duration
	// Submit is how long the backend is asked for a job, counted from when it
	// may be asked first; 0 is for ever.
	Submit time.Duration
	// Grace is how long after a limit on its time a job is cancelled that the
	// backend has not ended.
	Grace time.Duration
	// states are the policy's patience with each state of a job.
	states policy.Waits
}

// Submitter is safe for concurrent use, in one process and in many.
type Submitter struct {
	objects objects
	records records
	backend backend
	teller  teller
	// inspecting holds a token for each inspection under way.
	inspecting chan struct{}
	Options
}

// New makes a submitter; every part and option is required.
func New(o objects, r records, t backend, tell teller, options Options) (*Submitter, error) {
	for name, missing := range map[string]bool{
		"objects": o == nil, "records": r == nil, "backend": t == nil, "teller": tell == nil,
		"Instance": options.Instance == "", "Inbox": options.Inbox == "", "Staging": options.Staging == "", "Policy": options.Policy == nil,
		"CallTime": options.CallTime <= 0, "Inspections": options.Inspections <= 0, "Parallel": options.Parallel <= 0, "Now": options.Now == nil, "Logger": options.Logger == nil,
	} {
		if missing {
			return nil, fmt.Errorf("submitter: %s is required", name)
		}
	}
	return &Submitter{
		objects: o, records: r, backend: t, teller: tell, Options: options,
		inspecting: make(chan struct{}, options.Inspections),
	}, nil
}

// Takes tells whether an object can be part of a drop.
func (s *Submitter) Takes(o job.Object) bool {
	return o.Bucket == s.Inbox && job.IsPart(o.Name, o.Size)
}

// Submit looks at the folder of an object that was finalized. An object that can
// be no part of a drop is ignored without a remote call.
func (s *Submitter) Submit(ctx context.Context, o job.Object) error {
	if !s.Takes(o) {
		s.Logger.DebugContext(ctx, "object ignored", "bucket", o.Bucket, "object", o.Name, "size", o.Size)
		return nil
	}
	return s.look(ctx, o.Bucket, job.Folder(o.Name), "", o.Traceparent, byEvent)
}

// Replay is [Submitter.Submit] of an object that may be of any age.
func (s *Submitter) Replay(ctx context.Context, o job.Object) error {
	return s.look(ctx, o.Bucket, job.Folder(o.Name), "", o.Traceparent, byReplay)
}

// cause is what makes a drop be looked at. It matters to one that has no record.
type cause int

const (
	byEvent  cause = iota // its job file has to be young
	byIndex               // it was taken before, whatever its age
	byReplay              // of any age, and patience with it begins now
)

// Resume goes on with an attempt that the index tells of: it looks at the folder
// of an undecided one, and creates the job of an accepted one.
func (s *Submitter) Resume(ctx context.Context, e attempt.Entry) error {
	why := byIndex
	if e.Replayed {
		why = byReplay
	}
	if e.State.Undecided() && e.Bucket != "" {
		// The look reads the record, and goes by what it says. A damaged entry
		// does not say where to look: its record may.
		return s.look(ctx, e.Bucket, job.Folder(e.JobFile), e.Attempt, "", why)
	}
	stored, err := s.records.Get(ctx, e.Attempt)
	if errors.Is(err, job.ErrNotFound) && e.Bucket == "" {
		return fmt.Errorf("the index entry of attempt %s was damaged: it names no bucket, and there is no record: delete open/%s from the state bucket, and run the drop by jobdrop replay", e.Attempt, e.Attempt)
	}
	if errors.Is(err, job.ErrNotFound) {
		return s.look(ctx, e.Bucket, job.Folder(e.JobFile), e.Attempt, "", why)
	}
	if err != nil {
		return err
	}
	if stored.State.Undecided() {
		return s.look(ctx, stored.Drop.Bucket, stored.Drop.Prefix, e.Attempt, "", why)
	}
	stored.Published = e.Published
	return s.advance(ctx, stored, e)
}

// looks is how often a folder that changes under the look is looked at again at
// once: beyond that the caller comes again later.
const looks = 3

// errChanged says that an object of the drop changed while it was looked at.
var errChanged = errors.New("the folder changed while it was looked at")

// outdatedError says that the folder's note is newer than its list. note is the note's
// generation: a list that is made after it was read, and shows the same, is right, such
// as one of a bucket that was made anew.
type outdatedError struct{ note int64 }

func (e *outdatedError) Error() string { return errChanged.Error() }

func (e *outdatedError) Unwrap() error { return errChanged }

// look lists a folder and decides the attempt of its newest job file. attempt,
// where given, is the one that the caller came for: it is withdrawn where the
// folder no longer shows it. traceparent is for an attempt that is new, and whose
// job file has none.
func (s *Submitter) look(ctx context.Context, bucket, folder, key, traceparent string, why cause) error {
	var (
		err     error
		before  job.Drop // as the look before listed it
		changed bool     // between two looks
		note    int64    // by which the list of the look before was outdated
	)
	for i := range looks {
		var d job.Drop
		if d, err = s.list(ctx, bucket, folder); err != nil {
			return err
		}
		changed = changed || i > 0 && !sameObjects(d, before)
		before = d
		jobFile, ok := d.JobFile()
		if key != "" && (!ok || job.AttemptKey(jobFile) != key) {
			err = s.withdraw(ctx, key, ok)
			key = ""
			if err != nil {
				return err
			}
		}
		if !ok {
			return nil // packages alone are no attempt
		}
		jobFile.Traceparent = cmp.Or(jobFile.Traceparent, traceparent)
		if err = s.attempt(ctx, d, jobFile, note, why); !errors.Is(err, errChanged) {
			return err
		}
		var late *outdatedError
		if note = 0; errors.As(err, &late) {
			note, changed = late.note, true
		}
	}
	if !changed {
		// Something else is missing, such as the staging bucket.
		return fmt.Errorf("gs://%s/%s: %w, %d times, but its list stays the same", bucket, folder, err, looks)
	}
	return fmt.Errorf("gs://%s/%s: %v, %d times: %w", bucket, folder, err, looks, attempt.ErrStale)
}

// sameObjects reports whether two lists of a folder show the same generations.
func sameObjects(a, b job.Drop) bool {
	return slices.Equal(a.JobFiles, b.JobFiles) && slices.Equal(a.Packages, b.Packages)
}

var errFull = errors.New("the folder holds too much")

// list lists a folder. Of one that holds more than a drop can have only the job
// files are given, and what there is too much of. Pages count beside objects: one
// that shows sub-folders only has no objects.
func (s *Submitter) list(ctx context.Context, bucket, folder string) (job.Drop, error) {
	var parts []job.Object
	metadata := map[string]map[string]string{} // of the job files
	began := s.Now()
	listed, pages := 0, 0
	var many job.Excess
	err := s.objects.List(ctx, bucket, folder, true, func(page []job.Attributes) error {
		for _, o := range page {
			if job.IsPart(o.Name, o.Size) {
				parts = append(parts, o.Object)
				if job.IsJobFile(o.Name) {
					metadata[o.Name] = o.Metadata
				}
			}
		}
		listed += len(page)
		pages++
		switch {
		case len(parts) > inspect.PartLimit:
			many = job.ManyParts
		case listed > inspect.FolderLimit:
			many = job.ManyObjects
		case pages > inspect.PageLimit:
			many = job.ManyFolders
		default:
			return nil
		}
		return errFull
	})
	if errors.Is(err, errFull) {
		return s.jobFiles(ctx, bucket, folder, many)
	}
	d := job.Assemble(bucket, folder, parts)
	d.Listed = began
	if jobFile, ok := d.JobFile(); ok {
		d.Metadata = metadata[jobFile.Name]
	}
	return d, err
}

// jobFiles gives a folder that is too large to be a drop, with its job files.
func (s *Submitter) jobFiles(ctx context.Context, bucket, folder string, many job.Excess) (job.Drop, error) {
	var found []job.Object
	for _, name := range job.JobFileNames() {
		o, err := s.objects.Stat(ctx, bucket, folder+name)
		switch {
		case err == nil:
			found = append(found, o.Object)
		case !errors.Is(err, job.ErrNotFound):
			return job.Drop{}, err
		}
	}
	d := job.Assemble(bucket, folder, found)
	d.TooMany = many
	return d, nil
}

// attempt goes on with the attempt of a job file, from wherever it stands.
// note is [outdatedError]'s.
func (s *Submitter) attempt(ctx context.Context, d job.Drop, jobFile job.Object, note int64, why cause) error {
	stored, err := s.records.Get(ctx, job.AttemptKey(jobFile))
	var e attempt.Entry
	switch {
	case errors.Is(err, job.ErrNotFound):
		if old, err := s.old(ctx, jobFile); err != nil || old && why == byEvent {
			return err
		}
		stored = attempt.Stored{Record: attempt.NewRecord(jobFile, s.Now())}
		if why == byReplay {
			stored.Replayed = stored.Times.Seen
		}
		err = s.records.Open(ctx, attempt.NewEntry(stored))
	case err == nil:
		// The index tells whether anything is left to do, and what was told.
		e, err = s.records.Entry(ctx, stored.Attempt)
		if errors.Is(err, job.ErrNotFound) && stored.State.Terminal() {
			return nil
		}
		if errors.Is(err, job.ErrNotFound) {
			err = s.records.Open(ctx, attempt.NewEntry(stored))
		}
		stored.Published = e.Published
	}
	if err != nil {
		return err
	}
	if !stored.State.Undecided() {
		return s.advance(ctx, stored, e)
	}
	observation, err := s.decide(ctx, d, stored, note)
	if err != nil {
		return err
	}
	_, err = s.apply(ctx, stored, e, observation)
	return err
}

// Job files that are older than eventAge have no event any more, which is tried for
// a day; of such as are older than recent the time of the first start is asked for.
const (
	eventAge = 48 * time.Hour
	recent   = 15 * time.Minute
)

// old tells whether a job file that has no record is from before the installation,
// or older than any event: a new package in its folder is no wish to run it.
func (s *Submitter) old(ctx context.Context, jobFile job.Object) (bool, error) {
	age := s.Now().Sub(jobFile.Created)
	if age < recent {
		return false, nil
	}
	epoch, err := s.records.Epoch(ctx)
	if errors.Is(err, job.ErrNotFound) && age <= eventAge {
		// Only a tick may say that this is the first start. Until then the folder may be
		// older than the installation, and a new package in it no wish to run it.
		return false, fmt.Errorf("gs://%s/%s is %s old, and the installation has not had its first tick: %w", jobFile.Bucket, jobFile.Name, age.Truncate(time.Second), err)
	} else if errors.Is(err, job.ErrNotFound) {
		err = nil
	}
	old := age > eventAge || jobFile.Created.Before(epoch)
	if old && err == nil {
		s.Logger.InfoContext(ctx, "old job file ignored: jobdrop replay runs it", "bucket", jobFile.Bucket, "object", jobFile.Name, "created", jobFile.Created)
	}
	return old, err
}

// apply takes an observation into the record, and does what follows from it. It
// gives the record as it stands then. Where another worker's decision stands
// already, what follows is that worker's to do, or the next tick's.
func (s *Submitter) apply(ctx context.Context, stored attempt.Stored, e attempt.Entry, o attempt.Observation) (attempt.Stored, error) {
	stored, applied, err := s.records.Apply(ctx, stored, o, s.Now())
	if err == nil && !applied && stored.State.Undecided() && e.Attempt != "" {
		// Nothing new; but whoever wrote what stands there may have died
		// before it was told.
		return stored, s.teller.Tell(ctx, stored, e)
	}
	if err != nil || !applied {
		return stored, err
	}
	s.log(ctx, stored)
	var failed error
	if stored.State == job.Accepted && stored.Creating != nil {
		// Applied, so the claim in the record is the observation's own.
		stored, failed = s.create(ctx, stored)
	}
	// Also where the create failed: the attempt was accepted all the same.
	return stored, errors.Join(failed, s.teller.Tell(ctx, stored, e))
}

// advance goes on with a decided attempt: it takes the claim on an accepted one
// where it is free, and tells what is untold.
func (s *Submitter) advance(ctx context.Context, stored attempt.Stored, e attempt.Entry) error {
	o, err := s.next(ctx, stored)
	if err == nil && o != nil {
		_, err = s.apply(ctx, stored, e, o)
		return err
	}
	return errors.Join(err, s.teller.Tell(ctx, stored, e))
}

// next gives what is to be observed of a decided attempt, if anything.
func (s *Submitter) next(ctx context.Context, stored attempt.Stored) (attempt.Observation, error) {
	if err := s.otherBackend(stored); err != nil {
		return nil, err
	}
	now := s.Now()
	doubtful, _ := stored.Doubtful(now)
	claimable := stored.Claimable(now)
	if claimable {
		// What is to be found is found, whatever the policy says.
		p, err := s.Policy(ctx)
		start := p.Start(stored.Drop.Prefix)
		wait := waits(start)
		if err == nil && (wait == "" || !start.Paused && stored.Turn) {
			return attempt.TakeClaim{Claim: s.claim()}, nil
		}
		if doubtful || stored.Creating != nil {
			if look, err := s.found(ctx, stored); look != nil || err != nil {
				return look, err
			}
		}
		if err != nil {
			return nil, err
		}
		return attempt.Wait{Reason: wait}, nil
	}
	if stored.State == job.Accepted && stored.Queued && doubtful {
		return s.found(ctx, stored)
	}
	return nil, nil
}

// otherBackend is of an accepted attempt that was checked for another backend than
// this installation has now: what it would be asked for was never looked at.
func (s *Submitter) otherBackend(stored attempt.Stored) error {
	if stored.State != job.Accepted || stored.Backend == s.backend.Name() {
		return nil
	}
	return fmt.Errorf("attempt %s was accepted for %s, and this installation asks %s: drop the job file again, or set JOBDROP_BACKEND back: %w",
		stored.Attempt, stored.Backend, s.backend.Name(), attempt.ErrOtherBackend)
}

// found gives the job of an attempt that nobody creates now, if an earlier create
// made one.
func (s *Submitter) found(ctx context.Context, stored attempt.Stored) (attempt.Observation, error) {
	asked := s.Now()
	found, err := s.backend.Find(ctx, stored.Order())
	if err != nil {
		return nil, err
	}
	if look, ok := own(found, stored.Spec.Labels); ok {
		return attempt.Seen(look, asked), nil
	}
	return nil, nil
}

// create asks the backend for the job, under the claim that the record holds. That
// the backend does not take it is no error: the record tells, and ticks ask again.
func (s *Submitter) create(ctx context.Context, stored attempt.Stored) (attempt.Stored, error) {
	// A worker that was stopped, and goes on after its claim, makes no call.
	asking, cancel := context.WithDeadline(ctx, stored.Creating.Until)
	observation := s.ask(asking, stored)
	cancel()
	after, _, err := s.records.Apply(ctx, stored, observation, s.Now())
	if err != nil {
		return stored, err
	}
	if after.State == job.Accepted && after.Error != nil {
		s.Logger.WarnContext(ctx, "job not taken", "attempt", after.Attempt, "job_id", after.Job.ID, "tries", after.Tries,
			"next_try", after.NextTry, "error", after.Error.Message, "correlation_id", after.CorrelationID)
	}
	if after.State == job.Rejected && after.Error != nil && after.Error.Code == denied {
		// No fault of the dropper's: jobdrop may not create jobs, or not as whom the
		// job is to run.
		s.Logger.ErrorContext(ctx, "job denied", "attempt", after.Attempt, "job_id", after.Job.ID,
			"error", after.Error.Message, "correlation_id", after.CorrelationID)
	}
	s.log(ctx, after)
	return after, nil
}

// denied is google.rpc.Code's.
const denied = "PERMISSION_DENIED"

// ask asks the backend for the job, and gives what came of it. After the time for
// submits, a job that may be there is only looked for. A refusal is final only
// where no earlier create may have had an effect: else the job that it may have
// made is looked for first, for as long as whoever asked for it may still be at
// work.
func (s *Submitter) ask(ctx context.Context, stored attempt.Stored) attempt.Observation {
	nonce, now := stored.Creating.Nonce, s.Now()
	doubtful, _ := stored.Doubtful(now)
	switch {
	case !doubtful:
	case stored.Overdue(now):
		return s.lookFor(ctx, stored, attempt.GiveUp{Nonce: nonce})
	case !s.backend.TakesID():
		if o := s.lookFor(ctx, stored, nil); o != nil {
			return o
		}
	}
	if stored.Creating.Until.Sub(s.Now()) < 2*s.CallTime {
		// What is left of the claim must outlast the calls, or another may
		// begin before they end.
		return attempt.Postpone{Nonce: nonce, Reason: "the claim was nearly over: to be asked again"}
	}
	asked := s.Now()
	bounded, cancel := context.WithTimeout(ctx, 2*s.CallTime)
	defer cancel()
	look, err := s.backend.Create(bounded, stored.Order())
	var (
		conflict *attempt.ConflictError
		refused  *attempt.RefusedError
	)
	switch {
	case err == nil:
		return attempt.Seen(look, asked)
	case errors.As(err, &conflict) && job.SameOwner(conflict.Found.Labels, stored.Spec.Labels):
		return attempt.Seen(conflict.Found, asked) // made by an earlier create of ours
	case errors.As(err, &conflict):
		return taken(stored.Record, conflict)
	case errors.As(err, &refused):
		for i := range refused.Fields {
			refused.Fields[i].File = stored.Drop.JobFile.Base()
		}
		final := attempt.Refuse{Nonce: nonce, Failure: job.Failure{Code: refused.Code, Message: refused.Message}, Violations: refused.Fields}
		if doubtful {
			return s.lookFor(ctx, stored, final)
		}
		return final
	case errors.Is(err, job.ErrQuota):
		return attempt.Postpone{
			Nonce: nonce, Reason: attempt.WaitsForQuota, Quota: true,
			Failure: &job.Failure{Code: "RESOURCE_EXHAUSTED", Message: err.Error()},
		}
	case errors.Is(err, job.ErrNotFound):
		return attempt.Postpone{
			Nonce: nonce, Reason: "the backend is not found: " + err.Error(),
			Failure: &job.Failure{Code: "NOT_FOUND", Message: err.Error()},
		}
	}
	// The outcome is unknown: whoever asks again looks for the job that this call
	// may have made, or is told that its ID is taken.
	return attempt.Postpone{
		Nonce: nonce, Reason: "the backend did not answer: " + err.Error(), Unknown: true,
		Failure: &job.Failure{Code: "UNAVAILABLE", Message: err.Error()},
	}
}

// taken is of a job ID that another job has at the backend.
func taken(r attempt.Record, conflict *attempt.ConflictError) attempt.Refuse {
	return attempt.Refuse{
		Nonce:      r.Creating.Nonce,
		Failure:    job.Failure{Code: "ALREADY_EXISTS", Message: conflict.Error()},
		Violations: []job.Violation{jobIDTaken(r, "a job at the backend that this attempt did not make, in state "+string(conflict.Found.State))},
	}
}

// lookFor looks for the job that an earlier create may have made. none is what
// comes of it where there is none and none can appear.
func (s *Submitter) lookFor(ctx context.Context, stored attempt.Stored, none attempt.Observation) attempt.Observation {
	nonce, now := stored.Creating.Nonce, s.Now()
	_, early := stored.Doubtful(now)
	found, err := s.backend.Find(ctx, stored.Order())
	if err != nil {
		// Without the look nothing is known: no verdict, whatever time it is.
		return attempt.Postpone{
			Nonce: nonce, Reason: "an earlier create may have had an effect, and can't be looked for: " + err.Error(),
			Failure: &job.Failure{Code: "UNAVAILABLE", Message: err.Error()},
		}
	}
	look, ok := own(found, stored.Spec.Labels)
	switch {
	case ok:
		return attempt.Seen(look, now)
	case len(found) > 0:
		return taken(stored.Record, &attempt.ConflictError{JobID: stored.Spec.JobID, Found: found[0]})
	case early, !s.backend.TakesID() && !stored.Vainly(now):
		return attempt.Vain{Nonce: nonce}
	}
	return none
}

// own gives the oldest of the jobs that have an attempt's labels.
func own(found []attempt.Look, labels map[string]string) (attempt.Look, bool) {
	for _, l := range found {
		if job.SameOwner(l.Labels, labels) {
			return l, true
		}
	}
	return attempt.Look{}, false
}

// claim makes a claim on a create: it holds for four calls of the backend. A look
// may take one, and a create, which may take two, begins only if two are left.
func (s *Submitter) claim() attempt.Claim {
	nonce := rand.Text()
	return attempt.Claim{Owner: s.Instance + "/" + nonce[:8], Until: s.Now().UTC().Add(4 * s.CallTime), Nonce: nonce}
}

const overwrittenReason = "the job file was overwritten before the drop was accepted"

// withdraw ends an undecided attempt whose job file is gone.
func (s *Submitter) withdraw(ctx context.Context, key string, overwritten bool) error {
	e, err := s.records.Entry(ctx, key)
	if errors.Is(err, job.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	stored, err := s.records.Get(ctx, key)
	if errors.Is(err, job.ErrNotFound) {
		stored = attempt.Stored{Record: lostRecord(key, e, s.Now())}
	} else if err != nil {
		return err
	}
	stored.Published = e.Published
	reason := "the job file was deleted before the drop was accepted"
	if overwritten {
		reason = overwrittenReason
	}
	if !stored.State.Undecided() {
		return s.advance(ctx, stored, e)
	}
	_, err = s.apply(ctx, stored, e, attempt.Withdraw{Reason: reason})
	return err
}

// lostRecord makes the record of an attempt of which only the index entry was
// written before its job file went away.
func lostRecord(key string, e attempt.Entry, now time.Time) attempt.Record {
	o := job.Object{Bucket: e.Bucket, Name: e.JobFile}
	if n := len(job.FolderKey("", "")) + 1; len(key) > n {
		o.Generation, _ = strconv.ParseInt(key[n:], 10, 64)
	}
	return attempt.NewRecord(o, now)
}

// log writes the one line of a decision.
func (s *Submitter) log(ctx context.Context, r attempt.Stored) {
	s.Logger.InfoContext(ctx, "attempt decided",
		"attempt", r.Attempt, "drop", r.Drop.Prefix, "state", r.State, "reason", r.Reason,
		"job_id", r.Job.ID, "violations", len(r.Violations), "correlation_id", r.CorrelationID)
}
