package check

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// constants returns the literal constants of a Go file, as they are written; strings
// come without their quotes. of is the name of their type, or empty for all.
func constants(path, of string) (map[string]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if t, ok := v.Type.(*ast.Ident); of != "" && (!ok || t.Name != of) {
			return true
		}
		for i, name := range v.Names {
			if i >= len(v.Values) {
				break
			}
			if l, ok := v.Values[i].(*ast.BasicLit); ok {
				found[name.Name] = l.Value
				if s, err := strconv.Unquote(l.Value); err == nil {
					found[name.Name] = s
				}
			}
		}
		return true
	})
	return found, nil
}

// listedIn adds the folders of the state bucket that a Go file of the ledger lists.
func listedIn(path string, folders map[string]bool) error {
	known, err := constants(path, "")
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) < 3 {
			return true
		}
		of, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || of.Sel.Name != "List" && of.Sel.Name != "ListAfter" {
			return true
		}
		name, _ := call.Args[2].(*ast.Ident)
		if name == nil || known[name.Name] == "" {
			folders["?"] = true // what it lists can't be read here
			return true
		}
		folders[known[name.Name]] = true
		return true
	})
	return nil
}

// states returns the states of an attempt, from pkg/job.
func states(root string) (map[string]bool, error) {
	files, err := filepath.Glob(filepath.Join(root, "pkg/job/*.go"))
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		c, err := constants(file, "State")
		if err != nil {
			return nil, err
		}
		for _, s := range c {
			found[s] = true
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s/pkg/job has no states", root)
	}
	return found, nil
}

var (
	// stateOf finds what a filter wants of a state: one, or several.
	stateOf = regexp.MustCompile(`(?:metric\.labels?|jsonPayload)\.state\s*[=:]\s*` +
		`("[^"]*"|[a-zA-Z_]+\([^)]*\)|\([^)]*\)|[a-zA-Z_]+)`)
	// partOf finds which text a filter wants in a field.
	partOf = regexp.MustCompile(`jsonPayload\.([a-z_]+):"([^"]+)"`)
)

// queries checks that alerts, metrics and playbooks look for states of pkg/job, and for
// texts that the code writes into the field.
func queries(f files) ([]Finding, error) {
	known, err := states(f.root)
	if err != nil {
		return nil, err
	}
	l, err := f.logged()
	if err != nil {
		return nil, err
	}
	texts, err := f.queried()
	if err != nil {
		return nil, err
	}
	var found []Finding
	for name, text := range texts {
		for i, line := range strings.Split(text, "\n") {
			where := fmt.Sprintf("%s:%d", name, i+1)
			line = strings.ReplaceAll(line, `\"`, `"`)
			for _, m := range stateOf.FindAllStringSubmatch(line, -1) {
				for _, w := range alternatives(m[1]) {
					if !known[w] {
						found = append(found, Finding{"query", where, fmt.Sprintf("there is no state %q", w)})
					}
				}
			}
			for _, m := range partOf.FindAllStringSubmatch(line, -1) {
				if m[1] != "message" && !l.tells(m[2]) {
					found = append(found, Finding{"query", where, fmt.Sprintf("nothing in the code tells %q", m[2])})
				}
			}
		}
	}
	return found, nil
}

// queried returns the files that have queries: the .tf files and the playbooks.
func (f files) queried() (map[string]string, error) {
	names := f.names()
	books, err := filepath.Glob(filepath.Join(f.root, playbookFolder, "*.md"))
	if err != nil {
		return nil, err
	}
	for _, book := range books {
		names = append(names, playbookFolder+"/"+filepath.Base(book))
	}
	texts := map[string]string{}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(f.root, name))
		if err != nil {
			return nil, err
		}
		texts[name] = string(data)
	}
	return texts, nil
}

// tells reports whether the code has a text, or a format that the text begins with, up
// to its first verb.
func (l logged) tells(text string) bool {
	const some = 8 // fewer letters say nothing
	for s := range l.texts {
		before, _, filled := strings.Cut(s, "%")
		if strings.Contains(s, text) || filled && len(before) >= some && strings.HasPrefix(text, before) {
			return true
		}
	}
	return false
}

// kept is for how long dead letters are kept: the most that there is, and what the
// playbook says.
const kept = "2678400s"

