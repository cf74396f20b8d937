package logs

import (
	_ "embed"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/protos"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
)

//go:generate go run github.com/jobdrop/jobdrop/internal/local/discovery/gen logging/v2 discovery.json logging.entries.list

// discoveryJSON is logging/v2's discovery document, reduced to what is served.
//
//go:embed discovery.json
var discoveryJSON []byte

// parseDocument returns the API's discovery document.
func parseDocument() (*rest.Document, error) {
	files, err := protos.Logging()
	if err != nil {
		return nil, err
	}
	return rest.ParseDocument(discoveryJSON, func(schema, property string, _ []string) map[string]int32 {
		return protos.Numbers(files, "google.logging.v2", schema, property)
	})
}
