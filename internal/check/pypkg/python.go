package pypkg

import (
	"slices"
	"strconv"
	"strings"

	"github.com/jobdrop/jobdrop/internal/check/pypkg/internal/pep440"
	"github.com/jobdrop/jobdrop/internal/check/pypkg/internal/script"
)

// Refuses returns what the package asks for, if pip refuses it with a Python of this
// version, e.g. 3.7: by its Requires-Python or, if it is a wheel, by its tags.
func (r *Report) Refuses(python string) (asks string, refused bool) {
	if !covers(r.RequiresPython, python) {
		return "Python " + show(r.RequiresPython), true
	}
	if len(r.tags) > 0 && !slices.ContainsFunc(r.tags, func(t tag) bool { return t.fits(python) }) {
		return "the Python of its tag, " + show(r.tags[0].python+"-"+r.tags[0].abi), true
	}
	return "", false
}

// DoubtsPython returns a Requires-Python that excludes the Python, if PKG-INFO has it
// and the setup files, which pip goes by, have none.
func (r *Report) DoubtsPython(python string) (claim string, doubted bool) {
	return show(r.claimsPython), !covers(r.claimsPython, python)
}

// covers reports whether a specifier admits a Python. What is not valid says nothing: pip
// takes it so.
func covers(specifier, python string) bool {
	s, ok := pep440.ParseSpecifiers(specifier)
	return !ok || s.Covers(python)
}

// requiresPython returns what the settings of a source distribution demand, and what
// its PKG-INFO says where that is no more than a claim: pip asks the setup, and not
// PKG-INFO.
func (s settings) requiresPython(info []byte) (demand, claim string) {
	stated := header(info, "Requires-Python")
	if v := s.tables["project.requires-python"]; v.Kind == script.Text {
		return v.Text, ""
	}
	if !s.setuptools() {
		return stated, ""
	}
	if v := s.options["options.python_requires"]; v.Kind == script.Text {
		return v.Text, ""
	}
	if v, ok := s.call.Get("python_requires"); ok {
		if v.Kind == script.Text {
			return v.Text, ""
		}
		return stated, ""
	}
	_, open := s.call.Get("**")
	if s.script != "" && s.call.Kind != script.Call || open || s.source.Mentions("python_requires") {
		return stated, ""
	}
	return "", stated
}

// requirements returns what the settings of a source distribution require, with PKG-INFO
// for what they compute, and whether that is known.
func (s settings) requirements(info []byte) (list []string, known bool) {
	_, open := s.call.Get("**")
	inScript, computed := s.call.Get("install_requires")
	switch {
	case s.tables.Has("project"):
		if v, ok := s.tables["project.dependencies"]; ok {
			return v.Texts()
		}
		list, known = nil, !dynamic(s.tables, "dependencies")
	case !s.setuptools():
	case s.options["options.install_requires"].Text != "":
		text := s.options["options.install_requires"].Text
		if !strings.Contains(text, "\n") {
			text = strings.ReplaceAll(text, ";", "\n")
		}
		return entriesOf(text), true
	case inScript.Kind == script.Text:
		return entriesOf(inScript.Text), true
	case none(inScript):
		return nil, true
	case inScript.Kind == script.List:
		list, known = inScript.Texts()
	case !computed && !open && (s.script == "" || s.call.Kind == script.Call):
		return nil, true
	}
	if known {
		return list, true
	}
	for line := range strings.SplitSeq(string(info), "\n") {
		if line = strings.TrimRight(line, "\r"); line == "" {
			break
		}
		if value, ok := strings.CutPrefix(line, "Requires-Dist:"); ok {
			list = append(list, strings.TrimSpace(value))
		}
	}
	return list, len(list) > 0
}

// dynamic reports whether pyproject.toml leaves a field to be computed.
func dynamic(tables script.Config, field string) bool {
	fields, _ := tables["project.dynamic"].Texts()
	return slices.Contains(fields, field)
}

func entriesOf(text string) (list []string) {
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	return list
}

// tag is one of those that a wheel's name states (PEP 425).
type tag struct{ python, abi, platform string }

// maxTags bounds the tags of a name. Tools write a dozen.
const maxTags = 1000

// tagsOf returns the tags that a wheel's name states, and none if there are too many.
func tagsOf(pythons, abis, platforms string) (tags []tag) {
	for python := range strings.SplitSeq(pythons, ".") {
		for abi := range strings.SplitSeq(abis, ".") {
			for platform := range strings.SplitSeq(platforms, ".") {
				if len(tags) >= maxTags {
					return nil
				}
				tags = append(tags, tag{strings.ToLower(python), strings.ToLower(abi), strings.ToLower(platform)})
			}
		}
	}
	return tags
}

// x86Linux reports whether a platform tag is of the service's machines, which are x86-64
// with Linux and glibc (PEP 425, 600); musllinux is for another C library (PEP 656).
func x86Linux(platform string) bool {
	return strings.HasSuffix(platform, "_x86_64") &&
		(strings.HasPrefix(platform, "linux") || strings.HasPrefix(platform, "manylinux"))
}

// fits reports whether pip installs a wheel of the tag with CPython of a version
// (packaging's cpython_tags and compatible_tags). Where versions of pip differ, it does.
func (t tag) fits(python string) bool {
	major, minorText, _ := strings.Cut(python, ".")
	minor, err := strconv.Atoi(minorText)
	if err != nil {
		return true
	}
	if t.platform != "any" && !x86Linux(t.platform) {
		return false
	}
	if version, ok := strings.CutPrefix(t.python, "py"); ok {
		return t.abi == "none" && (version == major || atMost(version, major, minor))
	}
	version, ok := strings.CutPrefix(t.python, "cp")
	if !ok {
		return false
	}
	own := version == major+minorText
	switch t.abi {
	case "none":
		return own || version == major && t.platform == "any"
	case "abi3":
		return t.platform != "any" && major == "3" && version != "3" && atMost(version, major, minor)
	}
	abis := []string{"cp" + major + minorText}
	switch {
	case major == "2":
		abis = []string{"cp27m", "cp27mu"}
	case minor < 8:
		abis[0] += "m"
	}
	return own && t.platform != "any" && slices.Contains(abis, t.abi)
}

// atMost reports whether a tag's version, such as 36, is no newer than another.
func atMost(version, major string, minor int) bool {
	rest, ok := strings.CutPrefix(version, major)
	n, err := strconv.Atoi(rest)
	return ok && err == nil && n <= minor
}
