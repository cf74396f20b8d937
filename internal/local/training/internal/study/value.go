package study

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// defaultMetricTag is the API's own default, and that of the package cloudml-hypertune.
const defaultMetricTag = "training/hptuning/metric"

// MetricTag returns the tag of the metric that a tuning job looks for.
func MetricTag(spec *job.HyperparameterSpec) string {
	return cmp.Or(spec.HyperparameterMetricTag, defaultMetricTag)
}

// Value is a parameter's value in a trial: a number, or the text of a
// CATEGORICAL one.
type Value struct {
	Name        string  `json:"name"`
	Number      float64 `json:"number,omitempty"`
	Category    string  `json:"category,omitempty"`
	Categorical bool    `json:"categorical,omitempty"`
}

// Text returns the value as the trial's program and the API get it. A whole number
// has no exponent: a program that reads an int would refuse it.
func (v Value) Text() string {
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

// Measurement is a reported value of a metric; in ml/v1's form.
type Measurement struct {
	Step  int64   `json:"trainingStep,omitempty,string"`
	Value float64 `json:"objectiveValue"`
}

// BetterFor compares two values of a metric: positive where the first is the
// better one. The API: the goal defaults to MAXIMIZE.
func BetterFor(goal string) func(a, b float64) int {
	if goal == "MINIMIZE" {
		return func(a, b float64) int { return cmp.Compare(b, a) }
	}
	return cmp.Compare[float64]
}

// Describe returns the values as name=value, for messages.
func Describe(values []Value) string {
	var texts []string
	for _, v := range values {
		texts = append(texts, v.Name+"="+v.Text())
	}
	return Cut(strings.Join(texts, ", "), 500)
}
