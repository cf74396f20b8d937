// Package jobdrop registers jobdrop's Cloud Functions: drop a trainer package
// and a job.yaml into a bucket, and they check, run and watch the training job, and
// tell people what became of it.
//
// The Go buildpack compiles the package at the module's root only, so this file
// stands here; the functions themselves are below functions/.
package jobdrop

import (
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/jobdrop/jobdrop/functions/notify"
	"github.com/jobdrop/jobdrop/functions/submit"
	"github.com/jobdrop/jobdrop/functions/watch"
	"github.com/jobdrop/jobdrop/internal/app"
)

func init() {
	load := app.Lazy(os.LookupEnv)
	functions.HTTP("Submit", submit.Handler(load).ServeHTTP)
	functions.HTTP("Watch", watch.Handler(load).ServeHTTP)
	// Notify holds secrets that the others have no use for.
	functions.HTTP("Notify", notify.Handler(app.LazyNotify(os.LookupEnv)).ServeHTTP)
}
