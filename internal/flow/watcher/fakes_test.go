package watcher_test

import (
	"cmp"
	"context"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/flow/watcher"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// common is what the fakes share: a clock, faults, and how long things take.
type common struct {
	mu     sync.Mutex
	now    time.Time
	broken map[string]error // by attempt, job ID or call
	// slow reports that such a look is a check of a drop, and no wait for something else.
	slow bool
	// takes is how long a look at an attempt, a job file or a page of jobs takes.
	takes    map[string]time.Duration
	pageSize int
}

// take waits, but not longer than ctx lasts. The caller holds mu.
func (f *common) take(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	f.mu.Unlock()
	defer f.mu.Lock()
	rest := time.NewTimer(d)
	defer rest.Stop()
	select {
	case <-rest.C:
		return nil
	case <-ctx.Done():
		if f.slow {
			return attempt.ErrSlow
		}
		return ctx.Err()
	}
}

func pages[T any](all []T, size int, page func([]T) error) error {
	for chunk := range slices.Chunk(all, size) {
		if err := page(chunk); err != nil {
			return err
		}
	}
	return nil
}

// fakeLedger holds records and the index in memory. Records change only by the real transitions.
type fakeLedger struct {
	*common
	entries   []attempt.Entry
	records   map[string]attempt.Stored
	owners    map[string]string // of job IDs
	epoch     time.Time
	cursors   attempt.Cursors
	beats     []watcher.Pulse
	strangers []string
	broughtUp []string // by Restore
	placed    []string // by Place
	queues    []attempt.Queue
	turns     attempt.Turns
	lists     []string // from where the index was listed, and when the turns were read
	onPage    func()
	onCursors func()
	// wanted holds the requests by their names, answers what came of them. requestLists and requestReads
	// count calls.
	wanted                     map[string]string
	answers                    map[string]attempt.Answer
	requestLists, requestReads int
	// onApply may change the record that an observation is about to be applied to.
	onApply func(o attempt.Observation)
}

func (f *fakeLedger) Get(_ context.Context, key string) (attempt.Stored, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.records[key]
	if err := f.broken[key]; err != nil {
		return s, err
	}
	if !ok {
		return s, job.ErrNotFound
	}
	return s, nil
}

func (f *fakeLedger) Has(_ context.Context, key string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.records[key]
	return ok, f.broken["has "+key]
}

func (f *fakeLedger) Restore(_ context.Context, e attempt.Entry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broughtUp = append(f.broughtUp, e.Attempt)
	f.entries = append(f.entries, e)
	return nil
}

func (f *fakeLedger) Entry(_ context.Context, key string) (attempt.Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.entries {
		if e.Attempt == key {
			return e, nil
		}
	}
	return attempt.Entry{}, job.ErrNotFound
}

func (f *fakeLedger) Filed(_ context.Context, after string, page func([]attempt.Filed) error) error {
	if err := f.broken["records"]; err != nil {
		return err
	}
	var all []attempt.Filed
	for _, key := range slices.Sorted(maps.Keys(f.records)) {
		if r := f.records[key]; key > after {
			all = append(all, attempt.Filed{Summary: r.Summary(), Revision: r.Revision, Written: r.Times.Seen})
		}
	}
	return pages(all, f.pageSize, page)
}

func (f *fakeLedger) QueueGeneration(context.Context) (int64, error) {
	return int64(len(f.queues)), f.broken["stat queue"]
}

func (f *fakeLedger) WriteQueue(_ context.Context, q attempt.Queue, generation int64) (int64, error) {
	if err := f.broken["write queue"]; err != nil {
		return generation, err
	}
	if generation != int64(len(f.queues)) {
		return int64(len(f.queues)), attempt.ErrStale
	}
	f.queues = append(f.queues, q)
	return int64(len(f.queues)), nil
}

func (f *fakeLedger) Place(_ context.Context, r attempt.Filed) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.broken["place "+r.Attempt]; err != nil {
		return 0, err
	}
	f.placed = append(f.placed, r.Attempt)
	return 1, nil
}

