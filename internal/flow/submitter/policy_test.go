package submitter_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/pkg/job"
)

func (w *world) operator(text string) {
	w.t.Helper()
	rules, vs := policy.Parse("policy.yaml", []byte(text))
	if len(vs) > 0 {
		w.t.Fatal(vs)
	}
	w.rules = rules
}

const teams = `defaults:
  region: us-central1
  maxRunningTime: 7200s
prefixes:
- match: teams/nlp/**
  defaults: {region: europe-west4}
  allow: {regions: [europe-west4]}
`

// Metadata override the file, and the file overrides the policy's defaults. Of these, the folder's
// override the others.
func TestSubmitPrecedence(t *testing.T) {
	t.Parallel()
	without := strings.Replace(spec, "  region: us-central1\n", "", 1)
	tests := []struct {
		name, folder, file string
		metadata           map[string]string
		region             string
	}{
		{"the policy's", "a/", without, nil, "us-central1"},
		{"the folder's", "teams/nlp/a/", without, nil, "europe-west4"},
		{"the file's", "a/", strings.Replace(spec, "us-central1", "us-east1", 1), nil, "us-east1"},
		{"the metadata's", "a/", spec, map[string]string{"jobdrop-set-region": "asia-east1"}, "asia-east1"},
		{"the folder's over what metadata do not say", "teams/nlp/a/", without,
			map[string]string{"jobdrop-set-scaleTier": "BASIC_GPU"}, "europe-west4"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.operator(teams)
			w.wake(w.put(test.folder+"trainer-0.1.tar.gz", pkg(t, "hello")))
			f := w.putWith(test.folder+"job.yaml", test.file, test.metadata)
			w.wake(f)
			if len(w.backend.specs) != 1 {
				t.Fatalf("no job: %+v", w.record(f).Violations)
			}
			in := w.backend.specs[0].TrainingInput
			if in.Region != test.region || in.Scheduling == nil || in.Scheduling.MaxRunningTime != "7200s" {
				t.Errorf("region %s, scheduling %+v", in.Region, in.Scheduling)
			}
		})
	}
}

func TestSubmitPolicyRefuses(t *testing.T) {
	w := newWorld(t)
	w.operator(teams)
	w.wake(w.put("teams/nlp/a/trainer-0.1.tar.gz", pkg(t, "hello")))
	f := w.put("teams/nlp/a/job.yaml", []byte(spec))
	w.wake(f)
	r := w.record(f)
	if diff := cmp.Diff([]string{"policy-region"}, violated(r)); diff != "" || r.State != job.Rejected {
		t.Fatalf("%s (-want +got):\n%s", r.State, diff)
	}
	if v := r.Violations[0]; v.Line != 3 || v.Found != "us-central1" || v.Allowed != "europe-west4" ||
		!strings.Contains(v.Message, "policy.yaml:7:11") {
		t.Errorf("violation %+v", v)
	}
}

// If the policy can't be read, nothing is decided: neither without rules nor by earlier ones.
func TestSubmitWithoutItsPolicy(t *testing.T) {
	w := newWorld(t)
	w.noPolicy = errors.New("policy: not there")
	w.wake(w.put("a/trainer-0.1.tar.gz", pkg(t, "hello")))
	f := w.put("a/job.yaml", []byte(spec))
	if err := w.submit.Submit(t.Context(), f); !errors.Is(err, w.noPolicy) {
		t.Errorf("error %v", err)
	}
	if len(w.backend.specs) != 0 || w.open() != 1 {
		t.Errorf("%d jobs, %d entries", len(w.backend.specs), w.open())
	}
	w.noPolicy = nil
	w.tick()
	if r := w.record(f); r.State != job.Submitted {
		t.Errorf("state %s: %s", r.State, r.Reason)
	}
}

