package training

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// defaultMetricTag is the API's own, and that of the package cloudml-hypertune.
const defaultMetricTag = "training/hptuning/metric"

// trial is one run of a tuning job's replicas as it is kept on disk. Its maps
// and slices are replaced, never changed: readers hold them without mu.
type trial struct {
	ID         string           `json:"id"` // counts from 1
	State      state            `json:"state"`
	Parameters []parameterValue `json:"parameters,omitempty"` // in the order of the spec's params
	Final      *measurement     `json:"final,omitempty"`
	All        []measurement    `json:"all,omitempty"` // of the metric that is tuned, as reported; the newest, where there are many
	StartTime  time.Time        `json:"startTime,omitzero"`
	EndTime    time.Time        `json:"endTime,omitzero"`
	Stopped    bool             `json:"stopped,omitempty"` // early
	Error      string           `json:"error,omitempty"`   // why it failed
}

// parameterValue is a parameter's value in a trial: a number, or the text of a
// CATEGORICAL one.
type parameterValue struct {
	Name        string  `json:"name"`
	Number      float64 `json:"number,omitempty"`
	Category    string  `json:"category,omitempty"`
	Categorical bool    `json:"categorical,omitempty"`
}

// text is the value as the trial's program and the API get it. A whole number
// has no exponent: a program that reads an int would refuse it.
func (v parameterValue) text() string {
	switch {
	case v.Categorical:
		return v.Category
	case v.Number == float64(int64(v.Number)) && -maxWhole <= v.Number && v.Number <= maxWhole:
		return strconv.FormatInt(int64(v.Number), 10)
	}
	return strconv.FormatFloat(v.Number, 'g', -1, 64)
}

// maxWhole is the greatest number up to which every whole one and the next are
// float64s.
const maxWhole = 1<<53 - 1

// measurement is a reported value of a metric; in ml/v1's form.
type measurement struct {
	Step  int64   `json:"trainingStep,omitempty,string"`
	Value float64 `json:"objectiveValue"`
}

// trainingOutput is ml/v1's TrainingOutput.
type trainingOutput struct {
	CompletedTrialCount       int64         `json:"completedTrialCount,omitempty,string"`
	Trials                    []trialOutput `json:"trials,omitempty"`
	IsHyperparameterTuningJob bool          `json:"isHyperparameterTuningJob,omitempty"`
	HyperparameterMetricTag   string        `json:"hyperparameterMetricTag,omitempty"`
}

// trialOutput is ml/v1's HyperparameterOutput.
type trialOutput struct {
	TrialID             string            `json:"trialId"`
	Hyperparameters     map[string]string `json:"hyperparameters,omitempty"`
	FinalMetric         *measurement      `json:"finalMetric,omitempty"`
	AllMetrics          []measurement     `json:"allMetrics,omitempty"`
	StartTime           time.Time         `json:"startTime,omitzero"`
	EndTime             time.Time         `json:"endTime,omitzero"`
	State               state             `json:"state,omitempty"`
	IsTrialStoppedEarly bool              `json:"isTrialStoppedEarly,omitempty"`
}

// metricTag is the metric that a tuning job looks for.
func metricTag(spec *job.HyperparameterSpec) string {
	return cmp.Or(spec.HyperparameterMetricTag, defaultMetricTag)
}

// outputOf is what the API shows of a job's trials; nil for a job without tuning.
// The best trial is the first, as Google's own scripts expect
// (trainingOutput.trials[0]); those without a result follow by their IDs.
func outputOf(spec *job.HyperparameterSpec, trials []trial) *trainingOutput {
	if spec == nil {
		return nil
	}
	out := &trainingOutput{IsHyperparameterTuningJob: true, HyperparameterMetricTag: metricTag(spec)}
	better := betterFor(spec.Goal)
	for _, t := range slices.SortedStableFunc(slices.Values(trials), func(a, b trial) int {
		switch {
		case a.succeeded() && b.succeeded():
			return -better(a.Final.Value, b.Final.Value)
		case a.succeeded():
			return -1
		case b.succeeded():
			return 1
		}
		return 0 // trials are kept in the order of their IDs
	}) {
		if t.succeeded() {
			out.CompletedTrialCount++
		}
		o := trialOutput{
			TrialID: t.ID, FinalMetric: t.Final, AllMetrics: t.All, StartTime: t.StartTime, EndTime: t.EndTime,
			State: t.State, IsTrialStoppedEarly: t.Stopped, Hyperparameters: map[string]string{},
		}
		for _, v := range t.Parameters {
			o.Hyperparameters[v.Name] = v.text()
		}
		out.Trials = append(out.Trials, o)
	}
	return out
}

func (t *trial) succeeded() bool { return t.State == succeeded && t.Final != nil }

// betterFor compares two values of a metric: positive where the first is the
// better one. The API: the goal defaults to MAXIMIZE.
func betterFor(goal string) func(a, b float64) int {
	if goal == "MINIMIZE" {
		return func(a, b float64) int { return cmp.Compare(b, a) }
	}
	return cmp.Compare[float64]
}