func (f *fakeLedger) Cursors(context.Context) (attempt.Cursors, error) {
	if f.onCursors != nil {
		f.onCursors()
	}
	return f.cursors, f.broken["cursors"]
}

func (f *fakeLedger) MoveCursors(ctx context.Context, c attempt.Cursors) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.cursors = c
	return f.broken["move cursors"]
}

func (f *fakeLedger) Epoch(context.Context) (time.Time, error) {
	if f.epoch.IsZero() {
		return f.epoch, job.ErrNotFound
	}
	return f.epoch, nil
}

func (f *fakeLedger) Begin(_ context.Context, at time.Time) error {
	f.epoch = at
	return nil
}

func (f *fakeLedger) Beat(ctx context.Context, heartbeat any) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.beats = append(f.beats, heartbeat.(watcher.Pulse))
	return f.broken["beat"]
}

func (f *fakeLedger) Stranger(_ context.Context, jobID, resource string) (bool, error) {
	return slices.Contains(f.strangers, strings.TrimSpace(jobID+" "+resource)), f.broken["stranger"]
}

func (f *fakeLedger) KeepStranger(_ context.Context, jobID, resource string, _ any) error {
	if err := f.broken["note stranger"]; err != nil {
		return err
	}
	f.strangers = append(f.strangers, strings.TrimSpace(jobID+" "+resource))
	return nil
}

func (f *fakeLedger) Apply(
	_ context.Context, s attempt.Stored, o attempt.Observation, now time.Time,
) (attempt.Stored, bool, error) {
	if f.onApply != nil {
		f.onApply(o)
		s.Record = f.records[s.Attempt].Record
	}
	r, changed, err := attempt.Step(s.Record.TrimOutbox(s.Published), o, now)
	s.Record = r
	f.mu.Lock()
	defer f.mu.Unlock()
	f.records[s.Attempt] = s
	return s, changed, err
}

func (f *fakeLedger) Entries(_ context.Context, after string, page func([]attempt.Entry) error) error {
	if err := f.broken["entries"]; err != nil {
		return err
	}
	f.lists = append(f.lists, after)
	f.mu.Lock()
	all := slices.DeleteFunc(slices.Clone(f.entries), func(e attempt.Entry) bool { return e.Attempt <= after })
	f.mu.Unlock()
	slices.SortStableFunc(all, func(a, b attempt.Entry) int { return strings.Compare(a.Attempt, b.Attempt) })
	return pages(all, f.pageSize, func(chunk []attempt.Entry) error {
		if f.onPage != nil {
			f.onPage()
		}
		return page(chunk)
	})
}

func (f *fakeLedger) Owner(_ context.Context, jobID string) (attempt.Owner, error) {
	key, ok := f.owners[jobID]
	if !ok {
		return attempt.Owner{}, job.ErrNotFound
	}
	return attempt.Owner{Attempt: key}, f.broken["owner of "+jobID]
}

// Named returns the attempt whose job's resource has the name at its end.
func (f *fakeLedger) Named(_ context.Context, name string) (attempt.Owner, error) {
	for key, r := range f.records {
		if path.Base(r.Job.ResourceName) == name {
			return attempt.Owner{Attempt: key}, nil
		}
	}
	return attempt.Owner{}, job.ErrNotFound
}

func (f *fakeLedger) Turns(context.Context) (attempt.Turns, error) {
	f.lists = append(f.lists, "turns")
	return f.turns, f.broken["turns"]
}

func (f *fakeLedger) Requests(_ context.Context, after string, page func([]attempt.Asked) error) error {
	f.requestLists++
	if err := f.broken["requests"]; err != nil {
		return err
	}
	var all []attempt.Asked
	for _, name := range slices.Sorted(maps.Keys(f.wanted)) {
		if name > after {
			all = append(all, attempt.Asked{Name: name, Generation: 77, Created: start})
		}
	}
	return pages(all, 1000, page)
}

func (f *fakeLedger) Asked(_ context.Context, name string) (attempt.Asked, error) {
	if _, ok := f.wanted[name]; !ok {
		return attempt.Asked{}, job.ErrNotFound
	}
	return attempt.Asked{Name: name, Generation: 77, Created: start}, nil
}

