package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/check/policy"
	pages "github.com/jobdrop/jobdrop/internal/cli/rules"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// check applies a policy to a job file in a folder that holds a.tar.gz, and
// gives each violation as severity, rule, place, field and what was found.
func check(t *testing.T, p policy.Policy, file string) []string {
	t.Helper()
	f, vs := jobspec.Parse("job.yaml", []byte(file))
	if len(vs) > 0 {
		t.Fatalf("the file can't be read: %v", vs)
	}
	var r job.Resolution
	if in := f.Spec.TrainingInput; in != nil {
		d := job.Drop{Bucket: "inbox", Folder: "census/", Packages: []job.Object{{Bucket: "inbox", Name: "census/a.tar.gz"}}}
		r = d.Resolve(in.PackageURIs, in.HasImage(), nil)
		in.PackageURIs = r.URIs
	}
	var got []string
	for _, v := range p.Check(f, r) {
		if !pages.Known(v.Rule) || v.File != "job.yaml" || v.Message == "" {
			t.Errorf("violation without a file or a message: %+v", v)
		}
		if v.Severity == job.Error && v.Remedy == "" {
			t.Errorf("violation without a remedy: %+v", v)
		}
		got = append(got, fmt.Sprintf("%s %s %d:%d %s %s", v.Severity, v.Rule, v.Line, v.Column, v.Field, v.Found))
	}
	return got
}

