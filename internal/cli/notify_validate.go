package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// notifyValidateOptions are what jobdrop notify validate is asked for.
type notifyValidateOptions struct {
	paths  []string
	format reportFormat
}

func newNotifyValidate(env Env, run func(context.Context, Env, notifyValidateOptions) error) *cobra.Command {
	var o notifyValidateOptions
	c := &cobra.Command{
		Use:   "validate ROUTES...",
		Short: "Check routes files, each violation with its line",
		Long: `Check routes files, each violation with its line.

Exit codes: 0 all are valid, 2 one is not, 64 wrong usage. Warnings change no
exit code.`,
		Example: `  jobdrop notify validate routes.yaml
  jobdrop notify validate routes.yaml --format github`,
		Args: takes("ROUTES…"),
		RunE: func(c *cobra.Command, paths []string) error {
			if err := o.format.check(); err != nil {
				return err
			}
			o.paths = paths
			return run(c.Context(), env, o)
		},
	}
	o.format.flag(c.Flags())
	return c
}

func validateRoutes(_ context.Context, env Env, o notifyValidateOptions) error {
	var reports []report
	for _, path := range o.paths {
		data, err := readLocal(path)
		if err != nil {
			return err
		}
		_, vs := routes.Parse(path, data)
		reports = append(reports, routesReport(path, data, vs))
	}
	if err := o.format.write(env, reports); err != nil {
		return fault(err)
	}
	return verdict(env.Err, reports, string(o.format))
}

// routesReport is what was found in a routes file. Its excerpts show no value that may be a secret: reports end up in
// logs of CI.
func routesReport(path string, data []byte, vs []job.Violation) report {
	return fileReport(path, routes.Redact(data, vs), vs)
}
