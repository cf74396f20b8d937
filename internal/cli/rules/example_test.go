package rules

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/internal/check/inspect"
	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// What an example leaves out is as here.
const (
	trainerJob = `trainingInput:
  scaleTier: BASIC
  packageUris: [trainer-0.1.tar.gz]
  pythonModule: trainer.task
  region: us-central1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
`
	containerJob = `trainingInput:
  scaleTier: BASIC
  region: us-central1
`
	someRoutes = `destinations:
  ops: {slackWebhook: {url: 'env://OPS'}}
route:
  to: [ops]
`
	setupFile = "from setuptools import setup, find_packages\n" +
		"setup(name='trainer', version='0.1', packages=find_packages())\n"
)

// side is one side of an example: the parts of files by their names. A part begins with a line # NAME; what stands
// before any is job.yaml's.
type side map[string]string

var header = regexp.MustCompile(`^# ([\w.-]+\.(?:yaml|json|gz|py)|metadata|backend: \w+)$`)

// sides returns what breaks the rule, and what mends that.
func sides(diff string) (breaks, mends side) {
	breaks, mends = side{}, side{}
	for i, s := range []side{breaks, mends} {
		name := "job.yaml"
		for line := range strings.Lines(diff) {
			mark, text := line[0], line[1:]
			if mark != ' ' && mark != "-+"[i] {
				continue
			}
			if m := header.FindStringSubmatch(strings.TrimSuffix(text, "\n")); m != nil {
				name = m[1]
				s[name] += ""
				continue
			}
			s[name] += text
		}
	}
	return breaks, mends
}

// whole matches the one example in which fields that stand at the wrong place are the point.
var whole = regexp.MustCompile(`(?m)^trainingInput:\n[a-z]`)

// over lays parts of a file over a base, without what either side has of it. A part that is not a mapping is the whole
// file: then the example is about how it is written.
func over(t *testing.T, base, part, other string) string {
	t.Helper()
	top, ok := mapping(part)
	if !ok {
		return part
	}
	if strings.Contains(part, "---\n") || whole.MatchString(part) || whole.MatchString(other) {
		return part
	}
	under, _ := mapping(base)
	prune(under, top)
	if o, ok := mapping(other); ok {
		prune(under, o)
	}
	lay(under, top)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(under); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// mapping returns a part as a mapping. A trainingInput of which the part has nothing is an empty one.
func mapping(text string) (*yaml.Node, bool) {
	var n yaml.Node
	if text == "" {
		return &yaml.Node{Kind: yaml.MappingNode}, true
	}
	err := yaml.Unmarshal([]byte(text), &n)
	if err != nil || len(n.Content) == 0 || n.Content[0].Kind != yaml.MappingNode {
		return nil, false
	}
	if at, v := child(n.Content[0], "trainingInput"); at >= 0 && v.Tag == "!!null" {
		n.Content[0].Content[at+1] = &yaml.Node{Kind: yaml.MappingNode}
	}
	return n.Content[0], true
}

func child(n *yaml.Node, key string) (int, *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return i, n.Content[i+1]
		}
	}
	return -1, nil
}

// prune removes from a mapping the leaves that another has.
func prune(from, of *yaml.Node) {
	for i := 0; i+1 < len(of.Content); i += 2 {
		at, v := child(from, of.Content[i].Value)
		switch {
		case at < 0 || of.Content[i].Value == "trainingInput" && len(of.Content[i+1].Content) == 0:
		case v.Kind == yaml.MappingNode && of.Content[i+1].Kind == yaml.MappingNode && len(of.Content[i+1].Content) > 0 &&
			of.Content[i].Value != "destinations":
			if prune(v, of.Content[i+1]); len(v.Content) == 0 {
				from.Content = slices.Delete(from.Content, at, at+2)
			}
		default:
			from.Content = slices.Delete(from.Content, at, at+2)
		}
	}
}

// lay adds what a mapping has to another.
func lay(under, top *yaml.Node) {
	for i := 0; i+1 < len(top.Content); i += 2 {
		at, v := child(under, top.Content[i].Value)
		switch {
		case at < 0:
			under.Content = append(under.Content, top.Content[i], top.Content[i+1])
		case v.Kind == yaml.MappingNode && top.Content[i+1].Kind == yaml.MappingNode:
			lay(v, top.Content[i+1])
		default:
			under.Content[at+1] = top.Content[i+1]
		}
	}
}

// listed is an entry of a package as examples list it: NAME, NAME: CONTENT, NAME -> LINK or NAME => HARD LINK.
var listed = regexp.MustCompile(`^(\S+?)(?:: (.*)| -> (\S+)| => (\S+))?$`)

