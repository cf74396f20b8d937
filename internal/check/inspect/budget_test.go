package inspect

import (
	"context"
	"io"
	"os"
	"testing"

	"github.com/jobdrop/jobdrop/internal/check/pypkg"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// What may be unpacked is for all packages of a drop together, and one that is
// named twice is read once.
func TestPackagesShareABudget(t *testing.T) {
	opened := 0
	open := func(context.Context, job.Object) (io.ReadCloser, error) {
		opened++
		return os.Open("../../../testdata/drops/hello/trainer-0.1.tar.gz")
	}
	object := func(name string) job.Object { return job.Object{Name: name} }
	limits := pypkg.DefaultLimits()
	drop := job.Drop{Bucket: "inbox", Packages: []job.Object{object("a.tar.gz")}}
	twice := drop.Resolve([]string{"a.tar.gz", "a.tar.gz"}, false, nil).Packages
	one, err := packages(t.Context(), twice, &job.TrainingInput{PythonModule: "trainer.task"}, limits, open)
	if err != nil || len(one.violations) != 0 || !one.hasModule || opened != 1 {
		t.Fatalf("%+v, %v; opened %d times", one, err, opened)
	}
	limits.Unpacked = 7_000 // the package has 4,701
	two, err := packages(t.Context(), []job.Object{object("a.tar.gz"), object("b.tar.gz")},
		&job.TrainingInput{PythonModule: "trainer.task"}, limits, open)
	if err != nil || !job.HasErrors(two.violations) || two.violations[0].File != "b.tar.gz" {
		t.Errorf("%+v, %v; want the second package to pass the limit", two, err)
	}
}
