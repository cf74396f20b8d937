// Package submitter is the use case behind the Submit function: it turns a drop into a job.
//
// It looks at a folder, never only at the object that woke it, so the order in which objects
// arrive does not matter. It stores each decision in the attempt's record before it acts on it. If
// a redelivery or a tick calls it again, it continues from what is stored and decides nothing
// anew. Everything it does may be done twice.
package submitter

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
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

// objects is the inbox, and the copy into the staging bucket. Reads of a generation that is gone
// return [job.ErrNotFound].
type objects interface {
	List(ctx context.Context, bucket, prefix string, flat bool, page func([]job.Attributes) error) error
	Stat(ctx context.Context, bucket, name string) (job.Attributes, error)
	// StatAt returns the attributes of one generation.
	StatAt(ctx context.Context, bucket, name string, generation int64) (job.Attributes, error)
	Open(ctx context.Context, bucket, name string, generation int64) (io.ReadCloser, error)
	Copy(ctx context.Context, source job.Object, bucket, name string) error
	// Store returns what was stored, with its size and sum.
	Store(ctx context.Context, bucket, name string, content io.Reader) (job.Object, error)
}

// records is the ledger.
type records interface {
	Get(ctx context.Context, key string) (attempt.Stored, error)
	Apply(
		ctx context.Context, s attempt.Stored, o attempt.Observation, now time.Time,
	) (after attempt.Stored, applied bool, err error)
	// Open reports whether the attempt was not on the index before.
	Open(ctx context.Context, e attempt.Entry) (made bool, err error)
	// Restore puts an attempt that has a record on the index.
	Restore(ctx context.Context, e attempt.Entry) error
	Entry(ctx context.Context, key string) (attempt.Entry, error)
	Epoch(ctx context.Context) (time.Time, error)
	GiveTurns(ctx context.Context, t attempt.Turns) error
	FolderNote(ctx context.Context, bucket, folder string) (attempt.FolderNote, error)
	SwapFolderNote(ctx context.Context, bucket, folder string, n attempt.FolderNote) error
	ClaimID(ctx context.Context, jobID string, own attempt.Owner) (owner attempt.Owner, claimed bool, err error)
	TakeID(ctx context.Context, jobID string, from, own attempt.Owner) error
}

// backend creates jobs. A create may take the time of two calls. Its errors are
// [*attempt.ConflictError], [*attempt.RefusedError], [job.ErrQuota], and [job.ErrNotFound] if
// nothing is there that would take the job. After any other error the outcome is unknown.
type backend interface {
	Name() string
	// TakesID reports whether a second create of a job ID is a conflict. If it is not, two creates
	// make two jobs.
	TakesID() bool
	Create(ctx context.Context, o job.Order) (attempt.BackendJob, error)
	// Find returns the jobs that a create of the order may have made, or that stand in its way,
	// the oldest first. It may lag behind if the backend takes no IDs.
	Find(ctx context.Context, o job.Order) ([]attempt.BackendJob, error)
	// Check returns, without a call, what of an order the backend can't do as the job file has it.
	Check(o job.Order) []plan.Diagnostic
	// EnforcesWait reports whether the backend itself ends a job that waits for longer than its
	// file says.
	EnforcesWait() bool
}

// teller publishes what a record holds.
type teller interface {
	Tell(ctx context.Context, s attempt.Stored, known attempt.Entry) error
}

// Options holds an installation's settings.
type Options struct {
	// Instance names the installation. Inbox and Staging name its buckets.
	Instance, Inbox, Staging string
	// Policy returns the operator's present policy. With an error nothing is decided.
	Policy func(context.Context) (policy.Policy, error)
	// Places returns the locations of a bucket's data, in Cloud Storage's words. If it is nil,
	// locations are not checked.
	Places func(ctx context.Context, bucket string) ([]string, error)
	// Patience is the installation's own, for what the policy does not say.
	Patience job.Patience
	// CallTime is the longest that one call of the backend takes. A claim on a create lasts four
	// times as long, and a create is given up after twice as long.
	CallTime time.Duration
	// Inspections is how many drops are inspected at once.
	Inspections int
	// Parallel is how many waiting attempts are updated at once with what they wait for.
	Parallel int
	// Now is the clock.
	Now    func() time.Time
	Logger *slog.Logger
}

