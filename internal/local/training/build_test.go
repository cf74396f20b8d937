package training

import (
	"maps"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/testing/buildtools"
)

// withoutTools returns a Python that has pip and, as far as the service knows, can't
// build source packages by itself.
func withoutTools(t *testing.T) Python {
	t.Helper()
	for _, p := range pythons(t) {
		if p.Pip {
			p.Builds = false
			return p
		}
	}
	t.Skip("SKIPPED: no Python with pip on this machine")
	return Python{}
}

// Where pip can fetch what it builds with, a source package is built as the cloud builds
// it, and fails as it fails there.
func TestIsolatedBuild(t *testing.T) {
	t.Parallel()
	python := withoutTools(t)
	links := buildtools.Links(t, python.Path)
	h := newHarness(t, python, nil, "PIP_NO_INDEX=1", "PIP_FIND_LINKS="+links)
	const program = "import importlib.metadata, trainer.made\nprint('version', importlib.metadata.version('trainer'), " +
		"trainer.made.ANSWER)\n"
	files := trainerFiles(program)
	// A setup that computes what it installs, so that running it alone tells.
	files["setup.py"] = "open('trainer/made.py', 'w').write('ANSWER = 42')\n" + files["setup.py"]
	j := h.job("built", "")
	h.put("inbox", "built/trainer-0.1.tar.gz", sdist(t, files))
	h.create(j)
	h.line("built", "version 0.1 42")
	h.succeeded("built")

	files["setup.py"] = "raise RuntimeError('broken setup')\n"
	j = h.job("broken", "")
	h.put("inbox", "broken/trainer-0.1.tar.gz", sdist(t, files))
	h.create(j)
	if j := h.ended("broken"); j.State != "FAILED" || !strings.Contains(j.ErrorMessage, "broken setup") ||
		strings.Contains(j.ErrorMessage, "was skipped") {
		t.Errorf("%s: %q", j.State, j.ErrorMessage)
	}
	asked := 0
	for _, l := range append(h.log("built"), h.log("broken")...) {
		if strings.Contains(l, "pip is asked to fetch") {
			asked++
		}
	}
	if asked != 1 {
		t.Errorf("pip was asked %d times for what it builds with", asked)
	}
}

// Where pip finds nothing to build with, the log says why in pip's words.
func TestPipsReason(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withoutTools(t), nil, "PIP_NO_INDEX=1", "PIP_FIND_LINKS="+t.TempDir())
	h.put("inbox", "bare/trainer-0.1.tar.gz", sdist(t, trainerFiles("print('ran')\n")))
	h.create(h.job("bare", ""))
	h.line("bare", "Pip can't fetch what it needs: \"No matching distribution found for setuptools")
	h.succeeded("bare")
}

// Where it can't, a module that setup would not install is not there, what the package
// requires is asked for, and the job's end says what was skipped.
func TestUnpackedAsItsSetupSays(t *testing.T) {
	t.Parallel()
	h := newHarness(t, withoutTools(t), nil)
	plain := map[string]string{
		"setup.py": "from setuptools import setup, find_packages\nR = ['jobdrop-no-such-thing==1.0']\n" +
			"setup(name='trainer', version='0.1', packages=find_packages(), REQUIRES)\n",
		"trainer/__init__.py": "", "trainer/task.py": "print('ran')\n", "task.py": "print('ran')\n", "bare/task.py": "",
	}
	with := func(old, new string) map[string]string {
		files := maps.Clone(plain)
		files["setup.py"] = strings.ReplaceAll(strings.ReplaceAll(files["setup.py"], old, new), ", REQUIRES", "")
		return files
	}
	for _, tt := range []struct {
		name, module string
		files        map[string]string
		want         []string // of the message; none if the job succeeds
	}{
		{"installed", "trainer.task", with("", ""), nil},
		{"left_out", "task", with("", ""), []string{"No module named task",
			"The setup of trainer-0.1.tar.gz was skipped, and what it names is unpacked (trainer)"}},
		{"without_init", "bare.task", with("", ""), []string{"No module named 'bare'"}},
		{"requires", "trainer.task", with("REQUIRES", "install_requires=R"),
			[]string{"could not install jobdrop-no-such-thing==1.0"}},
		{"requires_in_a_marker", "trainer.task",
			with("REQUIRES", `install_requires=["jobdrop-no-such-thing; python_version < '3'"]`), nil},
		{"computed", "task", with("REQUIRES", "install_requires=list(R), **{}"), nil},
		{"computed_and_fails", "other", with("REQUIRES", "install_requires=list(R), **{}"),
			[]string{"the package is unpacked as it is, for its setup computes what it installs",
				"what the package requires is not known"}},
		{"Python", "trainer.task", with("REQUIRES", "python_requires='>=3.12'"),
			[]string{"it asks for Python >=3.12, and the job has Python 3.7"}},
		{"Python_of_the_job", "trainer.task", with("REQUIRES", "python_requires='==3.7.*'"), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			j := h.job(tt.name, "")
			j.TrainingInput.PythonModule = tt.module
			h.put("inbox", tt.name+"/trainer-0.1.tar.gz", sdist(t, tt.files))
			h.create(j)
			got := h.ended(tt.name)
			if len(tt.want) == 0 && got.State != "SUCCEEDED" {
				t.Errorf("%s: %s", got.State, got.ErrorMessage)
			}
			for _, want := range tt.want {
				if got.State != "FAILED" || !strings.Contains(got.ErrorMessage, want) {
					t.Errorf("%s: %q, want %q", got.State, got.ErrorMessage, want)
				}
			}
		})
	}
}

// A Python that builds asks for the job's Python version, too, and not for its own.
func TestRequiresThePythonOfTheJob(t *testing.T) {
	t.Parallel()
	eachPython(t, func(t *testing.T, python Python) {
		h := newHarness(t, python, nil)
		files := trainerFiles("print('ran')\n")
		files["setup.py"] = strings.Replace(files["setup.py"], "version=", "python_requires='==3.7.*', version=", 1)
		j := h.job("older", "")
		h.put("inbox", "older/trainer-0.1.tar.gz", sdist(t, files))
		h.create(j)
		h.succeeded("older")
	})
}
