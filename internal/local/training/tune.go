package training

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	// maxMeasurements bounds those of a trial that are kept, as
	// cloudml-hypertune does; maxRecorded those of all trials of a job.
	maxMeasurements = 100
	maxRecorded     = 5000
	// maxTrialError bounds what a trial's record says of its failure. The
	// job's errorMessage has more of the first.
	maxTrialError = 512
	// earlyPoll is how often the metrics of a running trial are looked at:
	// a trial that is worth to be stopped has minutes to go.
	earlyPoll = 500 * time.Millisecond
)

var (
	errStoppedEarly = errors.New("the trial was stopped early")
	errJobFails     = message("The trial was ended because the job failed.")
)

// tuning is a tuning job that runs.
type tuning struct {
	*Service
	e      *entry
	p      places
	spec   *job.HyperparameterSpec
	tag    string
	better func(a, b float64) int

	mu     sync.Mutex
	curves [][]measurement // of the trials that ran to their end
}

// trialEnd is what became of a trial.
type trialEnd struct {
	number int
	record trial
	err    error // why it failed
}

// tune runs a job's trials, as many at once as the job allows. The job fails
// with the trial that makes maxFailedTrials failed ones. Where that is zero the
// service decides, by the API: here the job fails with a trial that fails before
// any has succeeded, and no later one.
func (s *Service) tune(e *entry, p places) error {
	spec := e.Job.TrainingInput.Hyperparameters
	t := &tuning{Service: s, e: e, p: p, spec: spec, tag: metricTag(spec), better: betterFor(spec.Goal)}
	ctx, stop := context.WithCancelCause(e.ctx)
	defer stop(nil)
	study := newStudy(spec, e.Job.JobID)
	ends := make(chan trialEnd)
	var verdict error
	var first *trialEnd // that failed
	var best *trial
	started, active, done, failures := 0, 0, 0, 0
	for {
		for active < parallelTrials(spec) && ctx.Err() == nil {
			number, values, ok := study.next()
			if !ok {
				break
			}
			started++
			active++
			record := trial{ID: strconv.Itoa(number), State: running, Parameters: values, StartTime: s.now()}
			s.putTrial(e, record)
			go func() {
				record, err := t.run(ctx, record)
				ends <- trialEnd{number, record, err}
			}()
		}
		if active == 0 {
			break
		}
		end := <-ends
		active--
		s.putTrial(e, end.record)
		switch end.record.State {
		case succeeded:
			done++
			if best == nil || t.better(end.record.Final.Value, best.Final.Value) > 0 {
				best = &end.record
			}
			study.report(end.number, end.record.Final.Value)
			continue
		case failed:
			failures++
		}
		study.fail(end.number)
		if end.record.State != failed || ctx.Err() != nil {
			continue
		}
		if first == nil {
			first = &end
		}
		switch {
		case spec.MaxFailedTrials == 0 && done == 0:
			verdict = messagef("%s before any trial had succeeded. %s", first.name(), first.reason())
		case spec.MaxFailedTrials > 0 && failures >= int(spec.MaxFailedTrials):
			verdict = messagef("%d of the job's trials failed, and %s is %d. %s first. %s", failures, e.maxFailed(), spec.MaxFailedTrials, first.name(), first.reason())
		default:
			continue
		}
		stop(errJobFails)
	}
	switch {
	case context.Cause(e.ctx) != nil:
		return context.Cause(e.ctx)
	case verdict != nil:
		return verdict
	case done == 0 && first != nil:
		return messagef("None of the job's %d trials succeeded. %s first. %s", started, first.name(), first.reason())
	}
	if best != nil {
		e.log.write(taskService, stdout, fmt.Sprintf("Trial %s is the best of %d that succeeded: %s is %v with %s.",
			best.ID, done, t.tag, best.Final.Value, describeValues(best.Parameters)))
	}
	return nil
}

// name begins a sentence as the service's messages named trials.
func (t *trialEnd) name() string { return "Hyperparameter Tuning Trial #" + t.record.ID + " failed" }

func (t *trialEnd) reason() string {
	return fmt.Sprintf("The failed trial had the parameters %s. The trial's error message was: %v", describeValues(t.record.Parameters), t.err)
}

func describeValues(values []parameterValue) string {
	var texts []string
	for _, v := range values {
		texts = append(texts, v.Name+"="+v.text())
	}
	return cut(strings.Join(texts, ", "), 500)
}

// brief keeps of a message that is too long its first line and its end, where an
// exception's text is.
func brief(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const gap = "\n[...]\n"
	first, _, _ := strings.Cut(text, "\n")
	first = cut(first, limit/2)
	return first + gap + strings.ToValidUTF8(text[len(text)-(limit-len(first)-len(gap)):], "")
}

