package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// fieldFlags are the flags of the commands that look at drops without running
// them: where fields that the job file leaves out come from, and the rules.
type fieldFlags struct {
	project, inbox, folder, defaults string
	set                              []string
}

func (o *fieldFlags) flags(f *pflag.FlagSet) {
	f.StringVar(&o.project, "project", "", "project whose container images are allowed")
	f.StringVar(&o.defaults, "defaults", "", "job file with values for what the others leave out")
	f.StringArrayVar(&o.set, "set", nil, "FIELD=VALUE that beats the file, as object metadata jobdrop-set-FIELD does")
	f.StringVar(&o.inbox, "inbox", "", "bucket that the drop is meant for: packages that lie elsewhere are then judged, not only warned of")
	f.StringVar(&o.folder, "folder", "", "folder of the inbox that the drop is meant for, by which a policy's prefixes go (default: the name of the drop's folder)")
}

func validateCommand() *cobra.Command {
	var (
		fields             fieldFlags
		format, policyFile string
		explain            bool
	)
	c := &cobra.Command{
		Use:   "validate PATH...",
		Short: "Check drops or job files, without running anything",
		Long: `Check drops or job files, without running anything. A PATH is a drop's folder
(its job file and packages), a job file alone, or - for a job file on standard
input, which reports call job.yaml. All violations are printed at once, each
with the line it is about:

  file:line:column: field: what is wrong (found ..., allowed: ...); remedy

Formats: text; json; sarif (2.1.0, for code scanning); github (workflow
commands, which mark the lines of a pull request).

A field's value is that of --set, which stands for the metadata that an upload
gives the job file's object; else the file's; else that of --defaults, else that
of --policy, unless the job's own choices exclude it. --explain shows each value
and its origin.

Exit codes: 0 all are valid, 2 one is rejected or incomplete, 64 wrong usage, a
policy or a file of defaults that is not valid included. Warnings change no exit
code.`,
		Example: `  jobdrop validate my-drop
  jobdrop validate job.yaml other/job.yaml --format json
  jobdrop validate my-drop --policy policy.yaml --folder teams/nlp/my-drop
  jobdrop validate - --defaults team.yaml --set region=us-central1 --explain <job.yaml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, paths []string) error {
			write := writer(format)
			if write == nil {
				return fmt.Errorf("--format is %q, must be text, json, sarif or github", format)
			}
			v, err := newValidator(fields, policyFile, c.InOrStdin())
			if err != nil {
				return faulty(c.ErrOrStderr(), err)
			}
			var reports []report
			for _, path := range paths {
				found, err := v.look(c.Context(), path)
				if err != nil {
					return err
				}
				r := found.report()
				if explain && found.File != nil {
					r.Explain = found.File.Explain()
				}
				reports = append(reports, r)
			}
			if err := write(c.OutOrStdout(), reports); err != nil {
				return &exitError{code: exitFault, err: err}
			}
			return verdict(c.ErrOrStderr(), reports, format)
		},
	}
	f := c.Flags()
	f.StringVar(&format, "format", "text", "text, json, sarif or github")
	fields.flags(f)
	f.StringVar(&policyFile, "policy", "", "the operator's policy; without it that of an installation without one")
	f.BoolVar(&explain, "explain", false, "show each field's value and where it comes from (text and json)")
	return c
}

// faultyFile is a file of the command line's own, such as the defaults, with
// violations.
type faultyFile struct {
	role   string
	report report
}

func (e *faultyFile) Error() string {
	return fmt.Sprintf("%s %s is not valid", e.role, oneLine(e.report.Path))
}

// faulty tells what is wrong in a file of the command line's own, and gives the
// error back.
func faulty(stderr io.Writer, err error) error {
	if f, ok := errors.AsType[*faultyFile](err); ok {
		for _, v := range f.report.Violations {
			fmt.Fprint(stderr, withExcerpt(f.report, v))
		}
	}
	return err
}

// validator holds what is the same for all paths.
type validator struct {
	policy   policy.Policy
	folder   string // with its final slash; empty for each path's own
	stdin    io.Reader
	read     bool // standard input was read
	metadata map[string]string
	defaults []inspect.Defaults
}

func newValidator(flags fieldFlags, policyFile string, stdin io.Reader) (*validator, error) {
	v := &validator{policy: policy.Policy{Project: flags.project, Inbox: flags.inbox}, stdin: stdin, metadata: map[string]string{}}
	if folder := strings.Trim(flags.folder, "/"); folder != "" {
		v.folder = folder + "/"
	}
	for _, s := range flags.set {
		field, value, ok := strings.Cut(s, "=")
		if !ok || field == "" {
			return nil, fmt.Errorf("--set is %q, must be FIELD=VALUE", s)
		}
		key := jobspec.MetadataPrefix + field
		if _, twice := v.metadata[key]; twice {
			return nil, fmt.Errorf("--set gives %q twice", field)
		}
		v.metadata[key] = value
	}
	if flags.defaults != "" {
		data, err := readLocal(flags.defaults)
		if err != nil {
			return nil, err
		}
		// What defaults leave out is no fault: only what can't be read is.
		file, vs := jobspec.Parse(flags.defaults, data)
		if job.HasErrors(vs) {
			return nil, &faultyFile{"--defaults", fileReport(flags.defaults, data, vs)}
		}
		v.defaults = []inspect.Defaults{{Spec: file.Spec, Origin: flags.defaults}}
	}
	if policyFile != "" {
		rules, err := readPolicy(policyFile)
		if err != nil {
			return nil, err
		}
		v.policy.Rules = rules
	}
	return v, nil
}

// readPolicy reads a policy of this machine.
func readPolicy(path string) (policy.Rules, error) {
	data, err := readLocal(path)
	if err != nil {
		return policy.Rules{}, err
	}
	return parsePolicy(path, data)
}

func parsePolicy(path string, data []byte) (policy.Rules, error) {
	rules, vs := policy.Parse(path, data)
	if job.HasErrors(vs) {
		return policy.Rules{}, &faultyFile{"the policy", fileReport(path, data, vs)}
	}
	return rules, nil
}

// fileReport is what was found in a file of this machine.
func fileReport(path string, data []byte, vs []job.Violation) report {
	return report{Path: path, Valid: !job.HasErrors(vs), Violations: append([]job.Violation{}, vs...), source: data, sourceFile: path}
}

// found is what inspect says of a path.
type found struct {
	inspect.Result
	path      string
	dir, name string // of the job file
	folder    string
	data      []byte // the job file's
	noJobFile bool
}

// stdinName is what reports call standard input: those of SARIF and GitHub need
// the name of a file.
const stdinName = "job.yaml"

// look inspects what a path names.
func (v *validator) look(ctx context.Context, path string) (found, error) {
	if path == "-" {
		if v.read {
			return found{}, errors.New("standard input, -, can be validated once only")
		}
		v.read = true
		data, err := io.ReadAll(io.LimitReader(v.stdin, jobspec.MaxSize+1))
		if err != nil {
			return found{}, err
		}
		return v.file(found{path: path, name: stdinName, data: data}), nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return found{}, err
	}
	if !info.IsDir() {
		data, err := readLocal(path)
		if err != nil {
			return found{}, err
		}
		return v.file(found{path: path, dir: filepath.Dir(path), name: filepath.Base(path), data: data}), nil
	}
	d, err := localDrop(path, cmp.Or(v.policy.Inbox, inbox), v.folder)
	if err != nil {
		return found{}, err
	}
	d.Metadata = v.metadata
	f := found{path: path, dir: path, folder: d.Folder}
	jobFile, ok := d.JobFile()
	if !ok {
		f.noJobFile = true
		return f, nil
	}
	f.name = jobFile.Base()
	if f.Result, err = inspect.Drop(ctx, d, inspect.Objects{Open: openLocal(path)}, v.policy, v.defaults...); err != nil {
		return found{}, err
	}
	f.data, err = readLocal(filepath.Join(path, f.name))
	return f, err
}

// file inspects a job file alone.
func (v *validator) file(f found) found {
	f.folder = cmp.Or(v.folder, "drop/")
	d := job.Drop{Bucket: cmp.Or(v.policy.Inbox, inbox), Folder: f.folder, Metadata: v.metadata}
	f.Result = inspect.File(d, f.name, f.data, v.policy, v.defaults...)
	return f
}

// report puts what was found into the shape that is printed.
func (f found) report() report {
	out := report{Path: f.path, Violations: []job.Violation{}, source: f.data, sourceFile: filepath.Join(f.dir, f.name)}
	if f.noJobFile {
		out.Missing = []string{"a job file (job.yaml, job.yml or job.json)"}
		return out
	}
	out.Missing = f.Resolution.Missing
	for _, v := range f.Violations {
		v.File = filepath.Join(f.dir, v.File)
		out.Violations = append(out.Violations, v)
	}
	out.Valid = !job.HasErrors(out.Violations) && len(out.Missing) == 0
	return out
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

// inbox stands for the bucket that a folder would be dropped into where it is not
// known.
const inbox = "inbox"

// localDrop assembles the drop that a folder of this machine would be, in a
// folder of the inbox that is named like it where none is given.
func localDrop(dir, bucket, folder string) (job.Drop, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return job.Drop{}, err
	}
	if folder == "" {
		absolute, err := filepath.Abs(dir)
		if err != nil {
			return job.Drop{}, err
		}
		folder = filepath.Base(absolute) + "/"
	}
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
			objects = append(objects, job.Object{Bucket: bucket, Name: folder + e.Name(), Size: info.Size(), Created: info.ModTime()})
		}
	}
	d := job.Assemble(bucket, folder, objects)
	if len(objects) > inspect.PartLimit {
		d.TooMany = job.ManyParts
	}
	return d, nil
}

func openLocal(dir string) inspect.Open {
	return func(_ context.Context, o job.Object) (io.ReadCloser, error) {
		return os.Open(filepath.Join(dir, o.Base()))
	}
}
