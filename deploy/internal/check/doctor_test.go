package check

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/jobdrop/jobdrop/internal/doctor"
)

// What jobdrop doctor expects of an installation is what Terraform sets.
func TestDoctorExpects(t *testing.T) {
	f, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	found, err := expectations(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range found {
		t.Error(finding)
	}
}

// A change of what Terraform sets is found.
func TestDoctorExpectsFind(t *testing.T) {
	const (
		tf     = "deploy/terraform/"
		subscr = tf + "modules/subscription/main.tf"
		dead   = tf + "modules/dead_letter/main.tf"
		alerts = tf + "modules/monitoring/alerts.tf"
	)
	tests := []struct{ name, file, old, new string }{
		{"versions that doctor does not expect", tf + "buckets.tf", "staging = {\n      versioned = false",
			"staging = {\n      versioned = true"},
		{"a number that doctor does not expect", tf + "buckets.tf", "{ age = 30, matches_prefix",
			"{ age = 31, matches_prefix"},
		{"a number that is chosen now", tf + "buckets.tf", "num_newer_versions = 3,",
			"num_newer_versions = var.history_days,"},
		{"a prefix that doctor does not expect", tf + "buckets.tf", `"cursors.json", `, ""},
		{"a rule that doctor does not expect", tf + "buckets.tf", "{ age = var.status_days }",
			"{ age = var.status_days }, { age = 900 }"},
		{"a bucket by another name", tf + "buckets.tf", "    status = {", "    reports = {"},
		{"broken uploads that stay longer", tf + "buckets.tf", "age = 7\n", "age = 8\n"},
		{"another deadline", subscr, "ack_deadline_seconds = 600", "ack_deadline_seconds = 590"},
		{"other pauses", subscr, `maximum_backoff = "600s"`, `maximum_backoff = "300s"`},
		{"shorter pauses", subscr, `minimum_backoff = "10s"`, `minimum_backoff = "1s"`},
		{"more deliveries", subscr, "max_delivery_attempts = 20", "max_delivery_attempts = 30"},
		{"droppers who do less", tf + "roles.tf", `"storage.objects.create", "storage.objects.delete", "storage.objects.get"`,
			`"storage.objects.create", "storage.objects.get"`},
		{"functions that work longer", tf + "functions.tf", "timeout_seconds = 540", "timeout_seconds = 530"},
		{"a heartbeat's alert that comes later", alerts, `ten_minutes = "600s"`, `ten_minutes = "900s"`},
		{"ticks that come less often", tf + "variables.tf", `(\\*|\\*/[1-5]) \\* \\* \\* \\*$`,
			`(\\*|\\*/[1-9]) \\* \\* \\* \\*$`},
		{"the first ticks", tf + "variables.tf", `default     = "* * * * *"`, `default     = "0 * * * *"`},
		{"another name of the tick", tf + "schedule.tf", "${var.instance}-tick", "${var.instance}-ticks"},
		{"another name of Notify's tick", tf + "schedule.tf", "${var.instance}-notify-tick", "${var.instance}-tick-notify"},
		{"another name of the inbox's topic", tf + "inbox.tf", `name         = "${var.instance}-inbox"`,
			`name         = "${var.instance}-drops"`},
		{"another name of a push", tf + "functions.tf", "{ lifecycle = local.lifecycle_push }",
			"{ events = local.lifecycle_push }"},
		{"another name of pushed subscriptions", tf + "functions.tf", `"${var.instance}-${each.key}"`,
			`"${var.instance}-push-${each.key}"`},
		{"another name of subscribers", tf + "lifecycle.tf", "${var.instance}-lifecycle-${each.key}",
			"${var.instance}-for-${each.key}"},
		{"a notification of more", tf + "inbox.tf", `["OBJECT_FINALIZE"]`, `["OBJECT_FINALIZE", "OBJECT_DELETE"]`},
		{"a notification without content", tf + "inbox.tf", `"JSON_API_V1"`, `"NONE"`},
		{"another endpoint", tf + "environment.tf", "-pubsub.googleapis.com:443", "-pubsub.example.com:443"},
		{"another name of dead letters", dead, `"${var.name}-dead"`, `"${var.name}-letters"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f, err := read(clone(t, test.file, test.old, test.new))
			if err != nil {
				t.Fatal(err)
			}
			if found, err := expectations(f); err != nil || len(found) != 1 {
				t.Errorf("got %v and %v, want one finding", found, err)
			}
		})
	}
}

// expectations checks that jobdrop doctor expects of an installation what Terraform sets: of buckets, subscriptions,
// schedules, roles and names.
func expectations(f files) ([]Finding, error) {
	var found []Finding
	report := func(where, format string, args ...any) {
		found = append(found, Finding{"doctor", where, fmt.Sprintf(format, args...)})
	}
	want := func(where, what, set string, expected any) {
		if set != fmt.Sprint(expected) {
			report(where, "%s is %q, and jobdrop doctor expects %q", what, set, fmt.Sprint(expected))
		}
	}
	all, err := f.local(installation, "buckets")
	if err != nil {
		return nil, err
	}
	expected := doctor.Buckets()
	for _, b := range items(all) {
		e, ok := expected[b.key]
		if !ok {
			continue // the source's, which nothing reads but a build
		}
		delete(expected, b.key)
		where := f.where(b.at)
		want(where, "versioned", f.value(get(b.value, "versioned")), e.Versioned)
		list, ok := get(b.value, "rules").(*hclsyntax.TupleConsExpr)
		if !ok {
			report(where, "the rules of %s are not a list", b.key)
			continue
		}
		var rules []string
		for _, r := range list.Exprs {
			rules = append(rules, fmt.Sprint(f.rule(r)))
		}
		var expectedRules []string
		for _, r := range e.Rules {
			expectedRules = append(expectedRules, fmt.Sprint(r))
		}
		if !slices.Equal(rules, expectedRules) {
			report(where, "the rules of %s are %q, and jobdrop doctor expects %q", b.key, rules, expectedRules)
		}
	}
	for purpose := range expected {
		report(installation, "there is no bucket %s, and jobdrop doctor expects it", purpose)
	}
	for _, b := range f.blocks("resource", "google_storage_bucket") {
		if b.module != installation {
			continue
		}
		age := ""
		for _, r := range always(b.Body, "lifecycle_rule") {
			for _, c := range inner(r, "condition") {
				age = f.value(expression(c, "age"))
			}
		}
		want(f.where(b.DefRange()), "age of broken uploads", age, doctor.BrokenUploads)
	}
	for _, b := range f.blocks("resource", "google_pubsub_subscription") {
		if b.module != installation+"/modules/subscription" {
			continue
		}
		where := f.where(b.DefRange())
		want(where, "ack_deadline_seconds", f.value(expression(b.Body, "ack_deadline_seconds")), doctor.AckDeadline)
		for _, p := range inner(b.Body, "retry_policy") {
			want(where, "minimum_backoff", f.value(expression(p, "minimum_backoff")), doctor.MinimumBackoff)
			want(where, "maximum_backoff", f.value(expression(p, "maximum_backoff")), doctor.MaximumBackoff)
		}
		for _, p := range inner(b.Body, "dead_letter_policy") {
			want(where, "max_delivery_attempts", f.value(expression(p, "max_delivery_attempts")), doctor.DeadAttempts)
		}
	}
	found = append(found, f.expectedRoles()...)
	found = append(found, f.expectedTimes()...)
	return append(found, f.expectedNames()...), nil
}

// rule returns a rule of Terraform's list in the words of jobdrop doctor.
func (f files) rule(r hclsyntax.Expression) doctor.Rule {
	number := func(field string) int64 {
		e := get(r, field)
		if e == nil {
			return 0
		}
		if n, err := strconv.ParseInt(f.value(e), 10, 64); err == nil {
			return n
		}
		return doctor.Chosen
	}
	return doctor.Rule{
		Age: number("age"), DaysSinceNoncurrent: number("days_since_noncurrent_time"),
		NewerVersions: number("num_newer_versions"),
		State:         strings.Join(stringsOf(r, "with_state"), " "), Prefixes: stringsOf(r, "matches_prefix"),
	}
}

// expectedRoles compares the permissions of the roles that jobdrop doctor knows.
func (f files) expectedRoles() []Finding {
	roles, err := f.local(installation, "roles")
	if err != nil {
		return []Finding{{"doctor", installation, err.Error()}}
	}
	var found []Finding
	for name, expected := range map[string][]string{"drop": doctor.Dropper(), "read": doctor.Reader()} {
		if got := stringsOf(get(roles, name), "permissions"); !slices.Equal(got, expected) {
			found = append(found, Finding{"doctor", f.where(roles.Range()), fmt.Sprintf(
				"the role %s has %q, and jobdrop doctor expects %q", name, got, expected)})
		}
	}
	return found
}

// expectedTimes compares how long functions work, how often they are called, and when the heartbeat's alert fires.
func (f files) expectedTimes() []Finding {
	var found []Finding
	want := func(where, what, set string, expected any) {
		if set != fmt.Sprint(expected) {
			found = append(found, Finding{"doctor", where, fmt.Sprintf("%s is %q, and jobdrop doctor expects %q", what, set,
				fmt.Sprint(expected))})
		}
	}
	if e, err := f.local(installation, "timeout_seconds"); err != nil {
		want(installation, "timeout_seconds", "", doctor.WorkSeconds)
	} else {
		want(f.where(e.Range()), "timeout_seconds", f.value(e), doctor.WorkSeconds)
	}
	const monitoring = installation + "/modules/monitoring"
	if e, err := f.local(monitoring, "ten_minutes"); err != nil {
		want(monitoring, "ten_minutes", "", doctor.HeartbeatLost)
	} else {
		want(f.where(e.Range()), "ten_minutes", f.value(e), fmt.Sprintf("%ds", int(doctor.HeartbeatLost.Seconds())))
	}
	for _, b := range f.blocks("variable", "tick_schedule") {
		if b.module != installation {
			continue
		}
		if !doctor.Ticks.MatchString(f.value(expression(b.Body, "default"))) {
			want(f.where(b.DefRange()), "tick_schedule", f.value(expression(b.Body, "default")), doctor.Ticks)
		}
		for _, v := range inner(b.Body, "validation") {
			if allowed := stringsIn(v.Attributes["condition"].Expr); !slices.Contains(allowed, doctor.Ticks.String()) {
				want(f.where(b.DefRange()), "what tick_schedule allows", strings.Join(allowed, " "), doctor.Ticks)
			}
		}
	}
	return found
}

// expectedNames looks for what jobdrop doctor calls the parts of an installation: each name is written where the part
// is made.
func (f files) expectedNames() []Finding {
	var found []Finding
	for _, n := range []struct{ kind, label, name string }{
		{"google_pubsub_topic", "inbox", doctor.InboxTopic},
		{"google_cloud_scheduler_job", "tick", doctor.WatchTicks},
		{"google_cloud_scheduler_job", "notify", doctor.NotifyTicks},
	} {
		for _, b := range f.blocks("resource", n.kind) {
			if b.module == installation && b.label() == n.label && f.suffix(b.Body.Attributes["name"].Expr) != n.name {
				found = append(found, Finding{"doctor", f.where(b.DefRange()),
					fmt.Sprintf("its name does not end with %q, as jobdrop doctor expects", n.name)})
			}
		}
	}
	for _, b := range f.blocks("resource", "google_storage_notification") {
		if b.label() != "inbox" {
			continue
		}
		told := append(stringsIn(expression(b.Body, "event_types")), stringsIn(expression(b.Body, "payload_format"))...)
		if !slices.Equal(told, []string{doctor.Finalized, doctor.JSONForm}) {
			found = append(found, Finding{"doctor", f.where(b.DefRange()),
				fmt.Sprintf("it tells %q, which jobdrop doctor does not expect", told)})
		}
	}
	if e, err := f.local(installation, "settings"); err != nil ||
		doctor.RegionOf("europe-west4"+strings.Join(stringsIn(get(e, "JOBDROP_PUBSUB_ENDPOINT")), "")) != "europe-west4" {
		found = append(found, Finding{"doctor", installation,
			"JOBDROP_PUBSUB_ENDPOINT does not name the region that jobdrop doctor expects"})
	}
	functions, err := f.local(installation, "functions")
	if err != nil {
		return append(found, Finding{"doctor", installation, err.Error()})
	}
	// A subscription that pushes is called by its function and its topic.
	for function, pushed := range map[string]string{
		doctor.SubmitName: doctor.InboxPush, doctor.WatchName: doctor.HintsPush, doctor.NotifyName: doctor.NotifyPush,
	} {
		e := get(functions, strings.TrimPrefix(function, "-"))
		topic := strings.TrimPrefix(strings.TrimPrefix(pushed, function), "-")
		if e == nil || !pushes(get(e, "pushes"), topic) {
			found = append(found, Finding{"doctor", f.where(functions.Range()), fmt.Sprintf(
				"no function %s has %s pushed to it, as jobdrop doctor expects", strings.TrimPrefix(function, "-"), topic)})
		}
	}
	for _, module := range []struct{ label, begin string }{{"push", "-"}, {"subscription", doctor.Subscribers}} {
		for _, b := range f.blocks("module", module.label) {
			if b.module == installation && f.suffix(b.Body.Attributes["name"].Expr) != module.begin {
				found = append(found, Finding{"doctor", f.where(b.DefRange()),
					fmt.Sprintf("its name does not go on with %q, as jobdrop doctor expects", module.begin)})
			}
		}
	}
	for _, b := range f.blocks("resource", "google_pubsub_topic") {
		if b.module == installation+"/modules/dead_letter" && f.suffix(b.Body.Attributes["name"].Expr) != doctor.DeadSuffix {
			found = append(found, Finding{"doctor", f.where(b.DefRange()),
				fmt.Sprintf("its name does not end with %q, as jobdrop doctor expects", doctor.DeadSuffix)})
		}
	}
	return found
}

// pushes reports whether an expression makes a map that has a key, on either side of a condition.
func pushes(e hclsyntax.Expression, key string) bool {
	if c, ok := e.(*hclsyntax.ConditionalExpr); ok {
		return pushes(c.TrueResult, key) || pushes(c.FalseResult, key)
	}
	return get(e, key) != nil
}

// suffix returns what a name has between the installation's name and any other variable; it follows a local.
func (f files) suffix(e hclsyntax.Expression) string {
	if t, ok := e.(*hclsyntax.ScopeTraversalExpr); ok {
		if name, ok := strings.CutPrefix(written(t.Traversal), "local."); ok {
			if of, err := f.local(installation, name); err == nil {
				return f.suffix(of)
			}
		}
	}
	return strings.Join(stringsIn(e), "")
}
