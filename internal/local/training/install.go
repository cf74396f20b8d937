package training

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/jobdrop/jobdrop/internal/check/pypkg"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/process"
)

// packageFile is a package of the job, fetched and looked through.
type packageFile struct {
	uri  string
	file string
	contents
	report *pypkg.Report // what the check knows of it
}

func (f packageFile) wheel() bool { return strings.HasSuffix(f.file, ".whl") }

// fetch brings an environment's packages to its folder.
func (s *Service) fetch(e *entry, v jobs.PythonEnv) ([]packageFile, error) {
	var files []packageFile
	for i, uri := range v.Packages {
		bucket, object, _ := jobs.SplitURI(uri)
		name := path.Base(object)
		if !strings.HasSuffix(name, ".tar.gz") && !strings.HasSuffix(name, ".tgz") && !strings.HasSuffix(name, ".whl") {
			return nil, messagef("Field: package_uris Error: The package %s is neither a source archive (.tar.gz, .tgz) nor a "+
				"wheel (.whl).", uri)
		}
		// A folder of its own for each: two may have the same name.
		dir := filepath.Join(v.Fetched, strconv.Itoa(i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		f := packageFile{uri: uri, file: filepath.Join(dir, name)}
		e.log.Write(taskService, stdout, "Fetching the package "+uri+".")
		if err := s.bucket.fetch(e.ctx, bucket, object, f.file, maxPackageBytes); notFound(err) {
			return nil, messagef("Field: package_uris Error: The package %s does not exist.", uri)
		} else if err != nil {
			return nil, messagef("Field: package_uris Error: The package %s can't be fetched: %v", uri, err)
		}
		var err error
		if f.contents, err = inspectArchive(f.file); err != nil {
			return nil, messagef("Field: package_uris Error: The package %s can't be installed: %v", uri, err)
		}
		if f.report, err = report(e.ctx, f.file); err != nil {
			return nil, err
		}
		python := e.Job.TrainingInput.PythonVersion
		if asks, refused := f.report.Refuses(python); refused && !f.wheel() && python != "" {
			return nil, messagef("Field: package_uris Error: The package %s can't be installed: it asks for %s, and the job "+
				"has Python %s.", uri, asks, python)
		}
		files = append(files, f)
	}
	return files, nil
}

// report returns what the check knows of a package. What is wrong with it is for pip to
// say.
func report(ctx context.Context, file string) (*pypkg.Report, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, _, err := pypkg.Inspect(ctx, filepath.Base(file), f, pypkg.DefaultLimits())
	return r, err
}

// makeEnv makes an environment and returns its folder of libraries.
func (s *Service) makeEnv(e *entry, v jobs.PythonEnv, env []string) (site string, err error) {
	if err := os.MkdirAll(v.Fetched, 0o755); err != nil {
		return "", messagef("The job's folder can't be made: %v", err)
	}
	err = s.exec(e, step{trial: v.Trial, Command: process.Command{
		Path: s.opts.Python.Path, Args: []string{"-m", "venv", "--without-pip", "--system-site-packages", v.Dir},
		Dir: v.Fetched, Env: env,
	}})
	if err != nil {
		return "", messagef("The job's Python environment can't be made: %s", process.Describe(err))
	}
	if site, err = s.sitePackages(v); err != nil {
		return "", messagef("The job's Python environment can't be made: %v", err)
	}
	return site, nil
}

// install makes an environment and puts the packages into it, with what they
// require.
func (s *Service) install(e *entry, v jobs.PythonEnv, files []packageFile, env []string) error {
	site, err := s.makeEnv(e, v, env)
	if err != nil {
		return err
	}
	env = pipEnv(env, s.environ, s.pipCache())
	var plain, isolated []packageFile
	for _, f := range files {
		setuptools := f.backend == "" || strings.HasPrefix(f.backend, "setuptools")
		if s.opts.Python.Pip && (f.wheel() || setuptools && s.opts.Python.Builds) {
			plain = append(plain, f)
			continue
		}
		builds := s.opts.Python.Pip && !f.wheel()
		if builds && setuptools {
			if builds, err = s.fetchesTools(e, v, env); err != nil {
				return err
			}
		}
		if builds {
			isolated = append(isolated, f)
		} else if err := s.unpackPackage(e, v, f, site); err != nil {
			return err
		}
	}
	// Nothing has to be fetched for these, so a network that is not there isn't
	// waited for.
	if err := s.pipInstall(e, v, env, plain, "--no-index", "--no-build-isolation"); err != nil {
		return err
	}
	if err := s.pipInstall(e, v, env, isolated); err != nil {
		return err
	}
	return s.installRequirements(e, v, env, site)
}

// sitePackages finds the environment's folder of libraries and points it to the
// ones that it would not see by itself.
func (s *Service) sitePackages(v jobs.PythonEnv) (string, error) {
	dirs, err := filepath.Glob(filepath.Join(v.Dir, "lib", "python3*", "site-packages"))
	if err != nil || len(dirs) == 0 {
		return "", errors.Join(errors.New("it has no site-packages"), err)
	}
	site := dirs[0]
	if len(s.opts.Python.Sites) == 0 {
		return site, nil
	}
	var pth strings.Builder
	for _, dir := range s.opts.Python.Sites {
		text, err := json.Marshal(dir) // a JSON string is a Python literal
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&pth, "import site; site.addsitedir(%s)\n", text)
	}
	return site, os.WriteFile(filepath.Join(site, "jobdrop.pth"), []byte(pth.String()), 0o644)
}

// unpackPackage puts a package's modules onto the path: those of a source package that
// its setup would install, where its settings say that plainly, else all of them.
func (s *Service) unpackPackage(e *entry, v jobs.PythonEnv, f packageFile, site string) error {
	base := path.Base(f.file)
	if f.wheel() {
		e.log.Write(taskService, stdout, "This Python has no pip: "+base+" is unpacked.")
		if err := unpack(f.file, site, wheelLayout(f.contents)); err != nil {
			return messagef("Field: package_uris Error: The package %s can't be installed: %v", f.uri, err)
		}
		return nil
	}
	target, modules := setupLayout(f.contents, f.report)
	how := "what it names is unpacked"
	if target == nil {
		target, modules = sourceLayout(f.contents, v.Module)
		how = "the package is unpacked as it is, for its setup computes what it installs"
		if len(modules) == 0 {
			return messagef("Field: package_uris Error: The package %s can't be installed: it holds no Python package or "+
				"module.", f.uri)
		}
	}
	skipped := fmt.Sprintf("The setup of %s was skipped, and %s (%s): this Python can't build source packages (it needs "+
		"pip, "+
		"and setuptools 70.1 or setuptools with wheel)", base, how, strings.Join(modules, ", "))
	err := unpack(f.file, site, target)
	if err == nil && !hasMetadata(target) {
		if !f.report.RequiresKnown {
			skipped += ", so that what the package requires is not known and was not installed"
		}
		err = writeMetadata(site, f.report)
	}
	if err != nil {
		return messagef("Field: package_uris Error: The package %s can't be installed: %v", f.uri, err)
	}
	e.skipped = append(e.skipped, skipped+".")
	e.log.Write(taskService, stdout, skipped+".")
	return nil
}

// hasMetadata reports whether the installed files say what they require.
func hasMetadata(target map[string]string) bool {
	for _, to := range target {
		if dir, base := path.Split(to); base == "PKG-INFO" && strings.HasSuffix(dir, ".egg-info/") {
			return true
		}
	}
	return false
}

// writeMetadata writes a distribution's metadata as pip would, for its requirements and
// its version to be found.
func writeMetadata(site string, r *pypkg.Report) error {
	word := regexp.MustCompile(`[^\w.]+`)
	name := cmp.Or(strings.Trim(word.ReplaceAllString(r.Name, "_"), "_."), "unknown")
	version := cmp.Or(word.ReplaceAllString(r.Version, "_"), "0")
	text := "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n"
	for _, requirement := range r.Requires {
		text += "Requires-Dist: " + strings.Join(strings.Fields(requirement), " ") + "\n"
	}
	root, err := os.OpenRoot(site)
	if err != nil {
		return err
	}
	defer root.Close()
	dir := name + "-" + version + ".dist-info"
	if err := root.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return root.WriteFile(path.Join(dir, "METADATA"), []byte(text), 0o644)
}

// pipInstall installs packages, and nothing that they require.
func (s *Service) pipInstall(e *entry, v jobs.PythonEnv, env []string, files []packageFile, flags ...string) error {
	if len(files) == 0 {
		return nil
	}
	// This machine's Python stands in for the job's, which was held against what the
	// packages ask for.
	args := append([]string{"--no-deps", "--ignore-installed", "--ignore-requires-python"}, flags...)
	var uris []string
	for _, f := range files {
		args = append(args, f.file)
		uris = append(uris, f.uri)
	}
	return s.pip(e, v, env, strings.Join(uris, ", "), args)
}

func (s *Service) pip(e *entry, v jobs.PythonEnv, env []string, what string, args []string) error {
	args = append([]string{"-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"},
		args...)
	e.log.Write(taskService, stdout, "Running command: "+quote("python3", args))
	err := s.exec(e, step{Command: process.Command{Path: v.Python(), Args: args, Dir: v.Fetched, Env: env}})
	if exit := (*process.ExitError)(nil); errors.As(err, &exit) {
		return messagef("The %s could not install %s: pip exited with a non-zero status of %v", e.Title(v.Lead()), what, exit)
	}
	return err
}

// unsatisfied prints the requirements of an environment's own distributions that
// are not met, one JSON string a line.
const unsatisfied = `
import importlib.metadata, json, re, sys
try:
    from pip._vendor.packaging.requirements import Requirement
except ImportError:
    try:
        from packaging.requirements import Requirement
    except ImportError:
        Requirement = None

def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None

def met(text):
    if Requirement is None:
        # Markers and versions can't be judged without the library for it.
        name = re.match(r"[A-Za-z0-9._-]+", text)
        return ";" in text or name is None or version(name.group()) is not None
    r = Requirement(text)
    if r.marker is not None and not r.marker.evaluate({"extra": ""}):
        return True
    found = version(r.name)
    return found is not None and r.specifier.contains(found, prereleases=True)

missing = set()
for d in importlib.metadata.distributions(path=[sys.argv[1]]):
    missing.update(text for text in d.requires or [] if not met(text))
for text in sorted(missing):
    print(json.dumps(text))
`

// installRequirements installs what the packages declare and this Python's
// libraries don't give.
func (s *Service) installRequirements(e *entry, v jobs.PythonEnv, env []string, site string) error {
	var missing []string
	err := s.exec(e, step{Command: process.Command{
		Path: v.Python(), Args: []string{"-c", unsatisfied, site}, Dir: v.Fetched, Env: env,
		Stdout: func(line string) {
			var text string
			if json.Unmarshal([]byte(line), &text) == nil {
				missing = append(missing, text)
			}
		},
	}})
	if err != nil {
		return messagef("The packages' requirements can't be read: %s", process.Describe(err))
	}
	if len(missing) == 0 {
		return nil
	}
	what := strings.Join(missing, ", ")
	if !s.opts.Python.Pip {
		return messagef("The packages require %s, and this Python has no pip to install it.", what)
	}
	return s.pip(e, v, env, what, append([]string{"--"}, missing...))
}
