package ml

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// numbered returns addresses whose ports tell which member of a job's cluster has them.
func numbered(in *job.TrainingInput) jobs.Addresses {
	a := jobs.Addresses{}
	for _, r := range jobs.ReplicasOf(in) {
		base := map[string]int{jobs.RoleMaster: 1000, jobs.RoleWorker: 2000, jobs.RolePS: 3000, jobs.RoleEvaluator: 0}[r.Role]
		if base > 0 {
			a[r] = fmt.Sprintf("127.0.0.1:%d", base+r.Index)
		}
	}
	return a
}

func TestTFConfig(t *testing.T) {
	custom := func(workers, ps, evaluators int64) *job.TrainingInput {
		return &job.TrainingInput{ScaleTier: "CUSTOM", WorkerCount: workers, ParameterServerCount: ps,
			EvaluatorCount: evaluators}
	}
	image := func(chief bool) *job.TrainingInput {
		in := custom(1, 0, 0)
		in.MasterConfig, in.UseChiefInTFConfig = &job.ReplicaConfig{ImageURI: "i"}, chief
		return in
	}
	runtime := func(version string) *job.TrainingInput { return &job.TrainingInput{RuntimeVersion: version} }
	for _, tt := range []struct {
		name    string
		in      *job.TrainingInput
		replica jobs.Replica
		cluster string
		task    string
	}{
		{"basic", &job.TrainingInput{ScaleTier: "BASIC"}, jobs.Master, `{"chief":["127.0.0.1:1000"]}`,
			`{"type":"chief","index":0}`},
		{"no tier", &job.TrainingInput{}, jobs.Master, `{"chief":["127.0.0.1:1000"]}`, `{"type":"chief","index":0}`},
		{"runtime 1.15", runtime("1.15"), jobs.Master, `{"master":["127.0.0.1:1000"]}`, `{"type":"master","index":0}`},
		{"runtime 2.0", runtime("2.0"), jobs.Master, `{"master":["127.0.0.1:1000"]}`, `{"type":"master","index":0}`},
		{"runtime 2.1", runtime("2.1"), jobs.Master, `{"chief":["127.0.0.1:1000"]}`, `{"type":"chief","index":0}`},
		{"runtime 2.11", runtime("2.11"), jobs.Master, `{"chief":["127.0.0.1:1000"]}`, `{"type":"chief","index":0}`},
		{"counts without the tier", &job.TrainingInput{ScaleTier: "BASIC", WorkerCount: 2}, jobs.Master,
			`{"chief":["127.0.0.1:1000"]}`, `{"type":"chief","index":0}`},
		{"second worker", custom(2, 1, 1), jobs.Replica{Role: jobs.RoleWorker, Index: 1},
			`{"chief":["127.0.0.1:1000"],"ps":["127.0.0.1:3000"],"worker":["127.0.0.1:2000","127.0.0.1:2001"]}`,
			`{"type":"worker","index":1}`},
		{"parameter server", custom(1, 2, 0), jobs.Replica{Role: jobs.RolePS, Index: 1},
			`{"chief":["127.0.0.1:1000"],"ps":["127.0.0.1:3000","127.0.0.1:3001"],"worker":["127.0.0.1:2000"]}`,
			`{"type":"ps","index":1}`},
		{"evaluator", custom(0, 0, 2), jobs.Replica{Role: jobs.RoleEvaluator, Index: 1}, `{"chief":["127.0.0.1:1000"]}`,
			`{"type":"evaluator","index":1}`},
		{"image", image(false), jobs.Replica{Role: jobs.RoleWorker, Index: 0},
			`{"master":["127.0.0.1:1000"],"worker":["127.0.0.1:2000"]}`, `{"type":"worker","index":0}`},
		{"image with chief", image(true), jobs.Master, `{"chief":["127.0.0.1:1000"],"worker":["127.0.0.1:2000"]}`,
			`{"type":"chief","index":0}`},
		{"STANDARD_1", &job.TrainingInput{ScaleTier: "STANDARD_1"}, jobs.Replica{Role: jobs.RolePS, Index: 2},
			`{"chief":["127.0.0.1:1000"],"ps":["127.0.0.1:3000","127.0.0.1:3001","127.0.0.1:3002"],` +
				`"worker":["127.0.0.1:2000","127.0.0.1:2001","127.0.0.1:2002","127.0.0.1:2003"]}`, `{"type":"ps","index":2}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			vars, err := jobEnv("j", tt.in, "", tt.replica, numbered(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Cluster, Task, Job json.RawMessage
				Environment        string
			}
			if err := json.Unmarshal([]byte(strings.TrimPrefix(vars[0], "TF_CONFIG=")), &got); err != nil {
				t.Fatal(err)
			}
			if string(got.Cluster) != tt.cluster || string(got.Task) != tt.task || got.Environment != "cloud" {
				t.Errorf("TF_CONFIG = %s\nwant cluster %s\nand task %s", vars[0], tt.cluster, tt.task)
			}
			if vars[1] != "CLOUD_ML_JOB_ID=j" || vars[2] != "CLOUD_ML_JOB="+string(got.Job) {
				t.Errorf("variables %q", vars)
			}
		})
	}
}

// TestJobInTFConfig: the job's fields have their proto names, at every depth.
func TestJobInTFConfig(t *testing.T) {
	got, err := plan.SnakeJSON(&job.TrainingInput{
		ScaleTier: "CUSTOM", WorkerCount: 2, PackageURIs: []string{"gs://b/o"}, UseChiefInTFConfig: true,
		Args: []string{"--camelCase"},
		MasterConfig: &job.ReplicaConfig{AcceleratorConfig: &job.AcceleratorConfig{Count: 1}, ImageURI: "i",
			TPUTFVersion: "2.1"},
		Scheduling: &job.Scheduling{MaxWaitTime: "1s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"args":["--camelCase"],"master_config":{"accelerator_config":{"count":"1"},"image_uri":"i","tpu_tf_version":"2.1"},` +
		`"package_uris":["gs://b/o"],"scale_tier":"CUSTOM","scheduling":{"max_wait_time":"1s"},"use_chief_in_tf_config":true,"worker_count":"2"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
