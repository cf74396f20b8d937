package policy

import (
	"os"
	"strings"
	"testing"

	"github.com/jobdrop/jobdrop/internal/testing/hostile"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// FuzzMemory looks for a policy that takes too much to read: it is decoded as job
// files are.
func FuzzMemory(f *testing.F) {
	hostile.Measures(f)
	sample, err := os.ReadFile("../../../testdata/policy/policy.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(sample), "", "", 0)
	for _, seed := range [][3]string{
		{"prefixes:\n", "- {match: 'a/**', allow: {regions: [a]}}\n", ""},
		{"prefixes: [&a {match: a, allow: {regions: [" + strings.Repeat("~,", 1000) + "]}},", "*a,", "]"},
		{"prefixes: [&a {match: a, allow: {images: [" + strings.Repeat("a.b/c,", 500) + "]}},", "*a,", "]"},
		{"&a {<<: [", "*a,", "]}"}, {"allow: {regions: [", "a,", "]}"}, {"allow: {regions: [", "'',", "]}"},
		{"allow: {regions: [", "~,", "]}"},
		{"defaults: {labels: {", "a: b,", "}}"}, {"vertex: {images: {", "? ,", "}}"},
		{"vertex: {images: {? ", "a", "\n: b}}"},
		{"viewers:\n", "- {members: ['user:ann@example.com'], prefixes: [a]}\n", ""},
		{"viewers: [{members: [", "'domain:example.com',", "], prefixes: ['**']}]"},
		{"catalogue: {regions: [", "{name: a},", "]}"}, {"catalogue: {machines: [", "{},", "]}"}, {"", "[", ""},
		{"", "a: ", ""}, {"", "#\n", "{}"}, {"", "- ", ""}, {"{", "a,", "}"},
	} {
		f.Add(seed[0], seed[1], seed[2], 20_000)
	}
	f.Fuzz(func(t *testing.T, head, unit, tail string, n int) {
		data := hostile.Pattern{Head: head, Unit: unit, Tail: tail}.Repeat(n, jobspec.MaxSize+1)
		allocated := hostile.Allocated(func() {
			rules, _ := Parse("policy.yaml", data)
			p := Policy{Rules: rules}.For("teams/nlp/")
			p.Patience(job.Patience{})
			p.Start("teams/nlp/")
			p.Viewer("ann@example.com").SeesOutputs("teams/nlp/", "gs://bucket/out")
			p.ShownTo("teams/nlp/", "gs://bucket/out")
		})
		if allocated > hostile.JobFileMemory {
			t.Errorf("reading %d bytes allocates %d MiB", len(data), allocated>>20)
		}
	})
}
