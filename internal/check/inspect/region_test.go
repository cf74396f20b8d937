package inspect_test

import (
	"testing"

	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
)

func TestFarOutput(t *testing.T) {
	tests := []struct {
		region string
		places []string
		far    bool
	}{
		{"us-central1", []string{"US-CENTRAL1"}, false},
		{"us-central1", []string{"US-EAST1"}, true},
		{"us-central1", []string{"US-EAST1", "US-CENTRAL1"}, false},
		{"us-central1", []string{"US-EAST1", "US-WEST1"}, true},
		{"us-central1", []string{"US"}, false},
		{"us-central1", []string{"EU"}, true},
		{"europe-west4", []string{"EU"}, false},
		{"asia-east1", []string{"ASIA"}, false},
		{"asia-east1", []string{"ASIA1"}, true},
		{"asia-northeast1", []string{"ASIA1"}, false},
		{"us-east1", []string{"NAM4"}, false},
		{"us-west1", []string{"NAM4"}, true},
		{"europe-west4", []string{"EUR4"}, false},
		{"europe-west1", []string{"EUR4"}, true},
		{"europe-west1", []string{"EUR5"}, false}, // a word that is not known
		{"europe-west1", nil, false},
	}
	for _, test := range tests {
		file := "trainingInput:\n  region: " + test.region + "\n  jobDir: gs://bucket/out\n"
		r := inspect.File(job.Drop{Bucket: "inbox", Folder: "drop/"}, "job.yaml", []byte(file), policy.Policy{})
		vs := r.FarOutput(test.places)
		if far := len(vs) > 0; far != test.far {
			t.Errorf("a job in %s with a bucket in %v: far %t", test.region, test.places, far)
		}
		for _, v := range vs {
			if v.Severity != job.Warning || v.Line != 3 || v.Column != 11 || v.Rule != "job-dir-region" {
				t.Errorf("violation %+v", v)
			}
		}
	}
}

func TestOutputBucket(t *testing.T) {
	for dir, want := range map[string]string{
		"gs://bucket/a/b": "bucket", "gs://bucket": "bucket", "gs://": "", "/tmp": "", "''": "",
	} {
		file := "trainingInput:\n  region: us-central1\n  jobDir: " + dir + "\n"
		r := inspect.File(job.Drop{Bucket: "inbox", Folder: "drop/"}, "job.yaml", []byte(file), policy.Policy{})
		if got := r.OutputBucket(); got != want {
			t.Errorf("the bucket of %s is %q", dir, got)
		}
	}
	if got := (inspect.Result{}).OutputBucket(); got != "" {
		t.Errorf("the bucket of nothing is %q", got)
	}
}
