package console

import (
	"html"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// An attempt is offered to be run again if that can be. What its job file named an ID for can't: the ID is used up.
func TestRunsAgain(t *testing.T) {
	s := newSite(t, nil)
	named := s.drop("a/", append(accepted("mine", ""), ended("mine", job.BackendSucceeded))...)
	const generation = 1_795_424_700_000_000
	id := job.DefaultJobID(job.Object{Bucket: "inbox", Name: "b/job.yaml", Generation: generation, Created: now.Add(-time.Hour)})
	made := s.dropAt("b/", generation, append(accepted(id, ""), ended(id, job.BackendSucceeded))...)
	again := made
	again.Rerun, again.Spec = &job.Rerun{Of: made.Attempt}, &job.Spec{JobID: "b_20261130_120000_0123456789ab"}
	again.Attempt = strings.Replace(made.Attempt, "-17", "-18", 1)
	s.put(again)
	for key, offered := range map[string]bool{named.Attempt: false, made.Attempt: true, again.Attempt: true} {
		body := s.get("/attempts/" + key).body
		if got := strings.Contains(body, `action="/attempts/`+key+`/rerun"`); got != offered {
			t.Errorf("%s is offered: %t, want %t\n%s", key, got, offered, body)
		}
		if says := strings.Contains(body, "which is used up"); says == offered {
			t.Errorf("%s says that it can't be: %t", key, says)
		}
	}
}

// An attempt's page leads to what it speaks of: its folder's drops, its log, the attempt that it repeats.
func TestLinksOfAttempt(t *testing.T) {
	s := newSite(t, nil)
	failed := s.drop("teams/a b/", append(accepted("j", ""), ended("j", job.BackendFailed))...)
	same := s.drop("b/", attempt.Withdraw{Reason: "it repeats an attempt", DuplicateOf: failed.Attempt})
	path := "/attempts/" + failed.Attempt
	got := s.get(path).body
	if to := linksOf(got)["all its drops"]; to != "/?folder=teams%2Fa+b%2F" {
		t.Errorf("the folder's drops are at %q", to)
	} else if found := s.get(to).body; !strings.Contains(found, path) {
		t.Errorf("they are not there: %s", found)
	}
	if want := `Next: the page <a href="` + path + `/log">Log</a> shows the whole log`; !strings.Contains(got, want) {
		t.Errorf("no %s\n%s", want, got)
	}
	want := `Next: <a href="` + path + `">` + failed.Attempt + `</a> tells of the attempt that it repeats`
	if got := s.get("/attempts/" + same.Attempt).body; !strings.Contains(got, want) {
		t.Errorf("no %s\n%s", want, got)
	}
	s.server.Logs = nil
	if got := s.get(path).body; !strings.Contains(got, "Next: jobdrop logs j shows the whole log") {
		t.Errorf("without a page of the log: %s", got)
	}
}

// The title of each of an attempt's pages begins with the state.
func TestTitles(t *testing.T) {
	s := newSite(t, nil)
	key := s.drop("teams/nlp/", append(accepted("j", "gs://out/a"), ended("j", job.BackendFailed))...).Attempt
	for _, p := range pages {
		if strings.HasSuffix(p, ".json") {
			continue
		}
		want := "<title>failed · teams/nlp"
		if p != "" {
			want += " · " + p[1:]
		}
		if got := html.UnescapeString(s.get("/attempts/" + key + p).body); !strings.Contains(got, want+" · jobdrop</title>") {
			t.Errorf("%s: no %s", p, want)
		}
	}
}

// A violation leads to the page of its rule, if there is one.
func TestRules(t *testing.T) {
	s := newSite(t, func(c *Config) {
		c.RuleURL = func(rule job.Rule) string {
			if rule == "enum" {
				return "https://example.com/rules#enum"
			}
			return ""
		}
	})
	key := s.drop("a/", attempt.Reject{Reason: "wrong", Violations: []job.Violation{{Rule: "enum"}, {Rule: "none"}}}).Attempt
	body := s.get("/attempts/" + key).body
	for _, want := range []string{`href="https://example.com/rules#enum"><code>enum</code></a>`, "rule <code>none</code>"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s\n%s", want, body)
		}
	}
}

// Outputs open with the viewer's own rights where Google has them; a local stack's storage has no page of a folder.
func TestOutputsElsewhere(t *testing.T) {
	for local, want := range map[bool]string{false: "https://console.cloud.google.com/storage/browser/out/a%20b", true: ""} {
		s := newSite(t, func(c *Config) {
			if local {
				c.ObjectURL = func(job.Object) string { return "http://127.0.0.1:1/x" }
			}
		})
		key := s.drop("a/", accepted("j", "gs://out/a b")...).Attempt
		s.object("out", "a b/model.bin", "weights")
		all := linksOf(s.get("/attempts/" + key + "/outputs").body)
		if all["open it with your own rights"] != want || all["model.bin"] == "" {
			t.Errorf("local %t: %q, want %q", local, all, want)
		}
	}
}
