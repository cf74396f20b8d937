package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/jobdrop/jobdrop/internal/local"
	"github.com/jobdrop/jobdrop/pkg/job"
)

const recipesDir = "../../examples/ci"

// recipe is how a CI system runs jobdrop, as its file says.
type recipe struct {
	file string
	// env is what the system's variables say of a run of a commit, and uploader what the drop says of it.
	env      func(commit string) map[string]string
	uploader func(commit string) job.Uploader
	// read returns the steps of the jobs that the file has, in their order.
	read func(t *testing.T, text string, settings map[string]string) [][]recipeStep
	// says is what the output has of a job file whose region is not one.
	says string
	// federated reports that the recipe writes a file of credentials of Workload Identity Federation itself.
	federated bool
}

// recipeStep is a step that runs in a shell.
type recipeStep struct {
	shell  []string // to which the script's name is added
	script string
	env    map[string]string
}

func recipes() []recipe {
	return []recipe{
		{
			file: "github.yml", read: githubSteps, says: "::error file=job.yaml,line=",
			env: func(commit string) map[string]string {
				return map[string]string{
					"GITHUB_ACTIONS": "true", "GITHUB_SHA": commit, "GITHUB_REF_NAME": "main", "GITHUB_ACTOR": "ann",
					"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/census", "GITHUB_RUN_ID": "12",
				}
			},
			uploader: func(commit string) job.Uploader {
				return job.Uploader{Name: "ann", Commit: commit, Branch: "main", URL: "https://github.com/acme/census/actions/runs/12"}
			},
		},
		{
			file: "gitlab.yml", read: gitlabSteps, says: "job.yaml:4:", federated: true,
			env: func(commit string) map[string]string {
				return map[string]string{
					"GITLAB_CI": "true", "CI_COMMIT_SHA": commit, "CI_COMMIT_REF_NAME": "main", "GITLAB_USER_LOGIN": "ann",
					"CI_JOB_URL": "https://gitlab.com/acme/census/-/jobs/12",
				}
			},
			uploader: func(commit string) job.Uploader {
				return job.Uploader{Name: "ann", Commit: commit, Branch: "main", URL: "https://gitlab.com/acme/census/-/jobs/12"}
			},
		},
		{
			file: "cloudbuild.yaml", read: cloudBuildSteps, says: "job.yaml:4:",
			env: func(commit string) map[string]string {
				return map[string]string{
					"BUILD_ID": "b-1", "PROJECT_ID": "p", "LOCATION": "europe-west1", "COMMIT_SHA": commit, "BRANCH_NAME": "main",
					"TRIGGER_NAME": "push",
				}
			},
			uploader: func(commit string) job.Uploader {
				return job.Uploader{Name: "push", Commit: commit, Branch: "main",
					URL: "https://console.cloud.google.com/cloud-build/builds;region=europe-west1/b-1?project=p"}
			},
		},
		{
			file: "Jenkinsfile", read: jenkinsSteps, says: "job.yaml:4:",
			env: func(commit string) map[string]string {
				return map[string]string{
					"JENKINS_URL": "https://ci.example/", "GIT_COMMIT": commit, "GIT_BRANCH": "origin/main", "BUILD_ID": "12",
					"BUILD_URL": "https://ci.example/job/census/12/",
				}
			},
			uploader: func(commit string) job.Uploader {
				return job.Uploader{Commit: commit, Branch: "main", URL: "https://ci.example/job/census/12/"}
			},
		},
	}
}

