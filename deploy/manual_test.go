// Package deploy tests what its manuals say.
package deploy

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// tests returns the names of the tests and fuzz targets of a folder's package.
func tests(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
	}
	return names
}

// Each answer to a threat names tests that there are: in the package that stands in
// brackets behind them.
func TestSecurityNamesTests(t *testing.T) {
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile("\\b((?:Test|Fuzz)[A-Z]\\w*(?:(?:, | and )(?:Test|Fuzz)[A-Z]\\w*)*)(?: \\(`([^`]+)`\\))?")
	found := 0
	for _, m := range list.FindAllStringSubmatch(string(text), -1) {
		known := tests(t, m[2])
		for _, name := range regexp.MustCompile(`(?:Test|Fuzz)\w+`).FindAllString(m[1], -1) {
			found++
			if m[2] == "" || !known[name] {
				t.Errorf("there is no %s in %q", name, m[2])
			}
		}
	}
	if found < 40 {
		t.Errorf("only %d tests are named", found)
	}
}

// manuals returns the documents for people, by their names from the root.
func manuals(t *testing.T) map[string]string {
	t.Helper()
	root := os.DirFS("..")
	texts := map[string]string{}
	for _, pattern := range []string{"*.md", "deploy/*.md", "deploy/playbooks/*.md", "docs/*.md", "docs/*/*.md",
		"testdata/*.md"} {
		names, err := fs.Glob(root, pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := fs.ReadFile(root, name)
			if err != nil {
				t.Fatal(err)
			}
			texts[name] = string(text)
		}
	}
	return texts
}

// anchor returns the fragment that GitHub gives a heading.
func anchor(heading string) string {
	kept := strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
	return kept
}

var headings = regexp.MustCompile(`(?m)^#+ (.*)$`)

// Links between the documents lead to files, and to headings, that there are.
func TestLinks(t *testing.T) {
	texts := manuals(t)
	anchors := map[string]map[string]bool{}
	for name, text := range texts {
		anchors[name] = map[string]bool{}
		for _, m := range headings.FindAllStringSubmatch(text, -1) {
			anchors[name][anchor(m[1])] = true
		}
	}
	link := regexp.MustCompile(`\]\(([^):#]*)(?:#([^)]*))?\)`)
	for name, text := range texts {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to := name
			if m[1] != "" {
				to = path.Join(path.Dir(name), strings.TrimSpace(m[1]))
			}
			if _, err := os.Stat(filepath.Join("..", to)); err != nil {
				t.Errorf("%s links to %s: %v", name, m[1], err)
			}
			if m[2] != "" && !anchors[to][m[2]] {
				t.Errorf("%s links to #%s, which %s does not have", name, m[2], to)
			}
		}
	}
}

// A newcomer reads the README to its end.
func TestReadmeIsShort(t *testing.T) {
	if n := len(strings.Fields(manuals(t)["README.md"])); n > 1200 {
		t.Errorf("README.md has %d words, want at most 1200", n)
	}
}

// Each decision has a date and a status, and stands in the table of contents.
func TestDecisions(t *testing.T) {
	text := manuals(t)["docs/decisions.md"]
	_, entries, _ := strings.Cut(text, "\n## Contents\n")
	contents, entries, found := strings.Cut(entries, "\n## ")
	if !found {
		t.Fatal("there is no table of contents")
	}
	var want []string
	entry := regexp.MustCompile(`^### (.*)\n\n\*2\d{3}-\d{2}-\d{2} · (?:in force|replaced)(?:;? .*)?\*\n\n\S`)
	for _, part := range strings.SplitAfter("## "+entries, "\n\n") {
		if m := headings.FindStringSubmatch(part); m != nil {
			want = append(want, anchor(m[1]))
		}
	}
	for _, part := range strings.Split(entries, "\n### ")[1:] {
		if title, _, _ := strings.Cut(part, "\n"); !entry.MatchString("### " + part) {
			t.Errorf("%q has no line with its date and its status", title)
		}
	}
	var got []string
	for _, m := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(contents, -1) {
		got = append(got, m[1])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decisions (-entries +contents):\n%s", diff)
	}
}