// pack returns a source distribution with the entries of a listing, and its own setup.py if there is one.
func pack(t *testing.T, listing, other, setup string) string {
	t.Helper()
	type entry struct{ name, body, link, hard string }
	base := []entry{
		{name: "trainer-0.1/PKG-INFO", body: "Metadata-Version: 2.1\nName: trainer\nVersion: 0.1\n"},
		{name: "trainer-0.1/setup.py", body: setupFile},
		{name: "trainer-0.1/trainer/__init__.py"},
		{name: "trainer-0.1/trainer/task.py", body: "print('hello')\n"},
	}
	if setup != "" {
		base[1].body = setup
	}
	for _, text := range []string{other, listing} {
		for line := range strings.Lines(text) {
			m := listed.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			if m == nil {
				t.Fatalf("not a line of a listing: %q", line)
			}
			base = slices.DeleteFunc(base, func(e entry) bool { return e.name == m[1] })
			if text == listing {
				base = append(base, entry{m[1], m[2], m[3], m[4]})
			}
		}
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, e := range base {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.body)), Typeflag: tar.TypeReg}
		if e.link != "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.link
		}
		if e.hard != "" {
			h.Typeflag, h.Linkname = tar.TypeLink, e.hard
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// found returns what is found in a side of an example. judged says that the policy is asked, too.
func found(t *testing.T, s, other side, judged bool) []job.Violation {
	t.Helper()
	p := policy.Policy{Project: "my-project", Inbox: "inbox", Own: []string{"jobdrop-state"}}
	if text, ok := s["routes.yaml"]; ok {
		_, vs := routes.Parse("routes.yaml", []byte(over(t, someRoutes, text, other["routes.yaml"])))
		return vs
	}
	var all []job.Violation
	if text, ok := s["policy.yaml"]; ok {
		rules, vs := policy.Parse("policy.yaml", []byte(text))
		p.Rules, all = rules, append(all, vs...)
	}
	files := map[string]string{}
	metadata := map[string]string{}
	for name, text := range s {
		switch {
		case name == "metadata":
			if err := yaml.Unmarshal([]byte(text), &metadata); err != nil {
				t.Fatal(err)
			}
		case strings.HasPrefix(name, "backend: "):
			p.Backend = strings.TrimPrefix(name, "backend: ")
		case strings.HasSuffix(name, ".gz"):
			files[name] = pack(t, text, other[name], s["setup.py"])
		case name == "job.json":
			files[name] = text
		}
	}
	base := trainerJob
	if strings.Contains(s["job.yaml"]+other["job.yaml"], "imageUri") {
		base = containerJob
	}
	jobFile := over(t, base, s["job.yaml"], other["job.yaml"])
	if strings.HasPrefix(p.Backend, "a") || strings.HasPrefix(p.Backend, "v") {
		jobFile = over(t, base, s["job.yaml"]+s["backend: "+p.Backend], other["job.yaml"]+other["backend: "+p.Backend])
	}
	if len(files) == 0 {
		return append(all, ofJob(t, jobFile, metadata, p, judged)...)
	}
	files["job.yaml"] = jobFile
	r, err := inspect.Drop(t.Context(), dropOf(files, metadata), inspect.Objects{Open: opener(files)}, p)
	if err != nil {
		t.Fatal(err)
	}
	if r.Incomplete() {
		t.Errorf("the drop is incomplete: %v", r.Resolution.Missing)
	}
	return append(all, r.Violations...)
}

// ofJob returns what is found in a job file, by the policy as well if it is to be judged.
func ofJob(t *testing.T, text string, metadata map[string]string, p policy.Policy, judged bool) []job.Violation {
	t.Helper()
	f, all := jobspec.Parse("job.yaml", []byte(text))
	all = append(all, f.SetMetadata(metadata)...)
	var r job.Resolution
	if in := f.Spec.TrainingInput; in != nil {
		d := dropOf(map[string]string{"job.yaml": text, "trainer-0.1.tar.gz": "x"}, nil)
		r = d.Resolve(in.PackageURIs, in.HasImage(), nil)
		if len(in.PackageURIs) > 0 {
			in.PackageURIs = r.URIs
		}
	}
	all = append(all, f.Check(nil)...)
	if job.HasErrors(all) {
		return all
	}
	if judged {
		all = append(all, p.Check(f, r)...)
	}
	return all
}

func dropOf(files, metadata map[string]string) job.Drop {
	var objects []job.Object
	for i, name := range slices.Sorted(maps.Keys(files)) {
		objects = append(objects, job.Object{
			Bucket: "inbox", Name: "census/" + name, Generation: int64(i) + 5, Size: int64(len(files[name])),
			Created: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
		})
	}
	d := job.Assemble("inbox", "census/", objects)
	d.Metadata = metadata
	return d
}

func opener(files map[string]string) inspect.Open {
	return func(_ context.Context, o job.Object) (io.ReadCloser, error) {
		content, ok := files[o.Base()]
		if !ok {
			return nil, fmt.Errorf("open %s: %w", o.URI(), job.ErrNotFound)
		}
		return io.NopCloser(strings.NewReader(content)), nil
	}
}

// Each example breaks its rule and no other, and what mends it leaves nothing to find.
func TestExamples(t *testing.T) {
	for _, p := range All() {
		if p.Diff == "" || p.Area == "faults" {
			continue
		}
		t.Run(string(p.Rule), func(t *testing.T) {
			breaks, mends := sides(p.Diff)
			got := found(t, breaks, mends, p.Area == "policy")
			if len(got) != 1 || got[0].Rule != p.Rule {
				t.Errorf("the example yields %v\n%s", got, p.Diff)
			}
			if got := found(t, mends, breaks, p.Area == "policy"); len(got) > 0 {
				t.Errorf("mended, the example yields %v\n%s", got, p.Diff)
			}
		})
	}
}
