package ml

import (
	_ "embed"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
)

//go:generate go run github.com/jobdrop/jobdrop/internal/local/discovery/gen ml/v1 discovery.json ml.projects.jobs.cancel ml.projects.jobs.create ml.projects.jobs.get ml.projects.jobs.list ml.projects.jobs.patch

// discoveryJSON is ml/v1's discovery document, reduced to what is served.
//
//go:embed discovery.json
var discoveryJSON []byte

// Document returns the API's discovery document.
func Document() (*rest.Document, error) { return rest.ParseDocument(discoveryJSON, numbers) }

// known are the numbers of enumerations whose values are not listed by them in the discovery document, by the
// enumerations' properties. They are those of google/cloud/ml/v1/job_service.proto of 2017, which had fewer values.
var known = map[string]map[string]int32{
	"scaleTier":        {"BASIC": 0, "STANDARD_1": 1, "PREMIUM_1": 3, "CUSTOM": 5, "BASIC_GPU": 6},
	"dataFormat":       {"DATA_FORMAT_UNSPECIFIED": 0, "TEXT": 1, "TF_RECORD": 2},
	"outputDataFormat": {"DATA_FORMAT_UNSPECIFIED": 0, "TEXT": 1, "TF_RECORD": 2},
	"algorithm":        {"ALGORITHM_UNSPECIFIED": 0},
}

func numbers(schema, property string, values []string) map[string]int32 {
	if schema == "GoogleCloudMlV1__AcceleratorConfig" {
		return map[string]int32{values[0]: 0}
	}
	if numbers, ok := known[property]; ok {
		return numbers
	}
	return rest.InOrder(schema, property, values)
}
