package messaging

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wish is a row of the table of filters in docs/subscribe.md.
var wish = regexp.MustCompile("(?m)^\\| ([^|]+) \\| `([^`]*attributes[^`]*)` \\|$")

// documentedEvents returns the attributes of the events in docs/events by their short type, and
// those of some more: one changes job.failed, the other job.succeeded.
func documentedEvents(t *testing.T) map[string]map[string]string {
	t.Helper()
	paths, err := filepath.Glob("../../../docs/events/*.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]string{}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var e struct{ Attributes map[string]string }
		if err := json.Unmarshal(data, &e); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".v1.json")] = e.Attributes
	}
	for name, change := range map[string][2]string{
		"failed of nlp":       {"ce-subject", "teams/nlp/a"},
		"failed of nlp2":      {"ce-subject", "teams/nlp2/a"},
		"failed of Vertex AI": {"ce-backend", "vertex"},
		"failed of build-14":  {"ce-correlationid", "build-14"},
		"failed at the root":  {"ce-subject", ""},
		"failed with news":    {"ce-state", "exploded"},
	} {
		a := maps.Clone(all["job.failed"])
		a[change[0]] = change[1]
		if change[1] == "" {
			delete(a, change[0])
		}
		all[name] = a
	}
	scratch := maps.Clone(all["failed of Vertex AI"])
	scratch["ce-subject"] = "scratch/a"
	all["scratch on Vertex AI"] = scratch
	return all
}

// Each filter of docs/subscribe.md is one of Pub/Sub's, and passes what its row says: some of the
// documented events, and not the others.
func TestWishes(t *testing.T) {
	page, err := os.ReadFile("../../../docs/subscribe.md")
	if err != nil {
		t.Fatal(err)
	}
	failures := []string{"failed at the root", "failed of Vertex AI", "failed of build-14", "failed of nlp",
		"failed of nlp2", "job.failed", "scratch on Vertex AI"}
	typed := append([]string{"failed with news"}, failures...)
	otherFailures := []string{"drop.expired", "drop.rejected", "job.lost", "job.timed_out"}
	otherOutcomes := []string{"drop.expired", "drop.rejected", "drop.withdrawn", "job.cancelled", "job.lost",
		"job.succeeded", "job.timed_out"}
	const oneRun = "what one CI run dropped, by its correlation ID"
	want := map[string][]string{
		"all that went wrong":                        append(failures, otherFailures...),
		"jobs that failed, and nothing else":         typed,
		"one team's folders":                         {"failed of nlp"},
		"every final outcome, once for each attempt": append(typed, otherOutcomes...),
		"timeouts": {"job.timed_out"},
		"rejected drops: what to mend in a job file":    {"drop.rejected"},
		"warnings: packages are missing, a job is late": {"drop.incomplete", "job.delayed"},
		oneRun: nil,
		"one folder's successes, to deploy its model": {"job.succeeded"},
		"one backend's jobs, without experiments":     {"failed of Vertex AI"},
	}
	events := documentedEvents(t)
	for name, attributes := range events {
		if attributes["ce-correlationid"] == "build-1400" {
			want[oneRun] = append(want[oneRun], name)
		}
	}
	got := map[string][]string{}
	for _, row := range wish.FindAllStringSubmatch(string(page), -1) {
		match, err := parseFilter(row[2])
		if err != nil {
			t.Errorf("%s: %v", row[1], err)
			continue
		}
		got[row[1]] = nil
		for name, attributes := range events {
			if match(attributes) {
				got[row[1]] = append(got[row[1]], name)
			}
		}
	}
	for _, names := range []map[string][]string{want, got} {
		for row := range names {
			slices.Sort(names[row])
			if n := len(names[row]); n == 0 || n == len(events) {
				t.Errorf("%s: %d of %d events match: one has to, and one must not", row, n, len(events))
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the filters pass (-want +got):\n%s", diff)
	}
}
