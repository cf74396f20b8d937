package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	// firstPause follows a read that brought news, longestPause one that brought none for a while. A pause grows by half.
	firstPause, longestPause = 500 * time.Millisecond, 30 * time.Second
	// lostFor is how long an attempt is followed without an answer that says something: networks and tokens come back.
	lostFor = 15 * time.Minute
	// lookTime is how long the status of a job file may take that was live, and is not any more: Submit may be at it.
	lookTime = time.Minute
	// unseenFor is how long a job file may lie there before it is not believed any more that jobdrop has not looked at
	// it: that takes minutes. Terraform's status_days, after which a status is deleted, is three days at the least.
	unseenFor = 24 * time.Hour
	// maxStatus bounds a status object: an event's body has at most 4 MiB, and the object is indented.
	maxStatus = 16 << 20
	// maxRepeats bounds how many duplicates are followed to the attempt that they repeat: one, unless somebody's
	// records are wrong.
	maxRepeats = 8
)

// followOptions say which attempt is followed, and who hears of it.
type followOptions struct {
	// folder is the drop's in the inbox, with its final slash; empty at the inbox's root.
	folder string
	// generation is that of the job file, the number that the attempt's name ends with. Of a rerun it is its request's.
	generation int64
	// known is set if the attempt was recorded: its status is waited for whether the job file is live or not.
	known bool
	// timeout ends the wait; 0 is never.
	timeout time.Duration
	// changed, if set, is called with each new snapshot, the verdict's too, in their order.
	changed func(job.Snapshot)
	// unchanged, if set, is called after a look that brought none with the last snapshot, which is empty before the first.
	unchanged func(context.Context, job.Snapshot)
	// say, if set, is called with what is no change: that nothing is there yet, that the line is lost.
	say func(format string, args ...any)
}

// ref returns how a command line names the attempt.
func (o followOptions) ref(inbox string) string { return refTo(inbox, o.folder, o.generation) }

func refTo(inbox, folder string, generation int64) string {
	return fmt.Sprintf("gs://%s/%s#%d", inbox, folder, generation)
}

// statusName returns the name of the status object of an attempt, by its folder and the generation of its job file.
func statusName(folder string, generation int64) string {
	return folder + "status-" + strconv.FormatInt(generation, 10) + ".json"
}

// attemptIn returns the key of the attempt of a folder that a generation of its job file makes.
func attemptIn(bucket, folder string, generation int64) string {
	return job.FolderKey(bucket, folder) + "-" + strconv.FormatInt(generation, 10)
}

// splitAttempt returns the folder's key and the generation of an attempt's key.
func splitAttempt(key string) (folder string, generation int64, err error) {
	folder, number, _ := strings.Cut(key, "-")
	generation, err = strconv.ParseInt(number, 10, 64)
	return folder, generation, err
}

// follow follows an attempt to its verdict, by the status object of its generation alone: no other attempt of the folder
// writes that. An attempt that repeats another is followed by that one. It returns the last snapshot, also with an
// error, whose exit code is [exitUnknown] if there is no such attempt, [exitRunning] if the time is over or the line is
// lost, and [exitInterrupted] if ctx ends.
func (t *target) follow(ctx context.Context, env Env, o followOptions) (job.Snapshot, error) {
	ctx, cancel := within(ctx, o.timeout)
	defer cancel()
	f := &follower{followOptions: o, target: t, now: env.Now, line: line{now: env.Now, say: o.say}}
	for {
		news, err := f.look(ctx)
		switch {
		case err == nil && f.last.State.Terminal():
			if !f.repeats() {
				return f.last, nil
			}
			news = true
		case ctx.Err() != nil:
			return f.last, f.stopped(ctx)
		case err != nil:
			return f.last, err
		}
		switch {
		case news:
			f.line.pause = 0
		case f.unchanged != nil:
			f.unchanged(ctx, f.last)
		}
		if f.line.rest(ctx) != nil {
			return f.last, f.stopped(ctx)
		}
	}
}

