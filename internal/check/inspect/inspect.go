// Package inspect checks a whole drop: the job file, the packages it means, and
// what the operator's policy says of them. The Submit function and the command
// line call the same code; what only an installation can know is a warning to the
// command line.
package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/check/pypkg"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// Open opens the content of an object at its generation.
type Open func(ctx context.Context, o job.Object) (io.ReadCloser, error)

// Stat returns the live generation of an object. [job.ErrNotFound] and
// [job.ErrDenied] are faults of the drop.
type Stat func(ctx context.Context, bucket, name string) (job.Object, error)

// Objects is where a drop's objects are read. Without Stat, packages that lie
// outside the folder are not looked at.
type Objects struct {
	Open Open
	Stat Stat
}

// Result holds what was found in a drop.
type Result struct {
	// Spec is the job with its ID, its packages resolved to objects of the
	// inbox.
	Spec job.Spec
	// MadeID reports that the file has no job ID: the one in Spec was made from
	// the object's name, time and generation.
	MadeID     bool
	Options    job.Options
	Resolution job.Resolution
	// JobFile is the job file's object, with the size and the sum of its content if it was packed for
	// transport.
	JobFile job.Object
	// File is the job file with the values that metadata and defaults set, for
	// explanations. It is nil if the file was not read.
	File *jobspec.File
	// Violations holds everything that was found, warnings among them.
	Violations []job.Violation
	// Final reports that a violation is an error that no package of the folder can
	// mend: it is in the job file, or the policy or the backend raises it.
	Final bool
}

// Map adds a violation for each part of the job file that the backend can't be asked
// for. It is a warning, or an error if the job can't run or, with strict, would run
// otherwise than the file says.
func (r *Result) Map(told []plan.Diagnostic, strict bool) {
	for _, d := range told {
		v := d.Violation(strict)
		v = r.File.Violation(v.Rule, d.Field, v)
		r.Violations, r.Final = append(r.Violations, v), r.Final || job.HasErrors([]job.Violation{v})
	}
	inOrder(r.Violations)
}

// Incomplete reports that the drop waits for packages. Only the job file was checked
// then.
func (r Result) Incomplete() bool { return len(r.Resolution.Missing) > 0 }

// Drop checks a drop that has a job file. Each fault in the drop is a violation,
// even that it takes too much work. An error means that an object could not be read,
// or that ctx has ended. The policy's rules for the drop's folder apply. The job
// file's metadata beats the file, and the file beats defaults. Of defaults the first
// that sets a value counts, and the policy's own come last.
func Drop(ctx context.Context, d job.Drop, from Objects, p policy.Policy, defaults ...Defaults) (Result, error) {
	jobFile, ok := d.JobFile()
	if !ok {
		return Result{}, errors.New("inspect: the drop has no job file")
	}
	if v, ok := outOfBounds(d, jobFile); ok {
		return Result{Violations: []job.Violation{v}, Final: true}, nil
	}
	return within(ctx, workTime, d, jobFile, from, p, defaults)
}

// within checks a drop, which may take so much time.
func within(request context.Context, limit time.Duration, d job.Drop, jobFile job.Object, from Objects, p policy.Policy,
	defaults []Defaults) (Result, error) {
	work, ctx, cancel := newWork(request, limit)
	defer cancel()
	r, err := drop(ctx, d, jobFile, work.objects(from), p, defaults)
	if err != nil && errors.Is(context.Cause(ctx), errWorkTime) { // and not that the request ended first
		r.Violations = append(r.Violations, work.over())
		return r, nil
	}
	if err != nil {
		return Result{}, err
	}
	return r, nil
}

