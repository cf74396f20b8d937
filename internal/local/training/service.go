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

	"github.com/jobdrop/jobdrop/internal/local/lock"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	defaultMaxJobs = 2
	// defaultGrace is long enough to write a checkpoint and short enough to
	// wait for at a prompt.
	defaultGrace = 5 * time.Second
	// defaultMaxRunningTime is the API's own default, 604800s.
	defaultMaxRunningTime = 7 * 24 * time.Hour
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
	opts      Options
	bucket    *bucketClient
	discovery *document // ml/v1's
	vertex    *document // aiplatform/v1's
	store     store
	unlock    func() error
	ports     ports
	environ   []string
	log       *slog.Logger
	now       func() time.Time

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
	record
	ctx      context.Context
	stop     context.CancelCauseFunc
	admitted chan struct{} // closed when the job has left the queue
	decided  bool          // the job's end is certain and being recorded
	reason   error         // why it is being cancelled; the first reason stays
	runTimer *time.Timer
	log      *jobLog
	body     vertexBody // of the record's Vertex
}

// ErrInUse says that another service uses Options.Dir.
var ErrInUse = errors.New("another local training service uses the folder")

var (
	errClosed     = errors.New("the local training service was stopped")
	errByRequest  = message("The job was cancelled by a request.")
	errJobUnknown = errors.New("no such job")
	errJobEnded   = errors.New("the job has already ended")
	errJobExists  = errors.New("a job with this id already exists")
	errEtag       = errors.New("the job was changed in between")
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
	case opts.MaxJobs < 0 || opts.MaxReplicas < 0 || opts.Grace < 0:
		return nil, errors.New("training: Options.MaxJobs, Options.MaxReplicas or Options.Grace is negative")
	}
	if u, err := url.Parse(opts.Storage); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("training: Options.Storage: %q is no URL of an HTTP server", opts.Storage)
	}
	if opts.ContainerRunner != "" {
		if opts.ContainerRunner, err = findRunner(opts.ContainerRunner); err != nil {
			return nil, fmt.Errorf("training: %w", err)
		}
	}
	opts.MaxJobs = cmp.Or(opts.MaxJobs, defaultMaxJobs)
	if opts.MaxReplicas == 0 {
		opts.MaxReplicas = DefaultMaxReplicas()
	}
	opts.Grace = cmp.Or(opts.Grace, defaultGrace)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Dir, err = filepath.Abs(opts.Dir); err != nil {
		return nil, fmt.Errorf("training: Options.Dir: %w", err)
	}
	doc, err := parseDocument(discoveryJSON)
	if err != nil {
		return nil, fmt.Errorf("training: discovery document: %w", err)
	}
	vertex, err := parseDocument(vertexJSON)
	if err != nil {
		return nil, fmt.Errorf("training: discovery document of aiplatform: %w", err)
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
		opts:      opts,
		bucket:    newBucketClient(opts.Storage),
		discovery: doc,
		vertex:    vertex,
		store:     store{dir: filepath.Join(opts.Dir, "jobs")},
		unlock:    unlock,
		environ:   environ,
		log:       opts.Logger,
		now:       func() time.Time { return time.Now().UTC() },
		jobs:      map[string]*entry{},
	}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	if err := s.recover(ctx); err != nil {
		s.stop(errClosed)
		return nil, errors.Join(fmt.Errorf("training: %w", err), unlock())
	}
	return s, nil
}

