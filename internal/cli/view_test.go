package cli

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// A name means the same to each command.
func TestParseName(t *testing.T) {
	key := job.FolderKey("inbox", "a/") + "-1795424700381000"
	for name, want := range map[string]reference{
		key:                          {attempt: key},
		"census":                     {folder: "ci/census/", job: "census"},
		"census/":                    {folder: "census/"},
		"gs://inbox/census":          {folder: "census/"},
		"gs://inbox/":                {},
		"a/census":                   {folder: "a/census/"},
		"a/job.yaml":                 {folder: "a/"},
		"gs://inbox/job.yaml":        {},
		"gs://inbox/a/#7":            {folder: "a/", generation: 7},
		"gs://inbox/a/job.json#7":    {folder: "a/", generation: 7},
		"census#7":                   {folder: "census/", generation: 7},
		"census#9999999999999999999": {}, // refused
		"a/#0":                       {},
		"gs://other/a/":              {},
		"":                           {},
	} {
		got, err := parseName(name, "inbox", "ci/")
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(reference{})); diff != "" {
			t.Errorf("%q, %v (-want +got):\n%s", name, err, diff)
		}
		refused := want == reference{} && name != "gs://inbox/" && name != "gs://inbox/job.yaml"
		if refused != (codeOf(err) == exitUsage) || !refused && err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// What jobdrop submit has dropped is found below $JOBDROP_PREFIX, and not at the root, where it is somebody else's.
func TestFindBelowThePrefix(t *testing.T) {
	i := newInstalled(t)
	v := i.view(t, logStart)
	v.prefix = "ci/"
	keys := map[string]string{}
	for number, folder := range []string{"census/", "ci/census/"} {
		o := job.Object{Bucket: "inbox", Name: folder + "job.yaml", Generation: 1795424700381000 + int64(number)}
		i.record = attempt.NewRecord(o, whyStart.Add(time.Duration(number)*time.Minute))
		i.write(t)
		keys[folder] = i.record.Attempt
	}
	for name, folder := range map[string]string{
		"census": "ci/census/", "census/": "census/", "ci/census": "ci/census/",
		"gs://inbox/ci/census/#1795424700381001": "ci/census/",
	} {
		got, err := v.find(t.Context(), name)
		if err != nil || got != keys[folder] {
			t.Errorf("%s: %s, %v, want that of %s, %s", name, got, err, folder, keys[folder])
		}
	}
}
