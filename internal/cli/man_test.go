package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Each command has a page, which names its flags, and the same program writes the same pages.
func TestMan(t *testing.T) {
	dir, again := filepath.Join(t.TempDir(), "new", "man1"), t.TempDir()
	for _, d := range []string{dir, again} {
		if got := run(t, "man", d, "--date", "2026-11-29"); got.code != 0 {
			t.Fatalf("exit %d: %s%s", got.code, got.stdout, got.stderr)
		}
	}
	written := map[string]string{}
	names, err := filepath.Glob(dir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		written[filepath.Base(name)] = string(data)
		if second, err := os.ReadFile(filepath.Join(again, filepath.Base(name))); err != nil ||
			string(second) != string(data) {
			t.Errorf("%s is other bytes the second time, %v", filepath.Base(name), err)
		}
	}
	root := newRoot(Env{Getenv: os.Getenv})
	root.InitDefaultCompletionCmd()
	pages := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
		page, ok := written[name]
		if !ok {
			t.Errorf("%s has no page %s", c.CommandPath(), name)
		}
		pages++
		for _, want := range []string{`" "1" "2026-11-29" "jobdrop `, "\n.SH NAME\n", "\n.SH SYNOPSIS\n",
			"\n.SH DESCRIPTION\n"} {
			if !strings.Contains(page, want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if want := `\-\-` + strings.ReplaceAll(f.Name, "-", `\-`) + `\fR`; !f.Hidden && !strings.Contains(page, want) {
				t.Errorf("%s lacks the flag %s", name, want)
			}
		})
		for _, below := range c.Commands() {
			if !below.Hidden && below.Name() != "help" {
				walk(below)
			}
		}
	}
	walk(root)
	if len(written) != pages {
		t.Errorf("%d pages of %d commands: %s", len(written), pages, names)
	}

	t.Run("mandoc", func(t *testing.T) {
		need(t, "mandoc")
		// Of style it says that lines are long, and how it would write a date.
		if out, err := exec.Command("mandoc", append([]string{"-T", "lint", "-W", "warning"},
			names...)...).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("man", func(t *testing.T) {
		need(t, "man")
		c := exec.Command("man", "--warnings", "-E", "UTF-8", "-l", "jobdrop.1", "jobdrop-submit.1", "jobdrop-status.1")
		c.Dir = dir
		c.Env = append(os.Environ(), "MANWIDTH=80", "MAN_KEEP_FORMATTING=", "PAGER=cat", "MANPAGER=cat", "LC_ALL=C.UTF-8")
		var said strings.Builder
		c.Stderr = &said
		out, err := c.Output()
		if err != nil && strings.Contains(said.String(), "--warnings") {
			t.Skipf("SKIPPED: this machine's man is not man-db: %s", said.String())
		}
		if err != nil || said.Len() > 0 {
			t.Errorf("%v\n%s", err, said.String())
		}
		// As it is typed: with the characters that a shell takes.
		for _, want := range []string{"jobdrop submit JOB [flags] -- ARGS",
			"| jq -r '.attempts[] | [.state, .folder] | @tsv'"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("the pages lack %q", want)
			}
		}
	})
}

// Nothing in a text is a command of roff.
func TestManPageIsPlain(t *testing.T) {
	c := &cobra.Command{
		Use: "x A|B", Short: `Write \fBbold`, Run: func(*cobra.Command, []string) {},
		Long:    ".SH not a heading\n'tis `so` ^~ – \\n\n\n  a  list\n.B it is",
		Example: ".sp\n  x \\ 'y'",
	}
	c.Flags().StringP("file", "f", "a", "read `NAME`\nand write it")
	want := `.TH "X" "1" "2026-11-29" "jobdrop v1" "jobdrop"
.nh
.ad l
.SH NAME
x \- Write \efBbold
.SH SYNOPSIS
.B x
A|B [flags]
.SH DESCRIPTION
\&.SH not a heading
\&\(aqtis \(gaso\(ga \(ha\(ti \[u2013] \en
.PP
.nf
  a  list
\&.B it is
.fi
.SH OPTIONS
.TP
\fB\-f, \-\-file\fR \fINAME\fR
read NAME and write it (default a)
.TP
\fB\-h, \-\-help\fR
help for x
.SH EXAMPLES
.EX
\&.sp
  x \e \(aqy\(aq
.EE
`
	if diff := cmp.Diff(want, string(manPage(c, "2026-11-29", "v1"))); diff != "" {
		t.Errorf("page (-want +got):\n%s", diff)
	}
}

// A page without a date would have today's, and be other bytes tomorrow.
func TestManArguments(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"man"}, exitUsage, "DIR is missing"},
		{[]string{"man", t.TempDir()}, exitUsage, "--date is missing"}, // a test's binary has no commit
		{[]string{"man", t.TempDir(), "--date", "today"}, exitUsage, "must be a day"},
		{[]string{"man", file, "--date", "2026-11-29"}, exitMissing, "not a directory"},
	} {
		if got := run(t, test.args...); got.code != test.code || !strings.Contains(got.stderr, test.says) {
			t.Errorf("%s: exit %d: %s", test.args, got.code, got.stderr)
		}
	}
}