// check returns an error for each required setting that is missing.
func (o Options) check() error {
	return errors.Join(
		required("Instance", o.Instance != ""), required("Inbox", o.Inbox != ""),
		required("Staging", o.Staging != ""), required("Policy", o.Policy != nil),
		required("CallTime", o.CallTime > 0), required("Inspections", o.Inspections > 0),
		required("Parallel", o.Parallel > 0), required("Now", o.Now != nil), required("Logger", o.Logger != nil),
	)
}

func required(name string, set bool) error {
	if set {
		return nil
	}
	return fmt.Errorf("submitter: %s is required", name)
}

// cancelling is how long a cancel may take before that is reported, if nobody says.
const cancelling = time.Hour

// Submitter turns drops into jobs. It is safe for concurrent use, in one process and in many.
type Submitter struct {
	objects objects
	records records
	backend backend
	teller  teller
	// inspecting holds a token for each inspection under way.
	inspecting chan struct{}
	visits     sharedVisits
	// process names this process on the index.
	process string
	options Options
}

// New returns a submitter. Every part is required, and every option except Places.
func New(o objects, r records, t backend, tell teller, options Options) (*Submitter, error) {
	if err := errors.Join(
		required("objects", o != nil), required("records", r != nil), required("backend", t != nil),
		required("teller", tell != nil), options.check(),
	); err != nil {
		return nil, err
	}
	options.Patience.Cancelling = cmp.Or(options.Patience.Cancelling, job.Duration(cancelling))
	return &Submitter{
		objects: o, records: r, backend: t, teller: tell, options: options,
		inspecting: make(chan struct{}, options.Inspections), process: rand.Text(),
	}, nil
}

// Takes reports whether an object can be part of a drop.
func (s *Submitter) Takes(o job.Object) bool {
	return o.Bucket == s.options.Inbox && job.IsPart(o.Name, o.Size)
}

// Submit looks at the folder of an object that was finalized. It ignores an object that can't be
// part of a drop, without a remote call.
func (s *Submitter) Submit(ctx context.Context, o job.Object) error {
	if !s.Takes(o) {
		s.options.Logger.DebugContext(ctx, "object ignored", "bucket", o.Bucket, "object", o.Name, "size", o.Size)
		return nil
	}
	return s.visits.run(ctx, o, func(listed func(job.Drop)) error {
		return s.visit(ctx, occasion{
			bucket: o.Bucket, folder: job.Folder(o.Name), traceparent: o.Traceparent, why: byEvent, listed: listed,
		})
	})
}

// Replay does what [Submitter.Submit] does, for an object of any age.
func (s *Submitter) Replay(ctx context.Context, o job.Object) error {
	return s.visit(ctx, occasion{bucket: o.Bucket, folder: job.Folder(o.Name), traceparent: o.Traceparent, why: byReplay})
}

// cause is why a drop is looked at. It matters for a drop that has no record.
type cause int

const (
	byEvent  cause = iota // the job file must be recent
	byIndex               // the drop was taken before, whatever its age
	byReplay              // any age; the patience counts from now
)

// occasion says which folder is visited, and why.
type occasion struct {
	bucket, folder string
	// key, if set, is the attempt that the caller came for: it is withdrawn if the folder no longer shows it.
	key string
	// traceparent is for a new attempt whose job file has none.
	traceparent string
	why         cause
	// listed, if set, is called with each list of the folder.
	listed func(job.Drop)
}

