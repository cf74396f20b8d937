package cli

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jobdrop/jobdrop/internal/app/config"
	"github.com/jobdrop/jobdrop/pkg/event"
	"github.com/jobdrop/jobdrop/pkg/job"
)

// installationEnv is what deploy/env makes of Terraform's outputs.
const installationEnv = `JOBDROP_EXPIRE_AFTER=24h
JOBDROP_GRACE=15m
JOBDROP_INBOX=acme-ml-research-inbox
JOBDROP_INSTANCE=research
JOBDROP_LOG_LEVEL=INFO
JOBDROP_POLICY=gs://acme-ml-research-state/policy/policy.yaml
JOBDROP_PROJECT=acme-ml
JOBDROP_PUBSUB_ENDPOINT=europe-west4-pubsub.googleapis.com:443
JOBDROP_REGIONS=europe-west4
JOBDROP_SETTLE=0s
JOBDROP_STAGING_BUCKET=acme-ml-research-staging
JOBDROP_STATE_BUCKET=acme-ml-research-state
JOBDROP_STATUS_BUCKET=acme-ml-research-status
JOBDROP_TOPIC=projects/acme-ml/topics/research-lifecycle
JOBDROP_BACKEND=vertex
`

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// With the environment and the policy file of an installation, the stack has its
// buckets, its backend, its regions and its rules.
func TestLocalIsLikeAnInstallation(t *testing.T) {
	t.Parallel()
	policy := write(t, "policy.yaml", "defaults: {labels: {team: research}}\nallow: {regions: [europe-west4]}\n")
	settings := installationEnv + "JOBDROP_CONSOLE=https://console.example/\n"
	r := startLocal(t, t.TempDir(), "--env", write(t, ".env", settings), "--policy", policy)
	console, err := http.Get(r.env["JOBDROP_CONSOLE"]) // the stack's own
	if err != nil {
		t.Fatal(err)
	}
	if console.Body.Close(); console.StatusCode != http.StatusOK {
		t.Errorf("the console at %s: %s", r.env["JOBDROP_CONSOLE"], console.Status)
	}
	storage := r.storage(t)
	drop := func(folder string, metadata map[string]string) string {
		t.Helper()
		for _, name := range []string{"trainer-0.1.tar.gz", "job.yaml"} {
			f, err := os.Open(filepath.Join(dropsDir, "hello", name))
			if err != nil {
				t.Fatal(err)
			}
			_, err = storage.Upload(t.Context(), "acme-ml-research-inbox", folder+name, f, metadata)
			f.Close()
			if err != nil {
				t.Fatal(err)
			}
		}
		poll, patience := time.NewTicker(50*time.Millisecond), time.After(5*time.Minute)
		defer poll.Stop()
		for {
			var body event.Body
			data, _, err := storage.Read(t.Context(), "acme-ml-research-status", folder+"status.json", 0, 1<<20)
			if err == nil && json.Unmarshal(data, &body) == nil && body.State.Terminal() {
				return string(body.State) + " " + body.Job.ResourceName
			}
			select {
			case <-poll.C:
			case <-patience:
				t.Fatalf("no verdict: %v\n%s", err, r.output)
			}
		}
	}
	got := drop("first/", map[string]string{"jobdrop-set-region": "europe-west4"})
	if !strings.HasPrefix(got, string(job.Succeeded)) || !strings.Contains(got, "/europe-west4/") {
		t.Errorf("a drop for the installation's region is %s", got)
	}
	// The policy of that installation refuses the file's own region.
	if got := drop("second/", nil); !strings.HasPrefix(got, string(job.Rejected)) {
		t.Errorf("a drop for another region is %s", got)
	}
	if _, err := storage.Stat(t.Context(), "acme-ml-research-state", "policy/policy.yaml"); err != nil {
		t.Errorf("the policy: %v", err)
	}
	if r.env["JOBDROP_INBOX"] != "acme-ml-research-inbox" || r.env["JOBDROP_INSTANCE"] != "research" {
		t.Errorf("clients are told %v", r.env)
	}
	for _, want := range []string{
		"JOBDROP_PROJECT is acme-ml there; here the project is local", "JOBDROP_TOPIC is ",
		"gs://acme-ml-research-inbox/FOLDER/",
	} {
		if !strings.Contains(r.output.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, r.output)
		}
	}
}

func TestLocalRefusesWhatItIsNot(t *testing.T) {
	policy := []string{"--policy", write(t, "policy.yaml", "{}\n")}
	change := func(old, new string) string {
		if !strings.Contains(installationEnv, old) {
			t.Fatalf("no %q to change", old)
		}
		return strings.Replace(installationEnv, old, new, 1)
	}
	for name, test := range map[string]struct {
		env  string
		args []string
		want string
	}{
		"no policy file": {installationEnv, nil, "name the file that Terraform wrote there by --policy"},
		"a policy too many": {change("JOBDROP_POLICY=gs://acme-ml-research-state/policy/policy.yaml\n", ""), policy,
			"has no policy, and --policy names one"},
		"a policy elsewhere": {change("gs://acme-ml-research-state/", "gs://acme-ml-policies/"), policy,
			"the policy lies in gs://acme-ml-policies"},
		"an unknown variable": {installationEnv + "JOBDROP_DEBUG=1\n", policy,
			"JOBDROP_DEBUG is not a variable of the functions"},
		"a way out": {installationEnv + "STORAGE_EMULATOR_HOST=example.com\n", policy,
			"STORAGE_EMULATOR_HOST is for the local stack alone"},
		"what is missing": {change("JOBDROP_INBOX=acme-ml-research-inbox\n", ""), policy, "JOBDROP_INBOX is not set"},
		"a wrong value":   {change("GRACE=15m", "GRACE=long"), policy, "JOBDROP_GRACE"},
		"the stack's bucket": {change("acme-ml-research-staging", "jobdrop-output"), policy,
			"the stack's own for job directories"},
		"another backend": {change("BACKEND=vertex", "BACKEND=aiplatform"), append(policy, "--backend", "vertex"),
			"--backend says vertex"},
		"no environment": {"hello\n", nil, "is not NAME=value"},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"local", "--data", t.TempDir(), "--env", write(t, ".env", test.env)}
			got := run(t, append(args, test.args...)...)
			if got.code == exitSucceeded || !strings.Contains(got.stderr, test.want) {
				t.Errorf("exit %d: %s, want %q", got.code, got.stderr, test.want)
			}
		})
	}
}

// Each variable with a treatment of its own is one that is read. One that leads out of
// the stack is among those that Terraform must not set.
func TestTreatmentsFitTerraform(t *testing.T) {
	data, err := os.ReadFile("../../deploy/terraform/environment-elsewhere.json")
	if err != nil {
		t.Fatal(err)
	}
	var elsewhere struct{ Local, Libraries map[string]string }
	if err := json.Unmarshal(data, &elsewhere); err != nil {
		t.Fatal(err)
	}
	for name, treated := range treatments() {
		known := func(v config.Variable) bool { return v.Name == name }
		if elsewhere.Libraries[name] == "" && !slices.ContainsFunc(config.Variables(), known) {
			t.Errorf("%s is not a variable of the functions", name)
		}
		if treated.kind == foreign && elsewhere.Local[name] == "" {
			t.Errorf("%s is for the local stack alone, and Terraform may set it", name)
		}
	}
}