// delivery checks that a message is not delivered again while a function still works on
// it, and that the subscription that Eventarc makes has the settings of ours.
func delivery(f files) ([]Finding, error) {
	const (
		module   = installation + "/modules/subscription"
		eventarc = "deploy/eventarc/main.go"
	)
	c, err := constants(filepath.Join(f.root, eventarc), "")
	if err != nil {
		return nil, err
	}
	var found []Finding
	report := func(where, format string, args ...any) {
		found = append(found, Finding{"delivery", where, fmt.Sprintf(format, args...)})
	}
	// want compares a value, and returns it back.
	want := func(where, what string, e hclsyntax.Expression, constant string) string {
		got := f.value(e)
		if c[constant] == "" || got != c[constant] {
			report(where, "%s is %q, and %s of %s is %q", what, got, constant, eventarc, c[constant])
		}
		return got
	}
	timeout, err := f.local(installation, "timeout_seconds")
	if err != nil {
		return nil, err
	}
	limit, err := strconv.Atoi(f.value(timeout))
	if err != nil {
		return nil, fmt.Errorf("local.timeout_seconds: %w", err)
	}
	for _, b := range f.blocks("resource", "google_pubsub_subscription") {
		where := f.where(b.DefRange())
		if b.module != module {
			if a := b.Body.Attributes["message_retention_duration"]; a == nil || f.value(a.Expr) != kept {
				report(where, "dead letters are not kept for %s", kept)
			}
			continue
		}
		deadline := want(where, "ack_deadline_seconds", expression(b.Body, "ack_deadline_seconds"), "deadline")
		if n, err := strconv.Atoi(deadline); err != nil || n < limit {
			report(where, "ack_deadline_seconds is %q, and a function works for up to %d s", deadline, limit)
		}
		for _, p := range inner(b.Body, "dead_letter_policy") {
			want(where, "max_delivery_attempts", expression(p, "max_delivery_attempts"), "attempts")
		}
		if a := b.Body.Attributes["message_retention_duration"]; a == nil || !refers(a.Expr, "var.retention") {
			report(where, "messages are not kept for var.retention")
		}
	}
	for _, v := range f.blocks("variable", "retention") {
		if v.module == module {
			want(f.where(v.DefRange()), "retention", expression(v.Body, "default"), "retention")
		}
	}
	push, err := f.local(installation, "inbox_push")
	if err != nil {
		return nil, err
	}
	want(f.where(push.Range()), "retention of inbox_push", get(push, "retention"), "retention")
	return found, nil
}

// expression returns the expression of an attribute, or nil.
func expression(b *hclsyntax.Body, name string) hclsyntax.Expression {
	if a := b.Attributes[name]; a != nil {
		return a.Expr
	}
	return nil
}

// value returns the value of an expression as text. It returns an empty text if the
// value depends on more than the days of an installation.
func (f files) value(e hclsyntax.Expression) string {
	if e == nil {
		return ""
	}
	var ctx *hcl.EvalContext
	if len(e.Variables()) > 0 {
		day, err := f.local(installation, "day")
		if err != nil {
			return ""
		}
		v, diagnostics := day.Value(nil)
		if diagnostics.HasErrors() {
			return ""
		}
		ctx = &hcl.EvalContext{Variables: map[string]cty.Value{"local": cty.ObjectVal(map[string]cty.Value{"day": v})}}
	}
	v, diagnostics := e.Value(ctx)
	if diagnostics.HasErrors() || v.IsNull() || !v.IsKnown() {
		return ""
	}
	s, err := convert.Convert(v, cty.String)
	if err != nil {
		return ""
	}
	return s.AsString()
}

// given are the roles of Google's that may be given on a resource, and why.
var given = map[string]map[string]string{
	"google_artifact_registry_repository_iam_member": {"roles/artifactregistry.writer": "a build pushes its image"},
	"google_cloud_run_v2_service_iam_member":         {"roles/run.invoker": "a caller calls"},
	"google_kms_crypto_key_iam_member": {
		"roles/cloudkms.cryptoKeyEncrypterDecrypter": "Google's agents encrypt on our behalf",
	},
	"google_iap_web_cloud_run_service_iam_member": {
		"roles/iap.httpsResourceAccessor": "Identity-Aware Proxy lets members through to the console",
	},
	"google_logging_log_view_iam_member":    {"roles/logging.viewAccessor": "Watch and the console read what training jobs write"},
	"google_pubsub_subscription_iam_member": {"roles/pubsub.subscriber": "readers, and Pub/Sub's agent, take messages"},
	"google_pubsub_topic_iam_member":        {"roles/pubsub.publisher": "it holds no other permission"},
	"google_secret_manager_secret_iam_member": {
		"roles/secretmanager.secretAccessor": "the functions read the collector's headers, and Notify the secrets of its destinations",
	},
	"google_service_account_iam_member": {"roles/iam.serviceAccountUser": "a role of this project is none in another"},
	"google_storage_bucket_iam_member": {
		"roles/storage.bucketViewer": "where a bucket of job directories lies",
		"roles/storage.objectUser":   "programs write their job directories, and read checkpoints",
		"roles/storage.objectViewer": "packages, and outputs that the console shows, lie in buckets of others, too",
	},
}

