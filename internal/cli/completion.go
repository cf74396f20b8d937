package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/jobdrop/jobdrop/internal/backend/aiplatform"
	"github.com/jobdrop/jobdrop/internal/backend/vertex"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/internal/flow/ledger"
	"github.com/jobdrop/jobdrop/internal/gcloud"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// completer returns what may stand at the end of a command line.
type completer = cobra.CompletionFunc

// anyFile completes the name of a file.
func anyFile(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// specFile completes the name of a file in YAML or JSON.
func specFile(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml", "json"}, cobra.ShellCompDirectiveFilterFileExt
}

// anyFolder completes the name of a folder.
func anyFolder(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// words returns a completer of fixed words.
func words(all ...string) completer {
	return cobra.FixedCompletions(all, cobra.ShellCompDirectiveNoFileComp)
}

// once returns a completer of the first argument only.
func once(f completer) completer {
	return func(c *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(c, args, start)
	}
}

// first returns a completer of the first argument, and of those that follow it.
func first(f, others completer) completer {
	return func(c *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return others(c, args, start)
		}
		return f(c, args, start)
	}
}

// completions holds what a shell completes by.
type completions struct {
	// arguments are those of a command, by its path below the root. flags are by name, and of one command only by its
	// path and name. What is in neither has nothing to complete, unless the command says so itself.
	arguments, flags map[string]completer
}

func newCompletions(env Env) completions {
	formats := words(formatText, formatJSON)
	reports := words(reportFormats()...)
	names := attemptNames(env)
	known := jobspec.DefaultCatalogue()
	var regions, runtimes, pythons, machines []string
	for _, r := range known.Regions {
		regions = append(regions, r.Name)
	}
	for _, r := range known.Runtimes {
		if r.Ended == "" {
			runtimes = append(runtimes, r.Version)
		}
	}
	for _, p := range known.Pythons {
		pythons = append(pythons, p.Version)
	}
	for _, m := range known.Machines {
		machines = append(machines, m.Names...)
	}
	return completions{
		arguments: map[string]completer{
			"run":             once(anyFolder),
			"validate":        anyFile,
			"plan":            once(anyFile),
			"policy validate": specFile,
			"policy test":     first(specFile, anyFile),
			"notify validate": specFile,
			"notify test":     first(specFile, anyFile),
			"notify explain":  once(names),
			"notify replay":   names,
			"logs":            once(names),
			"wait":            names,
			"status":          once(names),
			"why":             once(names),
			"events":          once(names),
			"cancel":          once(names),
			"rerun":           once(names),
			"man":             once(anyFolder),
		},
		flags: map[string]completer{
			"backend":                words(vertex.Name, aiplatform.Name),
			"config":                 specFile,
			"container-runner":       anyFile,
			"data":                   anyFolder,
			"defaults":               specFile,
			"env":                    anyFile,
			"env-file":               anyFile,
			"faults":                 anyFile,
			"format":                 formats,
			"keep":                   anyFolder,
			"output":                 formats,
			"package-path":           anyFolder,
			"packages":               anyFile,
			"policy":                 specFile,
			"python":                 anyFile,
			"region":                 words(regions...),
			"routes":                 specFile,
			"runtime-version":        words(runtimes...),
			"python-version":         words(pythons...),
			"scale-tier":             words(gcloud.Tiers()...),
			"state":                  words(routes.States()...),
			"type":                   words(routes.Types()...),
			"run events":             formats,
			"run output":             anyFolder,
			"plan format":            words(formatJSON, formatYAML),
			"validate format":        reports,
			"policy validate format": reports,
			"notify validate format": reports,

			"master-machine-type":           words(machines...),
			"worker-machine-type":           words(machines...),
			"parameter-server-machine-type": words(machines...),
			"use-chief-in-tf-config":        words("true", "false"),
		},
	}
}

// add adds the completions to a command and those below it.
func (all completions) add(c *cobra.Command) {
	_, path, _ := strings.Cut(c.CommandPath(), " ")
	if c.Runnable() && !c.HasSubCommands() && c.ValidArgsFunction == nil {
		c.ValidArgsFunction = all.arguments[path]
		if c.ValidArgsFunction == nil {
			c.ValidArgsFunction = cobra.NoFileCompletions
		}
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if _, ok := c.GetFlagCompletionFunc(f.Name); ok {
			return // the command's own
		}
		found := all.flags[path+" "+f.Name]
		if found == nil {
			found = all.flags[f.Name]
		}
		if found == nil {
			found = cobra.NoFileCompletions
		}
		if err := c.RegisterFlagCompletionFunc(f.Name, found); err != nil {
			panic(err) // it is one of c's flags, and has none
		}
	})
	for _, below := range c.Commands() {
		all.add(below)
	}
}

const (
	// completionTime is how long a completion may look at the installation: somebody's cursor waits for it.
	completionTime = time.Second
	// completed is how many of the newest attempts are offered.
	completed = 20
)

// attemptNames returns a completer of the newest jobs and drops of the installation that the command line's settings
// name. Where they can't be read in time, it completes nothing.
func attemptNames(env Env) completer {
	return func(c *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
		var o targetOptions
		if f := c.Flags().Lookup("env"); f != nil {
			o.env = f.Value.String()
		}
		ctx, cancel := context.WithTimeout(c.Context(), completionTime)
		defer cancel()
		found := make(chan []string, 1)
		go func() { found <- o.newestNames(ctx, env) }() // credentials may be looked for longer than ctx lasts
		select {
		case names := <-found:
			return slices.DeleteFunc(names, func(name string) bool {
				word, _, _ := strings.Cut(name, "\t")
				return slices.Contains(args, word) || !strings.HasPrefix(word, start)
			}), cobra.ShellCompDirectiveNoFileComp
		case <-ctx.Done():
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
	}
}

// newestNames returns the job IDs and folders of the newest attempts, each with its state; none if they can't be read.
func (o targetOptions) newestNames(ctx context.Context, env Env) []string {
	v, err := o.view(ctx, env)
	if err != nil {
		return nil
	}
	page, err := v.records.Page(ctx, ledger.Query{Most: completed})
	if err != nil {
		return nil
	}
	var jobs, folders []string
	offered := map[string]bool{}
	offer := func(to *[]string, name string, state job.State) {
		if name == "" || offered[name] || oneLine(name) != name {
			return
		}
		offered[name] = true
		*to = append(*to, cobra.CompletionWithDesc(name, string(state)))
	}
	for _, row := range page.Attempts {
		offer(&jobs, row.JobID, row.State)
		offer(&folders, row.Folder, row.State)
	}
	return append(jobs, folders...)
}
