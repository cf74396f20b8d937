package training

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// run is the life of one job from the queue to its end.
func (s *Service) run(e *entry) {
	if limit := e.WaitLimit(); limit.Max > 0 {
		late := messagef("The job was cancelled because it was not RUNNING within %s (%s) of its creation.", limit.Name,
			job.FormatDuration(limit.Max))
		e.waitTimer = time.AfterFunc(e.Job.CreateTime.Add(limit.Max).Sub(s.now()), func() {
			_ = s.cancel(e, late, jobs.Queued, jobs.Preparing)
		})
		defer e.waitTimer.Stop()
	}
	e.log.Write(taskService, stdout, "Job "+e.Job.JobID+" is queued.")
	select {
	case <-e.admitted:
	case <-e.ctx.Done():
	}
	err := context.Cause(e.ctx)
	s.mu.Lock()
	waits := e.Job.State == jobs.Queued
	s.mu.Unlock()
	switch {
	case waits: // the service is being closed; the next one takes the job up
		e.log.End()
		return
	case err == nil:
		err = s.work(e)
	}
	s.finish(e, err)
}

// finish records how the job ended. The log is complete before the state says
// that the job is.
func (s *Service) finish(e *entry, err error) {
	s.mu.Lock()
	e.decided = true
	if e.runTimer != nil {
		e.runTimer.Stop()
	}
	was := e.Job.State
	end, message := jobs.Succeeded, ""
	switch {
	case was == jobs.Cancelling:
		end, message = jobs.Cancelled, e.reason.Error()
	case errors.Is(err, jobs.ErrClosed):
		end, message = jobs.Failed, fmt.Sprintf("The local training service was stopped while the job was %s.", was)
	case errors.Is(err, jobs.ErrPreempted):
		end, message = jobs.Failed, err.Error()
	case err != nil:
		end, message = jobs.Failed, strings.Join(append([]string{err.Error()}, e.skipped...), "\n")
	}
	s.mu.Unlock()

	switch end {
	case jobs.Succeeded:
		e.log.Write(taskService, stdout, "Job completed successfully.")
	case jobs.Cancelled:
		e.log.Write(taskService, stdout, message)
	default:
		// The rest is in the log already: what the program wrote, and what its setup said.
		first, _, _ := strings.Cut(message, "\n")
		e.log.Write(taskService, stderr, first)
	}
	e.log.End()

	s.mu.Lock()
	defer s.mu.Unlock()
	e.Job.State, e.Job.ErrorMessage, e.Job.EndTime = end, message, s.now()
	e.Fail(err)
	e.Processes = nil
	s.saveLocked(e)
	select {
	case <-e.admitted:
		s.active--
		s.replicas -= jobs.Needs(e.Job.TrainingInput)
	default: // cancelled in the queue: it never took a place
	}
	e.stop(nil)
	s.dispatch()
}

// work prepares and runs the job. Its error is the job's errorMessage, or the
// cause that ended e.ctx.
func (s *Service) work(e *entry) error {
	in, p := e.Job.TrainingInput, s.store.places(e.Job.JobID)
	defer p.clean()
	setup, release, err := s.store.makePlaces(p)
	defer release()
	if err != nil {
		return messagef("The job's folder can't be made: %v", err)
	}

	e.log.Write(taskService, stdout, "Validating job requirements...")
	if out := e.Output(); out.Dir != "" {
		if err := s.bucket.checkWritable(e.ctx, out, e.Job.JobID); err != nil {
			return s.reason(e, err)
		}
	}
	for _, v := range e.Environments(p.env, p.packages) {
		if err := s.prepare(e, v, s.env(e, setup, v.Dir)); err != nil {
			return s.reason(e, err)
		}
	}
	if in.Hyperparameters != nil {
		return s.tune(e, p)
	}
	for {
		err := s.runOnce(e, p)
		if !errors.Is(err, errPreempted) {
			return err
		}
		if err := s.restart(e, p); err != nil {
			return err
		}
	}
}

// runOnce runs the job's replicas, each in a room of its own. The error is errPreempted if they lost their machines.
func (s *Service) runOnce(e *entry, p places) error {
	rooms, release, err := s.store.makeRooms(p, "", jobs.ReplicasOf(e.Job.TrainingInput), e.Task)
	defer release()
	if err != nil {
		return messagef("The job's folder can't be made: %v", err)
	}
	ctx, stop := context.WithCancelCause(e.ctx)
	defer stop(nil)
	defer s.keep(e)
	run := part{ctx: ctx, rooms: rooms, lose: func() { stop(errPreempted) }}
	run.Output, run.Restarts = e.Output().Dir, e.Restarts
	return s.runReplicas(e, p, run)
}

