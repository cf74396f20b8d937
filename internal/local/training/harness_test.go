package training

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/logs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/process"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/ml/v1"
	"google.golang.org/api/option"
)

// patience is for a slow machine; nothing waits that long by design.
const patience = 5 * time.Minute

// pythons returns the interpreters that jobs are tried with: python3 of PATH, and
// the operating system's own.
func pythons(t *testing.T) []Python {
	t.Helper()
	found := findPythons()
	if len(found) == 0 {
		t.Skip("no python3 on this machine")
	}
	return found
}

// findPythons asks the interpreters once for all tests.
var findPythons = sync.OnceValue(func() (found []Python) {
	for _, name := range []string{"", "/usr/bin/python3"} {
		p, err := FindPython(context.Background(), name)
		if err == nil && !slices.ContainsFunc(found, func(f Python) bool { return f.Path == p.Path }) {
			found = append(found, p)
		}
	}
	return found
})

func eachPython(t *testing.T, f func(*testing.T, Python)) {
	for _, p := range pythons(t) {
		t.Run(p.Version, func(t *testing.T) { f(t, p) })
	}
}

// offline returns the environment of the tests' services: PATH, and of pip's only that
// there is no index. No test waits for a network, or passes because of one.
func offline() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "LANG=C.UTF-8", "SOME_SECRET=x", "PIP_NO_INDEX=1",
	}
}

type harness struct {
	*testing.T
	gcs  *fakestorage.Server
	svc  *Service
	opts Options
	api  *ml.ProjectsJobsService

	mu    sync.Mutex
	lines []Line
	came  chan struct{} // closed and replaced with each line
}

// newHarness starts a Cloud Storage and a service on it. The buckets inbox and
// out are there.
func newHarness(t *testing.T, python Python, change func(*Options), environ ...string) *harness {
	t.Helper()
	gcs, err := fakestorage.NewServerWithOptions(fakestorage.Options{Scheme: "http", Host: "127.0.0.1", Port: 0,
		Writer: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gcs.Stop)
	gcs.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "inbox"})
	gcs.CreateBucketWithOpts(fakestorage.CreateBucketOpts{Name: "out"})
	h := &harness{T: t, gcs: gcs, came: make(chan struct{})}
	h.opts = Options{Storage: gcs.URL(), Dir: t.TempDir(), Python: python, Grace: 500 * time.Millisecond}
	h.opts.Logs = func(l Line) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.lines = append(h.lines, l)
		close(h.came)
		h.came = make(chan struct{})
	}
	if change != nil {
		change(&h.opts)
	}
	h.start(environ...)
	return h
}

// start starts the harness's service, again after it was closed.
func (h *harness) start(environ ...string) {
	h.Helper()
	svc, err := newService(h.Context(), h.opts, append(offline(), environ...))
	if err != nil {
		h.Fatal(err)
	}
	server := httptest.NewServer(svc.Handler())
	h.Cleanup(func() {
		server.Close()
		if err := svc.Close(); err != nil {
			h.Error(err)
		}
	})
	h.svc, h.api = svc, client(h.T, server.URL)
}

