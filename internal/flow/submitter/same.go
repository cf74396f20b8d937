package submitter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// sameness is what a drop is compared by with the earlier attempts of its folder.
type sameness struct {
	digest string
	// runs reports that the drop runs whatever ran before: it has a job ID of its own, or its
	// uploader said so.
	runs bool
	// withdraws reports that the policy withdraws what ran before even if that has ended.
	withdraws bool
}

// compared is what became of a drop's comparison with the attempts that a note names.
type compared struct {
	// duplicate, if set, withdraws the drop.
	duplicate attempt.Observation
	// over are the generations of attempts that the note need not name any more, open those of
	// attempts without a verdict that it must.
	over, open []int64
}

// compare looks for an accepted attempt of the folder with the drop's content, which it repeats. It
// withdraws those that may still be accepted: they are older, and only one of the two may run. The
// caller swaps the note that was compared, so nobody enters another in between.
func (s *Submitter) compare(ctx context.Context, note attempt.FolderNote, e entering) (compared, error) {
	var c compared
	ended := false // one is enough to show that the content ran
	for _, generation := range note.Same(e.jobFile, e.same.digest) {
		if e.same.runs {
			break
		}
		earlier, found, err := s.settled(ctx, e.fileOf(generation))
		if err != nil {
			return compared{}, err
		}
		twin := attempt.NoTwin
		if found {
			twin = earlier.Twin(e.same.digest, e.jobFile.Created)
		}
		if twin == attempt.RunningTwin && !e.same.withdraws {
			if twin, err = s.asBackendSays(ctx, earlier, e.jobFile.Created); err != nil {
				return compared{}, err
			}
		}
		switch {
		case twin == attempt.RunningTwin, twin == attempt.EndedTwin && e.same.withdraws:
			c.duplicate = attempt.Withdraw{
				Reason: e.repeats(earlier.Record, twin), DuplicateOf: earlier.Attempt, JobID: earlier.Job.ID,
			}
			return c, nil
		case twin == attempt.NoTwin && found && !earlier.State.Terminal():
			// It was accepted with other content than a slower worker entered for it, or an earlier
			// revision did not enter any. A later drop may repeat that.
		case twin == attempt.NoTwin, ended:
			c.over = append(c.over, generation)
		default:
			ended = true
		}
	}
	for _, generation := range note.Crowd(e.jobFile) {
		r, err := s.records.Get(ctx, job.AttemptKey(e.fileOf(generation)))
		switch {
		case errors.Is(err, job.ErrNotFound), err == nil && r.State.Terminal():
			c.over = append(c.over, generation)
		case err != nil:
			return compared{}, err
		case !slices.Contains(c.over, generation):
			c.open = append(c.open, generation)
		}
	}
	return c, nil
}

// fileOf returns the job file of another attempt of the folder, as far as attempts are named by it.
func (e entering) fileOf(generation int64) job.Object {
	return job.Object{Bucket: e.drop.Bucket, Name: e.jobFile.Name, Generation: generation}
}

// settled returns the record of an earlier attempt that is accepted or has a verdict. It withdraws
// an undecided one first. found is false if there is no such attempt, or no longer.
func (s *Submitter) settled(ctx context.Context, jobFile job.Object) (r attempt.Stored, found bool, err error) {
	key := job.AttemptKey(jobFile)
	r, err = s.records.Get(ctx, key)
	if err == nil && !r.State.Undecided() {
		return r, true, nil
	}
	if err == nil || errors.Is(err, job.ErrNotFound) {
		// It has no record yet if its worker died, or is slower. It has no entry in the index if it
		// ended, and its record was deleted.
		err = s.withdraw(ctx, key, true)
	}
	if err == nil {
		r, err = s.records.Get(ctx, key)
	}
	switch {
	case errors.Is(err, job.ErrNotFound):
		return attempt.Stored{}, false, nil
	case err != nil:
		return attempt.Stored{}, false, err
	case r.State.Undecided():
		// The index has lost it. The next tick puts it back.
		return attempt.Stored{}, false, fmt.Errorf("attempt %s can't be withdrawn yet: %w", key, attempt.ErrStale)
	}
	return r, true, nil
}

// asBackendSays asks for the job of an attempt that had not ended as far as its record says: the
// job may have ended since the last tick, and before the drop's job file was uploaded.
func (s *Submitter) asBackendSays(
	ctx context.Context, earlier attempt.Stored, uploaded time.Time,
) (attempt.Twin, error) {
	if earlier.State != job.Submitted || earlier.Backend != s.backend.Name() {
		return attempt.RunningTwin, nil
	}
	found, err := s.backend.Find(ctx, earlier.Order())
	if err != nil {
		return attempt.NoTwin, fmt.Errorf("the job of attempt %s, which the drop may repeat: %w", earlier.Attempt, err)
	}
	if made, ok := own(found, earlier.Spec.Labels); ok && !made.Ended.IsZero() && !made.Ended.After(uploaded) {
		return attempt.EndedTwin, nil
	}
	return attempt.RunningTwin, nil
}

// repeats says which attempt the drop repeats, and how to run it all the same.
func (e entering) repeats(earlier attempt.Record, twin attempt.Twin) string {
	why, again := "a job of the same content had not ended in this folder when this job file was uploaded",
		"after its end, or at once"
	if twin == attempt.EndedTwin {
		why, again = "the same content ran before in this folder, and the policy says sameContent: withdraw", "again"
	}
	uri := "'" + strings.ReplaceAll(e.jobFile.URI(), "'", `'\''`) + "'"
	return job.BoundText(fmt.Sprintf("%s: attempt %s, now %s; to run it again, upload the job file %s with the metadata %s: "+
		"gcloud storage cp %s %s --custom-metadata=%s=yes",
		why, earlier.Attempt, earlier.Shown(), again, job.MetadataRerun, e.jobFile.Base(), uri, job.MetadataRerun), job.MaxText)
}
