package training

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/jobdrop/jobdrop/internal/local/training/internal/jobs"
	"github.com/jobdrop/jobdrop/internal/local/training/internal/process"
	"github.com/jobdrop/jobdrop/pkg/job"
)

func TestFindPython(t *testing.T) {
	dir := t.TempDir()
	script := func(name, body string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct {
		name, python  string
		missing, pack string
	}{
		{"not there", filepath.Join(dir, "none"), "no Python at", "python3"},
		{"broken", script("broken", "echo no such version >&2; exit 127"), "does not run", "python3"},
		{"no answer", script("silent", "exit 0"), "does not run", "python3"},
		{"old", script("old", `echo '{"version": "3.7.9"}'`), "is Python 3.7.9", "python3"},
		{"no venv", script("minimal", `echo '{"version": "3.11.2", "venv": false}'`), "no module venv", "python3-venv"},
	} {
		_, err := FindPython(t.Context(), tt.python)
		var missing *PythonError
		if !errors.As(err, &missing) || !strings.Contains(missing.Missing, tt.missing) || missing.Package != tt.pack ||
			!strings.Contains(err.Error(), "install the package "+tt.pack) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, tt := range []struct {
		answer string
		builds bool
	}{
		{`"pip": true, "setuptools": true, "setuptoolsVersion": "65.5.0"`, false},
		{`"pip": true, "setuptools": true, "setuptoolsVersion": "65.5.0", "wheel": true`, true},
		{`"pip": true, "setuptools": true, "setuptoolsVersion": "70.0.0"`, false},
		{`"pip": true, "setuptools": true, "setuptoolsVersion": "70.1.0"`, true},
		{`"pip": true, "setuptools": true, "setuptoolsVersion": "80"`, true},
		{`"pip": true`, false},
		{`"setuptools": true, "setuptoolsVersion": "80.1"`, false},
	} {
		p, err := FindPython(t.Context(), script("fake", `echo '{"version": "3.12.1", "path": "/x/python3", "venv": true, `+
			tt.answer+`}'`))
		if err != nil || p.Builds != tt.builds || p.Path != "/x/python3" {
			t.Errorf("%s: %+v, %v", tt.answer, p, err)
		}
	}

	t.Setenv("PATH", dir)
	_, err := FindPython(t.Context(), "")
	if err == nil || err.Error() != "no python3 on PATH: install the package python3" {
		t.Errorf("empty PATH: %v", err)
	}
}

// TestSites: libraries of a virtual environment that the service's Python lives
// in are visible to its jobs.
func TestSites(t *testing.T) {
	python := pythons(t)[0]
	site := t.TempDir()
	if err := os.WriteFile(filepath.Join(site, "library.py"), []byte("NAME = 'found'\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	python.Sites = []string{site}
	h := newHarness(t, python, nil)
	h.create(h.job("library", "import library\nprint('library', library.NAME)\n"))
	h.line("library", "library found")
	h.succeeded("library")
}

func TestTrainerEnv(t *testing.T) {
	got := trainerEnv(
		[]string{"PATH=/bin", "AWS_SECRET_ACCESS_KEY=x", "GITHUB_TOKEN=x", "GOOGLE_APPLICATION_CREDENTIALS=x", "LC_ALL=C",
			"PIP_INDEX_URL=u", "PYTHONPATH=/p", "no_proxy=a.example"},
		[]string{"A=1", "TMPDIR=/elsewhere"},
		environment{storage: "http://s", project: "p", home: "/h", tmp: "/t", bin: "/e/bin", env: "/e"})
	want := []string{
		"A=1", "GOOGLE_CLOUD_PROJECT=p", "HOME=/h", "LC_ALL=C", "NO_PROXY=127.0.0.1,localhost,::1", "PATH=/e/bin:/bin",
		"PIP_INDEX_URL=u",
		"PYTHONUNBUFFERED=1", "STORAGE_EMULATOR_HOST=http://s", "TMPDIR=/t", "VIRTUAL_ENV=/e",
		"no_proxy=a.example,127.0.0.1,localhost,::1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}

	home := t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".config", "pip"), 0o755); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(home, ".config", "pip", "pip.conf")
	touch(t, conf)
	got = pipEnv([]string{"PIP_RETRIES=3"}, []string{"HOME=" + home}, "/cache")
	if diff := cmp.Diff([]string{"PIP_CACHE_DIR=/cache", "PIP_CONFIG_FILE=" + conf, "PIP_RETRIES=3"}, got); diff != "" {
		t.Errorf("pip's environment (-want +got):\n%s", diff)
	}
}

func TestQuote(t *testing.T) {
	if got, want := quote("python3", []string{"-m", "a.b", "--x=1", "a b", "", "it's"}),
		`python3 -m a.b --x=1 'a b' '' 'it'\''s'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCheckWritable(t *testing.T) {
	h := newHarness(t, Python{Path: "python3"}, nil)
	for _, dir := range []string{"gs://out", "gs://out/", "gs://out/a b/c", "gs://out/a/"} {
		if err := h.svc.bucket.checkWritable(t.Context(), jobs.OutputFolder{Field: "job_dir", Title: "job directory",
			Dir: dir}, "j"); err != nil {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if names := h.objects("out"); len(names) > 0 {
		t.Errorf("left %v", names)
	}
	h.put("inbox", "big", make([]byte, 11))
	file := filepath.Join(t.TempDir(), "f")
	if err := h.svc.bucket.fetch(t.Context(), "inbox", "big", file, 10); err == nil ||
		!strings.Contains(err.Error(), "larger than 10 bytes") {
		t.Errorf("an object past the limit: %v", err)
	}
	name := "a b/ü#?%2F.tar.gz"
	h.put("inbox", name, []byte("x"))
	if err := h.svc.bucket.fetch(t.Context(), "inbox", name, file+"2", 10); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

func TestRecordRoundTrip(t *testing.T) {
	r := jobs.Record{Project: "p", Revision: 3, Processes: []jobs.JobProcess{{Task: "worker-replica-0",
		Group: process.Group{PID: 1, Start: "s"}}}, Job: jobs.JobState{
		Spec: job.Spec{JobID: "j", TrainingInput: &job.TrainingInput{Region: "r"}}, State: jobs.Running,
		CreateTime: time.Unix(1, 5).UTC(), StartTime: time.Unix(2, 0).UTC(),
	}}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got jobs.Record
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	if slices.Contains([]string{"", (&jobs.Record{}).Etag()}, r.Etag()) {
		t.Errorf("etag %q", r.Etag())
	}
}

// Without an index and without links pip has no place to fetch from; its words for true are those of
// its settings.
func TestNowhere(t *testing.T) {
	for _, tt := range []struct {
		env  []string
		want bool
	}{
		{nil, false},
		{[]string{"PIP_NO_INDEX="}, false},
		{[]string{"PIP_NO_INDEX=0"}, false},
		{[]string{"PIP_NO_INDEX=false", "PIP_FIND_LINKS="}, false},
		{[]string{"PIP_NO_INDEX=1"}, true},
		{[]string{"PIP_NO_INDEX=True", "PIP_FIND_LINKS="}, true},
		{[]string{"PIP_FIND_LINKS=/wheels", "PIP_NO_INDEX=1"}, false},
	} {
		if got := nowhere(tt.env); got != tt.want {
			t.Errorf("%q: %t", tt.env, got)
		}
	}
}
