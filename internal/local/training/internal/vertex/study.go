package vertex

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/study"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// studySpec is StudySpec.
type studySpec struct {
	Algorithm  string          `json:"algorithm"`
	Metrics    []metricSpec    `json:"metrics"`
	Parameters []parameterSpec `json:"parameters"`

	MedianAutomatedStoppingSpec *struct {
		UseElapsedDuration bool `json:"useElapsedDuration"`
	} `json:"medianAutomatedStoppingSpec"`
	ConvexAutomatedStoppingSpec *struct{} `json:"convexAutomatedStoppingSpec"`
	DecayCurveStoppingSpec      *struct{} `json:"decayCurveStoppingSpec"`
	StudyStoppingConfig         *struct{} `json:"studyStoppingConfig"`
	MeasurementSelectionType    string    `json:"measurementSelectionType"`
	ObservationNoise            string    `json:"observationNoise"`
}

type metricSpec struct {
	MetricID     string    `json:"metricId"`
	Goal         string    `json:"goal"`
	SafetyConfig *struct{} `json:"safetyConfig"`
}

type parameterSpec struct {
	ParameterID     string `json:"parameterId"`
	ScaleType       string `json:"scaleType"`
	DoubleValueSpec *struct {
		MinValue     float64  `json:"minValue"`
		MaxValue     float64  `json:"maxValue"`
		DefaultValue *float64 `json:"defaultValue"`
	} `json:"doubleValueSpec"`
	IntegerValueSpec *struct {
		MinValue     int64  `json:"minValue,string"`
		MaxValue     int64  `json:"maxValue,string"`
		DefaultValue *int64 `json:"defaultValue,string"`
	} `json:"integerValueSpec"`
	CategoricalValueSpec *struct {
		Values       []string `json:"values"`
		DefaultValue *string  `json:"defaultValue"`
	} `json:"categoricalValueSpec"`
	DiscreteValueSpec *struct {
		Values       []float64 `json:"values"`
		DefaultValue *float64  `json:"defaultValue"`
	} `json:"discreteValueSpec"`
	ConditionalParameterSpecs []struct{} `json:"conditionalParameterSpecs"`
}

// hyperparameters returns the study as the runner tunes by it. A bound that is not
// given is 0, as the API's numbers are.
func (b *jobBody) hyperparameters() *job.HyperparameterSpec {
	s := b.StudySpec
	h := &job.HyperparameterSpec{
		EnableTrialEarlyStopping: s.MedianAutomatedStoppingSpec != nil,
		MaxTrials:                b.MaxTrialCount, MaxParallelTrials: b.ParallelTrialCount,
		MaxFailedTrials: b.MaxFailedTrialCount,
	}
	if s.Algorithm != "ALGORITHM_UNSPECIFIED" {
		h.Algorithm = s.Algorithm
	}
	if len(s.Metrics) > 0 {
		h.Goal, h.HyperparameterMetricTag = s.Metrics[0].Goal, s.Metrics[0].MetricID
	}
	for _, p := range s.Parameters {
		out := job.ParameterSpec{ParameterName: p.ParameterID}
		if p.ScaleType != "SCALE_TYPE_UNSPECIFIED" {
			out.ScaleType = p.ScaleType
		}
		switch {
		case p.DoubleValueSpec != nil:
			out.Type, out.MinValue, out.MaxValue = "DOUBLE", &p.DoubleValueSpec.MinValue, &p.DoubleValueSpec.MaxValue
		case p.IntegerValueSpec != nil:
			lower, upper := float64(p.IntegerValueSpec.MinValue), float64(p.IntegerValueSpec.MaxValue)
			out.Type, out.MinValue, out.MaxValue = "INTEGER", &lower, &upper
		case p.CategoricalValueSpec != nil:
			out.Type, out.CategoricalValues = "CATEGORICAL", p.CategoricalValueSpec.Values
		case p.DiscreteValueSpec != nil:
			out.Type, out.DiscreteValues = "DISCRETE", p.DiscreteValueSpec.Values
		}
		h.Params = append(h.Params, out)
	}
	return h
}

// minApart is how far the values of a discrete parameter are from each other at
// least, by the API.
const minApart = 1e-10

