package cli

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/attempt"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// People read logs by their right to the project. The account of the console on Cloud Run has one to a view.
func TestEntriesOf(t *testing.T) {
	const view = "projects/acme/locations/global/buckets/_Default/views/prod-jobs"
	for _, test := range []struct {
		project, view string
		cloudRun      bool
		want          string
	}{
		{"acme", view, true, view},
		{"acme", view, false, "projects/acme"},
		{"acme", "", true, "projects/acme"},
		{"", "", true, ""},
		{"", "", false, ""},
	} {
		if got := entriesOf(config.Config{Project: test.project, LogView: test.view}, test.cloudRun); got != test.want {
			t.Errorf("%+v: %q", test, got)
		}
	}
}

// The console leads to the page of each rule, as jobdrop explain does.
func TestRuleURL(t *testing.T) {
	if got := ruleURL("job-id-format"); !strings.HasSuffix(got, "docs/rules.md#job-id-format") {
		t.Errorf("%q", got)
	}
	if got := ruleURL("none"); got != "" {
		t.Errorf("a rule of another revision is at %q", got)
	}
}

// Whoever has the console's address gets that of the attempt's page, from each command that shows one attempt.
func TestPageInConsole(t *testing.T) {
	t.Parallel()
	bench := newSubmitBench(t)
	settings := map[string]string{"JOBDROP_STATE_BUCKET": "state", "JOBDROP_CONSOLE": "https://console.example/"}
	first := bench.run(t, settings, "census", "--output", "json")
	var made submitted
	if err := json.Unmarshal([]byte(first.stdout), &made); err != nil {
		t.Fatalf("%v: %+v", err, first)
	}
	checkSubmitted(t, "submitted.v1.json", first.stdout)
	page := "https://console.example/attempts/" + made.Attempt
	if made.Console != page {
		t.Errorf("submitted at %q, want %q", made.Console, page)
	}
	if got := bench.run(t, settings, "census"); !strings.Contains(got.stderr, "its page: "+page) {
		t.Errorf("submit says %+v", got)
	}
	o := job.Object{Bucket: "inbox", Name: made.Folder + "job.yaml", Generation: made.Generation, Created: time.Now()}
	record := observed(t, attempt.NewRecord(o, o.Created), attempt.Withdraw{Reason: "wrong"}, o.Created)
	bench.status(t, made, record.Snapshot())
	data, err := json.Marshal(record)
	if err == nil {
		_, err = bench.Write(t.Context(), "state", "attempts/"+record.Attempt+".json", data, "", record.Summary().Metadata(""),
			attempt.AnyGeneration)
	}
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"JOBDROP_INBOX": "inbox", "JOBDROP_STATUS_BUCKET": "status", "STORAGE_EMULATOR_HOST": bench.address,
	}
	maps.Copy(env, settings)
	for _, command := range []string{"wait", "status", "why"} {
		for _, format := range []string{"text", "json"} {
			var stdout, stderr bytes.Buffer
			e := Env{Out: &stdout, Err: &stderr, Now: time.Now, Getenv: func(name string) string { return env[name] }}
			Run(t.Context(), e, []string{command, record.Attempt, "--output", format})
			if got := stdout.String(); !strings.Contains(got, page) || format == "json" && !strings.Contains(got, `"console":`) {
				t.Errorf("%s says\n%s%s", command, got, stderr.String())
			}
			if file := map[string]string{"status": "attempt.v1.json", "why": "why.v1.json"}[command]; file != "" && format == "json" {
				if err := printedAs(file, stdout.Bytes()); err != nil {
					t.Errorf("%s: %v", command, err)
				}
			}
			if command == "wait" && format == "json" {
				for line := range bytes.Lines(stdout.Bytes()) {
					checkWaitLine(t, line)
				}
			}
		}
	}
	delete(env, "JOBDROP_CONSOLE")
	var stdout, stderr bytes.Buffer
	e := Env{Out: &stdout, Err: &stderr, Now: time.Now, Getenv: func(name string) string { return env[name] }}
	if Run(t.Context(), e, []string{"status", record.Attempt, "-o", "json"}); strings.Contains(stdout.String(), "console") {
		t.Errorf("without the console's address: %s", stdout.String())
	}
}
