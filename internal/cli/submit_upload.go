package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	resumable "github.com/jobdrop/jobdrop/internal/upload"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// inboxStore is what a submission needs of Cloud Storage.
type inboxStore interface {
	lists
	Read(ctx context.Context, bucket, name string, generation, limit int64) ([]byte, int64, error)
	Stat(ctx context.Context, bucket, name string) (job.Attributes, error)
	Write(ctx context.Context, bucket, name string, data []byte, contentType string, metadata map[string]string,
		ifGeneration int64) (int64, error)
}

// sends stores a package where there is none of its name. taken reports that there is one.
type sends func(ctx context.Context, bucket, name string, p packed, content io.ReaderAt) (taken bool, err error)

// uploading brings a draft into the inbox, so that one job comes of it however often, by however many, and after
// whatever interruption it is done: names carry digests and are created only, and the job file is written over nothing
// but the generation that was read before.
type uploading struct {
	*draft
	bucket, status string
	console        string // the installation's, where it is known
	rerun          bool
	metadata       map[string]string
	store          inboxStore
	// record returns what is recorded of an attempt: job.ErrDenied to most droppers.
	record func(ctx context.Context, key string) (job.Snapshot, error)
	send   sends
	say    func(format string, args ...any)
}

// submitted is what became of a submission. Its JSON is what -o json prints.
type submitted struct {
	Kind       string `json:"kind"` // submitted
	Drop       string `json:"drop"`
	Folder     string `json:"folder"`
	Generation int64  `json:"generation,string"`
	Attempt    string `json:"attempt"`
	JobID      string `json:"jobId"`
	// Attached reports that the job file was there before.
	Attached bool `json:"attached"`
	// State is the attempt's as far as it is known, Reason its reason.
	State  job.State `json:"state,omitempty"`
	Reason string    `json:"reason,omitempty"`
	// Console is the attempt's page in the installation's console, if the settings name that.
	Console string `json:"console,omitempty"`
}

func (u uploading) run(ctx context.Context) (submitted, error) {
	created, err := u.alone(ctx)
	if err != nil {
		return submitted{}, err
	}
	live, generation, err := u.liveJobFile(ctx)
	if err != nil {
		return submitted{}, err
	}
	jobID := u.spec.JobID
	if generation != 0 {
		r, done, err := u.found(ctx, live, generation, created)
		if err != nil || done {
			return r, err
		}
		jobID = r.JobID
	}
	jobFile, err := u.jobFile(jobID)
	if err != nil {
		return submitted{}, fault(err)
	}
	for _, p := range u.packages {
		if err := u.put(ctx, p); err != nil {
			return submitted{}, err
		}
	}
	if _, err := u.alone(ctx); err != nil { // packages take their time
		return submitted{}, err
	}
	metadata := maps.Clone(u.metadata)
	if u.rerun && generation != 0 {
		if metadata == nil {
			metadata = map[string]string{}
		}
		metadata[job.MetadataRerun] = "true"
	}
	name := u.folder + jobFileName
	written, err := u.store.Write(ctx, u.bucket, name, jobFile, "application/yaml", metadata, generation)
	if errors.Is(err, attempt.ErrStale) {
		return u.lost(ctx, jobFile, jobID)
	}
	if err != nil {
		return submitted{}, err
	}
	return u.result(written, jobID, false, job.Snapshot{}), nil
}

// alone returns an error if the folder has a job file of another name, beside which jobdrop would reject this one, and
// else when its job file was written: zero if there is none.
func (u uploading) alone(ctx context.Context) (created time.Time, err error) {
	for _, name := range job.JobFileNames() {
		o, err := u.store.Stat(ctx, u.bucket, u.folder+name)
		switch {
		case errors.Is(err, job.ErrNotFound), errors.Is(err, job.ErrDenied): // as in liveJobFile
		case err != nil:
			return created, err
		case name != jobFileName:
			return created, exit(exitRejected, "gs://%s/%s%s is there, and a folder has one job file: nothing was dropped\n"+
				"Delete it, or take another folder with --drop", u.bucket, u.folder, name)
		default:
			created = o.Created
		}
	}
	return created, nil
}

// liveJobFile returns the job file that is there, and its generation: 0 if there is none.
func (u uploading) liveJobFile(ctx context.Context) ([]byte, int64, error) {
	data, generation, err := u.store.Read(ctx, u.bucket, u.folder+jobFileName, 0, jobspec.MaxSize)
	switch {
	case errors.Is(err, job.ErrNotFound), errors.Is(err, job.ErrDenied):
		// Who may not list is denied what is not there. If there is one, the write finds that out.
		return nil, 0, nil
	case errors.Is(err, job.ErrTooLarge):
		return nil, 0, exit(exitRejected, "%w: it is not one of jobdrop submit; take another folder with --drop", err)
	}
	return data, generation, err
}

