package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/envfile"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
)

// targetOptions say which installation a command works on.
type targetOptions struct{ env string }

func (o *targetOptions) flags(fs *pflag.FlagSet) {
	fs.StringVar(&o.env, "env", "", "file of the installation's settings, NAME=value in each line, instead of the "+
		"environment: what jobdrop local --env-file writes, or Terraform's output")
}

// line returns a command line that works on the same installation.
func (o targetOptions) line(command string, names ...string) string {
	words := []string{"jobdrop", command}
	for _, name := range names {
		words = append(words, envfile.Quote(name))
	}
	if o.env != "" {
		words = append(words, "--env", envfile.Quote(o.env))
	}
	return strings.Join(words, " ")
}

// target is an installation as a command sees it, with the caller's own credentials.
type target struct {
	config.Config
	storage *gcs.Client
	lookup  config.Lookup
	console string // its address, $JOBDROP_CONSOLE; empty if it is not known
}

// consoleVariable is the address of the installation's console. The functions don't read it.
const consoleVariable = "JOBDROP_CONSOLE"

// pageOf returns the address of an attempt's page in a console; empty if the console or the attempt is not known.
func pageOf(console, attempt string) string {
	if console == "" || attempt == "" {
		return ""
	}
	return strings.TrimSuffix(console, "/") + "/attempts/" + attempt
}

// lookup returns what looks a setting up.
func (o targetOptions) lookup(env Env) (config.Lookup, error) {
	if o.env == "" {
		return env.lookup, nil
	}
	text, err := readLocal(o.env)
	if err != nil {
		return nil, err
	}
	values, err := envfile.Parse(string(text))
	if err != nil {
		return nil, exit(exitUsage, "%s: %w", o.env, err)
	}
	return func(name string) (string, bool) { v, ok := values[name]; return v, ok }, nil
}

// open reads the settings of the installation, of which the named ones have to be there, and makes a client of its
// storage. An emulator that does not answer is an error.
func (o targetOptions) open(ctx context.Context, env Env, names ...string) (*target, error) {
	lookup, err := o.lookup(env)
	if err != nil {
		return nil, err
	}
	c, err := config.LoadFor(lookup, names...)
	if err != nil {
		return nil, exit(exitUsage, "%w; --env names a file of settings", err)
	}
	if err := gcs.Answers(ctx, c.StorageEmulator); err != nil {
		return nil, missing(err)
	}
	storage, err := gcs.New(ctx, c.StorageEmulator)
	if err != nil {
		return nil, missing(fmt.Errorf("%w; "+login, err))
	}
	console, _ := lookup(consoleVariable)
	return &target{c, storage, lookup, console}, nil
}
