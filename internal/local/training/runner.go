package training

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	// taskService is the task of the service's own lines.
	taskService = "service"

	stdout = "stdout"
	stderr = "stderr"
)

// run is the life of one job from the queue to its end.
func (s *Service) run(e *entry) {
	if limit := waitLimit(e.Job.TrainingInput); limit > 0 {
		late := messagef("The job was cancelled because it was not RUNNING within maxWaitTime (%s) of its creation.", job.FormatDuration(limit))
		t := time.AfterFunc(e.Job.CreateTime.Add(limit).Sub(s.now()), func() {
			_ = s.cancel(e, late, queued, preparing)
		})
		defer t.Stop()
	}
	e.log.write(taskService, stdout, "Job "+e.Job.JobID+" is queued.")
	select {
	case <-e.admitted:
	case <-e.ctx.Done():
	}
	err := context.Cause(e.ctx)
	s.mu.Lock()
	waits := e.Job.State == queued
	s.mu.Unlock()
	switch {
	case waits: // the service is being closed; the next one takes the job up
		e.log.close()
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
	end, message := succeeded, ""
	switch {
	case was == cancelling:
		end, message = cancelled, e.reason.Error()
	case errors.Is(err, errClosed):
		end, message = failed, fmt.Sprintf("The local training service was stopped while the job was %s.", was)
	case err != nil:
		end, message = failed, err.Error()
	}
	s.mu.Unlock()

	switch end {
	case succeeded:
		e.log.write(taskService, stdout, "Job completed successfully.")
	case cancelled:
		e.log.write(taskService, stdout, message)
	default:
		for line := range strings.SplitSeq(message, "\n") {
			e.log.write(taskService, stderr, line)
		}
	}
	e.log.close()

	s.mu.Lock()
	defer s.mu.Unlock()
	e.Job.State, e.Job.ErrorMessage, e.Job.EndTime = end, message, s.now()
	e.setCode(err)
	e.Processes = nil
	s.saveLocked(e)
	select {
	case <-e.admitted:
		s.active--
		s.replicas -= needs(e.Job.TrainingInput)
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

	e.log.write(taskService, stdout, "Validating job requirements...")
	if field, what, dir := e.output(); dir != "" {
		if err := s.bucket.checkWritable(e.ctx, field, what, dir, e.Job.JobID); err != nil {
			return s.reason(e, err)
		}
	}
	for _, v := range e.environments(p) {
		if err := s.prepare(e, v, s.env(e, setup, v.dir)); err != nil {
			return s.reason(e, err)
		}
	}
	if in.Hyperparameters != nil {
		return s.tune(e, p)
	}
	rooms, release, err := s.store.makeRooms(p, "", replicasOf(in), e.task)
	defer release()
	if err != nil {
		return messagef("The job's folder can't be made: %v", err)
	}
	_, _, dir := e.output()
	return s.runReplicas(e, p, part{ctx: e.ctx, output: dir, rooms: rooms})
}

// part is one run of a job's replicas: the job's only one, or a trial of it.
type part struct {
	ctx    context.Context // ends it
	trial  string          // the trial's ID, if it is one
	args   []string        // the trial's own
	metric string          // the tag that the trial is to report, if it is one
	output string          // its folder in Cloud Storage, if the job names one
	rooms  map[replica]room
}

// output is the folder in Cloud Storage that a job writes to, if it names one,
// and the field that names it.
func (e *entry) output() (field, what, dir string) {
	if e.Vertex != nil {
		return e.vertexOutput()
	}
	return "job_dir", "job directory", e.Job.TrainingInput.JobDir
}

// prepare makes an environment for all parts of a job.
func (s *Service) prepare(e *entry, v pythonEnv, env []string) error {
	files, err := s.fetch(e, v)
	if err != nil {
		return err
	}
	e.log.write(taskService, stdout, "The job's environment is being prepared with "+s.opts.Python.name()+".")
	return s.install(e, v, files, env)
}

// furnish gives a part's replicas their environments: those of the job, and to
// each that stands in for an image one of its own, which it may install into.
func (s *Service) furnish(e *entry, p places, run part) (release func(), err error) {
	for _, v := range e.environments(p) {
		for _, r := range v.replicas {
			at := run.rooms[r]
			at.env = v.dir
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
		g := e.program(r)
		if !g.standIn {
			continue
		}
		at.env = filepath.Join(p.env, "own", run.trial, e.task(r))
		own = append(own, at.env)
		run.rooms[r] = at
		e.log.writeTrial(run.trial, e.task(r), stdout, s.opts.Python.name()+" of this machine stands in for the image "+g.image+".")
		v := pythonEnv{dir: at.env, fetched: at.tmp, trial: run.trial}
		if _, err := s.makeEnv(e, v, s.env(e, at, at.env)); err != nil {
			return release, err
		}
	}
	return release, nil
}

// task is a replica's name in logs and folders.
func (e *entry) task(r replica) string {
	if e.Vertex != nil {
		return r.pool()
	}
	return r.task()
}

// named is a replica's name in messages.
func (e *entry) named(r replica) string {
	if e.Vertex != nil {
		return "replica " + r.pool()
	}
	return r.String()
}

// env is the environment of what runs in a room with a virtual environment, less
// what tells it about its job.
func (s *Service) env(e *entry, r room, dir string) []string {
	return trainerEnv(s.environ, s.opts.Env, environment{
		storage: s.opts.Storage, project: e.Project, home: r.home, tmp: r.tmp, bin: filepath.Join(dir, "bin"), env: dir,
	})
}

// usesPython tells whether any replica runs the job's packages.
func usesPython(in *job.TrainingInput) bool {
	c := countsOf(in)
	return imageOf(in, roleMaster) == "" || c.workers > 0 && imageOf(in, roleWorker) == "" ||
		c.ps > 0 && imageOf(in, rolePS) == "" || c.evaluators > 0 && imageOf(in, roleEvaluator) == ""
}

// replicaCommand is what a replica runs.
func (s *Service) replicaCommand(e *entry, run part, r replica, a addresses) (command, error) {
	g, at := e.program(r), run.rooms[r]
	c := command{dir: at.work, task: e.task(r), trial: run.trial}
	args := slices.Concat(g.args, run.args)
	if e.Vertex == nil && run.output != "" {
		args = append(args, "--job-dir", run.output)
	}
	inContainer := g.image != "" && !g.standIn
	env, metrics := s.env(e, at, at.env), at.metrics
	if inContainer {
		env, metrics = containerEnv(s.opts.Env, s.opts.Storage, e.Project), containerMetrics
	}
	own := trialEnv(run, metrics)
	vars, err := e.vars(run, r, a, slices.Concat(env, own))
	if err != nil {
		return command{}, err
	}
	env = slices.Concat(env, vars, own)
	if inContainer {
		c.container = containerName(e.Job.JobID, run.trial, c.task)
		c.path, c.env = s.opts.ContainerRunner, s.environ
		c.args = containerArgs(c.container, g.image, g.command, args, env, at.metrics)
		e.log.writeTrial(run.trial, c.task, stdout, "Running the image "+quote(g.image, slices.Concat(g.command, args)))
		return c, nil
	}
	c.path, c.env = filepath.Join(at.env, "bin", "python"), env
	if g.standIn {
		c.env = pipEnv(env, s.environ, s.pipCache())
		c.args = slices.Concat(g.command[1:], args)
	} else {
		c.args = append([]string{"-m", g.module}, args...)
	}
	e.log.writeTrial(run.trial, c.task, stdout, "Running command: "+quote("python3", shortened(c.args)))
	return c, nil
}

// program is what a replica runs.
func (e *entry) program(r replica) program {
	if e.Vertex != nil {
		return e.vertexProgram(r)
	}
	return programOf(e.Job.TrainingInput, r)
}

// vars are what the service tells a replica about its job, whose environment is
// env else.
func (e *entry) vars(run part, r replica, a addresses, env []string) ([]string, error) {
	if e.Vertex != nil {
		return e.vertexVars(run, r, a, env)
	}
	return jobEnv(e.Job.JobID, e.Job.TrainingInput, run.trial, r, a)
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

// runReplicas runs a job's replicas until the master ends, another one fails or
// the part is stopped; then the others are ended. The part's state is the
// master's: a replica that ends well before it is not missed.
func (s *Service) runReplicas(e *entry, p places, run part) error {
	leave, err := s.furnish(e, p, run)
	defer leave()
	if err != nil {
		return s.reason(e, err)
	}
	in := e.Job.TrainingInput
	replicas := replicasOf(in)
	reserved, err := s.ports.reserve(len(replicas))
	if err != nil {
		return messagef("The replicas can't be given addresses: %v", err)
	}
	defer s.ports.release(reserved)
	a := addresses{}
	for i, r := range replicas {
		if r.role != roleEvaluator || e.Vertex != nil {
			a[r] = reserved[i].address()
		}
	}

	defer s.forgetProcesses(e, run.trial)
	started := map[replica]*child{}
	ended := make(chan replica, len(replicas))
	all := func() []*child { return slices.Collect(maps.Values(started)) }
	stop := func() {
		s.terminate(all()...)
		for r, p := range started {
			if r != master {
				_ = s.settle(p)
			}
		}
	}
	// All at once: what a replica sends to one that is yet to start would be
	// taken by the listener that reserves its port, and lost.
	for _, r := range reserved {
		r.open()
	}
	for _, r := range replicas {
		var child *child
		c, err := s.replicaCommand(e, run, r, a)
		if err == nil {
			child, err = s.start(run.ctx, e, c)
		}
		if err != nil {
			stop()
			if cause := context.Cause(run.ctx); cause != nil {
				return cause
			}
			return messagef("The %s could not be started: %v", e.named(r), err)
		}
		started[r] = child
		go func() {
			<-child.done
			ended <- r
		}()
	}
	s.setRunning(e)

	var failed error
	leader := started[master]
	for failed == nil && !leader.exited() {
		select {
		case r := <-ended:
			if r == master {
				continue
			}
			// What it left behind ends with it, as its machine would.
			if err := s.settle(started[r]); err != nil && !s.endsSoon(run.ctx, leader) {
				failed = exitMessage(e.named(r), err)
			}
		case <-run.ctx.Done():
			failed = context.Cause(run.ctx)
		}
	}
	if failed == nil {
		// Its output is complete before the others are waited for.
		if err := s.settle(leader); err != nil {
			failed = exitMessage(e.named(master), err)
			stop()
			return failed
		}
		stop()
		return nil
	}
	stop()
	_ = s.settle(leader)
	return failed
}

// endsSoon waits a grace for the master to end. A replica that loses its master
// may fail before the master's process is gone, and the job's state is the
// master's.
func (s *Service) endsSoon(ctx context.Context, leader *child) bool {
	grace := time.NewTimer(s.opts.Grace)
	defer grace.Stop()
	select {
	case <-leader.done:
		return true
	case <-grace.C:
	case <-ctx.Done():
	}
	return false
}

// exitMessage is how the service tells of a replica's end.
func exitMessage(r string, err error) error {
	if exit := (*exitError)(nil); errors.As(err, &exit) {
		return messagef("The %s exited with a non-zero status of %s", r, exit)
	}
	return messagef("The %s ended: %v", r, err)
}

// reason prefers why the job was stopped over what the stop did to a step.
func (s *Service) reason(e *entry, err error) error {
	if cause := context.Cause(e.ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// setRunning is the job's first and only way to RUNNING.
func (s *Service) setRunning(e *entry) {
	s.mu.Lock()
	if e.Job.State != preparing { // a cancel came first
		s.mu.Unlock()
		return
	}
	e.Job.State, e.Job.StartTime = running, s.now()
	if e.trialLimit() == 0 {
		limit, name := runLimit(e.Job.TrainingInput), "maxRunningTime"
		if e.Vertex != nil {
			name = "scheduling.timeout"
		}
		late := messagef("The job was cancelled because it was still running after %s (%s).", name, job.FormatDuration(limit))
		e.runTimer = time.AfterFunc(limit, func() { _ = s.cancel(e, late) })
	}
	s.saveLocked(e)
	s.mu.Unlock()
	e.log.write(taskService, stdout, "Job is running.")
}

// addProcess records a group that a restarted service has to look for.
func (s *Service) addProcess(e *entry, p process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setProcesses(e, append(slices.Clone(e.Processes), p))
}

// forgetProcesses says that none of the processes of a job's trial is left, or of
// a job without.
func (s *Service) forgetProcesses(e *entry, trial string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setProcesses(e, slices.DeleteFunc(slices.Clone(e.Processes), func(p process) bool { return p.Trial == trial }))
}

func (s *Service) setProcesses(e *entry, ps []process) {
	e.Processes = ps
	if err := s.store.save(e.record); err != nil {
		s.log.Error("a job's record was not written", "job_id", e.Job.JobID, "error", err)
	}
}

// waitLimit is maxWaitTime, 0 if there is none. The text was checked at the
// job's creation.
func waitLimit(in *job.TrainingInput) time.Duration {
	if in.Scheduling == nil {
		return 0
	}
	d, _ := job.ParseDuration(in.Scheduling.MaxWaitTime)
	return d
}

func runLimit(in *job.TrainingInput) time.Duration {
	if in.Scheduling == nil {
		return defaultMaxRunningTime
	}
	d, _ := job.ParseDuration(in.Scheduling.MaxRunningTime)
	return cmp.Or(d, defaultMaxRunningTime)
}

// room is where a replica is at home. A trial's has a folder for its metrics.
type room struct {
	home, tmp, work, metrics string
	env                      string // its virtual environment; empty for one in a container
}

// makePlaces makes the job's folders anew and gives the room in which the job's
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

// makeRooms makes the rooms of a part's replicas and gives what removes them but
// for the working directories. trial is the part's, if it is one.
func (s store) makeRooms(p places, trial string, replicas []replica, task func(replica) string) (rooms map[replica]room, release func(), err error) {
	var releases []func()
	release = func() {
		for _, f := range releases {
			f()
		}
	}
	rooms = map[replica]room{}
	for _, r := range replicas {
		name := task(r)
		at := room{home: filepath.Join(p.home, trial, name), tmp: filepath.Join(p.tmp, trial, name), work: filepath.Join(p.work, trial, name)}
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
