package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const hostileJob = `trainingInput:
  scaleTier: "\e[31m%0A\n::warning::forged"
  region: us-central1
`

// What a job file or its name holds neither steers a terminal nor forges a
// workflow command, in any format.
func TestValidateHostile(t *testing.T) {
	t.Chdir(t.TempDir())
	name := "a,b:c%\n::error::x\x1b.yaml"
	if err := os.WriteFile(name, []byte(hostileJob), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"text", "json", "sarif", "github"} {
		t.Run(format, func(t *testing.T) {
			got := run(t, "validate", name, "--format", format, "--explain")
			if got.code != exitRejected {
				t.Errorf("exit %d, want %d: %s", got.code, exitRejected, got.stderr)
			}
			output := got.stdout + got.stderr
			if strings.ContainsRune(output, '\x1b') {
				t.Errorf("an escape reaches the terminal: %q", output)
			}
			for line := range strings.Lines(output) {
				own := format == "github" && strings.HasPrefix(line, "::error file=a%2Cb%3Ac%25")
				if strings.HasPrefix(line, "::") && !own {
					t.Errorf("a forged command: %q", line)
				}
			}
		})
	}
}

func TestSarifFitsItsSchema(t *testing.T) {
	t.Parallel()
	schema, err := jsonschema.NewCompiler().Compile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	hostile := filepath.Join(t.TempDir(), "a b:c%.yaml")
	if err := os.WriteFile(hostile, []byte(hostileJob), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, paths := range [][]string{
		{dropsDir + "/hello"},
		{dropsDir + "/incomplete"},
		{dropsDir + "/rejected-many", dropsDir + "/rejected-types", dropsDir + "/hello", hostile},
	} {
		got := run(t, append([]string{"validate", "--format", "sarif"}, paths...)...)
		document, err := jsonschema.UnmarshalJSON(strings.NewReader(got.stdout))
		if err != nil {
			t.Fatalf("%v: %s", err, got.stderr)
		}
		if err := schema.Validate(document); err != nil {
			t.Errorf("%v: %v", paths, err)
		}
	}
}

func TestValidateUsage(t *testing.T) {
	for _, args := range [][]string{{"-", "-"}, {"-", "--set", "region"}, {"-", "--defaults", "none.yaml"}} {
		got := runWith(t.Context(), strings.NewReader(hostileJob), append([]string{"validate"}, args...)...)
		if got.code != exitUsage {
			t.Errorf("%q: exit %d, want %d", args, got.code, exitUsage)
		}
	}
}

func TestValidateJSONOfSeveralPaths(t *testing.T) {
	got := run(t, "validate", dropsDir+"/hello", dropsDir+"/rejected-types", "--format", "json", "--explain")
	if got.code != exitRejected {
		t.Errorf("exit %d, want %d", got.code, exitRejected)
	}
	var reports []report
	if err := json.Unmarshal([]byte(got.stdout), &reports); err != nil || len(reports) != 2 {
		t.Fatalf("%d reports, %v", len(reports), err)
	}
	if !reports[0].Valid || reports[1].Valid || len(reports[0].Explain) == 0 {
		t.Errorf("valid %t and %t, %d fields explained",
			reports[0].Valid, reports[1].Valid, len(reports[0].Explain))
	}
}

// validated runs validate and returns its exit code and standard output.
func validated(t *testing.T, args ...string) (int, string) {
	t.Helper()
	got := run(t, append([]string{"validate"}, args...)...)
	return got.code, got.stdout
}

// Each format shows warnings as warnings, and they change no exit code.
func TestValidateWarnings(t *testing.T) {
	t.Chdir(t.TempDir())
	const file = `trainingInput:
  scaleTier: basic
  region: us-central1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
  pythonModule: trainer.task
`
	if err := os.WriteFile("job.yaml", []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	for format, want := range map[string]string{
		"text":   "job.yaml:2:14: warning: trainingInput.scaleTier: ",
		"json":   `"severity": "warning"`,
		"sarif":  `"level": "warning"`,
		"github": "::warning file=job.yaml,line=2,col=14,title=jobdrop enum-spelling::",
	} {
		code, output := validated(t, "job.yaml", "--format", format)
		if code != exitSucceeded || !strings.Contains(output, want) {
			t.Errorf("%s: exit %d, and no %q in\n%s", format, code, want, output)
		}
	}
}

// The fingerprint of a SARIF result stays when lines move, and changes with what was
// found.
func TestSarifFingerprints(t *testing.T) {
	t.Chdir(t.TempDir())
	fingerprint := func(file string) string {
		t.Helper()
		if err := os.WriteFile("job.yaml", []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		_, output := validated(t, "job.yaml", "--format", "sarif")
		var log sarifLog
		if err := json.Unmarshal([]byte(output), &log); err != nil {
			t.Fatal(err)
		}
		for _, r := range log.Runs[0].Results {
			if strings.Contains(r.Message.Text, "scaleTier") {
				if rule := log.Runs[0].Tool.Driver.Rules[r.RuleIndex].ID; rule != r.RuleID {
					t.Errorf("the result's rule is %s, its index leads to %s", r.RuleID, rule)
				}
				return r.Fingerprints["jobdrop/v1"]
			}
		}
		t.Fatalf("no result in %s", output)
		return ""
	}
	first := fingerprint("trainingInput:\n  scaleTier: HUGE\n")
	if moved := fingerprint("# moved\n\ntrainingInput:\n  region: us-central1\n  scaleTier: HUGE\n"); moved != first {
		t.Errorf("moved lines make %s of %s", moved, first)
	}
	if other := fingerprint("trainingInput:\n  scaleTier: LARGE\n"); other == first {
		t.Error("another value has the same fingerprint")
	}
}

// In a folder, too, --set beats the file, and its values are checked with the
// packages.
func TestValidateFolderWithFields(t *testing.T) {
	hello := dropsDir + "/hello"
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"a value that is refused", []string{"--set", "scaleTier=HUGE"}, exitRejected,
			"the value comes from metadata jobdrop-set-scaleTier"},
		{"a module that is not there", []string{"--set", "pythonModule=trainer.other"}, exitRejected,
			"no package of the drop holds this module"},
		{"a field that is not there", []string{"--set", "regoin=us-east1"}, exitRejected, "write jobdrop-set-region"},
		{"a value that passes", []string{"--set", "region=us-east1"}, exitSucceeded, ""},
		{"a policy", []string{"--policy", "../../testdata/policy/policy.yaml"}, exitRejected,
			"the operator's policy does not allow this region"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, output := validated(t, append([]string{hello}, test.args...)...)
			if code != test.code || !strings.Contains(output, test.want) || test.want == "" && output != "" {
				t.Errorf("exit %d, want %d, and %q in\n%s", code, test.code, test.want, output)
			}
		})
	}
}

