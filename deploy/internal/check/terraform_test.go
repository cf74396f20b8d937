package check

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// runTime bounds one call of Terraform, or of the go command that builds the
// stand-in from an empty cache.
const runTime = 20 * time.Minute

// standIn is the version of the google provider whose schema the stand-in has.
const standIn = "6.50.0"

// terraform is a Terraform that takes the stand-in for the google provider, and
// asks nobody else for anything.
type terraform struct {
	path    string
	environ []string
}

func newTerraform(t *testing.T) terraform {
	t.Helper()
	path, err := exec.LookPath("terraform")
	if err != nil {
		t.Skip("SKIPPED: no terraform here, which formats, validates and tests what is deployed")
	}
	dir := t.TempDir()
	mirror := filepath.Join(dir, "mirror")
	plugin := filepath.Join(mirror, "registry.terraform.io/hashicorp/google", standIn, runtime.GOOS+"_"+runtime.GOARCH,
		"terraform-provider-google_v"+standIn)
	if runtime.GOOS == "windows" {
		plugin += ".exe"
	}
	build(t, plugin)
	settings := filepath.Join(dir, "settings")
	// Nothing is installed but from the mirror: no registry is asked.
	text := fmt.Sprintf("provider_installation {\n  filesystem_mirror {\n    path = %q\n  }\n}\n"+
		"disable_checkpoint = true\n", mirror)
	if err := os.WriteFile(settings, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tf := terraform{
		path, append(os.Environ(), "TF_CLI_CONFIG_FILE="+settings, "TF_IN_AUTOMATION=1", "TF_DATA_DIR=", "TF_CLI_ARGS=",
			"TF_LOG=", "TF_WORKSPACE="),
	}
	var v struct {
		Version string `json:"terraform_version"`
	}
	out, err := tf.run(t, dir, "version", "-json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &v)
	}
	if err != nil {
		t.Fatalf("terraform version: %v\n%s", err, out)
	}
	numbers := regexp.MustCompile(`^(\d+)\.(\d+)\.`).FindStringSubmatch(v.Version)
	if numbers == nil {
		t.Fatalf("terraform's version is %q", v.Version)
	}
	major, _ := strconv.Atoi(numbers[1])
	minor, _ := strconv.Atoi(numbers[2])
	if major < 1 || major == 1 && minor < 9 {
		t.Skipf("SKIPPED: terraform %s is too old here: what is deployed takes 1.9", v.Version)
	}
	return tf
}

func build(t *testing.T, to string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runTime)
	defer cancel()
	c := exec.CommandContext(ctx, "go", "build", "-o", to, "../tfstub")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(c.Args, " "), err, out)
	}
}

// run returns the output of Terraform.
func (tf terraform) run(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runTime)
	defer cancel()
	c := exec.CommandContext(ctx, tf.path, args...)
	c.Dir, c.Env = dir, tf.environ
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	err := c.Run()
	return said.String(), err
}

func (tf terraform) must(t *testing.T, dir string, args ...string) {
	t.Helper()
	if said, err := tf.run(t, dir, args...); err != nil {
		t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, said)
	}
}

