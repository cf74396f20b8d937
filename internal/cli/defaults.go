package cli

import (
	"github.com/jobdrop/jobdrop/internal/backend/vertex"
)

// What the commands use if no flag says otherwise.
const (
	// defaultBackend is that of run, local and plan: the service where jobs run today.
	defaultBackend = vertex.Name

	// The ports of jobdrop local. The emulators of Cloud Storage and Pub/Sub use
	// the first two by habit, and nothing well known uses the others.
	storagePort   = 4443
	pubsubPort    = 8085
	trainingPort  = 8480
	functionsPort = 8481
)