// The policy's patience overrides the installation's.
func TestSubmitPatienceOfThePolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.operator("patience: {incomplete: 60s}\nprefixes:\n- {match: ci/**, patience: {settle: 0s, expire: 30s}}\n")
	usual := w.put("a/job.yaml", []byte(spec))
	w.wake(usual)
	ci := w.put("ci/a/job.yaml", []byte(spec))
	w.wake(ci)
	w.pass(31 * time.Second)
	w.tick()
	if r := w.record(ci); r.State != job.Expired {
		t.Errorf("in the folder of its own: state %s", r.State)
	}
	if r, got := w.record(usual), w.topic.of(job.AttemptKey(usual)); r.State != job.Waiting || got != "" {
		t.Errorf("state %s, events %q before patience ran out", r.State, got)
	}
	w.pass(31 * time.Second)
	w.tick()
	if got := w.topic.of(job.AttemptKey(usual)); got != "drop.incomplete" {
		t.Errorf("events %q, want drop.incomplete", got)
	}

	// Without settling, yesterday's package runs at once.
	w.wake(w.put("ci/b/trainer-0.1.tar.gz", pkg(t, "hello")))
	w.wake(w.put("ci/b/job.yaml", []byte(spec)))
	again := w.put("ci/b/job.yaml", []byte(spec+"  args: [again]\n"))
	w.wake(again)
	if r := w.record(again); r.State != job.Submitted {
		t.Errorf("state %s: %s", r.State, r.Reason)
	}
}

// Output in another region gets a warning if the bucket's location can be read.
func TestSubmitFarOutput(t *testing.T) {
	t.Parallel()
	for bucket, want := range map[string][]string{"far": {"job-dir-region"}, "near": nil, "closed": nil} {
		t.Run(bucket, func(t *testing.T) {
			w := newWorld(t)
			w.places = map[string][]string{"far": {"EUROPE-WEST4"}, "near": {"US"}}
			w.wake(w.put("a/trainer-0.1.tar.gz", pkg(t, "hello")))
			f := w.put("a/job.yaml", []byte(spec+"  jobDir: gs://"+bucket+"/out\n"))
			w.wake(f)
			r := w.record(f)
			if diff := cmp.Diff(want, violated(r)); diff != "" || r.State != job.Submitted {
				t.Errorf("%s, violations (-want +got):\n%s", r.State, diff)
			}
		})
	}
}

// A package from elsewhere is staged at its generation, in its place among the others.
func TestSubmitPackagesFromElsewhere(t *testing.T) {
	w := newWorld(t)
	w.operator("allow: {packageSources: ['gs://shared/*.gz']}\n")
	w.server.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "shared"})
	upload := func(drop string) int64 {
		t.Helper()
		generation, err := w.storage.Client.Write(t.Context(), "shared", "lib-0.1.tar.gz", pkg(t, drop), "application/gzip",
			nil, attempt.AnyGeneration)
		if err != nil {
			t.Fatal(err)
		}
		return generation
	}
	generation := upload("train")
	w.wake(w.put("a/trainer-0.1.tar.gz", pkg(t, "hello")))
	f := w.put("a/job.yaml", []byte(spec+"  packageUris: [gs://shared/lib-0.1.tar.gz, trainer-0.1.tar.gz]\n"))
	w.wake(f)
	upload("fails") // after acceptance
	r := w.record(f)
	if len(w.backend.specs) != 1 || len(r.Drop.Receipt.Objects) != 3 ||
		r.Drop.Receipt.Objects[1].Generation != generation {
		t.Fatalf("%s: %v, receipt %+v", r.State, r.Violations, r.Drop.Receipt)
	}
	uris := w.backend.specs[0].TrainingInput.PackageURIs
	if len(uris) != 2 || !strings.HasSuffix(uris[0], "/lib-0.1.tar.gz") ||
		!strings.HasSuffix(uris[1], "/trainer-0.1.tar.gz") {
		t.Fatalf("packages %v", uris)
	}
	for i, drop := range []string{"train", "hello"} {
		name, ok := strings.CutPrefix(uris[i], "gs://staging/")
		staged, _, err := w.storage.Client.Read(t.Context(), "staging", name, 0, 1<<20)
		if !ok || err != nil || string(staged) != string(pkg(t, drop)) {
			t.Errorf("%s is not what was checked: %v", uris[i], err)
		}
	}
	// The same job with other content from elsewhere is another one.
	again := w.put("b/job.yaml", []byte(spec+"  packageUris: [gs://shared/lib-0.1.tar.gz]\n"))
	w.wake(again)
	if other := w.record(again); other.State != job.Submitted || other.Drop.Receipt.Content == r.Drop.Receipt.Content {
		t.Errorf("%s: %v, receipt %+v", other.State, other.Violations, other.Drop.Receipt)
	}

	missing := w.put("c/job.yaml", []byte(spec+"  packageUris: [gs://shared/none-0.1.tar.gz]\n"))
	w.wake(missing)
	if r := w.record(missing); r.State != job.Rejected || !slices.Equal(violated(r), []string{"package-source"}) {
		t.Errorf("%s: %v", r.State, r.Violations)
	}
}
