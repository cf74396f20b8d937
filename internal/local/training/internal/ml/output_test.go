package ml

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/study"
	"github.com/jobdrop/jobdrop/pkg/job"
)

func TestOutputOf(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	trials := []jobs.Trial{
		{ID: "1", State: jobs.Failed, Error: "why"},
		{ID: "2", State: jobs.Succeeded, Final: &study.Measurement{Step: 7, Value: 0.5},
			All: []study.Measurement{{Step: 7, Value: 0.5}}, StartTime: at, EndTime: at,
			Parameters: []study.Value{{Name: "a", Number: 1e6}, {Name: "b", Categorical: true, Category: "x"}}},
		{ID: "3", State: jobs.Succeeded, Final: &study.Measurement{}, Stopped: true},
		{ID: "4", State: jobs.Succeeded, Final: &study.Measurement{Value: 0.5}},
		{ID: "5", State: jobs.Running},
	}
	for goal, want := range map[string]string{
		"": "2 4 3 1 5", "MAXIMIZE": "2 4 3 1 5", "MINIMIZE": "3 2 4 1 5",
	} {
		out := outputOf(&job.HyperparameterSpec{Goal: goal}, trials)
		var ids []string
		for _, o := range out.Trials {
			ids = append(ids, o.TrialID)
		}
		if got := strings.Join(ids, " "); got != want || out.CompletedTrialCount != 3 ||
			out.HyperparameterMetricTag != "training/hptuning/metric" {
			t.Errorf("%q: %s, want %s; %+v", goal, got, want, out)
		}
	}
	data, err := json.Marshal(outputOf(&job.HyperparameterSpec{}, trials[1:3]))
	want := `{"completedTrialCount":"2","trials":[` +
		`{"trialId":"2","hyperparameters":{"a":"1000000","b":"x"},"finalMetric":{"trainingStep":"7","objectiveValue":0.5},"allMetrics":[{"trainingStep":"7","objectiveValue":0.5}],` +
		`"startTime":"2026-01-02T03:04:05Z","endTime":"2026-01-02T03:04:05Z","state":"SUCCEEDED"},` +
		`{"trialId":"3","finalMetric":{"objectiveValue":0},"state":"SUCCEEDED","isTrialStoppedEarly":true}],` +
		`"isHyperparameterTuningJob":true,"hyperparameterMetricTag":"training/hptuning/metric"}`
	if diff := cmp.Diff(want, string(data)); diff != "" || err != nil {
		t.Errorf("JSON (-want +got): %v\n%s", err, diff)
	}
	if out := outputOf(nil, nil); out != nil {
		t.Errorf("without tuning: %+v", out)
	}
}