// timeError is the cause of the end of a context whose time is over.
type timeError time.Duration

func (e timeError) Error() string { return "not ended after " + time.Duration(e).String() }

// within returns a context that ends after a time, which may be 0 for never.
func within(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, limit, timeError(limit))
}

// follower follows one attempt.
type follower struct {
	followOptions
	target *target
	now    func() time.Time
	line   line
	last   job.Snapshot
	read   int64 // the generation of the status object that last is from
	// jobFile is the name of the object that makes the attempt, once it was seen live.
	jobFile string
	created time.Time // when the job file was written, if that is known
	// gone is since when the job file is not live any more.
	gone     time.Time
	absences int // looks that found no status
	repeated int
}

func (f *follower) name() string { return statusName(f.folder, f.generation) }

// look reads the status object, and reports whether it brought news.
func (f *follower) look(ctx context.Context) (news bool, err error) {
	status := f.target.Status
	data, generation, err := f.target.storage.ReadNewer(ctx, status, f.name(), f.read, maxStatus)
	switch {
	case errors.Is(err, job.ErrNotFound), errors.Is(err, job.ErrDenied):
		return f.absent(ctx, err)
	case errors.Is(err, job.ErrTooLarge), errors.Is(err, job.ErrRefused):
		return false, fault(err)
	case err != nil:
		return false, f.line.lost(ctx, err)
	}
	f.line.back()
	if data == nil {
		return false, nil
	}
	var s job.Snapshot
	if err := json.Unmarshal(data, &s); err != nil {
		return false, fault(fmt.Errorf("gs://%s/%s: %w", status, f.name(), err))
	}
	if want := f.attempt(); s.Attempt != want {
		return false, fault(fmt.Errorf("gs://%s/%s is of attempt %q, want %s", status, f.name(), s.Attempt, want))
	}
	f.read = generation
	f.show(s)
	return true, nil
}

func (f *follower) show(s job.Snapshot) {
	f.last = s
	if f.changed != nil {
		f.changed(s)
	}
}

// attempt returns the key of the attempt.
func (f *follower) attempt() string { return attemptIn(f.target.Inbox, f.folder, f.generation) }

// absent returns an error if a status object that is not there, or may not be read, will not come, and reports whether
// the records brought news instead. Who may not list the bucket is denied an object that is not there.
func (f *follower) absent(ctx context.Context, why error) (news bool, err error) {
	if f.read != 0 {
		return false, f.line.lost(ctx, fmt.Errorf("the attempt's status was there, and is not any more: %w", why))
	}
	live, err := f.live(ctx)
	switch {
	case live && isOld(f.created, f.now()):
		if found, err := f.recorded(ctx); found || err != nil {
			return found, err
		}
		if why = f.target.absence(ctx, f.name(), why); errors.Is(why, job.ErrDenied) {
			return false, exit(exitMissing, "gs://%s needs the right storage.objects.get: %w", f.target.Status, why)
		}
		return false, exit(exitUnknown, "what became of %s is not known: it was dropped on %s, and has no status, which is "+
			"deleted after a time; whoever may read the state bucket is told", f.ref(f.target.Inbox), f.created.Format(time.DateOnly))
	case live:
		f.gone = time.Time{}
		if errors.Is(why, job.ErrDenied) {
			return false, f.line.lost(ctx, fmt.Errorf("gs://%s/%s is not there yet, or needs the right storage.objects.get: %w",
				f.target.Status, f.name(), why))
		}
		f.line.back()
		f.tell("jobdrop has not looked at gs://%s/%s yet", f.target.Inbox, f.jobFile)
		return false, nil
	case errors.Is(err, job.ErrDenied) && !f.known:
		return false, f.line.lost(ctx, fmt.Errorf("there is no status yet, and whether the job file is live is not known: "+
			"gs://%s needs the right storage.objects.get: %w", f.target.Inbox, err))
	case err != nil && !errors.Is(err, job.ErrDenied):
		return false, f.line.lost(ctx, err)
	case f.known && errors.Is(why, job.ErrDenied):
		return false, f.line.lost(ctx, why)
	}
	if f.gone.IsZero() {
		f.gone = f.now()
	}
	if (f.known || f.jobFile != "") && f.now().Sub(f.gone) < lookTime {
		f.line.back()
		f.tell("the status of the attempt is not there yet")
		return false, nil
	}
	// Its status may have come between the two looks.
	if _, err := f.target.storage.Stat(ctx, f.target.Status, f.name()); !errors.Is(err, job.ErrNotFound) &&
		!errors.Is(err, job.ErrDenied) {
		return false, nil
	}
	if found, err := f.recorded(ctx); found || err != nil {
		return found, err
	}
	return false, exit(exitUnknown, "there is no attempt %s: gs://%s/%s is not there, and no job file of the folder has this "+
		"generation", f.ref(f.target.Inbox), f.target.Status, f.name())
}

