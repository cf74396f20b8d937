package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// faultyFile is the error of a file with violations that is not a drop's, such as
// the defaults.
type faultyFile struct {
	role   string
	report report
}

func (e *faultyFile) Error() string {
	return fmt.Sprintf("%s %s is not valid", e.role, oneLine(e.report.Path))
}

// faulty prints what is wrong in the file if err is a [faultyFile]. It returns err.
func faulty(env Env, err error) error {
	if f, ok := errors.AsType[*faultyFile](err); ok {
		for _, v := range f.report.Violations {
			fmt.Fprint(env.Err, withExcerpt(f.report, v, env.width()))
		}
	}
	return err
}

// validator checks drops. It holds what is the same for all of them.
type validator struct {
	policy   policy.Policy
	folder   string // with its final slash; empty for each path's own
	metadata map[string]string
	defaults []inspect.Defaults
	stdin    io.Reader
	read     bool // standard input was read
}

func newValidator(o fieldOptions, stdin io.Reader) (*validator, error) {
	v := &validator{
		policy: policy.Policy{Project: o.project, Inbox: o.inbox},
		folder: o.folder, metadata: o.metadata, stdin: stdin,
	}
	if o.defaults != "" {
		data, err := readLocal(o.defaults)
		if err != nil {
			return nil, err
		}
		// What defaults leave out is not a fault: only what can't be read is.
		file, vs := jobspec.Parse(o.defaults, data)
		if job.HasErrors(vs) {
			return nil, &faultyFile{"--defaults", fileReport(o.defaults, data, vs)}
		}
		v.defaults = []inspect.Defaults{{Spec: file.Spec, Origin: o.defaults}}
	}
	if o.policy != "" {
		rules, err := readPolicy(o.policy)
		if err != nil {
			return nil, err
		}
		v.policy.Rules = rules
	}
	return v, nil
}

// readPolicy reads a policy of this machine. If it is not valid, the error is a
// [faultyFile].
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

// fileReport returns a report of what was found in a file of this machine.
func fileReport(path string, data []byte, vs []job.Violation) report {
	return report{
		Path: path, Valid: !job.HasErrors(vs), Violations: append([]job.Violation{}, vs...),
		source: data, sourceFile: path,
	}
}

// found is what was found at a path.
type found struct {
	inspect.Result
	path      string
	dir, name string // of the job file
	folder    string
	data      []byte // the job file's
	noJobFile bool
	// near says what is there and nearly fits what is missing.
	near []string
}

// stdinName is what reports call standard input: those of SARIF and GitHub need
// the name of a file.
const stdinName = "job.yaml"

// inspect inspects what a path names.
func (v *validator) inspect(ctx context.Context, path string) (found, error) {
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
		f.noJobFile, f.near = true, inspect.NearJobFile(namesIn(path))
		return f, nil
	}
	f.name = jobFile.Base()
	objects := inspect.Objects{Open: openLocal(path)}
	if f.Result, err = inspect.Drop(ctx, d, objects, v.policy, v.defaults...); err != nil {
		return found{}, err
	}
	if f.Incomplete() {
		f.near = inspect.Near(f.Resolution.Missing, namesIn(path))
	}
	f.data, err = readLocal(filepath.Join(path, f.name))
	return f, err
}

// namesIn returns the names of files in a folder and one folder below that may be meant for parts of
// a drop, relative to the folder. What can't be read is left out: it is for a hint only.
func namesIn(dir string) []string {
	var names []string
	for _, pattern := range []string{"*", "*/*"} {
		found, _ := fs.Glob(os.DirFS(dir), pattern) // the pattern is valid
		for _, name := range found {
			if inspect.Nearly(name) && len(names) < inspect.NearNames {
				names = append(names, name)
			}
		}
	}
	return names
}

// file inspects a job file alone.
func (v *validator) file(f found) found {
	f.folder = cmp.Or(v.folder, "drop/")
	d := job.Drop{Bucket: cmp.Or(v.policy.Inbox, inbox), Folder: f.folder, Metadata: v.metadata}
	f.Result = inspect.File(d, f.name, f.data, v.policy, v.defaults...)
	return f
}

// report returns what was found as it is printed.
func (f found) report() report {
	out := report{
		Path: f.path, Violations: []job.Violation{},
		source: f.data, sourceFile: filepath.Join(f.dir, f.name),
	}
	if f.noJobFile {
		out.Missing, out.Near = []string{"a job file (job.yaml, job.yml or job.json)"}, f.near
		return out
	}
	out.Missing, out.Near = f.Resolution.Missing, f.near
	for _, v := range f.Violations {
		v.File = filepath.Join(f.dir, v.File)
		out.Violations = append(out.Violations, v)
	}
	out.Valid = !job.HasErrors(out.Violations) && len(out.Missing) == 0
	return out
}
