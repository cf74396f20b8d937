package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jobdrop/jobdrop/pkg/inspect"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
	"github.com/jobdrop/jobdrop/pkg/policy"
)

func validateCommand() *cobra.Command {
	var format, project string
	c := &cobra.Command{
		Use:   "validate PATH...",
		Short: "Check drops or job files, without running anything",
		Long: `Check drops or job files, without running anything. A PATH is a drop's folder
(its job file and packages) or a job file alone. All violations are printed at
once, one a line:

  file:line:column: field: what is wrong (found ..., allowed: ...); remedy

Exit codes: 0 all are valid, 2 one is rejected or incomplete, 64 wrong usage.`,
		Example: `  jobdrop validate my-drop
  jobdrop validate job.yaml other/job.yaml --format json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, paths []string) error {
			if format != "text" && format != "json" {
				return fmt.Errorf("--format is %q, must be text or json", format)
			}
			var reports []report
			for _, path := range paths {
				r, err := validate(c.Context(), path, policy.Policy{Project: project})
				if err != nil {
					return err
				}
				reports = append(reports, r)
			}
			return printReports(c.OutOrStdout(), c.ErrOrStderr(), reports, format)
		},
	}
	c.Flags().StringVar(&format, "format", "text", "text or json")
	c.Flags().StringVar(&project, "project", "", "project whose container images are allowed")
	return c
}

// report is what validate found out about one path.
type report struct {
	Path       string          `json:"path"`
	Valid      bool            `json:"valid"`
	Missing    []string        `json:"missing,omitempty"`
	Violations []job.Violation `json:"violations"`
}

func validate(ctx context.Context, path string, p policy.Policy) (report, error) {
	info, err := os.Stat(path)
	if err != nil {
		return report{}, err
	}
	var r inspect.Result
	dir := path
	if info.IsDir() {
		d, err := localDrop(path)
		if err != nil {
			return report{}, err
		}
		if len(d.JobFiles) == 0 {
			return report{Path: path, Missing: []string{"a job file (job.yaml, job.yml or job.json)"}, Violations: []job.Violation{}}, nil
		}
		if r, err = inspect.Drop(ctx, d, openLocal(path), p); err != nil {
			return report{}, err
		}
	} else {
		data, err := readLocal(path)
		if err != nil {
			return report{}, err
		}
		r, dir = inspect.File(filepath.Base(path), data, p), filepath.Dir(path)
	}
	out := report{Path: path, Missing: r.Resolution.Missing, Violations: []job.Violation{}}
	for _, v := range r.Violations {
		v.File = filepath.Join(dir, v.File)
		out.Violations = append(out.Violations, v)
	}
	out.Valid = !job.HasErrors(out.Violations) && len(out.Missing) == 0
	return out, nil
}

func readLocal(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// One byte more than allowed, for the parser to see that it is too large.
	return io.ReadAll(io.LimitReader(f, jobspec.MaxSize+1))
}

// inbox stands for the bucket that a folder would be dropped into.
const inbox = "inbox"

// localDrop assembles the drop that a folder of this machine would be.
func localDrop(dir string) (job.Drop, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return job.Drop{}, err
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return job.Drop{}, err
	}
	folder := filepath.Base(absolute) + "/"
	var objects []job.Object
	for _, e := range entries {
		if !job.IsPart(e.Name(), 1) {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, e.Name())) // a link counts as what it points to
		if err != nil {
			return job.Drop{}, err
		}
		if info.Mode().IsRegular() {
			objects = append(objects, job.Object{Bucket: inbox, Name: folder + e.Name(), Size: info.Size(), Created: info.ModTime()})
		}
	}
	d := job.Assemble(inbox, folder, objects)
	d.TooLarge = len(objects) > inspect.PartLimit
	return d, nil
}

func openLocal(dir string) inspect.Open {
	return func(_ context.Context, o job.Object) (io.ReadCloser, error) {
		return os.Open(filepath.Join(dir, o.Base()))
	}
}

func printReports(stdout, stderr io.Writer, reports []report, format string) error {
	valid := true
	for _, r := range reports {
		valid = valid && r.Valid
	}
	if format == "json" {
		e := json.NewEncoder(stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(reports); err != nil {
			return &exitError{code: exitFault, err: err}
		}
	} else {
		for _, r := range reports {
			printReport(stdout, stderr, r)
		}
	}
	if !valid {
		return &exitError{code: exitRejected}
	}
	return nil
}

func printReport(stdout, stderr io.Writer, r report) {
	for _, v := range r.Violations {
		fmt.Fprintln(stdout, oneLine(v.String()))
	}
	if len(r.Missing) > 0 {
		fmt.Fprintln(stdout, oneLine(fmt.Sprintf("%s: incomplete: missing %s", r.Path, strings.Join(r.Missing, ", "))))
	}
	word := "valid"
	if !r.Valid {
		word = "not valid"
	}
	fmt.Fprintf(stderr, "%s: %s%s\n", r.Path, word, counts(r.Violations))
}

// counts gives ": 2 errors, 1 warning", or nothing.
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
