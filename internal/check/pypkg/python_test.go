package pypkg

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func tagNames() []string {
	return []string{
		"py3-none-any", "py2.py3-none-any", "py2-none-any", "py37-none-any", "py36-none-any", "py311-none-any",
		"py38-none-any",
		"py312-none-any", "py399-none-any", "py3-none-linux_x86_64", "cp37-none-any", "cp36-none-any", "cp311-none-any",
		"cp310-none-any", "cp313-none-any", "cp37-cp37m-linux_x86_64", "cp37-cp37-linux_x86_64", "cp37-cp37m-any",
		"cp311-cp311-linux_x86_64", "cp311-cp311m-linux_x86_64", "cp311-cp311-any", "cp310-cp310-linux_x86_64",
		"cp38-cp38-linux_x86_64", "cp36-abi3-linux_x86_64", "cp311-abi3-linux_x86_64", "cp312-abi3-linux_x86_64",
		"cp36-abi3-any", "cp36-none-linux_x86_64", "cp311-none-linux_x86_64", "cp32-abi3-linux_x86_64",
		"pp37-pypy37_pp73-linux_x86_64", "cp311.cp310-cp311-linux_x86_64", "py3-abi3-linux_x86_64",
		"cp27-cp27mu-linux_x86_64",
		"py3-none-win_amd64", "cp311-cp311-macosx_11_0_arm64", "cp311-cp311-manylinux2014_x86_64",
		"cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64", "CP311-CP311-Linux_x86_64",
	}
}

func fits(name, python string) bool {
	parts := strings.Split(name, "-")
	for _, t := range tagsOf(parts[0], parts[1], parts[2]) {
		if t.fits(python) {
			return true
		}
	}
	return false
}

// Python's own library, as pip brings it, takes the same tags for its own version.
func TestTagsAgree(t *testing.T) {
	t.Parallel()
	const program = `
import json, platform, sys
from pip._internal.utils.compatibility_tags import get_supported
from pip._vendor.packaging import tags
mine = set(get_supported())
out = {"version": "%d.%d" % sys.version_info[:2], "linux": sys.platform == "linux" and platform.machine() == "x86_64"}
out["fits"] = [any(t in mine for t in tags.parse_tag(name)) for name in json.load(sys.stdin)]
json.dump(out, sys.stdout)
`
	input, err := json.Marshal(tagNames())
	if err != nil {
		t.Fatal(err)
	}
	asked := false
	for _, name := range []string{"python3", "/usr/bin/python3", "python3.7", "python2.7"} {
		python, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		c := exec.CommandContext(t.Context(), python, "-c", program)
		c.Stdin = bytes.NewReader(input)
		out, err := c.Output()
		if err != nil {
			continue // it has no pip
		}
		var answer struct {
			Version string
			Linux   bool
			Fits    []bool
		}
		if err := json.Unmarshal(out, &answer); err != nil {
			t.Fatal(err)
		}
		if !answer.Linux {
			continue
		}
		asked = true
		for i, name := range tagNames() {
			if got := fits(name, answer.Version); got != answer.Fits[i] {
				t.Errorf("Python %s, %s: got %v, and says Python %v", answer.Version, name, got, answer.Fits[i])
			}
		}
	}
	if !asked {
		t.Skip("SKIPPED: no Python with pip on Linux on x86-64")
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		want []bool // of the Pythons below
	}{
		{"py3-none-any", []bool{false, true, true, true}},
		{"py2.py3-none-any", []bool{true, true, true, true}},
		{"cp37-cp37m-manylinux1_x86_64", []bool{false, false, true, false}},
		{"cp37-cp37-linux_x86_64", []bool{false, false, false, false}},
		{"cp310-cp310-manylinux_2_17_x86_64", []bool{false, false, false, true}},
		{"cp35-cp35m-linux_x86_64", []bool{false, true, false, false}},
		{"cp35-abi3-linux_x86_64", []bool{false, true, true, true}},
		{"cp27-cp27mu-manylinux1_x86_64", []bool{true, false, false, false}},
		{"cp27-cp27m-linux_x86_64", []bool{true, false, false, false}},
		{"py36-none-any", []bool{false, false, true, true}},
		{"py38-none-any", []bool{false, false, false, true}},
		{"cp37-none-any", []bool{false, false, true, false}},
		{"cp3-none-any", []bool{false, true, true, true}}, // to old versions of pip
		{"py3-none-win_amd64", []bool{false, false, false, false}},
		{"cp37-cp37m-musllinux_1_1_x86_64", []bool{false, false, false, false}},
		{"cp37-cp37m-manylinux2014_aarch64", []bool{false, false, false, false}},
	} {
		for i, python := range []string{"2.7", "3.5", "3.7", "3.10"} {
			if got := fits(tt.name, python); got != tt.want[i] {
				t.Errorf("%s with Python %s: got %v", tt.name, python, got)
			}
		}
	}
	if tags := tagsOf(strings.Repeat("a.", 1000), strings.Repeat("b.", 1000), "c"); tags != nil {
		t.Errorf("%d tags", len(tags))
	}
}

