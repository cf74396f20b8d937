package submitter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// decide decides what becomes of an undecided attempt. It writes no record. It leaves staged
// packages, a claimed job ID and the entry in the folder's note; whoever decides next finds them.
// With a [slowError] it also returns what the attempt waits with.
// outdated is the generation of a note that made an earlier list of the folder too old.
func (s *Submitter) decide(
	ctx context.Context, d job.Drop, stored attempt.Stored, read reads, outdated int64,
) (attempt.Observation, error) {
	note, err := read.note()
	if err != nil {
		return nil, err
	}
	if o, err := s.byNote(note, d, stored, outdated); o != nil || err != nil {
		return o, err
	}
	p, err := read.policy()
	if err != nil {
		return nil, err
	}
	patience := p.For(d.Folder).Patience(s.options.Patience)
	if again := stored.NextCheck; s.options.Now().Before(again) && stored.Arrived(d.Packages) {
		return cutOff(d, again, patience), nil // as before: the check may take minutes
	}
	r, err := s.inspect(ctx, d, inspect.Objects{Open: read.open, Stat: s.stat}, p)
	if errors.Is(err, job.ErrNotFound) {
		return nil, &goneError{err}
	}
	if err != nil {
		return s.unchecked(ctx, d, stored, patience, err)
	}
	o, err := s.judge(ctx, d, stored, note, p, r)
	if o != nil {
		o = attempt.Routed{Observation: o, Routes: r.Options.Notify}
	}
	return o, err
}

// judge decides by what a drop holds.
func (s *Submitter) judge(
	ctx context.Context, d job.Drop, stored attempt.Stored, note attempt.FolderNote, p policy.Policy, r inspect.Result,
) (attempt.Observation, error) {
	jobFile, rules := stored.Drop.JobFile, p.For(d.Folder)
	patience := rules.Patience(s.options.Patience)
	var mapping job.Mapping
	if !r.Incomplete() && !job.HasErrors(r.Violations) {
		mapping = rules.Mapping(r.Spec.TrainingInput, r.Options.Vertex)
		r.Map(s.backend.Check(job.Order{Spec: r.Spec, Mapping: mapping}), rules.Strict())
	}
	e := entering{
		drop: d, jobFile: jobFile, packages: r.Resolution.Packages, held: r.Resolution.Unpinned,
		until: jobFile.Created.Add(patience.Settle),
	}
	if r.Final {
		e.held = nil
	}
	if r.Incomplete() {
		return s.incomplete(ctx, d, r, note.Decided(jobFile, e.held), e.until, patience)
	}
	if hold, err := e.hold(note, s.options.Now()); hold != nil || err != nil {
		return hold, err
	}
	if job.HasErrors(r.Violations) {
		if len(e.packages) == 0 {
			// It is not known which packages it meant, so all of them count as decided.
			e.packages = d.Packages
		}
		return s.enter(ctx, note, e, attempt.Reject{Reason: faulty(r.Violations), Violations: r.Violations})
	}
	content, err := job.Content(r.Spec, r.Options.Vertex, r.Resolution.All())
	if err != nil {
		return nil, err
	}
	e.same = sameness{digest: content, runs: !r.MadeID || d.Rerun(), withdraws: rules.WithdrawsSame()}
	if e.compared, err = s.compare(ctx, note, e); err != nil {
		return nil, err
	}
	if e.compared.duplicate != nil { // nothing is staged for it
		return s.enter(ctx, note, e, e.compared.duplicate)
	}
	wait := waits(p.Start(d.Folder), job.Order{Spec: r.Spec, Mapping: mapping})
	verdict, err := s.accept(ctx, stored, r, content, mapping, wait, patience)
	if err != nil {
		return s.unchecked(ctx, d, stored, patience, err)
	}
	if blocked, ok := verdict.(attempt.Blocked); ok { // not decided yet
		blocked.ReportAfter, blocked.ExpireAfter = patience.Incomplete, patience.Expire
		return blocked, nil
	}
	return s.enter(ctx, note, e, verdict)
}