// part is one run of a job's replicas: of the job as a whole, or of a trial of it.
type part struct {
	ctx   context.Context // ends it
	rooms map[jobs.Replica]room
	lose  func() // takes its machines away; nil for a trial
	jobs.ReplicaRun
}

// prepare makes an environment for all parts of a job.
func (s *Service) prepare(e *entry, v jobs.PythonEnv, env []string) error {
	files, err := s.fetch(e, v)
	if err != nil {
		return err
	}
	e.log.Write(taskService, stdout, "The job's environment is being prepared with "+s.opts.Python.name()+".")
	return s.install(e, v, files, env)
}

// furnish assigns a part's replicas their environments: those of the job, and to
// each that stands in for an image one of its own, which it may install into.
func (s *Service) furnish(e *entry, p places, run part) (release func(), err error) {
	for _, v := range e.Environments(p.env, p.packages) {
		for _, r := range v.Replicas {
			at := run.rooms[r]
			at.env = v.Dir
			run.rooms[r] = at
		}
	}
	var own []string
	release = func() {
		for _, dir := range own {
			_ = os.RemoveAll(dir) // what a program made unremovable costs room only
		}
	}
	for r, at := range run.rooms {
		g := e.Program(r)
		if !g.StandIn {
			continue
		}
		at.env = filepath.Join(p.env, "own", run.Trial, e.Task(r))
		own = append(own, at.env)
		run.rooms[r] = at
		e.log.WriteTrial(run.Trial, e.Task(r), stdout, s.opts.Python.name()+" of this machine stands in for the image "+
			g.Image+".")
		v := jobs.PythonEnv{Dir: at.env, Fetched: at.tmp, Trial: run.Trial}
		if _, err := s.makeEnv(e, v, s.env(e, at, at.env)); err != nil {
			return release, err
		}
	}
	return release, nil
}

// env returns the environment of what runs in a room with a virtual environment, less
// what tells it about its job.
func (s *Service) env(e *entry, r room, dir string) []string {
	return trainerEnv(s.environ, s.opts.Env, environment{
		storage: s.opts.Storage, project: e.Project, home: r.home, tmp: r.tmp, bin: filepath.Join(dir, "bin"), env: dir,
	})
}

// replicaCommand returns what a replica runs.
func (s *Service) replicaCommand(e *entry, run part, r jobs.Replica, a jobs.Addresses) (step, error) {
	g, at := e.Program(r), run.rooms[r]
	c := step{task: e.Task(r), trial: run.Trial}
	c.Dir = at.work
	args := slices.Concat(g.Args, run.Args, e.OutputArgs(run.Output))
	inContainer := g.Image != "" && !g.StandIn
	env, metrics := s.env(e, at, at.env), at.metrics
	if inContainer {
		env, metrics = containerEnv(s.opts.Env, s.opts.Storage, e.Project), containerMetrics
	}
	own := trialEnv(run, metrics)
	vars, err := e.Vars(run.ReplicaRun, r, a, slices.Concat(env, own))
	if err != nil {
		return step{}, err
	}
	env = slices.Concat(env, vars, own)
	if inContainer {
		c.Container = containerName(e.Job.JobID, run.Trial, c.task)
		c.Path, c.Env = s.opts.ContainerRunner, s.environ
		c.Args = containerArgs(c.Container, g.Image, g.Command, args, env, at.metrics)
		shown := shortened(slices.Concat(g.Command, args))
		e.log.WriteTrial(run.Trial, c.task, stdout, "Running the image "+quote(g.Image, shown))
		return c, nil
	}
	c.Path, c.Env = filepath.Join(at.env, "bin", "python"), env
	if g.StandIn {
		c.Env = append(pipEnv(env, s.environ, s.pipCache()), "JOBDROP_STANDS_IN="+g.Image)
		c.Args = slices.Concat(g.Command[1:], args)
	} else {
		c.Args = append([]string{"-m", g.Module}, args...)
	}
	e.log.WriteTrial(run.Trial, c.task, stdout, "Running command: "+quote("python3", shortened(c.Args)))
	return c, nil
}

func (s *Service) pipCache() string { return filepath.Join(s.opts.Dir, "pip-cache") }

// shortened cuts arguments that are programs, for a line of a log.
func shortened(args []string) []string {
	out := slices.Clone(args)
	for i, a := range out {
		if first, _, more := strings.Cut(a, "\n"); more {
			out[i] = first + " [...]"
		}
	}
	return out
}

