package inspect_test

import (
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// Packages from elsewhere are checked like the folder's own if the policy allows
// their source. For others not even their existence is asked.
func TestDropWithPackagesElsewhere(t *testing.T) {
	rules, vs := policy.Parse("policy.yaml",
		[]byte("allow: {packageSources: ['gs://shared/libs/*.gz']}\nlimits: {packageBytes: 100000}\n"))
	if len(vs) > 0 {
		t.Fatal(vs)
	}
	down := errors.New("connection reset")
	own := sdist(t, "own", "lib")
	tests := []struct {
		name     string
		uris     string
		content  string // of gs://shared/libs/t-1.tar.gz
		size     int64
		err      error // of looking for it
		asked    []string
		packages []string
		rules    []string
		want     error
	}{
		{name: "allowed, with the module", uris: "gs://shared/libs/t-1.tar.gz, own.tar.gz",
			content: sdist(t, "trainer", "task"),
			asked:   []string{"t-1.tar.gz"}, packages: []string{"gs://shared/libs/t-1.tar.gz", "gs://inbox/census/own.tar.gz"}},
		{name: "in the file's order", uris: "own.tar.gz, gs://shared/libs/t-1.tar.gz", content: sdist(t, "trainer", "task"),
			asked: []string{"t-1.tar.gz"}, packages: []string{"gs://inbox/census/own.tar.gz", "gs://shared/libs/t-1.tar.gz"}},
		{name: "alone", uris: "gs://shared/libs/t-1.tar.gz", content: sdist(t, "trainer", "task"),
			asked: []string{"t-1.tar.gz"}, packages: []string{"gs://shared/libs/t-1.tar.gz"}},
		{name: "without the module", uris: "gs://shared/libs/t-1.tar.gz", content: sdist(t, "trainer", "other"),
			asked: []string{"t-1.tar.gz"}, packages: []string{"gs://shared/libs/t-1.tar.gz"},
			rules: []string{"python-module-in-package"}},
		{name: "broken", uris: "gs://shared/libs/t-1.tar.gz", content: "broken",
			asked: []string{"t-1.tar.gz"}, packages: []string{"gs://shared/libs/t-1.tar.gz"}, rules: []string{"package-format"}},
		{name: "above the limit", uris: "gs://shared/libs/t-1.tar.gz", content: sdist(t, "trainer", "task"), size: 100001,
			asked: []string{"t-1.tar.gz"}, packages: []string{"gs://shared/libs/t-1.tar.gz"},
			rules: []string{"policy-package-bytes"}},
		{name: "not there", uris: "own.tar.gz, gs://shared/libs/t-1.tar.gz", err: job.ErrNotFound,
			asked: []string{"t-1.tar.gz"}, packages: []string{"gs://inbox/census/own.tar.gz"},
			rules: []string{"package-source"}},
		{name: "closed to jobdrop", uris: "gs://shared/libs/t-1.tar.gz", err: job.ErrDenied,
			asked: []string{"t-1.tar.gz"}, rules: []string{"package-source"}},
		{name: "no answer", uris: "gs://shared/libs/t-1.tar.gz", err: down, asked: []string{"t-1.tar.gz"}, want: down},
		{
			name: "refused", uris: "own.tar.gz, gs://shared/secret/t-1.tar.gz",
			packages: []string{"gs://inbox/census/own.tar.gz"}, rules: []string{"policy-package-source"},
		},
		{name: "another folder of the inbox", uris: "gs://inbox/other/t-1.tar.gz", rules: []string{"policy-package-source"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := folder{files: map[string]string{"job.yaml": valid + "  packageUris: [" + test.uris + "]\n", "own.tar.gz": own}}
			var asked []string
			from := inspect.Objects{
				Open: func(ctx context.Context, o job.Object) (io.ReadCloser, error) {
					if o.Bucket != "shared" {
						return f.open(ctx, o)
					}
					if o.Generation != 7 {
						t.Errorf("read at generation %d", o.Generation)
					}
					return io.NopCloser(strings.NewReader(test.content)), nil
				},
				Stat: func(_ context.Context, bucket, name string) (job.Object, error) {
					asked = append(asked, path.Base(name))
					return job.Object{
						Bucket: bucket, Name: name, Generation: 7, Size: max(test.size, int64(len(test.content))),
					}, test.err
				},
			}
			r, err := inspect.Drop(t.Context(), f.drop(), from, policy.Policy{Project: "project", Inbox: "inbox", Rules: rules})
			if !errors.Is(err, test.want) {
				t.Fatalf("error %v, want %v", err, test.want)
			}
			if diff := cmp.Diff(test.asked, asked); diff != "" {
				t.Errorf("looked for (-want +got):\n%s", diff)
			}
			if err != nil {
				return
			}
			var packages, found []string
			for _, o := range r.Resolution.All() {
				packages = append(packages, o.URI())
			}
			for _, v := range r.Violations {
				if v.Severity == job.Error {
					found = append(found, string(v.Rule))
				}
			}
			slices.Sort(found)
			if diff := cmp.Diff(test.packages, packages); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.rules, found); diff != "" {
				t.Errorf("violations (-want +got):\n%s\n%v", diff, r.Violations)
			}
		})
	}
}

// What can't be looked at is not said to lack the module.
func TestDropWithPackagesUnread(t *testing.T) {
	f := folder{
		files: map[string]string{
			"job.yaml": valid + "  packageUris: [own.tar.gz, gs://shared/t-1.tar.gz]\n", "own.tar.gz": sdist(t, "own", "lib"),
		},
	}
	r, err := inspect.Drop(t.Context(), f.drop(), inspect.Objects{Open: f.open}, policy.Policy{})
	if err != nil || job.HasErrors(r.Violations) {
		t.Errorf("%v, %v", r.Violations, err)
	}
}