// incomplete returns the observation of a drop that lacks packages. before are those of its packages that
// an earlier attempt was decided upon: they are held for until.
func (s *Submitter) incomplete(
	ctx context.Context, d job.Drop, r inspect.Result, before []job.Object, until time.Time, patience job.Patience,
) (attempt.Observation, error) {
	near, err := s.near(ctx, d, r.Resolution.Missing)
	if err != nil {
		return nil, err
	}
	return attempt.Incomplete{
		Arrived: d.Packages, Missing: r.Resolution.Missing, Near: near, Violations: r.Violations,
		Mispinned: r.Resolution.Mispinned, Before: before, Until: until, ReportAfter: patience.Incomplete,
		ExpireAfter: patience.Expire,
	}, nil
}

// byNote returns what the folder's note alone decides, before anything of the drop is read, or nil.
func (s *Submitter) byNote(
	note attempt.FolderNote, d job.Drop, stored attempt.Stored, outdated int64,
) (attempt.Observation, error) {
	jobFile := stored.Drop.JobFile
	if note.Supersedes(jobFile) {
		return attempt.Withdraw{Reason: overwrittenReason}, nil
	}
	if note.Generation != outdated && note.Outdates(d.Packages) {
		return nil, &outdatedError{note.Generation}
	}
	if until := stored.Deadlines.Held; stored.State == job.Held && s.options.Now().Before(until) {
		if decided := note.Decided(jobFile, d.Packages); len(decided) > 0 && len(decided) == len(d.Packages) {
			return attempt.Hold{Until: until, Packages: decided}, nil // as before: no read is needed
		}
	}
	return nil, nil
}

// near returns what is there and nearly is what a drop misses. It looks one folder below if the
// folder has no package at all.
func (s *Submitter) near(ctx context.Context, d job.Drop, missing []string) ([]string, error) {
	names := slices.Clone(d.Others)
	for _, p := range d.Packages[:min(len(d.Packages), inspect.NearNames)] {
		names = append(names, p.Base())
	}
	if near := inspect.Near(missing, names); len(near) > 0 || len(d.Packages) > 0 {
		return near, nil
	}
	var below []string
	err := s.objects.List(ctx, d.Bucket, d.Folder, false, func(page []job.Attributes) error {
		for _, o := range page {
			name := strings.TrimPrefix(o.Name, d.Folder)
			if strings.Count(name, "/") == 1 && o.Size > 0 && inspect.Nearly(name) && len(below) < inspect.NearNames {
				below = append(below, name)
			}
		}
		return errFull // one page is enough for a hint
	})
	if err != nil && !errors.Is(err, errFull) {
		return nil, err
	}
	return inspect.Near(missing, below), nil
}

// unreadableError reports that the storage service does not let jobdrop read an object:
// its uploader keeps the key, the key is disabled, the bucket is closed or charges who reads.
type unreadableError struct {
	object job.Object
	err    error
}

func (e *unreadableError) Error() string { return e.err.Error() }

func (e *unreadableError) Unwrap() error { return e.err }

// ofObject returns the error of a call that reads o. It says so if the call can't succeed as things
// are.
func ofObject(o job.Object, err error) error {
	if errors.Is(err, job.ErrDenied) || errors.Is(err, job.ErrRefused) {
		return &unreadableError{o, err}
	}
	return err
}

// unchecked returns what the attempt waits with if its drop's content could not be read, for lack of
// a right or of time, and the error otherwise.
func (s *Submitter) unchecked(
	ctx context.Context, d job.Drop, stored attempt.Stored, patience job.Patience, err error,
) (attempt.Observation, error) {
	if _, is := errors.AsType[*slowError](err); is {
		return cutOff(d, stored.CheckAgain(s.options.Now()), patience), err
	}
	return s.unreadable(ctx, d, stored, patience, err)
}

// cutOff returns that the attempt waits until its drop is checked again.
func cutOff(d job.Drop, again time.Time, patience job.Patience) attempt.Observation {
	return attempt.Incomplete{
		Arrived: d.Packages, NextCheck: again, ReportAfter: patience.Incomplete, ExpireAfter: patience.Expire,
	}
}

