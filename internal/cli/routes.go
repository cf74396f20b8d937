package cli

import (
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// parseRoutes reads routes of this machine. If they are not valid, the error is a
// [faultyFile], whose excerpts show no secret.
func parseRoutes(path string, data []byte) (*routes.File, error) {
	file, vs := routes.Parse(path, data)
	if job.HasErrors(vs) {
		return nil, &faultyFile{"the routes file", routesReport(path, data, vs)}
	}
	return file, nil
}

// tellOptions are how a stack tells people: what --routes says.
type tellOptions struct {
	file *routes.File // nil without --routes
	data []byte
	// env is the environment that the routes name, as NAME=value: the functions get no more.
	env []string
}

// readRoutes reads the routes of --routes.
func (o *machineOptions) readRoutes(env Env) (tellOptions, error) {
	var none, t tellOptions
	if o.routes == "" {
		return none, nil
	}
	data, err := readLocal(o.routes)
	if err != nil {
		return none, err
	}
	t.data = data
	if t.file, err = parseRoutes(o.routes, data); err != nil {
		return none, faulty(env, err)
	}
	var unset []string
	for _, name := range variablesOf(t.file) {
		value := env.Getenv(name)
		if value == "" {
			unset = append(unset, name)
		}
		t.env = append(t.env, name+"="+value)
	}
	if len(unset) > 0 {
		return none, exit(exitUsage,
			"%s names variables that are not set: %s\nSet them, or leave out the destinations that need them",
			oneLine(o.routes), strings.Join(unset, ", "))
	}
	return t, nil
}

// apply has a stack tell people, and say which messages were not sent.
func (t tellOptions) apply(options *local.Options, say func(format string, args ...any)) {
	if t.file == nil {
		return
	}
	options.Routes, options.RoutesEnv = t.data, t.env
	options.FunctionLogs = newUnsentLog(options.FunctionLogs, say)
}

// variablesOf returns the variables that routes name as env://, sorted.
func variablesOf(file *routes.File) []string {
	var names []string
	for _, name := range file.Destinations() {
		d, _ := file.Destination(name)
		for _, r := range d.References() {
			if variable, ok := strings.CutPrefix(string(r), "env://"); ok {
				names = append(names, variable)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