// drop checks a drop until ctx ends. If it ends while packages are read, the result has
// what was known before.
func drop(ctx context.Context, d job.Drop, jobFile job.Object, from Objects, p policy.Policy,
	defaults []Defaults) (Result, error) {
	jobFile, encoded, err := decoded(ctx, jobFile, from.Open, jobspec.MaxSize)
	if err != nil {
		return Result{}, err
	}
	if job.HasErrors(encoded) {
		return Result{JobFile: jobFile, Violations: encoded, Final: true}, nil
	}
	data, err := read(ctx, jobFile, from.Open)
	if err != nil {
		return Result{}, err
	}
	file, vs, p, err := resolve(ctx, jobFile.Base(), data, d, p, defaults)
	if err != nil {
		return Result{}, err
	}
	if job.Larger(job.MaxSpec, file.Spec, file.Options) {
		return Result{Violations: []job.Violation{job.TooLarge(jobFile.Base())}, Final: true}, nil
	}
	limits := pypkg.DefaultLimits()
	if d.Packages, err = decodePinned(ctx, d.Packages, file.Options.Packages, from.Open, limits.Bytes); err != nil {
		return Result{}, err
	}
	r, err := check(ctx, d, jobFile, file, p, from)
	if err != nil {
		return Result{}, err
	}
	r.JobFile = jobFile
	r.Violations = slices.Concat(encoded, vs, r.Violations)
	r.Final = job.HasErrors(slices.DeleteFunc(slices.Clone(r.Violations), ofPackages))
	all := r.Resolution.All()
	if v, ok := tooLarge(all); ok {
		r.Violations = append(r.Violations, v)
	} else if !r.Incomplete() && !slices.ContainsFunc(r.Violations, unreadable) {
		module := ""
		if t := file.Spec.TrainingInput; t != nil {
			module = t.PythonModule
		}
		found, err := packages(ctx, all, file.Spec.TrainingInput, limits, from.Open)
		if err != nil {
			return r, err
		}
		if !flagged(r.Violations, pythonField) {
			for _, v := range found.ofPython {
				r.Violations = append(r.Violations, file.Violation(v.Rule, pythonField, v))
			}
		}
		// Of a package that is broken it is not known what it holds.
		broken := job.HasErrors(found.violations)
		unread := len(r.Resolution.Elsewhere) < len(r.Resolution.Outside)
		if module != "" && len(all) > 0 && !found.hasModule && !broken && !unread && !flagged(r.Violations, moduleField) {
			r.Violations = append(r.Violations, moduleMissing(file, found))
		}
		r.Violations = append(r.Violations, found.violations...)
	}
	r.Violations = bounded(r.Violations)
	return r, nil
}

// ofPackages reports whether a violation is of what was found of the packages without
// opening them: another upload may mend it.
func ofPackages(v job.Violation) bool {
	return v.Rule == "policy-package-bytes" || v.Rule == ruleContentEncoding
}

// unreadable reports whether a violation is of a package whose content can't be known.
func unreadable(v job.Violation) bool {
	return v.Rule == ruleContentEncoding && v.Severity == job.Error
}

// bounded sorts violations, and keeps as many as an event can tell of.
func bounded(vs []job.Violation) []job.Violation {
	inOrder(vs)
	return job.BoundViolations(vs)
}

// A drop is one job file and at most 100 packages (TrainingInput.packageUris).
// FolderLimit bounds all objects of a folder, so that a listing ends; PartLimit
// those that may be parts of a drop, which are kept and told of. PageLimit bounds
// the pages of the listing, in which up to 1,000 objects and sub-folders stand, and
// so the sub-folders: nothing keeps those out of it, nor the empty pages that a
// service may give. Twenty take some seconds.
const (
	FolderLimit = 10_000
	PartLimit   = 1_000
	PageLimit   = 20
)

// Cloud Storage's names have at most 1,024 bytes, and jobdrop adds to them:
// status-<generation>.json to a folder, the attempt's key and a generation to a
// package's name.
const (
	folderName  = 900
	packageName = 255
)

