package training

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	taskService = "service"
	taskMaster  = "master-replica-0"

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
	e.Process = nil
	s.saveLocked(e)
	select {
	case <-e.admitted:
		s.active--
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
	tmp, release, err := makePlaces(p)
	if err != nil {
		return messagef("The job's folder can't be made: %v", err)
	}
	defer release()

	e.log.write(taskService, stdout, "Validating job requirements...")
	if in.JobDir != "" {
		if err := s.bucket.checkWritable(e.ctx, in.JobDir, e.Job.JobID); err != nil {
			return s.reason(e, err)
		}
	}
	files, err := s.fetch(e, p)
	if err != nil {
		return s.reason(e, err)
	}
	env := trainerEnv(s.environ, s.opts.Env, environment{
		storage: s.opts.Storage, project: e.Project, home: p.home, tmp: tmp, bin: filepath.Join(p.env, "bin"), env: p.env,
	})
	e.log.write(taskService, stdout, "The job's environment is being prepared with Python "+s.opts.Python.Version+" ("+s.opts.Python.Path+").")
	if err := s.install(e, p, files, env); err != nil {
		return s.reason(e, err)
	}

	vars, err := jobEnv(e.Job.JobID, in)
	if err != nil {
		return err
	}
	args := append([]string{"-m", in.PythonModule}, in.Args...)
	if in.JobDir != "" {
		args = append(args, "--job-dir", in.JobDir)
	}
	e.log.write(taskMaster, stdout, "Running command: "+quote("python3", args))
	err = s.exec(e, command{
		path: filepath.Join(p.env, "bin", "python"), args: args, dir: p.work, env: append(env, vars...),
		started: func() { s.setRunning(e) },
	})
	if exit := (*exitError)(nil); errors.As(err, &exit) {
		return messagef("The replica master 0 exited with a non-zero status of %s", exit)
	}
	return s.reason(e, err)
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
	limit := runLimit(e.Job.TrainingInput)
	late := messagef("The job was cancelled because it was still running after maxRunningTime (%s).", job.FormatDuration(limit))
	e.runTimer = time.AfterFunc(limit, func() { _ = s.cancel(e, late) })
	s.saveLocked(e)
	s.mu.Unlock()
	e.log.write(taskService, stdout, "Job is running.")
}

// setProcess records the group that a restarted service has to look for.
func (s *Service) setProcess(e *entry, p *process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.Process = p
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

// makePlaces makes the job's folders anew and gives its temporary folder, with
// what removes it.
func makePlaces(p places) (tmp string, release func(), err error) {
	p.clean()
	for _, dir := range []string{p.packages, p.home, p.tmp, p.work, p.logs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", nil, err
		}
	}
	// Python's multiprocessing puts Unix sockets some 35 bytes below TMPDIR,
	// and a socket's path ends at 104.
	if len(p.tmp) <= 68 {
		return p.tmp, func() {}, nil
	}
	tmp, err = os.MkdirTemp("", "jobdrop-")
	return tmp, func() { _ = os.RemoveAll(tmp) }, err
}

// jobEnv is what the service tells a trainer about its job.
func jobEnv(id string, in *job.TrainingInput) ([]string, error) {
	type task struct {
		Type  string `json:"type"`
		Index int    `json:"index"`
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	role := primaryRole(in.RuntimeVersion)
	config, err := json.Marshal(struct {
		Cluster     map[string][]string `json:"cluster"`
		Environment string              `json:"environment"`
		Job         *job.TrainingInput  `json:"job"`
		Task        task                `json:"task"`
	}{
		Cluster:     map[string][]string{role: {fmt.Sprintf("127.0.0.1:%d", port)}},
		Environment: "cloud",
		Job:         in,
		Task:        task{Type: role},
	})
	if err != nil {
		return nil, err
	}
	input, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return []string{"TF_CONFIG=" + string(config), "CLOUD_ML_JOB_ID=" + id, "CLOUD_ML_JOB=" + string(input)}, nil
}

// primaryRole is the first replica's name in TF_CONFIG: chief from runtime 2.1
// (and where none is named), master before.
func primaryRole(runtime string) string {
	var major, minor int
	if _, err := fmt.Sscanf(runtime, "%d.%d", &major, &minor); err == nil && (major < 2 || major == 2 && minor < 1) {
		return "master"
	}
	return "chief"
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
