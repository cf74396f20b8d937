package training

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// packageFile is a package of the job, fetched and looked through.
type packageFile struct {
	uri  string
	file string
	contents
}

func (f packageFile) wheel() bool { return strings.HasSuffix(f.file, ".whl") }

// pythonEnv is a virtual environment: what is installed into it, and the replicas
// that run in it.
type pythonEnv struct {
	dir, fetched string // the environment's folder, and that of its packages
	packages     []string
	module       string
	replicas     []replica
	trial        string // whose alone it is, if it is a trial's
}

func (v pythonEnv) python() string { return filepath.Join(v.dir, "bin", "python") }

// lead is the replica in whose name it is installed: the master, if it is one of
// them.
func (v pythonEnv) lead() replica { return v.replicas[len(v.replicas)-1] }

// environments are those that are made for all parts of a job.
func (e *entry) environments(p places) []pythonEnv {
	if e.Vertex != nil {
		return e.vertexEnvironments(p)
	}
	v := pythonEnv{dir: p.env, fetched: p.packages, packages: e.Job.TrainingInput.PackageURIs, module: e.Job.TrainingInput.PythonModule}
	for _, r := range replicasOf(e.Job.TrainingInput) {
		if imageOf(e.Job.TrainingInput, r.role) == "" {
			v.replicas = append(v.replicas, r)
		}
	}
	if len(v.replicas) == 0 {
		return nil
	}
	return []pythonEnv{v}
}

// fetch brings an environment's packages to its folder.
func (s *Service) fetch(e *entry, v pythonEnv) ([]packageFile, error) {
	var files []packageFile
	for i, uri := range v.packages {
		bucket, object, _ := splitURI(uri)
		name := path.Base(object)
		if !strings.HasSuffix(name, ".tar.gz") && !strings.HasSuffix(name, ".tgz") && !strings.HasSuffix(name, ".whl") {
			return nil, messagef("Field: package_uris Error: The package %s is neither a source archive (.tar.gz, .tgz) nor a wheel (.whl).", uri)
		}
		// A folder of its own for each: two may have the same name.
		dir := filepath.Join(v.fetched, strconv.Itoa(i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		f := packageFile{uri: uri, file: filepath.Join(dir, name)}
		e.log.write(taskService, stdout, "Fetching the package "+uri+".")
		if err := s.bucket.fetch(e.ctx, bucket, object, f.file, maxPackageBytes); notFound(err) {
			return nil, messagef("Field: package_uris Error: The package %s does not exist.", uri)
		} else if err != nil {
			return nil, messagef("Field: package_uris Error: The package %s can't be fetched: %v", uri, err)
		}
		var err error
		if f.contents, err = inspectArchive(f.file); err != nil {
			return nil, messagef("Field: package_uris Error: The package %s can't be installed: %v", uri, err)
		}
		files = append(files, f)
	}
	return files, nil
}

// makeEnv makes an environment and gives its folder of libraries.
func (s *Service) makeEnv(e *entry, v pythonEnv, env []string) (site string, err error) {
	if err := os.MkdirAll(v.fetched, 0o755); err != nil {
		return "", messagef("The job's folder can't be made: %v", err)
	}
	err = s.exec(e, command{
		path: s.opts.Python.Path, args: []string{"-m", "venv", "--without-pip", "--system-site-packages", v.dir},
		dir: v.fetched, env: env, trial: v.trial,
	})
	if err != nil {
		return "", messagef("The job's Python environment can't be made: %s", describe(err))
	}
	if site, err = s.sitePackages(v); err != nil {
		return "", messagef("The job's Python environment can't be made: %v", err)
	}
	return site, nil
}

// install makes an environment and puts the packages into it, with what they
// require.
func (s *Service) install(e *entry, v pythonEnv, files []packageFile, env []string) error {
	site, err := s.makeEnv(e, v, env)
	if err != nil {
		return err
	}
	env = pipEnv(env, s.environ, s.pipCache())
	var plain, isolated []packageFile
	for _, f := range files {
		setuptools := f.backend == "" || strings.HasPrefix(f.backend, "setuptools")
		switch {
		case s.opts.Python.Pip && (f.wheel() || setuptools && s.opts.Python.Builds):
			plain = append(plain, f)
		case s.opts.Python.Pip && !setuptools:
			isolated = append(isolated, f)
		default:
			if err := s.unpackPackage(e, v, f, site); err != nil {
				return err
			}
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
func (s *Service) sitePackages(v pythonEnv) (string, error) {
	dirs, err := filepath.Glob(filepath.Join(v.dir, "lib", "python3*", "site-packages"))
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

// unpackPackage puts a package's modules onto the path as they are.
func (s *Service) unpackPackage(e *entry, v pythonEnv, f packageFile, site string) error {
	target := wheelLayout(f.contents)
	if !f.wheel() {
		var modules []string
		if target, modules = sourceLayout(f.contents, v.module); len(modules) == 0 {
			return messagef("Field: package_uris Error: The package %s can't be installed: it holds no Python package or module.", f.uri)
		}
		e.log.write(taskService, stdout, fmt.Sprintf("This Python can't build source packages (it needs pip, and setuptools 70.1 or setuptools with wheel): "+
			"%s is unpacked as it is, without its setup (%s).", path.Base(f.file), strings.Join(modules, ", ")))
	} else {
		e.log.write(taskService, stdout, "This Python has no pip: "+path.Base(f.file)+" is unpacked.")
	}
	if err := unpack(f.file, site, target); err != nil {
		return messagef("Field: package_uris Error: The package %s can't be installed: %v", f.uri, err)
	}
	return nil
}

// pipInstall installs packages, and nothing that they require.
func (s *Service) pipInstall(e *entry, v pythonEnv, env []string, files []packageFile, flags ...string) error {
	if len(files) == 0 {
		return nil
	}
	args := append([]string{"--no-deps", "--ignore-installed"}, flags...)
	var uris []string
	for _, f := range files {
		args = append(args, f.file)
		uris = append(uris, f.uri)
	}
	return s.pip(e, v, env, strings.Join(uris, ", "), args)
}

func (s *Service) pip(e *entry, v pythonEnv, env []string, what string, args []string) error {
	args = append([]string{"-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"}, args...)
	e.log.write(taskService, stdout, "Running command: "+quote("python3", args))
	err := s.exec(e, command{path: v.python(), args: args, dir: v.fetched, env: env})
	if exit := (*exitError)(nil); errors.As(err, &exit) {
		return messagef("The %s could not install %s: pip exited with a non-zero status of %v", e.named(v.lead()), what, exit)
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
func (s *Service) installRequirements(e *entry, v pythonEnv, env []string, site string) error {
	var missing []string
	err := s.exec(e, command{
		path: v.python(), args: []string{"-c", unsatisfied, site}, dir: v.fetched, env: env,
		output: func(line string) {
			var text string
			if json.Unmarshal([]byte(line), &text) == nil {
				missing = append(missing, text)
			}
		},
	})
	if err != nil {
		return messagef("The packages' requirements can't be read: %s", describe(err))
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
