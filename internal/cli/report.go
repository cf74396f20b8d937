package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/jobdrop/jobdrop/internal/account"
	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// report is what was found out about one path. Its JSON is what --format json lists.
type report struct {
	Path    string   `json:"path"`
	Valid   bool     `json:"valid"`
	Missing []string `json:"missing,omitempty"`
	// Near says what is there and nearly fits what is missing, with the remedy.
	Near       []string              `json:"near,omitempty"`
	Violations []job.Violation       `json:"violations"`
	Explain    []jobspec.Explanation `json:"explain,omitempty"`

	// source is the content of sourceFile, the job file, for excerpts.
	source     []byte
	sourceFile string
}

// The formats in which commands print.
const (
	formatText   = "text"
	formatJSON   = "json"
	formatYAML   = "yaml"
	formatSARIF  = "sarif"
	formatGitHub = "github"
)

// reportFormat is the flag --format of the commands that print reports only.
type reportFormat string

func (f *reportFormat) flag(flags *pflag.FlagSet) {
	flags.StringVar((*string)(f), "format", formatText, text.Alternatives(reportFormats()...))
}

// reportFormats returns the formats in which reports are printed.
func reportFormats() []string { return []string{formatText, formatJSON, formatSARIF, formatGitHub} }

// check returns an error if there is no such format.
func (f reportFormat) check() error { return oneOf("--format", string(f), reportFormats()...) }

// write writes reports in the format.
func (f reportFormat) write(env Env, reports []report) error {
	w := env.Out
	switch f {
	case formatJSON:
		return encode(w, reports)
	case formatSARIF:
		return writeSARIF(w, reports)
	case formatGitHub:
		return writeGitHub(w, reports)
	}
	return writeText(w, env.width(), reports)
}

func encode(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(escaped(b.Bytes()))
	return err
}

// writeText writes reports for people, in lines of at most so many characters.
func writeText(w io.Writer, width int, reports []report) error {
	var b strings.Builder
	for _, r := range reports {
		for _, v := range r.Violations {
			b.WriteString(withExcerpt(r, v, width))
		}
		if len(r.Missing) > 0 {
			b.WriteString(setIn(incomplete(r), width, 0, indent))
		}
		if len(r.Explain) == 0 {
			continue
		}
		rows := [][]string{{"FIELD", "VALUE", "FROM"}}
		for _, e := range r.Explain {
			rows = append(rows, []string{cell(e.Field), cell(e.Value), cell(e.Origin)})
		}
		b.WriteString(table(rows))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cell returns s fit for a cell of a table.
func cell(s string) string { return strings.ReplaceAll(oneLine(s), "\t", "�") }

// withExcerpt returns a violation as text, with the line that it is about.
func withExcerpt(r report, v job.Violation, width int) string {
	text := setIn(account.WithRule(v), width, 0, indent)
	if v.File == r.sourceFile {
		for line := range strings.Lines(jobspec.Excerpt(r.source, v)) {
			text += "  " + line
		}
	}
	return text
}

func incomplete(r report) string {
	return oneLine(strings.Join(append([]string{
		fmt.Sprintf("%s: incomplete: missing %s", r.Path, strings.Join(r.Missing, ", ")),
	}, r.Near...), "; "))
}

// The escapes of GitHub's workflow commands: a property has more of them, since a
// colon or a comma would end it.
func githubData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func githubProperty(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(githubData(s))
}

func writeGitHub(w io.Writer, reports []report) error {
	var b strings.Builder
	for _, r := range reports {
		for _, v := range r.Violations {
			level := "error"
			if v.Severity == job.Warning {
				level = "warning"
			}
			properties := "file=" + githubProperty(text.Printable(relative(v.File)))
			if v.Line > 0 {
				properties += fmt.Sprintf(",line=%d,col=%d", v.Line, v.Column)
			}
			fmt.Fprintf(&b, "::%s %s,title=%s::%s\n",
				level, properties, githubProperty("jobdrop "+string(v.Rule)), githubData(text.Printable(message(v))))
		}
		if len(r.Missing) > 0 {
			fmt.Fprintf(&b, "::error file=%s,title=jobdrop drop-incomplete::%s\n",
				githubProperty(text.Printable(relative(r.Path))), githubData(incomplete(r)))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// relative returns a path as seen from the working directory, which CI takes for
// the repository's. A path that leads out of it stays as it is.
func relative(path string) string {
	if filepath.IsAbs(path) {
		if here, err := filepath.Abs("."); err == nil {
			if rel, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(rel) {
				path = rel
			}
		}
	}
	return filepath.ToSlash(filepath.Clean(path))
}

// message returns a violation as text, without its place and severity: SARIF and
// GitHub have fields for those.
func message(v job.Violation) string {
	place := v.File
	v.Position, v.Severity = job.Position{}, job.Error
	return strings.TrimPrefix(v.String(), place+": ")
}

// verdict says of each path whether it is valid, if the format is text. It returns
// an error with the exit code.
func verdict(stderr io.Writer, reports []report, format string) error {
	var err error
	for _, r := range reports {
		word := "valid"
		if !r.Valid {
			word, err = "not valid", &exitError{code: exitRejected}
		}
		if format == formatText {
			fmt.Fprintf(stderr, "%s: %s%s\n", oneLine(r.Path), word, counts(r.Violations))
		}
	}
	return err
}

// counts returns ": 2 errors, 1 warning", or nothing.
func counts(vs []job.Violation) string {
	errs := 0
	for _, v := range vs {
		if v.Severity != job.Warning {
			errs++
		}
	}
	var parts []string
	for _, p := range [...]struct {
		n    int
		word string
	}{{errs, "error"}, {len(vs) - errs, "warning"}} {
		switch {
		case p.n == 1:
			parts = append(parts, "1 "+p.word)
		case p.n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", p.n, p.word))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}
