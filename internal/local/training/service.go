package training

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/jobdrop/jobdrop/internal/local/lock"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/logs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/process"
)

const (
	defaultMaxJobs = 2
	// defaultGrace is long enough to write a checkpoint and short enough to
	// wait for at a prompt.
	defaultGrace = 5 * time.Second
)

// Options are a service's settings. Storage, Dir and Python are required.
type Options struct {
	// Storage is the base URL of Cloud Storage's JSON API, e.g.
	// http://127.0.0.1:4443. Trainers get it as STORAGE_EMULATOR_HOST.
	Storage string
	// Dir is where the jobs' records, environments and logs live. One service
	// at a time uses it.
	Dir string
	// Python runs the jobs; see [FindPython].
	Python Python
	// MaxJobs bounds the jobs that are under way at once, 2 by default; others
	// stay QUEUED.
	MaxJobs int
	// MaxReplicas bounds the replicas that run at once, over all jobs; 0 is
	// [DefaultMaxReplicas]. A job of more is refused.
	MaxReplicas int
	// ContainerRunner runs the replicas that name an image: docker or podman,
	// or the path of one. Without it such jobs are refused.
	ContainerRunner string
	// Grace is how long a job's processes have between SIGTERM and SIGKILL, 5
	// seconds by default.
	Grace time.Duration
	// Preemption takes machines away from jobs, none by default.
	Preemption Preemption
	// Env is extra environment for trainers, as NAME=value.
	Env []string
	// Logs is called with each line of a job's log as it comes: one call at a
	// time for one job, but several jobs may call at once. A slow one slows
	// the trainer down.
	Logs func(Line)
	// Changed is called after each change of a job's state, and must return at
	// once. A job of aiplatform/v1 goes by its resource name,
	// projects/P/locations/L/customJobs/ID, and has a state of that API's.
	Changed func(job, state string)
	// Logger is the service's own log; nothing is logged without it.
	Logger *slog.Logger
}

// Service is a local training service. Its methods may be called from several
// goroutines.
type Service struct {
	opts    Options
	bucket  *bucketClient
	apis    []jobs.API // a job is of the first that takes it
	logs    *logs.Reader
	protos  []*protoregistry.Files // of what is served by gRPC, too
	store   store
	unlock  func() error
	ports   ports
	host    process.Host
	environ []string
	log     *slog.Logger
	now     func() time.Time
	tools   buildTools

	ctx  context.Context // every job's context derives from it; Close ends it
	stop context.CancelCauseFunc
	wg   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	jobs   map[string]*entry
	order  []*entry // by creation
	active int      // jobs between leaving the queue and their end
	// replicas are those of the active jobs.
	replicas int
}

// entry is a job in memory. Its record is guarded by the service's mu.
type entry struct {
	jobs.Record
	jobs.Dialect
	ctx      context.Context
	stop     context.CancelCauseFunc
	admitted chan struct{} // closed when the job has left the queue
	decided  bool          // the job's end is certain and being recorded
	reason   error         // why it is being cancelled; the first reason stays
	runTimer *time.Timer
	// waitTimer ends the wait for the first RUNNING.
	waitTimer *time.Timer
	// lose takes the job's machines away; nil while it has none that can be taken.
	lose func()
	log  *logs.Log
	// skipped says what of the job's packages this machine left undone, a sentence each.
	// The job's own goroutine has it.
	skipped []string
}

// ErrInUse says that another service uses Options.Dir.
var ErrInUse = errors.New("another local training service uses the folder")

var (
	errByRequest = message("The job was cancelled by a request.")
)

// message is an error whose text is the job's errorMessage as it stands.
type message string

func (m message) Error() string { return string(m) }

func messagef(format string, args ...any) error { return message(fmt.Sprintf(format, args...)) }

// New starts a service on opts.Dir: jobs that are recorded there as queued are
// queued again, those that were under way are ended as FAILED. ctx bounds the
// start only. Where another service uses the folder the error is [ErrInUse]. The
// caller closes the service.
func New(ctx context.Context, opts Options) (*Service, error) {
	return newService(ctx, opts, os.Environ())
}

