package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manOptions are what jobdrop man is asked for.
type manOptions struct {
	root *cobra.Command
	dir  string
	date string
}

func newMan(env Env, run func(context.Context, Env, manOptions) error) *cobra.Command {
	var o manOptions
	c := &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages of all commands into a folder",
		Long: `Write the manual pages of all commands, jobdrop.1 and one for each command below
it, into the folder DIR. It is made if it is not there.

The pages have the date of --date, else that of the commit that this program was
built from: the same program writes the same bytes.`,
		Example: `  jobdrop man ~/.local/share/man/man1
  man jobdrop-submit`,
		Hidden: true, // for whoever packs jobdrop
		Args:   takes("DIR"),
		RunE: func(c *cobra.Command, args []string) error {
			o.root, o.dir = c.Root(), args[0]
			if o.date == "" {
				o.date, _, _ = strings.Cut(env.build().Date, "T")
			} else if _, err := time.Parse(time.DateOnly, o.date); err != nil {
				return fmt.Errorf("--date is %q, must be a day such as 2026-11-29", o.date)
			}
			if o.date == "" {
				return errors.New("--date is missing: this program does not know the commit that it was built from")
			}
			return run(c.Context(), env, o)
		},
	}
	c.Flags().StringVar(&o.date, "date", "", "date of the pages, YYYY-MM-DD (default: that of this program's commit)")
	return c
}

func writeMan(_ context.Context, env Env, o manOptions) error {
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return missing(fmt.Errorf("DIR is %s: %w", o.dir, unwrapPath(err)))
	}
	o.root.InitDefaultCompletionCmd()
	version := env.build().Version
	for _, c := range withPages(o.root) {
		page := manPage(c, o.date, version)
		if err := os.WriteFile(filepath.Join(o.dir, pageName(c)+".1"), page, 0o644); err != nil {
			return missing(fmt.Errorf("the page of %s: %w", c.CommandPath(), err))
		}
	}
	return nil
}

// withPages returns a command and those below it, as far as people call them.
func withPages(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() {
			all = append(all, withPages(below)...)
		}
	}
	return all
}

// pageName returns the name of a command's page: jobdrop-notify-test.
func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manPage returns the page of a command, in man(7)'s macros, which groff and mandoc read alike.
func manPage(c *cobra.Command, date, version string) []byte {
	var p page
	p.line(`.TH "%s" "1" "%s" "%s" "jobdrop"`, strings.ToUpper(pageName(c)), date, "jobdrop "+version)
	p.line(".nh\n.ad l") // names are copied: they are not hyphenated
	p.line(`.SH NAME`)
	p.line(`%s \- %s`, roff(pageName(c)), roff(c.Short))
	p.line(`.SH SYNOPSIS`)
	p.line(`.B %s`, roff(c.CommandPath()))
	if _, rest, _ := strings.Cut(c.UseLine(), c.CommandPath()+" "); rest != "" {
		p.line(`%s`, roff(rest))
	}
	p.line(`.SH DESCRIPTION`)
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	p.text(text)
	if c.HasAvailableSubCommands() {
		p.line(`.SH COMMANDS`)
		for _, below := range c.Commands() {
			if below.IsAvailableCommand() {
				p.line(".TP\n.BR %s (1)\n%s.", roff(pageName(below)), roff(below.Short))
			}
		}
	}
	c.InitDefaultHelpFlag()
	if c.HasAvailableFlags() {
		p.line(`.SH OPTIONS`)
		c.Flags().VisitAll(p.flag)
	}
	if c.Example != "" {
		p.line(".SH EXAMPLES\n.EX")
		p.verbatim(c.Example)
		p.line(".EE")
	}
	if c.HasParent() {
		p.line(".SH SEE ALSO\n.BR %s (1)", roff(pageName(c.Parent())))
	}
	return p.Bytes()
}

// page is a manual page as it is written.
type page struct{ bytes.Buffer }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// text writes paragraphs. One with an indented line is a list or an example: it stays as it is.
func (p *page) text(text string) {
	text = strings.ReplaceAll(strings.TrimSpace(text), "\t", "    ")
	for i, paragraph := range strings.Split(text, "\n\n") {
		if i > 0 {
			p.line(".PP")
		}
		if strings.HasPrefix(paragraph, " ") || strings.Contains(paragraph, "\n ") {
			p.line(".nf")
			p.verbatim(paragraph)
			p.line(".fi")
		} else {
			p.verbatim(paragraph)
		}
	}
}

// verbatim writes lines without a command in them.
func (p *page) verbatim(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		p.line("%s", roff(line))
	}
}

// flag writes a flag with what it is for.
func (p *page) flag(f *pflag.Flag) {
	if f.Hidden {
		return
	}
	value, usage := pflag.UnquoteUsage(f)
	short := ""
	if f.Shorthand != "" {
		short = "-" + f.Shorthand + ", "
	}
	name := `\fB` + roff(short+"--"+f.Name) + `\fR`
	if value != "" && f.Value.Type() != "bool" {
		name += ` \fI` + roff(value) + `\fR`
	}
	switch f.DefValue {
	case "", "false", "0", "0s", "[]":
	default:
		usage += " (default " + f.DefValue + ")"
	}
	p.line(".TP\n%s\n%s", name, roff(strings.ReplaceAll(usage, "\n", " ")))
}

// roff returns text as roff prints it: nothing in it is a command, and what people copy keeps its characters.
func roff(text string) string {
	var b strings.Builder
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		b.WriteString(`\&`)
	}
	for _, r := range text {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r == '\'':
			b.WriteString(`\(aq`)
		case r == '`':
			b.WriteString(`\(ga`)
		case r == '^':
			b.WriteString(`\(ha`)
		case r == '~':
			b.WriteString(`\(ti`)
		case r > 0x7e:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