// outOfBounds returns the violation that rejects a folder before anything in it is
// read.
func outOfBounds(d job.Drop, jobFile job.Object) (job.Violation, bool) {
	v := job.Violation{Severity: job.Error, File: jobFile.Base()}
	switch {
	case d.TooMany != "":
		v.Rule, v.Message = ruleFolderSize, "the folder holds too many "+string(d.TooMany)+" to be a drop"
		v.Found = map[job.Excess]string{
			job.ManyParts:   fmt.Sprintf("more than %d", PartLimit),
			job.ManyObjects: fmt.Sprintf("more than %d", FolderLimit),
			job.ManyFolders: fmt.Sprintf("a list of more than %d pages", PageLimit),
		}[d.TooMany]
		v.Allowed = fmt.Sprintf("at most %d job files and packages, among at most %d objects, beside at most about %d "+
			"sub-folders",
			PartLimit, FolderLimit, 1_000*PageLimit-FolderLimit)
		v.Remedy = "upload the job file and its packages into a folder of their own"
		return v, true
	case len(d.Folder) > folderName:
		v.Rule, v.Message = ruleFolderName, "the folder's name is too long"
		v.Found, v.Allowed = fmt.Sprintf("%d bytes", len(d.Folder)), fmt.Sprintf("at most %d bytes", folderName)
		v.Remedy = "upload into a folder with a shorter name"
		return v, true
	}
	if strings.ContainsFunc(d.Folder, unicode.IsControl) {
		v.Rule = ruleFolderName
		v.Message = "the folder's name holds a control character"
		v.Found = strconv.Quote(job.BoundText(d.Folder, packageName))
		v.Remedy = "upload into a folder whose name has none"
		return v, true
	}
	for _, p := range d.Packages {
		if n := len(p.Base()); n > packageName {
			v.Rule, v.Message = rulePackageName, "a package's name is too long"
			v.File = job.BoundText(p.Base(), packageName)
			v.Found, v.Allowed = fmt.Sprintf("%d bytes", n), fmt.Sprintf("at most %d bytes", packageName)
			v.Remedy = "rename the package and upload the job file again"
			return v, true
		}
	}
	return v, false
}

