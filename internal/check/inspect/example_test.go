package inspect_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// A whole drop is checked before anything runs: its job file, its packages, and what
// the operator's policy says of them. Here two files in memory are the drop.
func ExampleDrop() {
	files := map[string]string{
		"census/job.yaml": `trainingInput:
  scaleTier: BASIC
  region: us-central1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
  pythonModule: trainer.task
  network: projects/123/global/networks/internal
  scheduling:
    maxRunningTime: 2h
`,
		"census/trainer-0.1.tar.gz": "this is not an archive",
	}
	var objects []job.Object
	for name, text := range files {
		objects = append(objects, job.Object{Bucket: "inbox", Name: name, Size: int64(len(text))})
	}
	from := inspect.Objects{Open: func(_ context.Context, o job.Object) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(files[o.Name])), nil
	}}
	drop := job.Assemble("inbox", "census/", objects)
	result, err := inspect.Drop(context.Background(), drop, from, policy.Policy{})
	if err != nil {
		log.Fatal(err) // the drop could not be read, which is not a verdict
	}
	for _, v := range result.Violations {
		fmt.Printf("%s: %s: %s\n", v.File, v.Severity, v.Rule)
	}
	// Output:
	// job.yaml: error: policy-network
	// job.yaml: error: duration-format
	// trainer-0.1.tar.gz: error: package-format
}