// reason prefers why the job was stopped over what the stop did to a step.
func (s *Service) reason(e *entry, err error) error {
	if cause := context.Cause(e.ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// setRunning is the job's only way to RUNNING. Its start and its limits are those of the first time.
func (s *Service) setRunning(e *entry, run part) {
	s.mu.Lock()
	if e.Job.State != jobs.Preparing { // a cancel came first
		s.mu.Unlock()
		return
	}
	e.Job.State = jobs.Running
	s.arm(e, run)
	first := e.Job.StartTime.IsZero()
	if first {
		e.Job.StartTime = s.now()
	}
	if first && e.waitTimer != nil {
		e.waitTimer.Stop()
	}
	if limit := e.RunLimit(); first && limit.Max > 0 {
		late := messagef("The job was cancelled because it was still running after %s (%s).", limit.Name,
			job.FormatDuration(limit.Max))
		e.runTimer = time.AfterFunc(limit.Max, func() { _ = s.cancel(e, late) })
	}
	s.saveLocked(e)
	s.mu.Unlock()
	e.log.Write(taskService, stdout, "Job is running.")
}

// addProcess records a group that a restarted service has to look for.
func (s *Service) addProcess(e *entry, p jobs.JobProcess) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setProcesses(e, append(slices.Clone(e.Processes), p))
}

// forgetProcesses says that none of the processes of a job's trial is left, or of
// a job without.
func (s *Service) forgetProcesses(e *entry, trial string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setProcesses(e, slices.DeleteFunc(slices.Clone(e.Processes),
		func(p jobs.JobProcess) bool { return p.Trial == trial }))
}

func (s *Service) setProcesses(e *entry, ps []jobs.JobProcess) {
	e.Processes = ps
	if err := s.store.save(e.Record); err != nil {
		s.log.Error("a job's record was not written", "job_id", e.Job.JobID, "error", err)
	}
}

// room is where a replica is at home. A trial's has a folder for its metrics.
type room struct {
	home, tmp, work, metrics string
	env                      string // its virtual environment; empty for one in a container
}

// makePlaces makes the job's folders anew and returns the room in which the job's
// environment is made, with what removes the part that is elsewhere.
func (s store) makePlaces(p places) (setup room, release func(), err error) {
	p.clean()
	for _, dir := range []string{p.packages, p.logs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return room{}, func() {}, err
		}
	}
	return s.makeRoom(room{home: filepath.Join(p.home, taskService), tmp: filepath.Join(p.tmp, taskService)})
}

// makeRooms makes the rooms of a part's replicas and returns what removes them but
// for the working directories. trial is the part's, if it is one.
func (s store) makeRooms(p places, trial string, replicas []jobs.Replica,
	task func(jobs.Replica) string) (rooms map[jobs.Replica]room, release func(), err error) {
	var releases []func()
	release = func() {
		for _, f := range releases {
			f()
		}
	}
	rooms = map[jobs.Replica]room{}
	for _, r := range replicas {
		name := task(r)
		at := room{home: filepath.Join(p.home, trial, name), tmp: filepath.Join(p.tmp, trial, name),
			work: filepath.Join(p.work, trial, name)}
		if trial != "" {
			at.metrics = filepath.Join(p.metrics, trial, name)
		}
		at, f, err := s.makeRoom(at)
		releases = append(releases, f)
		if err != nil {
			return nil, release, err
		}
		rooms[r] = at
	}
	return rooms, release, nil
}

func (s store) makeRoom(at room) (_ room, release func(), err error) {
	// Python's multiprocessing puts Unix sockets some 35 bytes below TMPDIR,
	// and a socket's path ends at 104.
	if len(at.tmp) > 68 {
		if at.tmp, err = os.MkdirTemp("", s.farPrefix()); err != nil {
			return at, func() {}, err
		}
	}
	release = func() {
		for _, dir := range []string{at.home, at.tmp, at.metrics} {
			if dir != "" {
				_ = os.RemoveAll(dir) // what a program made unremovable costs room only
			}
		}
	}
	for _, dir := range []string{at.home, at.tmp, at.work, at.metrics} {
		if dir != "" {
			err = errors.Join(err, os.MkdirAll(dir, 0o755))
		}
	}
	if at.metrics != "" { // a container's program may be another user
		err = errors.Join(err, os.Chmod(at.metrics, 0o777))
	}
	return at, release, err
}

// quote writes a command as a shell would read it.
func quote(name string, args []string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%"
	var b strings.Builder
	b.WriteString(name)
	for _, a := range args {
		b.WriteByte(' ')
		if a != "" && strings.Trim(a, plain) == "" {
			b.WriteString(a)
		} else {
			b.WriteString("'" + strings.ReplaceAll(a, "'", `'\''`) + "'")
		}
	}
	return b.String()
}
