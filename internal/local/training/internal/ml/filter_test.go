package ml

import (
	"slices"
	"testing"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

func TestFilter(t *testing.T) {
	jobs := []*jobs.Record{
		{Job: jobs.JobState{Spec: job.Spec{JobID: "rnn_1", Labels: map[string]string{"team": "nlp", "a-b": "x y"}},
			State: jobs.Failed}},
		{Job: jobs.JobState{Spec: job.Spec{JobID: "rnn_2", Labels: map[string]string{"team": ""}}, State: jobs.Running}},
		{Job: jobs.JobState{Spec: job.Spec{JobID: "census"}, State: jobs.Failed}},
	}
	for _, tt := range []struct {
		filter string
		want   []string
	}{
		{"", []string{"rnn_1", "rnn_2", "census"}},
		{"  ", []string{"rnn_1", "rnn_2", "census"}},
		{"jobId:rnn*", []string{"rnn_1", "rnn_2"}},
		{"jobId:rnn* AND state:FAILED", []string{"rnn_1"}},
		{"jobId:*_*", []string{"rnn_1", "rnn_2"}},
		{"jobId:r*n*2", []string{"rnn_2"}},
		{"jobId:rnn", nil},
		{"jobId=census", []string{"census"}},
		{"job_id = census", []string{"census"}},
		{"jobId=rnn*", nil},
		{`jobId:"rnn*"`, nil},
		{`jobId:"rnn_1"`, []string{"rnn_1"}},
		{"jobId!=census", []string{"rnn_1", "rnn_2"}},
		{"state=RUNNING", []string{"rnn_2"}},
		{"state:RUN*", []string{"rnn_2"}},
		{"NOT state=RUNNING", []string{"rnn_1", "census"}},
		{"NOT NOT state=RUNNING", []string{"rnn_2"}},
		{"labels.team=nlp", []string{"rnn_1"}},
		{"labels.team:*", []string{"rnn_1", "rnn_2"}},
		{`labels.team=""`, []string{"rnn_2"}},
		{`labels.a-b="x y"`, []string{"rnn_1"}},
		{"labels.team!=nlp", []string{"rnn_2", "census"}},
		{"NOT labels.team:*", []string{"census"}},
		{"(state=FAILED OR jobId=rnn_2) AND NOT jobId:c*", []string{"rnn_1", "rnn_2"}},
		{"state=FAILED OR state=RUNNING OR jobId=x", []string{"rnn_1", "rnn_2", "census"}},
		{"jobId=AND", nil},
		{"NOT (jobId:rnn* OR(jobId=census))", nil},
	} {
		match, err := parseFilter(tt.filter)
		if err != nil {
			t.Errorf("%s: %v", tt.filter, err)
			continue
		}
		var got []string
		for _, j := range jobs {
			if match(j) {
				got = append(got, j.Job.JobID)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.filter, got, tt.want)
		}
	}
}

func TestFilterMalformed(t *testing.T) {
	for _, filter := range []string{
		"jobId", "jobId:", "jobId=", ":x", "=x", "AND", "jobId=a AND", "OR jobId=a", "jobId=a jobId=b", "(jobId=a",
		"jobId=a)", "()",
		"NOT", `jobId="a`, "jobId!a", "jobId=a AND jobId=b OR jobId=c", "jobId=a OR jobId=b AND jobId=c", "size=3",
		"labels=x", "labels.=x",
		"state=BROKEN", "jobId==a", `"jobId"=a`, `""`, `jobId=a ""`, "jobId=(a)",
	} {
		if _, err := parseFilter(filter); err == nil {
			t.Errorf("%s: no error", filter)
		}
	}
}

func FuzzFilter(f *testing.F) {
	f.Add(`(jobId:a* OR labels.x:"y\"") AND NOT state=FAILED`)
	f.Add("jobId!=a AND")
	f.Fuzz(func(t *testing.T, text string) {
		if match, err := parseFilter(text); err == nil {
			match(&jobs.Record{Job: jobs.JobState{Spec: job.Spec{JobID: "a"}, State: jobs.Failed}})
		}
	})
}