// found decides about a job file that is there: the command ends with an attempt of the same drop, or goes on with the
// job ID that it returns, to write over an attempt that has ended.
func (u uploading) found(
	ctx context.Context, live []byte, generation int64, created time.Time,
) (r submitted, done bool, err error) {
	there := fmt.Sprintf("gs://%s/%s%s#%d", u.bucket, u.folder, jobFileName, generation)
	jobID, same := u.same(live)
	s, gone, err := u.standing(ctx, generation)
	if err != nil {
		return submitted{}, false, err
	}
	gone = gone || s.State == "" && isOld(created, u.now)
	r = u.result(generation, jobID, true, s)
	switch {
	case gone && !u.rerun:
		return r, false, exit(exitUnknown, "what became of %s is not known: it was dropped on %s, and its status is not there "+
			"any more\n--rerun runs the job again, whatever became of it", there, created.Format(time.DateOnly))
	case gone:
		if _, ok := runNumber(u.spec.JobID, jobID); ok { // it may have run
			return u.result(generation, nextID(u.spec.JobID, jobID), false, s), false, nil
		}
		return u.result(generation, u.spec.JobID, false, s), false, nil
	case same && !s.State.Terminal():
		u.say("attached to %s, which was dropped before", there)
		return r, true, nil
	case same && s.State == job.Succeeded && !u.rerun:
		u.say("%s has succeeded before; --rerun runs it again", there)
		return r, true, nil
	case same && !u.rerun:
		u.say("%s has ended before, and did not succeed; --rerun runs it again", there)
		return r, true, nil
	case same:
		switch {
		case accepted(s):
			jobID = nextID(u.spec.JobID, jobID)
		case taken(s):
			if jobID, err = u.freeID(ctx, jobID); err != nil {
				return submitted{}, false, err
			}
		}
		return u.result(generation, jobID, false, s), false, nil
	case !s.State.Terminal():
		return r, false, exit(exitRejected, "%s is of another drop, which %s: nothing was overwritten\n"+
			"Wait for its end, or take another JOB or another folder with --drop", there, undecided(s))
	case taken(s) && jobID == u.spec.JobID:
		return r, false, exit(exitRejected, "the job ID %s is taken: %s was rejected for it\nTake another JOB", jobID, there)
	case u.usedUp(cmp.Or(s.Job.ID, jobID), s):
		return r, false, exit(exitRejected, "the job ID %s is used up: %s, or a run before it, had other content\n"+
			"Take another JOB", u.spec.JobID, there)
	}
	return u.result(generation, u.spec.JobID, false, s), false, nil
}

// accepted reports whether an attempt has used up its job ID.
func accepted(s job.Snapshot) bool { return !s.Times.Accepted.IsZero() }

// idTaken is the rule of a drop whose job ID another job has.
const idTaken = "job-id-unique"

// taken reports whether an attempt was rejected since another job has its ID, so that it would be again.
func taken(s job.Snapshot) bool {
	return s.State == job.Rejected && slices.ContainsFunc(s.Violations, func(v job.Violation) bool {
		return v.Rule == idTaken
	})
}

// mostRuns bounds how many earlier runs in a folder are looked at for the number of the last.
const mostRuns = 20

// mostListed is how many objects a page of a list has.
const mostListed = 1000

// freeID returns the ID of the run after the last one in the folder, as far as the newest statuses there tell of it. It
// comes after that of a run whose ID is taken, so that a rerun of it is never rejected for the same ID.
func (u uploading) freeID(ctx context.Context, jobID string) (string, error) {
	prefix := u.folder + "status-"
	var names []string
	for after, more := prefix, true; more; {
		page, rest, err := u.store.ListPage(ctx, u.status, prefix, after, mostListed)
		if errors.Is(err, job.ErrDenied) {
			break
		}
		if err != nil {
			return "", err
		}
		for _, o := range page {
			names = append(names, o.Name)
			after = o.Name
		}
		names = names[max(0, len(names)-mostRuns):] // the newest: a generation is a time
		more = rest && len(page) > 0
	}
	last, _ := runNumber(u.spec.JobID, jobID)
	for _, name := range names {
		number, _ := strings.CutSuffix(strings.TrimPrefix(name, prefix), ".json")
		generation, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			continue
		}
		s, err := u.statusOf(ctx, generation)
		if err != nil && !errors.Is(err, job.ErrNotFound) { // deleted meanwhile
			return "", err
		}
		if n, _ := runNumber(u.spec.JobID, s.Job.ID); n > last {
			jobID, last = s.Job.ID, n
		}
	}
	return nextID(u.spec.JobID, jobID), nil
}