// recover loads the recorded jobs and starts those that still wait.
func (s *Service) recover(ctx context.Context) error {
	records, err := s.store.load(s.log)
	if err != nil {
		return err
	}
	if err := s.store.removeFar(); err != nil {
		return err
	}
	slices.SortStableFunc(records, func(a, b record) int { return a.Job.CreateTime.Compare(b.Job.CreateTime) })
	for _, r := range records {
		if err := ctx.Err(); err != nil {
			return err
		}
		e := s.add(r)
		switch vs := s.limits().checkRecord(&r); {
		case r.Job.State.underWay():
			places := s.store.places(r.Job.JobID)
			killOrphans(r.Processes, places.home)
			s.removeContainers(r.Processes)
			places.clean()
			e.Trials = endTrials(e.Trials, r.Job.State, s.now())
			if r.Job.State == cancelling {
				// Its end was decided, and why is on record.
				err = s.close(e, cancelled, r.Job.ErrorMessage)
				break
			}
			err = s.close(e, failed, fmt.Sprintf("The local training service was restarted while the job was %s; the job's processes were ended.", r.Job.State))
		case r.Job.State == queued && len(vs) > 0:
			// The service has other limits now; the job would wait for ever
			// and keep those behind it waiting.
			err = s.close(e, failed, "The local training service was restarted with other options while the job was QUEUED. "+vs[0].Description)
		}
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.order {
		if e.Job.State == queued {
			s.wg.Go(func() { s.run(e) })
		}
	}
	s.dispatch()
	return nil
}

// close ends a job that nobody runs. Nobody else knows s yet.
func (s *Service) close(e *entry, in state, message string) error {
	e.log.write(taskService, stderr, message)
	e.log.close()
	e.Processes = nil
	e.Job.State, e.Job.ErrorMessage, e.Job.EndTime = in, message, s.now()
	e.setCode(errClosed)
	e.touch(s.now())
	e.Revision++
	e.decided = true
	e.stop(nil)
	return s.store.save(e.record)
}

func (s *Service) limits() limits {
	return limits{replicas: s.opts.MaxReplicas, containers: s.opts.ContainerRunner != ""}
}

// add makes a record known. The caller holds mu, or nobody else knows s yet.
func (s *Service) add(r record) *entry {
	e := &entry{record: r, admitted: make(chan struct{})}
	if r.Vertex != nil {
		e.body, _ = r.Vertex.parse() // it was read before, at its creation or its load
	}
	e.ctx, e.stop = context.WithCancelCause(s.ctx)
	e.log = &jobLog{jobID: r.Job.JobID, dir: s.store.places(r.Job.JobID).logs, max: maxLogBytes, sink: s.opts.Logs, now: s.now, log: s.log}
	if r.Job.State.ended() {
		e.stop(nil)
	}
	s.jobs[r.Job.JobID] = e
	s.order = append(s.order, e)
	return e
}

// Close ends every job's processes and waits for them: jobs that are under way
// end as FAILED, queued ones stay queued for the next service on the folder.
func (s *Service) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	s.stop(errClosed)
	s.wg.Wait()
	if !first {
		return nil
	}
	s.bucket.http.CloseIdleConnections()
	return s.unlock()
}

// create records a checked job and queues it.
func (s *Service) create(project string, spec job.Spec) (resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.enqueue(record{Project: project, Job: resource{Spec: spec}})
	if err != nil {
		return resource{}, err
	}
	answer := s.view(e)
	s.dispatch()
	return answer, nil
}

// enqueue records a new job as queued. The caller holds mu, and dispatches.
func (s *Service) enqueue(r record) (*entry, error) {
	if s.closed {
		return nil, errClosed
	}
	if s.jobs[r.Job.JobID] != nil {
		return nil, errJobExists
	}
	r.Revision, r.Job.State, r.Job.CreateTime = 1, queued, s.now()
	if r.Vertex != nil {
		r.Vertex.UpdateTime = r.Job.CreateTime
	}
	if err := s.store.create(r); err != nil {
		return nil, err
	}
	e := s.add(r)
	s.wg.Go(func() { s.run(e) })
	return e, nil
}

// get gives one job, or errJobUnknown.
func (s *Service) get(project, id string) (resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(project, id)
	if err != nil {
		return resource{}, err
	}
	return s.view(e), nil
}

// list gives up to limit jobs that match, newest first, from the one after the
// job named after, and whether there are more.
func (s *Service) list(project, after string, limit int, match predicate[*resource]) (page []resource, more bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if after != "" {
		if _, err := s.find(project, after); err != nil {
			return nil, false, err
		}
	}
	found, more := s.page(after, limit, func(e *entry) bool { return e.Vertex == nil && e.Project == project && match(&e.Job) })
	for _, e := range found {
		page = append(page, s.view(e))
	}
	return page, more, nil
}