// newService takes the environment that a trainer's is selected from.
func newService(ctx context.Context, opts Options, environ []string) (_ *Service, err error) {
	switch {
	case opts.Storage == "":
		return nil, errors.New("training: Options.Storage is empty")
	case opts.Dir == "":
		return nil, errors.New("training: Options.Dir is empty")
	case opts.Python.Path == "":
		return nil, errors.New("training: Options.Python is empty; see FindPython")
	case opts.Preemption.Times < 0 || opts.Preemption.After < 0 || opts.Preemption.Wait < 0:
		return nil, errors.New("training: a field of Options.Preemption is negative")
	case opts.MaxJobs < 0 || opts.MaxReplicas < 0 || opts.Grace < 0:
		return nil, errors.New("training: Options.MaxJobs, Options.MaxReplicas or Options.Grace is negative")
	}
	if u, err := url.Parse(opts.Storage); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("training: Options.Storage: %q is no URL of an HTTP server", opts.Storage)
	}
	if opts.ContainerRunner != "" {
		if opts.ContainerRunner, err = process.FindRunner(opts.ContainerRunner); err != nil {
			return nil, fmt.Errorf("training: Options.ContainerRunner: %w", err)
		}
	}
	opts.MaxJobs = cmp.Or(opts.MaxJobs, defaultMaxJobs)
	if opts.MaxReplicas == 0 {
		opts.MaxReplicas = DefaultMaxReplicas()
	}
	opts.Grace = cmp.Or(opts.Grace, defaultGrace)
	opts.Preemption.Wait = cmp.Or(opts.Preemption.Wait, defaultWait)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Dir, err = filepath.Abs(opts.Dir); err != nil {
		return nil, fmt.Errorf("training: Options.Dir: %w", err)
	}
	if err := supported(); err != nil {
		return nil, fmt.Errorf("training: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(opts.Dir, "jobs"), 0o755); err != nil {
		return nil, fmt.Errorf("training: %w", err)
	}
	// A second service would take the first one's processes for orphans.
	unlock, err := lock.Dir(opts.Dir, ErrInUse)
	if err != nil {
		return nil, fmt.Errorf("training: %w", err)
	}
	s := &Service{
		opts:    opts,
		bucket:  newBucketClient(opts.Storage),
		store:   store{dir: filepath.Join(opts.Dir, "jobs")},
		unlock:  unlock,
		environ: environ,
		host:    process.Host{Grace: opts.Grace, Env: environ, Log: opts.Logger},
		log:     opts.Logger,
		now:     func() time.Time { return time.Now().UTC() },
		tools:   buildTools{turn: make(chan struct{}, 1)},
		jobs:    map[string]*entry{},
	}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	err = s.openAPIs()
	if err == nil {
		err = s.takeUp(ctx)
	}
	if err != nil {
		s.stop(jobs.ErrClosed)
		return nil, errors.Join(fmt.Errorf("training: %w", err), unlock())
	}
	return s, nil
}