// Where each kind of package says which Pythons it is for.
func TestRequiresPython(t *testing.T) {
	t.Parallel()
	with := func(python string) string {
		return "from setuptools import setup\nsetup(name='t', packages=['trainer']" + python + ")\n"
	}
	const info = "Metadata-Version: 2.1\nName: t\nRequires-Python: >=3.12\n"
	for _, tt := range []struct {
		name          string
		entries       []entry
		demand, claim string
	}{
		{"setup.py", []entry{file("t-1/setup.py", with(", python_requires='>=3.8'"))}, ">=3.8", ""},
		{"setup.py beside PKG-INFO", []entry{file("t-1/setup.py", with(", python_requires='>=3.8'")),
			file("t-1/PKG-INFO", info)}, ">=3.8", ""},
		{"variable", []entry{file("t-1/setup.py", "R = '>=3.8'\n"+with(", python_requires=R"))}, ">=3.8", ""},
		{"computed", []entry{file("t-1/setup.py", with(", python_requires='>=' + x")), file("t-1/PKG-INFO", info)},
			">=3.12", ""},
		{"computed, without PKG-INFO", []entry{file("t-1/setup.py", with(", python_requires='>=' + x"))}, "", ""},
		{"PKG-INFO alone", []entry{file("t-1/setup.py", with("")), file("t-1/PKG-INFO", info)}, "", ">=3.12"},
		{"PKG-INFO of a setup that is not understood",
			[]entry{file("t-1/setup.py", with(", **more")), file("t-1/PKG-INFO", info)}, ">=3.12", ""},
		{"setup.cfg", []entry{file("t-1/setup.py", "from setuptools import setup\nsetup()\n"),
			file("t-1/setup.cfg", "[options]\npython_requires = >=3.8\n")}, ">=3.8", ""},
		{"pyproject.toml", []entry{file("t-1/pyproject.toml", "[project]\nrequires-python = '>=3.8'\n")}, ">=3.8", ""},
		{"another backend", []entry{
			file("t-1/pyproject.toml", "[build-system]\nbuild-backend = 'poetry.core.masonry.api'\n"),
			file("t-1/PKG-INFO", info),
		}, ">=3.12", ""},
		{"nothing", []entry{file("t-1/setup.py", with(""))}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := sdist(t, append(tt.entries, file("t-1/trainer/task.py", ""))...)
			report, _, err := Inspect(t.Context(), "t-1.tar.gz", bytes.NewReader(data), small())
			if err != nil || report.RequiresPython != tt.demand || report.claimsPython != tt.claim {
				t.Errorf("demands %q, claims %q, %v; want %q, %q", report.RequiresPython, report.claimsPython, err, tt.demand,
					tt.claim)
			}
		})
	}
	t.Run("wheel", func(t *testing.T) {
		entries := without("trainer-0.1.dist-info/METADATA", release())
		entries = append(entries, file("trainer-0.1.dist-info/METADATA", info))
		report, _, err := Inspect(t.Context(), whl, bytes.NewReader(wheel(t, entries...)), small())
		if err != nil || report.RequiresPython != ">=3.12" {
			t.Errorf("demands %q, %v", report.RequiresPython, err)
		}
	})
	r := Report{RequiresPython: ">=3.8", claimsPython: "<3.7"}
	if asks, ok := r.Refuses("3.7"); !ok || asks != "Python >=3.8" {
		t.Errorf("refuses 3.7: %q, %v", asks, ok)
	}
	if asks, ok := r.Refuses("3.10"); ok {
		t.Errorf("refuses 3.10: %q", asks)
	}
	if claim, ok := r.DoubtsPython("3.7"); !ok || claim != "<3.7" {
		t.Errorf("doubts 3.7: %q, %v", claim, ok)
	}
	r = Report{RequiresPython: "three", tags: tagsOf("cp310.cp311", "cp310", "linux_x86_64")}
	if asks, ok := r.Refuses("3.7"); !ok || asks != "the Python of its tag, cp310-cp310" {
		t.Errorf("refuses 3.7: %q, %v", asks, ok)
	}
	if asks, ok := r.Refuses("3.10"); ok {
		t.Errorf("refuses 3.10: %q", asks)
	}
}

