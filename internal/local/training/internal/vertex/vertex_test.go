package vertex

import (
	"encoding/json"
	"testing"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
)

func TestExpand(t *testing.T) {
	known := map[string]string{"A": "1", "B_2": "x y", "EMPTY": ""}
	for text, want := range map[string]string{
		"": "", "plain": "plain", "$(A)": "1", "a$(A)b$(B_2)": "a1bx y", "[$(EMPTY)]": "[]", "$(C)": "$(C)", "$$(A)": "$(A)",
		"$$$(A)": "$1", "$A": "$A", "$": "$", "$$": "$",
		"$(A": "$(A", "$()": "$()", "100$": "100$", "$(A)$(A)": "11",
	} {
		if got := expand(text, known); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func FuzzVertexFilter(f *testing.F) {
	f.Add(`(display_name:"a*" OR labels.x="y\"") AND NOT state="JOB_STATE_FAILED" AND create_time>"2021-05-18T00:00:00Z"`)
	f.Add("create_time<x")
	e := &jobs.Record{Vertex: &jobs.VertexRecord{}, Job: jobs.JobState{State: jobs.Failed}}
	f.Fuzz(func(t *testing.T, text string) {
		if match, err := rest.ParseFilter(text, filterTerm); err == nil {
			match(e)
		}
	})
}

func FuzzVertexDecode(f *testing.F) {
	doc, err := Document()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"displayName": "d", "jobSpec": {"workerPoolSpecs": [{"replicaCount": 1, "machineSpec": {"machineType": "m"},
		"pythonPackageSpec": {"executorImageUri": "us-docker.pkg.dev/vertex-ai/training/tf-cpu.2-11:latest",
		"packageUris": ["gs://b/a.tar.gz"], "pythonModule": "trainer.task"}}, {}]}}`))
	f.Add([]byte(`{"display_name": null, "jobSpec": {"workerPoolSpecs": [{}]}}`))
	const name = schemaPrefix + "CustomJob"
	f.Fuzz(func(t *testing.T, data []byte) {
		out, vs := doc.Decode(data, name, "custom_job")
		if len(vs) > 0 {
			return
		}
		out, err := completed(doc, out, name)
		if err != nil {
			t.Fatal(err)
		}
		var body jobBody
		if err := json.Unmarshal(out, &body); err != nil {
			t.Fatalf("what the schema takes is not a job: %v: %s", err, out)
		}
		if vs := check(body, address{location: "us-central1"}); len(vs) > 0 {
			return
		}
		v := &jobs.VertexRecord{Collection: customJobs, Body: out}
		checkLimits(jobs.Limits{Replicas: 4}, v)
		e := &dialect{&jobs.Record{Vertex: v}, body}
		e.Job.TrainingInput = body.input(address{})
		if again, err := completed(doc, out, name); err != nil || string(again) != string(out) {
			t.Errorf("the normal form %s becomes %s, %v", out, again, err)
		}
		if n := jobs.CountsOf(e.Job.TrainingInput).Total(); n > 4 {
			return
		}
		for _, r := range jobs.ReplicasOf(e.Job.TrainingInput) {
			if _, err := e.Vars(jobs.ReplicaRun{}, r, jobs.Addresses{}, nil); err != nil {
				t.Error(err)
			}
		}
	})
}