// Resume continues an attempt that is on the index: it looks at the folder of an undecided one,
// and creates the job of an accepted one.
func (s *Submitter) Resume(ctx context.Context, e attempt.Entry) error {
	why := byIndex
	if e.Replayed {
		why = byReplay
	}
	if e.State.Undecided() && e.Bucket != "" {
		// The visit reads the record and acts on that. A damaged entry does not say where to look;
		// its record may.
		return s.visit(ctx, occasion{bucket: e.Bucket, folder: job.Folder(e.JobFile), key: e.Attempt, why: why})
	}
	stored, err := s.records.Get(ctx, e.Attempt)
	if errors.Is(err, job.ErrNotFound) && e.Bucket == "" {
		return fmt.Errorf("the index entry of attempt %s was damaged: it names no bucket, and there is no record: "+
			"delete open/%s from the state bucket, and run the drop by jobdrop replay", e.Attempt, e.Attempt)
	}
	if errors.Is(err, job.ErrNotFound) {
		return s.visit(ctx, occasion{bucket: e.Bucket, folder: job.Folder(e.JobFile), key: e.Attempt, why: why})
	}
	if err != nil {
		return err
	}
	if stored.State.Undecided() {
		return s.visit(ctx, occasion{bucket: stored.Drop.Bucket, folder: stored.Drop.Prefix, key: e.Attempt, why: why})
	}
	stored.Published = e.Published
	return s.advance(ctx, stored, e)
}

// visits is how often a folder that changes meanwhile is listed again at once. After that the
// caller has to come again.
const visits = 3

// errChanged reports that an object of the drop changed while it was looked at.
var errChanged = errors.New("the folder changed while it was looked at")

// outdatedError reports that the folder's note is newer than its list. note is the note's
// generation. If a list that is made after the note was read shows the same, the list is right:
// the bucket may have been made anew.
type outdatedError struct{ note int64 }

func (e *outdatedError) Error() string { return errChanged.Error() }

func (e *outdatedError) Unwrap() error { return errChanged }

// goneError reports that an object was gone when it was read at its generation. The list of the folder
// does not show that of an object outside it.
type goneError struct{ err error }

func (e *goneError) Error() string { return errChanged.Error() + ": " + e.err.Error() }

func (e *goneError) Unwrap() error { return errChanged }

// slowError reports that the time was over while a drop's content was read. No write has failed, so
// none is hidden.
type slowError struct{ err error }

func (e *slowError) Error() string { return attempt.ErrSlow.Error() + ": " + e.err.Error() }

func (e *slowError) Unwrap() error { return attempt.ErrSlow }

// visit lists a folder and decides the attempt of its newest job file.
func (s *Submitter) visit(ctx context.Context, at occasion) error {
	var (
		err     error
		key     = at.key
		before  job.Drop // as it was listed before
		changed bool     // between two lists
		note    int64    // newer than the list before
	)
	for i := range visits {
		var d job.Drop
		if d, err = s.list(ctx, at.bucket, at.folder); err != nil {
			return err
		}
		if at.listed != nil {
			at.listed(d)
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
			return nil // packages alone are not an attempt
		}
		jobFile.Traceparent = cmp.Or(jobFile.Traceparent, at.traceparent)
		if err = s.attempt(ctx, d, jobFile, note, at.why); !errors.Is(err, errChanged) {
			return err
		}
		var late *outdatedError
		if note = 0; errors.As(err, &late) {
			note, changed = late.note, true
		}
		var gone *goneError
		changed = changed || errors.As(err, &gone)
	}
	if !changed {
		// Something else is missing, for example the staging bucket.
		return fmt.Errorf("gs://%s/%s: %w, %d times, but its list stays the same", at.bucket, at.folder, err, visits)
	}
	return fmt.Errorf("gs://%s/%s: %v, %d times: %w", at.bucket, at.folder, err, visits, attempt.ErrStale)
}

// sameObjects reports whether two lists of a folder show the same generations.
func sameObjects(a, b job.Drop) bool {
	return slices.Equal(a.JobFiles, b.JobFiles) && slices.Equal(a.Packages, b.Packages)
}

var errFull = errors.New("the folder holds too much")

