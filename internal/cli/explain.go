package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/internal/cli/rules"
)

// explainOptions are what jobdrop explain is asked for.
type explainOptions struct {
	rule   string // empty for a list of all
	format formatFlag
}

func newExplain(env Env, run func(context.Context, Env, explainOptions) error) *cobra.Command {
	var o explainOptions
	c := &cobra.Command{
		Use:   "explain [RULE]",
		Short: "Say what a rule means, with an example",
		Long: `Say what a rule means, with an example that breaks it and mends it, and where it
comes from. A violation names its rule in brackets at the end of its line, as in
[job-id-format]. Names are stable: they never change their meaning.

Without a RULE all are listed, a line each. -o json prints a page as an object,
or a list of all.

Exit codes: 0 shown, 64 wrong usage, a name that no rule has included.`,
		Example: `  jobdrop explain job-id-format
  # All rules about Python packages.
  jobdrop explain | grep package-`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return takes("RULE")(c, args)
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return ruleNames(begun), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.format.check(); err != nil {
				return err
			}
			if len(args) > 0 {
				// As it stands in a message, too.
				o.rule = strings.Trim(args[0], "[]")
			}
			return run(c.Context(), env, o)
		},
	}
	o.format.flag(c.Flags())
	return c
}

// ruleNames returns the rules whose names begin as a word that is typed, each with what it means.
func ruleNames(begun string) []string {
	var names []string
	for _, p := range rules.All() {
		if strings.HasPrefix(string(p.Rule), begun) {
			names = append(names, string(p.Rule)+"\t"+p.Summary())
		}
	}
	return names
}

func explain(_ context.Context, env Env, o explainOptions) error {
	if o.rule == "" {
		return listRules(env, o.format)
	}
	p, ok := rules.Find(o.rule)
	if !ok {
		hint := "; jobdrop explain lists them"
		if below := rulesBelow(o.rule); len(below) > 0 {
			hint = "; there are " + strings.Join(below, ", ")
		} else if near, ok := rules.Near(o.rule); ok {
			hint = fmt.Sprintf("; did you mean %q?", near)
		}
		return fmt.Errorf("%q is not a rule%s", o.rule, hint)
	}
	var err error
	if o.format == formatJSON {
		err = encode(env.Out, p)
	} else {
		_, err = io.WriteString(env.Out, rulePage(p))
	}
	if err != nil {
		return fault(err)
	}
	return nil
}

// listRules prints all rules by area.
func listRules(env Env, format formatFlag) error {
	if format == formatJSON {
		if err := encode(env.Out, rules.All()); err != nil {
			return fault(err)
		}
		return nil
	}
	width := 0
	for _, p := range rules.All() {
		width = max(width, len(p.Rule))
	}
	var b strings.Builder
	area := ""
	for _, p := range rules.All() {
		if p.Area != area {
			if area != "" {
				b.WriteByte('\n')
			}
			area = p.Area
			b.WriteString(rules.Heading(area) + "\n")
		}
		line := fmt.Sprintf("  %-*s  %s", width, p.Rule, p.Summary())
		b.WriteString(cutTo(line, env.width()) + "\n")
	}
	if _, err := io.WriteString(env.Out, b.String()); err != nil {
		return fault(err)
	}
	return nil
}

// cutTo returns a line that has at most so many characters.
func cutTo(line string, width int) string {
	if r := []rune(line); len(r) > width {
		return strings.TrimRight(string(r[:width-1]), " ") + "…"
	}
	return line
}

// rulePage returns a page in lines of at most tableWidth characters.
func rulePage(p rules.Page) string {
	var b strings.Builder
	paragraph := func(text string) {
		for _, line := range wrap(strings.Join(strings.Fields(text), " "), tableWidth) {
			b.WriteString(line + "\n")
		}
	}
	b.WriteString(string(p.Rule) + "\n\n")
	paragraph(p.Meaning)
	if p.Example != "" {
		b.WriteByte('\n')
		paragraph("For example: " + p.Example)
	}
	if p.Diff != "" {
		b.WriteString("\nWhat breaks it (-) and what mends it (+):\n\n")
		for line := range strings.Lines(p.Diff) {
			b.WriteString("  " + line)
		}
	}
	b.WriteByte('\n')
	paragraph("Source: " + p.Source)
	b.WriteString(p.URL + "\n")
	return b.String()
}

// rulesBelow returns the rules whose names begin with a name.
func rulesBelow(name string) (below []string) {
	for _, p := range rules.All() {
		if strings.HasPrefix(string(p.Rule), name+"-") {
			below = append(below, string(p.Rule))
		}
	}
	return below
}