// takeUp loads the recorded jobs and starts those that still wait.
func (s *Service) takeUp(ctx context.Context) error {
	records, err := s.store.load(s.log)
	if err != nil {
		return err
	}
	if err := s.store.removeFar(); err != nil {
		return err
	}
	slices.SortStableFunc(records, func(a, b jobs.Record) int { return a.Job.CreateTime.Compare(b.Job.CreateTime) })
	for _, r := range records {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := s.open(r)
		if err != nil {
			s.log.Error("a job's record can't be read", "file", s.store.places(r.Job.JobID).record, "error", err)
			continue
		}
		s.add(e)
		switch vs := e.Check(queue{s}.Limits()); {
		case r.Job.State.UnderWay():
			places := s.store.places(r.Job.JobID)
			var groups []process.Group
			for _, p := range r.Processes {
				groups = append(groups, p.Group)
			}
			s.host.RemoveOrphans(groups, places.home)
			places.clean()
			e.Trials = endTrials(e.Trials, r.Job.State, s.now())
			if r.Job.State == jobs.Cancelling {
				// Its end was decided, and why is on record.
				err = s.endUnrun(e, jobs.Cancelled, r.Job.ErrorMessage)
				break
			}
			err = s.endUnrun(e, jobs.Failed, fmt.Sprintf("The local training service was restarted while the job was %s; the "+
				"job's processes were ended.", r.Job.State))
		case r.Job.State == jobs.Queued && len(vs) > 0:
			// The service has other limits now; the job would wait for ever
			// and keep those behind it waiting.
			err = s.endUnrun(e, jobs.Failed, "The local training service was restarted with other options while the job was "+
				"QUEUED. "+vs[0].Description)
		}
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.order {
		if e.Job.State == jobs.Queued {
			s.wg.Go(func() { s.run(e) })
		}
	}
	s.dispatch()
	return nil
}

// endUnrun ends a job that nobody runs. Nobody else knows s yet.
func (s *Service) endUnrun(e *entry, in jobs.State, message string) error {
	e.log.Write(taskService, stderr, message)
	e.log.End()
	e.Processes = nil
	e.Job.State, e.Job.ErrorMessage, e.Job.EndTime = in, message, s.now()
	e.Fail(jobs.ErrClosed)
	e.Touch(s.now())
	e.Revision++
	e.decided = true
	e.stop(nil)
	return s.store.save(e.Record)
}

// queue is the service as the APIs use it.
type queue struct{ *Service }

// Limits returns what the service's options let a job have.
func (s queue) Limits() jobs.Limits {
	return jobs.Limits{Replicas: s.opts.MaxReplicas, Containers: s.opts.ContainerRunner != ""}
}

// open returns a job in memory, in the words of its API.
func (s *Service) open(r jobs.Record) (*entry, error) {
	e := &entry{Record: r, admitted: make(chan struct{})}
	for _, a := range s.apis {
		d, err := a.Open(&e.Record)
		if err != nil {
			return nil, err
		}
		if d != nil {
			e.Dialect = d
			return e, nil
		}
	}
	return nil, errors.New("the job came through no known API")
}

// add makes a job known. The caller holds mu, or nobody else knows s yet.
func (s *Service) add(e *entry) {
	e.ctx, e.stop = context.WithCancelCause(s.ctx)
	dir := s.store.places(e.Job.JobID).logs
	e.log = logs.New(e.Job.JobID, dir, logs.Options{Sink: s.opts.Logs, Now: s.now, Logger: s.log})
	if e.Job.State.Ended() {
		e.stop(nil)
	}
	s.jobs[e.Job.JobID] = e
	s.order = append(s.order, e)
}

// Close ends every job's processes and waits for them: jobs that are under way
// end as FAILED, queued ones stay queued for the next service on the folder.
func (s *Service) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	s.stop(jobs.ErrClosed)
	s.wg.Wait()
	if !first {
		return nil
	}
	s.bucket.http.CloseIdleConnections()
	return s.unlock()
}

// Create records a checked job and queues it.
func (s queue) Create(r jobs.Record) (jobs.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return jobs.Snapshot{}, jobs.ErrClosed
	}
	if s.jobs[r.Job.JobID] != nil {
		return jobs.Snapshot{}, jobs.ErrJobExists
	}
	r.Revision, r.Job.State, r.Job.CreateTime = 1, jobs.Queued, s.now()
	e, err := s.open(r)
	if err != nil {
		return jobs.Snapshot{}, err
	}
	e.Touch(r.Job.CreateTime)
	if err := s.store.create(e.Record); err != nil {
		return jobs.Snapshot{}, err
	}
	s.add(e)
	s.wg.Go(func() { s.run(e) })
	answer := s.snapshot(e)
	s.dispatch()
	return answer, nil
}

// loggedJobs lists the jobs for whoever reads their logs.
func (s *Service) loggedJobs() []logs.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	var logged []logs.Job
	for _, e := range s.order {
		logged = append(logged, logs.Job{Project: e.Project, ID: e.Job.JobID, Dir: s.store.places(e.Job.JobID).logs})
	}
	return logged
}

// Get returns one job of a collection, or errJobUnknown.
func (s queue) Get(collection, id string) (jobs.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(collection, id)
	if err != nil {
		return jobs.Snapshot{}, err
	}
	return s.snapshot(e), nil
}