// What a source distribution requires, where that is written out.
func TestRequirements(t *testing.T) {
	t.Parallel()
	py := func(arguments string) string {
		return "from setuptools import setup\nsetup(name='t', packages=['trainer']" + arguments + ")\n"
	}
	const info = "Name: t\r\nRequires-Dist: a (>=1)\r\nRequires-Dist: b\r\n\r\nRequires-Dist: c\r\n"
	for _, tt := range []struct {
		name                      string
		script, config, pyproject string
		info                      string
		want                      []string
		unknown                   bool
	}{
		{name: "none", script: py("")},
		{name: "list", script: py(", install_requires=['a>=1', \"b; python_version<'3'\"]"), info: info,
			want: []string{"a>=1", "b; python_version<'3'"}},
		{name: "variable", script: "R = ['a']\n" + py(", install_requires=R"), want: []string{"a"}},
		{name: "text", script: py(", install_requires='a\\nb'"), want: []string{"a", "b"}},
		{name: "nothing", script: py(", install_requires=None"), info: info},
		{name: "computed", script: py(", install_requires=open('r').readlines()"), unknown: true},
		{name: "computed, with PKG-INFO", script: py(", install_requires=open('r').readlines()"), info: info,
			want: []string{"a (>=1)", "b"}},
		{name: "more arguments", script: py(", **more"), unknown: true},
		{name: "setup.cfg", script: "from setuptools import setup\nsetup()\n",
			config: "[options]\ninstall_requires =\n  a\n  # no\n  b>1\n", want: []string{"a", "b>1"}},
		{name: "setup.cfg, a line", script: "from setuptools import setup\nsetup()\n",
			config: "[options]\ninstall_requires = a; b\n", want: []string{"a", "b"}},
		{name: "pyproject.toml", pyproject: "[project]\ndependencies = ['a', \"b\"]\n", want: []string{"a", "b"}},
		{name: "pyproject.toml without", pyproject: "[project]\nname = 't'\n"},
		{name: "pyproject.toml that computes", pyproject: "[project]\ndynamic = ['dependencies']\n", unknown: true},
		{name: "poetry", pyproject: "[build-system]\nbuild-backend = 'poetry.core.masonry.api'\n", info: info,
			want: []string{"a (>=1)", "b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, known := newSettings(tt.script, tt.config, tt.pyproject).requirements([]byte(tt.info))
			if diff := cmp.Diff(tt.want, got); known == tt.unknown || known && diff != "" {
				t.Errorf("known %v (-want +got):\n%s", known, diff)
			}
		})
	}
}

func TestPlace(t *testing.T) {
	t.Parallel()
	data := sdist(t, file("t-1/setup.py", "from setuptools import setup\nsetup(packages=['trainer'], "+
		"py_modules=['tool'], "+
		"package_dir={'': 'src'}, package_data={'trainer': ['*']})\n"), file("t-1/src/trainer/task.py", ""),
		file("t-1/src/trainer/data/x.txt", ""), file("t-1/src/tool.py", ""), file("t-1/other/x.py", ""))
	report, _, err := Inspect(t.Context(), "t-1.tar.gz", bytes.NewReader(data), small())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"t-1/setup.py": "", "t-1/src/trainer/task.py": "trainer/task.py", "t-1/src/trainer/data/x.txt": "trainer/data/x.txt",
		"t-1/src/tool.py": "tool.py", "t-1/other/x.py": "", "t-1/src/trainer/task.pyc": "",
	} {
		if got, known := report.Place(name); got != want || !known {
			t.Errorf("%s: %q, %v, want %q", name, got, known, want)
		}
	}
	if _, known := new(Report).Place("x"); known {
		t.Error("a report that knows nothing knows a place")
	}
}
