package ml

import (
	"encoding/json"
	"testing"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
)

func FuzzDecode(f *testing.F) {
	doc, err := Document()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"jobId": "j", "trainingInput": {"region": "us-central1", "packageUris": ["gs://b/a.tar.gz"], ` +
		`"pythonModule": "trainer.task", "workerCount": 1, "hyperparameters": {"params": [{"discreteValues": [1]}]}}}`))
	f.Add([]byte(`{"training_input": {"scale-tier": null}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		out, vs := doc.Decode(data, "GoogleCloudMlV1__Job", "job")
		if len(vs) > 0 {
			return
		}
		var body jobBody
		if err := json.Unmarshal(out, &body); err != nil {
			t.Fatalf("what the schema takes is not a job: %v: %s", err, out)
		}
		checkJob(body.Spec, jobs.Limits{Replicas: 4})
		if again, vs := doc.Decode(out, "GoogleCloudMlV1__Job", "job"); len(vs) > 0 || string(again) != string(out) {
			t.Errorf("the normal form %s becomes %s, %v", out, again, vs)
		}
	})
}
