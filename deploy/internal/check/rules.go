package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/jobdrop/jobdrop/internal/app/config"
)

// installation is the module that makes one.
const installation = "deploy/terraform"

// Check applies all rules to the files below root/deploy, and to what else of root
// they depend on. now is the date at which runtimes have to be supported.
func Check(root string, now time.Time) ([]Finding, error) {
	f, err := read(root)
	if err != nil {
		return nil, err
	}
	return f.check(now)
}

func (f files) check(now time.Time) ([]Finding, error) {
	var found []Finding
	for _, rule := range []func(files) ([]Finding, error){
		entryPoints,
		func(f files) ([]Finding, error) { return runtimes(f, now), nil },
		func(f files) ([]Finding, error) { return buckets(f), nil },
		ledgerStays,
		func(f files) ([]Finding, error) { return everybody(f), nil },
		func(f files) ([]Finding, error) { return subscriptions(f), nil },
		func(f files) ([]Finding, error) { return triggers(f), nil },
		delivery,
		rights,
		func(f files) ([]Finding, error) { return grants(f), nil },
		func(f files) ([]Finding, error) { return sources(f), nil },
		func(f files) ([]Finding, error) { return first(f), nil },
		environment,
		lists,
		streams,
		func(f files) ([]Finding, error) { return variables(f), nil },
		playbooks,
		func(f files) ([]Finding, error) { return metrics(f), nil },
		func(f files) ([]Finding, error) { return examples(f), nil },
		logLines,
		queries,
	} {
		fs, err := rule(f)
		if err != nil {
			return nil, err
		}
		found = append(found, fs...)
	}
	return found, nil
}

// entryPoints checks that each entry point is registered in function.go, and that each
// registered function is deployed.
func entryPoints(f files) ([]Finding, error) {
	registered, err := registered(filepath.Join(f.root, "function.go"))
	if err != nil {
		return nil, err
	}
	functions, err := f.local(installation, "functions")
	if err != nil {
		return nil, err
	}
	var found []Finding
	deployed := map[string]bool{}
	for _, i := range items(functions) {
		name := ""
		if e := get(i.value, "entry_point"); e != nil {
			if v, diagnostics := e.Value(nil); !diagnostics.HasErrors() {
				name = v.AsString()
			}
		}
		deployed[name] = true
		if !slices.Contains(registered, name) {
			found = append(found, Finding{
				"entry-point", f.where(i.at), fmt.Sprintf("the entry point %q of %s is not registered in function.go", name, i.key),
			})
		}
	}
	for _, name := range registered {
		if !deployed[name] {
			found = append(found, Finding{"entry-point", "function.go", fmt.Sprintf("%s is registered, and not deployed", name)})
		}
	}
	return found, nil
}

// support is when Google ceases to support a runtime.
type support struct{ deprecated, decommissioned string }

// reviewed is when goRuntimes was compared with Google's list.
const reviewed = "2026-11-01"

// goRuntimes are from the list of runtimes of Cloud Run functions; where that names
// two months, the first.
var goRuntimes = map[string]support{
	"go124": {"2026-09-02", "2027-03-02"},
	"go125": {"2026-10-01", "2027-04-01"},
	"go126": {"2027-02-01", "2027-08-01"},
	"go127": {"2027-08-01", "2028-02-01"},
}

// runtimes checks that each runtime that may be chosen is supported: not deprecated
// when the list was reviewed, and not decommissioned now.
func runtimes(f files, now time.Time) []Finding {
	var found []Finding
	today := now.UTC().Format(time.DateOnly)
	for _, v := range f.blocks("variable", "runtime") {
		if v.module != installation {
			continue
		}
		names := stringsIn(v.Body.Attributes["default"].Expr)
		for _, b := range always(v.Body, "validation") {
			names = append(names, stringsIn(b.Attributes["condition"].Expr)...)
		}
		for _, name := range names {
			s, known := goRuntimes[name]
			switch where := f.where(v.DefRange()); {
			case !known:
				found = append(found, Finding{"runtime", where, fmt.Sprintf("%q is not a runtime", name)})
			case s.deprecated <= reviewed:
				found = append(found, Finding{"runtime", where, fmt.Sprintf("%s is deprecated since %s", name, s.deprecated)})
			case s.decommissioned <= today:
				found = append(found, Finding{
					"runtime", where, fmt.Sprintf("%s is decommissioned since %s", name, s.decommissioned),
				})
			}
		}
		if len(names) == 0 {
			found = append(found, Finding{"runtime", f.where(v.DefRange()), "any runtime may be chosen"})
		}
	}
	if len(f.blocks("variable", "runtime")) == 0 {
		found = append(found, Finding{"runtime", installation, "the runtime is not said"})
	}
	return found
}