// grants checks the roles on single resources: of Google's roles only those that
// something needs there, and none that administers anything. Our own buckets have only
// roles of ours.
func grants(f files) []Finding {
	var found []Finding
	for _, b := range f.blocks("resource", "") {
		kind, where := b.Labels[0], f.where(b.DefRange())
		if !strings.Contains(kind, "_iam_") || reaching(kind) {
			continue // rights looks at what is given in the whole project
		}
		if kind == "google_storage_bucket_iam_binding" && f.setsDefaults(b) {
			continue
		}
		if given[kind] == nil {
			found = append(found, Finding{"grant", where, kind + " is none of the grants that are made here"})
			continue
		}
		role := expression(b.Body, "role")
		if role == nil {
			continue // the provider refuses that
		}
		for _, s := range stringsIn(role) {
			if !strings.HasPrefix(s, "roles/") {
				continue // a key of ours
			}
			bucket := expression(b.Body, "bucket")
			switch {
			case basic(s): // rights says so
			case given[kind][s] == "":
				found = append(found, Finding{"grant", where, fmt.Sprintf("%s is given by %s", s, kind)})
			case bucket != nil && refers(bucket, "google_storage_bucket.this"):
				found = append(found, Finding{"grant", where, s + " is given on a bucket of ours: roles.tf has narrower ones"})
			}
		}
		for _, t := range role.Variables() {
			if !strings.HasPrefix(written(t), "google_project_iam_custom_role.") && t.RootName() != "each" &&
				t.RootName() != "var" {
				found = append(found, Finding{"grant", where, "a role is given that is not written here"})
			}
		}
	}
	for _, b := range f.blocks("resource", "google_project_iam_custom_role") {
		roles, err := f.local(b.module, "roles")
		if err != nil {
			continue // rights says so
		}
		for _, s := range stringsIn(roles) {
			if strings.HasSuffix(strings.ToLower(s), "setiampolicy") || strings.Contains(s, "*") {
				found = append(found, Finding{"grant", f.where(b.DefRange()), s + " gives rights away"})
			}
		}
	}
	return found
}

// setsDefaults reports whether a resource sets the bindings that Cloud Storage gives a
// bucket of ours by default: to those, or to the project's owners alone.
func (f files) setsDefaults(b block) bool {
	bucket, members, all := expression(b.Body, "bucket"), expression(b.Body, "members"), expression(b.Body, "for_each")
	roles, err := f.local(b.module, "default_roles")
	if err != nil || bucket == nil || members == nil || all == nil || !refers(bucket, "google_storage_bucket.this") ||
		!refers(all, "local.default_roles") {
		return false
	}
	choice, ok := members.(*hclsyntax.ConditionalExpr)
	if !ok || written(variable(choice.Condition)) != "var.basic_roles" || !refers(choice.TrueResult, "local.default_roles") ||
		!slices.Equal(stringsIn(choice.FalseResult), []string{"projectOwner:"}) {
		return false
	}
	given := map[string][]string{}
	for _, role := range items(roles) {
		given[strings.TrimPrefix(role.key, "roles/storage.legacy")] = stringsIn(role.value)
	}
	owners, readers := []string{"projectEditor:", "projectOwner:"}, []string{"projectViewer:"}
	return maps.EqualFunc(given, map[string][]string{
		"BucketOwner": owners, "ObjectOwner": owners, "BucketReader": readers, "ObjectReader": readers,
	}, slices.Equal)
}

// variable returns the reference that an expression is, or nil.
func variable(e hclsyntax.Expression) hcl.Traversal {
	if t, ok := e.(*hclsyntax.ScopeTraversalExpr); ok {
		return t.Traversal
	}
	return nil
}

// first checks that all grants of the installation are made before a first deployment
// waits.
func first(f files) []Finding {
	var found []Finding
	for _, all := range f.blocks("resource", "terraform_data") {
		before := expression(all.Body, "depends_on")
		if all.label() != "first" || before == nil {
			continue
		}
		for _, b := range f.blocks("resource", "") {
			grant, isGrant := strings.CutSuffix(b.Labels[0], "_iam_member")
			if !isGrant {
				grant, isGrant = strings.CutSuffix(b.Labels[0], "_iam_binding")
			}
			if !isGrant || b.module != all.module {
				continue
			}
			if !refers(before, grant+"_iam_member."+b.label()) && !refers(before, grant+"_iam_binding."+b.label()) {
				name := strings.Join(b.Labels, ".")
				found = append(found, Finding{"first", f.where(b.DefRange()), name + " is not among what is made first"})
			}
		}
		return found
	}
	return []Finding{{"first", installation, "nothing is made first"}}
}

// sources checks that the archive of the running revision is kept until the next one is
// deployed.
func sources(f files) []Finding {
	var found []Finding
	for _, b := range f.blocks("resource", "google_storage_bucket_object") {
		if b.label() != "source" {
			continue
		}
		first := false
		for _, l := range always(b.Body, "lifecycle") {
			first = first || isTrue(l, "create_before_destroy")
		}
		if !first {
			found = append(found, Finding{
				"source", f.where(b.DefRange()), "the archive is deleted before the next one is there",
			})
		}
	}
	return found
}
