package submitter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// mostSeconds returns what a job may take at most, in seconds of one accelerator.
func mostSeconds(o job.Order) int64 {
	p, _ := plan.New(o)
	return p.MostAcceleratorSeconds()
}

// usedSeconds returns what the job of an attempt with a verdict took, by the backend's times. A job that never ran took
// nothing. How long one ran that the backend forgot is not known: it counts until it was found to be lost.
func usedSeconds(r attempt.Record) int64 {
	began, ended := r.Times.Started, r.Times.Ended
	if r.State == job.Lost {
		if ended = r.Times.Concluded; began.IsZero() {
			began = r.Times.Created
		}
	}
	if began.IsZero() || r.Spec == nil {
		return 0
	}
	if ended.IsZero() {
		ended = r.Times.Concluded
	}
	p, _ := plan.New(r.Order())
	return p.AcceleratorSeconds(ended.Sub(began))
}

// settle updates a turn whose attempt has left the index. It reports whether the turn has changed, and whether it
// still counts.
func (s *Submitter) settle(ctx context.Context, t attempt.Turn) (_ attempt.Turn, changed, kept bool, err error) {
	stored, err := s.records.Get(ctx, t.Attempt)
	missing := errors.Is(err, job.ErrNotFound)
	switch {
	case err != nil && !missing:
		return t, false, true, err
	case t.Month == "":
	case missing:
		// Somebody deleted the record. Nobody knows what the job took: what was reserved for it counts.
		t.Done, t.Settled = true, s.options.Now().UTC()
		return t, true, true, nil
	case !stored.State.Terminal():
		return t, false, true, nil // the index has lost it
	}
	if missing || stored.Times.Created.IsZero() {
		return t, true, false, nil
	}
	t.At, t.Done = stored.Times.Created, true
	if t.Month != "" {
		t.Seconds, t.Settled = usedSeconds(stored.Record), s.options.Now().UTC()
	}
	return t, true, true, nil
}

// measure computes what the jobs of waiting attempts may take that an earlier revision accepted, where a budget decides
// about them, and records it. What it does not come to, or can't compute, stays unknown.
func (s *Submitter) measure(ctx context.Context, waiting []attempt.Entry, p policy.Policy, until time.Time) error {
	if len(p.Budgets()) == 0 {
		return nil
	}
	var errs []error
	for i, e := range waiting {
		if e.Needs != attempt.UnknownNeeds || p.Start(job.Folder(e.JobFile)).Budget == nil {
			continue
		}
		if ctx.Err() != nil || !s.options.Now().Before(until) {
			break // the next tick goes on
		}
		needs, err := s.measureOne(ctx, e)
		errs = append(errs, err)
		waiting[i].Needs = needs
	}
	return errors.Join(errs...)
}

// measureOne computes what the job of a queued attempt may take, and writes it to the record and the index.
func (s *Submitter) measureOne(ctx context.Context, e attempt.Entry) (int64, error) {
	stored, err := s.records.Get(ctx, e.Attempt)
	if err != nil || stored.Spec == nil {
		return attempt.UnknownNeeds, err
	}
	needs := mostSeconds(stored.Order())
	stored.Published = e.Published
	if stored.AcceleratorSeconds == nil {
		_, err = s.apply(ctx, stored, e, attempt.Measured{AcceleratorSeconds: needs})
		return needs, err
	}
	e.Revision = 0 // the entry lacks what the record has
	return needs, s.teller.Tell(ctx, stored, e)
}

// refuse ends a queued attempt for which too few accelerator hours are left.
func (s *Submitter) refuse(ctx context.Context, e attempt.Entry, short shortage) (attempt.Stored, error) {
	stored, err := s.records.Get(ctx, e.Attempt)
	if err != nil {
		return stored, err
	}
	stored.Published = e.Published
	if err := s.otherBackend(stored); err != nil {
		return stored, err
	}
	return s.apply(ctx, stored, e, attempt.OverBudget{Reason: short.refusal(), Violation: job.Violation{
		Rule: rulePolicyBudgetSpent, Severity: job.Error, File: stored.Drop.JobFile.Base(),
		Field:   "trainingInput.scheduling.maxRunningTime",
		Message: "too few accelerator hours are left in the operator's budget",
		Found:   text.AcceleratorHours(short.needs) + " at most", Allowed: short.has(),
		Remedy: short.remedy(),
	}})
}

// budgets counts the accelerator seconds of a month: those that turns hold, and those that earlier turns used.
type budgets struct {
	month  string
	until  time.Time
	limits []policy.Limit
	held   tally
	spent  map[attempt.Spent]int64 // by budget and month; the keys have no seconds
	// size is an upper bound of the bytes that the sums take in the note.
	size int
}

func newBudgets(turns attempt.Turns, p policy.Policy, now time.Time) *budgets {
	b := &budgets{
		month: attempt.Month(now), until: attempt.MonthEnd(now), limits: p.Budgets(), held: tally{folders: map[string]int64{}},
		spent: map[attempt.Spent]int64{},
	}
	// Of a tick whose clock is behind, the month before may be the present one.
	before := attempt.Month(now.AddDate(0, 0, -now.UTC().Day()))
	for _, s := range turns.Spent {
		if s.Month >= before {
			b.spent[attempt.Spent{Folders: s.Folders, Month: s.Month}] += s.Seconds
		}
	}
	for s := range b.spent {
		b.size += s.Size()
	}
	for _, l := range b.limits {
		b.size += 2 * attempt.Spent{Folders: l.Folders}.Size()
	}
	return b
}