const hello = `trainingInput:
  scaleTier: CUSTOM
  masterType: n1-standard-4
  region: us-central1
  runtimeVersion: '2.11'
  pythonVersion: '3.7'
  pythonModule: trainer.task
  packageUris: [trainer-0.1.tar.gz]
`

// What Vertex AI would refuse is an error where the file names it, and a warning where it only has options for it: another
// backend may run the job without them.
func TestValidateForVertex(t *testing.T) {
	for vertex, want := range map[string]int{
		"{backend: vertex, vertex: {strategy: FLEX_START}}":     exitRejected,
		"{vertex: {strategy: FLEX_START}}":                      0,
		"{backend: aiplatform, vertex: {strategy: FLEX_START}}": 0,
		"{vertex: {strategy: SPOT}}":                            0,
	} {
		file := filepath.Join(t.TempDir(), "job.yaml")
		if err := os.WriteFile(file, []byte(hello+"jobdrop: "+vertex+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		got := run(t, "validate", file)
		told := strings.Contains(got.stderr+got.stdout, "[backend-mapping]")
		if tells := strings.Contains(vertex, "FLEX") && !strings.Contains(vertex, "aiplatform"); got.code != want || told != tells {
			t.Errorf("%s: exit %d, told %t:\n%s%s", vertex, got.code, told, got.stdout, got.stderr)
		}
	}
}
