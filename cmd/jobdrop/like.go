package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/envfile"
	"github.com/jobdrop/jobdrop/internal/local"
)

// replaced are the variables of an installation that mean something of Google's,
// in whose place the stack has its own; with what it is.
var replaced = map[string]string{
	"JOBDROP_PROJECT":             "the project is " + local.Project,
	"JOBDROP_TOPIC":               "the topic is " + local.Topic,
	"JOBDROP_PUBSUB_ENDPOINT":     "Pub/Sub is the stack's own",
	"OTEL_EXPORTER_OTLP_ENDPOINT": "nothing is measured",
	"OTEL_EXPORTER_OTLP_HEADERS":  "nothing is measured",
}

// foreign are variables that no installation has: they would lead out of the stack.
var foreign = []string{"JOBDROP_TRAINER_ENDPOINT", "STORAGE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"}

// like has a stack be like the installation that the file --env is of: by its
// names, its patience and its policy. What is different all the same is said; what
// the functions would not take there, or can't be had here, is refused.
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
	names, settings, err := o.split(values, c)
	if err != nil {
		return fmt.Errorf("%s: %w", o.env, err)
	}
	options.Names, options.Trainer = names, c.Trainer
	options.Env = append(options.Env, settings...)
	for _, name := range slices.Sorted(maps.Keys(replaced)) {
		if values[name] != "" {
			fmt.Fprintf(stderr, "jobdrop: %s is %s there; here %s\n", oneLine(name), oneLine(values[name]), oneLine(replaced[name]))
		}
	}
	return nil
}

// split divides an installation's environment into what the stack has by name and
// what the functions are told as it is.
func (o *localOptions) split(values map[string]string, c config.Config) (names local.Names, settings []string, err error) {
	known := map[string]bool{"OTEL_EXPORTER_OTLP_HEADERS": true}
	for _, v := range config.Variables() {
		known[v.Name] = true
	}
	named := []string{"JOBDROP_INSTANCE", "JOBDROP_INBOX", "JOBDROP_STATE_BUCKET", "JOBDROP_STAGING_BUCKET", "JOBDROP_STATUS_BUCKET", "JOBDROP_POLICY", "JOBDROP_TRAINER"}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case !known[name]:
			errs = append(errs, fmt.Errorf("%s is no variable of the functions", name))
		case slices.Contains(foreign, name):
			errs = append(errs, fmt.Errorf("%s is for the local stack alone, which sets it itself: no installation has it", name))
		case replaced[name] == "" && !slices.Contains(named, name):
			settings = append(settings, name+"="+values[name])
		}
	}
	names = local.Names{Instance: c.Instance, Inbox: c.Inbox, State: c.State, Staging: c.Staging, Status: c.Status, Policy: c.PolicyObject}
	if slices.Contains([]string{c.Inbox, c.State, c.Staging, c.Status}, local.Output) {
		errs = append(errs, fmt.Errorf("a bucket is named %s, which is the stack's own for job directories", local.Output))
	}
	switch {
	case c.PolicyObject == "" && o.policy != "":
		errs = append(errs, errors.New("the installation has no policy, and --policy names one"))
	case c.PolicyObject != "" && o.policy == "":
		errs = append(errs, fmt.Errorf("the installation has a policy, gs://%s/%s: name the file that Terraform wrote there by --policy", c.PolicyBucket, c.PolicyObject))
	case c.PolicyObject != "" && c.PolicyBucket != c.State:
		errs = append(errs, fmt.Errorf("the policy lies in gs://%s: the stack has it in the state bucket only, as Terraform writes it", c.PolicyBucket))
	}
	if flag := cmp.Or(o.trainer, aiplatform.Name); flag != aiplatform.Name && flag != c.Trainer {
		errs = append(errs, fmt.Errorf("JOBDROP_TRAINER is %s, and --trainer says %s", c.Trainer, flag))
	}
	return names, settings, errors.Join(errs...)
}
