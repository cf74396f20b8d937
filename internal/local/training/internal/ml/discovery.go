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
func Document() (*rest.Document, error) { return rest.ParseDocument(discoveryJSON) }