// run runs a trial to its end and gives its record, and why it failed.
func (t *tuning) run(ctx context.Context, record trial) (trial, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	say := func(stream, format string, args ...any) {
		t.e.log.writeTrial(record.ID, taskService, stream, fmt.Sprintf(format, args...))
	}
	say(stdout, "Trial %s begins: %s.", record.ID, describeValues(record.Parameters))
	in := t.e.Job.TrainingInput
	rooms, release, err := t.store.makeRooms(t.p, record.ID, replicasOf(in), t.e.task)
	defer release()
	if err != nil {
		err = messagef("The trial's folder can't be made: %v", err)
	}
	var seen []measurement // before an early stop
	var late error         // the trial's own limit, if it has one
	if err == nil {
		run := part{ctx: ctx, trial: record.ID, metric: t.tag, rooms: rooms}
		for _, v := range record.Parameters {
			// The guide has --name value, but what was seen is --name=value,
			// which a parser takes for a negative number, too. They stand
			// behind the job's own, so that they win over a default there.
			run.args = append(run.args, "--"+v.Name+"="+v.text())
		}
		if _, _, dir := t.e.output(); dir != "" {
			// Each trial's job directory is the one below that has its ID, as
			// Google's samples knew: of the code that appends the ID to an
			// output directory, "it's already done for --job-dir". Of the base
			// output directory aiplatform/v1 says the same.
			run.output = strings.TrimRight(dir, "/") + "/" + record.ID
		}
		if limit := t.e.trialLimit(); limit > 0 {
			late = messagef("It was ended because it was still running after scheduling.timeout (%s).", job.FormatDuration(limit))
			timer := time.AfterFunc(limit, func() { stop(late) })
			defer timer.Stop()
		}
		var watch sync.WaitGroup
		watched, watching := context.WithCancel(ctx)
		if t.spec.EnableTrialEarlyStopping {
			watch.Go(func() { seen = t.watch(watched, rooms, stop) })
		}
		err = t.runReplicas(t.e, t.p, run)
		watching()
		watch.Wait()
	}
	record.EndTime = t.now()
	if err == nil || errors.Is(err, errStoppedEarly) {
		record.Stopped = err != nil
		var m metrics
		if m, err = readMetrics(rooms); err == nil {
			seen, err = m.resultOr(t.tag, record.Stopped, seen)
		}
	}
	switch cause := context.Cause(ctx); {
	case err == nil:
		record.State = succeeded
		record.Final = &seen[len(seen)-1]
		record.All = seen[max(0, len(seen)-recorded(t.spec)):]
		if !record.Stopped {
			t.mu.Lock()
			t.curves = append(t.curves, seen)
			t.mu.Unlock()
		}
		early := ""
		if record.Stopped {
			early = "was stopped early and "
		}
		say(stdout, "Trial %s %ssucceeded: %s is %v at step %d.", record.ID, early, t.tag, record.Final.Value, record.Final.Step)
	case cause != nil && errors.Is(err, cause) && !errors.Is(err, errClosed) && cause != late:
		record.State, record.Error = cancelled, brief(err.Error(), maxTrialError)
		say(stdout, "Trial %s was cancelled.", record.ID)
	default:
		record.State, record.Error = failed, brief(err.Error(), maxTrialError)
		what, _, _ := strings.Cut(err.Error(), "\n") // the rest is in the log already
		say(stderr, "Trial %s failed. %s", record.ID, what)
	}
	return record, err
}

// resultOr takes the values that were seen before an early stop where the stop
// tore the file.
func (m metrics) resultOr(tag string, stopped bool, seen []measurement) ([]measurement, error) {
	values, err := m.result(tag)
	if stopped && (err != nil || len(values) < len(seen)) {
		return seen, nil
	}
	return values, err
}

// recorded is how many measurements of each trial are kept.
func recorded(spec *job.HyperparameterSpec) int {
	return min(maxMeasurements, max(1, maxRecorded/int(max(spec.MaxTrials, 1))))
}

// watch stops a trial early and gives what it had reported until then.
func (t *tuning) watch(ctx context.Context, rooms map[replica]room, stop context.CancelCauseFunc) []measurement {
	poll := time.NewTicker(earlyPoll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
		}
		m, err := readMetrics(rooms)
		if err != nil {
			continue // said at the trial's end
		}
		values := m.values[t.tag]
		t.mu.Lock()
		ends := stopsEarly(t.better, values, t.curves)
		t.mu.Unlock()
		if ends {
			stop(errStoppedEarly)
			return values
		}
	}
}

// putTrial records a trial: a new one, or what became of it.
func (s *Service) putTrial(e *entry, t trial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	trials := slices.Clone(e.Trials)
	if i := slices.IndexFunc(trials, func(o trial) bool { return o.ID == t.ID }); i >= 0 {
		trials[i] = t
	} else {
		trials = append(trials, t)
	}
	e.Trials = trials
	e.Revision++
	if err := s.store.save(e.record); err != nil {
		s.log.Error("a job's record was not written", "job_id", e.Job.JobID, "error", err)
	}
}

// endTrials ends those that an earlier service left under way in a job that was
// in a state.
func endTrials(trials []trial, was state, now time.Time) []trial {
	trials = slices.Clone(trials)
	for i := range trials {
		if t := &trials[i]; !t.State.ended() {
			t.State, t.EndTime = failed, now
			if was == cancelling {
				t.State = cancelled
			}
			t.Error = "The local training service was restarted while the trial was running."
		}
	}
	return trials
}

// trialEnv is what a trial's replica is told besides its job's environment.
// metrics is the folder for its metrics, as its program sees it. The names are
// those that cloudml-hypertune and Google's samples read.
func trialEnv(run part, metrics string) []string {
	if run.trial == "" {
		return nil
	}
	return []string{
		"CLOUD_ML_TRIAL_ID=" + run.trial,
		"CLOUD_ML_HP_METRIC_FILE=" + path.Join(filepath.ToSlash(metrics), metricsFile),
		"CLOUD_ML_HP_METRIC_TAG=" + run.metric,
	}
}
