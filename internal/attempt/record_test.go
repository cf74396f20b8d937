package attempt

import (
	"encoding/json"
	"testing"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// A record that calls the backend a trainer reads like one of today.
func TestRecordOfAnEarlierForm(t *testing.T) {
	const form5 = `{"recordVersion": 5, "revision": 7, "sequence": 4, "attempt": "a-1", "state": "submitted", "trainer": "vertex",
		"drop": {"bucket": "inbox", "prefix": "census/", "jobFile": {"bucket": "inbox", "name": "census/job.yaml", "generation": "1", "size": "9"}},
		"job": {"id": "census_1", "trainer": "vertex", "state": "RUNNING"},
		"timeout": {"kind": "run", "limit": "60s", "enforcedBy": "trainer"}, "times": {},
		"outbox": [
			{"type": "dev.jobdrop.job.running.v1", "time": "2026-11-22T12:00:00Z", "body": {"attempt": "a-1", "sequence": 3, "state": "submitted",
				"job": {"id": "census_1", "trainer": "vertex", "state": "RUNNING"}, "drop": {"bucket": "inbox", "prefix": "census/", "jobFile": {"bucket": "inbox", "name": "census/job.yaml", "generation": "1", "size": "9"}}, "times": {}}},
			{"type": "dev.jobdrop.job.timed_out.v1", "time": "2026-11-22T12:01:00Z", "body": {"attempt": "a-1", "sequence": 4, "state": "timed_out",
				"job": {"id": "census_1", "trainer": "aiplatform"}, "timeout": {"kind": "run", "limit": "60s", "enforcedBy": "trainer"}, "drop": {"bucket": "inbox", "prefix": "census/", "jobFile": {"bucket": "inbox", "name": "census/job.yaml", "generation": "1", "size": "9"}}, "times": {}}}]}`
	var r Record
	if err := json.Unmarshal([]byte(form5), &r); err != nil {
		t.Fatal(err)
	}
	if r.Backend != "vertex" || r.Job.Backend != "vertex" || r.Timeout.EnforcedBy != job.ByBackend {
		t.Errorf("backend %q, job's %q, enforced by %q", r.Backend, r.Job.Backend, r.Timeout.EnforcedBy)
	}
	if r.Outbox[0].Body.Job.Backend != "vertex" || r.Outbox[1].Body.Job.Backend != "aiplatform" ||
		r.Outbox[1].Body.Timeout.EnforcedBy != job.ByBackend {
		t.Errorf("the events say %+v", r.Outbox)
	}
	r.RecordVersion = RecordVersion
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var again Record
	if err := json.Unmarshal(data, &again); err != nil || again.Backend != "vertex" ||
		again.Outbox[1].Body.Job.Backend != "aiplatform" {
		t.Errorf("today's form is read as backend %q, %v", again.Backend, err)
	}
}
