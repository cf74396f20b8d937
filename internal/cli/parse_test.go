package cli

import (
	"context"
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// constructor makes a command that parses into options and hands them to run.
type constructor[O any] func(env Env, run func(context.Context, Env, O) error) *cobra.Command

// parse runs a command of which only the parsing is real. It returns the options
// that the command would have worked with.
func parse[O any](newX constructor[O], variables map[string]string, args ...string) (got O, err error) {
	env := Env{Out: io.Discard, Err: io.Discard, Getenv: func(name string) string { return variables[name] }}
	c := newX(env, func(_ context.Context, _ Env, o O) error {
		got = o
		return nil
	})
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(append([]string{}, args...)) // nil would stand for the process's own
	return got, c.ExecuteContext(context.Background())
}

// parsing is a command line, with what it is parsed into.
type parsing[O any] struct {
	name string
	env  map[string]string
	args []string
	want O
	err  string // part of the error; empty if there is none
}

func testParsing[O any](t *testing.T, newX constructor[O], tests []parsing[O]) {
	t.Helper()
	options := cmp.Exporter(func(reflect.Type) bool { return true })
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parse(newX, test.env, test.args...)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("the error is %v, want %q in it", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, options); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseRun(t *testing.T) {
	machine := machineOptions{}
	testParsing(t, newRun, []parsing[runOptions]{
		{name: "defaults", args: []string{"drop"},
			want: runOptions{machineOptions: machine, dir: "drop", events: "text"}},
		{name: "all flags",
			args: []string{"drop", "--events=json", "--keep=k", "--output=o", "--python=p", "--max-jobs=3", "--max-replicas=4",
				"--container-runner=podman", "--backend=vertex", "-v"},
			want: runOptions{
				machineOptions: machineOptions{
					python: "p", maxJobs: 3, maxReplicas: 4, containerRunner: "podman", backend: "vertex", verbose: true,
				},
				dir: "drop", events: "json", keep: "k", output: "o",
			}},
		{name: "an emulator", env: map[string]string{"PUBSUB_EMULATOR_HOST": "localhost:1"}, args: []string{"drop"},
			want: runOptions{
				machineOptions: machineOptions{pubsubEmulator: "localhost:1"}, dir: "drop", events: "text",
			}},
		{name: "no folder", err: "is missing: "},
		{name: "two folders", args: []string{"a", "b"}, err: `"b" is one argument too many: run DIR`},
		{name: "events", args: []string{"drop", "--events=xml"}, err: `--events is "xml", must be text or json`},
		{name: "jobs", args: []string{"drop", "--max-jobs=-1"}, err: "must not be negative"},
		{name: "replicas", args: []string{"drop", "--max-replicas=-1"}, err: "must not be negative"},
		{name: "runner", args: []string{"drop", "--container-runner=lxc"},
			err: `--container-runner is "lxc", must be docker or podman`},
		{name: "backend", args: []string{"drop", "--backend=x"}, err: `--backend is "x", must be aiplatform or vertex`},
		{name: "flag", args: []string{"drop", "--foo"}, err: "unknown flag: --foo"},
	})
}

func TestParseLocal(t *testing.T) {
	machine := machineOptions{}
	own := ports{4443, 8085, 8480, 8481}
	testParsing(t, newLocal, []parsing[localOptions]{
		{name: "defaults", env: map[string]string{"XDG_DATA_HOME": "/share"},
			want: localOptions{machineOptions: machine, data: "/share/jobdrop", host: "127.0.0.1", ports: own}},
		{name: "all flags",
			args: []string{"--data=/d", "--policy=p", "--host=::", "--allow-remote", "--storage-port=1", "--pubsub-port=2",
				"--training-port=0", "--functions-port=65535", "--env-file=f", "--env=e", "--lose-events=0.5", "--faults=x"},
			want: localOptions{
				machineOptions: machine, data: "/d", policy: "p", host: "::", allowRemote: true,
				ports: ports{1, 2, 0, 65535}, envFile: "f", env: "e", loseEvents: 0.5, faults: "x",
			}},
		{name: "no share of the events", args: []string{"--data=/d", "--lose-events"},
			want: localOptions{machineOptions: machine, data: "/d", host: "127.0.0.1", ports: own, loseEvents: 1}},
		{name: "more than all events", args: []string{"--lose-events=2"}, err: "--lose-events is 2, must be from 0 to 1"},
		{name: "not a number of events", args: []string{"--lose-events=NaN"}, err: "must be from 0 to 1"},
		{name: "other machines", args: []string{"--host=0.0.0.0"}, err: "add --allow-remote"},
		{name: "a name for a host", args: []string{"--host=example.com"}, err: "must be an IP address"},
		{name: "no port", args: []string{"--storage-port=65536"}, err: "--storage-port"},
		{name: "an argument", args: []string{"x"}, err: "unknown command"},
	})
}

func TestParseLogs(t *testing.T) {
	named := map[string]string{"JOBDROP_BACKEND_ENDPOINT": "http://named"}
	testParsing(t, newLogs, []parsing[logsOptions]{
		{name: "defaults", args: []string{"j"}, want: logsOptions{job: "j", endpoint: "http://127.0.0.1:8480"}},
		{name: "the environment", env: named, args: []string{"j"}, want: logsOptions{job: "j", endpoint: "http://named"}},
		{name: "all flags", env: named, args: []string{"j", "-f", "--task=t", "--endpoint=http://flag"},
			want: logsOptions{job: "j", follow: true, task: "t", endpoint: "http://flag"}},
		{name: "no job", err: "is missing: "},
	})
}

func TestParseValidate(t *testing.T) {
	testParsing(t, newValidate, []parsing[validateOptions]{
		{name: "defaults", args: []string{"a", "-"},
			want: validateOptions{
				fieldOptions: fieldOptions{metadata: map[string]string{}}, paths: []string{"a", "-"}, format: "text",
			}},
		{name: "all flags",
			args: []string{"a", "--format=sarif", "--explain", "--policy=p", "--project=q", "--inbox=i", "--folder=/teams/nlp/",
				"--defaults=d", "--set=region=us-east1", "--set=jobDir=gs://a/=b"},
			want: validateOptions{
				fieldOptions: fieldOptions{
					project: "q", inbox: "i", folder: "teams/nlp/", defaults: "d", policy: "p",
					set:      []string{"region=us-east1", "jobDir=gs://a/=b"},
					metadata: map[string]string{"jobdrop-set-region": "us-east1", "jobdrop-set-jobDir": "gs://a/=b"},
				},
				paths: []string{"a"}, format: "sarif", explain: true,
			}},
		{name: "no path", err: "is missing: "},
		{name: "format", args: []string{"a", "--format=xml"},
			err: `--format is "xml", must be text, json, sarif or github`},
		{name: "no value to set", args: []string{"a", "--set=region"}, err: `--set is "region", must be FIELD=VALUE`},
		{name: "no field to set", args: []string{"a", "--set==b"}, err: `--set is "=b", must be FIELD=VALUE`},
		{name: "a field set twice", args: []string{"a", "--set=x=1", "--set=x=2"}, err: `--set gives "x" twice`},
	})
}

func TestParsePlan(t *testing.T) {
	none := fieldOptions{metadata: map[string]string{}}
	testParsing(t, newPlan, []parsing[planOptions]{
		{name: "defaults", args: []string{"a"},
			want: planOptions{fieldOptions: none, path: "a", backend: planBackend, format: "json"}},
		{name: "all flags", args: []string{"a", "--backend=aiplatform", "--format=yaml", "--strict", "--policy=p"},
			want: planOptions{
				fieldOptions: fieldOptions{metadata: map[string]string{}, policy: "p"},
				path:         "a", backend: "aiplatform", format: "yaml", strict: true,
			}},
		{name: "format", args: []string{"a", "--format=text"}, err: `--format is "text", must be json or yaml`},
		{name: "backend", args: []string{"a", "--backend=x"}, err: `--backend is "x", must be vertex or aiplatform`},
		{name: "set", args: []string{"a", "--set=x"}, err: `--set is "x"`},
		{name: "no path", err: "is missing: "},
	})
}

func TestParsePolicy(t *testing.T) {
	testParsing(t, newPolicyValidate, []parsing[policyValidateOptions]{
		{name: "validate", args: []string{"a", "b"},
			want: policyValidateOptions{paths: []string{"a", "b"}, format: "text"}},
		{name: "validate as JSON", args: []string{"a", "--format=json"},
			want: policyValidateOptions{paths: []string{"a"}, format: "json"}},
		{name: "validate nothing", err: "is missing: "},
		{name: "validate as XML", args: []string{"a", "--format=xml"}, err: `--format is "xml"`},
	})
	testParsing(t, newPolicyTest, []parsing[policyTestOptions]{
		{name: "test", args: []string{"p", "d", "--project=q"},
			want: policyTestOptions{
				fieldOptions: fieldOptions{metadata: map[string]string{}, policy: "p", project: "q"}, drop: "d", format: "text",
			}},
		{name: "test without a drop", args: []string{"p"}, err: "DROP is missing: "},
		{name: "test with a policy too many", args: []string{"p", "d", "--policy=q"}, err: "unknown flag: --policy"},
		{name: "test as SARIF", args: []string{"p", "d", "--format=sarif"},
			err: `--format is "sarif", must be text or json`},
	})
}

func TestParseReindex(t *testing.T) {
	oneAttempt := strings.Repeat("0f", 20) + "-1795424700381000"
	testParsing(t, newReindex, []parsing[reindexOptions]{
		{name: "defaults", want: reindexOptions{days: 400}},
		{name: "all", args: []string{"--days", "3", "--after", oneAttempt}, want: reindexOptions{days: 3, after: oneAttempt}},
		{name: "no days", args: []string{"--days", "0"}, err: "--days must be 1 or more"},
		{name: "not an attempt", args: []string{"--after", "../x"}, err: "is not an attempt"},
		{name: "an argument", args: []string{"teams/"}, err: "unknown command"},
	})
}

func TestParseReplay(t *testing.T) {
	testParsing(t, newReplay, []parsing[replayOptions]{
		{name: "defaults", args: []string{"a/"}, want: replayOptions{folder: "a/", limit: 100}},
		{name: "all flags", args: []string{"a/", "--dry-run", "--limit=1"},
			want: replayOptions{folder: "a/", dryRun: true, limit: 1}},
		{name: "no drops", args: []string{"a/", "--limit=0"}, err: "--limit must be 1 or more"},
		{name: "no folder", err: "is missing: "},
	})
}

func TestParseFunctions(t *testing.T) {
	testParsing(t, newFunctions, []parsing[functionsOptions]{
		{name: "an address", args: []string{"a:1"}, want: functionsOptions{address: "a:1", hosts: []string{}}},
		{name: "hosts", args: []string{"a:1", "b", "c"}, want: functionsOptions{address: "a:1", hosts: []string{"b", "c"}}},
		{name: "no address", err: "is missing: "},
	})
}

// A relative folder of data is meant from where the command is started.
func TestParseRelativeData(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	got, err := parse(newLocal, nil, "--data", "d")
	if err != nil {
		t.Fatal(err)
	}
	want, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.data != filepath.Join(want, "d") && got.data != filepath.Join(dir, "d") {
		t.Errorf("the data is in %s, want it in %s", got.data, dir)
	}
}
