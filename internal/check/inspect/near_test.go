package inspect_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/check/inspect"
)

// A name that is nearly right is told with the remedy that makes it right.
func TestNear(t *testing.T) {
	const none = "a package (*.tar.gz, *.tgz or *.whl)"
	tests := []struct{ missing, name, want string }{
		{"trainer-0.1.tar.gz", "trainer-0.1.zip", "jobdrop takes *.tar.gz"},
		{"trainer-0.1.tar.gz", "trainer-0.1.tar.bz2", "jobdrop takes *.tar.gz"},
		{"trainer-0.1.tar.gz", "trainer-0.1.tar.xz", "jobdrop takes *.tar.gz"},
		{"trainer-0.1.tar.gz", "dist/trainer-0.1.tar.gz", "upload it beside the job file"},
		{"trainer-0.1.tar.gz", "trainer-0.2.tar.gz", "another version"},
		{"trainer-0.1.tar.gz", "Trainer-0.1.tar.gz", "written otherwise"},
		{"my-trainer-0.1.tar.gz", "my_trainer-0.1.tar.gz", "written otherwise"},
		{"my.trainer-0.1.tar.gz", "my_trainer-0.1.tar.gz", "written otherwise"},
		{"trainer-0.1.tar.gz", "trainer-0.1-py3-none-any.whl", "another form"},
		{"trainer-0.1-py3-none-any.whl", "trainer-0.1.tar.gz", "another form"},
		{"trainer-0.1.tar.gz", "trainer-0.1.tgz", "another form"},
		{"trainer-*.tar.gz", "trainer-0.1.tar.gz", "no patterns; write trainer-0.1.tar.gz"},
		{"trainer-0.1.tar.gz (generation 5)", "trainer-0.2.tar.gz", "another version"},
		{none, "trainer-0.1.zip", "jobdrop takes *.tar.gz"},
		{none, "dist/trainer-0.1.tar.gz", "upload it beside the job file"},
		{"trainer-0.1.tar.gz", "helpers-0.1.tar.gz", ""},
		{"trainer-0.1.tar.gz", "data.csv", ""},
		{"trainer-0.1.tar.gz", "trainer-0.1.tar.gz", ""}, // pinned to another content
		{"trainer-*.tar.gz", "helpers-0.1.tar.gz", ""},
	}
	for _, test := range tests {
		got := strings.Join(inspect.Near([]string{test.missing}, []string{test.name}), "; ")
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s, and %s is there: %q, want %q", test.missing, test.name, got, test.want)
		}
		if got != "" && !inspect.Nearly(test.name) {
			t.Errorf("%s is told of, and not kept", test.name)
		}
	}
}

func TestNearJobFile(t *testing.T) {
	for name, want := range map[string]string{
		"config.yaml": "rename it to job.yaml", "config.yml": "rename it to job.yml", "Job.yaml": "rename it to job.yaml",
		"JOB.JSON": "rename it to job.json", "job.yaml.txt": "rename it to job.yaml", "job (1).yaml": "rename it to job.yaml",
		"hptuning_config.yaml": "rename it to job.yaml", "dist/job.yaml": "upload it beside the packages",
		"values.yaml": "", "README.md": "", "deep/config.yaml": "",
	} {
		got := strings.Join(inspect.NearJobFile([]string{name}), "; ")
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	many := slices.Repeat([]string{"config.yaml"}, 50)
	if got := inspect.NearJobFile(many); len(got) > 3 {
		t.Errorf("%d objects are told of", len(got))
	}
}
