package vertex

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// python finds this machine's interpreter, without what a site's own packages add.
func python(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("SKIPPED: no python3 on this machine")
	}
	return path
}

// sdist returns a source package whose module prints its arguments and environment.
// arguments are those of its setup, beside the usual, and info is more of its PKG-INFO.
func sdist(t *testing.T, arguments, info string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, text := range map[string]string{
		"trainer-0.1/setup.py": "from setuptools import setup, find_packages\n" +
			"setup(name='trainer', version='0.1', packages=find_packages()" + arguments + ")\n",
		"trainer-0.1/PKG-INFO":            "Metadata-Version: 2.1\nName: trainer\nVersion: 0.1\n" + info,
		"trainer-0.1/task.py":             "print('not installed')\n",
		"trainer-0.1/trainer/__init__.py": "",
		"trainer-0.1/trainer/task.py": "import json, os, sys\n" +
			"print('RAN ' + json.dumps({'args': sys.argv[1:], 'tf': os.environ.get('TF_CONFIG'), 'left': " +
			"os.environ.get('JOBDROP_BOOTSTRAP'), 'restarts': os.environ.get('JOBDROP_RESTART_COUNT')}))\n" +
			"sys.exit(3 if '--fail' in sys.argv else 0)\n",
	} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wheel returns a package with a requirement that does not exist.
func wheel(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, text := range map[string]string{
		"trainer/__init__.py": "",
		"trainer/task.py":     "print('RAN {}')\n",
		"demanding-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: demanding\nVersion: 1.0\n" +
			"Requires-Dist: nosuchthing-zz (>=9)\n",
		"demanding-1.0.dist-info/WHEEL":  "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
		"demanding-1.0.dist-info/RECORD": "",
	} {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The bootstrap, as a container's command runs it: by a real Python, with packages
// from a storage service.
func TestBootstrap(t *testing.T) {
	t.Parallel()
	t.Run("python3", func(t *testing.T) { bootstraps(t, python(t)) })
	// That of nearly all runtimes, where this machine has it.
	t.Run("python3.7", func(t *testing.T) {
		old, err := exec.LookPath("python3.7")
		if err != nil {
			t.Skip("SKIPPED: no python3.7 on this machine")
		}
		bootstraps(t, old)
	})
}

func bootstraps(t *testing.T, interpreter string) {
	data, demanding := sdist(t, "", ""), wheel(t)
	requiring := sdist(t, ", install_requires=['nosuchthing-zz>=9']", "Requires-Dist: nosuchthing-zz (>=9)\n")
	broken, older := sdist(t, ", name=1/0", ""), sdist(t, ", python_requires='<3'", "")
	setuptools := exec.Command(interpreter, "-c", "import setuptools").Run() == nil
	// Each job has an environment of its own, as each container has.
	environment := func(t *testing.T) string {
		t.Helper()
		env := filepath.Join(t.TempDir(), "env")
		if out, err := exec.Command(interpreter, "-m", "venv", "--without-pip", "--system-site-packages",
			env).CombinedOutput(); err != nil {
			t.Skipf("SKIPPED: no venv on this machine: %v, %s", err, out)
		}
		return env
	}
	environment(t) // or the test ends here
	flaky, busy := 0, 0
	starts := map[string]bool{} // the names of what was uploaded
	storage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch name := r.URL.Query().Get("name"); {
		case r.Method == http.MethodPost && r.URL.Path == "/upload/storage/v1/b/out/o" &&
			r.URL.Query().Get("ifGenerationMatch") == "0":
			if starts[name] {
				http.Error(w, "it is there", http.StatusPreconditionFailed)
			}
			starts[name] = true
		case r.Method == http.MethodPost && r.URL.Path == "/upload/storage/v1/b/busy/o" && busy < 2:
			busy++
			http.Error(w, "later", http.StatusServiceUnavailable)
		case r.Method == http.MethodPost && r.URL.Path == "/upload/storage/v1/b/busy/o":
		case r.Method == http.MethodPost:
			http.Error(w, "no", http.StatusForbidden)
		case r.URL.Query().Get("alt") != "media" || !strings.HasPrefix(r.URL.Path, "/download/storage/v1/b/staging/o/"):
			http.Error(w, "what?", http.StatusBadRequest)
		case r.URL.EscapedPath() == "/download/storage/v1/b/staging/o/a%2F1%2Ftrainer-0.1.tar.gz":
			if flaky++; flaky == 1 {
				http.Error(w, "later", http.StatusServiceUnavailable)
				return
			}
			_, _ = w.Write(data)
		case r.URL.EscapedPath() == "/download/storage/v1/b/staging/o/a%2F1%2Fdemanding-1.0-py3-none-any.whl":
			_, _ = w.Write(demanding)
		case strings.HasPrefix(r.URL.Path, "/download/storage/v1/b/staging/o/requiring/"):
			_, _ = w.Write(requiring)
		case strings.HasPrefix(r.URL.Path, "/download/storage/v1/b/staging/o/hidden/"):
			http.Error(w, "no", http.StatusForbidden)
		case strings.HasPrefix(r.URL.Path, "/download/storage/v1/b/staging/o/broken/"):
			_, _ = w.Write(broken)
		case strings.HasPrefix(r.URL.Path, "/download/storage/v1/b/staging/o/older/"):
			_, _ = w.Write(older)
		default:
			http.NotFound(w, r)
		}
	}))
	defer storage.Close()
	const tf = `{"cluster": {"chief": ["127.0.0.1:2222"]}, "task": {"type": "chief", "index": 0}}`
	type result struct {
		Args           []string
		TF             map[string]any
		Left, Restarts *string
	}
	task := func(trial string) map[string]any {
		all := map[string]any{
			"cluster": map[string]any{"chief": []any{"127.0.0.1:2222"}}, "task": map[string]any{"type": "chief", "index": 0.0},
		}
		if trial != "" {
			all["task"].(map[string]any)["trial"] = trial
		}
		return all
	}
	settings := func(uri string, more map[string]any) map[string]any {
		all := map[string]any{"packages": []string{uri}, "module": "trainer.task"}
		for name, value := range more {
			all[name] = value
		}
		return all
	}
	replica := func(index string) []string {
		return []string{"CLOUD_ML_JOB_ID=12", `CLUSTER_SPEC={"task": {"type": "workerpool0", "index": ` + index + `}}`}
	}
	const uri = "gs://staging/a/1/trainer-0.1.tar.gz"
	for _, test := range []struct {
		name     string
		settings map[string]any
		env      []string
		args     []string
		want     result
		status   int
		says     string
		needs    bool // an image with setuptools
	}{
		{
			name: "arguments", settings: settings(uri, nil), args: []string{"--a=b c", "", "--d"},
			want: result{Args: []string{"--a=b c", "", "--d"}},
		},
		{
			name:     "a job directory and TF_CONFIG",
			settings: settings(uri, map[string]any{"jobDir": "gs://out/x", "tfConfig": tf}), args: []string{"--a"},
			env: []string{"CLOUD_ML_TRIAL_ID=9"}, want: result{Args: []string{"--a", "--job-dir", "gs://out/x"}, TF: task("")},
		},
		{
			name: "a trial's", settings: settings(uri, map[string]any{"jobDir": "gs://out/x", "tfConfig": tf, "trials": true}),
			args: []string{"--lr=1"},
			env:  []string{"CLOUD_ML_TRIAL_ID=3", "AIP_MODEL_DIR=gs://out/x/3/model/"},
			want: result{Args: []string{"--lr=1", "--job-dir", "gs://out/x/3"}, TF: task("3")},
		},
		{
			name:     "a trial's, without the service's folders",
			settings: settings(uri, map[string]any{"jobDir": "gs://out/x/", "trials": true}),
			env:      []string{"CLOUD_ML_TRIAL_ID=3"}, want: result{Args: []string{"--job-dir", "gs://out/x/3"}},
		},
		{
			name: "the service's own TF_CONFIG stays", settings: settings(uri, map[string]any{"tfConfig": tf}),
			env:  []string{`TF_CONFIG={"of": "the service"}`},
			want: result{Args: []string{}, TF: map[string]any{"of": "the service"}},
		},
		{
			name: "the first start", settings: settings(uri, map[string]any{"jobDir": "gs://out/x/"}), env: replica("0"),
			want: result{Args: []string{"--job-dir", "gs://out/x/"}, Restarts: new("0")},
		},
		{
			name: "the second", settings: settings(uri, map[string]any{"jobDir": "gs://out/x/"}), env: replica("0"),
			want: result{Args: []string{"--job-dir", "gs://out/x/"}, Restarts: new("1")},
		},
		{
			name: "the third, with a value from elsewhere", settings: settings(uri, map[string]any{"jobDir": "gs://out/x/"}),
			env:  append(replica("0"), "JOBDROP_RESTART_COUNT=7"),
			want: result{Args: []string{"--job-dir", "gs://out/x/"}, Restarts: new("2")},
		},
		{
			name: "another replica's first", settings: settings(uri, map[string]any{"jobDir": "gs://out/x/"}), env: replica("1"),
			want: result{Args: []string{"--job-dir", "gs://out/x/"}, Restarts: new("0")},
		},
		{
			name: "a storage that is busy", settings: settings(uri, map[string]any{"jobDir": "gs://busy/x"}), env: replica("0"),
			want: result{Args: []string{"--job-dir", "gs://busy/x"}, Restarts: new("0")},
		},
		{
			name: "starts that can't be counted", settings: settings(uri, map[string]any{"jobDir": "gs://closed/x"}),
			env: append(replica("0"), "JOBDROP_RESTART_COUNT=7"), want: result{Args: []string{"--job-dir", "gs://closed/x"}},
		},
		{
			name: "the program's status", settings: settings(uri, nil), args: []string{"--fail"},
			want: result{Args: []string{"--fail"}}, status: 3,
		},
		{
			name: "a requirement that can't be had", settings: settings("gs://staging/a/1/demanding-1.0-py3-none-any.whl", nil),
			status: 1, says: "requirements can't be installed: nosuchthing-zz",
		},
		// Whatever the file is called.
		{
			name: "a source package's requirement", settings: settings("gs://staging/requiring/trainer-0.1.tar.gz", nil),
			status: 1, says: "requirements can't be installed: nosuchthing-zz",
		},
		{
			name: "one without a version", settings: settings("gs://staging/requiring/trainer.tar.gz", nil),
			status: 1, says: "requirements can't be installed: nosuchthing-zz",
		},
		{
			name: "one with an odd version", settings: settings("gs://staging/requiring/my-code-0.1.dev3-g12ab.tgz", nil),
			status: 1, says: "requirements can't be installed: nosuchthing-zz",
		},
		{
			name: "an image that stands in for one with another Python", env: []string{"JOBDROP_STANDS_IN=image"},
			settings: settings("gs://staging/older/trainer-0.1.tar.gz", nil), want: result{Args: []string{}},
		},
		{
			name: "a setup that fails", needs: true, settings: settings("gs://staging/broken/trainer-0.1.tar.gz", nil),
			status: 1, says: "can't install the package trainer-0.1.tar.gz",
		},
		{
			name: "a module that setup does not install", needs: true,
			settings: map[string]any{"packages": []string{uri}, "module": "task"}, status: 1, says: "No module named task",
		},
		{
			name: "no such package", settings: settings("gs://staging/a/1/other-0.1.tar.gz", nil), status: 1,
			says: "gs://staging/a/1/other-0.1.tar.gz is gone, or the job's account may not read it: HTTP Error 404",
		},
		{
			name: "no such package, for one who may not list", settings: settings("gs://staging/hidden/other-0.1.tar.gz", nil),
			status: 1, says: "gs://staging/hidden/other-0.1.tar.gz is gone, or the job's account may not read it: HTTP Error 403",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.needs && !setuptools {
				t.Skip("SKIPPED: this Python has no setuptools")
			}
			text, err := json.Marshal(test.settings)
			if err != nil {
				t.Fatal(err)
			}
			c := exec.CommandContext(t.Context(), filepath.Join(environment(t), "bin", "python3"),
				append([]string{"-c", bootstrap}, test.args...)...)
			c.Dir = t.TempDir()
			c.Env = append([]string{
				"PATH=" + os.Getenv("PATH"), "HOME=" + c.Dir, "TMPDIR=" + c.Dir,
				"STORAGE_EMULATOR_HOST=" + strings.TrimPrefix(storage.URL, "http://"),
				"JOBDROP_BOOTSTRAP=" + string(text), "PIP_NO_INDEX=1", "NO_PROXY=127.0.0.1",
			}, test.env...)
			out, err := c.CombinedOutput()
			if c.ProcessState == nil || c.ProcessState.ExitCode() != test.status {
				t.Fatalf("%v\n%s", err, out)
			}
			if test.says != "" {
				if !strings.Contains(string(out), test.says) {
					t.Errorf("does not say %q:\n%s", test.says, out)
				}
				return
			}
			_, after, ok := strings.Cut(string(out), "RAN ")
			line, _, _ := strings.Cut(after, "\n")
			var raw struct {
				Args               []string
				TF, Left, Restarts *string
			}
			if err := json.Unmarshal([]byte(line), &raw); !ok || err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			got := result{Args: raw.Args, Left: raw.Left, Restarts: raw.Restarts}
			if raw.TF != nil {
				if err := json.Unmarshal([]byte(*raw.TF), &got.TF); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("ran (-want +got):\n%s\n%s", diff, out)
			}
		})
	}
	want := map[string]bool{}
	for _, start := range []string{"workerpool0-0/0", "workerpool0-0/1", "workerpool0-0/2", "workerpool0-1/0"} {
		want["x/jobdrop/starts/12/"+start] = true
	}
	if diff := cmp.Diff(want, starts); diff != "" {
		t.Errorf("starts (-want +got):\n%s", diff)
	}
	if flaky < 2 {
		t.Error("a fetch that was answered 503 was not repeated")
	}
}