// recorded reports whether the caller may read the attempt's record and that has its verdict, which is then the last
// snapshot. An error without an exit code may be over at another look.
func (f *follower) recorded(ctx context.Context) (bool, error) {
	s, err := f.target.record(ctx, f.attempt())
	switch {
	case errors.Is(err, job.ErrNotFound), errors.Is(err, job.ErrDenied):
		return false, nil
	case err != nil:
		return false, f.line.lost(ctx, err)
	case !s.State.Terminal():
		return false, nil
	}
	f.show(s)
	return true, nil
}

// isOld reports whether jobdrop must have looked at a job file of a time, which is zero if it is not known.
func isOld(created, now time.Time) bool { return !created.IsZero() && now.Sub(created) > unseenFor }

// record returns the record of an attempt: [job.ErrDenied] to whoever may not read the state bucket.
func (t *target) record(ctx context.Context, key string) (job.Snapshot, error) {
	if t.State == "" {
		return job.Snapshot{}, job.ErrDenied
	}
	reader, err := ledger.NewReader(t.storage, t.State)
	if err != nil {
		return job.Snapshot{}, err
	}
	return reader.Attempt(ctx, key)
}

// absence returns why a status can't be read.
func (t *target) absence(ctx context.Context, name string, why error) error {
	return absence(ctx, t.storage, t.Status, name, why)
}

// lists is what lists objects.
type lists interface {
	ListPage(ctx context.Context, bucket, prefix, after string, most int) (page []job.Attributes, more bool, err error)
}

// absence returns why an object can't be read: [job.ErrNotFound] instead of [job.ErrDenied] if a list, which droppers
// may make below their folder, has no such object. Rights on a folder are not rights on the bucket, so that a dropper is
// denied what is not there.
func absence(ctx context.Context, store lists, bucket, name string, why error) error {
	if !errors.Is(why, job.ErrDenied) {
		return why
	}
	stem := strings.TrimSuffix(name, ".json")
	page, _, err := store.ListPage(ctx, bucket, stem, stem, 1)
	if err != nil || len(page) > 0 && page[0].Name == name {
		return why
	}
	return fmt.Errorf("gs://%s/%s: %w", bucket, name, job.ErrNotFound)
}

// tell says once that nothing is there yet, and not after the first look, which comes right after many an upload.
func (f *follower) tell(format string, args ...any) {
	if f.absences++; f.absences == 2 && f.say != nil {
		f.say(format, args...)
	}
}

// live reports whether the job file of the generation is the live one of its name.
func (f *follower) live(ctx context.Context) (bool, error) {
	if f.jobFile != "" {
		o, err := f.target.storage.Stat(ctx, f.target.Inbox, f.jobFile)
		if errors.Is(err, job.ErrNotFound) {
			return false, nil
		}
		f.created = o.Created
		return err == nil && o.Generation == f.generation, err
	}
	found, err := f.target.jobFiles(ctx, f.folder)
	for _, o := range found {
		if o.Generation == f.generation {
			f.jobFile, f.created = o.Name, o.Created
			return true, nil
		}
	}
	return false, err
}

