package check

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/jobdrop/jobdrop/internal/check/policy"
	"github.com/jobdrop/jobdrop/internal/check/routes"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const root = "../../.."

// today is a day on which all runtimes that may be chosen were supported.
var today = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)

func TestInstallation(t *testing.T) {
	found, err := Check(root, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

// clone copies what the rules read, and changes one place of one file. An empty old
// text removes the file.
func clone(t *testing.T, file, old, new string) string {
	t.Helper()
	to := t.TempDir()
	parts := []string{"deploy/terraform", "deploy/examples", "deploy/playbooks", "deploy/eventarc", "function.go"}
	for _, folder := range sourceFolders {
		if strings.HasPrefix(file, folder+"/") {
			parts = append(parts, folder)
			continue
		}
		same, err := filepath.Abs(filepath.Join(root, folder))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(same, filepath.Join(to, folder)); err != nil {
			t.Fatal(err)
		}
	}
	for _, part := range parts {
		err := filepath.WalkDir(filepath.Join(root, part), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			if d.IsDir() {
				if slices.Contains(elsewhere, d.Name()) || d.Name() == ".terraform" {
					return fs.SkipDir
				}
				return os.MkdirAll(filepath.Join(to, name), 0o755)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(to, name), data, 0o644)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if file == "" {
		return to
	}
	path := filepath.Join(to, file)
	if old == "" {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return to
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), old); n == 0 {
		t.Fatalf("%s has no %q to break", file, old)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), old, new, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	return to
}

// The alert of docs/subscribe.md is Terraform's language, looks for lines that the functions log, and refers to
// its own metric.
func TestSubscribersAlert(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs/subscribe.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```terraform\n")
	example, _, found := strings.Cut(example, "```\n")
	if !found || len(messages.FindAllString(example, -1)) == 0 {
		t.Fatalf("the page has no alert by a message: %q", example)
	}
	to := clone(t, "", "", "")
	const module = "deploy/terraform/modules/monitoring"
	if err := os.WriteFile(filepath.Join(to, module, "example.tf"), []byte(example), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Check(to, today)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range got {
		if f.Rule != "playbook" { // the installation's own alerts have one
			t.Error(f)
		}
	}
}

// Each rule finds what breaks it, and only that rule does.
func TestRulesFind(t *testing.T) {
	const (
		tf         = "deploy/terraform/"
		function   = tf + "modules/function/main.tf"
		subscr     = tf + "modules/subscription/main.tf"
		dead       = tf + "modules/dead_letter/main.tf"
		alerts     = tf + "modules/monitoring/alerts.tf"
		metrics    = tf + "modules/monitoring/metrics.tf"
		elsewhere  = tf + "environment-elsewhere.json"
		heartbeat  = "deploy/playbooks/watch-heartbeat.md"
		deadPolicy = "  dead_letter_policy {\n    dead_letter_topic     = module.dead_letter.topic\n" +
			"    max_delivery_attempts = 20\n  }\n"
	)
	tests := []struct {
		name, file, old, new string
		rule                 string
	}{
		{
			"an entry point that is not registered", tf + "functions.tf", `entry_point   = "Submit"`, `entry_point   = "submit"`,
			"entry-point",
		},
		{
			"a function that is not deployed", "function.go", `functions.HTTP("Watch"`, `functions.HTTP("Watched"`, "entry-point",
		},
		{
			"a function that is not registered", tf + "functions.tf", "    watch = {",
			"    ask = {\n      entry_point = \"Ask\"\n    }\n    watch = {", "entry-point",
		},

		{"a deprecated runtime", tf + "variables.tf", `default     = "go126"`, `default     = "go125"`, "runtime"},
		{
			"a deprecated runtime that may be chosen", tf + "variables.tf", `contains(["go126", "go127"]`,
			`contains(["go124", "go127"]`, "runtime",
		},
		{"an unknown runtime", tf + "variables.tf", `default     = "go126"`, `default     = "go1.26"`, "runtime"},

		{
			"access lists", tf + "buckets.tf", "uniform_bucket_level_access = true", "uniform_bucket_level_access = false",
			"bucket",
		},
		{"no word on access lists", tf + "buckets.tf", "uniform_bucket_level_access = true", "", "bucket"},
		{
			"public access by variable", tf + "buckets.tf", `public_access_prevention    = "enforced"`,
			`public_access_prevention    = var.force_destroy ? "inherited" : "enforced"`, "bucket",
		},
		{
			"public access of an example", "deploy/examples/team/main.tf", `public_access_prevention    = "enforced"`,
			`public_access_prevention    = "inherited"`, "bucket",
		},
		{
			"an access list of an object", tf + "policy.tf", `resource "google_storage_bucket_object" "policy" {`,
			"resource \"google_storage_object_acl\" \"policy\" {\n}\n\nresource \"google_storage_bucket_object\" \"policy\" {",
			"bucket",
		},

		{
			"a rule for records", tf + "buckets.tf", `matches_prefix = ["recent/", "ended/"]`,
			`matches_prefix = ["recent/", "attempts/"]`, "ledger",
		},
		{
			"a rule for all of the ledger", tf + "buckets.tf", `, with_state = "LIVE", matches_prefix = ["recent/", "ended/"] }`,
			` }`, "ledger",
		},
		{
			"history that counts what is live", tf + "buckets.tf", `num_newer_versions = 10, with_state = "ARCHIVED"`,
			`num_newer_versions = 10, with_state = "ANY"`, "ledger",
		},

		{
			"a rule that forgets too early whom it told", tf + "buckets.tf", "{ age = 100, with_state", "{ age = 60, with_state",
			"ledger",
		},
		{
			"a rule for the epoch of deliveries", tf + "buckets.tf", `"deliveries/folders/", "deliveries/open/"`,
			`"deliveries/", "deliveries/open/"`, "ledger",
		},
		{
			"a folder of deliveries that is kept for ever", "internal/flow/notifier/store.go", `root + "parked/"`,
			`root + "odd/"`, "ledger",
		},
		{
			"a list that is not made", tf + "grants.tf", `["attempts/", "open/", "requests/"]`,
			`["attempts/", "deliveries/", "open/", "requests/"]`, "lists",
		},
		{
			"a list that is not allowed", "internal/flow/ledger/requests.go", `requestPrefix = "requests/"`,
			`requestPrefix = "asked/"`, "lists",
		},
		{
			"streams that fill an instance", tf + "modules/console/main.tf", "container_concurrency = 1000",
			"container_concurrency = 80", "streams",
		},
		{
			"more streams than an instance takes", "internal/console/live.go", "maxStreams = 800", "maxStreams = 901", "streams",
		},
		{
			"a variable that Notify does not get", tf + "environment.tf", `"JOBDROP_STATE_BUCKET", "JOBDROP_STATUS_BUCKET"`,
			`"JOBDROP_STATUS_BUCKET"`, "environment",
		},
		{
			"a variable that is none of Notify's", tf + "environment.tf", `"JOBDROP_STATE_BUCKET", "JOBDROP_STATUS_BUCKET"`,
			`"JOBDROP_STATE_BUCKET", "JOBDROP_INBOX", "JOBDROP_STATUS_BUCKET"`, "environment",
		},
		{
			"routes for all functions", tf + "environment.tf", `read_by_notify_alone = ["JOBDROP_ROUTES"]`,
			`read_by_notify_alone = []`, "environment",
		},

		{"everybody calls", function, `member = "serviceAccount:${var.caller}"`, `member = "allUsers"`, "everybody"},
		{
			"everybody drops", tf + "droppers.tf", "droppers = {", "everyone = \"allAuthenticatedUsers\"\n  droppers = {",
			"everybody",
		},
		{
			"everybody by default", tf + "variables.tf", "variable \"droppers\" {", "variable \"public\" {\n" +
				"  description = \"x\"\n  type = string\n  default = \"allUsers\"\n  validation {\n    condition = true\n" +
				"    error_message = \"x\"\n  }\n}\n\nvariable \"droppers\" {", "everybody",
		},
		{
			"nobody is asked", function, "  deletion_protection = false",
			"  invoker_iam_disabled = true\n  deletion_protection = false", "everybody",
		},

		{"no dead letter", subscr, deadPolicy, "", "subscription"},
		{
			"perhaps no dead letter", subscr, deadPolicy, "  dynamic \"dead_letter_policy\" {\n    for_each = var.push[*]\n" +
				"    content {\n      dead_letter_topic     = module.dead_letter.topic\n      max_delivery_attempts = 20\n    }\n" +
				"  }\n", "subscription",
		},
		{"it expires", subscr, "    ttl = \"\"", "    ttl = \"2678400s\"", "subscription"},
		{
			"it expires by default", subscr, "  expiration_policy {\n" +
				"    ttl = \"\" # never: one that is not used for a month would be gone\n  }\n", "", "subscription",
		},
		{"dead letters expire", dead, "  expiration_policy {\n    ttl = \"\" # never\n  }\n", "", "subscription"},
		{
			"dead letters are not kept", dead, "resource \"google_pubsub_subscription\" \"dead\"",
			"resource \"google_pubsub_snapshot\" \"dead\"", "subscription",
		},

		{"events are lost", function, `"RETRY_POLICY_RETRY"`, `"RETRY_POLICY_DO_NOT_RETRY"`, "trigger"},
		{"events are lost by default", function, "      retry_policy          = \"RETRY_POLICY_RETRY\"\n", "", "trigger"},

		{
			"events are not tried again by a trigger of its own", tf + "inbox.tf",
			"  matching_criteria {\n    attribute = \"type\"", "  retry_policy {\n    max_attempts = 1\n  }\n" +
				"  matching_criteria {\n    attribute = \"type\"", "trigger",
		},

		{"a short deadline", subscr, "ack_deadline_seconds = 600", "ack_deadline_seconds = 60", "delivery"},
		{"another deadline than Eventarc's", "deploy/eventarc/main.go", "deadline = 600", "deadline = 540", "delivery"},
		{"few attempts", subscr, "max_delivery_attempts = 20", "max_delivery_attempts = 5", "delivery"},
		{
			"a short memory", tf + "modules/subscription/variables.tf", `default     = "604800s"`, `default     = "600s"`,
			"delivery",
		},
		{
			"a short memory of the inbox", tf + "inbox.tf", `retention = "${7 * local.day}s"`, `retention = "${1 * local.day}s"`,
			"delivery",
		},
		{
			"a memory that is not the module's", subscr, "message_retention_duration = var.retention",
			`message_retention_duration = "600s"`, "delivery",
		},
		{
			"dead letters that are soon gone", dead, `message_retention_duration = "2678400s"`,
			`message_retention_duration = "604800s"`, "delivery",
		},
		{"functions that work for longer", tf + "functions.tf", "timeout_seconds = 540", "timeout_seconds = 900", "delivery"},

		{
			"an administrator of a bucket", tf + "grants.tf", `role   = "roles/storage.objectViewer"`,
			`role   = "roles/storage.admin"`, "grant",
		},
		{
			"an administrator of objects", tf + "trainers.tf", `role     = "roles/storage.objectUser"`,
			`role     = "roles/storage.objectAdmin"`, "grant",
		},
		{
			"a wide role on a bucket of ours", tf + "trainers.tf", `google_project_iam_custom_role.this["fetch"].name`,
			`"roles/storage.objectUser"`, "grant",
		},
		{
			"an administrator of a topic", tf + "hints.tf", `role    = "roles/pubsub.publisher"`,
			`role    = "roles/pubsub.editor"`, "grant",
		},
		{
			"tokens of other accounts", tf + "grants.tf", `: "roles/iam.serviceAccountUser"`,
			`: "roles/iam.serviceAccountTokenCreator"`, "grant",
		},
		{"a developer of a function", function, `role   = "roles/run.invoker"`, `role   = "roles/run.developer"`, "grant"},
		{
			"others lose their rights on a bucket", tf + "trainers.tf",
			`resource "google_storage_bucket_iam_member" "trainer_output"`,
			`resource "google_storage_bucket_iam_binding" "trainer_output"`, "grant",
		},
		{
			"a role of ours that gives rights away", tf + "roles.tf",
			`permissions = ["storage.objects.get", "storage.objects.list"]`,
			`permissions = ["storage.objects.get", "storage.buckets.setIamPolicy"]`, "grant",
		},

		{"a source that goes too early", tf + "source.tf", "    create_before_destroy = true\n", "", "source"},

		{"an owner", tf + "grants.tf", `role     = "roles/pubsub.publisher"`, `role     = "roles/owner"`, "rights"},
		{"an editor by condition", tf + "grants.tf", `: "roles/iam.serviceAccountUser"`, `: "roles/editor"`, "rights"},
		{
			"all objects of the project", tf + "source.tf", `role    = "roles/logging.logWriter"`,
			`role    = "roles/storage.objectViewer"`, "rights",
		},
		{
			"all topics of the project", tf + "inbox.tf", `"serviceAccount:${local.agents.storage}"`,
			`google_service_account.trainer.member`, "rights",
		},
		{
			"all objects, by a role of ours", tf + "source.tf",
			`expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-` +
				`${data.google_project.this.number}-${var.region}\")"`,
			`expression = "true"`, "rights",
		},
		{
			"all objects, by a condition that always holds", tf + "source.tf",
			`startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.this.number}-${var.region}\")`,
			`startsWith(\"projects/_/buckets/\")`, "rights",
		},
		{"all objects, by another condition", tf + "source.tf", `-${var.region}\")`, `-${var.region}\") || true`, "rights"},
		{
			"all objects, by a function's roles", tf + "functions.tf", `project = ["run_jobs"]`,
			`project = ["run_jobs", "read"]`, "rights",
		},
		{
			"all accounts of the project", tf + "functions.tf", `project = ["run_jobs"]`, `project = ["run_jobs", "act_as"]`,
			"rights",
		},
		{"a role that is none", tf + "functions.tf", `project = ["run_jobs"]`, `project = ["run"]`, "rights"},
		{
			"others lose their roles", tf + "inbox.tf", `resource "google_project_iam_member" "eventarc"`,
			`resource "google_project_iam_binding" "eventarc"`, "rights",
		},

		{
			"a variable that is not set", tf + "environment.tf", "    JOBDROP_GRACE               = var.grace\n", "",
			"environment",
		},
		{
			"a variable that nothing reads", tf + "environment.tf", "    JOBDROP_GRACE ",
			"    JOBDROP_DEBUG = \"1\"\n    JOBDROP_GRACE ", "environment",
		},
		{
			"a variable of the local stack", tf + "environment.tf", "    JOBDROP_GRACE ",
			"    STORAGE_EMULATOR_HOST = \"localhost\"\n    JOBDROP_GRACE ", "environment",
		},
		{
			"a secret that nothing reads", tf + "environment.tf", "    OTEL_EXPORTER_OTLP_HEADERS = ",
			"    API_KEY = null\n    OTEL_EXPORTER_OTLP_HEADERS = ", "environment",
		},
		{"another default than the code's", tf + "variables.tf", `default     = "60s"`, `default     = "90s"`, "environment"},
		{
			"another environment", tf + "functions.tf", "environment        = local.environments[each.key]",
			"environment        = merge(local.settings, {})", "environment",
		},
		{
			"more environment of a function", function, "environment_variables            = var.environment",
			"environment_variables            = merge(var.environment, { DEBUG = \"1\" })", "environment",
		},
		{"more environment of a service", function, "name  = \"FUNCTION_TARGET\"", "name  = \"DEBUG\"", "environment"},
		{"a local variable that there is not", elsewhere, `"STORAGE_EMULATOR_HOST"`, `"STORAGE_EMULATOR"`, "environment"},

		{
			"a variable without description", tf + "variables.tf", `  description = "Runtime of the functions."`, "", "variable",
		},
		{
			"a variable without type", tf + "modules/subscription/variables.tf", "  type        = list(string)\n", "",
			"variable",
		},
		{
			"a variable that takes anything", tf + "modules/dead_letter/variables.tf", "  validation {\n    condition     = " +
				"var.region != \"\"\n    error_message = \"The region is missing.\"\n  }\n", "", "variable",
		},

		{"an alert without playbook", heartbeat, "", "", "playbook"},
		{
			"an alert with another's playbook", alerts, `local.playbooks["watch-heartbeat"]`, `local.playbooks["watch-errors"]`,
			"playbook",
		},
		{"an alert by another name", alerts, `: watch-heartbeat"`, `: heartbeat"`, "playbook"},
		{
			"a playbook of no alert", alerts, `resource "google_monitoring_alert_policy" "watch_heartbeat" {`,
			`resource "google_monitoring_uptime_check_config" "watch_heartbeat" {`, "playbook",
		},
		{"a playbook without remedy", heartbeat, "## Remedy", "## And then", "playbook"},
		{
			"a playbook with variables that Cloud Monitoring takes for its own", heartbeat, "$SCHEDULER_REGION",
			"${SCHEDULER_REGION:-$REGION}", "playbook",
		},
		{
			"an example in which editors drop, too", "deploy/examples/team/main.tf", "basic_roles           = false",
			"basic_roles           = true", "example",
		},
		{
			"an example that says nothing of editors", "deploy/examples/team/main.tf", "  basic_roles           = false", "  # false",
			"example",
		},
		{
			"an example without a region for Cloud Scheduler", "deploy/examples/organisation/main.tf",
			"scheduler_region = var.scheduler_region", "scheduler_region = var.region", "example",
		},
		{"a distribution without buckets", metrics, "  bucket_options {", "  timeouts {", "metric"},
		{
			"buckets of what is counted", metrics, "    value_type   = \"INT64\"\n", "    value_type   = \"DISTRIBUTION\"\n", "metric",
		},
		{
			"editors keep what others lose", tf + "buckets.tf", `: ["projectOwner:${var.project_id}"]`,
			`: ["projectOwner:${var.project_id}", "projectEditor:${var.project_id}"]`, "grant",
		},
		{
			"more than editors had", tf + "buckets.tf", `"roles/storage.legacyBucketReader" = ["projectViewer:`,
			`"roles/storage.legacyBucketReader" = ["projectEditor:`, "grant",
		},
		{
			"a role that is not given by default", tf + "buckets.tf", `"roles/storage.legacyObjectReader"`,
			`"roles/storage.objectViewer"`, "grant",
		},
		{
			"a right that comes after the pause", tf + "first.tf", "    google_logging_log_view_iam_member.watch,\n", "", "first",
		},
		{
			"nothing before the pause", tf + "first.tf", `resource "terraform_data" "first"`, `resource "terraform_data" "all"`, "first",
		},
		{"a playbook without first look", heartbeat, "export PROJECT=… REGION=… INSTANCE=…\n", "", "playbook"},

		{
			"a message that is not logged", metrics, `jsonPayload.message=\"tick\"`, `jsonPayload.message=\"ticked\"`,
			"log-line",
		},
		{"one of two messages that is not logged", metrics, `\"event not parked\"`, `\"event lost\"`, "log-line"},
		{
			"a message that is no longer logged", "internal/flow/watcher/tick.go", `InfoContext(ctx, "tick"`,
			`InfoContext(ctx, "pulse"`, "log-line",
		},
		{"a field that no line has", metrics, "jsonPayload.backend_state", "jsonPayload.job_state", "log-line"},
		{"a number that no tick tells", metrics, "    lag_seconds = ", "    lag         = ", "log-line"},
		{
			"a playbook that looks for what is not logged", "deploy/playbooks/jobs-timed-out.md",
			`jsonPayload.message=\"job seen\"`, `jsonPayload.message=\"job changed\"`, "log-line",
		},
		{
			"an alert on a state that there is not", alerts, `metric.labels.state=\"timed_out\"`,
			`metric.labels.state=\"timedout\"`, "query",
		},
		{"one of two states that there is not", alerts, `\"rejected\",\"submitted\"`, `\"rejected\",\"started\"`, "query"},
		{"a state that there is no longer", "pkg/job/state.go", `= "timed_out"`, `= "timeout"`, "query"},
		{
			"a playbook that looks for a state that there is not", "deploy/playbooks/jobs-timed-out.md",
			"jsonPayload.state=timed_out", "jsonPayload.state=timeout", "query",
		},
		{"an error that is not told", metrics, `publish to projects/`, `publishing to projects/`, "query"},
		{
			"an error that is no longer told", "internal/service/pubsub/publisher.go", `"publish to %s: %w"`,
			`"publishing %s: %w"`, "query",
		},

		{
			"a playbook that shows what is not there", "deploy/playbooks/jobs-timed-out.md", "jsonPayload.correlation_id",
			"jsonPayload.correlation", "log-line",
		},
	}
	whole, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f, err := read(clone(t, test.file, test.old, test.new))
			if err != nil {
				t.Fatal(err)
			}
			changed := func(folder string) bool { return strings.HasPrefix(test.file, folder+"/") }
			if !slices.ContainsFunc(sourceFolders, changed) { // the code is as it was
				f.logged = whole.logged
			}
			found, err := f.check(today)
			if err != nil {
				t.Fatal(err)
			}
			var rules []string
			for _, f := range found {
				rules = append(rules, f.Rule)
			}
			slices.Sort(rules)
			if diff := cmp.Diff([]string{test.rule}, slices.Compact(rules)); diff != "" {
				t.Errorf("rules that are broken (-want +got):\n%s%v", diff, found)
			}
		})
	}
}

// A runtime that Google ceases to serve is found when its day comes.
func TestRuntimesEnd(t *testing.T) {
	found, err := Check(clone(t, "", "", ""), time.Date(2027, 8, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 || found[0].Rule != "runtime" {
		t.Errorf("found %v, want a runtime that is decommissioned", found)
	}
}

// The filter of the sink is the documented one.
func TestHintsFilter(t *testing.T) {
	f, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	e, err := f.local(installation, "hints_filter")
	if err != nil {
		t.Fatal(err)
	}
	v, diagnostics := e.Value(nil)
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	doc, err := os.ReadFile(filepath.Join(root, "docs/watch.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), "\n"+v.AsString()+"\n") {
		t.Errorf("docs/watch.md has another filter than %s", v.AsString())
	}
}

// Policies of the examples, and of the tests of Terraform, are valid.
func TestPolicies(t *testing.T) {
	var paths []string
	for _, pattern := range []string{"deploy/examples/*/policy.yaml", "deploy/examples/*/policies/*.yaml",
		"deploy/terraform/tests/policy*.yaml"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	if len(paths) < 5 {
		t.Fatalf("only %d policies are found: %v", len(paths), paths)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		rules, violations := policy.Parse(path, data)
		for _, v := range violations {
			if v.Severity == job.Error {
				t.Error(v)
			}
		}
		if rules.Defaults.ServiceAccount == "" {
			t.Errorf("%s: jobs run as Vertex AI's own agent, which reaches everything", path)
		}
	}
}

// Routes of the examples, and of the tests of Terraform, are valid.
func TestRoutes(t *testing.T) {
	var paths []string
	for _, pattern := range []string{"deploy/examples/*/routes.yaml", "deploy/terraform/tests/routes*.yaml"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, found...)
	}
	if len(paths) < 3 {
		t.Fatalf("only %d files are found: %v", len(paths), paths)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, violations := routes.Parse(path, data); len(violations) > 0 {
			t.Error(violations)
		}
	}
}

// No lock file of the stand-in is shipped: its hashes are no provider's.
func TestNoLockFile(t *testing.T) {
	for _, pattern := range []string{"deploy/terraform/.terraform.lock.hcl", "deploy/examples/*/.terraform.lock.hcl"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(data), `version     = "6.50.0"`) {
				t.Errorf("%s is of the stand-in: remove it", path)
			}
		}
	}
}

func lifecycle(t *testing.T) protoreflect.MessageDescriptor {
	t.Helper()
	compiler := protocompile.Compiler{
		Resolver: &protocompile.SourceResolver{ImportPaths: []string{filepath.Join(root, installation)}},
	}
	compiled, err := compiler.Compile(t.Context(), "lifecycle.proto")
	if err != nil {
		t.Fatal(err)
	}
	// Pub/Sub wants one message at the top.
	if n := compiled[0].Messages().Len(); n != 1 {
		t.Fatalf("lifecycle.proto has %d messages at the top, want 1", n)
	}
	return compiled[0].Messages().Get(0)
}

// schema is what is used here of a JSON Schema.
type schema struct {
	Type                 string             `json:"type"`
	Ref                  string             `json:"$ref"`
	Properties           map[string]*schema `json:"properties"`
	AdditionalProperties *schema            `json:"additionalProperties"`
	Items                *schema            `json:"items"`
	Defs                 map[string]*schema `json:"$defs"`
}

// The topic's schema has each field that an event may have, of its type: an event
// with another one could not be published.
func TestLifecycleSchemaHasAllFields(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, "pkg/event/schemas/lifecycle.v1.json"))
	if err != nil {
		t.Fatal(err)
	}
	var body schema
	if err := json.Unmarshal(data, &body); err != nil {
		t.Fatal(err)
	}
	var same func(at string, s *schema, m protoreflect.MessageDescriptor)
	resolve := func(s *schema) *schema {
		if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
			return body.Defs[name]
		}
		return s
	}
	kind := func(at string, s *schema, f protoreflect.FieldDescriptor) {
		switch s = resolve(s); {
		case s.Type == "object":
			if f.Message() == nil {
				t.Errorf("%s is an object, and a %s in lifecycle.proto", at, f.Kind())
				return
			}
			same(at, s, f.Message())
		case s.Type == "string" && f.Kind() != protoreflect.StringKind,
			s.Type == "number" && f.Kind() != protoreflect.DoubleKind,
			s.Type == "boolean" && f.Kind() != protoreflect.BoolKind,
			s.Type == "integer" && f.Kind() != protoreflect.Int32Kind && f.Kind() != protoreflect.Int64Kind:
			t.Errorf("%s is of type %s, and a %s in lifecycle.proto", at, s.Type, f.Kind())
		}
	}
	same = func(at string, s *schema, m protoreflect.MessageDescriptor) {
		for name, p := range s.Properties {
			at := strings.TrimPrefix(at+"."+name, ".")
			f := m.Fields().ByJSONName(name)
			p = resolve(p)
			switch {
			case f == nil:
				t.Errorf("lifecycle.proto has no field %s: give it the next number of %s", at, m.Name())
			case p.AdditionalProperties != nil:
				if !f.IsMap() || f.MapKey().Kind() != protoreflect.StringKind {
					t.Errorf("%s is a map, and none in lifecycle.proto", at)
					continue
				}
				kind(at, p.AdditionalProperties, f.MapValue())
			case p.Type == "array":
				if !f.IsList() {
					t.Errorf("%s is an array, and none in lifecycle.proto", at)
					continue
				}
				kind(at, p.Items, f)
			case f.Cardinality() == protoreflect.Repeated:
				t.Errorf("%s is repeated in lifecycle.proto only", at)
			default:
				kind(at, p, f)
			}
		}
		for i := range m.Fields().Len() {
			if name := m.Fields().Get(i).JSONName(); s.Properties[name] == nil {
				t.Errorf("%s.%s of lifecycle.proto is in no event", at, name)
			}
		}
	}
	same("", &body, lifecycle(t))
}

// Every documented event is a message of the schema.
func TestLifecycleSchemaTakesTheEvents(t *testing.T) {
	m := lifecycle(t)
	paths, err := filepath.Glob(filepath.Join(root, "docs/events/*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no events are found: %v", err)
	}
	for _, path := range paths {
		if filepath.Base(path) == "status-misnamed.json" {
			continue // no attempt's, and nothing that is published
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var event struct{ Data json.RawMessage }
		if err := json.Unmarshal(data, &event); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if event.Data == nil {
			event.Data = data // status.json is the body itself
		}
		if err := protojson.Unmarshal(event.Data, dynamicpb.NewMessage(m)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	// An unknown field is an error.
	if err := protojson.Unmarshal([]byte(`{"attempt": "x", "verdict": "y"}`), dynamicpb.NewMessage(m)); err == nil {
		t.Error("an unknown field is taken")
	}
}