// page gives up to limit of the jobs that match, newest first, from the one after
// the job named after, and whether there are more. The caller holds mu.
func (s *Service) page(after string, limit int, match func(*entry) bool) (page []*entry, more bool) {
	skip := after != ""
	for _, e := range slices.Backward(s.order) {
		if skip {
			skip = e.Job.JobID != after
			continue
		}
		if !match(e) {
			continue
		}
		if len(page) == limit {
			return page, true
		}
		page = append(page, e)
	}
	return page, false
}

// relabel replaces a job's labels, if etag is empty or the job's own.
func (s *Service) relabel(project, id string, labels map[string]string, etag string) (resource, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(project, id)
	if err != nil {
		return resource{}, err
	}
	if etag != "" && strings.TrimRight(etag, "=") != strings.TrimRight(e.etag(), "=") {
		return resource{}, errEtag
	}
	changed := e.record
	changed.Job.Labels = labels
	changed.Revision++
	if err := s.store.save(changed); err != nil {
		return resource{}, err
	}
	// The runner reads the rest of the record without mu.
	e.Job.Labels, e.Revision = changed.Job.Labels, changed.Revision
	return s.view(e), nil
}

// cancelByRequest starts a job's cancellation; errJobEnded says that there is
// nothing left to cancel. A second request changes nothing.
func (s *Service) cancelByRequest(project, id string) error {
	s.mu.Lock()
	e, err := s.find(project, id)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	return s.cancel(e, errByRequest)
}

// cancel stops a job for a reason, if it is in one of the states (any, where
// none is named).
func (s *Service) cancel(e *entry, reason error, from ...state) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e.decided || e.Job.State.ended():
		return errJobEnded
	case e.Job.State == cancelling, len(from) > 0 && !slices.Contains(from, e.Job.State):
		return nil
	}
	e.reason = reason
	e.Job.State = cancelling
	// The reason is recorded with the state, as the API says of errorMessage.
	e.Job.ErrorMessage = reason.Error()
	s.saveLocked(e)
	e.stop(reason)
	return nil
}

func (s *Service) find(project, id string) (*entry, error) {
	if e := s.jobs[id]; e != nil && e.Project == project && e.Vertex == nil {
		return e, nil
	}
	return nil, errJobUnknown
}

// view is the job as the API shows it. The caller holds mu.
func (s *Service) view(e *entry) resource {
	r := e.Job
	r.Etag = e.etag()
	r.TrainingOutput = outputOf(r.TrainingInput.Hyperparameters, e.Trials)
	if r.State == queued {
		for _, other := range s.order {
			if other.Job.State == queued {
				r.JobPosition++
			}
			if other == e {
				break
			}
		}
	}
	return r
}

// dispatch lets jobs out of the queue, oldest first, while there is room: a job
// that has none yet is not overtaken by a smaller one. The caller holds mu.
func (s *Service) dispatch() {
	if s.closed {
		return
	}
	for _, e := range s.order {
		if e.Job.State != queued || e.decided {
			continue
		}
		n := needs(e.Job.TrainingInput)
		if s.active >= s.opts.MaxJobs || s.replicas+n > s.opts.MaxReplicas {
			return
		}
		s.active++
		s.replicas += n
		e.Job.State = preparing
		s.saveLocked(e)
		close(e.admitted)
	}
}

// saveLocked records a change that has already happened to the job: a disk that
// refuses it can't undo that, so it is logged and the service goes on.
func (s *Service) saveLocked(e *entry) {
	e.Revision++
	e.touch(s.now())
	if err := s.store.save(e.record); err != nil {
		s.log.Error("a job's record was not written", "job_id", e.Job.JobID, "error", err)
	}
	name, state := e.Job.JobID, string(e.Job.State)
	if e.Vertex != nil {
		name, state = e.vertexName(), vertexStates[e.Job.State]
	}
	if s.opts.Changed != nil {
		s.opts.Changed(name, state)
	}
	s.log.Info("job changed", "job_id", e.Job.JobID, "state", string(e.Job.State))
}