// buckets checks that no bucket can be made public, by access lists or otherwise.
func buckets(f files) []Finding {
	var found []Finding
	all := f.blocks("resource", "google_storage_bucket")
	for _, b := range all {
		where := f.where(b.DefRange())
		if !isTrue(b.Body, "uniform_bucket_level_access") {
			found = append(found, Finding{
				"bucket", where, "uniform_bucket_level_access is not true: access lists of single objects would count",
			})
		}
		if v, _ := text(b.Body, "public_access_prevention"); v != "enforced" {
			found = append(found, Finding{"bucket", where, "public_access_prevention is not enforced"})
		}
		if len(inner(b.Body, "website")) > 0 {
			found = append(found, Finding{"bucket", where, "a bucket is not a web site"})
		}
	}
	if len(all) == 0 {
		found = append(found, Finding{"bucket", installation, "there are no buckets"})
	}
	for _, b := range f.blocks("resource", "") {
		if t := b.Labels[0]; strings.HasPrefix(t, "google_storage_") &&
			(strings.HasSuffix(t, "_acl") || strings.HasSuffix(t, "_access_control")) {
			found = append(found, Finding{"bucket", f.where(b.DefRange()), t + " opens single objects"})
		}
	}
	return found
}

// aging are the parts of the state bucket that age may delete, and from how many days on:
// the index by time, which can be made anew from the rest, answers to requests, and what
// was delivered before any event that can still come again. The object deliveries/epoch
// stays: without it, events of any age would count as new.
var aging = map[string]int{
	"recent/": 0, "ended/": 0, "results/": 0,
	"deliveries/folders/": delivered, "deliveries/open/": delivered, "deliveries/heartbeats/": delivered,
	"deliveries/parked/": delivered,
}

// delivered is the days for which an event can come again: 31 in the topic, as many as a
// dead letter, and a month for people.
const delivered = 31 + 31 + 31

// ledgerStays checks that no lifecycle rule deletes what else is live in the state
// bucket, or what age may delete too early.
func ledgerStays(f files) ([]Finding, error) {
	all, err := f.local(installation, "buckets")
	if err != nil {
		return nil, err
	}
	var found []Finding
	rules, kept := 0, map[string]bool{}
	for _, bucket := range items(all) {
		if bucket.key != "state" {
			continue
		}
		list, ok := get(bucket.value, "rules").(*hclsyntax.TupleConsExpr)
		if !ok {
			return []Finding{{"ledger", f.where(bucket.at), "the rules of the state bucket are not a list"}}, nil
		}
		for _, r := range list.Exprs {
			rules++
			prefixes := stringsOf(r, "matches_prefix")
			age := -1
			if e := get(r, "age"); e != nil {
				if days, err := strconv.Atoi(f.value(e)); err == nil {
					age = days
				}
			}
			lists := len(prefixes) > 0 && !slices.ContainsFunc(prefixes, func(p string) bool {
				least, ok := aging[p]
				return !ok || age < least && least > 0
			})
			for _, p := range prefixes {
				kept[p] = kept[p] || age >= delivered
			}
			if state := stringsOf(r, "with_state"); !slices.Equal(state, []string{"ARCHIVED"}) && !lists {
				found = append(found, Finding{"ledger", f.where(r.Range()), "the rule deletes what is live in the ledger"})
			}
		}
	}
	if rules == 0 {
		found = append(found, Finding{"ledger", installation, "the state bucket has no lifecycle rules"})
	}
	const store = "internal/flow/notifier/store.go"
	source, err := os.ReadFile(filepath.Join(f.root, store))
	if err != nil {
		return nil, err
	}
	folders := deliveries.FindAllStringSubmatch(string(source), -1)
	for _, m := range folders {
		if folder := "deliveries/" + m[1]; !kept[folder] {
			found = append(found, Finding{"ledger", installation, fmt.Sprintf("%s writes %s, which is kept for ever", store, folder)})
		}
	}
	if len(folders) == 0 {
		found = append(found, Finding{"ledger", store, "Notify has no folders"})
	}
	return found, nil
}

// deliveries finds a folder of the state bucket that Notify writes, by its constant.
var deliveries = regexp.MustCompile(`(?m)= root \+ "([a-z]+/)"$`)