// list lists a folder. If it holds more than a drop can have, list returns only the job files, and
// what there is too much of. It limits pages as well as objects: a page that shows only
// sub-folders has no objects.
func (s *Submitter) list(ctx context.Context, bucket, folder string) (job.Drop, error) {
	var (
		parts  []job.Object
		others []string
	)
	metadata := map[string]map[string]string{} // of the job files
	began := s.options.Now()
	listed, pages := 0, 0
	var many job.Excess
	err := s.objects.List(ctx, bucket, folder, true, func(page []job.Attributes) error {
		for _, o := range page {
			switch {
			case job.IsPart(o.Name, o.Size):
				parts = append(parts, o.Object)
				if job.IsJobFile(o.Name) {
					metadata[o.Name] = o.Metadata
				}
			case o.Size > 0 && len(others) < inspect.NearNames && inspect.Nearly(o.Name):
				others = append(others, o.Base())
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
	d.Listed, d.Others = began, others
	if jobFile, ok := d.JobFile(); ok {
		d.Metadata = metadata[jobFile.Name]
	}
	return d, err
}

// jobFiles returns a folder that is too large to be a drop, with its job files.
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

// attempt continues the attempt of a job file from its present state. note is that of an
// [outdatedError], or 0.
func (s *Submitter) attempt(ctx context.Context, d job.Drop, jobFile job.Object, note int64, why cause) error {
	r, end := s.read(ctx, d, jobFile, why)
	defer end()
	stored, err := r.record()
	var e attempt.Entry
	switch {
	case errors.Is(err, job.ErrNotFound):
		if old, err := s.old(ctx, jobFile); err != nil || old && why == byEvent {
			return err
		}
		stored = attempt.Stored{Record: attempt.NewRecord(jobFile, s.options.Now())}
		if why == byReplay {
			stored.Replayed = stored.Times.Seen
		}
		err = s.enlist(ctx, d, stored, why)
	case err == nil:
		// The index says whether anything is left to do, and what was published.
		e, err = s.records.Entry(ctx, stored.Attempt)
		if errors.Is(err, job.ErrNotFound) && stored.State.Terminal() {
			return nil
		}
		if errors.Is(err, job.ErrNotFound) {
			err = s.records.Restore(ctx, attempt.NewEntry(stored))
		}
		stored.Published = e.Published
	}
	if err != nil {
		return err
	}
	if !stored.State.Undecided() {
		return s.advance(ctx, stored, e)
	}
	observation, err := s.decide(ctx, d, stored, r, note)
	if _, is := errors.AsType[*slowError](err); is {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), lateTime)
		defer cancel()
		_, failed := s.apply(late, stored, e, observation)
		return errors.Join(err, failed)
	}
	if err != nil {
		return err
	}
	_, err = s.apply(ctx, stored, e, observation)
	return err
}

// enlist puts a new attempt on the index, before its record is written. It returns [attempt.ErrDeciding] if
// another process has just done so on account of the same parts: that one decides. If it dies, its event
// comes again, and the next tick finds the entry. No worker waits for one of its own process: those share a
// visit, or the other one failed.
func (s *Submitter) enlist(ctx context.Context, d job.Drop, stored attempt.Stored, why cause) error {
	own := attempt.NewEntry(stored)
	own.Opened = attempt.Opened{Parts: digest(d), By: s.process}
	made, err := s.records.Open(ctx, own)
	if made || err != nil || why != byEvent {
		return err
	}
	present, err := s.records.Entry(ctx, own.Attempt)
	switch {
	case errors.Is(err, job.ErrNotFound):
		return nil // decided and closed since, as the write of the record will show
	case err == nil && present.DecidedElsewhere(own.Opened, s.options.Now()):
		return fmt.Errorf("attempt %s: %w", own.Attempt, attempt.ErrDeciding)
	}
	return err
}

// digest returns 16 hex digits of a SHA-256 over the generations of a drop's parts.
func digest(d job.Drop) string {
	sum := sha256.New()
	for _, o := range slices.Concat(d.JobFiles, d.Packages) {
		fmt.Fprintf(sum, "%s\x00%d\n", o.Name, o.Generation)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}

// lateTime bounds what is written for a drop whose time is over. A request has a minute left then, and
// a tick a fifth of its time.
const lateTime = 10 * time.Second

// Events are retried for a day, so job files older than eventAge have none any more. For those
// older than recent, the time of the first start is read.
const (
	eventAge = 48 * time.Hour
	recent   = 15 * time.Minute
)

// old reports whether a job file without a record is from before the installation, or older than
// any event. A new package in its folder does not ask to run it.
func (s *Submitter) old(ctx context.Context, jobFile job.Object) (bool, error) {
	age := s.options.Now().Sub(jobFile.Created)
	if age < recent {
		return false, nil
	}
	epoch, err := s.records.Epoch(ctx)
	if errors.Is(err, job.ErrNotFound) && age <= eventAge {
		// Only a tick may decide that this is the first start. Until then the folder may be older
		// than the installation, and a new package in it does not ask to run it.
		return false, fmt.Errorf("gs://%s/%s is %s old, and %w",
			jobFile.Bucket, jobFile.Name, age.Truncate(time.Second), attempt.ErrNoTick)
	} else if errors.Is(err, job.ErrNotFound) {
		err = nil
	}
	old := age > eventAge || jobFile.Created.Before(epoch)
	if old && err == nil {
		s.options.Logger.InfoContext(ctx, "old job file ignored: jobdrop replay runs it",
			"bucket", jobFile.Bucket, "object", jobFile.Name, "created", jobFile.Created)
	}
	return old, err
}

// apply applies an observation to the record and acts on the result. It returns the record as it
// is then. If another worker's decision stands already, acting on it is up to that worker, or to
// the next tick.
func (s *Submitter) apply(
	ctx context.Context, stored attempt.Stored, e attempt.Entry, o attempt.Observation,
) (attempt.Stored, error) {
	stored, applied, err := s.records.Apply(ctx, stored, o, s.options.Now())
	if err == nil && !applied && stored.State.Undecided() && e.Attempt != "" {
		// Nothing is new, but the worker that wrote the record may have died before it published
		// the events.
		return stored, s.teller.Tell(ctx, stored, e)
	}
	if err != nil || !applied {
		return stored, err
	}
	s.log(ctx, stored)
	var failed error
	if stored.State == job.Accepted && stored.Creating != nil {
		// The observation was applied, so the claim in the record is its own.
		stored, failed = s.create(ctx, stored)
	}
	// Even if the create failed, the attempt was accepted.
	return stored, errors.Join(failed, s.teller.Tell(ctx, stored, e))
}

// advance continues a decided attempt: it takes the claim on an accepted one if it is free, and
// publishes what is unpublished.
func (s *Submitter) advance(ctx context.Context, stored attempt.Stored, e attempt.Entry) error {
	o, err := s.next(ctx, stored)
	if err == nil && o != nil {
		_, err = s.apply(ctx, stored, e, o)
		return err
	}
	return errors.Join(err, s.teller.Tell(ctx, stored, e))
}

// next returns the next observation of a decided attempt, or nil if there is none.
func (s *Submitter) next(ctx context.Context, stored attempt.Stored) (attempt.Observation, error) {
	if err := s.otherBackend(stored); err != nil {
		return nil, err
	}
	now := s.options.Now()
	unknown := stored.CreateUnknown()
	claimable := stored.Claimable(now)
	if stored.CancelAsked() && (claimable || stored.Startable(now)) {
		// It is only looked for its job, whatever the policy says: see [Submitter.ask].
		return attempt.TakeClaim{Claim: s.claim(), Turn: true}, nil
	}
	if claimable {
		// A job that exists is found, whatever the policy says.
		p, err := s.options.Policy(ctx)
		start := p.Start(stored.Drop.Prefix)
		wait := waits(start, stored.Order())
		if err == nil && (wait == "" || !start.Paused && stored.Turn) {
			return attempt.TakeClaim{Claim: s.claim()}, nil
		}
		if unknown || stored.Creating != nil {
			if made, err := s.found(ctx, stored); made != nil || err != nil {
				return made, err
			}
		}
		if err != nil {
			return nil, err
		}
		return attempt.Wait{Reason: wait}, nil
	}
	if stored.State == job.Accepted && stored.Queued && unknown {
		return s.found(ctx, stored)
	}
	return nil, nil
}

// otherBackend returns an error if an accepted attempt was checked for another backend than this
// installation's. Nobody checked what this backend would be asked for.
func (s *Submitter) otherBackend(stored attempt.Stored) error {
	if stored.State != job.Accepted || stored.Backend == s.backend.Name() {
		return nil
	}
	return fmt.Errorf("attempt %s was accepted for %s, and this installation asks %s: "+
		"drop the job file again, or set JOBDROP_BACKEND back: %w",
		stored.Attempt, stored.Backend, s.backend.Name(), attempt.ErrOtherBackend)
}

// found searches for a job that an earlier create of the attempt made, while nobody creates one. It
// returns nil if there is none.
func (s *Submitter) found(ctx context.Context, stored attempt.Stored) (attempt.Observation, error) {
	asked := s.options.Now()
	found, err := s.backend.Find(ctx, stored.Order())
	if err != nil {
		return nil, err
	}
	if made, ok := own(found, stored.Spec.Labels); ok {
		return attempt.Seen(made, asked), nil
	}
	return nil, nil
}

// create asks the backend for the job, under the claim that the record holds. It is not an error
// if the backend does not take the job: the record says so, and ticks ask again.
func (s *Submitter) create(ctx context.Context, stored attempt.Stored) (attempt.Stored, error) {
	// A worker that was stopped and continues after its claim makes no call.
	asking, cancel := context.WithDeadline(ctx, stored.Creating.Until)
	observation := s.ask(asking, stored)
	cancel()
	after, _, err := s.records.Apply(ctx, stored, observation, s.options.Now())
	if err != nil {
		return stored, err
	}
	if after.State == job.Accepted && after.Error != nil {
		s.options.Logger.WarnContext(ctx, "job not taken", "attempt", after.Attempt, "job_id", after.Job.ID, "tries", after.Tries,
			"next_try", after.NextTry, "error", after.Error.Message, "correlation_id", after.CorrelationID)
	}
	if after.State == job.Rejected && after.Error != nil && after.Error.Code == denied {
		// This is not the dropper's fault: jobdrop may not create jobs, or not with the job's
		// service account.
		s.options.Logger.ErrorContext(ctx, "job denied", "attempt", after.Attempt, "job_id", after.Job.ID,
			"error", after.Error.Message, "correlation_id", after.CorrelationID)
	}
	s.log(ctx, after)
	return after, nil
}

// denied is a google.rpc.Code.
const denied = "PERMISSION_DENIED"

// ask asks the backend for the job, and returns what came of it. After the time for submits it
// only searches for a job that may exist. A refusal is final only if no earlier create may have taken
// effect. Otherwise ask first searches for the job that the create may have made, for as long as the
// worker that asked may still be running.
func (s *Submitter) ask(ctx context.Context, stored attempt.Stored) attempt.Observation {
	nonce, now := stored.Creating.Nonce, s.options.Now()
	unknown := stored.CreateUnknown()
	switch {
	case !unknown:
	case stored.Overdue(now):
		return s.findEarlier(ctx, stored, attempt.GiveUp{Nonce: nonce})
	case !s.backend.TakesID():
		if o := s.findEarlier(ctx, stored, nil); o != nil {
			return o
		}
	}
	// One reading of the clock says both: a process that freezes between two would pass the check
	// and take the time after it for that of its question.
	asked := s.options.Now()
	if stored.Creating.Until.Sub(asked) < 2*s.options.CallTime {
		// The rest of the claim must outlast the calls, or another worker may begin before they
		// end.
		return attempt.Postpone{Nonce: nonce, Reason: "the claim was nearly over: to be asked again"}
	}
	bounded, cancel := context.WithTimeout(ctx, 2*s.options.CallTime)
	defer cancel()
	created, err := s.backend.Create(bounded, stored.Order())
	var (
		conflict *attempt.ConflictError
		refused  *attempt.RefusedError
	)
	switch {
	case err == nil:
		return attempt.Seen(created, asked)
	case errors.As(err, &conflict) && job.SameOwner(conflict.Found.Labels, stored.Spec.Labels):
		return attempt.Seen(conflict.Found, asked) // made by an earlier create of ours
	case errors.As(err, &conflict):
		return taken(stored.Record, conflict)
	case errors.As(err, &refused):
		for i := range refused.Fields {
			refused.Fields[i].File = stored.Drop.JobFile.Base()
		}
		final := attempt.Refuse{
			Nonce: nonce, Violations: refused.Fields,
			Failure: job.Failure{Code: refused.Code, Message: refused.Message},
		}
		if unknown {
			return s.findEarlier(ctx, stored, final)
		}
		return final
	case errors.Is(err, job.ErrQuota):
		return attempt.Postpone{
			Nonce: nonce, Reason: attempt.WaitsForQuota, Quota: true,
			Failure: &job.Failure{Code: attempt.CodeQuota, Message: err.Error()},
		}
	case errors.Is(err, job.ErrNotFound):
		return attempt.Postpone{
			Nonce: nonce, Reason: "the backend is not found: " + err.Error(),
			Failure: &job.Failure{Code: "NOT_FOUND", Message: err.Error()},
		}
	}
	// The outcome is unknown. The next try searches for the job that this call may have made, or
	// learns that its ID is taken.
	return attempt.Postpone{
		Nonce: nonce, Reason: "the backend did not answer: " + err.Error(), Unknown: true,
		Failure: &job.Failure{Code: "UNAVAILABLE", Message: err.Error()},
	}
}

// taken refuses the attempt: another job at the backend already uses its ID.
func taken(r attempt.Record, conflict *attempt.ConflictError) attempt.Refuse {
	return attempt.Refuse{
		Nonce:   r.Creating.Nonce,
		Failure: job.Failure{Code: "ALREADY_EXISTS", Message: conflict.Error()},
		Violations: []job.Violation{jobIDTaken(r,
			"a job at the backend that this attempt did not make, in state "+string(conflict.Found.State))},
	}
}

// findEarlier searches for the job that an earlier create may have made. It returns none if there is no
// job and none can appear.
func (s *Submitter) findEarlier(ctx context.Context, stored attempt.Stored,
	none attempt.Observation) attempt.Observation {
	nonce, now := stored.Creating.Nonce, s.options.Now()
	found, err := s.backend.Find(ctx, stored.Order())
	if err != nil {
		// Without the search nothing is known, so there is no verdict, even after the deadline.
		return attempt.Postpone{
			Nonce: nonce, Reason: "an earlier create may have had an effect, and can't be looked for: " + err.Error(),
			Failure: &job.Failure{Code: "UNAVAILABLE", Message: err.Error()},
		}
	}
	made, ok := own(found, stored.Spec.Labels)
	switch {
	case ok:
		return attempt.Seen(made, now)
	case len(found) > 0:
		return taken(stored.Record, &attempt.ConflictError{JobID: stored.Spec.JobID, Found: found[0]})
	case stored.CreateUnderWay(now), !s.backend.TakesID() && !stored.Vainly(now):
		return attempt.Vain{Nonce: nonce}
	}
	return none
}

// own returns the oldest of the jobs that have an attempt's labels.
func own(found []attempt.BackendJob, labels map[string]string) (attempt.BackendJob, bool) {
	for _, l := range found {
		if job.SameOwner(l.Labels, labels) {
			return l, true
		}
	}
	return attempt.BackendJob{}, false
}

// claim returns a claim on a create. It is valid for four calls of the backend: a search may take
// one, and a create, which may take two, begins only if two are left.
func (s *Submitter) claim() attempt.Claim {
	nonce := rand.Text()
	return attempt.Claim{Owner: s.options.Instance + "/" + nonce[:8], Until: s.options.Now().UTC().Add(4 * s.options.CallTime), Nonce: nonce}
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
		stored = attempt.Stored{Record: lostRecord(key, e, s.options.Now())}
		_, err = s.records.Open(ctx, attempt.NewEntry(stored)) // only one of its two writes may have come through
	}
	if err != nil {
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

// lostRecord returns the record of an attempt whose job file went away after its index entry was
// written, before its record was.
func lostRecord(key string, e attempt.Entry, now time.Time) attempt.Record {
	o := job.Object{Bucket: e.Bucket, Name: e.JobFile, Created: e.Dropped, CorrelationID: e.CorrelationID}
	if n := len(job.FolderKey("", "")) + 1; len(key) > n {
		o.Generation, _ = strconv.ParseInt(key[n:], 10, 64)
	}
	return attempt.NewRecord(o, now)
}

// log writes the log line of a decision.
func (s *Submitter) log(ctx context.Context, r attempt.Stored) {
	s.options.Logger.InfoContext(ctx, "attempt decided",
		"attempt", r.Attempt, "drop", r.Drop.Prefix, "state", r.State, "reason", r.Reason,
		"job_id", r.Job.ID, "violations", len(r.Violations), "correlation_id", r.CorrelationID)
}