// study holds a tuning job to the API's rules and to what this service does. The
// rules that ml/v1 has, too, are checked as there, under other names.
func (vs *violations) study(b *jobBody) {
	if b.MaxTrialCount <= 0 {
		vs.Add("max_trial_count", "The number of trials must be greater than zero.")
	}
	if b.ParallelTrialCount <= 0 {
		vs.Add("parallel_trial_count", "The number of parallel trials must be greater than zero.")
	}
	if b.MaxFailedTrialCount < 0 {
		vs.Add("max_failed_trial_count", "The number must not be negative.")
	}
	s := b.StudySpec
	if s == nil {
		vs.Add("study_spec", "The study spec is required.")
		return
	}
	switch n := len(s.Metrics); {
	case n == 0:
		vs.Add("study_spec.metrics", "A metric is required.")
	case n > 1:
		vs.Add("study_spec.metrics", "The local training service tunes for one metric, not for %d.", n)
	}
	for i, m := range s.Metrics {
		field := fmt.Sprintf("study_spec.metrics[%d]", i)
		if m.MetricID == "" || strings.ContainsFunc(m.MetricID, unicode.IsSpace) || strings.ContainsRune(m.MetricID, 0) {
			vs.Add(field+".metric_id", "The metric ID %q must be given and must not contain whitespaces.", m.MetricID)
		}
		if m.Goal != "MAXIMIZE" && m.Goal != "MINIMIZE" {
			vs.Add(field+".goal", "The goal is required: MAXIMIZE or MINIMIZE.")
		}
		if m.SafetyConfig != nil {
			vs.Add(field+".safety_config", "The local training service has no safe search: leave it out.")
		}
	}
	if m := s.MedianAutomatedStoppingSpec; m != nil && m.UseElapsedDuration {
		vs.Add("study_spec.median_automated_stopping_spec.use_elapsed_duration", "The local training service compares "+
			"trials by their steps: leave it out.")
	}
	for _, no := range []struct {
		given bool
		name  string
		why   string
	}{
		{s.ConvexAutomatedStoppingSpec != nil, "convex_automated_stopping_spec", "stops trials by the median rule only"},
		{s.DecayCurveStoppingSpec != nil, "decay_curve_stopping_spec", "stops trials by the median rule only"},
		{s.StudyStoppingConfig != nil, "study_stopping_config", "ends a study with its last trial only"},
		{s.MeasurementSelectionType == "BEST_MEASUREMENT", "measurement_selection_type", "takes a trial's last measurement"},
		// The API: "Not supported by HyperparameterTuningJob".
		{s.ObservationNoise != "" && s.ObservationNoise != "OBSERVATION_NOISE_UNSPECIFIED", "observation_noise",
			"has it no more than the cloud's"},
	} {
		if no.given {
			vs.Add("study_spec."+no.name, "The local training service %s: leave it out.", no.why)
		}
	}
	for i := range s.Parameters {
		vs.parameter(fmt.Sprintf("study_spec.parameters[%d]", i), &s.Parameters[i])
	}
	h := b.hyperparameters()
	for _, f := range study.Check(h) {
		// Those that are left out were told of above, in this API's words.
		switch {
		case f.Field == study.FieldMaxFailedTrials, f.Field == study.FieldMaxParallelTrials:
		case f.Field == study.FieldMaxTrials && b.MaxTrialCount <= 0:
		case f.Field == study.FieldType && h.Params[f.Param].Type == "":
		default:
			vs.Add(studyField(f, h), "%s", f.Text)
		}
	}
}

func (vs *violations) parameter(field string, p *parameterSpec) {
	kinds, preset := 0, false
	if p.DoubleValueSpec != nil {
		kinds++
		preset = preset || p.DoubleValueSpec.DefaultValue != nil
	}
	if p.IntegerValueSpec != nil {
		kinds++
		preset = preset || p.IntegerValueSpec.DefaultValue != nil
	}
	if p.CategoricalValueSpec != nil {
		kinds++
		preset = preset || p.CategoricalValueSpec.DefaultValue != nil
		if p.ScaleType != "" && p.ScaleType != "SCALE_TYPE_UNSPECIFIED" {
			vs.Add(field+".scale_type", "It must be left unset for CATEGORICAL parameters.")
		}
	}
	if d := p.DiscreteValueSpec; d != nil {
		kinds++
		preset = preset || d.DefaultValue != nil
		for i := 1; i < len(d.Values); i++ {
			if d.Values[i] < d.Values[i-1]+minApart {
				vs.Add(field+".discrete_value_spec.values", "The values must be in increasing order and at least 1e-10 apart.")
				break
			}
		}
	}
	if kinds != 1 {
		vs.Add(field, "Exactly one of double_value_spec, integer_value_spec, categorical_value_spec and "+
			"discrete_value_spec is required.")
	}
	if preset {
		// The API: "Not supported by HyperparameterTuningJob".
		vs.Add(field, "A default value is not supported by tuning jobs: leave it out.")
	}
	if len(p.ConditionalParameterSpecs) > 0 {
		vs.Add(field+".conditional_parameter_specs", "The local training service has no conditional parameters: leave it "+
			"out.")
	}
}

// studyField returns this API's name of a study's field.
func studyField(f study.Fault, h *job.HyperparameterSpec) string {
	param := fmt.Sprintf("study_spec.parameters[%d]", f.Param)
	switch f.Field {
	case study.FieldMaxTrials:
		return "max_trial_count"
	case study.FieldMaxParallelTrials:
		return "parallel_trial_count"
	case study.FieldMaxFailedTrials:
		return "max_failed_trial_count"
	case study.FieldParameterName:
		return param + ".parameter_id"
	case study.FieldMinValue:
		return param + "." + strings.ToLower(h.Params[f.Param].Type) + "_value_spec.min_value"
	case study.FieldDiscreteValues:
		return param + ".discrete_value_spec.values"
	case study.FieldCategoricalValues:
		return param + ".categorical_value_spec.values"
	case study.FieldType:
		return param
	}
	return "study_spec.parameters"
}