// stringsOf returns the texts in a field of an object; none if it has no such field.
func stringsOf(object hclsyntax.Expression, field string) []string {
	if e := get(object, field); e != nil {
		return stringsIn(e)
	}
	return nil
}

// everybody checks that nothing is granted to everybody, and that each service checks
// its callers. Variables may name the members that stand for everybody, in order to
// refuse them.
func everybody(f files) []Finding {
	var found []Finding
	for _, name := range f.names() {
		for _, b := range f.bodies[name].Blocks {
			if b.Type == "variable" {
				if a := b.Body.Attributes["default"]; a == nil || !slices.ContainsFunc(stringsIn(a.Expr), isEverybody) {
					continue
				}
			}
			if slices.ContainsFunc(stringsIn(b.Body), isEverybody) {
				found = append(found, Finding{"everybody", f.where(b.DefRange()), "something is given to everybody"})
			}
			if isTrue(b.Body, "invoker_iam_disabled") {
				found = append(found, Finding{"everybody", f.where(b.DefRange()), "everybody may call the service"})
			}
		}
	}
	return found
}

func isEverybody(s string) bool {
	return strings.Contains(s, "allUsers") || strings.Contains(s, "allAuthenticatedUsers")
}

// subscriptions checks that each subscription has a dead-letter topic and never
// expires. A subscription to dead letters needs no further topic. Each dead-letter
// topic has a subscription: without one, its messages are lost.
func subscriptions(f files) []Finding {
	const dead = "google_pubsub_topic.dead"
	var found []Finding
	kept := map[string]bool{}
	all := f.blocks("resource", "google_pubsub_subscription")
	for _, b := range all {
		where := f.where(b.DefRange())
		never := slices.ContainsFunc(always(b.Body, "expiration_policy"), func(p *hclsyntax.Body) bool {
			ttl, ok := text(p, "ttl")
			return ok && ttl == ""
		})
		if !never {
			found = append(found, Finding{"subscription", where, "the subscription expires where nobody uses it for a month"})
		}
		if topic := b.Body.Attributes["topic"]; topic != nil && refers(topic.Expr, dead) {
			kept[b.module] = true
			continue
		}
		if len(always(b.Body, "dead_letter_policy")) != 1 {
			found = append(found, Finding{"subscription", where, "the subscription has no dead letter"})
		}
	}
	for _, b := range f.blocks("resource", "google_pubsub_topic") {
		if b.label() == "dead" && !kept[b.module] {
			found = append(found, Finding{"subscription", f.where(b.DefRange()), "nothing keeps the dead letters of this topic"})
		}
	}
	if len(all) == 0 {
		found = append(found, Finding{"subscription", installation, "there are no subscriptions"})
	}
	return found
}

// triggers checks that an event is delivered again until it is settled.
func triggers(f files) []Finding {
	var found []Finding
	for _, b := range f.blocks("resource", "google_cloudfunctions2_function") {
		for _, t := range inner(b.Body, "event_trigger") {
			if v, _ := text(t, "retry_policy"); v != "RETRY_POLICY_RETRY" {
				found = append(found, Finding{
					"trigger", f.where(b.DefRange()), "events whose handling fails are acknowledged: retry_policy is not " +
						"RETRY_POLICY_RETRY",
				})
			}
		}
	}
	// A trigger of its own delivers again by default, and can only be told not to.
	for _, b := range f.blocks("resource", "google_eventarc_trigger") {
		if len(inner(b.Body, "retry_policy")) > 0 {
			found = append(found, Finding{
				"trigger", f.where(b.DefRange()),
				"events whose handling fails may be acknowledged: the trigger bounds its attempts",
			})
		}
	}
	return found
}

// inProject are the roles of Google's that may be given in the whole project, and
// why.
var inProject = map[string]string{
	"roles/logging.logWriter":      "a build with an account of its own writes its log itself",
	"roles/eventarc.eventReceiver": "Eventarc looks for it in the project only",
	"roles/pubsub.publisher":       "Eventarc has Cloud Storage's agent publish to a topic of its own",
}

