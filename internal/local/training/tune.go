package training

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/study"
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
	tally  tally

	mu     sync.Mutex
	curves [][]study.Measurement // of the trials that ran to their end
}

// tally counts what became of a job's trials.
type tally struct {
	started, succeeded, failed int

	best      *jobs.Trial
	firstFail *trialEnd
}

// trialEnd is what became of a trial.
type trialEnd struct {
	number int
	record jobs.Trial
	err    error // why it failed
}

// tune runs a job's trials, as many at once as the job allows. It returns why the job failed, or the cause that ended
// it.
func (s *Service) tune(e *entry, p places) error {
	spec := e.Job.TrainingInput.Hyperparameters
	t := &tuning{Service: s, e: e, p: p, spec: spec, tag: study.MetricTag(spec), better: study.BetterFor(spec.Goal)}
	verdict := t.runAll()
	if cause := context.Cause(e.ctx); cause != nil {
		return cause
	}
	if verdict != nil {
		return verdict
	}
	if first := t.tally.firstFail; first != nil && t.tally.succeeded == 0 {
		return messagef("None of the job's %d trials succeeded. %s first. %s", t.tally.started, first.name(), first.reason())
	}
	if best := t.tally.best; best != nil {
		e.log.Write(taskService, stdout, fmt.Sprintf("Trial %s is the best of %d that succeeded: %s is %v with %s.",
			best.ID, t.tally.succeeded, t.tag, best.Final.Value, study.Describe(best.Parameters)))
	}
	return nil
}

// runAll runs the trials that the study suggests until it has no more, or one of them has the job fail. It returns why
// the job failed.
func (t *tuning) runAll() (verdict error) {
	ctx, stop := context.WithCancelCause(t.e.ctx)
	defer stop(nil)
	suggestions := study.New(t.spec, t.e.Job.JobID)
	ends := make(chan trialEnd)
	active := 0
	for {
		for int64(active) < t.spec.Parallel() && ctx.Err() == nil {
			number, values, ok := suggestions.Next()
			if !ok {
				break
			}
			active++
			t.tally.started++
			record := jobs.Trial{ID: strconv.Itoa(number), State: jobs.Running, Parameters: values, StartTime: t.now()}
			t.putTrial(t.e, record)
			go func() {
				record, err := t.run(ctx, record)
				ends <- trialEnd{number, record, err}
			}()
		}
		if active == 0 {
			return verdict
		}
		end := <-ends
		active--
		t.putTrial(t.e, end.record)
		stopped := ctx.Err() != nil
		if t.count(end); end.record.State == jobs.Succeeded {
			suggestions.Report(end.number, end.record.Final.Value)
			continue
		}
		suggestions.Fail(end.number)
		if end.record.State != jobs.Failed || stopped {
			continue
		}
		if t.tally.firstFail == nil {
			t.tally.firstFail = &end
		}
		if verdict = t.verdict(); verdict != nil {
			stop(errJobFails)
		}
	}
}

// count adds a trial's end to the tally.
func (t *tuning) count(end trialEnd) {
	switch end.record.State {
	case jobs.Succeeded:
		t.tally.succeeded++
		if best := t.tally.best; best == nil || t.better(end.record.Final.Value, best.Final.Value) > 0 {
			t.tally.best = &end.record
		}
	case jobs.Failed:
		t.tally.failed++
	}
}

// verdict returns why the trials that failed have the job fail, if they do: the job fails with the trial that makes
// maxFailedTrials failed ones. Where that is zero the service decides, by the API: here the job fails with a trial that
// fails before any has succeeded, and no later one.
func (t *tuning) verdict() error {
	first, limit := t.tally.firstFail, int(t.spec.MaxFailedTrials)
	switch {
	case limit == 0 && t.tally.succeeded == 0:
		return messagef("%s before any trial had succeeded. %s", first.name(), first.reason())
	case limit > 0 && t.tally.failed >= limit:
		return messagef("%d of the job's trials failed, and %s is %d. %s first. %s",
			t.tally.failed, t.e.FailedTrials(), limit, first.name(), first.reason())
	}
	return nil
}

// name begins a sentence as the service's messages named trials.
func (t *trialEnd) name() string { return "Hyperparameter Tuning Trial #" + t.record.ID + " failed" }

