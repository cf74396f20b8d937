package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// filesOptions are what a command is asked for that checks files of an operator's.
type filesOptions struct {
	paths  []string
	format reportFormat
}

// newFilesValidate returns the command "validate" of a group, which checks files of a kind. Name is how usage calls such
// a file, example is a file of the kind.
func newFilesValidate(env Env, group, name, short, example string, run func(context.Context, Env, filesOptions) error,
) *cobra.Command {
	var o filesOptions
	call := fmt.Sprintf("  jobdrop %s validate %s", group, example)
	c := &cobra.Command{
		Use:   "validate " + name + "...",
		Short: short,
		Long: short + `.

Exit codes: 0 all are valid, 2 one is not, 64 wrong usage. Warnings change no
exit code.`,
		Example: strings.Join([]string{call, call + " --format github"}, "\n"),
		Args:    takes(name + "…"),
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

// validate checks the files and writes what was found.
func (o filesOptions) validate(env Env, check func(path string, data []byte) report) error {
	var reports []report
	for _, path := range o.paths {
		data, err := readLocal(path)
		if err != nil {
			return err
		}
		reports = append(reports, check(path, data))
	}
	if err := o.format.write(env, reports); err != nil {
		return fault(err)
	}
	return verdict(env.Err, reports, string(o.format))
}
