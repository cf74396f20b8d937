// Package jobdrop registers jobdrop's Cloud Functions: drop a trainer package
// and a job.yaml into a bucket, and they check, run and watch the training job.
//
// The Go buildpack compiles the package at the module's root only, so this file
// stands here; the functions themselves are below functions/.
package jobdrop

import (
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/jobdrop/jobdrop/functions/submit"
	"github.com/jobdrop/jobdrop/functions/watch"
	"github.com/jobdrop/jobdrop/internal/app"
)

func init() {
	load := app.Lazy(os.LookupEnv)
	functions.HTTP("Submit", submit.Handler(load).ServeHTTP)
	functions.HTTP("Watch", watch.Handler(load).ServeHTTP)
}
