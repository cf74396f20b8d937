package cli

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/envfile"
	"github.com/jobdrop/jobdrop/internal/local"
)

// treatment is what the stack does with a variable of an installation's functions.
type treatment struct {
	kind treatmentKind
	here string // for a replaced variable: what the stack has in its place
}

type treatmentKind int

const (
	passed   treatmentKind = iota // the functions get it as it is
	named                         // the stack has it, by the same name
	replaced                      // it means something of Google's, and the stack has its own
	foreign                       // no installation has it: it would lead out of the stack
)

// treatments returns what the stack does with the variables that its functions do
// not get as they are.
func treatments() map[string]treatment {
	return map[string]treatment{
		"JOBDROP_INSTANCE":       {kind: named},
		"JOBDROP_INBOX":          {kind: named},
		"JOBDROP_STATE_BUCKET":   {kind: named},
		"JOBDROP_STAGING_BUCKET": {kind: named},
		"JOBDROP_STATUS_BUCKET":  {kind: named},
		"JOBDROP_POLICY":         {kind: named},
		"JOBDROP_BACKEND":        {kind: named},

		// What is only tried must not reach those who are told of the real one.
		"JOBDROP_ROUTES":              {replaced, "the routes are those of --routes, if any"},
		"JOBDROP_PROJECT":             {replaced, "the project is " + local.Project},
		"JOBDROP_TOPIC":               {replaced, "the topic is " + local.Topic},
		"JOBDROP_PUBSUB_ENDPOINT":     {replaced, "Pub/Sub is the stack's own"},
		"OTEL_EXPORTER_OTLP_ENDPOINT": {replaced, "nothing is measured"},
		"OTEL_EXPORTER_OTLP_HEADERS":  {replaced, "nothing is measured"}, // read by OpenTelemetry itself

		"JOBDROP_BACKEND_ENDPOINT": {kind: foreign},
		"STORAGE_EMULATOR_HOST":    {kind: foreign},
		"PUBSUB_EMULATOR_HOST":     {kind: foreign},
	}
}

// like makes a stack like the installation whose environment --env names: it gets
// the installation's names, patience and policy. What differs all the same is
// printed. What the functions would refuse there, or the stack can't have, is an
// error.
func (o *localOptions) like(options *local.Options, stderr io.Writer) error {
	text, err := readLocal(o.env)
	if err != nil {
		return err
	}
	values, err := envfile.Parse(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", o.env, err)
	}
	c, err := config.Load(func(name string) (string, bool) { v, ok := values[name]; return v, ok })
	if err != nil {
		return fmt.Errorf("%s: %w", o.env, err)
	}
	settings, err := passedSettings(values)
	if err := errors.Join(err, o.fits(c)); err != nil {
		return fmt.Errorf("%s: %w", o.env, err)
	}
	options.Backend = c.Backend
	options.Names = local.Names{
		Instance: c.Instance, Inbox: c.Inbox, State: c.State, Staging: c.Staging, Status: c.Status,
		Policy: c.PolicyObject,
	}
	options.Env = append(options.Env, settings...)
	treated := treatments()
	for _, name := range slices.Sorted(maps.Keys(treated)) {
		if t := treated[name]; t.kind == replaced && values[name] != "" {
			fmt.Fprintf(stderr, "jobdrop: %s is %s there; here %s\n", oneLine(name), oneLine(values[name]), oneLine(t.here))
		}
	}
	return nil
}

// passedSettings returns the variables, as NAME=value, that the functions get as
// they are. Its error names those that no installation has.
func passedSettings(values map[string]string) (settings []string, err error) {
	known := map[string]treatment{}
	for _, v := range config.Variables() {
		known[v.Name] = treatment{kind: passed}
	}
	maps.Copy(known, treatments())
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch t, ok := known[name]; {
		case name == consoleVariable: // it is for people, and the stack has its own
		case !ok:
			errs = append(errs, fmt.Errorf("%s is not a variable of the functions", name))
		case t.kind == foreign:
			errs = append(errs, fmt.Errorf(
				"%s is for the local stack alone, which sets it itself: no installation has it", name))
		case t.kind == passed:
			settings = append(settings, name+"="+values[name])
		}
	}
	return settings, errors.Join(errs...)
}

// fits returns an error if a stack with these flags can't be like an installation.
func (o *localOptions) fits(c config.Config) error {
	var errs []error
	if slices.Contains([]string{c.Inbox, c.State, c.Staging, c.Status}, local.Output) {
		errs = append(errs, fmt.Errorf(
			"a bucket is named %s, which is the stack's own for job directories", local.Output))
	}
	switch {
	case c.PolicyObject == "" && o.policy != "":
		errs = append(errs, errors.New("the installation has no policy, and --policy names one"))
	case c.PolicyObject != "" && o.policy == "":
		errs = append(errs, fmt.Errorf(
			"the installation has a policy, gs://%s/%s: name the file that Terraform wrote there by --policy",
			c.PolicyBucket, c.PolicyObject))
	case c.PolicyObject != "" && c.PolicyBucket != c.State:
		errs = append(errs, fmt.Errorf(
			"the policy lies in gs://%s: the stack has it in the state bucket only, as Terraform writes it",
			c.PolicyBucket))
	}
	if o.backend != "" && o.backend != c.Backend {
		errs = append(errs, fmt.Errorf("JOBDROP_BACKEND is %s, and --backend says %s", c.Backend, o.backend))
	}
	return errors.Join(errs...)
}
