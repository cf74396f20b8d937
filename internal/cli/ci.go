package cli

import (
	"cmp"
	"net/url"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

// uploaderOf returns what the environment of a CI system says of a run: who began it, the commit and branch, and its
// page. Outside of the four that are known it is empty.
func uploaderOf(getenv func(name string) string) job.Uploader {
	switch {
	case getenv("GITHUB_ACTIONS") == "true":
		// A pull request's GITHUB_REF_NAME is that of the merge, 12/merge.
		u := job.Uploader{
			Name: getenv("GITHUB_ACTOR"), Commit: getenv("GITHUB_SHA"),
			Branch: cmp.Or(getenv("GITHUB_HEAD_REF"), getenv("GITHUB_REF_NAME")),
		}
		server, repository, run := getenv("GITHUB_SERVER_URL"), getenv("GITHUB_REPOSITORY"), getenv("GITHUB_RUN_ID")
		if server != "" && repository != "" && run != "" {
			u.URL = server + "/" + repository + "/actions/runs/" + run
		}
		return u
	case getenv("GITLAB_CI") == "true":
		return job.Uploader{
			Name: getenv("GITLAB_USER_LOGIN"), Commit: getenv("CI_COMMIT_SHA"), Branch: getenv("CI_COMMIT_REF_NAME"),
			URL: cmp.Or(getenv("CI_JOB_URL"), getenv("CI_PIPELINE_URL")),
		}
	case getenv("JENKINS_URL") != "": // before Cloud Build: Jenkins has a BUILD_ID, too
		return job.Uploader{
			Name: cmp.Or(getenv("BUILD_USER_ID"), getenv("CHANGE_AUTHOR")), Commit: getenv("GIT_COMMIT"),
			Branch: cmp.Or(getenv("CHANGE_BRANCH"), getenv("BRANCH_NAME"), strings.TrimPrefix(getenv("GIT_BRANCH"), "origin/")),
			URL:    getenv("BUILD_URL"),
		}
	case getenv("BUILD_ID") != "" && getenv("PROJECT_ID") != "":
		// Cloud Build passes its substitutions on where a step has automapSubstitutions, or names them in its env.
		u := job.Uploader{
			Name: getenv("TRIGGER_NAME"), Commit: cmp.Or(getenv("COMMIT_SHA"), getenv("REVISION_ID")), Branch: getenv("BRANCH_NAME"),
		}
		u.URL = "https://console.cloud.google.com/cloud-build/builds"
		if region := getenv("LOCATION"); region != "" && region != "global" {
			u.URL += ";region=" + url.PathEscape(region)
		}
		u.URL += "/" + url.PathEscape(getenv("BUILD_ID")) + "?project=" + url.QueryEscape(getenv("PROJECT_ID"))
		return u
	}
	return job.Uploader{}
}

// uploaderMetadata returns the object metadata that say so, as far as Submit takes them.
func uploaderMetadata(u job.Uploader) map[string]string {
	metadata := map[string]string{}
	for name, value := range map[string]string{"name": u.Name, "commit": u.Commit, "branch": u.Branch, "url": u.URL} {
		if value != "" {
			metadata[job.MetadataUploader+name] = value
		}
	}
	bounded := job.UploaderOf(metadata)
	for name, value := range map[string]string{
		"name": bounded.Name, "commit": bounded.Commit, "branch": bounded.Branch, "url": bounded.URL,
	} {
		if key := job.MetadataUploader + name; value == "" {
			delete(metadata, key)
		} else {
			metadata[key] = value
		}
	}
	return metadata
}