// The workflow runs what contributors run, with no right but to read, and no action
// whose code can change under its name.
func TestWorkflow(t *testing.T) {
	data, err := os.ReadFile("../.github/workflows/check.yml")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, want := range []string{"- run: make check test\n", "\npermissions: {}\n",
		"    permissions:\n      contents: read\n    steps:\n", "persist-credentials: false\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the workflow does not have %q", want)
		}
	}
	pinned := regexp.MustCompile(`^[a-z-]+/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	uses := regexp.MustCompile(`uses: (.*)`).FindAllStringSubmatch(text, -1)
	for _, m := range uses {
		if !pinned.MatchString(m[1]) {
			t.Errorf("%q is not pinned to a commit, with its version behind it", m[1])
		}
	}
	if len(uses) == 0 {
		t.Error("the workflow uses no action")
	}
}

// A project with nothing enabled is one in which Terraform can't even plan.
func TestManualEnablesWhatTerraformAsks(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	first := regexp.MustCompile(`(?m)^\s*gcloud services enable .*$`).Find(text)
	for _, api := range []string{"cloudresourcemanager", "serviceusage", "iam", "cloudscheduler"} {
		if !regexp.MustCompile(` ` + api + `\.googleapis\.com\b`).Match(first) {
			t.Errorf("%s is not enabled first: %q", api, first)
		}
	}
}

// command is one of gcloud's: what may follow it, and its flags.
type command struct {
	Commands map[string]command
	Flags    map[string]any
}

// gcloud reads the commands of the gcloud on this machine, from what it completes
// them by.
func gcloud(t *testing.T) command {
	t.Helper()
	path, err := exec.LookPath("gcloud")
	if err != nil {
		t.Skip("SKIPPED: no gcloud here, whose commands the manuals use")
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(filepath.Dir(filepath.Dir(path)), "data/cli/gcloud_completions.py")
	if _, err := os.Stat(tree); err != nil {
		t.Skipf("SKIPPED: this gcloud says nowhere what its commands are: %v", err)
	}
	const program = "import json, runpy, sys; print(json.dumps(runpy.run_path(sys.argv[1])['STATIC_COMPLETION_CLI_TREE']))"
	out, err := exec.Command("python3", "-c", program, tree).Output()
	if err != nil {
		t.Skipf("SKIPPED: Python can't read %s: %v", tree, err)
	}
	var root command
	if err := json.Unmarshal(out, &root); err != nil {
		t.Fatal(err)
	}
	return root
}

// words splits a line of a shell into words, each without its quotes. It ends where the
// command does.
func words(line string) []string {
	var all []string
	var word strings.Builder
	quote, begun := rune(0), false
	end := func() {
		if begun {
			all = append(all, word.String())
		}
		word.Reset()
		begun = false
	}
	for _, c := range line {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, begun = c, true
		case strings.ContainsRune("\n|;&)`", c):
			end()
			return all
		case c == ' ' || c == '\t':
			end()
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	end()
	return all
}

// wrong returns what gcloud would refuse in a call: a command or a flag that it does not
// have.
func (c command) wrong(call string) error {
	flags := []map[string]any{c.Flags}
	named := "gcloud"
	for i, w := range words(strings.ReplaceAll(call, "\\\n", " "))[1:] {
		switch {
		case strings.HasPrefix(w, "--"):
			flag, value, _ := strings.Cut(w, "=")
			known := false
			for _, f := range flags {
				_, plain := f[flag]
				kind, _ := f["--"+strings.TrimPrefix(flag, "--no-")].(string)
				known = known || plain || kind == "bool"
			}
			if !known {
				return fmt.Errorf("%s has no flag %s (%s)", named, flag, value)
			}
		case len(c.Commands) > 0:
			next, ok := c.Commands[w]
			if !ok {
				return fmt.Errorf("%s has no command %s", named, w)
			}
			c, flags, named = next, append(flags, next.Flags), named+" "+w
		case i == 0:
			return fmt.Errorf("%q is not a command", w)
		}
	}
	if len(c.Commands) > 0 {
		return fmt.Errorf("%s is not a whole command", named)
	}
	return nil
}

