package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/internal/envfile"
)

const team = "../outputs/testdata/team.json"

// What Terraform put out is what the functions take, through the file and a shell.
func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run([]string{team}, &out); err != nil {
		t.Fatal(err)
	}
	got, err := envfile.Parse(out.String())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(team)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Environment struct{ Value map[string]string }
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all.Environment.Value, got); diff != "" {
		t.Errorf("environment (-Terraform +file):\n%s", diff)
	}
	c, err := config.Load(func(name string) (string, bool) { v, ok := got[name]; return v, ok })
	if err != nil || c.Inbox != "acme-ml-research-inbox" {
		t.Errorf("the functions read %+v, %v", c, err)
	}
	file := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	read, err := exec.Command("sh", "-c", `set -a; . "$0"; printf %s "$JOBDROP_POLICY"`, file).Output()
	if err != nil || string(read) != got["JOBDROP_POLICY"] {
		t.Errorf("a shell reads %q, %v", read, err)
	}
}

// The example of the outputs has the names that Terraform writes.
func TestExampleIsTerraforms(t *testing.T) {
	text, err := os.ReadFile(team)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]struct{ Value any }
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	names := func(pattern, file string) (found []string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join("..", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(pattern).FindAllSubmatch(text, -1) {
			found = append(found, string(m[1]))
		}
		slices.Sort(found)
		return found
	}
	keys := func(m map[string]any) (found []string) {
		for name := range m {
			found = append(found, name)
		}
		slices.Sort(found)
		return found
	}
	top := map[string]any{}
	for name := range all {
		top[name] = nil
	}
	if diff := cmp.Diff(names(`(?m)^output "(\w+)"`, "examples/team/outputs.tf"), keys(top)); diff != "" {
		t.Errorf("outputs (-Terraform +example):\n%s", diff)
	}
	// Nothing is measured there, Watch reads no logs, and nobody is told.
	want := slices.DeleteFunc(names(`(?m)^    ((?:JOBDROP|OTEL)_\w+) += `, "terraform/environment.tf"),
		func(n string) bool {
			return strings.HasPrefix(n, "OTEL_") || n == "JOBDROP_LOG_VIEW" || n == "JOBDROP_ROUTES"
		})
	if diff := cmp.Diff(want, keys(all["environment"].Value.(map[string]any))); diff != "" {
		t.Errorf("environment (-Terraform +example):\n%s", diff)
	}
	for name := range all["inbox_trigger"].Value.(map[string]any) {
		if !slices.Contains(names(`(?m)^    (\w+) += `, "terraform/outputs.tf"), name) {
			t.Errorf("inbox_trigger has no %s in Terraform", name)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for name, test := range map[string]struct{ outputs, want string }{
		"not applied":           {`{}`, "no output named environment"},
		"several":               {`{"environments": {"value": {"a": {}, "b": {}}}}`, "name one of the installations a, b"},
		"something else":        {`outputs`, "not what terraform output -json prints"},
		"half an environment":   {`{"environment": {"value": {"JOBDROP_INSTANCE": "x"}}}`, "JOBDROP_INBOX is not set"},
		"a value of no meaning": {`{"environment": {"value": {"JOBDROP_GRACE": "long"}}}`, "JOBDROP_GRACE"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "outputs.json")
			if err := os.WriteFile(file, []byte(test.outputs), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := run([]string{file}, &strings.Builder{}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("it ends with %v, want %q", err, test.want)
			}
		})
	}
}
