package training

import (
	"strings"
	"testing"
)

func TestCheckRequest(t *testing.T) {
	for _, test := range []struct{ collection, body, want string }{
		{"jobs", `{"jobId": "a", "trainingInput": {"scaleTier": "BASIC", "workerCount": "1"}}`, ""},
		{"jobs", `{"jobId": "a", "trainingInput": {"scaleTier": "HUGE"}}`, "HUGE"},
		{"customJobs", `{"displayName": "a", "jobSpec": {"workerPoolSpecs": [{}, {"replicaCount": "1"}]}}`, ""},
		{"customJobs", `{"displayName": "a", "jobSpec": {"workerPools": []}}`, "workerPools"},
		{"customJobs", `{"displayName": 7}`, "display"},
		{"hyperparameterTuningJobs", `{"displayName": "a", "studySpec": {"algorithm": "GRID_SEARCH"}, "maxTrialCount": 1}`,
			""},
		{"hyperparameterTuningJobs", `{"studySpec": {"algorithm": "BEST"}}`, "BEST"},
		{"models", `{}`, "models"},
	} {
		err := CheckRequest(test.collection, []byte(test.body))
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s of %s: %v, want %q", test.collection, test.body, err, test.want)
		}
	}
}