// jobFiles returns the live job files of a folder of the inbox. It needs no right to list. With an error it returns
// those that could be looked at.
func (t *target) jobFiles(ctx context.Context, folder string) (found []job.Object, err error) {
	for _, name := range job.JobFileNames() {
		o, failed := t.storage.Stat(ctx, t.Inbox, folder+name)
		switch {
		case failed == nil:
			found = append(found, o.Object)
		case !errors.Is(failed, job.ErrNotFound):
			err = failed
		}
	}
	return found, err
}

// repeats reports whether the attempt repeats an earlier one of its folder, which is followed from now on.
func (f *follower) repeats() bool {
	folder, generation, err := splitAttempt(f.last.DuplicateOf)
	if err != nil || generation == f.generation || folder != job.FolderKey(f.target.Inbox, f.folder) ||
		f.repeated == maxRepeats {
		return false
	}
	f.repeated++
	f.generation, f.read, f.known, f.gone, f.absences = generation, 0, true, time.Time{}, 0
	f.last = job.Snapshot{} // the other's verdict is not this one's
	if f.say != nil {
		f.say("it repeats %s, which is followed instead", f.ref(f.target.Inbox))
	}
	return true
}

// stopped returns the error of a wait that ended before its attempt.
func (f *follower) stopped(ctx context.Context) error {
	if f.line.isLost() {
		return stopped(ctx, f.line.err.Error())
	}
	return stopped(ctx, f.standing())
}

// standing says how far the attempt has come.
func (f *follower) standing() string {
	switch {
	case f.last.State == "" && f.absences > 0:
		return "jobdrop has not looked at it yet"
	case f.last.State == "":
		return "its status was not read yet"
	case f.last.Reason == "":
		return "it is " + string(f.last.State)
	case strings.HasPrefix(f.last.Reason, string(f.last.State)):
		return f.last.Reason
	}
	return fmt.Sprintf("it is %s: %s", f.last.State, f.last.Reason)
}

// stopped returns the error of a wait whose context has ended. standing says what is known.
func stopped(ctx context.Context, standing string) error {
	cause := context.Cause(ctx)
	if _, ok := errors.AsType[timeError](cause); ok || errors.Is(cause, errLeft) {
		return exit(exitRunning, "%w: %s", cause, standing)
	}
	return exit(exitInterrupted, "interrupted; the attempt goes on: %s", standing)
}

// errLeft is the cause of the end of a wait for one of several attempts.
var errLeft = errors.New("not waited for any more, since another attempt did not succeed")

// login is the remedy for credentials that are refused.
const login = "gcloud auth application-default login gets credentials"

// line is the line to a service that is asked again and again. It may be lost for a while.
type line struct {
	now   func() time.Time
	say   func(format string, args ...any)
	pause time.Duration // the longest pause before the next call
	since time.Time     // when it was lost; zero if it is not
	err   error         // why
}

func (l *line) isLost() bool { return !l.since.IsZero() }

// lost notes that a call did not say anything. It returns an error once that is so for [lostFor], and that of ctx if it
// has ended.
func (l *line) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err() // nobody waits for an answer
	}
	if errors.Is(err, job.ErrCredentials) {
		return exit(exitMissing, "%w\n%s", err, login)
	}
	now := l.now()
	if !l.isLost() {
		l.since = now
		if l.say != nil {
			l.say("no answer, and tried again for %s: %v", lostFor, err)
		}
	}
	l.err = err
	if now.Sub(l.since) >= lostFor {
		return exit(exitRunning, "nothing is known for %s: %w", lostFor, err)
	}
	return nil
}

// back notes that a call was answered.
func (l *line) back() {
	if l.isLost() && l.say != nil {
		l.say("there are answers again")
	}
	l.since, l.err = time.Time{}, nil
}

// rest waits until it is time for the next call.
func (l *line) rest(ctx context.Context) error {
	l.pause = min(max(l.pause+l.pause/2, firstPause), longestPause)
	t := time.NewTimer(l.pause - rand.N(l.pause/4)) // #nosec G404 -- no secret; who begins together asks apart
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
