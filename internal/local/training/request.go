package training

import (
	"errors"
	"fmt"
)

// CheckRequest tells what of the body of a request that creates a job does not fit
// the API's discovery document: unknown fields, wrong types, unknown values. The
// collection is jobs (ml/v1), customJobs or hyperparameterTuningJobs
// (aiplatform/v1).
func CheckRequest(collection string, body []byte) error {
	data, name := vertexJSON, ""
	switch collection {
	case "jobs":
		data, name = discoveryJSON, "GoogleCloudMlV1__Job"
	case "customJobs":
		name = "GoogleCloudAiplatformV1CustomJob"
	case "hyperparameterTuningJobs":
		name = "GoogleCloudAiplatformV1HyperparameterTuningJob"
	default:
		return fmt.Errorf("there is no collection %q", collection)
	}
	d, err := parseDocument(data)
	if err != nil {
		return err
	}
	_, violations := d.decode(body, name, "body")
	var errs []error
	for _, v := range violations {
		errs = append(errs, errors.New(v.Description))
	}
	return errors.Join(errs...)
}
