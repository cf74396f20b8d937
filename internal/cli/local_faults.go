package cli

import (
	"fmt"

	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// maxFaults bounds the faults of a file, which every call is held against, and maxFaultGlob their patterns.
const (
	maxFaults    = 100
	maxFaultGlob = 512
)

// faultsFile is a file that says which calls of Cloud Storage fail.
type faultsFile struct {
	Faults []faultEntry `json:"faults"`
}

// faultEntry is a [storage.Fault] as a file has it.
type faultEntry struct {
	Do     string `json:"do"`
	Method string `json:"method"`
	Bucket string `json:"bucket"`
	Object string `json:"object"`
	From   int64  `json:"from"`
	Every  int64  `json:"every"`
	Times  int64  `json:"times"`
	Always *bool  `json:"always"`
}

var faultsKind = jobspec.NewKind[faultsFile]("the file of faults", "the faults", "write {} for none, or leave --faults out",
	func(string) bool { return false })

// parseFaults reads and checks a file of faults.
func parseFaults(path string, data []byte) ([]storage.Fault, error) {
	var d faultsFile
	file := jobspec.ParseOther(path, data, faultsKind, &d)
	if n := len(d.Faults); n > maxFaults {
		file.Report(ruleFaultsListLength, "faults", job.Violation{
			Message: "the list is too long", Found: fmt.Sprintf("%d faults", n),
			Allowed: fmt.Sprintf("at most %d", maxFaults), Remedy: "let patterns stand for several faults",
		})
		d.Faults = nil
	}
	var out []storage.Fault
	for i, e := range d.Faults {
		checkFault(file, fmt.Sprintf("faults[%d]", i), e)
		out = append(out, storage.Fault{
			Do: e.Do, Method: e.Method, Bucket: e.Bucket, Object: e.Object, From: int(e.From), Every: int(e.Every),
			Times: int(e.Times), Always: e.Always != nil && *e.Always,
		})
	}
	if vs := file.Violations(); job.HasErrors(vs) {
		return nil, &faultyFile{"the file of faults", fileReport(path, data, vs)}
	}
	return out, nil
}

// checkFault reports what is wrong in the fault at a place of the file.
func checkFault(file *jobspec.Other, at string, e faultEntry) {
	fail := func(field, message, remedy string) {
		rule := map[string]job.Rule{
			"do": ruleFaultsDo, "method": ruleFaultsMethod, "bucket": ruleFaultsBucket, "object": ruleFaultsObject,
			"from": ruleFaultsFrom, "every": ruleFaultsEvery, "times": ruleFaultsTimes, "always": ruleFaultsAlways,
		}[field]
		file.Report(rule, at+"."+field, job.Violation{Message: message, Remedy: remedy})
	}
	const words = "docs/local.md has all failures, with what each does"
	if e.Do == "" {
		fail("do", "the fault does not say how the calls fail", "write do: and a failure, such as return-503; "+words)
	} else if err := storage.CheckFailure(e.Do); err != nil {
		fail("do", err.Error(), words)
	}
	if err := storage.CheckMethods(e.Method); err != nil {
		fail("method", err.Error(), "name calls as Google's API does, or leave the field out for all")
	}
	for field, pattern := range map[string]string{"method": e.Method, "bucket": e.Bucket, "object": e.Object} {
		err := storage.CheckGlob(pattern)
		switch {
		case len(pattern) > maxFaultGlob:
			fail(field, fmt.Sprintf("the pattern has %d bytes, and %d is the most", len(pattern), maxFaultGlob), "shorten it")
		case err != nil && field != "method":
			fail(field, err.Error(), "write a glob: * stands for anything but /, ** for anything")
		}
	}
	for field, n := range map[string]int64{"from": e.From, "every": e.Every, "times": e.Times} {
		if file.Given(at+"."+field) && (n < 1 || n > 1_000_000_000) {
			fail(field, fmt.Sprintf("%d is not a number of calls", n), "write a number from 1 to 1000000000")
		}
	}
	if e.Always != nil && *e.Always && file.Given(at+".times") {
		fail("always", "the fault has a number of times, too", "keep one of the two")
	}
}
