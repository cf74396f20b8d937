package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/pkg/job"
)

func newNotifyValidate(env Env, run func(context.Context, Env, filesOptions) error) *cobra.Command {
	return newFilesValidate(env, "notify", "ROUTES", "Check routes files, each violation with its line", "routes.yaml", run)
}

func validateRoutes(_ context.Context, env Env, o filesOptions) error {
	return o.validate(env, func(path string, data []byte) report {
		_, vs := routes.Parse(path, data)
		return routesReport(path, data, vs)
	})
}

// routesReport is what was found in a routes file. Its excerpts show no value that may be a secret: reports end up in
// logs of CI.
func routesReport(path string, data []byte, vs []job.Violation) report {
	return fileReport(path, routes.Redact(data, vs), vs)
}
