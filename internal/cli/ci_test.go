package cli

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// The variables are those of each system's documentation, with values as a run has them.
func TestUploaderOf(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		want job.Uploader
	}{
		{"nobody", map[string]string{"USER": "ann", "BUILD_ID": "7"}, job.Uploader{}},
		{"GitHub Actions", map[string]string{
			"GITHUB_ACTIONS": "true", "GITHUB_SHA": "abc", "GITHUB_REF_NAME": "main", "GITHUB_ACTOR": "ann",
			"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/census", "GITHUB_RUN_ID": "12",
		}, job.Uploader{Name: "ann", Commit: "abc", Branch: "main", URL: "https://github.com/acme/census/actions/runs/12"}},
		{"a pull request", map[string]string{
			"GITHUB_ACTIONS": "true", "GITHUB_SHA": "abc", "GITHUB_REF_NAME": "3/merge", "GITHUB_HEAD_REF": "fix",
		}, job.Uploader{Commit: "abc", Branch: "fix"}},
		{"GitLab", map[string]string{
			"GITLAB_CI": "true", "CI_COMMIT_SHA": "abc", "CI_COMMIT_REF_NAME": "main", "GITLAB_USER_LOGIN": "ann",
			"CI_JOB_URL": "https://gitlab.com/acme/census/-/jobs/12", "CI_PIPELINE_URL": "https://gitlab.com/p",
		}, job.Uploader{Name: "ann", Commit: "abc", Branch: "main", URL: "https://gitlab.com/acme/census/-/jobs/12"}},
		{"Jenkins", map[string]string{
			"JENKINS_URL": "https://ci.example/", "GIT_COMMIT": "abc", "GIT_BRANCH": "origin/main", "BUILD_ID": "12",
			"BUILD_URL": "https://ci.example/job/census/12/", "PROJECT_ID": "p",
		}, job.Uploader{Commit: "abc", Branch: "main", URL: "https://ci.example/job/census/12/"}},
		{"Cloud Build", map[string]string{
			"BUILD_ID": "b-1", "PROJECT_ID": "p", "LOCATION": "europe-west1", "COMMIT_SHA": "abc", "BRANCH_NAME": "main",
			"TRIGGER_NAME": "push",
		}, job.Uploader{Name: "push", Commit: "abc", Branch: "main",
			URL: "https://console.cloud.google.com/cloud-build/builds;region=europe-west1/b-1?project=p"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := uploaderOf(func(name string) string { return test.env[name] })
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("uploader (-want +got):\n%s", diff)
			}
			// What is stored says the same, and fits.
			if diff := cmp.Diff(test.want, job.UploaderOf(uploaderMetadata(got))); diff != "" {
				t.Errorf("of the metadata (-want +got):\n%s", diff)
			}
		})
	}
}

// A run can't make metadata that Cloud Storage refuses: they are bounded before.
func TestUploaderMetadataIsBounded(t *testing.T) {
	long := strings.Repeat("é", 10_000)
	size := 0
	for key, value := range uploaderMetadata(job.Uploader{Name: long, Commit: "a\nb", Branch: long, URL: "https://x/" + long}) {
		size += len(key) + len(value)
		if strings.ContainsAny(value, "\r\n") {
			t.Errorf("%s is %q", key, value)
		}
	}
	if size > 4<<10 { // Cloud Storage takes 8 KiB
		t.Errorf("the metadata take %d bytes", size)
	}
}