// hold counts a turn that is in the note.
func (b *budgets) hold(t attempt.Turn) {
	if t.Month == b.month {
		b.held.add(t.Folder, t.Seconds)
	}
}

// fold adds what a turn used that leaves the note to the sums of the budgets that cover its folder.
func (b *budgets) fold(t attempt.Turn) {
	if t.Month == "" || t.Seconds == 0 {
		return
	}
	for _, l := range b.limits {
		if l.Covers(t.Folder) {
			b.spent[attempt.Spent{Folders: l.Folders, Month: t.Month}] += t.Seconds
		}
	}
}

// sums returns what the note holds of turns that it no longer has.
func (b *budgets) sums() []attempt.Spent {
	var all []attempt.Spent
	for s, seconds := range maps.All(b.spent) {
		s.Seconds = seconds
		all = append(all, s)
	}
	slices.SortFunc(all, func(x, y attempt.Spent) int {
		return cmp.Or(cmp.Compare(x.Month, y.Month), cmp.Compare(x.Folders, y.Folders))
	})
	return all
}

// left returns the seconds of a budget that nobody holds or has used. It is below zero if jobs took more than they had
// reserved, or if the budget was lowered.
func (b *budgets) left(l policy.Budget) int64 {
	return l.Seconds() - b.held.of(l.Limit) - b.spent[attempt.Spent{Folders: l.Folders, Month: b.month}]
}

// short returns what an attempt lacks, if too little is left for it. A job without accelerators lacks nothing.
func (b *budgets) short(l *policy.Budget, needs int64) (_ shortage, ok bool) {
	if l == nil || needs == 0 {
		return shortage{}, false
	}
	left := b.left(*l)
	return shortage{needs, left, *l, b.until}, needs > left
}

// shortage says how many accelerator hours an attempt waits for.
type shortage struct {
	needs, left int64 // seconds
	budget      policy.Budget
	until       time.Time
}

// has returns what there is, as in "3.5 of 2000 left until 2026-12-01".
func (s shortage) has() string { return text.Hours(max(s.left, 0)) + s.rest() }

// rest returns what follows the number of hours that are left.
func (s shortage) rest() string {
	return fmt.Sprintf(" of %s left until %s", s.budget.Hours(), s.until.Format(time.DateOnly))
}

// wait returns what comes before that number.
func (s shortage) wait() string {
	return "waiting for " + text.AcceleratorHours(s.needs) + "; "
}

// String returns the reason of an attempt that waits.
func (s shortage) String() string {
	if s.needs > s.budget.Seconds() {
		return s.wait() + "the whole budget is " + s.budget.Hours() + ", and the job waits until the operator raises it"
	}
	return s.wait() + s.has()
}

// same reports whether a reason says the same, but for what is left.
func (s shortage) same(reason string) bool {
	return strings.HasPrefix(reason, s.wait()) && strings.HasSuffix(reason, s.rest())
}

// refusal returns the reason of an attempt that is refused.
func (s shortage) refusal() string {
	return fmt.Sprintf("the job may take %s, and the operator's policy refuses what is over its budget: %s",
		text.AcceleratorHours(s.needs), s.has())
}

// remedy says what to do about a refusal.
func (s shortage) remedy() string {
	again := "drop it again when other jobs gave hours back, or once the month is over"
	if s.left > 0 {
		return "write a shorter scheduling.maxRunningTime, ask for fewer accelerators, or " + again
	}
	return again + ", or ask the operator"
}

// Allowance is what is left of a budget of accelerator hours. Seconds are those of one accelerator; Until is when the
// month ends.
type Allowance struct {
	Budget  policy.Budget
	Seconds int64
	Until   time.Time
}

// Allowances returns what is left of each budget of the policy, by the turns as they are stored.
func Allowances(turns attempt.Turns, p policy.Policy, now time.Time) (all []Allowance) {
	b := storedBudgets(turns, p, now)
	for _, l := range b.limits {
		all = append(all, b.allowance(policy.Budget{Limit: l}))
	}
	return all
}

// storedBudgets counts all turns as they are stored.
func storedBudgets(turns attempt.Turns, p policy.Policy, now time.Time) *budgets {
	b := newBudgets(turns, p, now)
	for _, t := range turns.Given {
		b.hold(t)
	}
	return b
}

func (b *budgets) allowance(l policy.Budget) Allowance {
	return Allowance{l, max(b.left(l), 0), b.until}
}

// Left returns what is left of the budget that decides for a folder, by the turns as they are stored. It is nil if
// there is no budget for the folder.
func Left(turns attempt.Turns, p policy.Policy, folder string, now time.Time) *Allowance {
	l := p.Start(folder).Budget
	if l == nil {
		return nil
	}
	return new(storedBudgets(turns, p, now).allowance(*l))
}