func TestCheck(t *testing.T) {
	full := policy.Policy{Project: "project", Inbox: "inbox"}
	tests := []struct {
		name   string
		policy policy.Policy
		file   string
		want   []string
	}{
		{"nothing asked for", full, "trainingInput:\n  region: us-central1\n", nil},
		{"no training input", full, "jobId: a\n", nil},
		{
			"a service account", full,
			"trainingInput:\n  region: us-central1\n  serviceAccount: owner@project.iam.gserviceaccount.com\n",
			[]string{"error policy-service-account 3:19 trainingInput.serviceAccount owner@project.iam.gserviceaccount.com"},
		},
		{
			"a network", full,
			"trainingInput:\n  network: projects/1/global/networks/n\n",
			[]string{"error policy-network 2:12 trainingInput.network projects/1/global/networks/n"},
		},
		{
			"rights, where neither project nor inbox is known", policy.Policy{},
			"trainingInput:\n  serviceAccount: a@b.c\n  network: n\n",
			[]string{
				"error policy-service-account 2:19 trainingInput.serviceAccount a@b.c",
				"error policy-network 3:12 trainingInput.network n",
			},
		},
		{
			"images of each role", full,
			`trainingInput:
  masterConfig:
    imageUri: gcr.io/other/m
  workerConfig:
    imageUri: gcr.io/other/w
  parameterServerConfig:
    imageUri: gcr.io/other/p
  evaluatorConfig:
    imageUri: gcr.io/other/e
`,
			[]string{
				"error policy-image 3:15 trainingInput.masterConfig.imageUri gcr.io/other/m",
				"error policy-image 5:15 trainingInput.workerConfig.imageUri gcr.io/other/w",
				"error policy-image 7:15 trainingInput.parameterServerConfig.imageUri gcr.io/other/p",
				"error policy-image 9:15 trainingInput.evaluatorConfig.imageUri gcr.io/other/e",
			},
		},
		{
			"one role's image is the project's own", full,
			"trainingInput:\n  masterConfig:\n    imageUri: gcr.io/project/m\n  workerConfig:\n    imageUri: gcr.io/other/w\n",
			[]string{"error policy-image 5:15 trainingInput.workerConfig.imageUri gcr.io/other/w"},
		},
		{"a role without an image", full, "trainingInput:\n  workerConfig:\n    tpuTfVersion: '2.1'\n", nil},
		{
			"an image, where the project is not known", policy.Policy{Inbox: "inbox"},
			"trainingInput:\n  masterConfig: {imageUri: gcr.io/project/m}\n",
			[]string{"warning policy-image 2:28 trainingInput.masterConfig.imageUri gcr.io/project/m"},
		},
		{
			"packages of the folder", full,
			"trainingInput:\n  packageUris: [a.tar.gz, 'gs://inbox/census/a.tar.gz', missing.whl]\n", nil,
		},
		{
			"packages elsewhere", full,
			`trainingInput:
  packageUris:
  - gs://other/a.tar.gz
  - a.tar.gz
  - gs://inbox/b.tar.gz
  - gs://inbox/census/deeper/a.tar.gz
  - gs://inbox/census-2/a.tar.gz
  - gs://inbox-2/census/a.tar.gz
`,
			[]string{
				"error policy-package-source 3:5 trainingInput.packageUris[0] gs://other/a.tar.gz",
				"error policy-package-source 5:5 trainingInput.packageUris[2] gs://inbox/b.tar.gz",
				"error policy-package-source 6:5 trainingInput.packageUris[3] gs://inbox/census/deeper/a.tar.gz",
				"error policy-package-source 7:5 trainingInput.packageUris[4] gs://inbox/census-2/a.tar.gz",
				"error policy-package-source 8:5 trainingInput.packageUris[5] gs://inbox-2/census/a.tar.gz",
			},
		},
		{
			"packages elsewhere, where the inbox is not known", policy.Policy{Project: "project"},
			"trainingInput:\n  packageUris: ['gs://other/a.tar.gz']\n",
			[]string{"warning policy-package-source 2:17 trainingInput.packageUris[0] gs://other/a.tar.gz"},
		},
		{
			"the installation's backend", policy.Policy{Backend: "aiplatform"},
			"trainingInput: {}\njobdrop: {backend: aiplatform}\n", nil,
		},
		{
			"another backend", policy.Policy{Backend: "aiplatform"},
			"trainingInput: {}\njobdrop: {backend: vertex}\n",
			[]string{"error policy-backend 2:20 jobdrop.backend vertex"},
		},
		{
			"a backend, where the installation's is not known", policy.Policy{},
			"trainingInput: {}\njobdrop: {backend: vertex}\n", nil,
		},
		{
			"all at once, in the order of the rules", full,
			`trainingInput:
  jobDir: gs://inbox/out
  packageUris: [gs://other/a.tar.gz]
  masterConfig: {imageUri: gcr.io/other/m}
  network: n
  serviceAccount: a@b.c
`,
			[]string{
				"error policy-service-account 6:19 trainingInput.serviceAccount a@b.c",
				"error policy-network 5:12 trainingInput.network n",
				"error policy-image 4:28 trainingInput.masterConfig.imageUri gcr.io/other/m",
				"error policy-package-source 3:17 trainingInput.packageUris[0] gs://other/a.tar.gz",
				"error job-dir-outside-inbox 2:11 trainingInput.jobDir gs://inbox/out",
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, check(t, test.policy, test.file)); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestImages(t *testing.T) {
	tests := []struct {
		project, image string
		own            bool
	}{
		{"project", "gcr.io/project/x", true},
		{"project", "gcr.io/project/deep/er/x:latest", true},
		{"project", "eu.gcr.io/project/x@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", true},
		{"project", "us.gcr.io/project/x", true},
		{"project", "europe-west4-docker.pkg.dev/project/repository/x:1", true},
		{"project", "us-docker.pkg.dev/project/repository/x", true},
		{"example.com:project", "gcr.io/example.com/project/x", true},
		{"example.com:project", "us-docker.pkg.dev/example.com/project/repository/x", true},

		{"project", "gcr.io/other/x", false},
		{"project", "gcr.io/project-evil/x", false},
		{"project", "gcr.io/evil-project/x", false},
		{"project", "gcr.io/evil/project/x", false},
		{"project", "gcr.io/project", false},
		{"project", "gcr.io//project/x", false},
		{"project", "evilgcr.io/project/x", false},
		{"project", "mirror.gcr.io/project/x", false},
		{"project", "evil.com?.gcr.io/project/x", false},
		{"project", "evil.com#.gcr.io/project/x", false},
		{"project", "evil.com%2f.gcr.io/project/x", false},
		{"project", "evil.com:80-docker.pkg.dev/project/r/x", false},
		{"project", "evil.com?x=-docker.pkg.dev/project/r/x", false},
		{"project", "gcr.io.evil.com/project/x", false},
		{"project", "eu.gcr.io.evil.com/project/x", false},
		{"project", "evil.com/gcr.io/project/x", false},
		{"project", "gcr.io:443/project/x", false},
		{"project", "user@gcr.io/project/x", false},
		{"project", "docker.pkg.dev/project/x", false},
		{"project", "us-docker.pkg.dev.evil.com/project/r/x", false},
		{"project", "us-docker.pkg.dev/project-evil/r/x", false},
		{"project", "us-docker.pkg.dev/evil/project/x", false},
		{"project", "docker.io/project/x", false},
		{"project", "project/x", false},
		{"project", "x", false},
		{"project", "https://gcr.io/project/x", false},
		{"example.com:project", "gcr.io/project/x", false},
		{"example.com:project", "gcr.io/example.com/x", false},
		{"example.com:project", "gcr.io/example.com:project/x", false},
		{"project", "gcr.io/example.com/project/x", false},
	}
	for _, test := range tests {
		t.Run(test.project+" "+test.image, func(t *testing.T) {
			got := check(t, policy.Policy{Project: test.project, Inbox: "inbox"},
				"trainingInput:\n  masterConfig:\n    imageUri: "+test.image+"\n")
			var want []string
			if !test.own {
				want = []string{"error policy-image 3:15 trainingInput.masterConfig.imageUri " + test.image}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJobDir(t *testing.T) {
	installation := policy.Policy{Project: "project", Inbox: "inbox", Own: []string{"state", "staging"}}
	tests := []struct{ dir, rule string }{
		{"gs://output/census", ""},
		{"gs://output", ""},
		{"gs://inbox-2/census", ""},
		{"gs://inbox-2", ""},
		{"gs://my-inbox/census", ""},
		{"gs://output/inbox/", ""},
		{"gs://state-2/state", ""},
		{"gs://inbox", "job-dir-outside-inbox"},
		{"gs://inbox/", "job-dir-outside-inbox"},
		{"gs://inbox/census", "job-dir-outside-inbox"},
		{"gs://inbox/census/out/", "job-dir-outside-inbox"},
		{"gs://inbox//", "job-dir-outside-inbox"},
		{"gs://state", "job-dir-not-ours"},
		{"gs://state/attempts", "job-dir-not-ours"},
		{"gs://staging/a/1/", "job-dir-not-ours"},
	}
	for _, test := range tests {
		t.Run(test.dir, func(t *testing.T) {
			file := "trainingInput:\n  jobDir: " + test.dir + "\n"
			var want []string
			if test.rule != "" {
				want = []string{"error " + test.rule + " 2:11 trainingInput.jobDir " + test.dir}
			}
			if diff := cmp.Diff(want, check(t, installation, file)); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
			if got := check(t, policy.Policy{}, file); len(got) > 0 {
				t.Errorf("where no bucket is known: %s", strings.Join(got, "\n"))
			}
		})
	}
}

// Where an image may lie is told in the words of the project.
func TestImageSaysWhatIsAllowed(t *testing.T) {
	f, _ := jobspec.Parse("job.yaml", []byte("trainingInput:\n  masterConfig: {imageUri: gcr.io/other/x}\n"))
	vs := policy.Policy{Project: "project", Inbox: "inbox"}.Check(f, job.Resolution{})
	if len(vs) != 1 || vs[0].Allowed != "gcr.io/project/…, REGION-docker.pkg.dev/project/…" {
		t.Errorf("violations %+v", vs)
	}
}

// A prefix may say otherwise than the top of the file.
func TestWithdrawsSame(t *testing.T) {
	for _, test := range []struct {
		name, file, folder string
		want               bool
	}{
		{"no policy", "", "a/", false},
		{"a policy that does not say", "{}", "a/", false},
		{"run", "sameContent: run", "a/", false},
		{"withdraw", "sameContent: withdraw", "a/", true},
		{"but not in a prefix", "sameContent: withdraw\nprefixes: [{match: a/**, sameContent: run}]", "a/b/", false},
		{"and not in a prefix alone", "prefixes: [{match: a/**, sameContent: withdraw}]", "b/", false},
		{"in a prefix alone", "prefixes: [{match: a/**, sameContent: withdraw}]", "a/b/", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var p policy.Policy
			if test.file != "" {
				rules, vs := policy.Parse("policy.yaml", []byte(test.file))
				if len(vs) > 0 {
					t.Fatal(vs)
				}
				p.Rules = rules
			}
			if got := p.For(test.folder).WithdrawsSame(); got != test.want {
				t.Errorf("WithdrawsSame() = %t, want %t", got, test.want)
			}
		})
	}
}

// Who misspells the key or its value is told the right one.
func TestSameContentIsSuggested(t *testing.T) {
	for file, want := range map[string]string{
		"sameContents: run": "sameContent", "sameContent: withdrawn": "write withdraw", "sameContent: rum": "write run",
	} {
		_, vs := policy.Parse("policy.yaml", []byte(file))
		if len(vs) != 1 || !strings.Contains(vs[0].Remedy, want) {
			t.Errorf("%s: %+v, want the remedy %q", file, vs, want)
		}
	}
}
