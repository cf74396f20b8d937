package training

import (
	"errors"
	"fmt"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/ml"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/vertex"
)

// CheckRequest returns what does not fit in the body of a request that creates a job, by
// the API's discovery document: unknown fields, wrong types, unknown values. The
// collection is jobs (ml/v1), customJobs or hyperparameterTuningJobs
// (aiplatform/v1).
func CheckRequest(collection string, body []byte) error {
	document, name := vertex.Document, ""
	switch collection {
	case "jobs":
		document, name = ml.Document, "GoogleCloudMlV1__Job"
	case "customJobs":
		name = "GoogleCloudAiplatformV1CustomJob"
	case "hyperparameterTuningJobs":
		name = "GoogleCloudAiplatformV1HyperparameterTuningJob"
	default:
		return fmt.Errorf("there is no collection %q", collection)
	}
	d, err := document()
	if err != nil {
		return err
	}
	_, violations := d.Decode(body, name, "body")
	var errs []error
	for _, v := range violations {
		errs = append(errs, errors.New(v.Description))
	}
	return errors.Join(errs...)
}
