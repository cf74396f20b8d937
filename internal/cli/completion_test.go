package cli

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// completedOf returns what a shell is offered at the end of a command line, and how it goes on.
func completedOf(t *testing.T, args ...string) (words []string, directive string) {
	t.Helper()
	got := run(t, append([]string{cobra.ShellCompNoDescRequestCmd}, args...)...)
	if got.code != 0 {
		t.Fatalf("%s: exit %d: %s", args, got.code, got.stderr)
	}
	words = strings.Fields(got.stdout)
	return words[:len(words)-1], words[len(words)-1]
}

// The directives, as shells get them.
const (
	files    = ":0"
	nothing  = ":4"
	byEnding = ":8"
	folders  = ":16"
)

func TestCompletion(t *testing.T) {
	t.Setenv(stateVariable, "") // names need settings
	tests := []struct {
		args, want, directive string
	}{
		{"stat", "status", nothing},
		{"run ", "", folders},
		{"run a ", "", nothing},
		{"run --events ", "text json", nothing},
		{"run --output ", "", folders},
		{"run --routes ", "yaml yml json", byEnding},
		{"run --backend ", "vertex aiplatform", nothing},
		{"validate ", "", files},
		{"validate a ", "", files},
		{"validate --format ", "text json sarif github", nothing},
		{"validate --format=", "text json sarif github", nothing},
		{"validate --folder ", "", nothing},
		{"policy test ", "yaml yml json", byEnding},
		{"policy test policy.yaml ", "", files},
		{"plan --format ", "json yaml", nothing},
		{"submit ", "", nothing},
		{"submit --config ", "yaml yml json", byEnding},
		{"submit --package-path ", "", folders},
		{"submit --scale-tier ", "basic basic-gpu basic-tpu custom premium-1 standard-1", nothing},
		{"submit --job-dir ", "", nothing},
		{"status -o ", "text json", nothing},
		{"status --state ", "waiting held accepted submitted queued preparing running rejected withdrawn expired succeeded " +
			"failed cancelled timed_out lost", nothing},
		{"status --limit ", "", nothing},
		{"status ", "", nothing},
		{"status --env ", "", files},
		{"version ", "", nothing},
		{"version -o ", "text json", nothing},
		{"completion ", "bash fish powershell zsh", nothing},
	}
	for _, test := range tests {
		t.Run(test.args, func(t *testing.T) {
			words, directive := completedOf(t, strings.Split(test.args, " ")...)
			if got := strings.Join(words, " "); got != test.want || directive != test.directive {
				t.Errorf("offered %q, %s; want %q, %s", got, directive, test.want, test.directive)
			}
		})
	}
	for flag, want := range map[string]string{
		"region": "us-central1", "runtime-version": "2.11", "python-version": "3.7", "master-machine-type": "n1-standard-4",
	} {
		words, _ := completedOf(t, "submit", "--"+flag, "")
		if !strings.Contains(" "+strings.Join(words, " ")+" ", " "+want+" ") {
			t.Errorf("submit --%s offers %q, want %s among them", flag, words, want)
		}
	}
	if types, _ := completedOf(t, "events", "--type", ""); len(types) < 10 {
		t.Errorf("events --type offers %q", types)
	}
}

// What is offered for a flag is what the command takes.
func TestCompletionAgreesWithTheCommands(t *testing.T) {
	for _, line := range []string{
		"run d --events", "run d --backend", "validate d --format", "plan d --format", "plan d --backend",
		"policy validate p --format", "policy test p d --format", "notify validate r --format", "notify test r e --format",
		"notify explain a --format", "notify waiting --format", "submit j --output", "submit j --backend", "wait d --output",
		"logs a --output", "status --output", "why a --output", "events --output", "cancel a --reason=r --output",
		"rerun a --reason=r --output", "version --output",
	} {
		words, _ := completedOf(t, append(strings.Fields(line), "")...)
		got := run(t, append(strings.Fields(line), "nonsense")...)
		said, _, _ := strings.Cut(got.stderr, "\n")
		_, said, _ = strings.Cut(said, "must be ")
		taken := strings.Split(strings.ReplaceAll(said, " or ", ", "), ", ")
		slices.Sort(words)
		slices.Sort(taken)
		if len(words) < 2 || got.code != exitUsage || !slices.Equal(words, taken) {
			t.Errorf("%s: offered %q; nonsense: exit %d, %s", line, words, got.code, got.stderr)
		}
	}
}

