package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/check/policy"
)

func TestStart(t *testing.T) {
	const file = `pause: true
limits: {activeJobs: 10}
prefixes:
- match: teams/nlp/**
  pause: false
  limits: {jobsPerHour: 5}
- match: teams/*/ci/**
  limits: {activeJobs: 1}
- match: teams/nlp/ci/**
  limits: {jobsPerHour: 2}
- match: other/**
  defaults: {region: us-central1}
`
	limit := func(folders string, most int64) *policy.Limit { return &policy.Limit{Folders: folders, Most: most} }
	tests := []struct {
		file, folder string
		want         policy.Start
	}{
		{"", "a/b/", policy.Start{Prefix: "a"}},
		{"{}", "", policy.Start{}},
		{file, "a/b/", policy.Start{Paused: true, Active: limit("**", 10), Prefix: "a"}},
		{file, "other/b/", policy.Start{Paused: true, Active: limit("**", 10), Prefix: "other/**"}},
		{
			file, "teams/nlp/x/",
			policy.Start{Active: limit("**", 10), PerHour: limit("teams/nlp/**", 5), Prefix: "teams/nlp/**"},
		},
		{file, "teams/cv/ci/x/", policy.Start{Paused: true, Active: limit("teams/*/ci/**", 1), Prefix: "teams/*/ci/**"}},
		{
			file, "teams/nlp/ci/x/",
			policy.Start{Active: limit("teams/*/ci/**", 1), PerHour: limit("teams/nlp/ci/**", 2), Prefix: "teams/nlp/ci/**"},
		},
	}
	for _, test := range tests {
		p := installation(t, test.file)
		for _, p := range []policy.Policy{p, p.For(test.folder)} {
			if diff := cmp.Diff(test.want, p.Start(test.folder)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", test.folder, diff)
			}
		}
	}
}

// A limit counts all folders of its pattern, those with a limit of their own too.
func TestLimitCovers(t *testing.T) {
	all, nlp := policy.Limit{Folders: "**"}, policy.Limit{Folders: "teams/nlp/**"}
	for folder, want := range map[string]bool{
		"teams/nlp/": true, "teams/nlp/ci/x/": true, "teams/nlp2/": false, "": false,
	} {
		if nlp.Covers(folder) != want || !all.Covers(folder) {
			t.Errorf("%q: %t, %t", folder, nlp.Covers(folder), all.Covers(folder))
		}
	}
	if nlp.String() != "jobs of teams/nlp/**" || all.String() != "jobs" {
		t.Errorf("%s, %s", nlp, all)
	}
}
