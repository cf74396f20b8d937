package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/gcloud"
	"github.com/jobdrop/jobdrop/internal/local/storage"
	"github.com/jobdrop/jobdrop/internal/service/gcs"
	"github.com/jobdrop/jobdrop/pkg/job"
	"github.com/jobdrop/jobdrop/pkg/jobspec"
)

// trainingRecorder is a training service that keeps what it is asked to create.
type trainingRecorder struct {
	mu   sync.Mutex
	jobs []map[string]any
}

func (r *trainingRecorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	data, err := io.ReadAll(request.Body)
	var created map[string]any
	if err != nil || request.Method != http.MethodPost || json.Unmarshal(data, &created) != nil {
		http.Error(w, "{}", http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.jobs = append(r.jobs, created)
	r.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data)
}

// created returns the jobs, in their order.
func (r *trainingRecorder) created() []map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.jobs)
}

// gcloudLines are command lines as people write them: those of the manual page, of gcloud's own help, and others, less
// gcloud ai-platform jobs submit training. Each yields one job, whoever reads it.
func gcloudLines() []string {
	const manual = ` --package-path $PACKAGE_PATH --module-name trainer.task --job-dir gs://your/chosen/job/output/path ` +
		`--region us-east1`
	const args = ` -- --user_first_arg=first_arg_value --user_second_arg=second_arg_value`
	const packages = ` --packages gs://bucket/trainer-0.1.tar.gz --region=us-west1`
	return []string{
		"your_name_20261129_120000 --scale-tier basic" + manual + args,
		"your_name_20261129_120001" + manual + " --config config.yaml" + args,
		"my_job --module-name trainer.task --staging-bucket gs://my-bucket --package-path $PACKAGE_PATH " +
			"--packages additional-dep1.tar.gz,dep2.whl --region us-east1",
		"my_job --module-name trainer.task --staging-bucket gs://my-bucket " +
			"--packages trainer-0.0.1.tar.gz,additional-dep1.tar.gz,dep2.whl --region us-east1",
		"j1 --scale-tier STANDARD_1 --runtime-version=2.6 --python-version=3.7 --service-account=a@b.iam.gserviceaccount.com" +
			packages,
		"j2 --labels=a=b,c=d --enable-web-access --use-chief-in-tf-config=yes --job-dir gs://out" + packages + " --",
		"j3 --scale-tier=custom --master-machine-type n1-standard-8 --master-accelerator=count=2,type=nvidia-tesla-t4 " +
			"--worker-machine-type=n1-standard-4 --worker-count 3 --parameter-server-machine-type n1-standard-4 " +
			"--parameter-server-count=2 --worker-accelerator type=nvidia-tesla-k80,count=1" + packages,
		"j4 --master-image-uri=gcr.io/p/image --worker-image-uri=gcr.io/p/other --region=us-west1 -- a 'b c' --d=e,f",
		"j5 --labels ^;^a=b;c= --kms-key=k --kms-keyring r --kms-location us-west1 --kms-project p2" + packages,
		"j6 --config config.yaml --scale-tier basic --runtime-version 2.8 --region us-east1 --packages " +
			"^%^gs://bucket/a.tar.gz%gs://bucket/b.whl -- -v",
		"alpha j8 --network projects/12345/global/networks/n --tpu-tf-version=2.1 --worker-machine-type cloud_tpu " +
			"--worker-count=1 --worker-accelerator=type=tpu-v2,count=8 --master-machine-type=n1-highcpu-16 --scale-tier=CUSTOM" +
			packages,
		"j7 --region us-west1 --region us-east1 --module-name a.b --packages gs://bucket/trainer-0.1.tar.gz --quiet --verbosity=error",
	}
}

// manualLines is how many of gcloudLines, the first, are those of the manual page.
const manualLines = 2

// runGcloud runs gcloud's own program with each line of arguments that its input has, as JSON, until one fails: its start
// takes longer than most commands.
const runGcloud = `import json, os, runpy, sys
del os.environ["CLOUDSDK_PYTHON_ARGS"]  # which gcloud has for Python that it starts, too
program, lines = sys.argv[1], sys.stdin.readlines()
for line in lines:
    sys.argv = [program] + json.loads(line)
    try:
        runpy.run_path(program, run_name="__main__")
    except SystemExit as e:
        if e.code:
            raise
`

