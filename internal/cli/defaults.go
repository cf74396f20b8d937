package cli

import (
	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/backend/vertex"
)

// What the commands use if no flag says otherwise.
const (
	// runBackend is that of run and local: jobs have the IDs that their files say, by
	// which logs and gcloud find them. planBackend is where jobs run today.
	runBackend  = aiplatform.Name
	planBackend = vertex.Name

	// The ports of jobdrop local. The emulators of Cloud Storage and Pub/Sub use
	// the first two by habit, and nothing well known uses the others.
	storagePort   = 4443
	pubsubPort    = 8085
	trainingPort  = 8480
	functionsPort = 8481
	consolePort   = 8482
)