// calls finds calls of gcloud: in blocks of code, and between backquotes.
var calls = regexp.MustCompile(`(?m)(?:^|[\s(` + "`" + `;])(gcloud (?:\\\n|[^\n])*)`)

// Every call of gcloud in the manuals is one that gcloud knows, in its release track,
// with its flags.
func TestManualsCallGcloud(t *testing.T) {
	root := gcloud(t)
	n := 0
	for name, text := range manuals(t) {
		if !strings.HasPrefix(name, "deploy/") && name != "docs/first-project.md" {
			continue
		}
		for _, m := range calls.FindAllStringSubmatchIndex(text, -1) {
			// One line may have several: each is looked at from where it begins.
			for rest := text[m[2]:m[3]]; ; {
				n++
				if err := root.wrong(rest); err != nil && !prose(rest) {
					t.Errorf("%s:%d: %v: %s", name, 1+strings.Count(text[:m[2]], "\n"), err, rest)
				}
				next := strings.Index(rest[1:], "gcloud ")
				if next < 0 {
					break
				}
				rest = rest[1+next:]
			}
		}
	}
	if n < 60 {
		t.Errorf("only %d calls are found", n)
	}
	for call, want := range map[string]string{
		"gcloud monitoring policies list":                      "gcloud monitoring has no command policies",
		"gcloud alpha monitoring policies list --project=x":    "",
		"gcloud storage buckets create gs://x --locations=y":   "gcloud storage buckets create has no flag --locations (y)",
		"gcloud projects create $P && gcloud projects nothing": "",
		"gcloud projects": "gcloud projects is not a whole command",
		"gcloud services enable --project=$P a.b c.d --async":           "",
		"gcloud logging read \"a --b\" --no-user-output-enabled | head": "",
	} {
		if err := root.wrong(call); fmt.Sprint(err) != want && (err != nil || want != "") {
			t.Errorf("of %q it is found that %v, want %q", call, err, want)
		}
	}
}

// prose reports whether it is not a call that follows gcloud's name.
func prose(rest string) bool {
	return regexp.MustCompile(`^gcloud (may|asks|itself|also|and|or|has|is|uploads)\b`).MatchString(rest)
}

// step returns the commands of one of the manual's steps.
func step(t *testing.T, number int) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, from, found := strings.Cut(string(text), fmt.Sprintf("\n%d. ", number))
	_, from, _ = strings.Cut(from, "```\n")
	commands, _, closed := strings.Cut(from, "```")
	if !found || !closed {
		t.Fatalf("there are no commands of step %d", number)
	}
	return commands
}

// runStep runs commands of the manual in a folder. gcloud stands in for Google's.
func runStep(t *testing.T, dir, commands, gcloud string, env ...string) (string, error) {
	t.Helper()
	bin := t.TempDir()
	for name, script := range map[string]string{"gcloud": gcloud, "sleep": ""} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("sh", "-c", commands)
	c.Dir = dir
	c.Env = append([]string{"PATH=" + bin + ":" + os.Getenv("PATH"), "PROJECT=my-project", "INSTANCE=mine"}, env...)
	said, err := c.CombinedOutput()
	return string(said), err
}

