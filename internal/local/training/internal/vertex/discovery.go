package vertex

import (
	_ "embed"
	"strings"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/protos"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
)

//go:generate go run github.com/jobdrop/jobdrop/internal/local/discovery/gen aiplatform/v1 discovery.json aiplatform.projects.locations.customJobs.cancel aiplatform.projects.locations.customJobs.create aiplatform.projects.locations.customJobs.get aiplatform.projects.locations.customJobs.list aiplatform.projects.locations.hyperparameterTuningJobs.cancel aiplatform.projects.locations.hyperparameterTuningJobs.create aiplatform.projects.locations.hyperparameterTuningJobs.get aiplatform.projects.locations.hyperparameterTuningJobs.list

// discoveryJSON is aiplatform/v1's discovery document, reduced to what is served.
//
//go:embed discovery.json
var discoveryJSON []byte

// Document returns the API's discovery document.
func Document() (*rest.Document, error) {
	files, err := protos.Aiplatform()
	if err != nil {
		return nil, err
	}
	return rest.ParseDocument(discoveryJSON, func(schema, property string, values []string) map[string]int32 {
		return protos.Numbers(files, "google.cloud.aiplatform.v1", strings.TrimPrefix(schema, schemaPrefix), property)
	})
}