// examples checks that each example lets its reader choose the region of Cloud
// Scheduler, which has fewer than Cloud Run, and that one that names droppers closes the
// buckets to the project's editors.
func examples(f files) []Finding {
	var found []Finding
	for _, b := range f.blocks("module", "") {
		if s, _ := text(b.Body, "source"); s != "../../terraform" {
			continue
		}
		if e := expression(b.Body, "scheduler_region"); e == nil || !refers(e, "var.scheduler_region") {
			found = append(found, Finding{"example", f.where(b.DefRange()), "scheduler_region is not var.scheduler_region"})
		}
		basic, ok := literal(b.Body, "basic_roles")
		if b.Body.Attributes["droppers"] != nil && (!ok || basic.Type() != cty.Bool || basic.True()) {
			found = append(found, Finding{"example", f.where(b.DefRange()), "whoever is Editor of the project drops, too"})
		}
	}
	return found
}

// metrics checks that a metric of distributions has buckets, which Cloud Logging's API
// wants, and that no other has.
func metrics(f files) []Finding {
	var found []Finding
	all := f.blocks("resource", "google_logging_metric")
	for _, b := range all {
		distribution := slices.ContainsFunc(always(b.Body, "metric_descriptor"), func(d *hclsyntax.Body) bool {
			t, _ := text(d, "value_type")
			return t == "DISTRIBUTION"
		})
		switch buckets := len(always(b.Body, "bucket_options")); {
		case distribution && buckets != 1:
			found = append(found, Finding{"metric", f.where(b.DefRange()), "a distribution has no bucket_options: the API wants some"})
		case !distribution && len(inner(b.Body, "bucket_options")) > 0:
			found = append(found, Finding{"metric", f.where(b.DefRange()), "bucket_options are for distributions"})
		}
	}
	if len(all) == 0 {
		found = append(found, Finding{"metric", installation, "there are no metrics"})
	}
	return found
}

// rights checks that nobody is owner or editor, and that no role on objects or messages
// is granted in the whole project, except what Cloud Storage's own agent needs. A role
// of ours counts by its permissions. A condition that names buckets narrows the grant
// to these.
func rights(f files) ([]Finding, error) {
	roles, err := f.local(installation, "roles")
	if err != nil {
		return nil, err
	}
	functions, err := f.local(installation, "functions")
	if err != nil {
		return nil, err
	}
	var found []Finding
	for _, b := range f.blocks("resource", "") {
		a := b.Body.Attributes["role"]
		if a == nil {
			continue
		}
		where, kind := f.where(a.SrcRange), b.Labels[0]
		for _, s := range stringsIn(a.Expr) {
			if basic(s) {
				found = append(found, Finding{"rights", where, s + " is given"})
			}
		}
		if !reaching(kind) {
			continue
		}
		if kind != "google_project_iam_member" {
			found = append(found, Finding{
				"rights", where, kind + " is given: it reaches too far, or takes from others what they have",
			})
			continue
		}
		if role, ok := text(b.Body, "role"); ok {
			storageAgent := refers(b.Body.Attributes["member"].Expr, "local.agents.storage")
			if _, ok := inProject[role]; !ok || role == "roles/pubsub.publisher" && !storageAgent {
				found = append(found, Finding{"rights", where, role + " is given in the whole project"})
			}
			continue
		}
		for _, name := range rolesOf(a.Expr, functions) {
			r := get(roles, name)
			if r == nil {
				found = append(found, Finding{"rights", where, fmt.Sprintf("there is no role %q", name)})
				continue
			}
			if !narrowed(b.Body) && slices.ContainsFunc(stringsIn(get(r, "permissions")), ofData) {
				found = append(found, Finding{
					"rights", where, fmt.Sprintf("the role %q, which is about objects, messages or accounts, is given in the whole "+
						"project", name),
				})
			}
		}
	}
	return found, nil
}

func basic(role string) bool {
	return role == "roles/owner" || role == "roles/editor" || role == "roles/viewer"
}

// reaching reports whether a resource grants something in a whole project, or in more.
func reaching(kind string) bool {
	for _, s := range []string{"google_project_iam_", "google_folder_iam_", "google_organization_iam_"} {
		if strings.HasPrefix(kind, s) {
			return true
		}
	}
	return false
}

