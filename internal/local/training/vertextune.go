package training

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"

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

// hyperparameters is the study as the runner tunes by it. A bound that is not
// given is 0, as the API's numbers are.
func (b *vertexBody) hyperparameters() *job.HyperparameterSpec {
	s := b.StudySpec
	h := &job.HyperparameterSpec{
		EnableTrialEarlyStopping: s.MedianAutomatedStoppingSpec != nil,
		MaxTrials:                b.MaxTrialCount, MaxParallelTrials: b.ParallelTrialCount, MaxFailedTrials: b.MaxFailedTrialCount,
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
func (vs *violations) study(b *vertexBody) {
	if b.MaxTrialCount <= 0 {
		vs.add("max_trial_count", "The number of trials must be greater than zero.")
	}
	if b.ParallelTrialCount <= 0 {
		vs.add("parallel_trial_count", "The number of parallel trials must be greater than zero.")
	}
	if b.MaxFailedTrialCount < 0 {
		vs.add("max_failed_trial_count", "The number must not be negative.")
	}
	s := b.StudySpec
	if s == nil {
		vs.add("study_spec", "The study spec is required.")
		return
	}
	switch n := len(s.Metrics); {
	case n == 0:
		vs.add("study_spec.metrics", "A metric is required.")
	case n > 1:
		vs.add("study_spec.metrics", "The local training service tunes for one metric, not for %d.", n)
	}
	for i, m := range s.Metrics {
		field := fmt.Sprintf("study_spec.metrics[%d]", i)
		if m.MetricID == "" || strings.ContainsFunc(m.MetricID, unicode.IsSpace) || strings.ContainsRune(m.MetricID, 0) {
			vs.add(field+".metric_id", "The metric ID %q must be given and must not contain whitespaces.", m.MetricID)
		}
		if m.Goal != "MAXIMIZE" && m.Goal != "MINIMIZE" {
			vs.add(field+".goal", "The goal is required: MAXIMIZE or MINIMIZE.")
		}
		if m.SafetyConfig != nil {
			vs.add(field+".safety_config", "The local training service has no safe search: leave it out.")
		}
	}
	if m := s.MedianAutomatedStoppingSpec; m != nil && m.UseElapsedDuration {
		vs.add("study_spec.median_automated_stopping_spec.use_elapsed_duration", "The local training service compares trials by their steps: leave it out.")
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
		{s.ObservationNoise != "" && s.ObservationNoise != "OBSERVATION_NOISE_UNSPECIFIED", "observation_noise", "has it no more than the cloud's"},
	} {
		if no.given {
			vs.add("study_spec."+no.name, "The local training service %s: leave it out.", no.why)
		}
	}
	for i := range s.Parameters {
		vs.parameter(fmt.Sprintf("study_spec.parameters[%d]", i), &s.Parameters[i])
	}
	h := b.hyperparameters()
	for _, v := range checkTuning(h) {
		field := vertexField(v.Field, h)
		// Those were told of in this API's words.
		if field != "max_failed_trial_count" && field != "parallel_trial_count" && (field != "max_trial_count" || b.MaxTrialCount > 0) && v.Description != "A parameter must have a type." {
			vs.add(field, "%s", v.Description)
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
			vs.add(field+".scale_type", "It must be left unset for CATEGORICAL parameters.")
		}
	}
	if d := p.DiscreteValueSpec; d != nil {
		kinds++
		preset = preset || d.DefaultValue != nil
		for i := 1; i < len(d.Values); i++ {
			if d.Values[i] < d.Values[i-1]+minApart {
				vs.add(field+".discrete_value_spec.values", "The values must be in increasing order and at least 1e-10 apart.")
				break
			}
		}
	}
	if kinds != 1 {
		vs.add(field, "Exactly one of double_value_spec, integer_value_spec, categorical_value_spec and discrete_value_spec is required.")
	}
	if preset {
		// The API: "Not supported by HyperparameterTuningJob".
		vs.add(field, "A default value is not supported by tuning jobs: leave it out.")
	}
	if len(p.ConditionalParameterSpecs) > 0 {
		vs.add(field+".conditional_parameter_specs", "The local training service has no conditional parameters: leave it out.")
	}
}

// paramField is a parameter's field as checkTuning names it.
var paramField = regexp.MustCompile(`^hyperparameters\.params\[(\d+)\]\.(\w+)$`)

// vertexField is this API's name of a field of ml/v1's hyperparameters.
func vertexField(name string, h *job.HyperparameterSpec) string {
	m := paramField.FindStringSubmatch(name)
	if m == nil {
		switch name {
		case "hyperparameters.max_trials":
			return "max_trial_count"
		case "hyperparameters.max_parallel_trials":
			return "parallel_trial_count"
		case "hyperparameters.max_failed_trials":
			return "max_failed_trial_count"
		}
		return "study_spec.parameters"
	}
	var i int
	_, _ = fmt.Sscan(m[1], &i) // digits
	field := "study_spec.parameters[" + m[1] + "]"
	switch m[2] {
	case "parameter_name":
		return field + ".parameter_id"
	case "min_value":
		return field + "." + strings.ToLower(h.Params[i].Type) + "_value_spec.min_value"
	case "discrete_values":
		return field + ".discrete_value_spec.values"
	case "categorical_values":
		return field + ".categorical_value_spec.values"
	}
	return field
}

// trialLimit is how long each trial of a job may run; 0 where the job as a whole
// is limited. This API's timeout is of the CustomJob that backs a trial.
func (e *entry) trialLimit() time.Duration {
	if e.Vertex == nil || e.Vertex.Collection != tuningJobs {
		return 0
	}
	d, _ := job.ParseDuration(e.body.spec().Scheduling.Timeout) // it was checked
	return cmp.Or(d, defaultMaxRunningTime)
}

// maxFailed is the name of the limit to a job's failed trials.
func (e *entry) maxFailed() string {
	if e.Vertex != nil {
		return "maxFailedTrialCount"
	}
	return "maxFailedTrials"
}

// vertexTrials are the job's trials as the API shows them. The caller holds mu.
func (e *entry) vertexTrials() []any {
	var all []any
	for _, t := range e.Trials {
		view := map[string]any{"id": t.ID, "startTime": t.StartTime}
		var parameters []any
		for _, p := range t.Parameters {
			var value any = p.Number
			if p.Categorical {
				value = p.Category
			}
			parameters = append(parameters, map[string]any{"parameterId": p.Name, "value": value})
		}
		view["parameters"] = parameters
		switch {
		case t.State == succeeded:
			view["state"] = "SUCCEEDED"
		case t.State.ended():
			view["state"], view["infeasibleReason"] = "INFEASIBLE", t.Error
		case e.Job.State == cancelling:
			view["state"] = "STOPPING"
		default:
			view["state"] = "ACTIVE"
		}
		if t.State.ended() {
			view["endTime"] = t.EndTime
		}
		if t.Final != nil {
			view["finalMeasurement"] = map[string]any{
				"stepCount": fmt.Sprint(t.Final.Step),
				"metrics":   []any{map[string]any{"metricId": metricTag(e.Job.TrainingInput.Hyperparameters), "value": t.Final.Value}},
			}
		}
		all = append(all, view)
	}
	return all
}
