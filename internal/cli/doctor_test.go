package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/doctor"
)

// refusing refuses each request.
type refusing struct{}

func (refusing) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusForbidden, Body: http.NoBody, Request: r, Header: http.Header{}}, nil
}

// An installation that refuses everything is no problem of its own: each check names the right that it takes.
func TestDoctorWithoutRights(t *testing.T) {
	t.Parallel()
	settings := map[string]string{
		"JOBDROP_INSTANCE": "nlp", "JOBDROP_PROJECT": "acme", "JOBDROP_INBOX": "acme-nlp-inbox",
		"JOBDROP_STATE_BUCKET":   "acme-nlp-state",
		"JOBDROP_STAGING_BUCKET": "acme-nlp-staging", "JOBDROP_STATUS_BUCKET": "acme-nlp-status",
		"JOBDROP_TOPIC":   "projects/acme/topics/nlp-lifecycle",
		"JOBDROP_BACKEND": "vertex", "JOBDROP_REGIONS": "europe-west4",
		"JOBDROP_PUBSUB_ENDPOINT": "europe-west4-pubsub.googleapis.com:443",
		"JOBDROP_ROUTES":          "gs://acme-nlp-state/policy/routes.yaml",
		"JOBDROP_POLICY":          "gs://acme-nlp-state/policy/policy.yaml",
	}
	examined := func(t *testing.T, format formatFlag) string {
		t.Helper()
		var out bytes.Buffer
		env := Env{
			Out: &out, Err: &out, Now: time.Now, Terminal: true, Size: func() (int, int) { return 80, 24 },
			Getenv: func(string) string { return "x" }, // NO_COLOR, too
		}
		err := examine(t.Context(), env, doctorOptions{format: format}, doctor.Options{
			Lookup: func(name string) (string, bool) { v, ok := settings[name]; return v, ok },
			Client: &http.Client{Transport: refusing{}}, Now: time.Now,
		})
		if err != nil {
			t.Errorf("%v\n%s", err, out.String())
		}
		return out.String()
	}
	table := examined(t, formatText)
	for i, line := range strings.Split(table, "\n") {
		if len([]rune(line)) > tableWidth {
			t.Errorf("line %d has %d characters: %s", i+1, len([]rune(line)), line)
		}
	}
	var report doctor.Report
	text := examined(t, formatJSON)
	if err := errors.Join(json.Unmarshal([]byte(text), &report), printedAs("doctor.v1.json", []byte(text))); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, f := range report.Findings {
		if f.Right == "" {
			continue
		}
		named++
		if !strings.Contains(f.Text, f.Right) {
			t.Errorf("%+v", f)
		}
		if strings.Contains(f.Right, ".") && !strings.Contains(string(page), "`"+f.Right+"`") {
			t.Errorf("docs/doctor.md does not name the right %s", f.Right)
		}
	}
	if named < 15 {
		t.Errorf("%d findings name a right: %s", named, text)
	}
	// Each check has a row of the page, in the order of the report.
	var checks, rows []string
	for _, f := range report.Findings {
		checks = append(checks, f.Check)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		rows = append(rows, m[1])
	}
	if checks = slices.Compact(checks); !slices.Equal(checks, rows) {
		t.Errorf("docs/doctor.md has rows for %v, and the report %v", rows, checks)
	}
}

// The table has a remedy below what it is for, and colours where there are some.
func TestDoctorTable(t *testing.T) {
	t.Parallel()
	report := doctor.Report{Findings: []doctor.Finding{
		{Check: "settings", Status: doctor.OK, Text: "all settings of the functions are there, and valid together"},
		{Check: "topic", On: "projects/p/topics/t", Status: doctor.Problem, Text: "it does not exist\x1b[2J",
			Remedy: "terraform apply"},
	}}
	var out bytes.Buffer
	values := map[string]string{}
	env := Env{Out: &out, Terminal: true, Getenv: func(name string) string { return values[name] }}
	if err := writeReport(env, report); err != nil {
		t.Fatal(err)
	}
	want := green + "ok" + noColour + "       settings  all settings of the functions are there, and valid together\n" +
		red + "problem" + noColour + "  topic     projects/p/topics/t: it does not exist�[2J\n                   -> terraform apply\n" +
		"\nok 1, warning 0, problem 1, skipped 0\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	out.Reset()
	env.Terminal = false
	if err := writeReport(env, report); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Count(got, "\n") != 4 || strings.Contains(got, "\x1b") ||
		!strings.Contains(got, "[2J -> terraform apply\n") {
		t.Errorf("piped it is\n%q", got)
	}
}