func (t *trialEnd) reason() string {
	return fmt.Sprintf("The failed trial had the parameters %s. The trial's error message was: %v",
		study.Describe(t.record.Parameters), t.err)
}

// brief keeps of a message that is too long its first line and its end, where an
// exception's text is.
func brief(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const gap = "\n[...]\n"
	first, _, _ := strings.Cut(text, "\n")
	first = study.Cut(first, limit/2)
	return first + gap + strings.ToValidUTF8(text[len(text)-(limit-len(first)-len(gap)):], "")
}

// run runs a trial to its end. It returns the trial's record, and why it failed.
func (t *tuning) run(ctx context.Context, record jobs.Trial) (jobs.Trial, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	t.say(record, stdout, "Trial %s begins: %s.", record.ID, study.Describe(record.Parameters))
	rooms, release, err := t.store.makeRooms(t.p, record.ID, jobs.ReplicasOf(t.e.Job.TrainingInput), t.e.Task)
	defer release()
	if err != nil {
		err = messagef("The trial's folder can't be made: %v", err)
	}
	var seen []study.Measurement // before an early stop
	var late error               // the trial's own limit, if it has one
	if err == nil {
		if limit := t.e.TrialLimit(); limit.Max > 0 {
			late = messagef("It was ended because it was still running after %s (%s).",
				limit.Name, job.FormatDuration(limit.Max))
			timer := time.AfterFunc(limit.Max, func() { stop(late) })
			defer timer.Stop()
		}
		seen, err = t.runWatched(t.part(ctx, record, rooms), stop)
	}
	record.EndTime = t.now()
	if err == nil || errors.Is(err, errStoppedEarly) {
		record.Stopped = err != nil
		seen, err = t.measured(record, rooms, seen)
	}
	switch cause := context.Cause(ctx); {
	case err == nil:
		t.succeed(&record, seen)
	case cause != nil && errors.Is(err, cause) && !errors.Is(err, jobs.ErrClosed) && cause != late:
		record.State, record.Error = jobs.Cancelled, brief(err.Error(), maxTrialError)
		t.say(record, stdout, "Trial %s was cancelled.", record.ID)
	default:
		record.State, record.Error = jobs.Failed, brief(err.Error(), maxTrialError)
		what, _, _ := strings.Cut(err.Error(), "\n") // the rest is in the log already
		t.say(record, stderr, "Trial %s failed. %s", record.ID, what)
	}
	return record, err
}

// say writes a line of the service's own to a trial's log.
func (t *tuning) say(record jobs.Trial, stream, format string, args ...any) {
	t.e.log.WriteTrial(record.ID, taskService, stream, fmt.Sprintf(format, args...))
}

// part returns the run of the job's replicas that a trial is.
func (t *tuning) part(ctx context.Context, record jobs.Trial, rooms map[jobs.Replica]room) part {
	run := part{ctx: ctx, rooms: rooms, ReplicaRun: jobs.ReplicaRun{Trial: record.ID, Metric: t.tag}}
	for _, v := range record.Parameters {
		// The guide has --name value, but what was seen is --name=value, which a parser takes for a negative number, too.
		// They stand behind the job's own, so that they win over a default there.
		run.Args = append(run.Args, "--"+v.Name+"="+v.Text())
	}
	if dir := t.e.Output().Dir; dir != "" {
		// Each trial's job directory is the one below that has its ID, as Google's samples knew: of the code that appends
		// the ID to an output directory, "it's already done for --job-dir". Of the base output directory aiplatform/v1
		// says the same.
		run.Output = strings.TrimRight(dir, "/") + "/" + record.ID
	}
	return run
}

// runWatched runs a trial's replicas, and stops them early if the job asks for that. It returns what the trial had
// reported before an early stop.
func (t *tuning) runWatched(run part, stop context.CancelCauseFunc) (seen []study.Measurement, err error) {
	var watch sync.WaitGroup
	watched, watching := context.WithCancel(run.ctx)
	if t.spec.EnableTrialEarlyStopping {
		watch.Go(func() { seen = t.watch(watched, run.rooms, stop) })
	}
	err = t.runReplicas(t.e, t.p, run)
	watching()
	watch.Wait()
	return seen, err
}