// githubSteps reads a workflow. Expressions may only be settings, and stand in env.
func githubSteps(t *testing.T, text string, settings map[string]string) (jobs [][]recipeStep) {
	t.Helper()
	type variables map[string]string
	var workflow struct {
		Env  variables
		Jobs map[string]struct {
			Env   variables
			Steps []struct {
				Run string
				Env variables
			}
		}
	}
	parseRecipe(t, text, &workflow)
	setting := regexp.MustCompile(`^\$\{\{ vars\.([A-Z0-9_]+) \}\}$`)
	for _, name := range []string{"check", "train"} {
		var steps []recipeStep
		for _, s := range workflow.Jobs[name].Steps {
			if s.Run == "" {
				continue
			}
			if strings.Contains(s.Run, "${{") {
				t.Errorf("an expression in a script can be a script itself: %s", s.Run)
			}
			env := map[string]string{}
			for _, of := range []variables{workflow.Env, workflow.Jobs[name].Env, s.Env} {
				for name, value := range of {
					if m := setting.FindStringSubmatch(value); m != nil {
						value = settings[m[1]]
					}
					env[name] = value
				}
			}
			steps = append(steps, recipeStep{[]string{"bash", "-e"}, s.Run, env}) // as for a step without shell:
		}
		jobs = append(jobs, steps)
	}
	for _, line := range regexp.MustCompile(`uses: (.*)`).FindAllStringSubmatch(text, -1) {
		if !regexp.MustCompile(`^[a-z-]+(/[a-z-]+)+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`).MatchString(line[1]) {
			t.Errorf("%q is not pinned to a commit, with its version behind it", line[1])
		}
	}
	return jobs
}

// gitlabSteps reads a pipeline. The runner makes one script of before_script and script.
func gitlabSteps(t *testing.T, text string, settings map[string]string) (jobs [][]recipeStep) {
	t.Helper()
	type part struct {
		Before    []string `yaml:"before_script"`
		Script    []string
		Variables map[string]string
		Tokens    map[string]struct{ Aud string } `yaml:"id_tokens"`
	}
	var pipeline struct {
		Default      part
		Check, Train part
	}
	parseRecipe(t, text, &pipeline)
	for _, p := range []part{pipeline.Check, pipeline.Train} {
		env := maps.Clone(settings)
		env["CI_PROJECT_DIR"] = filepath.Join(t.TempDir(), "census")
		for name := range p.Tokens {
			env[name] = "a-token"
		}
		for name, value := range p.Variables {
			env[name] = os.Expand(value, func(name string) string { return env[name] })
		}
		script := strings.Join(append(slices.Clone(pipeline.Default.Before), p.Script...), "\n")
		jobs = append(jobs, []recipeStep{{[]string{"bash", "-eo", "pipefail"}, script, env}})
	}
	return jobs
}

// cloudBuildSteps reads a build. Scripts get the substitutions as variables.
func cloudBuildSteps(t *testing.T, text string, settings map[string]string) [][]recipeStep {
	t.Helper()
	var build struct {
		Substitutions map[string]string
		Steps         []struct {
			Script string
			Env    []string
		}
		Options struct {
			Automap bool `yaml:"automapSubstitutions"`
		}
	}
	parseRecipe(t, text, &build)
	if !build.Options.Automap {
		t.Error("the scripts don't see the substitutions")
	}
	of := map[string]string{
		"_JOBDROP_URL": "JOBDROP_URL", "_JOBDROP_SHA256": "JOBDROP_SHA256", "_INBOX": "JOBDROP_INBOX",
		"_STATUS_BUCKET": "JOBDROP_STATUS_BUCKET", "_PREFIX": "JOBDROP_PREFIX",
	}
	for name := range build.Substitutions {
		if set, ok := of[name]; ok {
			build.Substitutions[name] = settings[set]
		}
	}
	var steps []recipeStep
	for _, s := range build.Steps {
		env := maps.Clone(build.Substitutions)
		for _, v := range s.Env {
			name, value, _ := strings.Cut(v, "=")
			env[name] = os.Expand(value, func(name string) string { return build.Substitutions[name] })
		}
		if !strings.HasPrefix(s.Script, "#!/bin/sh\n") {
			t.Errorf("a script names no shell: %s", s.Script)
		}
		steps = append(steps, recipeStep{[]string{"sh"}, s.Script, env})
	}
	return [][]recipeStep{steps}
}