// rolesOf returns the roles of ours that a reference means: the one that it names, or
// those of the functions in the project.
func rolesOf(e, functions hclsyntax.Expression) []string {
	if named := stringsIn(e); len(named) > 0 {
		return named
	}
	for _, t := range e.Variables() {
		if _, rest, ok := strings.Cut(written(t), `google_project_iam_custom_role.this["`); ok {
			name, _, _ := strings.Cut(rest, `"`)
			return []string{name}
		}
	}
	names := map[string]bool{}
	for _, i := range items(functions) {
		if p := get(i.value, "project"); p != nil {
			for _, s := range stringsIn(p) {
				names[s] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// ofBucket begins a condition that holds for objects of some buckets only.
var ofBucket = regexp.MustCompile(`^resource\.name\.startsWith\("projects/_/buckets/[a-z0-9]`)

func narrowed(b *hclsyntax.Body) bool {
	return slices.ContainsFunc(always(b, "condition"), func(c *hclsyntax.Body) bool {
		texts := stringsIn(c)
		return slices.ContainsFunc(texts, ofBucket.MatchString) &&
			!slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, "||") })
	})
}

func ofData(permission string) bool {
	for _, service := range []string{"storage.", "pubsub.", "iam.", "resourcemanager."} {
		if strings.HasPrefix(permission, service) {
			return true
		}
	}
	return false
}

// Elsewhere are environment variables that internal/app/config and Terraform see differently,
// with the reasons.
type Elsewhere struct {
	// Local are for the local stack alone.
	Local map[string]string
	// Libraries are read by what the functions are made of.
	Libraries map[string]string
}

// environment checks that every variable that the functions read is set, and no other.
func environment(f files) ([]Finding, error) {
	const list = installation + "/environment-elsewhere.json"
	data, err := os.ReadFile(filepath.Join(f.root, list))
	if err != nil {
		return nil, err
	}
	var elsewhere Elsewhere
	if err := json.Unmarshal(data, &elsewhere); err != nil {
		return nil, fmt.Errorf("%s: %w", list, err)
	}
	settings, err := f.local(installation, "settings")
	if err != nil {
		return nil, err
	}
	secrets, err := f.local(installation, "secret_settings")
	if err != nil {
		return nil, err
	}
	read, set := map[string]config.Variable{}, map[string]bool{}
	for _, v := range config.Variables() {
		read[v.Name] = v
	}
	var found []Finding
	report := func(where, format string, args ...any) {
		found = append(found, Finding{"environment", where, fmt.Sprintf(format, args...)})
	}
	for _, i := range append(items(settings), items(secrets)...) {
		set[i.key] = true
		_, ours := read[i.key]
		switch {
		case elsewhere.Local[i.key] != "":
			report(f.where(i.at), "%s is for the local stack alone: it %s", i.key, elsewhere.Local[i.key])
		case !ours && elsewhere.Libraries[i.key] == "":
			report(f.where(i.at), "%s is set, and nothing reads it", i.key)
		}
		// Whoever chooses nothing gets what the code has for its default.
		if d := read[i.key].Default; d != "" {
			if got := f.defaultOf(i.value); got != d {
				report(f.where(i.at), "%s is %q by default, and %q in the code", i.key, got, d)
			}
		}
	}
	for _, v := range config.Variables() {
		if !set[v.Name] && elsewhere.Local[v.Name] == "" {
			report(installation, "%s is read, and not set: %s", v.Name, v.Meaning)
		}
	}
	for name := range elsewhere.Local {
		if _, ok := read[name]; !ok {
			report(list, "%s is not read", name)
		}
	}
	notifys, err := readBy(f, elsewhere)
	if err != nil {
		return nil, err
	}
	return append(append(found, notifys...), passedOn(f, elsewhere)...), nil
}

// readBy reports where Notify, or the others, get other variables of ours than they read.
func readBy(f files, elsewhere Elsewhere) (found []Finding, err error) {
	alone, err := f.local(installation, "read_by_notify_alone")
	if err != nil {
		return nil, err
	}
	all, err := f.local(installation, "read_by_notify")
	if err != nil {
		return nil, err
	}
	given := append(stringsIn(all), stringsIn(alone)...)
	for _, v := range config.Variables() {
		if elsewhere.Local[v.Name] != "" {
			continue
		}
		if gets := slices.Contains(given, v.Name); gets != (v.Readers&config.Notify != 0) {
			found = append(found, Finding{
				"environment", f.where(all.Range()), fmt.Sprintf("Notify gets %s: %t, and reads it: %t", v.Name, gets, !gets),
			})
		}
		if only := slices.Contains(stringsIn(alone), v.Name); only != (v.Readers == config.Notify) {
			found = append(found, Finding{
				"environment", f.where(alone.Range()),
				fmt.Sprintf("Notify alone gets %s: %t, and reads it alone: %t", v.Name, only, !only),
			})
		}
	}
	return found, nil
}

// lists checks that the functions may list what they list of the ledger, and no more.
func lists(f files) ([]Finding, error) {
	const ledger = "internal/flow/ledger"
	names, err := filepath.Glob(filepath.Join(f.root, ledger, "*.go"))
	if err != nil {
		return nil, err
	}
	listed := map[string]bool{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if err := listedIn(name, listed); err != nil {
			return nil, err
		}
	}
	allowed, err := f.local(installation, "ledger_lists")
	if err != nil {
		return nil, err
	}
	if got, want := stringsIn(allowed), slices.Sorted(maps.Keys(listed)); !slices.Equal(got, want) {
		return []Finding{{
			"lists", f.where(allowed.Range()), fmt.Sprintf("the functions may list %q, and %s lists %q", got, ledger, want),
		}}, nil
	}
	return nil, nil
}

// streams checks that an instance of the console that is full of streams still takes requests for pages: a tenth of all
// at least.
func streams(f files) ([]Finding, error) {
	const (
		live   = "internal/console/live.go"
		module = installation + "/modules/console"
	)
	c, err := constants(filepath.Join(f.root, live), "")
	if err != nil {
		return nil, err
	}
	most, err := strconv.Atoi(c["maxStreams"])
	if err != nil {
		return nil, fmt.Errorf("maxStreams of %s: %w", live, err)
	}
	var found []Finding
	templates := 0
	for _, b := range f.blocks("resource", "google_cloud_run_service") {
		if b.module != module {
			continue
		}
		for _, t := range always(b.Body, "template") {
			for _, s := range always(t, "spec") {
				templates++
				all, err := strconv.Atoi(f.value(expression(s, "container_concurrency")))
				if err != nil || 10*most > 9*all {
					found = append(found, Finding{
						"streams", f.where(b.DefRange()), fmt.Sprintf("an instance takes %d requests, and %s %d streams", all, live, most),
					})
				}
			}
		}
	}
	if templates == 0 {
		found = append(found, Finding{"streams", module, "the console has no service"})
	}
	return found, nil
}

// passedOn reports where the functions get other settings than those of the installation.
func passedOn(f files, elsewhere Elsewhere) (found []Finding) {
	report := func(where, format string, args ...any) {
		found = append(found, Finding{"environment", where, fmt.Sprintf(format, args...)})
	}
	for _, b := range f.blocks("module", "function") {
		for argument, local := range map[string]string{"environment": "local.environments",
			"secret_environment": "local.secret_environment"} {
			if a := b.Body.Attributes[argument]; b.module == installation && (a == nil || !refers(a.Expr, local)) {
				report(f.where(b.DefRange()), "%s is not %s", argument, local)
			}
		}
	}
	const functions = installation + "/modules/function"
	for _, b := range f.blocks("resource", "") {
		if b.module != functions {
			continue
		}
		for _, s := range inner(b.Body, "service_config") {
			if a := s.Attributes["environment_variables"]; a == nil || !refers(a.Expr, "var.environment") ||
				len(stringsIn(a.Expr)) > 0 {
				report(f.where(b.DefRange()), "the function's environment is not var.environment")
			}
		}
		for _, t := range inner(b.Body, "template") {
			for _, c := range inner(t, "containers") {
				for _, e := range inner(c, "env") {
					if name, ok := text(e, "name"); ok && elsewhere.Libraries[name] == "" {
						report(f.where(b.DefRange()), "%s is set, and nothing reads it", name)
					}
				}
			}
		}
	}
	return found
}

// defaultOf returns the default of the variable that an expression refers to.
func (f files) defaultOf(e hclsyntax.Expression) string {
	for _, t := range e.Variables() {
		for _, v := range f.blocks("variable", "") {
			if v.module == installation && written(t) == "var."+v.label() {
				s, _ := text(v.Body, "default")
				return s
			}
		}
	}
	return ""
}

// variables checks that each variable has a description, a type and a validation. A
// bool needs no validation.
func variables(f files) []Finding {
	var found []Finding
	for _, v := range f.blocks("variable", "") {
		where := f.where(v.DefRange())
		if s, _ := text(v.Body, "description"); s == "" {
			found = append(found, Finding{"variable", where, v.label() + " has no description"})
		}
		t := v.Body.Attributes["type"]
		if t == nil {
			found = append(found, Finding{"variable", where, v.label() + " has no type"})
			continue
		}
		if !refers(t.Expr, "bool") && len(always(v.Body, "validation")) == 0 {
			found = append(found, Finding{"variable", where, v.label() + " takes any value"})
		}
	}
	return found
}
