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

// apiRules are those of the rules for job files that are the API's own, beside those that this service needs itself. Every
// region, machine and version is this machine to it, but what the cloud's would refuse at once is refused here, too.
var apiRules = map[string]bool{
	"accelerator-complete": true, "accelerator-count": true, "accelerator-legacy": true, "accelerator-machine": true,
	"bucket-format": true, "disk-size": true, "disk-type": true, "image-excludes-runtime": true, "kms-key-format": true,
	"machine-category": true, "machine-format": true, "network-format": true, "object-name": true, "python-for-runtime": true,
	"python-version": true, "region-format": true, "runtime-version-format": true, "service-account-format": true,
}

// unknown are rules that only warn of a file: the lists of what is known may lack something. None of the API will be new.
var unknown = map[string]bool{"region-unknown": true, "runtime-version-unknown": true}

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
