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

// The most specific budget counts as a whole: that of a team does not refuse because another does.
func TestStartBudget(t *testing.T) {
	const file = `limits: {acceleratorHours: {per: month, most: 2000, over: refuse}}
prefixes:
- match: teams/nlp/**
  limits: {acceleratorHours: {per: month, most: 300}}
- match: teams/nlp/ci/**
  limits: {acceleratorHours: {per: month, most: 1, over: wait}}
- match: other/**
`
	budget := func(folders string, most int64, refuse bool) *policy.Budget {
		return &policy.Budget{Limit: policy.Limit{Folders: folders, Most: most}, Refuse: refuse}
	}
	p := installation(t, file)
	for folder, want := range map[string]*policy.Budget{
		"a/": budget("**", 2000, true), "other/": budget("**", 2000, true), "teams/nlp/a/": budget("teams/nlp/**", 300, false),
		"teams/nlp/ci/": budget("teams/nlp/ci/**", 1, false),
	} {
		start := p.Start(folder)
		if diff := cmp.Diff(want, start.Budget); diff != "" || !start.Limited() {
			t.Errorf("%s (-want +got):\n%s", folder, diff)
		}
	}
	if got, want := p.Start("teams/nlp/a/").Terms()[0],
		"at most 300 accelerator hours of teams/nlp/** may be used in a month"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := p.Start("a/").Terms()[0],
		"at most 2000 accelerator hours may be used in a month, and a job for which too few are left is refused"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	want := []policy.Limit{
		{Folders: "**", Most: 2000}, {Folders: "teams/nlp/**", Most: 300}, {Folders: "teams/nlp/ci/**", Most: 1},
	}
	if diff := cmp.Diff(want, p.Budgets()); diff != "" {
		t.Errorf("budgets (-want +got):\n%s", diff)
	}
	if p := installation(t, "limits: {activeJobs: 1}"); p.Start("a/").Budget != nil || p.Budgets() != nil {
		t.Error("a budget that nobody wrote")
	}
	if got, want := p.Place("teams/nlp/a/", "limits.acceleratorHours.most"), "policy.yaml:4:49"; got != want {
		t.Errorf("it stands at %s, want %s", got, want)
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