// Each line yields the job that gcloud itself sends. Only what is known to differ may: where packages lie, and that
// gcloud says false where nothing is said.
func TestSubmitAgreesWithGcloud(t *testing.T) {
	need(t, "gcloud")
	t.Parallel()
	dir := t.TempDir()
	source := filepath.Join(dir, "src", "trainer")
	if err := os.MkdirAll(source, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"src/trainer/__init__.py": "", "src/trainer/task.py": "print(1)\n", "config.yaml": manualConfig,
		"additional-dep1.tar.gz": "1", "dep2.whl": "2", "trainer-0.0.1.tar.gz": "3",
		"src/trainer-0.0.0.tar.gz": "4",
	} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var service trainingRecorder
	ml := httptest.NewServer(&service)
	defer ml.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := storage.Serve(t.Context(), storage.Options{Dir: t.TempDir(), Listener: l,
		Buckets: []string{"your", "my-bucket", "bucket", "out", "inbox", "status"}})
	if err != nil {
		t.Fatal(err)
	}
	defer stored.Close()
	var commands, lines []string
	var input bytes.Buffer
	for _, line := range gcloudLines() {
		line, alpha := strings.CutPrefix(line, "alpha ")
		command := "gcloud ai-platform jobs submit training "
		if alpha {
			command = "gcloud alpha ai-platform jobs submit training "
		}
		line = strings.ReplaceAll(line, "$PACKAGE_PATH", source)
		line = strings.ReplaceAll(line, ";", `\;`)
		commands, lines = append(commands, command), append(lines, line)
		if err := json.NewEncoder(&input).Encode(shellWords(t, command+line)[1:]); err != nil {
			t.Fatal(err)
		}
	}
	driver := filepath.Join(t.TempDir(), "run.py")
	if err := os.WriteFile(driver, []byte(runGcloud), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "gcloud")
	c.Dir, c.Stdin = dir, &input
	c.Env = append(os.Environ(), "CLOUDSDK_CONFIG="+t.TempDir(), "CLOUDSDK_CORE_PROJECT=p",
		"CLOUDSDK_AUTH_DISABLE_CREDENTIALS=true", "CLOUDSDK_CORE_DISABLE_PROMPTS=true",
		"CLOUDSDK_CORE_DISABLE_USAGE_REPORTING=true", "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_ML="+ml.URL+"/",
		"CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE="+stored.URL()+"/storage/v1/", "NO_PROXY=127.0.0.1",
		"CLOUDSDK_PYTHON_ARGS="+driver)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("gcloud, %d of %d lines: %v\n%s", len(service.created()), len(lines), err, out)
	}
	created := service.created()
	if len(created) != len(lines) {
		t.Fatalf("gcloud has created %d jobs of %d lines", len(created), len(lines))
	}
	for i, line := range lines {
		t.Run(strings.Fields(line)[0], func(t *testing.T) {
			want, got := asMap(t, created[i]), jobOfLine(t, dir, line, commands[i])
			exceptGcloud(t, want, got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the job (-gcloud +jobdrop):\n%s", diff)
			}
			if i < manualLines {
				want, got := asMap(t, created[i]), droppedByLine(t, stored.URL(), dir, line)
				exceptGcloud(t, want, got)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("the job file in the inbox (-gcloud +jobdrop):\n%s", diff)
				}
			}
		})
	}
}

// shellWords returns the words that a shell makes of a line.
func shellWords(t *testing.T, line string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "bash", "-c", `printf '%s\0' `+line).Output()
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if own, err := gcloud.Split(line); err != nil || !slices.Equal(own, words) {
		t.Errorf("gcloud.Split makes %q, %v of the line; bash makes %q", own, err, words)
	}
	return words
}

