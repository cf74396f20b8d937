package jobspec_test

import (
	"fmt"

	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// Parse reads a job file, Check judges what it says. Both report every fault at its
// place, so that one upload is enough to repair them all.
func ExampleParse() {
	file, violations := jobspec.Parse("job.yaml", []byte(`jobId: census-1
trainingInput:
  scaleTier: BASIC
  region: us-central1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
  pythonModule: trainer.task
  packageUris: [gs://packages/trainer-0.1.tar.gz]
  args: [--epochs=3]
`))
	violations = append(violations, file.Check(jobspec.DefaultCatalogue())...)
	fmt.Println(file.Spec.TrainingInput.PythonModule, file.Spec.TrainingInput.Args)
	for _, v := range violations {
		fmt.Printf("%s:%d:%d: %s: %s\n", v.File, v.Line, v.Column, v.Field, v.Rule)
	}
	// Output:
	// trainer.task [--epochs=3]
	// job.yaml:1:8: jobId: job-id-format
}
