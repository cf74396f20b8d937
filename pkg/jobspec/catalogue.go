package jobspec

import (
	"regexp"
	"strconv"
	"strings"
)

// regions lists the training regions that the service's release notes name. It
// is not complete by promise, so a region that is missing here earns a warning
// only.
func regions() []string {
	return []string{
		"asia-east1", "asia-east2", "asia-northeast1", "asia-northeast2", "asia-northeast3", "asia-south1", "asia-southeast1",
		"australia-southeast1",
		"europe-north1", "europe-west1", "europe-west2", "europe-west3", "europe-west4", "europe-west6",
		"northamerica-northeast1", "southamerica-east1",
		"us-central1", "us-east1", "us-east4", "us-west1", "us-west2", "us-west3",
	}
}

// version is a runtime version, MAJOR.MINOR.
type version struct{ major, minor int }

// versionFormat also takes a patch number: whether the service does is not
// documented.
var versionFormat = regexp.MustCompile(`^[0-9]{1,4}\.[0-9]{1,4}(\.[0-9]{1,4})?$`)

func parseVersion(text string) (version, bool) {
	if !versionFormat.MatchString(text) {
		return version{}, false
	}
	parts := strings.Split(text, ".")
	major, _ := strconv.Atoi(parts[0])
	minor, _ := strconv.Atoi(parts[1])
	return version{major, minor}, true
}

func (v version) less(w version) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

// knownRuntime tells whether a runtime version is known to have existed.
func knownRuntime(v version) bool {
	return v.major == 1 && v.minor <= 15 && v.minor != 3 || v.major == 2 && v.minor >= 1 && v.minor <= 11
}

// pythonRange is the runtime versions that have a Python version.
type pythonRange struct {
	python   string
	from, to version
	text     string
}

// pythons is the manual's table ("Running a training job", pythonVersion) for
// 3.5 and 3.7; 2.7, which it no longer names, is from TrainingInput's reference.
func pythons() []pythonRange {
	return []pythonRange{
		{"3.7", version{1, 15}, version{9999, 0}, "1.15 or later"},
		{"3.5", version{1, 13}, version{1, 14}, "1.13 to 1.14"},
		{"2.7", version{0, 0}, version{1, 15}, "1.15 or earlier"},
	}
}

func pythonNames() string {
	var list []string
	for _, p := range pythons() {
		list = append(list, p.python)
	}
	return strings.Join(list, ", ")
}

// category of a machine type; types of one job must not mix the first two.
type category string

const (
	legacyMachine  category = "legacy"
	computeMachine category = "Compute Engine"
	tpuMachine     category = "TPU" // goes with either
	unknownMachine category = ""
)

var (
	legacyName  = regexp.MustCompile(`^(?:standard|large_model|complex_model_[sml])(?:_(?:gpu|p100|v100))?$`)
	computeName = regexp.MustCompile(`^[a-z][a-z0-9]*(?:-[a-z0-9]+)+$`)
)

func categoryOf(machine string) category {
	switch {
	case strings.Contains(machine, "tpu"):
		return tpuMachine
	case legacyName.MatchString(machine):
		return legacyMachine
	case computeName.MatchString(machine):
		return computeMachine
	}
	return unknownMachine
}

// bucketFault tells why a name can't be a bucket's (Cloud Storage, "Bucket
// names"), "" if it can.
func bucketFault(name string) string {
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.') {
			return "a bucket's name holds only lowercase letters, digits, dashes, underscores and dots"
		}
	}
	if strings.Trim(name, "-_.") != name || name == "" {
		return "a bucket's name begins and ends with a letter or a digit"
	}
	if len(name) > 222 {
		return "a bucket's name has at most 222 characters"
	}
	parts := strings.Split(name, ".")
	numbers := 0
	for _, part := range parts {
		if len(part) > 63 {
			return "each part of a bucket's name has at most 63 characters"
		}
		if part != "" && strings.Trim(part, "0123456789") == "" {
			numbers++
		}
	}
	if len(parts) == 4 && numbers == 4 {
		return "a bucket's name is no IP address"
	}
	return ""
}