func client(t *testing.T, url string) *ml.ProjectsJobsService {
	t.Helper()
	c, err := ml.NewService(t.Context(), option.WithEndpoint(url), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	return c.Projects.Jobs
}

func (h *harness) put(bucket, name string, data []byte) string {
	h.gcs.CreateObject(fakestorage.Object{ObjectAttrs: fakestorage.ObjectAttrs{BucketName: bucket, Name: name},
		Content: data})
	return "gs://" + bucket + "/" + name
}

// job returns a valid job that runs trainer.task of a package with this program.
func (h *harness) job(id, program string, args ...string) *ml.GoogleCloudMlV1__Job {
	uri := h.put("inbox", id+"/trainer-0.1.tar.gz", sdist(h.T, trainerFiles(program)))
	return &ml.GoogleCloudMlV1__Job{JobId: id, TrainingInput: &ml.GoogleCloudMlV1__TrainingInput{
		ScaleTier: "BASIC", Region: "us-central1", RuntimeVersion: "2.11", PythonVersion: "3.7",
		PackageUris: []string{uri}, PythonModule: "trainer.task", Args: args, JobDir: "gs://out/" + id,
	}}
}

func (h *harness) create(j *ml.GoogleCloudMlV1__Job) *ml.GoogleCloudMlV1__Job {
	h.Helper()
	created, err := h.api.Create("projects/p", j).Do()
	if err != nil {
		h.Fatalf("create: %v", err)
	}
	return created
}

func (h *harness) get(id string) *ml.GoogleCloudMlV1__Job {
	h.Helper()
	j, err := h.api.Get("projects/p/jobs/" + id).Do()
	if err != nil {
		h.Fatalf("get: %v", err)
	}
	return j
}

// until polls the job until it is in one of the states.
func (h *harness) until(id string, states ...string) *ml.GoogleCloudMlV1__Job {
	h.Helper()
	var j *ml.GoogleCloudMlV1__Job
	poll(h.T, func() bool { j = h.get(id); return slices.Contains(states, j.State) }, func() string {
		return fmt.Sprintf("%s is %s (%s), want %v; log:\n%s", id, j.State, j.ErrorMessage, states,
			strings.Join(h.log(id), "\n"))
	})
	return j
}

func (h *harness) ended(id string) *ml.GoogleCloudMlV1__Job {
	h.Helper()
	return h.until(id, "SUCCEEDED", "FAILED", "CANCELLED")
}

func (h *harness) succeeded(id string) *ml.GoogleCloudMlV1__Job {
	h.Helper()
	j := h.ended(id)
	if j.State != "SUCCEEDED" {
		h.Fatalf("%s is %s, want SUCCEEDED: %s\nlog:\n%s", id, j.State, j.ErrorMessage, strings.Join(h.log(id), "\n"))
	}
	return j
}

// line waits for a line of the job's log that begins with prefix and returns the
// rest of it.
func (h *harness) line(id, prefix string) string {
	h.Helper()
	deadline := time.After(patience)
	for {
		h.mu.Lock()
		came := h.came
		for _, l := range h.lines {
			if rest, ok := strings.CutPrefix(l.Text, prefix); ok && l.JobID == id {
				h.mu.Unlock()
				return rest
			}
		}
		h.mu.Unlock()
		select {
		case <-came:
		case <-deadline:
			h.Fatalf("%s has no line %q; log:\n%s", id, prefix, strings.Join(h.log(id), "\n"))
		}
	}
}

func (h *harness) log(id string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var text []string
	for _, l := range h.lines {
		if l.JobID == id {
			text = append(text, fmt.Sprintf("%s %s: %s", l.Task, l.Stream, l.Text))
		}
	}
	return text
}

// poll looks until cond holds. The pause between looks paces them, nothing
// depends on it.
func poll(t *testing.T, cond func() bool, state func() string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal(state())
		}
	}
}

// alive reports whether a process runs; a zombie does not.
func alive(t *testing.T, pid string) bool {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatalf("no PID: %q", pid)
	}
	out, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(n)).Output()
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(out)), "Z")
}

func status(err error) (int, string) {
	var e *googleapi.Error
	if !errors.As(err, &e) {
		return 0, fmt.Sprint(err)
	}
	return e.Code, e.Message
}