// droppedByLine submits a line, and returns the job that is in the inbox then, as JSON.
func droppedByLine(t *testing.T, address, dir, line string) map[string]any {
	t.Helper()
	settings, policy := filepath.Join(t.TempDir(), "env"), filepath.Join(t.TempDir(), "policy.yaml")
	for name, text := range map[string]string{
		settings: "JOBDROP_INBOX=inbox\nJOBDROP_STATUS_BUCKET=status\nSTORAGE_EMULATOR_HOST=" + address + "\n",
		// The manual's first line names no version, which the service requires.
		policy: "defaults: {runtimeVersion: '2.6', pythonVersion: '3.7'}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	line = strings.Replace(line, "config.yaml", filepath.Join(dir, "config.yaml"), 1)
	args := append([]string{"submit", "--env", settings, "--policy", policy}, shellWords(t, line)...)
	if r := run(t, args...); r.code != exitSucceeded {
		t.Fatalf("exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	client, err := gcs.New(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := client.Read(t.Context(), "inbox", strings.Fields(line)[0]+"/job.yaml", 0, jobspec.MaxSize)
	if err != nil {
		t.Fatal(err)
	}
	file, vs := jobspec.Parse("job.yaml", text)
	if len(vs) > 0 {
		t.Errorf("%v in\n%s", vs, text)
	}
	return asMap(t, file.Spec)
}

// asMap returns a job as the API has it, a copy.
func asMap(t *testing.T, spec any) (of map[string]any) {
	t.Helper()
	data, err := json.Marshal(spec)
	if err == nil {
		err = json.Unmarshal(data, &of)
	}
	if err != nil {
		t.Fatal(err)
	}
	return of
}

// jobOfLine returns the job that submit makes of a line, as JSON. The whole line yields the same.
func jobOfLine(t *testing.T, dir, line, command string) map[string]any {
	t.Helper()
	words, err := gcloud.Split(line)
	if err != nil {
		t.Fatal(err)
	}
	o, err := parse(newSubmit, nil, words...)
	if err != nil {
		t.Fatal(err)
	}
	s := o.line
	whole, err := gcloud.ParseLine(command + line)
	if err != nil {
		t.Fatal(err)
	}
	var specs [2]job.Spec
	s.Apply(&specs[0])
	whole.Apply(&specs[1])
	if diff := cmp.Diff(specs[0], specs[1]); diff != "" {
		t.Errorf("the job (-submit +submit --from-gcloud):\n%s", diff)
	}
	if s.Config != "" {
		s.Config = filepath.Join(dir, s.Config)
	}
	for i, name := range s.Packages {
		if !strings.HasPrefix(name, "gs://") {
			s.Packages[i] = filepath.Join(dir, name)
		}
	}
	if s.PackagePath != "" { // what is in the package is not in the job
		s.Packages, s.PackagePath = append(s.Packages, filepath.Join(dir, "src", "trainer-0.0.0.tar.gz")), ""
	}
	d := &draft{}
	env := Env{Out: io.Discard, Err: io.Discard, Now: time.Now, Getenv: func(string) string { return "" }}
	if err := d.readConfig(env, s.Config); err != nil {
		t.Fatal(err)
	}
	s.Apply(&d.spec)
	if err := d.pack(t.Context(), submitOptions{line: s}, io.Discard, func(string, ...any) {}); err != nil {
		t.Fatal(err)
	}
	return asMap(t, d.spec)
}

// exceptGcloud takes out of two jobs what is known to differ.
func exceptGcloud(t *testing.T, want, got map[string]any) {
	t.Helper()
	theirs, ours := want["trainingInput"].(map[string]any), got["trainingInput"].(map[string]any)
	// gcloud says false of what nobody asked for.
	if theirs["enableWebAccess"] == false {
		delete(theirs, "enableWebAccess")
	}
	// gcloud stages packages at gs://BUCKET/…/DIGEST/NAME. Ours lie in the drop's folder, under a name with a digest.
	var names [2][]string
	for i, in := range []map[string]any{theirs, ours} {
		uris, _ := in["packageUris"].([]any)
		for _, uri := range uris {
			uri := uri.(string)
			if i == 0 && !strings.HasPrefix(uri, "gs://bucket/") || i == 1 && !strings.HasPrefix(uri, "gs://") {
				uri, _, _ = strings.Cut(path.Base(uri), ".")
				uri, _, _ = strings.Cut(uri, "-")
			}
			names[i] = append(names[i], uri)
		}
		slices.Sort(names[i]) // gcloud lists packages of one command in no order
		delete(in, "packageUris")
	}
	if diff := cmp.Diff(names[0], names[1]); diff != "" {
		t.Errorf("the packages (-gcloud +jobdrop):\n%s", diff)
	}
}
