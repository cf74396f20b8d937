package inspect

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/jobdrop/jobdrop/internal/text"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// maxNear is how many objects [Near] tells of.
const maxNear = 3

// NearNames bounds the names that are kept of a folder for [Near].
const NearNames = 200

// Near returns what lies in a folder, or one folder below, and nearly is what a drop misses, each
// with the remedy. missing are entries of [job.Resolution.Missing]. names are relative to the
// folder; objects that are parts of the drop may be among them.
func Near(missing, names []string) []string {
	var all []string
	for _, m := range missing {
		wanted, _, _ := strings.Cut(m, " (") // a pin follows
		wanted, _, _ = strings.Cut(wanted, ",")
		for _, name := range names {
			if remedy := nearPackage(wanted, name); remedy != "" && len(all) < maxNear {
				all = append(all, there(name)+remedy)
			}
		}
	}
	return all
}

// NearJobFile is [Near] for a folder without a job file.
func NearJobFile(names []string) []string {
	var all []string
	for _, name := range names {
		if remedy := nearJobFile(name); remedy != "" && len(all) < maxNear {
			all = append(all, there(name)+remedy)
		}
	}
	return all
}

func there(name string) string { return text.Show(name, 100) + " is there: " }

// nearJobFile returns what to do with an object that may be meant as the job file.
func nearJobFile(name string) string {
	base := path.Base(name)
	lower := strings.ToLower(base)
	stem, _, _ := strings.Cut(lower, ".")
	kind := path.Ext(strings.TrimSuffix(lower, ".txt"))
	switch {
	case kind != ".yaml" && kind != ".yml" && kind != ".json":
		return ""
	case path.Dir(name) != "." && job.IsJobFile(name):
		return "it is the job file of that folder; upload it beside the packages"
	case path.Dir(name) != ".":
		return ""
	}
	for _, known := range [...]string{"job", "config", "trainer", "training", "train", "hptuning_config", "hyperparam"} {
		if strings.HasPrefix(stem, known) {
			return "rename it to job" + kind
		}
	}
	return ""
}

// archives are the ends of names of packages in forms that are not taken.
var archives = []string{".tar.bz2", ".tar.xz", ".tar.zst", ".tar", ".zip", ".egg", ".tar.gz", ".tgz", ".whl"}

// nameParts splits a package's file name into distribution and version, both as PEP 503 and PEP 625
// compare them, and the archive's ending.
func nameParts(name string) (distribution, version, ending string) {
	base := strings.ToLower(path.Base(name))
	for _, end := range archives {
		if rest, ok := strings.CutSuffix(base, end); ok {
			base, ending = rest, end
			break
		}
	}
	if ending == "" {
		return "", "", ""
	}
	if ending == ".whl" {
		parts := strings.SplitN(base, "-", 3)
		if len(parts) < 3 {
			return separators.ReplaceAllString(base, "-"), "", ending
		}
		return separators.ReplaceAllString(parts[0], "-"), parts[1], ending
	}
	if at := version1.FindStringIndex(base); at != nil {
		base, version = base[:at[0]], base[at[0]+1:]
	}
	return separators.ReplaceAllString(base, "-"), version, ending
}

var (
	separators = regexp.MustCompile(`[-_.]+`)
	// version1 finds the hyphen before a version.
	version1 = regexp.MustCompile(`-[0-9][^-]*$`)
)

// nearPackage returns what to do with an object that may be meant where another name is missing.
func nearPackage(wanted, name string) string {
	base := path.Base(name)
	distribution, version, ending := nameParts(base)
	if ending == "" || base == wanted && path.Dir(name) == "." {
		return ""
	}
	below := path.Dir(name) != "."
	takes := job.IsPackage(base)
	if wanted == "a package" { // the file names none
		switch {
		case below && takes:
			return "upload it beside the job file"
		case !below && !takes:
			return "jobdrop takes *.tar.gz, *.tgz and *.whl; build a source package (python -m build) or a wheel"
		}
		return ""
	}
	if strings.ContainsAny(wanted, "*?[") {
		if ok, err := path.Match(wanted, base); ok && err == nil && takes {
			return "packageUris takes no patterns; write " + text.Show(base, 100)
		}
		return ""
	}
	d, v, e := nameParts(wanted)
	if d == "" || d != distribution {
		return ""
	}
	switch {
	case base == wanted:
		return "upload it beside the job file"
	case !takes:
		return "jobdrop takes *.tar.gz, *.tgz and *.whl; build the package in one of these forms"
	case version != v:
		return "it is another version; name it in packageUris, or upload " + text.Show(wanted, 100)
	case ending != e:
		return "it is another form of the same package; name it in packageUris"
	}
	return "its name is written otherwise; name it so in packageUris"
}

// Nearly reports whether an object's name may be of interest to [Near] or [NearJobFile].
func Nearly(name string) bool {
	lower := strings.ToLower(path.Base(name))
	return nearJobFile(path.Base(name)) != "" ||
		slices.ContainsFunc(archives, func(end string) bool { return strings.HasSuffix(lower, end) })
}