func (f *fakeLedger) ReadRequest(_ context.Context, a attempt.Asked) ([]byte, error) {
	f.requestReads++
	text, ok := f.wanted[a.Name]
	switch {
	case !ok:
		return nil, job.ErrNotFound
	case len(text) > attempt.MaxRequest:
		return nil, job.ErrTooLarge
	}
	return []byte(text), f.broken["request "+a.Name]
}

func (f *fakeLedger) Dismiss(_ context.Context, a attempt.Asked) (answered bool, err error) {
	if _, ok := f.answers[a.Name]; !ok {
		return false, nil
	}
	if err := f.broken["delete "+a.Name]; err != nil {
		return true, err
	}
	delete(f.wanted, a.Name)
	return true, nil
}

func (f *fakeLedger) AnswerRequest(ctx context.Context, a attempt.Asked, answer attempt.Answer) error {
	if err := cmp.Or(ctx.Err(), f.broken["answer "+a.Name]); err != nil {
		return err
	}
	f.answers[a.Name] = answer
	if err := f.broken["delete "+a.Name]; err != nil {
		return err
	}
	delete(f.wanted, a.Name)
	return nil
}

// fakeBackend holds the jobs that a list and a poll show, which may differ.
type fakeBackend struct {
	*common
	listed []attempt.BackendJob
	direct map[string]attempt.BackendJob // by resource name or job ID
	// listErr is the error of each page of the list from listErrAt on. A page has jobsPage jobs,
	// or all.
	listErr             error
	listErrAt, jobsPage int
	noID                bool // that the backend makes a job of each create
	cancelled           []string
	gets                []string
	onCancel            func(job.JobInfo)
	onGet               func()
	onAsk               func(what string)
}

// ListActive returns what is listed, as one page or in pages of jobsPage. The token is
// the number of the first job of a page.
func (f *fakeBackend) ListActive(ctx context.Context, _, from string, page func([]attempt.BackendJob, string) error) error {
	first := 0
	if from != "" {
		var err error
		if first, err = strconv.Atoi(from); err != nil {
			return &attempt.RefusedError{Code: "INVALID_ARGUMENT", Message: "no such token"}
		}
	}
	size := cmp.Or(f.jobsPage, max(len(f.listed), 1))
	for {
		f.asked("page")
		f.mu.Lock()
		err := f.take(ctx, f.takes["page"])
		f.mu.Unlock()
		if f.listErr != nil && first >= f.listErrAt {
			err = f.listErr
		}
		if err != nil {
			return err
		}
		last, next := min(first+size, len(f.listed)), ""
		if last < len(f.listed) {
			next = strconv.Itoa(last)
		}
		if err := page(f.listed[min(first, last):last], next); err != nil || next == "" {
			return err
		}
		first = last
	}
}

// asked records that the backend was asked.
func (f *fakeBackend) asked(what string) {
	if f.onAsk != nil {
		f.onAsk(what)
	}
}

func (f *fakeBackend) TakesID() bool { return !f.noID }

func (f *fakeBackend) Name() string { return "aiplatform" }

func (f *fakeBackend) Cancel(_ context.Context, j job.JobInfo) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.broken[j.ResourceName]; err != nil {
		return err
	}
	f.cancelled = append(f.cancelled, cmp.Or(j.ResourceName, j.ID))
	if f.onCancel != nil {
		f.onCancel(j)
	}
	return nil
}

func (f *fakeBackend) Get(_ context.Context, j job.JobInfo) (attempt.BackendJob, error) {
	id := j.ID
	f.asked("get")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gets = append(f.gets, id)
	if f.onGet != nil {
		f.onGet()
	}
	if err := f.broken[id]; err != nil {
		return attempt.BackendJob{}, err
	}
	l, ok := f.direct[j.ResourceName]
	if !ok {
		l, ok = f.direct[id]
	}
	if !ok {
		return l, job.ErrNotFound
	}
	return l, nil
}

// fakeInbox holds the objects of the inbox.
type fakeInbox struct {
	*common
	uploaded []job.Attributes
}