// measured returns what a trial has reported. Where an early stop tore the file, what was seen before it counts.
func (t *tuning) measured(record jobs.Trial, rooms map[jobs.Replica]room,
	seen []study.Measurement) ([]study.Measurement, error) {
	m, err := study.ReadMetrics(metricsFiles(rooms))
	if err != nil {
		return nil, err
	}
	values, err := m.Result(t.tag)
	if record.Stopped && (err != nil || len(values) < len(seen)) {
		return seen, nil
	}
	return values, err
}

// succeed notes the result of a trial.
func (t *tuning) succeed(record *jobs.Trial, values []study.Measurement) {
	record.State = jobs.Succeeded
	record.Final = &values[len(values)-1]
	record.All = values[max(0, len(values)-recorded(t.spec)):]
	early := "was stopped early and "
	if !record.Stopped {
		early = ""
		t.mu.Lock()
		t.curves = append(t.curves, values)
		t.mu.Unlock()
	}
	t.say(*record, stdout, "Trial %s %ssucceeded: %s is %v at step %d.",
		record.ID, early, t.tag, record.Final.Value, record.Final.Step)
}

// recorded returns how many measurements of each trial are kept.
func recorded(spec *job.HyperparameterSpec) int {
	return min(maxMeasurements, max(1, maxRecorded/int(max(spec.MaxTrials, 1))))
}

// watch stops a trial early and returns what it had reported until then.
func (t *tuning) watch(ctx context.Context, rooms map[jobs.Replica]room,
	stop context.CancelCauseFunc) []study.Measurement {
	poll := time.NewTicker(earlyPoll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-poll.C:
		}
		m, err := study.ReadMetrics(metricsFiles(rooms))
		if err != nil {
			continue // said at the trial's end
		}
		values := m.Values[t.tag]
		t.mu.Lock()
		ends := study.StopsEarly(t.better, values, t.curves)
		t.mu.Unlock()
		if ends {
			stop(errStoppedEarly)
			return values
		}
	}
}

// putTrial records a trial: a new one, or what became of it.
func (s *Service) putTrial(e *entry, t jobs.Trial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	trials := slices.Clone(e.Trials)
	if i := slices.IndexFunc(trials, func(o jobs.Trial) bool { return o.ID == t.ID }); i >= 0 {
		trials[i] = t
	} else {
		trials = append(trials, t)
	}
	e.Trials = trials
	e.Revision++
	if err := s.store.save(e.Record); err != nil {
		s.log.Error("a job's record was not written", "job_id", e.Job.JobID, "error", err)
	}
}

// endTrials ends those that an earlier service left under way in a job that was
// in a state.
func endTrials(trials []jobs.Trial, was jobs.State, now time.Time) []jobs.Trial {
	trials = slices.Clone(trials)
	for i := range trials {
		if t := &trials[i]; !t.State.Ended() {
			t.State, t.EndTime = jobs.Failed, now
			if was == jobs.Cancelling {
				t.State = jobs.Cancelled
			}
			t.Error = "The local training service was restarted while the trial was running."
		}
	}
	return trials
}

// trialEnv returns what a trial's replica is told besides its job's environment.
// metrics is the folder for its metrics, as its program sees it. The names are
// those that cloudml-hypertune and Google's samples read.
func trialEnv(run part, metrics string) []string {
	if run.Trial == "" {
		return nil
	}
	return []string{
		"CLOUD_ML_TRIAL_ID=" + run.Trial,
		"CLOUD_ML_HP_METRIC_FILE=" + path.Join(filepath.ToSlash(metrics), metricsFile),
		"CLOUD_ML_HP_METRIC_TAG=" + run.Metric,
	}
}

// metricsFile is what CLOUD_ML_HP_METRIC_FILE names, in a folder of each replica's own.
const metricsFile = "output.metrics"

// metricsFiles returns the replicas' files in the order in which they count: the master's, then those of evaluators.
func metricsFiles(rooms map[jobs.Replica]room) []string {
	rank := func(r jobs.Replica) int {
		return slices.Index([]string{jobs.RoleMaster, jobs.RoleEvaluator, jobs.RoleWorker, jobs.RolePS}, r.Role)
	}
	var files []string
	for _, r := range slices.SortedFunc(maps.Keys(rooms), func(a, b jobs.Replica) int {
		return cmp.Or(rank(a)-rank(b), a.Index-b.Index)
	}) {
		files = append(files, filepath.Join(rooms[r].metrics, metricsFile))
	}
	return files
}