// trainerFiles returns a package as setuptools would make it, whose trainer.task is
// the program.
func trainerFiles(program string) map[string]string {
	return map[string]string{
		"setup.py": "from setuptools import find_packages, setup\nsetup(name='trainer', " +
			"version='0.1', packages=find_packages(include=['trainer*']), package_data={'trainer.data': ['*.txt']})\n",
		"PKG-INFO":                       "Metadata-Version: 2.1\nName: trainer\nVersion: 0.1\n",
		"trainer/__init__.py":            "",
		"trainer/task.py":                program,
		"trainer.egg-info/PKG-INFO":      "Metadata-Version: 2.1\nName: trainer\nVersion: 0.1\n",
		"trainer.egg-info/top_level.txt": "trainer\n",
		"trainer.egg-info/SOURCES.txt":   "setup.py\n",
		"tests/test_task.py":             "raise SystemError('tests are not installed')\n",
		"trainer/data/vocabulary.txt":    "a b c\n",
		"trainer/data/__init__.py":       "",
	}
}

func sdist(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var entries []tar.Header
	var bodies []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		entries = append(entries, tar.Header{Name: "trainer-0.1/" + name, Mode: 0o644, Typeflag: tar.TypeReg})
		bodies = append(bodies, files[name])
	}
	return tarball(t, entries, bodies)
}

func tarball(t testing.TB, entries []tar.Header, bodies []string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for i, h := range entries {
		body := ""
		if i < len(bodies) {
			body = bodies[i]
		}
		h.Size = int64(len(body))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func wheel(t testing.TB, files map[string]string) []byte {
	t.Helper()
	all := map[string]string{
		"trainer-0.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: trainer\nVersion: 0.1\n",
		"trainer-0.1.dist-info/WHEEL":    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
	}
	maps.Copy(all, files)
	record := ""
	for name := range all {
		record += name + ",,\n"
	}
	all["trainer-0.1.dist-info/RECORD"] = record + "trainer-0.1.dist-info/RECORD,,\n"
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		w, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(w, all[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func readRecord(t *testing.T, file string) (r jobs.Record) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func logLines(t *testing.T, dir, id, task string) []Line {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "jobs", id, "logs", logs.FileName))
	if err != nil {
		t.Fatal(err)
	}
	var lines []Line
	for dec := json.NewDecoder(bytes.NewReader(data)); dec.More(); {
		var l Line
		if err := dec.Decode(&l); err != nil {
			t.Fatal(err)
		}
		if l.Task == task {
			lines = append(lines, l)
		}
	}
	return lines
}

func quoteJSON(text string) []byte {
	data, _ := json.Marshal(text)
	return data
}

func touch(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func parseTime(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func doErr[T any](_ T, err error) error { return err }

// objects returns the names in a bucket.
func (h *harness) objects(bucket string) []string {
	h.Helper()
	list, err := h.gcs.ListObjectsWithOptionsPaginated(bucket, fakestorage.ListOptions{})
	if err != nil {
		h.Fatal(err)
	}
	var names []string
	for _, o := range list.Objects {
		names = append(names, o.Name)
	}
	return names
}

// runService runs the test binary as a service of its own, for tests that kill
// it: it prints its address and serves until then.
func runService(dir, storage, python string) error {
	p, err := FindPython(context.Background(), python)
	if err != nil {
		return err
	}
	svc, err := New(context.Background(), Options{Storage: storage, Dir: dir, Python: p})
	if err != nil {
		return err
	}
	server := httptest.NewServer(svc.Handler())
	fmt.Println(server.URL)
	select {}
}

func TestMain(m *testing.M) {
	if dir := os.Getenv("TRAINING_TEST_DIR"); dir != "" {
		fmt.Fprintln(os.Stderr, runService(dir, os.Getenv("TRAINING_TEST_STORAGE"), os.Getenv("TRAINING_TEST_PYTHON")))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// sleepingGroup starts a process that runs until it is killed.
func sleepingGroup(t *testing.T) (*process.Child, process.Group) {
	t.Helper()
	var host process.Host
	var group process.Group
	record := func(g process.Group) { group = g }
	child, err := host.Start(t.Context(), process.Command{Path: "sleep", Args: []string{"600"}, Record: record})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Terminate(child) })
	return child, group
}