// jenkinsSteps reads the scripts of a pipeline. Groovy takes nothing in them for its own but backslashes.
func jenkinsSteps(t *testing.T, text string, settings map[string]string) [][]recipeStep {
	t.Helper()
	var steps []recipeStep
	for _, m := range regexp.MustCompile(`(?s)\bsh '''(.*?)'''`).FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[1], `\`) {
			t.Errorf("a backslash is Groovy's: %s", m[1])
		}
		steps = append(steps, recipeStep{[]string{"sh", "-xe"}, m[1], settings})
	}
	if n := strings.Count(text, "sh '"); n != len(steps) {
		t.Errorf("%d scripts of %d were found", len(steps), n)
	}
	return [][]recipeStep{steps}
}

func parseRecipe(t *testing.T, text string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), into); err != nil {
		t.Fatal(err)
	}
}

// ciRun is a run of a CI system: a checkout, and the program that the recipe installs.
type ciRun struct {
	r        *running
	settings map[string]string
	env      map[string]string // the system's own
	calls    string            // the file to which the program adds its commands
}

// newCIRun returns a run in which the program is a script that hands its command line on to jobdrop. If lost is set, the
// line is lost once to each of the commands that wait.
func newCIRun(t *testing.T, r *running, env map[string]string, lost bool) *ciRun {
	t.Helper()
	dir := t.TempDir()
	c := &ciRun{r: r, env: env, calls: filepath.Join(dir, "calls")}
	program := fmt.Sprintf("#!/bin/sh\necho \"$1\" >>%[1]q\n"+
		"[ -z \"$GOOGLE_APPLICATION_CREDENTIALS\" ] || cp \"$GOOGLE_APPLICATION_CREDENTIALS\" %[1]q.credentials\n"+
		"%[2]q \"$@\" || exit\n", c.calls, filepath.Join(linkJobdrop(t), "jobdrop"))
	if lost {
		program += fmt.Sprintf("case $1 in submit | wait) [ \"$(grep -c \"^$1\" %q)\" != 1 ] || exit 75 ;; esac\n", c.calls)
	}
	file := filepath.Join(dir, "program")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(program))
	c.settings = map[string]string{
		"JOBDROP_URL": "file://" + file, "JOBDROP_SHA256": hex.EncodeToString(sum[:]),
		"JOBDROP_INBOX": local.Inbox, "JOBDROP_STATUS_BUCKET": local.Status, "JOBDROP_PREFIX": "ci",
		"WORKLOAD_IDENTITY_PROVIDER": "projects/1/locations/global/workloadIdentityPools/ci/providers/gitlab",
	}
	return c
}

// job runs the steps of a job in a fresh checkout, until one fails. It returns that one's code, and all output.
func (c *ciRun) job(t *testing.T, checkout string, steps []recipeStep) (code int, output string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(checkout)); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, s := range steps {
		code = runScript(t, c.r, dir, s.shell, s.script, &all, c.env, s.env)
		if code != 0 {
			break
		}
	}
	return code, all.String()
}

// runScript runs a script beside a stack, of whose settings it gets those that clients need, and returns its exit code.
func runScript(t *testing.T, r *running, dir string, shell []string, script string, out io.Writer, env ...map[string]string) int {
	t.Helper()
	file := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), shell[0], append(slices.Clone(shell[1:]), file)...)
	c.Dir, c.Stdout, c.Stderr = dir, out, out
	c.WaitDelay = time.Minute
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "CLOUDSDK_CORE_DISABLE_PROMPTS=1"}
	for name, value := range r.env {
		if !strings.HasPrefix(name, "JOBDROP_") && !strings.HasPrefix(name, "GOOGLE_") {
			c.Env = append(c.Env, name+"="+value)
		}
	}
	for _, of := range env {
		for name, value := range of {
			c.Env = append(c.Env, name+"="+value)
		}
	}
	err := c.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode()
}

// called returns the commands that the program was asked for, and removes the list.
func (c *ciRun) called(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(c.calls)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	_ = os.Remove(c.calls)
	return strings.Fields(string(data))
}

// checkCredentials checks the file of credentials that the program saw.
func (c *ciRun) checkCredentials(t *testing.T) {
	t.Helper()
	var credentials struct {
		Type, Audience string
		Source         struct{ File string } `json:"credential_source"`
	}
	data, err := os.ReadFile(c.calls + ".credentials")
	if err == nil {
		err = json.Unmarshal(data, &credentials)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	token, err := os.ReadFile(credentials.Source.File)
	if err != nil || string(token) != "a-token\n" || credentials.Type != "external_account" ||
		credentials.Audience != "//iam.googleapis.com/"+c.settings["WORKLOAD_IDENTITY_PROVIDER"] {
		t.Errorf("token %q, %v; credentials\n%s", token, err, data)
	}
}

// checkout returns a repository with the job file of a drop, and the sources of its trainer.
func checkout(t *testing.T, drop string) string {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join(dropsDir, drop, "job.yaml"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "job.yaml"), text, 0o600)
	}
	if err == nil {
		err = os.CopyFS(filepath.Join(dir, "trainer"), os.DirFS(filepath.Join("../../testdata/trainers", drop, "trainer")))
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// statusOf returns what the status bucket says of a drop, and whether it says something.
func statusOf(t *testing.T, r *running, folder string) (s job.Snapshot, known bool) {
	t.Helper()
	data, _, err := r.storage(t).Read(t.Context(), local.Status, folder+"status.json", 0, maxStatus)
	if errors.Is(err, job.ErrNotFound) {
		return s, false
	}
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s, true
}

// The recipes run as their systems run them: their steps in a shell, with the system's variables. What they drop says
// where it comes from; what fails has its own code; and where the line is lost, nothing is submitted again.
func TestRecipes(t *testing.T) {
	t.Parallel()
	need(t, "bash", "curl", "sha256sum")
	r := startLocal(t, t.TempDir(), "--max-jobs", "4")
	hello, fails := checkout(t, "hello"), checkout(t, "fails")
	broken := checkout(t, "hello")
	text, err := os.ReadFile(filepath.Join(broken, "job.yaml"))
	if err == nil {
		err = os.WriteFile(filepath.Join(broken, "job.yaml"), []byte(strings.Replace(string(text), "us-central1", "'1'", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, recipe := range recipes() {
		t.Run(recipe.file, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join(recipesDir, recipe.file))
			if err != nil {
				t.Fatal(err)
			}
			// all runs all jobs of a commit, as long as none fails.
			all := func(c *ciRun, of string) (code int, output string) {
				t.Helper()
				for _, steps := range recipe.read(t, string(text), c.settings) {
					if code, output = c.job(t, of, steps); code != 0 {
						break
					}
				}
				return code, output
			}
			commit := fmt.Sprintf("%040x", i+1)
			folder := "ci/census_" + commit + "/"

			c := newCIRun(t, r, recipe.env(commit), false)
			if code, output := all(c, broken); code != exitRejected || !strings.Contains(output, recipe.says) {
				t.Errorf("a job file that is not valid: exit %d\n%s", code, output)
			}
			if calls := c.called(t); slices.Contains(calls, "submit") {
				t.Errorf("a job file that is not valid is submitted: %s", calls)
			}
			c.settings["JOBDROP_SHA256"] = strings.Repeat("0", 64)
			if code, output := all(c, hello); code == 0 || len(c.called(t)) > 0 {
				t.Errorf("another binary is run: exit %d\n%s", code, output)
			}

			c = newCIRun(t, r, recipe.env(commit), true)
			code, output := all(c, hello)
			calls := slices.DeleteFunc(c.called(t), func(name string) bool { return name == "validate" })
			if diff := cmp.Diff([]string{"submit", "wait", "wait"}, calls); code != 0 || diff != "" {
				t.Errorf("a job that succeeds, with a bad line: exit %d, calls (-want +got):\n%s%s", code, diff, output)
			}
			if recipe.federated {
				c.checkCredentials(t)
			}
			s, _ := statusOf(t, r, folder)
			if diff := cmp.Diff(recipe.uploader(commit), s.Uploader); s.State != job.Succeeded || diff != "" {
				t.Errorf("the drop is %s, uploader (-want +got):\n%s", s.State, diff)
			}
			// The run again finds that it has succeeded, and drops nothing.
			if code, output := all(newCIRun(t, r, recipe.env(commit), false), hello); code != 0 {
				t.Errorf("the run again: exit %d\n%s", code, output)
			}
			if again, _ := statusOf(t, r, folder); again.Attempt != s.Attempt {
				t.Errorf("the run again made the attempt %s", again.Attempt)
			}

			commit = fmt.Sprintf("%040x", i+100)
			if code, output := all(newCIRun(t, r, recipe.env(commit), false), fails); code != exitFailed {
				t.Errorf("a job that fails: exit %d\n%s", code, output)
			}
		})
	}
	t.Run("names are completed", func(t *testing.T) {
		t.Parallel()
		testCompletedNames(t, r)
	})
	t.Run("without the binary", func(t *testing.T) {
		t.Parallel()
		testWithoutBinary(t, r)
	})
}

// testCompletedNames drops a job and wants its names to be offered.
func testCompletedNames(t *testing.T, r *running) {
	dir := checkout(t, "hello")
	if got := run(t, "submit", "completed", "--env", r.file, "--config", filepath.Join(dir, "job.yaml"), "--package-path",
		filepath.Join(dir, "trainer"), "--wait"); got.code != 0 {
		t.Fatalf("exit %d: %s%s", got.code, got.stdout, got.stderr)
	}
	for start, want := range map[string]string{"": "completed/", "compl": "completed", "completed/": "completed/"} {
		words, directive := completedOf(t, "wait", "--env", r.file, start)
		if !slices.Contains(words, want) || directive != nothing {
			t.Errorf("wait %s: offered %q, %s; want %s among them", start, words, directive, want)
		}
	}
	if words, _ := completedOf(t, "wait", "--env", r.file, "completed", ""); slices.Contains(words, "completed") {
		t.Errorf("offered again: %q", words)
	}
}

// testWithoutBinary runs the lines of docs/ci.md for those who have no jobdrop.
func testWithoutBinary(t *testing.T, r *running) {
	text, err := os.ReadFile("../../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	_, lines, found := strings.Cut(string(text), "\n## Without the binary\n")
	if !found {
		t.Fatal("docs/ci.md has no such heading")
	}
	type dropped struct {
		drop, commit string
		want         int
	}
	tests := map[string][]dropped{
		"curl":   {{"hello", "a", 0}, {"hello", "a", 0}, {"fails", "b", 1}, {"rejected-scheduling", "c", 2}},
		"gcloud": {{"hello", "d", 0}, {"hello", "d", 0}}, // each call takes a second
	}
	for tool, drops := range tests {
		t.Run(tool, func(t *testing.T) {
			t.Parallel()
			need(t, tool)
			_, section, _ := strings.Cut(lines, "\n### "+tool+"\n")
			_, script, _ := strings.Cut(section, "```sh\n")
			script, _, found := strings.Cut(script, "```\n")
			if n := strings.Count(script, "sleep 10\n"); !found || n != 1 || strings.Contains(script, "status.json") {
				t.Fatalf("the lines are\n%s", script)
			}
			script = strings.Replace(script, "sleep 10\n", "sleep 0.2\n", 1)
			for _, test := range drops {
				dir := copyDrop(t, test.drop, "checkout")
				var out strings.Builder
				code := runScript(t, r, dir, []string{"sh", "-eu"}, script, &out, map[string]string{
					"INBOX": local.Inbox, "STATUS": local.Status, "COMMIT": test.commit, "ACCESS_TOKEN": "none",
				})
				if code != test.want {
					t.Errorf("%s: exit %d, want %d\n%s", test.drop, code, test.want, out.String())
				}
			}
			// Dropped twice, it ran once: the job file was not written over.
			folder := "ci/census-" + drops[0].commit + "/"
			s, _ := statusOf(t, r, folder)
			objects := 0
			err := r.storage(t).List(t.Context(), local.Status, folder+"status-", false, func(page []job.Attributes) error {
				objects += len(page)
				return nil
			})
			if err != nil || objects != 1 || s.State != job.Succeeded {
				t.Errorf("%d attempts, the newest %s, %v", objects, s.State, err)
			}
		})
	}
}