// List returns up to q.limit jobs, newest first, and whether there are more.
func (s queue) List(q jobs.PageQuery) (page []jobs.Snapshot, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	skip := q.After != ""
	if skip {
		if _, err := s.find(q.Collection, q.After); err != nil {
			return nil, false, err
		}
	}
	for _, e := range slices.Backward(s.order) {
		if skip {
			skip = e.Job.JobID != q.After
			continue
		}
		if e.Collection() != q.Collection || !q.Match(&e.Record) {
			continue
		}
		if len(page) == q.Limit {
			return page, true, nil
		}
		page = append(page, s.snapshot(e))
	}
	return page, false, nil
}

// Relabel replaces a job's labels, if etag is empty or the job's own.
func (s queue) Relabel(collection, id string, labels map[string]string, etag string) (jobs.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(collection, id)
	if err != nil {
		return jobs.Snapshot{}, err
	}
	if etag != "" && strings.TrimRight(etag, "=") != strings.TrimRight(e.Etag(), "=") {
		return jobs.Snapshot{}, jobs.ErrEtag
	}
	changed := e.Record
	changed.Job.Labels = labels
	changed.Revision++
	if err := s.store.save(changed); err != nil {
		return jobs.Snapshot{}, err
	}
	// The runner reads the rest of the record without mu.
	e.Job.Labels, e.Revision = changed.Job.Labels, changed.Revision
	return s.snapshot(e), nil
}

// CancelByRequest starts a job's cancellation; errJobEnded says that there is
// nothing left to cancel. A second request changes nothing.
func (s queue) CancelByRequest(collection, id string) error {
	s.mu.Lock()
	e, err := s.find(collection, id)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.cancel(e, errByRequest)
}

// cancel stops a job for a reason, if it is in one of the states (any, where
// none is named).
func (s *Service) cancel(e *entry, reason error, from ...jobs.State) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.decided || e.Job.State.Ended():
		return jobs.ErrJobEnded
	case e.Job.State == jobs.Cancelling, len(from) > 0 && !slices.Contains(from, e.Job.State):
		return nil
	}
	e.reason = reason
	e.Job.State = jobs.Cancelling
	// The reason is recorded with the state, as the API says of errorMessage.
	e.Job.ErrorMessage = reason.Error()
	s.saveLocked(e)
	e.stop(reason)
	return nil
}

// find returns a job of a collection, or errJobUnknown. The caller holds mu.
func (s *Service) find(collection, id string) (*entry, error) {
	if e := s.jobs[id]; e != nil && e.Collection() == collection {
		return e, nil
	}
	return nil, jobs.ErrJobUnknown
}

// snapshot returns a job as it is now. The caller holds mu.
func (s *Service) snapshot(e *entry) jobs.Snapshot {
	now := jobs.Snapshot{Record: e.Record} // what it refers to is replaced with a change, never changed
	if e.Job.State == jobs.Queued {
		for _, other := range s.order {
			if other.Job.State == jobs.Queued {
				now.Position++
			}
			if other == e {
				break
			}
		}
	}
	return now
}

// dispatch lets jobs out of the queue, oldest first, while there is room: a job
// that has none yet is not overtaken by a smaller one. The caller holds mu.
func (s *Service) dispatch() {
	if s.closed {
		return
	}
	for _, e := range s.order {
		if e.Job.State != jobs.Queued || e.decided {
			continue
		}
		n := jobs.Needs(e.Job.TrainingInput)
		if s.active >= s.opts.MaxJobs || s.replicas+n > s.opts.MaxReplicas {
			return
		}
		s.active++
		s.replicas += n
		e.Job.State = jobs.Preparing
		s.saveLocked(e)
		close(e.admitted)
	}
}

// saveLocked records a change that has already happened to the job: a disk that
// refuses it can't undo that, so it is logged and the service goes on.
func (s *Service) saveLocked(e *entry) {
	e.Revision++
	e.Touch(s.now())
	if err := s.store.save(e.Record); err != nil {
		s.log.Error("a job's record was not written", "job_id", e.Job.JobID, "error", err)
	}
	if s.opts.Changed != nil {
		s.opts.Changed(e.Shown())
	}
	s.log.Info("job changed", "job_id", e.Job.JobID, "state", string(e.Job.State))
}