// some returns the first of many names, and how many more there are.
func some(names []string) string {
	const most = 10
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

const (
	moduleField = "trainingInput.pythonModule"
	pythonField = "trainingInput.pythonVersion"
)

// maxBytes bounds the packages of a drop in all: they are read within a
// function's deadline, at some tens of MB a second.
const maxBytes = 4 << 30

func tooLarge(packages []job.Object) (job.Violation, bool) {
	total := int64(0)
	for _, p := range packages {
		size, _ := p.Content()
		total += size
	}
	if total <= maxBytes {
		return job.Violation{}, false
	}
	return job.Violation{
		Rule: rulePackagesSize, Severity: job.Error, File: packages[0].Base(),
		Message: "the packages of the drop are too large in all",
		Found:   fmt.Sprintf("%d bytes", total), Allowed: fmt.Sprintf("at most %d bytes", int64(maxBytes)),
		Remedy: "leave data out of the packages: the trainer can read it from a bucket",
	}, true
}

// Defaults are values for what a job file leaves out, from elsewhere than the
// policy.
type Defaults struct {
	Spec job.Spec
	// Origin names where they come from.
	Origin string
}

// resolve reads a job file, fills in what its metadata, the defaults and the
// policy give, and gives the policy of its folder.
func resolve(ctx context.Context, name string, data []byte, d job.Drop, p policy.Policy,
	defaults []Defaults) (*jobspec.File, []job.Violation, policy.Policy, error) {
	file, vs, err := jobspec.ParseContext(ctx, name, data)
	if err != nil {
		return nil, nil, p, err
	}
	vs = append(vs, file.SetMetadata(d.Metadata)...)
	for _, f := range defaults {
		file.ApplyDefaults(f.Spec, f.Origin)
	}
	p = p.For(d.Folder)
	p.ApplyDefaults(file)
	return file, vs, p, nil
}

// File checks a job file on its own, whatever its name. d supplies the bucket, the
// folder and the metadata; the packages that the folder would hold count as there.
func File(d job.Drop, name string, data []byte, p policy.Policy, defaults ...Defaults) Result {
	jobFile := job.Object{Bucket: d.Bucket, Name: d.Folder + name}
	d.JobFiles = []job.Object{jobFile}
	ctx := context.Background()
	file, vs, p, _ := resolve(ctx, name, data, d, p, defaults) // which does not end
	if job.Larger(job.MaxSpec, file.Spec, file.Options) {
		return Result{Violations: []job.Violation{job.TooLarge(name)}, Final: true}
	}
	if t := file.Spec.TrainingInput; t != nil && len(t.PackageURIs) > 0 {
		for _, uri := range t.PackageURIs {
			d.Packages = append(d.Packages, job.Object{Name: d.Folder + uri})
		}
	} else {
		d.Packages = []job.Object{{Name: d.Folder + "package.tar.gz"}}
	}
	file.Options.Packages = nil                        // no object is there to match a pin
	r, _ := check(ctx, d, jobFile, file, p, Objects{}) // without a look elsewhere there is no error
	r.Violations = append(vs, r.Violations...)
	inOrder(r.Violations)
	return r
}

// check checks what can be known without the packages' contents.
func check(ctx context.Context, d job.Drop, jobFile job.Object, file *jobspec.File, p policy.Policy,
	from Objects) (Result, error) {
	r := Result{Options: file.Options, File: file}
	if file.Spec.JobID == "" {
		r.MadeID = true
		file.Spec.JobID = job.DefaultJobID(jobFile)
	}
	if t := file.Spec.TrainingInput; t != nil {
		// One more than may be, for the rule to see: a hostile list is not
		// worth the work.
		t.PackageURIs = t.PackageURIs[:min(len(t.PackageURIs), job.MaxPackages+1)]
		r.Resolution = d.Resolve(t.PackageURIs, t.HasImage(), file.Options.Packages)
		t.PackageURIs = r.Resolution.URIs
		if from.Stat != nil {
			vs, err := elsewhere(ctx, &r.Resolution, file, p, from.Stat)
			if err != nil {
				return Result{}, err
			}
			r.Violations = append(r.Violations, vs...)
		}
		if from.Open != nil && !r.Incomplete() {
			for _, objects := range [][]job.Object{r.Resolution.Packages, r.Resolution.Elsewhere} {
				vs, err := decodeAll(ctx, objects, from.Open, pypkg.DefaultLimits().Bytes)
				if err != nil {
					return Result{}, err
				}
				r.Violations = append(r.Violations, vs...)
			}
		}
		if r.Resolution.Ambiguous {
			// Packages there are: which of them is the question.
			for _, o := range d.Packages {
				t.PackageURIs = append(t.PackageURIs, o.URI())
			}
		}
	}
	r.Violations = append(r.Violations, strayPins(file, r.Resolution)...)
	r.Violations = append(r.Violations, file.Check(p.Catalogue())...)
	if r.Incomplete() {
		// The package is waited for: it is missing, and that is not a fault yet.
		r.Violations = slices.DeleteFunc(r.Violations, func(v job.Violation) bool { return v.Rule == "packages-required" })
	}
	r.Violations = append(r.Violations, p.Check(file, r.Resolution)...)
	if len(d.JobFiles) > 1 {
		r.Violations = append(r.Violations, twoJobFiles(d, jobFile))
	}
	if r.Resolution.Ambiguous {
		r.Violations = append(r.Violations, ambiguous(d, file))
	}
	r.Spec = file.Spec
	return r, nil
}

// elsewhere looks for the packages outside the folder, where the policy allows
// their sources: from then on they are one generation each, like the others.
func elsewhere(ctx context.Context, r *job.Resolution, file *jobspec.File, p policy.Policy,
	stat Stat) ([]job.Violation, error) {
	var vs []job.Violation
	for i, uri := range r.URIs {
		bucket, name, ok := strings.Cut(strings.TrimPrefix(uri, "gs://"), "/")
		if !ok || !slices.Contains(r.Outside, uri) || slices.Index(r.URIs, uri) < i || !job.IsPackage(name) ||
			!p.AllowsSource(uri) {
			continue
		}
		o, err := stat(ctx, bucket, name)
		v := job.Violation{Severity: job.Error}
		switch {
		case errors.Is(err, job.ErrNotFound):
			v.Message = "there is no such object"
			v.Remedy = "upload the package there or correct its name, and upload the job file again"
		case errors.Is(err, job.ErrDenied):
			v.Message = "jobdrop may not read this object"
			v.Remedy = "ask the operator to let jobdrop read the bucket, or upload the package into the folder of the job file"
		case err != nil:
			return nil, err
		default:
			r.Elsewhere = append(r.Elsewhere, o)
			continue
		}
		vs = append(vs, file.Violation(rulePackageSource, fmt.Sprintf("trainingInput.packageUris[%d]", i), v))
	}
	return vs, nil
}

func read(ctx context.Context, jobFile job.Object, open Open) ([]byte, error) {
	content, err := opened(ctx, jobFile, open)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	// One byte more than allowed, for the parser to see that it is too large.
	data, err := io.ReadAll(io.LimitReader(content, jobspec.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", jobFile.URI(), err)
	}
	return data, nil
}

// inspected is what was found out about the packages of a drop. What they hold
// is not kept: a drop may have many, with many modules.
type inspected struct {
	violations []job.Violation
	// hasModule reports that a package holds the job's module. alike lists similar
	// names of modules.
	hasModule bool
	alike     []string
	// guessed reports that a package may hold modules that are not known.
	guessed bool
	// below lists modules of a package that has the module's name.
	below []string
	// reason is why a package's setup does not install the module that the package
	// holds, remedy what to do about it.
	reason, remedy string
	// ofPython are the violations by the job's Python version.
	ofPython []job.Violation
}

// packages inspects every package, looks for the module in each, and holds it against
// the job's Python. in is nil for a job without a training input.
func packages(ctx context.Context, objects []job.Object, in *job.TrainingInput, limits pypkg.Limits,
	open Open) (inspected, error) {
	var all inspected
	module, python := "", ""
	if in != nil {
		module = in.PythonModule
		if !in.HasImage() {
			python = in.Python()
		}
	}
	for _, o := range objects {
		content, err := opened(ctx, o, open)
		if err != nil {
			return inspected{}, err
		}
		report, vs, err := pypkg.Inspect(ctx, o.Base(), content, limits)
		_ = content.Close() // all of it was read
		if err != nil {
			return inspected{}, fmt.Errorf("read %s: %w", o.URI(), err)
		}
		// What may be unpacked is for all packages together: it is what takes
		// the time.
		limits.Unpacked = max(0, limits.Unpacked-report.Unpacked)
		all.violations = append(all.violations, vs...)
		all.hasModule = all.hasModule || report.HasModule(module)
		all.judge(o.Base(), module, python, report)
		all.guessed = all.guessed || report.Guessed
		if len(all.alike) < suggestions {
			all.alike = append(all.alike, report.Suggest(module)...)
		}
	}
	return all, nil
}

// judge adds what a report says of the job's module and Python. python is "" where the
// packages run in an image of the job's own.
func (all *inspected) judge(name, module, python string, report *pypkg.Report) {
	if all.reason == "" {
		all.reason, all.remedy, _ = report.LeftOut(module)
	}
	if len(all.below) == 0 && module != "" {
		all.below = report.Below(module)
	}
	if python == "" {
		return
	}
	if !strings.HasPrefix(python, "2") {
		all.violations = append(all.violations, report.Strays(name)...)
	}
	if asks, refused := report.Refuses(python); refused {
		all.ofPython = append(all.ofPython, job.Violation{
			Rule: rulePackagePython, Severity: job.Error,
			Message: fmt.Sprintf("pip refuses to install %s: it asks for %s, and the job has Python %s", name, asks, python),
			Remedy:  "write a version that the package allows, or build the package for Python " + python,
		})
	} else if claim, doubted := report.DoubtsPython(python); doubted {
		all.ofPython = append(all.ofPython, job.Violation{
			Rule: rulePackagePython, Severity: job.Warning,
			Message: fmt.Sprintf("the PKG-INFO of %s asks for Python %s, its setup does not, and the job has Python %s", name,
				claim, python),
			Remedy: "check that the package works with Python " + python + "; pip goes by the setup",
		})
	}
}

// suggestions is how many modules a remedy names.
const suggestions = 3

// flagged reports whether a field has an error already.
func flagged(vs []job.Violation, field string) bool {
	return slices.ContainsFunc(vs, func(v job.Violation) bool { return v.Field == field && v.Severity != job.Warning })
}

// inOrder sorts violations as they stand in the job file; those of packages
// come last.
func inOrder(vs []job.Violation) {
	line := func(v job.Violation) int {
		if v.Line == 0 {
			return math.MaxInt
		}
		return v.Line
	}
	slices.SortStableFunc(vs, func(a, b job.Violation) int {
		return cmp.Or(cmp.Compare(line(a), line(b)), cmp.Compare(a.Column, b.Column))
	})
}

func moduleMissing(file *jobspec.File, found inspected) job.Violation {
	remedy := "name a module that is in the package, or add it to the package, in a folder with an __init__.py"
	alike := found.alike[:min(suggestions, len(found.alike))]
	if len(alike) > 0 {
		remedy = "did you mean " + strings.Join(alike, " or ") + "?"
	}
	if found.reason != "" {
		remedy = found.remedy + ", and build the package again"
		if len(alike) > 0 {
			remedy += "; or write " + strings.Join(alike, " or ") + " here"
		}
		return file.Violation(rulePythonModuleInPackage, moduleField, job.Violation{
			Severity: job.Error,
			Message:  "this module is not installed: " + found.reason,
			Remedy:   remedy,
		})
	}
	if found.guessed {
		return file.Violation(rulePythonModuleInPackage, moduleField, job.Violation{
			Severity: job.Warning,
			Message: "this module is not seen in the packages of the drop, whose settings say where modules come from in a " +
				"way that jobdrop does not follow",
			Remedy: "check that the built package holds the module, or upload a wheel, which shows what is installed",
		})
	}
	if len(found.below) > 0 {
		return file.Violation(rulePythonModuleInPackage, moduleField, job.Violation{
			Severity: job.Error,
			Message:  "this is a package without a __main__.py, which Python can't run",
			Remedy: "name the module to run, e.g. " + strings.Join(found.below, " or ") + ", or add a __main__.py to the " +
				"package",
		})
	}
	return file.Violation(rulePythonModuleInPackage, moduleField, job.Violation{
		Severity: job.Error,
		Message:  "no package of the drop holds this module",
		Remedy:   remedy,
	})
}

// strayPins returns a violation for each pin of a package that the job does not use:
// whoever wrote it means that the package runs.
func strayPins(file *jobspec.File, r job.Resolution) []job.Violation {
	var vs []job.Violation
	for i, pin := range file.Options.Packages {
		used := func(uri string) bool { return path.Base(uri) == path.Base(pin.Name) }
		if pin.Name == "" || len(r.URIs) == 0 || slices.ContainsFunc(r.URIs, used) {
			continue
		}
		vs = append(vs, file.Violation(rulePinUnused, fmt.Sprintf("jobdrop.packages[%d].name", i), job.Violation{
			Severity: job.Error,
			Message:  "the pin names a package that the job does not use", Found: pin.Name,
			Allowed: "a package of trainingInput.packageUris",
			Remedy:  "correct the name, add the package to packageUris, or remove the pin",
		}))
	}
	return vs
}

func twoJobFiles(d job.Drop, jobFile job.Object) job.Violation {
	var names []string
	for _, o := range d.JobFiles {
		names = append(names, o.Base())
	}
	return job.Violation{
		Rule: ruleOneJobFile, Severity: job.Error, File: jobFile.Base(),
		Message: "the folder holds more than one job file", Found: strings.Join(names, ", "),
		Allowed: "one of job.yaml, job.yml, job.json",
		Remedy:  "delete all but one and upload that one again",
	}
}

func ambiguous(d job.Drop, file *jobspec.File) job.Violation {
	var names []string
	for _, o := range d.Packages {
		names = append(names, o.Base())
	}
	return file.Violation(rulePackageAmbiguous, "trainingInput.packageUris", job.Violation{
		Severity: job.Error,
		Message:  "the job file names no package and the folder holds more than one",
		Found:    some(names),
		Remedy:   "list the packages of this job under trainingInput.packageUris, by their file names",
	})
}
