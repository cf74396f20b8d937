package main

import (
	"strings"
	"testing"
)

// Each question that a report decides by itself: an answer that is right, and others
// that differ from it in one place, which are not.
func TestVerdicts(t *testing.T) {
	const (
		agents = "roles/aiplatform.serviceAgent\tserviceAccount:service-1@gcp-sa-aiplatform.iam.gserviceaccount.com\n" +
			"roles/artifactregistry.serviceAgent\tserviceAccount:service-1@gcp-sa-artifactregistry.iam.gserviceaccount.com\n" +
			"roles/cloudfunctions.serviceAgent\tserviceAccount:service-1@gcf-admin-robot.iam.gserviceaccount.com\n" +
			"roles/eventarc.serviceAgent\tserviceAccount:service-1@gcp-sa-eventarc.iam.gserviceaccount.com\n" +
			"roles/pubsub.serviceAgent\tserviceAccount:service-1@gcp-sa-pubsub.iam.gserviceaccount.com\n" +
			"roles/run.serviceAgent\tserviceAccount:service-1@serverless-robot-prod.iam.gserviceaccount.com\n"
		scheduler = "europe-west1\nus-central1\nstate: ENABLED\nlastAttemptTime: '2026-01-01T00:00:00Z'\nstatus: {}\n"
		bucket    = "  {\n    \"bucketOptions\": {\n      \"exponentialBuckets\": {\n        \"growthFactor\": 2,\n" +
			"        \"numFiniteBuckets\": 32,\n        \"scale\": 0.01\n      }\n    },\n    \"name\": \"jobdrop/prod/tick_x\"\n  },\n"
		builds = "gcf-v2-sources-123-europe-west4  EUROPE-WEST4\nID  STATUS  CREATE_TIME  FINISH_TIME  MACHINE_TYPE  SERVICE_ACCOUNT\n" +
			"a1  SUCCESS  2026-01-01T00:00:00  2026-01-01T00:03:00    projects/acme-ml/serviceAccounts/prod-build@acme-ml.iam.gserviceaccount.com\n"
		bucketOwner, bucketReader = "roles/storage.legacyBucketOwner\tproject", "roles/storage.legacyBucketReader\tproject"
		objectOwner, objectReader = "roles/storage.legacyObjectOwner\tproject", "roles/storage.legacyObjectReader\tproject"
		editor, owner, viewer     = "Editor:acme-ml\n", "Owner:acme-ml\n", "Viewer:acme-ml\n"
		open                      = "basic_roles = null\n" + bucketOwner + editor + bucketOwner + owner + bucketReader + viewer +
			objectOwner + editor + objectOwner + owner + objectReader + viewer
		closed = "  basic_roles           = false # nobody else drops\n" + bucketOwner + owner + bucketReader + owner +
			objectOwner + owner + objectReader + owner
		subscription = "ackDeadlineSeconds: 600\ndeadLetterPolicy:\n  deadLetterTopic: projects/p/topics/t\n  maxDeliveryAttempts: 20\n" +
			"expirationPolicy: {}\nmessageRetentionDuration: 604800s\nname: projects/p/subscriptions/s\n" +
			"retryPolicy:\n  maximumBackoff: 600s\n  minimumBackoff: 10s\n"
		schema  = "Message is valid.\nthe message is taken\nREVISION_ID  REVISION_CREATE_TIME\n0a1b2c3d  2026-01-01T00:00:00Z\n"
		calm    = "in the last ten minutes:\nTICK\n2026-01-01T00:00:00Z\n{\"at\":\"2026-01-01T00:00:00Z\",\"complete\":true,\"failed\":0}\n"
		trained = "error: null\njobSpec:\n  serviceAccount: prod-trainer@acme-ml.iam.gserviceaccount.com\nstate: JOB_STATE_SUCCEEDED\n" +
			"workerpool0-0\tINFO\tHello, jobdrop!\n"
		entries = "[{\n\"labels\": {\n\"ml.googleapis.com/job_state\": \"JOB_STATE_SUCCEEDED\"\n},\n\"resource\": {\n\"labels\": {\n" +
			"\"job_id\": \"1234567890\",\n\"task_name\": \"service\"\n},\n\"type\": \"ml_job\"\n}\n}]\n[{\n\"protoPayload\": {\n" +
			"\"methodName\": \"google.cloud.aiplatform.v1.JobService.CreateCustomJob\",\n\"response\": {\n" +
			"\"name\": \"projects/1/locations/us-central1/customJobs/1234567890\"\n}\n}\n}]\n"
		list = "{\n\"customJobs\": [\n{\n\"labels\": {\n\"jobdrop-instance\": \"prod\"\n},\n\"state\": \"JOB_STATE_SUCCEEDED\"\n}\n]\n}\n"
	)
	r := newReport(map[string]string{
		"JOBDROP_PROJECT": "acme-ml", "JOBDROP_INSTANCE": "prod", "JOBDROP_REGIONS": "us-central1",
		"JOBDROP_PUBSUB_ENDPOINT": "europe-west4-pubsub.googleapis.com:443",
	}, func(name string) string { return map[string]string{"SCHEDULER_REGION": "europe-west1"}[name] })
	type change struct{ old, new string }
	decided := map[string]bool{}
	for _, test := range []struct {
		title, right string
		wrong        []change
	}{
		{"Service agents", agents, []change{
			{"roles/run.serviceAgent", "roles/run.viewer"}, {"@gcp-sa-pubsub.", "@gcp-sa-other."}, {"roles/eventarc", "roles/x"},
			{"service-1@gcf-admin-robot", "x@y"}, {"roles/aiplatform", "roles/x"}, {"@gcp-sa-artifactregistry", "@x"},
		}},
		{"The region of Cloud Scheduler", scheduler, []change{
			{"europe-west1", "europe-west10"}, {"ENABLED", "PAUSED"}, {"status: {}", "status:\n  code: 7"},
		}},
		{"The second plan", "No changes. Your infrastructure matches the configuration.\n", []change{{"No changes.", "Plan: 1 to add"}}},
		{"Metrics of distributions", strings.Repeat(bucket, 6), []change{
			{"exponentialBuckets", "linearBuckets"}, {"Factor\": 2", "Factor\": 20"}, {"32", "320"}, {"0.01", "0.1"},
			{"  {\n    \"bucket", bucket + "  {\n    \"bucket"},
		}},
		{"The source's bucket, and the build", builds, []change{
			{"sources-123", "uploads-123"}, {"europe-west4  EU", "europe-west3  EU"}, {"SUCCESS", "FAILURE"}, {"prod-build@", "1-compute@"},
		}},
		{"Default bindings of a bucket", open, []change{
			{"null", "false"}, {bucketOwner + editor, ""}, {objectReader + viewer, objectReader + viewer + "roles/storage.objectViewer\tx\n"},
			{objectOwner + owner, objectOwner + owner + objectReader + "Editor:acme-ml\n"}, {"Viewer:acme-ml", "Viewer:other"},
		}},
		{"Default bindings of a bucket", closed, []change{
			{"false", "true"}, {bucketOwner, bucketOwner + editor + bucketOwner},
			{objectReader + owner, objectReader + owner + objectReader + viewer},
			{bucketReader + owner, ""},
		}},
		{"The subscription of the trigger", "a notification wakes Submit\n", []change{{"a notification", "nothing"}}},
		{"The subscription of the trigger", subscription, []change{
			{"ackDeadlineSeconds: 600", "ackDeadlineSeconds: 10"}, {"Attempts: 20", "Attempts: 5"}, {"604800s", "86400s"},
			{": {}", ":\n  ttl: 2678400s"},
			{"maximumBackoff: 600s", "maximumBackoff: 60s"}, {"minimumBackoff: 10s", "minimumBackoff: 1s"},
		}},
		{"The topic's schema", schema, []change{{"the message is taken\n", ""}, {"0a1b2c3d", ""}}},
		{"Warnings of the functions", "TIMESTAMP  SERVICE_NAME\n2026  prod-watch\n" + calm, []change{
			{"minutes:\n", "minutes:\nTIMESTAMP  SERVICE_NAME\n2026  prod-watch\n"}, {"TICK", ""}, {"complete\":true", "complete\":false"},
			{"failed\":0", "failed\":1"}, {"failed\":0", "failed\":01"},
		}},
		{"Training images", "tf-cpu.2-16.py310 404\ntf-cpu.2-17.py310 200\n", []change{{"200", "404"}, {"17.py310 200", "17.py310"}}},
		{"Vertex AI's installer", trained, []change{
			{"SUCCEEDED", "FAILED"}, {"Hello", "Goodbye"}, {"prod-trainer@", "service-1@"},
		}},
		{"Entries about jobs", entries, []change{
			{`"job_id": "1234567890"`, `"job_id": "projects/1/locations/us-central1/customJobs/1"`}, {`"service"`, `"workerpool0-0"`},
			{"job_state", "state"}, {"JobService.CreateCustomJob", "JobService.GetCustomJob"}, {"customJobs/1234567890", "customJobs/"},
			{`"job_id": "1234567890"`, `"job_id": "1234567890", "job_id": "hello_1"`},
		}},
		{"The list of jobs", list, []change{
			{"SUCCEEDED", "QUEUED"}, {"jobdrop-instance", "other"}, {"{\n\"customJobs\"", "{\"error\": {\n\"code\": 400}},\n\"customJobs\""},
		}},
	} {
		var q question
		for _, q = range questions {
			if q.title == test.title {
				break
			}
		}
		if q.title != test.title {
			t.Errorf("no question is called %q", test.title)
			continue
		}
		decided[q.title] = true
		if got := r.judge(q, test.right); got != asExpected {
			t.Errorf("%s: the right answer is %q:\n%s", q.title, got, test.right)
		}
		for _, c := range test.wrong {
			said := strings.Replace(test.right, c.old, c.new, 1)
			if said == test.right {
				t.Errorf("%s: the answer has no %q to change", q.title, c.old)
			} else if got := r.judge(q, said); got != otherwise {
				t.Errorf("%s: with %q in place of %q the answer is %q", q.title, c.new, c.old, got)
			}
		}
	}
	for _, q := range questions {
		if len(q.want) > 0 && !decided[q.title] {
			t.Errorf("%s has no right answer here", q.title)
		}
	}
}