// Step 4 of the manual makes Google's service agents, and gives each its role. They
// are those that Terraform grants rights to, by the same names.
func TestManualMakesServiceAgents(t *testing.T) {
	said, err := runStep(t, t.TempDir(), step(t, 4), `case "$*" in "projects describe"*) echo 123 ;; *) echo "$@" ;; esac`)
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	services := map[string]string{}
	for _, m := range regexp.MustCompile(`identity create .*--service=(\w+)\.googleapis\.com`).FindAllStringSubmatch(said, -1) {
		services[m[1]] = ""
	}
	grant := regexp.MustCompile(`projects add-iam-policy-binding my-project --member=serviceAccount:service-123@([a-z-]+)` +
		`\.iam\.gserviceaccount\.com --role=roles/(\w+)\.serviceAgent --condition=None\n`)
	agents := map[string]bool{}
	for _, m := range grant.FindAllStringSubmatch(said, -1) {
		services[m[2]], agents[m[1]] = m[1], true
	}
	for service, agent := range services {
		if agent == "" {
			t.Errorf("the agent of %s gets no role", service)
		}
	}
	if len(services) < 6 || len(agents) != len(services) {
		t.Errorf("services and their agents are %v", services)
	}
	names, err := os.ReadFile("terraform/names.tf")
	if err != nil {
		t.Fatal(err)
	}
	known := regexp.MustCompile(`"service-\$\{data\.google_project\.this\.number\}@([a-z-]+)\.iam`).FindAllStringSubmatch(string(names), -1)
	for _, m := range known {
		if !agents[m[1]] {
			t.Errorf("Terraform grants rights to %s, which step 4 does not make", m[1])
		}
	}
	if len(known) < 4 {
		t.Errorf("names.tf has the agents %v", known)
	}
}

// Step 6 of the manual writes a configuration whose policy has the same names, and a
// region for Cloud Scheduler where it is not in that of the installation. It may be run
// again. Without an answer about regions, it writes nothing.
func TestManualConfigures(t *testing.T) {
	commands := step(t, 6)
	for region, scheduler := range map[string]string{"europe-west4": "", "me-central2": "scheduler_region = \"europe-west1\"\n"} {
		work := t.TempDir()
		to := filepath.Join(work, "deploy/installations/mine")
		for _, dir := range []string{to, filepath.Join(work, "deploy/examples/minimal")} {
			if err := os.CopyFS(dir, os.DirFS("examples/minimal")); err != nil {
				t.Fatal(err)
			}
		}
		if said, err := runStep(t, work, commands, "exit 1", "REGION="+region); err == nil {
			t.Errorf("without an answer of gcloud it goes on: %s", said)
		}
		if _, err := os.Stat(filepath.Join(to, "terraform.tfvars")); err == nil {
			t.Error("without an answer of gcloud a region is written")
		}
		for range 2 {
			said, err := runStep(t, work, commands, "printf 'europe-west1\\neurope-west4\\n'", "REGION="+region)
			if err != nil {
				t.Fatalf("%v: %s", err, said)
			}
		}
		settings, err := os.ReadFile(filepath.Join(to, "terraform.tfvars"))
		want := "project_id = \"my-project\"\nregion     = \"" + region + "\"\ninstance   = \"mine\"\n" + scheduler
		if diff := cmp.Diff(want, string(settings)); err != nil || diff != "" {
			t.Errorf("terraform.tfvars: %v (-want +got):\n%s", err, diff)
		}
		policy, err := os.ReadFile(filepath.Join(to, "policy.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"region: " + region, "mine-trainer@my-project.iam.gserviceaccount.com", "gs://my-project-mine-models/**"} {
			if !strings.Contains(string(policy), want) {
				t.Errorf("policy.yaml has no %s", want)
			}
		}
		for _, never := range []string{"acme-ml", "jobdrop-"} {
			_, rules, _ := strings.Cut(string(policy), "\ndefaults:")
			if strings.Contains(rules, never) {
				t.Errorf("policy.yaml still has %s:\n%s", never, rules)
			}
		}
	}
}
