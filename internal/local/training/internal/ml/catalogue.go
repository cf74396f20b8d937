package ml

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jobdrop/jobdrop/internal/check/plan"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/rest"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// apiRules are the rules for job files that are the API's own, beside those that this service needs itself. To it every
// region, machine and version is this machine. What the cloud's service would refuse at once is refused here, too.
var apiRules = map[job.Rule]bool{
	"accelerator-complete": true, "accelerator-count": true, "accelerator-legacy": true, "accelerator-machine": true,
	"bucket-format": true, "disk-size": true, "disk-type": true, "image-excludes-runtime": true, "kms-key-format": true,
	"machine-category": true, "machine-format": true, "network-format": true, "object-name": true,
	"python-for-runtime": true, "python-version": true, "region-format": true, "runtime-version-format": true,
	"service-account-format": true,
}

// unknown are rules that only warn of a file, which may be meant for another service. The API will have nothing new.
var unknown = map[job.Rule]bool{"region-unknown": true, "runtime-version-unknown": true}

// checkCatalogue returns why the API would refuse a job by what regions, machines and versions it has.
func checkCatalogue(spec job.Spec) rest.Violations {
	var vs rest.Violations
	f := jobspec.File{Spec: spec}
	for _, v := range f.Check(nil) {
		if !(v.Severity == job.Error && apiRules[v.Rule] || unknown[v.Rule]) {
			continue
		}
		field := plan.Snake(strings.TrimPrefix(v.Field, "trainingInput."))
		v.Field, v.Severity = "", job.Error
		vs.Add(field, "%s.", capital(strings.TrimPrefix(v.String(), ": ")))
	}
	return vs
}

func capital(text string) string {
	first, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[n:]
}