// inTime returns the error of work on a drop's content. It says so if the time was over.
func inTime(ctx context.Context, err error) error {
	if err != nil && !errors.Is(err, job.ErrNotFound) && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &slowError{err}
	}
	return err
}

// unreadable returns that the attempt waits until an object can be read, if that is what an error
// is about, and the error otherwise. A right may be granted, or a key may come back: so the attempt
// is not rejected, and waits like one whose package is missing.
func (s *Submitter) unreadable(
	ctx context.Context, d job.Drop, stored attempt.Stored, patience job.Patience, err error,
) (attempt.Observation, error) {
	closed, is := errors.AsType[*unreadableError](err)
	if !is {
		return nil, err
	}
	missing := []string{closed.object.Base()}
	if stored.State != job.Waiting || !slices.Equal(stored.Drop.Missing, missing) {
		// Once for each attempt and object: the operator may have to grant a right.
		s.options.Logger.ErrorContext(ctx, "object can't be read", "attempt", stored.Attempt, "drop", d.Folder,
			"object", closed.object.URI(), "error", closed.Error(), "correlation_id", stored.CorrelationID)
	}
	return attempt.Incomplete{
		Arrived: d.Packages, Missing: missing, Unreadable: closed.Error(),
		ReportAfter: patience.Incomplete, ExpireAfter: patience.Expire,
	}, nil
}

// faulty returns the reason of a drop with faults: the first of them, and how to go on. Its violations
// name all.
func faulty(vs []job.Violation) string {
	vs = slices.DeleteFunc(slices.Clone(vs), func(v job.Violation) bool { return v.Severity == job.Warning })
	first := vs[0]
	first.Found, first.Allowed, first.Remedy = "", "", ""
	reason := "the drop is not valid: " + job.BoundText(first.String(), job.MaxText/2)
	switch more := len(vs) - 1; {
	case more == 1:
		reason += ", and one more error"
	case more > 1:
		reason += fmt.Sprintf(", and %d more errors", more)
	}
	return reason + "; correct it; upload changed packages first, then the job file; pin a package that stays, to start at once"
}

// entering is an attempt that is about to be decided, in the form that its folder's note needs.
type entering struct {
	drop    job.Drop
	jobFile job.Object
	// packages holds the packages of the folder that it is decided with. held holds those whose
	// successors it waits for, until a time.
	packages, held []job.Object
	until          time.Time
	// same is what a drop that is about to be accepted is compared by. compared is what came of it.
	same     sameness
	compared compared
}

// hold returns a Hold if an earlier attempt was decided with a package that this one would take:
// the job file may have overtaken the new package. It returns nil if there is nothing to wait for.
// Once the patience is over the drop goes on with what is there. A list that was made before that
// may not show the new package, and is made again.
func (e entering) hold(note attempt.FolderNote, now time.Time) (attempt.Observation, error) {
	decided := note.Decided(e.jobFile, e.held)
	switch {
	case len(decided) == 0 || !e.drop.Listed.Before(e.until):
		return nil, nil
	case now.Before(e.until):
		return attempt.Hold{Until: e.until, Packages: decided}, nil
	}
	return nil, fmt.Errorf("%w, while it was held", errChanged)
}

// enters is how often an attempt is entered against others before the caller has to come again.
const enters = 8