func TestTerraform(t *testing.T) {
	tf := newTerraform(t)
	t.Run("fmt", func(t *testing.T) {
		if said, err := tf.run(t, filepath.Join(root, "deploy"), "fmt", "-check", "-recursive", "-diff"); err != nil {
			t.Errorf("terraform fmt -recursive deploy mends this: %v\n%s", err, said)
		}
	})
	to := clone(t, "", "", "")
	modules := []string{
		installation, installation + "/modules/function", installation + "/modules/subscription",
		installation + "/modules/monitoring", installation + "/modules/console",
	}
	examples, err := filepath.Glob(filepath.Join(to, "deploy/examples/*"))
	if err != nil || len(examples) < 3 {
		t.Fatalf("examples are %v, %v: want one for each size", examples, err)
	}
	for _, e := range examples {
		name, err := filepath.Rel(to, e)
		if err != nil {
			t.Fatal(err)
		}
		modules = append(modules, name)
		// An example is used as it is shown.
		if err := os.Rename(filepath.Join(e, "terraform.tfvars.example"), filepath.Join(e, "terraform.tfvars")); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range modules {
		t.Run(m, func(t *testing.T) {
			dir := filepath.Join(to, m)
			tf.must(t, dir, "init", "-backend=false", "-input=false", "-no-color")
			tf.must(t, dir, "validate", "-no-color")
			tf.must(t, dir, "test", "-no-color")
		})
	}
}

// The alert that docs/subscribe.md shows can be made, and looks for what is logged.
func TestAlertOfSubscribers(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/subscribe.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(page), "```terraform\n")
	block, _, closed := strings.Cut(block, "\n```\n")
	if !ok || !closed || !strings.Contains(block, "google_monitoring_alert_policy") {
		t.Fatal("docs/subscribe.md shows no alert")
	}
	l, err := logs(root)
	if err != nil {
		t.Fatal(err)
	}
	filter := block[:strings.Index(block, "metric_descriptor")]
	for _, m := range messages.FindAllStringSubmatch(filter, -1) {
		if w := alternatives(m[1]); len(w) != 1 || !l.messages[w[0]] {
			t.Errorf("nothing logs %q", w)
		}
	}
	fields := keys.FindAllStringSubmatch(filter, -1)
	for _, k := range fields {
		if !l.keys[k[1]] {
			t.Errorf("no line has the field %q", k[1])
		}
	}
	if len(fields) < 2 {
		t.Errorf("the filter looks for %d fields", len(fields))
	}
	tf, dir := newTerraform(t), t.TempDir()
	const head = "terraform {\n  required_providers {\n    google = {\n      source = \"hashicorp/google\"\n    }\n  }\n}\n\n"
	if err := os.WriteFile(filepath.Join(dir, "main.tf"), []byte(head+block+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tf.must(t, dir, "init", "-backend=false", "-input=false", "-no-color")
	tf.must(t, dir, "validate", "-no-color")
	tf.must(t, dir, "fmt", "-check", "-diff")
}

// What a first deployment makes before it waits is what takes time to spread, and
// nothing that needs it.
func TestTerraformFirst(t *testing.T) {
	tf := newTerraform(t)
	here := filepath.Join(clone(t, "", "", ""), installation)
	tf.must(t, here, "init", "-backend=false", "-input=false", "-no-color")
	said, err := tf.run(t, here, "test", "-no-color", "-verbose", "-filter=tests/first.tftest.hcl")
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	made := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^resource "(google_\w+)" `).FindAllStringSubmatch(said, -1) {
		made[m[1]] = true
	}
	for _, kind := range []string{"google_cloudfunctions2_function", "google_cloud_scheduler_job", "google_monitoring_alert_policy",
		"google_pubsub_subscription", "google_eventarc_trigger"} {
		if made[kind] {
			t.Errorf("%s is made before what it needs holds", kind)
		}
	}
	for _, kind := range []string{"google_logging_metric", "google_project_iam_member", "google_storage_bucket_iam_member",
		"google_service_account_iam_member", "google_artifact_registry_repository_iam_member"} {
		if !made[kind] {
			t.Errorf("%s is not made first", kind)
		}
	}
}

// A function or a service that is replaced gets its caller's right again, in the same
// apply.
func TestTerraformReplaces(t *testing.T) {
	tf := newTerraform(t)
	here := filepath.Join(clone(t, "", "", ""), installation, "modules/function")
	tf.must(t, here, "init", "-backend=false", "-input=false", "-no-color")
	settings, err := os.ReadFile(filepath.Join(here, "tests/function.tftest.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	head, _, _ := strings.Cut(string(settings), "\nrun \"function\"")
	for platform, resource := range map[string]string{
		"functions": "google_cloudfunctions2_function.this[0]", "run": "google_cloud_run_v2_service.this[0]",
	} {
		run := func(name, timeout, more string) string {
			return fmt.Sprintf(`
run %q {
  %s
  variables {
    platform        = %q
    image           = "host/server@sha256:0"
    build           = { bucket = "b", object = "o", service_account = "s", repository = "r" }
    timeout_seconds = %s
  }
}
`, name, more, platform, timeout)
		}
		test := head + run("made", "540", "") + run("updated", "500", "command = plan") +
			run("replaced", "540", "command = plan\n  plan_options {\n    replace = ["+resource+"]\n  }")
		if err := os.WriteFile(filepath.Join(here, "tests/replace.tftest.hcl"), []byte(test), 0o600); err != nil {
			t.Fatal(err)
		}
		said, err := tf.run(t, here, "test", "-no-color", "-verbose", "-filter=tests/replace.tftest.hcl")
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		_, after, found := strings.Cut(said, "run \"updated\"")
		updated, replaced, both := strings.Cut(after, "run \"replaced\"")
		if !found || !both || !strings.Contains(updated, resource+" will be updated") || strings.Contains(updated, "must be replaced") {
			t.Errorf("%s: another timeout replaces something:\n%s", platform, updated)
		}
		for _, want := range []string{resource + " will be replaced", "google_cloud_run_v2_service_iam_member.caller will be replaced"} {
			if !strings.Contains(replaced, want) {
				t.Errorf("%s: the plan has no %q:\n%s", platform, want, replaced)
			}
		}
	}
}

// The stand-in reports what is wrong as the provider would.
func TestTerraformFinds(t *testing.T) {
	tf := newTerraform(t)
	const tfiles = "deploy/terraform/"
	tests := []struct{ name, file, old, new, want string }{
		{"an unknown argument", tfiles + "schedule.tf", "attempt_deadline =", "deadline =", `Unsupported argument`},
		{
			"an unknown block", tfiles + "modules/subscription/main.tf", "  retry_policy {", "  retries {",
			"Unsupported block type",
		},
		{
			"a missing argument", tfiles + "buckets.tf", "  location = local.bucket_location\n", "", "Missing required argument",
		},
		{
			"a wrong type", tfiles + "modules/subscription/main.tf", "ack_deadline_seconds = 600",
			`ack_deadline_seconds = "10m"`, "a number is required",
		},
		{
			"a value that there is not", tfiles + "buckets.tf", `"enforced"`, `"closed"`,
			`"closed" is none of enforced, inherited`,
		},
		{
			"a value in a block that there is not", tfiles + "modules/monitoring/alerts.tf", `"ALIGN_DELTA"`, `"DELTA"`,
			`"DELTA" is none of ALIGN_NONE`,
		},
		{"an unknown variable", tfiles + "hints.tf", "var.hints ?", "var.hint ?", "Reference to undeclared input variable"},
		{
			"an unknown resource", tfiles + "hints.tf", "google_pubsub_topic.hints[*]", "google_pubsub_topic.hint[*]",
			"Reference to undeclared resource",
		},
		{"a missing playbook", "deploy/playbooks/dead-letters.md", "", "", "Invalid index"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			here := filepath.Join(clone(t, test.file, test.old, test.new), installation)
			tf.must(t, here, "init", "-backend=false", "-input=false", "-no-color")
			said, err := tf.run(t, here, "validate", "-no-color")
			if flat := strings.Join(strings.Fields(said), " "); err == nil || !strings.Contains(flat, test.want) {
				t.Errorf("terraform validate ends with %v and says %q, want %q", err, flat, test.want)
			}
		})
	}
}
