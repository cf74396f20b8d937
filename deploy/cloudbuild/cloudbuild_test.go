// Package cloudbuild tests the builds of Cloud Build without an account: against
// Cloud Build's own definition of a build, which refuses unknown fields, and by
// running their scripts.
package cloudbuild

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/cloudbuild/apiv1/v2/cloudbuildpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"
	"gopkg.in/yaml.v3"
)

const (
	root      = "../.."
	deploying = "cloudbuild.yaml"
	checking  = "deploy/cloudbuild-check.yaml"
	imaging   = "deploy/cloudbuild-image.yaml"
)

func readBuild(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// decode decodes a build as strictly as Cloud Build's API would. (gcloud itself
// also wants each field once.)
func decode(text []byte) (*cloudbuildpb.Build, error) {
	var content any
	if err := yaml.Unmarshal(text, &content); err != nil {
		return nil, err
	}
	asJSON, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	var b cloudbuildpb.Build
	return &b, protojson.Unmarshal(asJSON, &b)
}

var (
	// Images are named by a whole version: a tag that moves, or that somebody
	// moves, is another program tomorrow. A digest may follow.
	image    = regexp.MustCompile(`^(golang:1\.26\.\d+-bookworm|hashicorp/terraform:1\.\d+\.\d+)(@sha256:[0-9a-f]{64})?$`)
	used     = regexp.MustCompile(`\$\{?(_[A-Z_]+|[A-Z_]+)\}?`)
	variable = regexp.MustCompile(`\$\{?([A-Z_]+)`)
	goRun    = regexp.MustCompile(`go run (\./\S+)`)
	making   = regexp.MustCompile(`\bmake (\w+)`)
	// Programs of others are run by their whole versions, too.
	tool  = regexp.MustCompile(`go run ([a-z]\S*)`)
	whole = regexp.MustCompile(`@v\d+\.\d+\.\d+$`)
)

// builtIn are the substitutions of Cloud Build that the builds use.
var builtIn = []string{"PROJECT_ID", "BUILD_ID"}

// check returns what is wrong with a build that the API would take.
func check(b *cloudbuildpb.Build) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if b.Timeout == nil {
		wrong("no timeout: it would end after ten minutes")
	}
	if l := b.Options.GetLogging(); l != cloudbuildpb.BuildOptions_CLOUD_LOGGING_ONLY {
		wrong("logging is %s: with an account of its own the build would be refused", l)
	}
	if len(b.Substitutions) > 0 && b.Options.GetSubstitutionOption() != cloudbuildpb.BuildOptions_MUST_MATCH {
		wrong("a substitution that is misspelt would be empty")
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		return err
	}
	uses := map[string]bool{}
	use := func(text string) {
		for _, m := range used.FindAllStringSubmatch(text, -1) {
			uses[m[1]] = true
			if _, declared := b.Substitutions[m[1]]; !declared && !slices.Contains(builtIn, m[1]) {
				wrong("%s is not declared: %s", m[1], text)
			}
		}
	}
	use(b.ServiceAccount)
	ids := map[string]bool{}
	for _, s := range b.Steps {
		if s.Id == "" || ids[s.Id] {
			wrong("a step is named %q, by nothing or as another", s.Id)
		}
		for _, w := range s.WaitFor {
			if w != "-" && !ids[w] {
				wrong("%s waits for %s, which is not a step before it", s.Id, w)
			}
		}
		ids[s.Id] = true
		if !image.MatchString(s.Name) {
			wrong("%s: the image %s is not one of those that are used here, with its whole version", s.Id, s.Name)
		}
		// Cloud Build replaces nothing in scripts; it does everywhere else.
		given := []string{"PWD"}
		for _, e := range s.Env {
			name, value, ok := strings.Cut(e, "=")
			if !ok {
				wrong("%s: the environment has %q", s.Id, e)
			}
			given = append(given, name)
			use(value)
		}
		if s.Script == "" || len(s.Args) > 0 || s.Entrypoint != "" {
			wrong("%s is not a script", s.Id)
		}
		for _, m := range variable.FindAllStringSubmatch(s.Script, -1) {
			if !slices.Contains(given, m[1]) {
				wrong("%s: the script uses %s, which the step's env does not give", s.Id, m[1])
			}
		}
		for _, name := range given[1:] {
			if !strings.Contains(s.Script, "$"+name) && !strings.Contains(s.Script, "${"+name) {
				wrong("%s: the script does not use %s", s.Id, name)
			}
		}
		for _, m := range goRun.FindAllStringSubmatch(s.Script, -1) {
			if _, err := os.Stat(filepath.Join(root, m[1], "main.go")); err != nil {
				wrong("%s runs %s: %w", s.Id, m[1], err)
			}
		}
		for _, m := range tool.FindAllStringSubmatch(s.Script, -1) {
			if !whole.MatchString(m[1]) {
				wrong("%s runs %s, which is not a whole version", s.Id, m[1])
			}
		}
		for _, m := range making.FindAllStringSubmatch(s.Script, -1) {
			if !strings.Contains(string(makefile), "\n"+m[1]+":") {
				wrong("%s makes %s, which is not a target", s.Id, m[1])
			}
		}
		parse := exec.Command("sh", "-n")
		parse.Stdin = strings.NewReader(s.Script)
		if said, err := parse.CombinedOutput(); err != nil {
			wrong("%s: %w: %s", s.Id, err, said)
		}
	}
	for name := range b.Substitutions {
		if !uses[name] {
			wrong("nothing uses %s", name)
		}
	}
	return errors.Join(errs...)
}

