package inspect

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/pkg/job"
)

const jobDirField = "trainingInput.jobDir"

// OutputBucket returns the bucket of the job's jobDir, or "" without one.
func (r Result) OutputBucket() string {
	if r.Spec.TrainingInput == nil {
		return ""
	}
	dir, ok := strings.CutPrefix(r.Spec.TrainingInput.JobDir, "gs://")
	if !ok {
		return ""
	}
	bucket, _, _ := strings.Cut(dir, "/")
	return bucket
}

// FarOutput warns of a jobDir whose bucket lies in another region than the job:
// each write and read then goes a long way, and costs (the manual asks for the
// same region). places is where the bucket's data lie, in Cloud Storage's words;
// a word that is not known is taken to be near.
func (r Result) FarOutput(places []string) []job.Violation {
	if r.OutputBucket() == "" || r.Spec.TrainingInput.Region == "" {
		return nil
	}
	region := r.Spec.TrainingInput.Region
	if len(places) == 0 || slices.ContainsFunc(places, func(place string) bool { return near(place, region) }) {
		return nil
	}
	return []job.Violation{r.File.Violation(ruleJobDirRegion, jobDirField, job.Violation{
		Severity: job.Warning,
		Message: fmt.Sprintf("the directory's bucket lies in %s, the job runs in %s: writing there is slower, and costs",
			strings.Join(places, " and "), region),
		Remedy: "use a bucket in the job's region",
	})}
}

// near reports whether a Cloud Storage location includes a region (Cloud Storage's
// bucket locations, read 2026-11).
func near(place, region string) bool {
	switch place = strings.ToUpper(place); place {
	case "US":
		return strings.HasPrefix(region, "us-")
	case "EU":
		return strings.HasPrefix(region, "europe-")
	case "ASIA":
		return strings.HasPrefix(region, "asia-")
	case "NAM4":
		return region == "us-central1" || region == "us-east1"
	case "EUR4":
		return region == "europe-north1" || region == "europe-west4"
	case "ASIA1":
		return region == "asia-northeast1" || region == "asia-northeast2"
	}
	return !strings.Contains(place, "-") || strings.EqualFold(place, region)
}