// enter writes the attempt into its folder's note, right before its verdict is written, and
// returns the verdict. If another attempt was entered meanwhile, the verdict may change: a newer
// attempt withdraws this one, and an older one may have been decided with its packages, or may have
// the same content.
func (s *Submitter) enter(
	ctx context.Context, note attempt.FolderNote, e entering, verdict attempt.Observation,
) (attempt.Observation, error) {
	read := note.Generation // this one was already compared with the list, and with the drop's content
	for range enters {
		if note.Supersedes(e.jobFile) {
			return attempt.Withdraw{Reason: overwrittenReason}, nil
		}
		if note.Generation != read && note.Outdates(e.drop.Packages) {
			return nil, &outdatedError{note.Generation}
		}
		if hold, err := e.hold(note, s.options.Now()); hold != nil || err != nil {
			return hold, err
		}
		next := note.Enter(e.drop, e.jobFile, e.packages)
		if _, accepted := verdict.(attempt.Accept); accepted {
			if note.Generation != read {
				var err error
				if e.compared, err = s.compare(ctx, note, e); err != nil {
					return nil, err
				}
			}
			if e.compared.duplicate != nil {
				verdict = e.compared.duplicate
			} else {
				next = next.EnterContent(e.jobFile, e.same.digest, e.compared.over, e.compared.open)
			}
		}
		if next.Equal(note) {
			return verdict, nil // a worker that died, or is slower, entered it
		}
		err := s.records.SwapFolderNote(ctx, e.drop.Bucket, e.drop.Folder, next)
		if err == nil {
			return verdict, nil
		}
		if !errors.Is(err, attempt.ErrStale) {
			return nil, err
		}
		if note, err = s.records.FolderNote(ctx, e.drop.Bucket, e.drop.Folder); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("folder gs://%s/%s: %w, %d times", e.drop.Bucket, e.drop.Folder, attempt.ErrStale, enters)
}

// farOutput warns of a jobDir in another region than the job's. If the bucket's location can't be
// read, it does not: a bucket of others may well be closed to jobdrop.
func (s *Submitter) farOutput(ctx context.Context, r inspect.Result) []job.Violation {
	bucket := r.OutputBucket()
	if bucket == "" || s.options.Places == nil {
		return nil
	}
	places, err := s.options.Places(ctx, bucket)
	if err != nil {
		s.options.Logger.DebugContext(ctx, "place of the job's output not known", "bucket", bucket, "error", err.Error())
		return nil
	}
	return r.FarOutput(places)
}

// inspect checks a drop. Memory limits how many drops are checked at once. That others took the time
// is not the drop's fault, and no [slowError].
func (s *Submitter) inspect(ctx context.Context, d job.Drop, from inspect.Objects, p policy.Policy) (inspect.Result, error) {
	select {
	case s.inspecting <- struct{}{}: // also if there is no time: others are not to blame
	default:
		select {
		case s.inspecting <- struct{}{}:
		case <-ctx.Done():
			return inspect.Result{}, attempt.ErrBusy
		}
	}
	defer func() { <-s.inspecting }()
	checked, err := inspect.Drop(ctx, d, from, p)
	return checked, inTime(ctx, err)
}

// accept stages the packages and claims the job ID. wait, if not empty, is what the attempt waits
// for.
func (s *Submitter) accept(
	ctx context.Context, stored attempt.Stored, r inspect.Result, content string, mapping job.Mapping, wait string,
	patience job.Patience,
) (attempt.Observation, error) {
	packages := r.Resolution.All()
	receipt := job.Receipt{
		Objects: append([]job.Object{r.JobFile}, packages...),
		Content: content,
	}
	// At first the copies and the claim of the ID go together. Later the ID comes first: an attempt may wait for it
	// at many visits. If it does not get the ID, its copies stay until they are old.
	first := stored.Generation == 0
	var group sync.WaitGroup
	defer group.Wait()
	staged := begun(&group, first, func() ([]string, error) { return s.stage(ctx, stored.Attempt, packages) })
	far := begun(&group, first, func() ([]job.Violation, error) { return s.farOutput(ctx, r), nil })
	if unclaimed, err := s.claimID(ctx, stored, r.Spec.JobID, content); unclaimed != nil || err != nil {
		return unclaimed, err
	}
	var err error
	if receipt.Staged, err = staged(); err != nil {
		return nil, err
	}
	warnings, _ := far()
	spec := r.Spec
	input := *spec.TrainingInput
	input.PackageURIs = receipt.Staged
	spec.TrainingInput = &input
	spec.Labels = job.Labels(spec.Labels, s.options.Instance, stored.Attempt, content)
	accepted := attempt.Accept{
		Spec: spec, Mapping: mapping, Receipt: receipt, Backend: s.backend.Name(),
		Warnings: append(r.Violations, warnings...), Waits: wait, SubmitWithin: patience.Submit, Patience: patience.JobPatience,
		AcceleratorSeconds: mostSeconds(job.Order{Spec: spec, Mapping: mapping}),
	}
	if !s.backend.EnforcesWait() && !mapping.WaitLimitedByBackend() {
		// Nobody else ends a job that waits for too long, so jobdrop need not wait for that.
		accepted.Patience.WaitGrace = new(job.Duration(0))
	}
	if wait == "" {
		accepted.Claim = s.claim()
	}
	return accepted, nil
}

// stage copies the packages, at the generations that were checked, to names that only this attempt
// and these generations have.
func (s *Submitter) stage(ctx context.Context, key string, packages []job.Object) ([]string, error) {
	staged := make([]string, len(packages))
	done := make([]func() (struct{}, error), len(packages))
	slots := make(chan struct{}, copies)
	var group sync.WaitGroup
	defer group.Wait()
	for i, p := range packages {
		name := key + "/" + strconv.FormatInt(p.Generation, 10) + "/" + p.Base()
		staged[i] = "gs://" + s.options.Staging + "/" + name
		done[i] = begun(&group, true, func() (struct{}, error) {
			slots <- struct{}{}
			defer func() { <-slots }()
			return struct{}{}, s.stageOne(ctx, p, name)
		})
	}
	for _, copied := range done {
		_, err := copied()
		if errors.Is(err, job.ErrNotFound) {
			return nil, fmt.Errorf("%w: %w", errChanged, err)
		}
		if err != nil {
			return nil, err
		}
	}
	return staged, nil
}

// copies is how many packages of a drop are copied at once. A drop may have a hundred.
const copies = 8

// stageOne copies a package inside the storage service. A package that is stored packed for
// transport is unpacked on the way, and has to be what was checked. It is not read again if it is
// there already: that may take as long as the check.
func (s *Submitter) stageOne(ctx context.Context, p job.Object, name string) error {
	if !p.Decoded() {
		return s.copy(ctx, p, name)
	}
	if there, err := s.objects.Stat(ctx, s.options.Staging, name); err == nil && isContent(there.Object, p) {
		return nil
	}
	return inTime(ctx, s.unpack(ctx, p, name))
}

// isContent reports whether a staged object is what was checked of a package that is stored packed.
func isContent(staged, p job.Object) bool {
	return staged.Size == p.DecodedSize && staged.CRC32C == p.DecodedCRC32C
}

// unpack stores the content of a package that is stored packed in the staging bucket.
func (s *Submitter) unpack(ctx context.Context, p job.Object, name string) error {
	stored, err := s.open(ctx, p)
	if err != nil {
		return err
	}
	defer stored.Close()
	content, err := inspect.Decode(stored)
	if err != nil {
		return fmt.Errorf("stage %s: %w", p.URI(), err)
	}
	staged, err := s.objects.Store(ctx, s.options.Staging, name, content)
	if err != nil {
		return err
	}
	if !isContent(staged, p) {
		return fmt.Errorf("stage %s: %d bytes with CRC32C %s were stored, and %d with %s were checked",
			p.URI(), staged.Size, staged.CRC32C, p.DecodedSize, p.DecodedCRC32C)
	}
	return nil
}

// copy copies a package to the staging bucket. A copy that is denied does not say which of its two
// sides was: only a package that can't be read is the uploader's to mend.
func (s *Submitter) copy(ctx context.Context, p job.Object, name string) error {
	err := s.objects.Copy(ctx, p, s.options.Staging, name)
	if _, is := errors.AsType[*unreadableError](ofObject(p, err)); !is {
		return err
	}
	content, unread := s.open(ctx, p)
	if unread == nil {
		return errors.Join(err, content.Close())
	}
	if _, is := errors.AsType[*unreadableError](unread); is {
		return unread
	}
	return err
}

// claimID claims the job ID. It returns an observation if the attempt can't have the ID.
func (s *Submitter) claimID(
	ctx context.Context, stored attempt.Stored, jobID, content string,
) (attempt.Observation, error) {
	var o attempt.Observation
	var err error
	for range enters {
		// If another attempt takes over an ID that was given up, the next try waits for that one.
		if o, err = s.tryID(ctx, stored, jobID, content); !errors.Is(err, attempt.ErrStale) {
			break
		}
	}
	return o, err
}

// tryID does what [Submitter.claimID] does, but returns [attempt.ErrStale] if another was faster.
func (s *Submitter) tryID(
	ctx context.Context, stored attempt.Stored, jobID, content string,
) (attempt.Observation, error) {
	own := attempt.Owner{Attempt: stored.Attempt}
	owner, claimed, err := s.records.ClaimID(ctx, jobID, own)
	if claimed || err != nil {
		return nil, err
	}
	other, err := s.records.Get(ctx, owner.Attempt)
	switch {
	case errors.Is(err, job.ErrNotFound):
		// The ID is claimed by an attempt without a record. If that is not on the index either,
		// nobody will decide it.
		if _, err := s.records.Entry(ctx, owner.Attempt); err == nil {
			return attempt.Blocked{JobID: jobID, By: named(owner.Attempt, stored)}, nil
		} else if !errors.Is(err, job.ErrNotFound) {
			return nil, err
		}
		return nil, s.records.TakeID(ctx, jobID, owner, own)
	case err != nil:
		return nil, err
	case other.State.Undecided():
		blocked := attempt.Blocked{JobID: jobID, By: named(owner.Attempt, stored)}
		if blocked.By != "" {
			blocked.Waits = other.Reason
		}
		return blocked, nil
	case free(other.Record):
		return nil, s.records.TakeID(ctx, jobID, owner, own)
	case sameDrop(other.Record, stored.Record, content):
		return attempt.Withdraw{
			Reason: fmt.Sprintf("the same content ran before in this folder as attempt %s, now %s; "+
				"change the job ID to run it again", other.Attempt, other.Shown()),
			DuplicateOf: other.Attempt, JobID: jobID,
		}, nil
	}
	found := "an attempt of another folder"
	if name := named(other.Attempt, stored); name != "" {
		found = fmt.Sprintf("attempt %s of this folder, now %s", name, other.Shown())
	}
	r := stored.Record
	r.Job.ID = jobID
	return attempt.Reject{Reason: "the job ID is taken", Violations: []job.Violation{jobIDTaken(r, found)}}, nil
}

// named returns the name of another attempt as the dropper of an attempt may read it: empty if it is of another folder,
// which may be somebody else's. Whoever guesses job IDs must not learn who has them, nor what became of it.
func named(other string, stored attempt.Stored) string {
	if folder, _, _ := strings.Cut(stored.Attempt, "-"); !strings.HasPrefix(other, folder+"-") {
		return ""
	}
	return other
}

// sameDrop reports whether an accepted attempt has the content and is in the folder of another.
func sameDrop(accepted, other attempt.Record, content string) bool {
	receipt := accepted.Drop.Receipt
	return receipt != nil && receipt.Content == content && accepted.Drop.Bucket == other.Drop.Bucket &&
		accepted.Drop.Prefix == other.Drop.Prefix
}

// free reports whether an attempt gave its job ID up. Either it ended before it was accepted, or
// before it had a job, or the backend refused its job for good, so no job has the ID.
func free(r attempt.Record) bool {
	switch r.State {
	case job.Withdrawn, job.Expired:
		return true
	case job.Rejected:
		return r.Error == nil || r.Error.Code != "ALREADY_EXISTS"
	}
	return r.NeverRan()
}

func jobIDTaken(r attempt.Record, by string) job.Violation {
	return job.Violation{
		Rule: ruleJobIDUnique, Severity: job.Error, File: r.Drop.JobFile.Base(), Field: "jobId",
		Message: "job ID " + r.Job.ID + " is taken by " + by,
		Remedy:  "choose another job ID, or leave it out: jobdrop then makes one for each attempt",
	}
}

func (s *Submitter) open(ctx context.Context, o job.Object) (io.ReadCloser, error) {
	content, err := s.objects.Open(ctx, o.Bucket, o.Name, o.Generation)
	return content, ofObject(o, err)
}

func (s *Submitter) stat(ctx context.Context, bucket, name string) (job.Object, error) {
	o, err := s.objects.Stat(ctx, bucket, name)
	return o.Object, ofObject(job.Object{Bucket: bucket, Name: name}, err)
}