func TestBuilds(t *testing.T) {
	for _, name := range []string{deploying, checking, imaging} {
		t.Run(name, func(t *testing.T) {
			b, err := decode(readBuild(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := check(b); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDeploys(t *testing.T) {
	b, err := decode(readBuild(t, deploying))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, s := range b.Steps {
		ids = append(ids, s.Id)
	}
	if diff := cmp.Diff([]string{"check", "test", "package", "deploy", "subscription", "verify"}, ids); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if b.ServiceAccount == "" {
		t.Error("it would run as Cloud Build's default account, which other builds share")
	}
	// What is deployed passed what is proposed.
	c, err := decode(readBuild(t, checking))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.Steps, b.Steps[:len(c.Steps)], protocmp.Transform()); diff != "" {
		t.Errorf("steps of %s and %s:\n%s", checking, deploying, diff)
	}
	if c.ServiceAccount != "" {
		t.Errorf("%s runs what is proposed as %s", checking, c.ServiceAccount)
	}
	golang := regexp.MustCompile(`(?m)^go (1\.\d+)`)
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if want := golang.FindSubmatch(mod)[1]; !strings.HasPrefix(b.Steps[0].Name, "golang:"+string(want)+".") {
		t.Errorf("the image %s has another Go than go.mod, %s", b.Steps[0].Name, want)
	}
}

// The configuration that is deployed if nothing else is said has what the steps
// look for, and the substitutions are those of the manual.
func TestDefaults(t *testing.T) {
	b, err := decode(readBuild(t, deploying))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	files, err := filepath.Glob(filepath.Join(root, b.Substitutions["_INSTALLATION"], "*.tf"))
	for _, name := range files {
		data, failed := os.ReadFile(name)
		text.Write(data)
		err = errors.Join(err, failed)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`backend "gcs"`, `variable "source_archive"`, `output "environment"`,
		`output "inbox_trigger"`, `"${var.project_id}-models"`} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s has no %s", b.Substitutions["_INSTALLATION"], want)
		}
	}
	manual, err := os.ReadFile(filepath.Join(root, "deploy/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for name := range b.Substitutions {
		want = append(want, name)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(_[A-Z_]+)` \\|").FindAllSubmatch(manual, -1) {
		got = append(got, string(m[1]))
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("substitutions (-declared +in the manual):\n%s", diff)
	}
}

// Copies with a fault are refused, most of them by Cloud Build's own definition.
func TestBrokenBuilds(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{
			"an unknown field", "    env:\n      - NAME=$_NAME\n    script", "    environment:\n      - NAME=$_NAME\n    script",
			`unknown field "environment"`,
		},
		{
			"a field of another spelling", "  - id: deploy\n", "  - id: deploy\n    wait-for: [test]\n",
			`unknown field "wait-for"`,
		},
		{"an unknown option", "  logging:", "  logs:", `unknown field "logs"`},
		{"a value that there is not", "CLOUD_LOGGING_ONLY", "CLOUD_LOGS", "invalid value for enum"},
		{"a duration of another form", "timeout: 7200s", "timeout: 120m", "invalid google.protobuf.Duration"},
		{
			"a text for a list", "    env:\n      - NAME=$_NAME\n    script", "    env: NAME=$_NAME\n    script",
			"unexpected token",
		},
		{"a field twice", "timeout: 7200s", "timeout: 7200s\ntimeout: 7200s", "already defined"},
		{"an account without logging", "  logging: CLOUD_LOGGING_ONLY\n", "", "logging is"},
		{"no timeout", "timeout: 7200s", "", "no timeout"},
		{"a substitution that is not declared", "NAME=$_NAME", "NAME=$_INSTANCE", "_INSTANCE is not declared"},
		{"a substitution that nothing uses", "  _NAME: ''", "  _NAME: ''\n  _REGION: ''", "nothing uses _REGION"},
		{
			"a substitution in a script", `-correlation "$BUILD"`, `-correlation "$BUILD_ID"`,
			"uses BUILD_ID, which the step's env does not give",
		},
		{
			"an image that moves", "hashicorp/terraform:1.11.4", "hashicorp/terraform:latest",
			"the image hashicorp/terraform:latest",
		},
		{"an image of half a version", "golang:1.26.8-bookworm", "golang:1.26", "the image golang:1.26 "},
		{
			"an image of somebody else", "hashicorp/terraform:1.11.4", "terraform/terraform:1.11.4",
			"the image terraform/terraform",
		},
		{"a step that there is not", "  - id: deploy\n", "  - id: deploy\n    waitFor: [pack]\n", "waits for pack"},
		{"two steps of one name", "id: verify", "id: deploy", `named "deploy"`},
		{"a command that there is not", "./deploy/eventarc", "./deploy/eventark", "eventark"},
		{"a target that there is not", "exec make check", "exec make checks", "makes checks, which is not a target"},
		{
			"a program of others that changes", "exec make check\n", "exec go run github.com/google/ko@latest build\n",
			"ko@latest, which is not a whole version",
		},
		{"a script that does not parse", "      fi\n      out=", "      out=", "Syntax error"},
	}
	text := string(readBuild(t, deploying))
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if !strings.Contains(text, test.old) {
				t.Fatalf("there is no %q to break", test.old)
			}
			b, err := decode([]byte(strings.Replace(text, test.old, test.new, 1)))
			if err == nil {
				err = check(b)
			}
			// protojson varies its spaces, so that nobody compares its errors.
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "\u00a0", " "), test.want) {
				t.Errorf("it is found that %v, want %q", err, test.want)
			}
		})
	}
}

// The step that deploys, with a program in place of Terraform that writes down how
// it is called.
func TestDeployScript(t *testing.T) {
	b, err := decode(readBuild(t, deploying))
	if err != nil {
		t.Fatal(err)
	}
	script := b.Steps[slices.IndexFunc(b.Steps, func(s *cloudbuildpb.BuildStep) bool { return s.Id == "deploy" })].Script
	// It fails at a command for as often as it is told to.
	const fake = `#!/bin/sh
echo "$@" >>"$CALLS"
if [ "$1" = "$FAIL" ] && [ "$(grep -c "^$1 " "$CALLS")" -le "$TIMES" ]; then
  exit 1
fi
if [ "$1" = output ]; then
  echo '{}'
fi
`
	calls := []string{
		"init -input=false -no-color -backend-config=bucket=states",
		"plan -input=false -no-color -lock-timeout=5m -var=source_archive=../../../out/jobdrop-1.zip " +
			"-out=WORK/out/plan.tfplan",
		"apply -input=false -no-color -lock-timeout=5m WORK/out/plan.tfplan",
		"output -json",
	}
	const archive = "variable \"source_archive\" {\n}\n"
	// Each plan is applied once.
	again := func(n int) []string { return slices.Concat(calls[:1], slices.Repeat(calls[1:3], n)) }
	noArchive := slices.Clone(calls)
	noArchive[1] = strings.Replace(noArchive[1], "-var=source_archive=../../../out/jobdrop-1.zip ", "", 1)
	tests := []struct {
		name, backend, rest, bucket, fail, times string
		calls                                    []string
		ok                                       bool
	}{
		{"deployed", "gcs", archive, "states", "none", "0", calls, true},
		{"services of an image", "gcs", "", "states", "none", "0", noArchive, true},
		{"no bucket", "gcs", archive, "", "none", "0", nil, false},
		{"a state of this build's own", "local", archive, "states", "none", "0", nil, false},
		{"no plan", "gcs", archive, "states", "plan", "9", calls[:2], false},
		{"metrics that are not known yet", "gcs", archive, "states", "apply", "2", append(again(3), calls[3]), true},
		{"not applied", "gcs", archive, "states", "apply", "9", again(4), false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			work, bin := t.TempDir(), t.TempDir()
			for name, content := range map[string]string{
				filepath.Join(work, "out/archive"): "out/jobdrop-1.zip\n",
				filepath.Join(work, "deploy/prod/eu/m.tf"): fmt.Sprintf("terraform {\n  backend %q {\n  }\n}\n%s", test.backend,
					test.rest),
				filepath.Join(bin, "terraform"): fake,
			} {
				if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755),
					os.WriteFile(name, []byte(content), 0o755)); err != nil {
					t.Fatal(err)
				}
			}
			log := filepath.Join(bin, "calls")
			c := exec.Command("sh", "-c", script)
			c.Dir = work
			c.Env = []string{
				"PATH=" + bin + ":" + os.Getenv("PATH"), "INSTALLATION=deploy/prod/eu", "STATE_BUCKET=" + test.bucket, "PAUSE=0",
				"CALLS=" + log, "FAIL=" + test.fail, "TIMES=" + test.times,
			}
			said, err := c.CombinedOutput()
			if (err == nil) != test.ok {
				t.Errorf("it ends with %v:\n%s", err, said)
			}
			text, _ := os.ReadFile(log) // not there where nothing was called
			var got []string
			for line := range strings.Lines(string(text)) {
				got = append(got, strings.ReplaceAll(strings.TrimSuffix(line, "\n"), work, "WORK"))
			}
			if diff := cmp.Diff(test.calls, got); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if _, err := os.Stat(filepath.Join(work, "out/outputs.json")); (err == nil) != test.ok {
				t.Errorf("the outputs: %v", err)
			}
		})
	}
}

// The step that builds the image, with a program in place of Go that writes down how it
// is called.
func TestImageScript(t *testing.T) {
	b, err := decode(readBuild(t, imaging))
	if err != nil {
		t.Fatal(err)
	}
	if b.ServiceAccount == "" {
		t.Error("it would run as Cloud Build's default account, which new projects may lack")
	}
	golang, err := decode(readBuild(t, deploying))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := b.Steps[0].Name, golang.Steps[0].Name; got != want {
		t.Errorf("the image is built by %s, and tested by %s", got, want)
	}
	build := func(image, command string) (said []byte, err error) {
		bin := t.TempDir()
		if err := os.WriteFile(filepath.Join(bin, "go"), []byte("#!/bin/sh\necho $KO_DOCKER_REPO $KO_DEFAULTBASEIMAGE $@\n"),
			0o755); err != nil {
			t.Fatal(err)
		}
		c := exec.Command("sh", "-c", b.Steps[0].Script)
		c.Env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "IMAGE=" + image, "COMMAND=" + command}
		return c.CombinedOutput()
	}
	call := regexp.MustCompile(`^europe-west4-docker\.pkg\.dev/acme-ml/jobdrop/server gcr\.io/distroless/static-debian\d+:nonroot ` +
		`run github\.com/google/ko@v\d+\.\d+\.\d+ build --bare .* \./(\S+)\n$`)
	for _, command := range []string{b.Substitutions["_COMMAND"], "jobdrop"} {
		said, err := build("europe-west4-docker.pkg.dev/acme-ml/jobdrop/server", command)
		if m := call.FindSubmatch(said); err != nil || m == nil || string(m[1]) != "cmd/"+command {
			t.Errorf("it ends with %v, and calls %s", err, said)
		} else if _, err := os.Stat(filepath.Join(root, string(m[1]), "main.go")); err != nil {
			t.Error(err)
		}
	}
	if b.Substitutions["_COMMAND"] != "server" {
		t.Errorf("without a command, it builds %q", b.Substitutions["_COMMAND"])
	}
	if said, err := build("europe-west4-docker.pkg.dev/acme-ml/jobdrop/server", "../etc"); err == nil ||
		!strings.Contains(string(said), "_COMMAND") {
		t.Errorf("of another folder, it ends with %v: %s", err, said)
	}
	if said, err := build("", "server"); err == nil || !strings.Contains(string(said), "_IMAGE=") {
		t.Errorf("without an image, it ends with %v: %s", err, said)
	}
}

// The manual makes what the build of the image takes: its account with the rights that
// it needs, and a bucket in the region for its source.
func TestManualBuildsTheImage(t *testing.T) {
	b, err := decode(readBuild(t, imaging))
	if err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile(filepath.Join(root, "deploy/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	account := b.Substitutions["_SERVICE_ACCOUNT"]
	member := `--member=serviceAccount:` + account + `@\$PROJECT\.iam\.gserviceaccount\.com `
	for _, want := range []string{
		`gcloud iam service-accounts create ` + account + ` --project=\$PROJECT\n`,
		`gcloud artifacts repositories add-iam-policy-binding jobdrop .*` + member + `--role=roles/artifactregistry\.writer\n`,
		`gcloud projects add-iam-policy-binding \$PROJECT ` + member + `--role=roles/logging\.logWriter --condition=None\n`,
		`gcloud storage buckets create gs://\$PROJECT-builds .*--location=\$REGION .*--public-access-prevention`,
		`gcloud storage buckets add-iam-policy-binding gs://\$PROJECT-builds ` + member + `--role=roles/storage\.objectViewer\n`,
		`gcloud builds submit .*--region=\$REGION --config=` + regexp.QuoteMeta(imaging) +
			` --gcs-source-staging-dir=gs://\$PROJECT-builds/source --substitutions=_IMAGE=\S+ \.\n`,
	} {
		if !regexp.MustCompile(want).Match(manual) {
			t.Errorf("deploy/README.md has no %s", want)
		}
	}
}

// Each example that keeps its state in a bucket declares what the step hands over.
func TestDeploysExamples(t *testing.T) {
	b, err := decode(readBuild(t, deploying))
	if err != nil {
		t.Fatal(err)
	}
	script := b.Steps[slices.IndexFunc(b.Steps, func(s *cloudbuildpb.BuildStep) bool { return s.Id == "deploy" })].Script
	examples, err := filepath.Glob(filepath.Join(root, "deploy/examples/*"))
	if err != nil {
		t.Fatal(err)
	}
	tested := 0
	for _, example := range examples {
		var text strings.Builder
		files, err := filepath.Glob(filepath.Join(example, "*.tf"))
		for _, name := range files {
			data, failed := os.ReadFile(name)
			text.Write(data)
			err = errors.Join(err, failed)
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text.String(), `backend "gcs"`) {
			continue
		}
		tested++
		t.Run(filepath.Base(example), func(t *testing.T) {
			work, bin := t.TempDir(), t.TempDir()
			for name, content := range map[string]string{
				filepath.Join(work, "out/archive"):         "out/jobdrop-1.zip\n",
				filepath.Join(work, "deploy/mine/main.tf"): text.String(),
				filepath.Join(bin, "terraform"):            "#!/bin/sh\necho \"$@\" >>\"$CALLS\"\n",
			} {
				if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755),
					os.WriteFile(name, []byte(content), 0o755)); err != nil {
					t.Fatal(err)
				}
			}
			log := filepath.Join(bin, "calls")
			c := exec.Command("sh", "-c", script)
			c.Dir = work
			c.Env = []string{
				"PATH=" + bin + ":" + os.Getenv("PATH"), "INSTALLATION=deploy/mine", "STATE_BUCKET=states", "PAUSE=0",
				"CALLS=" + log,
			}
			if said, err := c.CombinedOutput(); err != nil {
				t.Fatalf("%v:\n%s", err, said)
			}
			calls, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			given := map[string]bool{}
			for _, m := range regexp.MustCompile(`-var=(\w+)=`).FindAllSubmatch(calls, -1) {
				given[string(m[1])] = true
				if !strings.Contains(text.String(), fmt.Sprintf("\nvariable %q {", m[1])) {
					t.Errorf("it is given %s, which it does not declare: Terraform would refuse that", m[1])
				}
			}
			if want := strings.Contains(text.String(), "\nvariable \"source_archive\" {"); given["source_archive"] != want {
				t.Errorf("whether it is given an archive: %v, want %v", given["source_archive"], want)
			}
		})
	}
	if tested < 2 {
		t.Errorf("%d examples keep their state in a bucket, want two", tested)
	}
}