// usedUp reports whether the attempt of a job ID shows that the drop's own ID is used up: a rerun comes after a run.
func (u uploading) usedUp(jobID string, s job.Snapshot) bool {
	n, ok := runNumber(u.spec.JobID, jobID)
	return ok && (n > 1 || accepted(s))
}

// undecided says how far an attempt has come that has not ended.
func undecided(s job.Snapshot) string {
	if s.State == "" {
		return "jobdrop has not looked at yet"
	}
	return "is " + string(s.State)
}

// standing reads the status of an attempt: of one that repeats another, that one's. It is empty if there is none. gone
// reports that there was one: the attempt that it repeats is not known any more.
func (u uploading) standing(ctx context.Context, generation int64) (s job.Snapshot, gone bool, err error) {
	key := job.FolderKey(u.bucket, u.folder)
	for i := range maxRepeats {
		s, err = u.statusOf(ctx, generation)
		if errors.Is(err, job.ErrNotFound) {
			return job.Snapshot{}, i > 0, nil
		}
		if err != nil {
			return job.Snapshot{}, false, err
		}
		folder, earlier, err := splitAttempt(s.DuplicateOf)
		if err != nil || folder != key || earlier == generation {
			return s, false, nil
		}
		generation = earlier
	}
	return s, false, nil
}

// statusOf reads the status of an attempt, or what is recorded of it: statuses are deleted after a time. It returns
// [job.ErrNotFound] if neither is there, and [job.ErrDenied] if the caller lacks the right to read the status.
func (u uploading) statusOf(ctx context.Context, generation int64) (s job.Snapshot, err error) {
	name := statusName(u.folder, generation)
	data, _, err := u.store.Read(ctx, u.status, name, 0, maxStatus)
	if err == nil {
		if err := json.Unmarshal(data, &s); err != nil {
			return s, fault(fmt.Errorf("gs://%s/%s: %w", u.status, name, err))
		}
		return s, nil
	}
	if !errors.Is(err, job.ErrNotFound) && !errors.Is(err, job.ErrDenied) {
		return s, err
	}
	if u.record != nil {
		s, failed := u.record(ctx, attemptIn(u.bucket, u.folder, generation))
		if !errors.Is(failed, job.ErrNotFound) && !errors.Is(failed, job.ErrDenied) {
			return s, failed
		}
	}
	if err = absence(ctx, u.store, u.status, name, err); errors.Is(err, job.ErrDenied) {
		err = exit(exitMissing, "what became of the drop in gs://%s/%s can't be read, which needs the rights "+
			"storage.objects.get and list on gs://%s: %w", u.bucket, u.folder, u.status, err)
	}
	return s, err
}

// lost decides about a job file that came between the look and the write.
func (u uploading) lost(ctx context.Context, jobFile []byte, jobID string) (submitted, error) {
	live, generation, err := u.store.Read(ctx, u.bucket, u.folder+jobFileName, 0, jobspec.MaxSize)
	switch {
	case errors.Is(err, job.ErrTooLarge): // and so not this one
	case errors.Is(err, job.ErrNotFound):
		return submitted{}, exit(exitRunning, "the job file of gs://%s/%s was deleted meanwhile; the same command tries again",
			u.bucket, u.folder)
	case err != nil:
		return submitted{}, err
	}
	if string(live) != string(jobFile) {
		return submitted{}, exit(exitRejected, "somebody else was faster: gs://%s/%s%s#%d is of another drop, and was not "+
			"overwritten\nTake another JOB, or another folder with --drop", u.bucket, u.folder, jobFileName, generation)
	}
	// By somebody else, or by this process, whose answer was lost.
	u.say("attached to gs://%s/%s%s#%d: the same was dropped meanwhile", u.bucket, u.folder, jobFileName, generation)
	return u.result(generation, jobID, true, job.Snapshot{}), nil
}

// same reports whether a job file is that of this drop, maybe of a rerun, and returns its job ID.
func (u uploading) same(live []byte) (jobID string, same bool) {
	file, _ := jobspec.Parse(jobFileName, live)
	jobID = file.Spec.JobID
	if _, ok := runNumber(u.spec.JobID, jobID); !ok {
		return jobID, false
	}
	own, err := u.jobFile(jobID)
	return jobID, err == nil && string(own) == string(live)
}

// rerunID matches the end of a rerun's job ID.
var rerunID = regexp.MustCompile(`^_rerun([1-9][0-9]{0,5})$`)

// runNumber returns which of the runs of a job has an ID: the first has the job's own.
func runNumber(own, jobID string) (n int, ok bool) {
	rest, ok := strings.CutPrefix(jobID, own)
	if !ok || rest == "" {
		return 1, ok
	}
	m := rerunID.FindStringSubmatch(rest)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil && n > 1
}

