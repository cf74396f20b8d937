package jobspec

import (
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

const hyperField = "trainingInput.hyperparameters"

// goalRequired: without a goal the metric is maximized, which may not be meant. The rule only warns.
//
// Source: reference, goal: "Required … Defaults to MAXIMIZE".
//
//	 trainingInput:
//	   hyperparameters:
//	+    goal: MINIMIZE
//	     params:
//	     - parameterName: rate
//	       type: DOUBLE
//	       minValue: 0.1
//	       maxValue: 1
func goalRequired(c *check) {
	h := c.in.Hyperparameters
	if h != nil && (h.Goal == "" || h.Goal == "GOAL_TYPE_UNSPECIFIED") && h.ResumePreviousJobID == "" {
		c.warn(hyperField+".goal", job.Violation{
			Message: "without a goal the metric is maximized",
			Allowed: "MAXIMIZE, MINIMIZE",
			Remedy:  "write goal: MAXIMIZE or goal: MINIMIZE",
		})
	}
}

// paramsRequired: hyperparameters has the parameters that trials try. They may be left out where a
// previous job is resumed.
//
// Source: reference, params: "Required"; Google's own samples.
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	+    params:
//	+    - parameterName: rate
//	+      type: DOUBLE
//	+      minValue: 0.1
//	+      maxValue: 1
func paramsRequired(c *check) {
	h := c.in.Hyperparameters
	if h != nil && len(h.Params) == 0 && h.ResumePreviousJobID == "" {
		c.fail(paramsField, job.Violation{
			Message: "hyperparameters has no params to tune",
			Remedy:  "write params: below hyperparameters, with a list of parameters, or remove hyperparameters",
		})
	}
}

// trialCount: numbers of trials are not negative. 0 is taken for the default, so there the rule only
// warns.
//
// Source: reference, maxTrials, maxParallelTrials and maxFailedTrials, by deduction.
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	-    maxTrials: -1
//	+    maxTrials: 10
//	     params:
//	     - parameterName: rate
//	       type: DOUBLE
//	       minValue: 0.1
//	       maxValue: 1
func trialCount(c *check) {
	h := c.in.Hyperparameters
	if h == nil {
		return
	}
	for _, f := range [...]struct {
		name  string
		count int32
	}{{"maxTrials", h.MaxTrials}, {"maxParallelTrials", h.MaxParallelTrials}, {"maxFailedTrials", h.MaxFailedTrials}} {
		field := hyperField + "." + f.name
		if f.count < 0 {
			c.fail(field, job.Violation{
				Message: "a number of trials can't be negative",
				Remedy:  "write the number of trials, or remove the field for the default",
			})
		}
		if p, written := c.f.places[field]; written && !p.null && f.count == 0 && f.name != "maxFailedTrials" {
			c.warn(field, job.Violation{
				Message: f.name + " 0 is taken for the default, 1",
				Found:   "0",
				Allowed: "1 or more",
				Remedy:  "write the number of trials, or remove the field",
			})
		}
	}
}

// parallelTrials: more trials run at once than there are in all. That is forbidden nowhere, so the
// rule only warns.
//
// Source: reference, maxTrials and maxParallelTrials: both default to one.
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	-    maxTrials: 2
//	+    maxTrials: 10
//	     maxParallelTrials: 5
//	     params:
//	     - parameterName: rate
//	       type: DOUBLE
//	       minValue: 0.1
//	       maxValue: 1
func parallelTrials(c *check) {
	h := c.in.Hyperparameters
	if h != nil && h.MaxParallelTrials > max(h.MaxTrials, 1) {
		c.warn(hyperField+".maxParallelTrials", job.Violation{
			Message: fmt.Sprintf("more trials at once than the %d there are to be", max(h.MaxTrials, 1)),
			Remedy:  "raise maxTrials or lower maxParallelTrials",
		})
	}
}

// paramNameRequired: a parameter has the name of the trainer's flag.
//
// Source: reference, parameterName: "Required".
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	     params:
//	+    - parameterName: rate
//	-    - type: DOUBLE
//	+      type: DOUBLE
//	       minValue: 0.1
//	       maxValue: 1
func paramNameRequired(c *check) {
	for i, p := range c.params() {
		if p.ParameterName == "" {
			c.fail(param(i, "parameterName"), job.Violation{
				Message: "the parameter has no name",
				Remedy:  "write parameterName: and the name of the trainer's flag, e.g. learning_rate",
			})
		}
	}
}

// paramNameFormat: a parameter's name has no leading dashes, spaces or equals signs: a trial passes
// --NAME=VALUE.
//
// Source: reference, parameterName, by its example, learning_rate.
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	     params:
//	-    - parameterName: --rate
//	+    - parameterName: rate
//	       type: DOUBLE
//	       minValue: 0.1
//	       maxValue: 1
func paramNameFormat(c *check) {
	for i, p := range c.params() {
		name := p.ParameterName
		if name == "" || job.IsParameterName(name) {
			continue
		}
		v := job.Violation{
			Message: "this is not a valid name of a parameter: a trial passes --NAME=VALUE",
			Allowed: "a name without leading dashes, spaces and =",
			Remedy:  "write the name of the trainer's flag, e.g. learning_rate",
		}
		guess, _, _ := strings.Cut(strings.TrimLeft(strings.TrimSpace(name), "-"), "=")
		if guess = strings.Join(strings.Fields(guess), "_"); job.IsParameterName(guess) {
			v.Remedy = "write " + show(guess)
		}
		c.fail(param(i, "parameterName"), v)
	}
}

// paramNameTwice: each parameter has a name of its own.
//
// Source: reference, parameterName: "must be unique".
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	     params:
//	     - {parameterName: rate, type: DOUBLE, minValue: 0.1, maxValue: 1}
//	-    - {parameterName: rate, type: INTEGER, minValue: 1, maxValue: 9}
//	+    - {parameterName: layers, type: INTEGER, minValue: 1, maxValue: 9}
func paramNameTwice(c *check) {
	first := map[string]int{}
	for i, p := range c.params() {
		if p.ParameterName == "" {
			continue
		}
		if j, twice := first[p.ParameterName]; twice {
			c.fail(param(i, "parameterName"), job.Violation{
				Message: fmt.Sprintf("params[%d] has the same name", j),
				Remedy:  "rename or remove one of the two",
			})
			continue
		}
		first[p.ParameterName] = i
	}
}

// paramNameInArgs: a trial passes --NAME=VALUE besides args, so that the flag is set twice. The rule
// only warns.
//
// Source: reference, parameterName and args.
//
//	 trainingInput:
//	-  args: [--rate=0.5]
//	   hyperparameters:
//	     goal: MAXIMIZE
//	     params:
//	     - parameterName: rate
//	       type: DOUBLE
//	       minValue: 0.1
//	       maxValue: 1
func paramNameInArgs(c *check) {
	if c.in.Hyperparameters == nil {
		return
	}
	args := map[string]int{}
	for i, arg := range c.in.Args {
		name, _, _ := strings.Cut(arg, "=")
		args[name] = i
	}
	for i, p := range c.params() {
		if j, there := args["--"+p.ParameterName]; there && p.ParameterName != "" {
			c.warn(param(i, "parameterName"), job.Violation{
				Message: fmt.Sprintf("args[%d] sets the same flag, which each trial sets as well", j),
				Remedy:  "remove it from args",
			})
		}
	}
}

// paramTypeRequired: a parameter has a type: DOUBLE, INTEGER, CATEGORICAL or DISCRETE.
//
// Source: reference, type: "Required"; unspecified "will result in an error".
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	     params:
//	     - parameterName: rate
//	+      type: DOUBLE
//	+      minValue: 0.1
//	+      maxValue: 1
func paramTypeRequired(c *check) {
	for i, p := range c.params() {
		if p.Type == "" || p.Type == "PARAMETER_TYPE_UNSPECIFIED" {
			c.fail(param(i, "type"), job.Violation{
				Message: "the parameter has no type",
				Allowed: "DOUBLE, INTEGER, CATEGORICAL, DISCRETE",
				Remedy:  "write type: and one of those allowed",
			})
		}
	}
}

func isRanged(p *job.ParameterSpec) bool { return p.Type == "DOUBLE" || p.Type == "INTEGER" }

// paramBounds: a parameter of type DOUBLE or INTEGER has a least and a greatest value.
//
// Source: reference, minValue and maxValue: "Required if type is DOUBLE or INTEGER".
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	     params:
//	     - parameterName: rate
//	       type: DOUBLE
//	       minValue: 0.1
//	+      maxValue: 1
func paramBounds(c *check) {
	for i, p := range c.params() {
		if !isRanged(p) {
			continue
		}
		if p.MinValue == nil {
			c.failFrom(param(i, "type"), param(i, "minValue"), job.Violation{
				Message: fmt.Sprintf("a parameter of type %s needs minValue", p.Type),
				Remedy:  "write minValue: and the least value to try",
			})
		}
		if p.MaxValue == nil {
			c.failFrom(param(i, "type"), param(i, "maxValue"), job.Violation{
				Message: fmt.Sprintf("a parameter of type %s needs maxValue", p.Type),
				Remedy:  "write maxValue: and the greatest value to try",
			})
		}
	}
}

// paramBoundsOrder: minValue is not greater than maxValue. One value alone is a range.
//
// Source: reference, minValue and maxValue, by deduction.
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	     params:
//	     - parameterName: rate
//	       type: DOUBLE
//	-      minValue: 1
//	+      minValue: 0.1
//	-      maxValue: 0.1
//	+      maxValue: 1
func paramBoundsOrder(c *check) {
	for i, p := range c.params() {
		if isRanged(p) && p.MinValue != nil && p.MaxValue != nil && *p.MinValue > *p.MaxValue {
			c.fail(param(i, "minValue"), job.Violation{
				Message: fmt.Sprintf("minValue is greater than maxValue, %g", *p.MaxValue),
				Remedy:  "exchange the two",
			})
		}
	}
}

// integerBounds yields the bounds of the parameters of type INTEGER, with their fields.
func (c *check) integerBounds() iter.Seq2[string, float64] {
	return func(yield func(field string, bound float64) bool) {
		for i, p := range c.params() {
			if p.Type != "INTEGER" {
				continue
			}
			if p.MinValue != nil && !yield(param(i, "minValue"), *p.MinValue) ||
				p.MaxValue != nil && !yield(param(i, "maxValue"), *p.MaxValue) {
				return
			}
		}
	}
}

// paramBoundsInteger: the bounds of a parameter of type INTEGER are whole numbers.
//
// Source: reference, minValue: "should be integers if type is INTEGER".
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	     params:
//	     - parameterName: layers
//	       type: INTEGER
//	-      minValue: 0.5
//	+      minValue: 1
//	       maxValue: 9
func paramBoundsInteger(c *check) {
	for field, bound := range c.integerBounds() {
		if bound != math.Trunc(bound) {
			c.fail(field, job.Violation{
				Message: "a bound of a parameter of type INTEGER must be a whole number",
				Remedy:  "write a whole number, or type: DOUBLE",
			})
		}
	}
}

// maxExact is up to where every whole number is a number of JSON.
const maxExact = 1<<53 - 1

// paramBoundsExact: bounds are doubles, which stand for some of the larger whole numbers only. Some
// services refuse such bounds, so the rule only warns.
//
// Source: reference, minValue and maxValue: numbers of JSON.
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	     params:
//	     - parameterName: seed
//	       type: INTEGER
//	       minValue: 1
//	-      maxValue: 100000000000000000
//	+      maxValue: 1000000000
func paramBoundsExact(c *check) {
	for field, bound := range c.integerBounds() {
		if math.Abs(bound) > maxExact {
			c.warn(field, job.Violation{
				Message: "not every whole number so far from zero can be a trial's value: some services refuse the bound",
				Allowed: fmt.Sprintf("-%d to %[1]d", int64(maxExact)),
				Remedy:  "write a bound nearer to zero, or type: DOUBLE",
			})
		}
	}
}

// paramLogScale: a logarithmic scale needs values above 0.
//
// Source: reference, scaleType: for both logarithmic scales "the entire feasible space must be
// strictly positive".
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	     params:
//	     - parameterName: rate
//	       type: DOUBLE
//	-      minValue: 0
//	+      minValue: 0.001
//	       maxValue: 1
//	       scaleType: UNIT_LOG_SCALE
func paramLogScale(c *check) {
	for i, p := range c.params() {
		if p.ScaleType != "UNIT_LOG_SCALE" && p.ScaleType != "UNIT_REVERSE_LOG_SCALE" {
			continue
		}
		v := job.Violation{
			Message: "the scale " + p.ScaleType + " needs values above 0",
			Allowed: "more than 0",
			Remedy:  "raise the value above 0, or write scaleType: UNIT_LINEAR_SCALE",
		}
		if isRanged(p) && p.MinValue != nil && *p.MinValue <= 0 {
			c.fail(param(i, "minValue"), v)
		}
		if p.Type != "DISCRETE" {
			continue
		}
		for j, value := range p.DiscreteValues {
			if value <= 0 {
				c.fail(element(param(i, "discreteValues"), j), v)
				break
			}
		}
	}
}

// paramCategories: a parameter of type CATEGORICAL has its values in categoricalValues.
//
// Source: reference, categoricalValues: "Required if type is CATEGORICAL".
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	     params:
//	     - parameterName: optimizer
//	       type: CATEGORICAL
//	+      categoricalValues: [adam, sgd]
func paramCategories(c *check) {
	for i, p := range c.params() {
		if p.Type == "CATEGORICAL" && len(p.CategoricalValues) == 0 {
			c.failFrom(param(i, "type"), param(i, "categoricalValues"), job.Violation{
				Message: "a parameter of type CATEGORICAL needs categoricalValues",
				Remedy:  "write categoricalValues: and a list of texts in quotes",
			})
		}
	}
}

// paramValues: a parameter of type DISCRETE has its values in discreteValues.
//
// Source: reference, discreteValues: "Required if type is DISCRETE".
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	     params:
//	     - parameterName: batch
//	       type: DISCRETE
//	+      discreteValues: [32, 64]
func paramValues(c *check) {
	for i, p := range c.params() {
		if p.Type == "DISCRETE" && len(p.DiscreteValues) == 0 {
			c.failFrom(param(i, "type"), param(i, "discreteValues"), job.Violation{
				Message: "a parameter of type DISCRETE needs discreteValues",
				Remedy:  "write discreteValues: and a list of numbers",
			})
		}
	}
}

// maxDiscreteValues: reference, discreteValues.
const maxDiscreteValues = 1000

// paramValuesCount: a parameter has at most 1,000 discrete values.
//
// Source: reference, discreteValues: not "more than 1,000 values".
//
// For example: discreteValues with 1,001 numbers; with 1,000 the job passes.
func paramValuesCount(c *check) {
	for i, p := range c.params() {
		if n := len(p.DiscreteValues); n > maxDiscreteValues && p.Type == "DISCRETE" {
			c.fail(param(i, "discreteValues"), job.Violation{
				Message: "there are too many values",
				Found:   strconv.Itoa(n),
				Allowed: fmt.Sprintf("at most %d", maxDiscreteValues),
				Remedy:  "remove values, or use type DOUBLE or INTEGER with bounds",
			})
		}
	}
}

// paramValuesOrder: discrete values increase strictly. What the service does with another order is not
// known, so the rule only warns.
//
// Source: reference, discreteValues: "should be in strictly increasing order".
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	     params:
//	     - parameterName: batch
//	       type: DISCRETE
//	-      discreteValues: [64, 32]
//	+      discreteValues: [32, 64]
func paramValuesOrder(c *check) {
	for i, p := range c.params() {
		if p.Type != "DISCRETE" {
			continue
		}
		for j := 1; j < len(p.DiscreteValues); j++ {
			if p.DiscreteValues[j] <= p.DiscreteValues[j-1] {
				c.warn(element(param(i, "discreteValues"), j), job.Violation{
					Message: "the values should increase strictly",
					Remedy:  "sort the values and remove repeated ones",
				})
				break
			}
		}
	}
}

// paramUnused: a field has no meaning for a parameter of this type. The rule only warns.
//
// Source: reference: bounds are for DOUBLE and INTEGER, categoricalValues for CATEGORICAL,
// discreteValues for DISCRETE; scaleType: "Leave unset for categorical parameters".
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	     params:
//	     - parameterName: batch
//	       type: DISCRETE
//	       discreteValues: [32, 64]
//	-      maxValue: 64
func paramUnused(c *check) {
	for i, p := range c.params() {
		if p.Type == "" || p.Type == "PARAMETER_TYPE_UNSPECIFIED" {
			continue
		}
		for _, f := range [...]struct {
			name      string
			set, used bool
		}{
			{"minValue", p.MinValue != nil, isRanged(p)},
			{"maxValue", p.MaxValue != nil, isRanged(p)},
			{"categoricalValues", len(p.CategoricalValues) > 0, p.Type == "CATEGORICAL"},
			{"discreteValues", len(p.DiscreteValues) > 0, p.Type == "DISCRETE"},
			{"scaleType", p.ScaleType != "" && p.ScaleType != "NONE", p.Type != "CATEGORICAL"},
		} {
			if f.set && !f.used {
				c.warn(param(i, f.name), job.Violation{
					Message: f.name + " has no meaning for a parameter of type " + p.Type,
					Remedy:  "remove it",
				})
			}
		}
	}
}

// gridSearch: a grid search tries every value, which a parameter of type DOUBLE does not allow.
//
// Source: reference, GRID_SEARCH: every parameter must be INTEGER, CATEGORICAL or DISCRETE.
//
//	 trainingInput:
//	   hyperparameters:
//	     goal: MAXIMIZE
//	     algorithm: GRID_SEARCH
//	     params:
//	     - parameterName: rate
//	+      type: DISCRETE
//	+      discreteValues: [0.1, 0.5, 1]
//	-      type: DOUBLE
//	-      minValue: 0.1
//	-      maxValue: 1
func gridSearch(c *check) {
	if c.in.Hyperparameters == nil || c.in.Hyperparameters.Algorithm != "GRID_SEARCH" {
		return
	}
	for i, p := range c.params() {
		if p.Type == "DOUBLE" {
			c.fail(param(i, "type"), job.Violation{
				Message: "algorithm GRID_SEARCH can't try every value of a parameter of type DOUBLE",
				Allowed: "INTEGER, CATEGORICAL, DISCRETE",
				Remedy:  "write type: DISCRETE with discreteValues, or remove the algorithm",
			})
		}
	}
}
