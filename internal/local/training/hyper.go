package training

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	// maxTrials and maxTrialText bound what a job's trials add to its record,
	// which is written whole with each change. The API states no limit.
	maxTrials    = 1000
	maxTrialText = 2 << 20
	// maxDiscrete is the API's own limit.
	maxDiscrete = 1000
)

// parameterName is what can stand before the equals sign of an argument.
var parameterName = regexp.MustCompile(`^[^\s=\x00-][^\s=\x00]*$`)

// parallelTrials is how many trials run at once: by the API one, if nothing is
// said.
func parallelTrials(spec *job.HyperparameterSpec) int {
	return int(min(max(spec.MaxParallelTrials, 1), max(spec.MaxTrials, 1)))
}

// checkTuning holds a tuning job to the API's rules and to what this service
// does.
func checkTuning(spec *job.HyperparameterSpec) []fieldViolation {
	var vs []fieldViolation
	add := func(field, format string, args ...any) {
		vs = append(vs, fieldViolation{"hyperparameters." + field, fmt.Sprintf(format, args...)})
	}
	if spec.ResumePreviousJobID != "" {
		add("resume_previous_job_id", "The local training service does not resume a study: leave resumePreviousJobId out, and all trials are run anew.")
	}
	for _, n := range []struct {
		field string
		value int32
	}{{"max_trials", spec.MaxTrials}, {"max_parallel_trials", spec.MaxParallelTrials}, {"max_failed_trials", spec.MaxFailedTrials}} {
		if n.value < 0 {
			add(n.field, "The number must not be negative.")
		}
	}
	if spec.MaxTrials > maxTrials {
		add("max_trials", "The local training service runs at most %d trials.", maxTrials)
	}
	if len(spec.Params) == 0 {
		add("params", "A hyperparameter tuning job must have parameters.")
	}
	names, text := map[string]bool{}, 0
	for i, p := range spec.Params {
		add := func(field, format string, args ...any) { add(fmt.Sprintf("params[%d].%s", i, field), format, args...) }
		switch {
		case p.ParameterName == "":
			add("parameter_name", "A parameter must have a name.")
		case !parameterName.MatchString(p.ParameterName):
			add("parameter_name", "%q can't be the name of an argument, as in --%[1]s=1.", p.ParameterName)
		case names[p.ParameterName]:
			add("parameter_name", "The name %q must be unique.", p.ParameterName)
		}
		names[p.ParameterName] = true
		vs = append(vs, checkParameter(i, p)...)
		if spec.Algorithm == "GRID_SEARCH" && p.Type == "DOUBLE" {
			add("type", "To use grid search, all parameters must be INTEGER, CATEGORICAL, or DISCRETE.")
		}
		longest := 24 // a number
		for _, c := range p.CategoricalValues {
			longest = max(longest, len(c))
		}
		text += len(p.ParameterName) + longest
	}
	if text > maxTrialText/int(min(max(spec.MaxTrials, 1), maxTrials)) {
		add("params", "The names and values of %d trials have more than %d bytes, which is more than the local training service keeps.", max(spec.MaxTrials, 1), maxTrialText)
	}
	return vs
}

// checkParameter holds a parameter's space to the API's rules.
func checkParameter(i int, p job.ParameterSpec) []fieldViolation {
	var vs []fieldViolation
	add := func(field, format string, args ...any) {
		vs = append(vs, fieldViolation{fmt.Sprintf("hyperparameters.params[%d].%s", i, field), fmt.Sprintf(format, args...)})
	}
	logarithmic := p.ScaleType == "UNIT_LOG_SCALE" || p.ScaleType == "UNIT_REVERSE_LOG_SCALE"
	switch p.Type {
	case "DOUBLE", "INTEGER":
		if p.MinValue == nil || p.MaxValue == nil {
			add("min_value", "The bounds min_value and max_value must be given for the type %s.", p.Type)
			return vs
		}
		lower, upper := *p.MinValue, *p.MaxValue
		switch {
		case lower > upper:
			add("min_value", "The value %v must not be greater than max_value, %v.", lower, upper)
		case logarithmic && lower <= 0:
			add("min_value", "The entire feasible space must be strictly positive with the scale type %s.", p.ScaleType)
		case p.Type == "INTEGER" && (lower != math.Trunc(lower) || upper != math.Trunc(upper)):
			add("min_value", "The bounds must be integers for the type INTEGER.")
		case p.Type == "INTEGER" && (lower < -maxWhole || upper > maxWhole):
			add("min_value", "The bounds must be from %d to %d for the type INTEGER.", -maxWhole, maxWhole)
		}
	case "DISCRETE":
		switch {
		case len(p.DiscreteValues) == 0:
			add("discrete_values", "The values must be given for the type DISCRETE.")
		case len(p.DiscreteValues) > maxDiscrete:
			add("discrete_values", "There must not be more than %d values.", maxDiscrete)
		case logarithmic && slices.Min(p.DiscreteValues) <= 0:
			add("discrete_values", "The entire feasible space must be strictly positive with the scale type %s.", p.ScaleType)
		}
	case "CATEGORICAL":
		switch {
		case len(p.CategoricalValues) == 0:
			add("categorical_values", "The values must be given for the type CATEGORICAL.")
		case slices.ContainsFunc(p.CategoricalValues, func(c string) bool { return strings.ContainsRune(c, 0) }):
			add("categorical_values", "A value must not contain a null character.")
		}
	default:
		add("type", "A parameter must have a type.")
	}
	return vs
}
