package policy

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	pages "github.com/jobdrop/jobdrop/internal/cli/rules"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// fuzzJob asks for something of every rule.
const fuzzJob = `
labels: {team: ml}
trainingInput:
  scaleTier: CUSTOM
  region: us-central1
  masterType: n1-standard-8
  workerType: a2-highgpu-1g
  workerCount: 3
  masterConfig: {imageUri: gcr.io/project/a:1, acceleratorConfig: {type: NVIDIA_TESLA_T4, count: 1}}
  workerConfig: {imageUri: docker.io/a/b}
  packageUris: [a.tar.gz, gs://other/b.whl]
  jobDir: gs://bucket/out
  serviceAccount: trainer@project.iam.gserviceaccount.com
  hyperparameters: {maxTrials: 4, maxParallelTrials: 2}
jobdrop: {backend: vertex}
`

func FuzzPolicy(f *testing.F) {
	samples, err := filepath.Glob("../../../testdata/policy/*.yaml")
	if err != nil || len(samples) == 0 {
		f.Fatal("no sample", err)
	}
	for _, name := range samples {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, tt := range parseCases() {
		f.Add([]byte(tt.data))
	}
	for _, seed := range []string{
		"a: &a [*a]", "prefixes: &p\n- match: a\n  <<: *p\n",
		"allow: &a {regions: [x]}\nprefixes: [{match: '**', allow: *a, limits: {replicas: 1, maxRunningTime: 5s}}]\n",
		"viewers: [{members: ['user:ann@example.com', 'domain:example.com'], prefixes: ['**'], outputs: ['gs://bucket/**']}]\n",
		"\ufeffdefaults:\r\n  labels:\u2028  a: b\r", "defaults: {labels: {'a[0]': b, 'a.b': c, '': d, 'labels': e}}",
		`{"limits": {"packageBytes": "1"}, "allow": {"jobDirs": "gs://**"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		began := time.Now()
		rules, vs := Parse("policy.yaml", data)
		if took := time.Since(began); took > time.Minute {
			t.Errorf("took %v for %d bytes", took, len(data))
		}
		last := 1 +
			strings.Count(strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029",
				"\n").Replace(string(data)), "\n")
		inside := func(p job.Position) bool {
			return p.Line >= 1 && p.Line <= last && p.Column >= 1 && p.Column <= utf8.RuneCount(data)+1
		}
		for _, v := range vs {
			if !pages.Known(v.Rule) || v.File != "policy.yaml" || v.Message == "" || v.Remedy == "" ||
				!utf8.ValidString(v.String()) ||
				strings.ContainsAny(v.String(), "\n\r\x1b") {
				t.Errorf("bad violation %+q", v)
			}
			none := v.Rule == "file-empty" || v.Rule == "file-size" || v.Rule == "too-many-violations"
			if none != (v.Position == job.Position{}) || !none && !inside(v.Position) {
				t.Errorf("violation outside the file: %v", v)
			}
		}
		again, vsAgain := Parse("policy.yaml", data)
		if diff := cmp.Diff(vs, vsAgain); diff != "" {
			t.Errorf("not the same again:\n%s", diff)
		}
		if !reflect.DeepEqual(rules.document, again.document) {
			t.Errorf("not the same rules again: %+v, %+v", rules.document, again.document)
		}
		if job.HasErrors(vs) {
			if rules.given() {
				t.Error("rules beside an error")
			}
			return
		}
		for _, folder := range []string{"", "teams/nlp/"} {
			file, _ := jobspec.Parse("job.yaml", []byte(fuzzJob))
			r := job.Drop{
				Bucket: "inbox", Folder: folder, Packages: []job.Object{{Name: folder + "a.tar.gz", Size: 9}},
			}.Resolve(file.Spec.TrainingInput.PackageURIs, true, nil)
			file.Spec.TrainingInput.PackageURIs = r.URIs
			p := Policy{Project: "project", Inbox: "inbox", Backend: "aiplatform", Rules: rules}.For(folder)
			p.ApplyDefaults(file)
			p.Patience(job.Patience{})
			p.Start(folder)
			if v := p.Viewer("ann@example.com"); v.SeesOutputs(folder, "gs://bucket/out") && !v.Sees(folder) {
				t.Error("outputs of a drop that is not shown")
			}
			p.ShownTo(folder, "gs://bucket/out")
			file.Check(p.Catalogue())
			for _, v := range p.Check(file, r) {
				if strings.Contains(v.Remedy, "comes from policy.yaml") {
					t.Errorf("a default is refused: %v", v)
				}
				if !utf8.ValidString(v.String()) || strings.ContainsAny(v.String(), "\n\r\x1b") {
					t.Errorf("bad violation %+q", v)
				}
			}
			for _, d := range p.Explain(file, r) {
				place, ok := strings.CutPrefix(d.Because, "policy.yaml:")
				if d.Rule == "" || d.Field == "" || d.Verdict == "" || !ok && d.Because != "built in" {
					t.Errorf("bad decision %+v", d)
				}
				if ok && !regexp.MustCompile(`^[1-9][0-9]*:[1-9][0-9]*$`).MatchString(place) {
					t.Errorf("decision without a place: %+v", d)
				}
			}
		}
	})
}