func (f *fakeInbox) ListAfter(_ context.Context, _, prefix, after string, page func([]job.Attributes) error) error {
	if err := f.broken["inbox"]; err != nil {
		return err
	}
	var all []job.Attributes
	for _, o := range f.uploaded {
		if o.Name > after && strings.HasPrefix(o.Name, prefix) {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b job.Attributes) int { return strings.Compare(a.Name, b.Name) })
	return pages(all, f.pageSize, page)
}

// fakeSubmitter records what it is told to do.
type fakeSubmitter struct {
	*common
	submitted []string
	resumed   []string
	admitted  []*attempt.Backlog
	queue     *attempt.Queue // that Admit returns
	reruns    []string
	onRerun   func(ctx context.Context, of attempt.Record, a attempt.Asked) error
	onSubmit  func()
	onResume  func()
}

func (f *fakeSubmitter) Submit(ctx context.Context, o job.Object) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.submitted = append(f.submitted, o.Name)
	if err := f.take(ctx, f.takes[o.Name]); err != nil {
		return err
	}
	if f.onSubmit != nil {
		f.onSubmit()
	}
	return f.broken["submit "+o.Name]
}

func (f *fakeSubmitter) Replay(ctx context.Context, o job.Object) error { return f.Submit(ctx, o) }

func (f *fakeSubmitter) Resume(ctx context.Context, e attempt.Entry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.take(ctx, f.takes[e.Attempt]); err != nil {
		return err
	}
	f.resumed = append(f.resumed, e.JobFile)
	if f.onResume != nil {
		f.onResume()
	}
	return f.broken[e.Attempt]
}

func (f *fakeSubmitter) Admit(_ context.Context, b *attempt.Backlog, _ time.Time) (*attempt.Queue, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.admitted = append(f.admitted, b)
	if f.queue != nil {
		return f.queue, nil
	}
	return nil, f.broken["queue"]
}

func (f *fakeSubmitter) Rerun(
	ctx context.Context, of attempt.Record, _ attempt.Request, a attempt.Asked,
) (attempt.Stored, error) {
	f.reruns = append(f.reruns, a.Name)
	if f.onRerun != nil {
		if err := f.onRerun(ctx, of, a); err != nil {
			return attempt.Stored{}, err
		}
	}
	return attempt.Stored{Record: attempt.Record{Attempt: "made"}}, nil
}

// fakeRelay records the types of the events that were published, by job ID.
type fakeRelay struct {
	*common
	told   map[string][]job.EventType
	onTell func(attempt.Stored)
}

func (f *fakeRelay) Tell(_ context.Context, s attempt.Stored, e attempt.Entry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.onTell != nil {
		f.onTell(s)
	}
	for _, event := range s.Record.TrimOutbox(e.Published).Outbox {
		f.told[s.Job.ID] = append(f.told[s.Job.ID], event.Type)
	}
	return nil
}

// fake is all that a watcher works with.
type fake struct {
	*common
	*fakeLedger
	*fakeBackend
	*fakeInbox
	*fakeSubmitter
	*fakeRelay
}

func newFake() *fake {
	c := &common{now: start, pageSize: 2, broken: map[string]error{}, takes: map[string]time.Duration{}}
	return &fake{
		common: c,
		fakeLedger: &fakeLedger{common: c, epoch: start.Add(-time.Hour), records: map[string]attempt.Stored{},
			owners: map[string]string{}, wanted: map[string]string{}, answers: map[string]attempt.Answer{}},
		fakeBackend:   &fakeBackend{common: c, direct: map[string]attempt.BackendJob{}},
		fakeInbox:     &fakeInbox{common: c},
		fakeSubmitter: &fakeSubmitter{common: c},
		fakeRelay:     &fakeRelay{common: c, told: map[string][]job.EventType{}},
	}
}

// new returns a watcher over the fakes.
func (f *fake) new(o watcher.Options) (*watcher.Watcher, error) {
	return watcher.New(f.fakeLedger, f.fakeBackend, f.fakeInbox, f.fakeRelay, f.fakeSubmitter, o)
}
