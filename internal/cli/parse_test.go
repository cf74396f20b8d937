package cli

import (
	"context"
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

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
				"--container-runner=podman", "--backend=vertex", "--routes=r", "-v"},
			want: runOptions{
				machineOptions: machineOptions{
					python: "p", maxJobs: 3, maxReplicas: 4, containerRunner: "podman", backend: "vertex", verbose: true, routes: "r",
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
		{name: "preempt", args: []string{"drop", "--preempt=-1"}, err: "--preempt and --preempt-after must not be negative"},
		{name: "runner", args: []string{"drop", "--container-runner=lxc"},
			err: `--container-runner is "lxc", must be docker or podman`},
		{name: "backend", args: []string{"drop", "--backend=x"}, err: `--backend is "x", must be aiplatform or vertex`},
		{name: "flag", args: []string{"drop", "--foo"}, err: "unknown flag: --foo"},
	})
}

func TestParseLocal(t *testing.T) {
	machine := machineOptions{}
	own := ports{4443, 8085, 8480, 8481, 8482}
	testParsing(t, newLocal, []parsing[localOptions]{
		{name: "defaults", env: map[string]string{"XDG_DATA_HOME": "/share"},
			want: localOptions{machineOptions: machine, data: "/share/jobdrop", host: "127.0.0.1", ports: own}},
		{name: "all flags",
			args: []string{"--data=/d", "--policy=p", "--host=::", "--allow-remote", "--storage-port=1", "--pubsub-port=2",
				"--training-port=0", "--functions-port=65535", "--console-port=3",
				"--env-file=f", "--env=e", "--lose-events=0.5", "--faults=x"},
			want: localOptions{
				machineOptions: machine, data: "/d", policy: "p", host: "::", allowRemote: true,
				ports: ports{1, 2, 0, 65535, 3}, envFile: "f", env: "e", loseEvents: 0.5, faults: "x",
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
		{name: "defaults", args: []string{"j"}, want: logsOptions{job: "j", format: "text"}},
		{name: "all flags", env: named, args: []string{"j", "-f", "--replica=t", "--endpoint=http://flag", "--tail=7", "-o=json"},
			want: logsOptions{job: "j", follow: true, replica: "t", endpoint: "http://flag", tail: 7, format: "json"}},
		{name: "the replica's name of before", args: []string{"j", "--task=t"},
			want: logsOptions{job: "j", replica: "t", format: "text"}},
		{name: "an installation", args: []string{"j", "--env=e"},
			want: logsOptions{targetOptions: targetOptions{env: "e"}, job: "j", format: "text"}},
		{name: "both", args: []string{"j", "--env=e", "--endpoint=x"}, err: "leave one out"},
		{name: "too many lines", args: []string{"j", "--tail=10001"}, err: "--tail is 10001, must be from 0 to 10000"},
		{name: "format", args: []string{"j", "-o=xml"}, err: `--output is "xml"`},
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
	testParsing(t, newPolicyValidate, []parsing[filesOptions]{
		{name: "validate", args: []string{"a", "b"},
			want: filesOptions{paths: []string{"a", "b"}, format: "text"}},
		{name: "validate as JSON", args: []string{"a", "--format=json"},
			want: filesOptions{paths: []string{"a"}, format: "json"}},
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

func TestParseWait(t *testing.T) {
	testParsing(t, newWait, []parsing[waitOptions]{
		{name: "defaults", args: []string{"a/", "b"}, want: waitOptions{names: []string{"a/", "b"}, output: "text"}},
		{name: "all flags",
			args: []string{"a/", "--env=e", "--generation=7", "--timeout=90m", "--fail-fast", "--logs", "--cancel-on-interrupt",
				"-o", "json"},
			want: waitOptions{targetOptions: targetOptions{env: "e"}, names: []string{"a/"}, generation: 7,
				timeout: 90 * time.Minute, failFast: true, logs: true, cancel: true, output: "json"}},
		{name: "nothing", err: "DROP|JOB|ATTEMPT is missing: "},
		{name: "a generation of several", args: []string{"a/", "b/", "--generation=7"}, err: "--generation is of one drop"},
		{name: "no generation", args: []string{"a/", "--generation=-7"}, err: "--generation is -7"},
		{name: "no time", args: []string{"a/", "--timeout=-1s"}, err: "--timeout is -1s"},
		{name: "output", args: []string{"a/", "-o", "yaml"}, err: `--output is "yaml", must be text or json`},
	})
}

// What a name can stand for is said by its form.
func TestParseWaited(t *testing.T) {
	key := strings.Repeat("0f", 20) + "-7"
	for _, tt := range []struct {
		name, err string
		flag      int64  // --generation
		prefix    string // $JOBDROP_PREFIX
		want      waited
	}{
		{name: "a", want: waited{word: "a", folder: "a/"}},
		{name: "a", flag: 7, want: waited{folder: "a/", generation: 7}},
		{name: "a", prefix: "teams/nlp/", want: waited{word: "a", folder: "teams/nlp/a/"}},
		{name: "a", prefix: "teams/nlp/", flag: 7, want: waited{folder: "teams/nlp/a/", generation: 7}},
		{name: "a/", prefix: "teams/nlp/", want: waited{folder: "a/"}},
		{name: "a/", want: waited{folder: "a/"}},
		{name: "a/b", want: waited{folder: "a/b/"}},
		{name: "a/job.yml", want: waited{folder: "a/"}},
		{name: "job.yml", want: waited{}},
		{name: "gs://inbox", want: waited{}},
		{name: "gs://inbox/", want: waited{}},
		{name: "gs://inbox/a", want: waited{folder: "a/"}},
		{name: "gs://inbox/a/#7", want: waited{folder: "a/", generation: 7}},
		{name: "gs://inbox/a/job.yaml#7", want: waited{folder: "a/", generation: 7}},
		{name: "gs://inbox/#7", want: waited{generation: 7}},
		{name: "a#b/", want: waited{folder: "a#b/"}},
		{name: "a#1/", want: waited{folder: "a#1/"}},
		{name: "a#1/#7", want: waited{folder: "a#1/", generation: 7}},
		{name: key, want: waited{attempt: key}},
		{name: key, flag: 7, err: "names its own"},
		{name: "a/#7", flag: 8, err: "--generation is 8, and a/#7 names one, too"},
		{name: "a/#0", err: "0 is not a generation"},
		{name: "gs://other/a/", err: "is not in the inbox, gs://inbox/"},
		{name: "", err: "a name is empty"},
	} {
		got, err := waitOptions{generation: tt.flag, prefix: tt.prefix}.parse(tt.name, "inbox")
		if tt.err != "" {
			if codeOf(err) != exitUsage || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: %v, want %q in it", tt.name, err, tt.err)
			}
			continue
		}
		tt.want.name = tt.name
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(waited{})); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", tt.name, err, diff)
		}
	}
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