// Each argument is decided upon, and nothing is decided that is not there.
func TestCompletionIsOfWhatIsThere(t *testing.T) {
	root := newRoot(Env{Getenv: os.Getenv})
	all := newCompletions(Env{})
	paths, flags := map[string]bool{}, map[string]bool{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		_, path, _ := strings.Cut(c.CommandPath(), " ")
		paths[path] = true
		c.Flags().VisitAll(func(f *pflag.Flag) { flags[f.Name], flags[path+" "+f.Name] = true, true })
		_, argument, _ := strings.Cut(strings.TrimSuffix(c.Use, " [flags]"), " ")
		switch path {
		case "submit", "functions", "replay": // a new name; hidden; a folder of the inbox
		default:
			if argument != "" && c.ValidArgsFunction == nil && all.arguments[path] == nil {
				t.Errorf("%s takes %s, of which nothing says how it is completed: add it to newCompletions", path, argument)
			}
		}
		for _, below := range c.Commands() {
			walk(below)
		}
	}
	walk(root)
	for path := range all.arguments {
		if !paths[path] {
			t.Errorf("there is no command %s", path)
		}
	}
	for name := range all.flags {
		if !flags[name] {
			t.Errorf("there is no flag %s", name)
		}
	}
}

// A storage that does not answer ends no completion, and delays it by no more than completionTime.
func TestCompletionDoesNotWait(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	file := filepath.Join(t.TempDir(), "env")
	text := fmt.Sprintf("%s=state\nSTORAGE_EMULATOR_HOST=http://%s\n", stateVariable, silent.Addr())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	words, directive := completedOf(t, "status", "--env", file, "")
	if took := time.Since(began); len(words) > 0 || directive != nothing || took > 10*completionTime {
		t.Errorf("offered %q, %s, after %s", words, directive, took)
	}
}

// Each shell takes its script. Fish has a command that says what it would offer.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	scripts := map[string]string{}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		got := run(t, "completion", shell)
		if got.code != 0 || !strings.Contains(got.stdout, cobra.ShellCompRequestCmd) {
			t.Fatalf("%s: exit %d\n%s%s", shell, got.code, got.stdout, got.stderr)
		}
		scripts[shell] = filepath.Join(dir, shell)
		if err := os.WriteFile(scripts[shell], []byte(got.stdout), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		shell string
		args  []string
		want  string
	}{
		{"bash", []string{"-n", scripts["bash"]}, ""},
		{"zsh", []string{"-n", scripts["zsh"]}, ""},
		{"fish", []string{"--no-config", "-c", "source " + scripts["fish"] + "; complete -C 'jobdrop plan --format '"},
			"json\nyaml\n"},
	} {
		t.Run(test.shell, func(t *testing.T) {
			need(t, test.shell)
			c := exec.Command(test.shell, test.args...)
			c.Env = append(os.Environ(), "HOME="+dir, "PATH="+linkJobdrop(t)+string(os.PathListSeparator)+os.Getenv("PATH"))
			out, err := c.CombinedOutput()
			if diff := cmp.Diff(test.want, string(out)); err != nil || diff != "" {
				t.Errorf("%v, output (-want +got):\n%s", err, diff)
			}
		})
	}
}

// linkJobdrop returns a folder in which the test's binary is called jobdrop, as testscript.Main has it.
func linkJobdrop(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "jobdrop")); err != nil {
		t.Fatal(err)
	}
	return dir
}