// nextID returns the ID of the run after that with an ID: backends take an ID once.
func nextID(own, jobID string) string {
	n, _ := runNumber(own, jobID)
	return own + "_rerun" + strconv.Itoa(n+1)
}

// put brings a package to its place, unless it is there.
func (u uploading) put(ctx context.Context, p packed) error {
	name := u.folder + p.Name
	// A look first: what is refused at the end of an upload has been sent for nothing.
	there, err := u.store.Stat(ctx, u.bucket, name)
	if err == nil {
		return u.compare(p, there, "is there already")
	}
	if !errors.Is(err, job.ErrNotFound) && !errors.Is(err, job.ErrDenied) {
		return err
	}
	content, err := p.open()
	if err != nil {
		return fmt.Errorf("package: %w", err)
	}
	defer content.Close()
	taken, err := u.send(ctx, u.bucket, name, p, content)
	if err != nil {
		return err
	}
	stored, err := u.store.Stat(ctx, u.bucket, name)
	if err != nil {
		return err
	}
	if !taken && stored.CRC32C != p.CRC32C {
		return exit(exitRejected, "%s changed while it was uploaded: build it again, and submit again", p.Source)
	}
	return u.compare(p, stored, "is uploaded")
}

// compare returns an error if an object is not the package that its name says, and else says what became of it.
func (u uploading) compare(p packed, there job.Attributes, became string) error {
	if there.CRC32C != p.CRC32C {
		return exit(exitRejected, "gs://%s/%s%s is not what its name says: it has the checksum %s, and the package %s\n"+
			"Somebody overwrote it: delete it, or take another folder with --drop",
			u.bucket, u.folder, p.Name, there.CRC32C, p.CRC32C)
	}
	u.say("%s %s, %d bytes", p.Name, became, p.Size)
	return nil
}

func (u uploading) result(generation int64, jobID string, attached bool, s job.Snapshot) submitted {
	key := attemptIn(u.bucket, u.folder, generation)
	return submitted{
		Kind: "submitted", Drop: "gs://" + u.bucket + "/" + u.folder, Folder: u.folder, Generation: generation, JobID: jobID,
		Attempt: key, Attached: attached, State: s.State, Reason: s.Reason, Console: pageOf(u.console, key),
	}
}

// ref returns how a command line names the attempt.
func (r submitted) ref() string { return fmt.Sprintf("%s#%d", r.Drop, r.Generation) }

// write prints what became of a submission.
func (r submitted) write(env Env, format string) error {
	if format == formatJSON {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		_, err = env.Out.Write(append(escaped(line), '\n'))
		return err
	}
	text := fmt.Sprintf("%s  %s#%d", oneLine(r.JobID), oneLine(r.Drop), r.Generation)
	if r.State != "" {
		text += "  " + string(r.State)
	}
	if r.Reason != "" {
		text += ": " + oneLine(r.Reason)
	}
	_, err := fmt.Fprintln(env.Out, text)
	return err
}

// sender returns what stores packages, by uploads that another process can go on with.
func (t *target) sender(env Env, say func(format string, args ...any)) sends {
	return func(ctx context.Context, bucket, name string, p packed, content io.ReaderAt) (bool, error) {
		var line uploadLine
		if env.ErrTerminal {
			line.to = env.Err
		}
		o := resumable.Options{
			Progress: func(done, total int64) { line.show(p.Name, done, total) },
			Retry: func(err error, pause time.Duration) {
				line.clear()
				say("%s: tried again in %s: %v", p.Name, pause.Round(100*time.Millisecond), err)
			},
		}
		if cache, err := os.UserCacheDir(); err == nil { // a machine without one, a container, keeps nothing
			o.SessionDir = resumable.Dir(cache)
		}
		r, err := resumable.Upload(ctx, t.storage, bucket, name, content, p.Size, o)
		line.clear()
		if r.Unkept != nil {
			say("%s: after a kill its upload would begin anew, since its session can't be kept: %v", p.Name, r.Unkept)
		}
		if r.Resumed > 0 {
			say("%s: went on after %d of %d bytes, which were there", p.Name, r.Resumed, p.Size)
		}
		return r.Taken, err
	}
}

// uploadLine is the line of a terminal that shows how far an upload has come.
type uploadLine struct {
	to    io.Writer // nil without a terminal
	shown int64     // percent, and 1
}

func (l *uploadLine) show(name string, done, total int64) {
	percent := 100 * done / max(total, 1)
	if l.to == nil || l.shown == percent+1 {
		return
	}
	l.shown = percent + 1
	fmt.Fprintf(l.to, "\r\x1b[K%s: %d %% of %.1f MiB", name, percent, float64(total)/(1<<20))
}

// clear removes the line.
func (l *uploadLine) clear() {
	if l.shown != 0 {
		fmt.Fprint(l.to, "\r\x1b[K")
	}
	l.shown = 0
}
