package study

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

const (
	// MaxTrials and maxTrialText bound what a job's trials add to its record, which is written whole with each change.
	// The API states no limit.
	MaxTrials = 1000
	MaxText   = 2 << 20
	// maxDiscrete is the API's own limit.
	maxDiscrete = 1000
)

// Field names a field of a study, whatever an API calls it.
type Field int

// The fields of a study, and of one of its parameters.
const (
	FieldResume Field = iota
	FieldMaxTrials
	FieldMaxParallelTrials
	FieldMaxFailedTrials
	FieldParameters
	FieldParameterName
	FieldType
	FieldMinValue
	FieldDiscreteValues
	FieldCategoricalValues
)

// Fault is a rule that a study breaks.
type Fault struct {
	Field Field
	Param int // the parameter's index, if the field is one of a parameter
	Text  string
}

// Check holds a tuning job to the API's rules and to what this service does.
func Check(spec *job.HyperparameterSpec) []Fault {
	var faults []Fault
	add := func(field Field, format string, args ...any) {
		faults = append(faults, Fault{Field: field, Text: fmt.Sprintf(format, args...)})
	}
	if spec.ResumePreviousJobID != "" {
		add(FieldResume, "The local training service does not resume a study: leave resumePreviousJobId out, "+
			"and all trials are run anew.")
	}
	for _, n := range []struct {
		field Field
		value int32
	}{
		{FieldMaxTrials, spec.MaxTrials},
		{FieldMaxParallelTrials, spec.MaxParallelTrials},
		{FieldMaxFailedTrials, spec.MaxFailedTrials},
	} {
		if n.value < 0 {
			add(n.field, "The number must not be negative.")
		}
	}
	if spec.MaxTrials > MaxTrials {
		add(FieldMaxTrials, "The local training service runs at most %d trials.", MaxTrials)
	}
	if len(spec.Params) == 0 {
		add(FieldParameters, "A hyperparameter tuning job must have parameters.")
	}
	names, text := map[string]bool{}, 0
	for i, p := range spec.Params {
		add := func(field Field, format string, args ...any) {
			faults = append(faults, Fault{field, i, fmt.Sprintf(format, args...)})
		}
		switch {
		case p.ParameterName == "":
			add(FieldParameterName, "A parameter must have a name.")
		case !job.IsParameterName(p.ParameterName):
			add(FieldParameterName, "%q can't be the name of an argument, as in --%[1]s=1.", p.ParameterName)
		case names[p.ParameterName]:
			add(FieldParameterName, "The name %q must be unique.", p.ParameterName)
		}
		names[p.ParameterName] = true
		if field, text := checkSpace(p); text != "" {
			add(field, "%s", text)
		}
		if spec.Algorithm == "GRID_SEARCH" && p.Type == "DOUBLE" {
			add(FieldType, "To use grid search, all parameters must be INTEGER, CATEGORICAL, or DISCRETE.")
		}
		longest := 24 // a number
		for _, c := range p.CategoricalValues {
			longest = max(longest, len(c))
		}
		text += len(p.ParameterName) + longest
	}
	if text > MaxText/int(min(max(spec.MaxTrials, 1), MaxTrials)) {
		add(FieldParameters, "The names and values of %d trials have more than %d bytes, "+
			"which is more than the local training service keeps.", max(spec.MaxTrials, 1), MaxText)
	}
	return faults
}

// checkSpace holds a parameter's space to the API's rules. It returns the first that is broken, and the field to blame.
func checkSpace(p job.ParameterSpec) (field Field, text string) {
	logarithmic := p.ScaleType == "UNIT_LOG_SCALE" || p.ScaleType == "UNIT_REVERSE_LOG_SCALE"
	notPositive := "The entire feasible space must be strictly positive with the scale type " + p.ScaleType + "."
	switch p.Type {
	case "DOUBLE", "INTEGER":
		if p.MinValue == nil || p.MaxValue == nil {
			return FieldMinValue, "The bounds min_value and max_value must be given for the type " + p.Type + "."
		}
		lower, upper := *p.MinValue, *p.MaxValue
		switch {
		case lower > upper:
			return FieldMinValue, fmt.Sprintf("The value %v must not be greater than max_value, %v.", lower, upper)
		case logarithmic && lower <= 0:
			return FieldMinValue, notPositive
		case p.Type == "INTEGER" && (lower != math.Trunc(lower) || upper != math.Trunc(upper)):
			return FieldMinValue, "The bounds must be integers for the type INTEGER."
		case p.Type == "INTEGER" && (lower < -maxWhole || upper > maxWhole):
			return FieldMinValue, fmt.Sprintf("The bounds must be from %d to %d for the type INTEGER.", -maxWhole, maxWhole)
		}
	case "DISCRETE":
		switch {
		case len(p.DiscreteValues) == 0:
			return FieldDiscreteValues, "The values must be given for the type DISCRETE."
		case len(p.DiscreteValues) > maxDiscrete:
			return FieldDiscreteValues, fmt.Sprintf("There must not be more than %d values.", maxDiscrete)
		case logarithmic && slices.Min(p.DiscreteValues) <= 0:
			return FieldDiscreteValues, notPositive
		}
	case "CATEGORICAL":
		hasNull := func(c string) bool { return strings.ContainsRune(c, 0) }
		switch {
		case len(p.CategoricalValues) == 0:
			return FieldCategoricalValues, "The values must be given for the type CATEGORICAL."
		case slices.ContainsFunc(p.CategoricalValues, hasNull):
			return FieldCategoricalValues, "A value must not contain a null character."
		}
	default:
		return FieldType, "A parameter must have a type."
	}
	return 0, ""
}
